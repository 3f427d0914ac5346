use clap::Parser;

use super::*;
use crate::{FaultKind, FaultKinds, SearchSettings, ShrinkSettings};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    arguments: Arguments,
}

fn parse(arguments: &str) -> Result<Arguments, String> {
    let words = ["simulate"].into_iter().chain(arguments.split_whitespace());
    Cli::try_parse_from(words).map(|cli| cli.arguments).map_err(|error| error.to_string())
}

/// The lines printed, and what it came to.
fn ran(arguments: &str) -> (Vec<String>, Result<bool, CommandError>) {
    let mut lines = Vec::new();
    let arguments = parse(arguments).expect("these arguments are well-formed");
    let result = run(&arguments, "simulate", &mut |line| lines.push(line.to_owned()));
    (lines, result)
}

/// The error for arguments that make no sense, whichever part finds out.
fn refused(arguments: &str) -> String {
    match parse(arguments) {
        Err(error) => error,
        Ok(parsed) => match parsed.check() {
            Err(CommandError::BadInput(why)) => why,
            other => panic!("{arguments}: {other:?}"),
        },
    }
}

#[test]
fn arguments_that_make_no_sense_are_told_what_would() {
    for (arguments, advice) in [
        ("--seeds 20..10", "runs backwards; write it as 10..20"),
        ("--seeds 5..5", "holds no seed, since B is not included; for one seed write 5"),
        ("--seeds x..5", "is not a range of seeds such as 0..100"),
        ("--seeds 18446744073709551615", "one more than the last"),
        (
            "--seeds 3..6 --trace",
            "--trace shows one run, and --seeds names 3: give one, as in --seeds 3",
        ),
        ("--scenario nonsense", "there are:\nrandom "),
        ("--replicas 0", "a simulated chain has 1 to 16"),
        ("--replicas 17", "a simulated chain has 1 to 16"),
        ("--replicas 4 --faulty 2", "for what is asked give --replicas 7 or more"),
        ("--replicas 4 --adversary silent,liar", "for what is asked give --replicas 7 or more"),
        ("--replicas 4 --adversary 4=silent", "for what is asked give --replicas 5 or more"),
        ("--faulty 6", "ask for 5 or fewer"),
        ("--adversary 16=silent", "with ids below 16"),
        ("--adversary nonsense", "is no adversary; there are: silent, half-silent"),
        ("--adversary x=silent", "is no replica; write an id as in 0=silent"),
        ("--adversary 0=silent,0=liar", "names r0 twice: name each once"),
        ("--adversary 0=silent,liar", "give every name an id"),
        ("--adversary none,liar", "--adversary none stands alone"),
        ("--faulty 1 --adversary 0=silent", "leave --faulty out"),
        ("--faulty 0 --adversary silent", "leave one of them out"),
        ("--fault-phase-ms 86400001", "at most 86400000"),
        ("--json --trace", "cannot be used with"),
        ("--rounds 0", "1 to 864000"),
        ("--establishment nonsense", "there are certified, automaton, automaton-fd"),
        ("--establishment automaton --replicas 7 --faulty 2", "give --replicas 11 or more"),
        ("--establishment automaton --faulty 4", "ask for 3 or fewer"),
        ("--rounds 9 --fault-phase-ms 9", "cannot be used with"),
        ("--scenario arbitrary --fault-phase-ms 9", "leave --fault-phase-ms out"),
        ("--replay x --seeds 0..2", "cannot be used with"),
        ("--replay x --faulty 1", "cannot be used with"),
        ("--plans x --no-shrink", "cannot be used with"),
        ("--jobs 0", "zero"),
        ("--duration-s 0", "is not in 1.."),
        ("--replay x --duration-s 1", "cannot be used with"),
    ] {
        let error = refused(arguments);
        assert!(error.contains(advice), "{arguments}: {error}");
    }
}

#[test]
fn arguments_change_the_plan_of_every_seed_and_nothing_else_in_it() {
    let plain = parse("").expect("no argument is needed");
    for seed in 0..40 {
        assert_eq!(plain.plan(seed), Plan::seeded(seed));
        let plan = |arguments: &str| parse(arguments).expect(arguments).plan(seed);
        assert_eq!(plan("--scenario calm --replicas 7"), Plan::calm(seed, 7));
        assert_eq!(plan("--adversary none"), Plan::seeded(seed).byzantine(&[]));
        assert_eq!(plan("--faulty 0"), Plan::seeded(seed).byzantine(&[]));
        assert_eq!(plan("--byzantine 1=bad-new-view"), plan("--adversary r1=bad-new-view"));
        let two = plan("--faulty 2 --adversary silent,twins");
        assert!(two.thresholds.replicas() >= 7);
        let mut names: Vec<&str> = two.byzantine.iter().map(|(_, b)| b.name()).collect();
        names.sort_unstable();
        assert_eq!(names, ["silent", "twins"]);
        assert_eq!(plan("--faulty 2").byzantine.len(), 2);
        assert_eq!(plan("--adversary 0=liar,3=silent").byzantine.len(), 2);
        assert_eq!(plan("--fault-phase-ms 77").fault_phase_ms, 77);
        let automaton = plan("--establishment automaton-fd --faulty 1").thresholds;
        assert!(automaton.replicas() >= 6 && automaton.faulty_max() >= 1, "{automaton:?}");
        let plain = plan("");
        assert_eq!(plan("--rounds 40"), plain.clone().heal_after_ms(40 * plain.tick_ms));
        let arbitrary = plan("--arbitrary-start --rounds 40");
        assert_eq!((arbitrary.byzantine, arbitrary.rounds_max), (plain.byzantine, Some(40)));
        let other = Plan::arbitrary(seed, plain.thresholds.replicas());
        assert_eq!((arbitrary.start, arbitrary.faults), (other.start, other.faults));
    }
}

#[test]
fn who_is_byzantine_is_the_seeds_choice() {
    let who: std::collections::BTreeSet<_> = (0..40)
        .map(|seed| Plan::calm(seed, 7).faulty(1, &[]).byzantine[0])
        .map(|(id, behaviour)| (id, behaviour.name()))
        .collect();
    assert!(who.len() > 20, "{who:?}");
}

#[test]
fn the_arguments_of_a_replay_make_the_same_plan() {
    for arguments in [
        "",
        "--scenario calm --replicas 7 --faulty 2",
        "--adversary silent,liar --fault-phase-ms 90",
        "--adversary 0=silent,3=liar --replicas 10",
        "--adversary none",
        "--arbitrary-start --rounds 40",
        "--establishment automaton --replicas 11 --faulty 2",
    ] {
        let parsed = parse(arguments).expect(arguments);
        let replay = parse(&parsed.replay(7)).expect(arguments);
        assert_eq!(replay.seeds(), 7..8);
        assert_eq!(replay.plan(7), parsed.plan(7), "{arguments}");
    }
}

#[test]
fn the_list_of_scenarios_has_a_line_for_each() {
    let (lines, result) = ran("--scenario list");
    assert_eq!(result, Ok(true));
    assert_eq!(lines.len(), Scenario::ALL.len());
}

#[test]
fn a_search_that_finds_nothing_ends_with_the_table() {
    let (lines, result) = ran("--scenario calm --seeds 0..2 --fault-phase-ms 200 --jobs 1");
    assert_eq!(result, Ok(true));
    assert_eq!(lines[0].trim(), "n=4");
    assert!(lines[1].starts_with("seeds") && lines[1].ends_with(" 2"), "{lines:?}");
    assert!(lines.last().is_some_and(|line| line.starts_with("2 runs, 0 failed")), "{lines:?}");
}

#[test]
fn the_summary_for_programs_has_the_figures_of_the_table() {
    let (lines, result) = ran("--scenario calm --seeds 0..2 --fault-phase-ms 200 --jobs 1 --json");
    assert_eq!((lines.len(), result), (1, Ok(true)));
    let json: serde_json::Value = serde_json::from_str(&lines[0]).expect("it is JSON");
    assert_eq!((&json["runs"], &json["failed"]), (&2.into(), &serde_json::json!([])));
    assert_eq!(json["byReplicas"][0]["replicas"], 4);
    assert!(json["blocks"].as_u64() > Some(1) && json["cpuSeconds"].as_f64() > Some(0.0));
    assert!(json["convergenceMs"]["worst"].as_u64() >= Some(1_000), "{json}");
}

/// A folder for the files of one test, empty at first.
fn folder(test: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("daruma-{test}-{}", std::process::id()));
    // It is there only if an earlier process of this number left it.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    folder
}

#[test]
fn the_same_seed_gives_the_same_trace_file_and_its_heading_is_the_plan() {
    let folder = folder("trace");
    let traced = |name: &str, seed: u64| {
        let path = folder.join(name);
        let arguments = format!("--seeds {seed} --fault-phase-ms 900 --trace {}", path.display());
        let (lines, result) = ran(&arguments);
        assert_eq!((lines.len(), result), (1, Ok(true)));
        std::fs::read_to_string(path).expect("it was written")
    };
    let (first, second, other) = (traced("a", 3), traced("b", 3), traced("c", 4));
    assert_eq!(first, second);
    assert_ne!(first, other);
    let heading = first.lines().take_while(|line| line.starts_with('#'));
    let text: String = heading
        .skip(2)
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.contains('='))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(Plan::from_text(&text), Ok(Plan::seeded(3).heal_after_ms(900)), "{text}");
    for told in
        ["starts with height 0", "sends to", "executed height 1", "FAULT calm", "# every rule"]
    {
        assert!(first.contains(told), "{told}: {first}");
    }
    std::fs::remove_dir_all(folder).expect("the folder is ours");
}

#[test]
fn a_plan_is_replayed_from_its_file_and_a_wrong_one_is_told_why() {
    let folder = folder("replay");
    let path = folder.join("plan.toml");
    let plan = Plan::calm(29, 7).faulty(1, &[]).heal_after_ms(300);
    std::fs::write(&path, plan.to_text()).expect("it can be written");
    let (lines, result) = ran(&format!("--replay {} --json", path.display()));
    assert_eq!(result, Ok(true));
    let json: serde_json::Value = serde_json::from_str(&lines[0]).expect("it is JSON");
    assert_eq!((&json["runs"], &json["slowestSeed"]), (&1.into(), &29.into()));
    assert_eq!(json["transactions"], plan.run().stats.executed);
    std::fs::write(&path, "seed = 1\nnonsense = 2").expect("it can be written");
    let (_, result) = ran(&format!("--replay {}", path.display()));
    assert!(matches!(&result, Err(CommandError::BadInput(why)) if why.contains("nonsense")));
    let (_, result) = ran(&format!("--replay {}", folder.join("missing").display()));
    assert!(matches!(&result, Err(CommandError::BadInput(why)) if why.contains("cannot read")));
    std::fs::remove_dir_all(folder).expect("the folder is ours");
}

#[test]
fn a_failure_is_reported_with_a_smaller_plan_that_a_shell_can_replay() {
    let settings = SearchSettings { shrink: Some(ShrinkSettings::default()), ..Default::default() };
    // Nobody is back to service within a millisecond.
    let crashes = FaultKinds::NONE.with(FaultKind::Crashes);
    let plan = |seed| {
        let calm = Plan::calm(seed, 4).faults(crashes);
        Plan { quiet_ms_max: 1, fault_every_ms: 500, ..calm }
    };
    let summary = search(4..6, plan, settings, |_, _| {});
    assert_eq!(summary.failures.len(), 2);
    let arguments = parse("--seeds 4..6").expect("these are arguments");
    let report = Report {
        summary: &summary,
        wall: std::time::Duration::ZERO,
        arguments: &arguments,
        program: "simulate",
    };
    let mut lines = Vec::new();
    report.text(&mut |line| lines.push(line.to_owned()));
    assert!(lines[0].starts_with("FAILED seed 4 n="), "{lines:?}");
    assert!(lines[1].starts_with("  progress at "), "{lines:?}");
    assert!(lines.iter().any(|line| line == "  replay: simulate --seeds 4 --trace"), "{lines:?}");
    let shrunken = summary.failures[0].shrunken.as_ref().expect("it was asked for");
    assert!(shrunken.faults() == 0 && shrunken.faults_before > 0, "{shrunken:?}");
    assert!(!shrunken.plan.run().holds());
    let begin = lines.iter().position(|line| line == "simulate --replay - <<'END'");
    let text: Vec<&str> = lines[begin.expect("there is a command") + 1..]
        .iter()
        .map(String::as_str)
        .take_while(|line| *line != "END")
        .collect();
    assert_eq!(Plan::from_text(&text.join("\n")), Ok(shrunken.plan.clone()));
    let json = report.json();
    assert_eq!(json["failed"][0]["shrunken"]["plan"], shrunken.plan.to_text());
}

#[test]
fn a_search_with_a_duration_begins_no_seed_after_it() {
    let seeds = format!("0..{}", u64::MAX);
    let (lines, result) = ran(&format!("--scenario calm --seeds {seeds} --duration-s 1 --jobs 1"));
    assert_eq!(result, Ok(true), "{lines:?}");
    assert!(lines.last().is_some_and(|line| line.contains(" runs, 0 failed")), "{lines:?}");
}
