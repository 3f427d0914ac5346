//! Byzantine primaries (the catalogue's C-Z04 to C-Z07 and C-Z12), in both view establishments.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use daruma_catalogue::{
    CHANGE_ROUNDS_MAX, Counts, DETECTION_ROUNDS_MAX, REPLACED_ROUNDS_MAX, REQUEST_ROUNDS_MAX,
    RHYTHMS, all_executed, automaton, begin, consistent, executed_by_all, in_view, plan, rotated,
    six, subsets,
};
use daruma_simulator::adversary::{Censorship, Equivocation, OtherStory, OutOfBound, SlowPrimary};
use daruma_simulator::{Behaviour, Plan, Rig};
use daruma_types::{ReplicaId, View};

const PRIMARY: ReplicaId = ReplicaId(0);

fn counts(plan: &Plan) -> Counts {
    Counts { n: plan.thresholds.replicas(), f: plan.thresholds.faulty_max() }
}

/// Both view establishments, with one Byzantine replica and with two.
fn plans(seed: u64) -> [Plan; 4] {
    [plan(4, seed), six(seed), plan(7, seed), automaton(six(seed))]
}

fn left_view_0(rig: &Rig<'_>) -> bool {
    rig.correct().into_iter().all(|id| rig.status(id).view > View(0))
}

/// Four clients ask once each, all at once; what they ask for is added to `asked`.
fn four_ask(rig: &mut Rig<'_>, nonce: u64, asked: &mut Vec<String>) {
    let all = rig.correct();
    let operations: Vec<String> = (0..4).map(|client| format!("{client}:{nonce}")).collect();
    let transactions: Vec<_> =
        (0..4).zip(&operations).map(|(client, o)| rig.sign(client, nonce, o)).collect();
    rig.give(&all, &transactions);
    asked.extend(operations);
}

/// The primary shows `misled` another story: everything is executed once, in one order, whether it can
/// find a quorum for one of its stories or is replaced.
fn survives_equivocation(plan: &Plan, misled: &[ReplicaId], story: OtherStory) {
    let counts = counts(plan);
    for rhythm in RHYTHMS {
        plan.drive(rhythm, |rig| {
            let context = format!("{plan} {rhythm:?} {story:?} towards {misled:?}");
            begin(rig);
            rig.play(PRIMARY, Equivocation::towards(misled.iter().copied(), story));
            let mut asked = Vec::new();
            for nonce in 1..=2 {
                four_ask(rig, nonce, &mut asked);
                let done = rig.until(REPLACED_ROUNDS_MAX, |rig| executed_by_all(rig, &asked));
                assert!(done.is_some(), "{context}");
            }
            let others = counts.n - 1 - misled.len();
            let has_quorum = misled.len().max(others) + 1 >= counts.overlapping();
            assert!(has_quorum || left_view_0(rig), "{context}: not replaced");
            assert_eq!(consistent(rig), None, "{context}");
        });
    }
}

#[test]
fn c_z04_an_equivocating_primary_towards_every_subset_leads_to_one_order_of_everything() {
    for plan in plans(1) {
        let backups: Vec<_> = (1..counts(&plan).n as u16).map(ReplicaId).collect();
        for story in [OtherStory::Order, OtherStory::Transactions, OtherStory::Height] {
            for misled in subsets(&backups) {
                survives_equivocation(&plan, &misled, story);
            }
        }
    }
}

#[test]
fn c_z04_an_equivocating_primary_of_eleven_towards_every_number_of_replicas_is_survived() {
    for plan in [plan(11, 2), automaton(plan(7, 2))] {
        for size in 1..=10 {
            let misled: Vec<_> = (0..size).map(|i| ReplicaId((i * 3 % 10 + 1) as u16)).collect();
            survives_equivocation(&plan, &misled, OtherStory::Transactions);
        }
    }
}

/// What a slow primary may cost: X = 1 request for each T_fd.
const SLOW_ROUNDS_MAX: u32 = DETECTION_ROUNDS_MAX + REQUEST_ROUNDS_MAX;

/// Rounds through which nothing was executed, at most, while 24 requests waited; and whether the primary
/// was replaced.
fn under_a_slow_primary(plan: &Plan, interval: u32) -> (u32, bool) {
    let mut plan = plan.clone();
    // A block is a request, so that the primary assigns one each time.
    plan.chain.block_transactions_max = 1;
    plan.drive(RHYTHMS[0], |rig| {
        begin(rig);
        rig.play(PRIMARY, SlowPrimary::every(interval));
        let mut asked = Vec::new();
        (1..=6).for_each(|nonce| four_ask(rig, nonce, &mut asked));
        let (mut still, mut longest, mut height) = (0, 0, 0);
        while !executed_by_all(rig, &asked) {
            rig.run(1);
            let now = rig.correct().iter().map(|id| rig.status(*id).executed.height.0).min();
            still = if now > Some(height) { 0 } else { still + 1 };
            height = now.unwrap();
            longest = longest.max(still);
            let most = SLOW_ROUNDS_MAX + CHANGE_ROUNDS_MAX;
            assert!(still <= most, "{plan} every {interval}: {height} of {}", asked.len());
        }
        assert_eq!(consistent(rig), None, "{plan} every {interval}");
        (longest, left_view_0(rig))
    })
}

#[test]
fn c_z05_a_slow_primary_assigns_a_request_in_each_t_fd_or_is_replaced() {
    for plan in [plan(4, 1), automaton(six(1))] {
        let (mut slowest, mut replaced) = (0, 0);
        for interval in 1..=24 {
            let (longest, was_replaced) = under_a_slow_primary(&plan, interval);
            if was_replaced {
                replaced += 1;
            } else {
                slowest = slowest.max(longest);
                assert!(longest <= SLOW_ROUNDS_MAX, "{plan} every {interval}: {longest} rounds");
            }
        }
        println!("{plan}: one request in {slowest} rounds without being replaced; {replaced} were");
        // Just below the patience it stays, above it goes.
        assert!(slowest >= 6 && replaced >= 6, "{plan}: {slowest} rounds, {replaced} replaced");
    }
}

/// Blocks through which a first transaction may wait (`plan`), with a block in each round, and margin.
const CENSORED_ROUNDS_MAX: u32 = 16 + 8;

/// The first `f` primaries leave out all requests of client 9, or its second one only.
fn a_censored_request_is_executed(plan: &Plan, nonce: Option<u64>) {
    let faulty = counts(plan).f as u32;
    for rhythm in RHYTHMS {
        plan.drive(rhythm, |rig| {
            begin(rig);
            let victim = rig.client(9);
            for id in rotated(0, faulty as usize, counts(plan).n) {
                rig.play(id, Censorship::of(victim, nonce));
            }
            let all = rig.correct();
            if nonce.is_some() {
                rig.submit(&all, 9, 1, "not censored");
                rig.run(REQUEST_ROUNDS_MAX);
                assert!(all_executed(rig, &["not censored"]), "{plan} {rhythm:?}");
            }
            rig.submit(&all, 9, 2, "censored");
            let bound = faulty * (CENSORED_ROUNDS_MAX + CHANGE_ROUNDS_MAX + REQUEST_ROUNDS_MAX);
            let censored = "censored".to_owned();
            let mut waited = 0;
            while rig.correct().iter().any(|id| !rig.operations(*id).contains(&censored)) {
                assert!(waited < bound, "{plan} {rhythm:?}: {waited} rounds");
                waited += 1;
                for client in 0..2 {
                    rig.submit(&all, client, u64::from(waited), "others go on");
                }
                rig.run(1);
            }
            assert!(left_view_0(rig), "{plan} {rhythm:?}: it was not censored");
            assert_eq!(consistent(rig), None, "{plan} {rhythm:?}");
        });
    }
}

#[test]
fn c_z06_a_censored_client_is_served_within_a_bound_for_each_censoring_primary() {
    plans(3).iter().for_each(|plan| a_censored_request_is_executed(plan, None));
}

#[test]
fn c_z06_a_censored_request_is_executed_within_a_bound_for_each_censoring_primary() {
    plans(4).iter().for_each(|plan| a_censored_request_is_executed(plan, Some(2)));
}

/// Trap 2: the primary assigns, and nothing that it assigns can be agreed on.
#[test]
fn c_z07_a_primary_that_assigns_and_never_lets_anyone_agree_is_replaced() {
    type Corrupt = fn(&mut Rig<'_>);
    let stalls: [(&str, Corrupt); 4] = [
        ("reuse", |rig| rig.behave(PRIMARY, Some(Behaviour::ReuseHeights))),
        ("out of bound", |rig| rig.behave(PRIMARY, Some(Behaviour::OutOfBound))),
        ("gap", |rig| rig.play(PRIMARY, OutOfBound::by(1))),
        ("split", |rig| rig.behave(PRIMARY, Some(Behaviour::AssignDifferent))),
    ];
    for plan in plans(5) {
        for (name, corrupt) in stalls {
            for rhythm in RHYTHMS {
                plan.drive(rhythm, |rig| {
                    begin(rig);
                    corrupt(rig);
                    let mut asked = Vec::new();
                    // Two of them, so that heights can be used again, and more while it goes on.
                    (1..=2).for_each(|nonce| four_ask(rig, nonce, &mut asked));
                    let done = rig.until(REPLACED_ROUNDS_MAX, |rig| executed_by_all(rig, &asked));
                    assert!(done.is_some(), "{plan} {rhythm:?} {name}");
                    let stalled = ["out of bound", "gap"].contains(&name);
                    assert!(!stalled || left_view_0(rig), "{plan} {rhythm:?} {name}");
                    assert_eq!(consistent(rig), None, "{plan} {rhythm:?} {name}");
                });
            }
        }
    }
}

/// `f` detections whose patience doubles with each view without progress, up to a factor of 4, as many
/// changes, and the last establishment with the request.
fn rotation_rounds_max(faulty: u32) -> u32 {
    let detections: u32 = (0..faulty).map(|i| DETECTION_ROUNDS_MAX * (1 << i.min(2))).sum();
    detections + (faulty + 1) * CHANGE_ROUNDS_MAX + REQUEST_ROUNDS_MAX
}

#[test]
fn c_z12_f_byzantine_replicas_next_in_turn_are_passed_within_the_bound_in_every_placement() {
    for plan in plans(6).into_iter().chain([plan(11, 6), automaton(plan(7, 6))]) {
        let Counts { n, f } = counts(&plan);
        for behaviour in [Behaviour::Silent, Behaviour::StopAssigning] {
            for view in 0..n {
                plan.drive(RHYTHMS[view % 2], |rig| {
                    let context = format!("{plan} after view {view} {behaviour:?}");
                    begin(rig);
                    in_view(rig, view as u64);
                    rotated(view + 1, f, n).iter().for_each(|id| rig.behave(*id, Some(behaviour)));
                    for id in rig.correct() {
                        rig.engine(id).suspect();
                    }
                    let all = rig.correct();
                    rig.submit(&all, 0, 1, "served");
                    let done = rig
                        .until(rotation_rounds_max(f as u32), |rig| all_executed(rig, &["served"]));
                    assert!(done.is_some(), "{context}");
                    assert_eq!(consistent(rig), None, "{context}");
                });
            }
        }
    }
}
