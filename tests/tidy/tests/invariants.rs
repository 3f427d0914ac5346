//! Every invariant of the thesis and of the design has a test, and `docs/invariants.md` names it; so has every
//! incident of another system in `docs/healing.md`.

use daruma_tidy::invariants::{gaps, shown};
use daruma_tidy::{root, sources};

/// The thesis's Appendix C, the design's invariants, the failures of the thesis's Table 4.1, its ten
/// Byzantine behaviours, and the traps of the published prototype.
const REQUIRED: &[&str] = &[
    "Lemma 1",
    "Lemma 9",
    "Theorem 10",
    "Theorem 11",
    "Claim 12",
    "Claim 14",
    "Lemma 17",
    "Lemma 19",
    "Lemma 20 (a)",
    "Lemma 20 (b)",
    "Claim 24",
    "Claim 25",
    "Lemma 26",
    "Lemma 29 (1)",
    "Lemma 29 (2)",
    "Mal-free (1)",
    "Mal-free (2)",
    "INV-1",
    "INV-2",
    "INV-3",
    "INV-4",
    "INV-5",
    "INV-6",
    "INV-7",
    "crash",
    "link failure",
    "packet loss",
    "unresponsive to all",
    "unresponsive to some",
    "faulty sequence numbers",
    "different views",
    "inconsistent starting views",
    "inconsistent starting states",
    "inconsistent pending requests",
    "different progress checks",
    "UNRESPONSIVE",
    "DIFFERENT_VIEWS",
    "FORCING_RESET",
    "STOP_ASSIGNING_SEQNUMS",
    "ASSIGN_DIFFERENT_SEQNUMS",
    "REUSE_SEQNUMS",
    "SEQNUM_OUT_BOUND",
    "WRONG_CCSP",
    "MODIFY_CLIENT_REQ",
    "UNRESPONSIVE_TO_HALF",
    "Trap 1",
    "Trap 2",
    "Trap 3",
    "Trap 4",
    "Trap 5",
    "Trap 6",
    "Trap 7",
    "Trap 8",
    "Trap 9",
    "Trap 10",
    "Trap 11",
    "Trap 12",
];

/// The rows of the test catalogue's section on what the thesis lacks: links, networks, partitions, time.
const NETWORK_ROWS: &[&str] = &[
    "C-L01", "C-L02", "C-L03", "C-L04", "C-N01", "C-N02", "C-N03", "C-N04", "C-N05", "C-N06",
    "C-N07", "C-N08", "C-N09", "C-N10", "C-N11", "C-N12", "C-P01", "C-P02", "C-P03", "C-P04",
    "C-P06", "C-T01", "C-T02", "C-T03", "C-T04", "C-T05",
];

/// The rows of the test catalogue's section on what the thesis lacks: Byzantine replicas, clients, long runs.
/// C-V04 is a command.
const BYZANTINE_AND_CLIENT_ROWS: &[&str] = &[
    "C-Z01", "C-Z02", "C-Z03", "C-Z04", "C-Z05", "C-Z06", "C-Z07", "C-Z08", "C-Z09", "C-Z10",
    "C-Z12", "C-Z13", "C-Z14", "C-Z15", "C-C01", "C-C02", "C-C03", "C-C04", "C-C05", "C-C06",
    "C-C07", "C-C08", "C-C09", "C-V01", "C-V02", "C-V03",
];

/// The classes of halts of other systems that `docs/healing.md` has a scenario for.
const INCIDENTS: &[&str] = &[
    "heal/round-skew",
    "heal/state-missing-everywhere",
    "heal/quorum-return",
    "heal/wiped-f+1",
    "heal/join-gate",
    "heal/permission-cycle",
    "heal/signstate-vs-log",
    "heal/watermark-regression",
    "heal/log-truncate",
    "heal/log-garbage",
    "heal/actor-death",
    "heal/zero-length-file",
    "heal/state-root-mismatch",
    "heal/app-restart-stale",
    "heal/random-phase",
    "heal/round-counter-arbitrary",
    "heal/outage",
    "heal/mute-primary",
    "heal/deadlock-watchdog",
    "heal/clock-jump",
    "heal/sync-metadata",
    "heal/all-restart",
    "heal/sigstop",
    "heal/silent-delete",
    "heal/catchup-reorder",
    "heal/quorum-flap",
    "heal/view-amnesia",
    "heal/sst-bitflip",
    "heal/membership-drift",
    "heal/silence",
    "heal/simultaneous-boot",
];

/// The rows of the test catalogue's section on distributed invariants.
const ROWS: u32 = 33;

#[test]
fn every_invariant_has_a_test_that_exists() {
    let text = std::fs::read_to_string(root().join("docs/invariants.md")).unwrap();
    let rows: Vec<String> = (1..=ROWS).map(|row| format!("A{row:02}")).collect();
    let mut required: Vec<&str> = REQUIRED.to_vec();
    required.extend(NETWORK_ROWS);
    required.extend(rows.iter().map(String::as_str));
    required.extend(BYZANTINE_AND_CLIENT_ROWS);
    let sources: Vec<String> = sources().into_iter().map(|(_, text)| text).collect();
    let gaps = gaps(&shown(&text), &required, &sources);
    assert!(gaps.is_empty(), "{}", gaps.join("\n"));
}

#[test]
fn every_incident_of_another_system_has_a_scenario_that_exists() {
    let text = std::fs::read_to_string(root().join("docs/healing.md")).unwrap();
    let sources: Vec<String> = sources().into_iter().map(|(_, text)| text).collect();
    let shown = shown(&text);
    let gaps = gaps(&shown, INCIDENTS, &sources);
    assert!(gaps.is_empty(), "{}", gaps.join("\n"));
    let unlisted: Vec<_> = shown.keys().filter(|id| !INCIDENTS.contains(&id.as_str())).collect();
    assert_eq!(unlisted, Vec::<&String>::new());
}
