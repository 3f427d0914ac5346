//! Byzantine replicas that are not primary: voters, colluders, liars, servers, repeaters (the
//! catalogue's C-Z08 to C-Z10 and C-Z13 to C-Z15), in both view establishments where views are concerned.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::BTreeSet;

use daruma_catalogue::{
    CHANGE_ROUNDS_MAX, Counts, NEVER_ROUNDS, REQUEST_ROUNDS_MAX, RHYTHMS, all_in_view, automaton,
    begin, consistent, cut_off, executed_by_all, forced, in_view, plan, rotated, six,
};
use daruma_simulator::adversary::{
    Answer, Claim, FickleVoter, LyingServer, Overclaiming, VotingManner,
};
use daruma_simulator::{Behaviour, Plan, Rhythm, Rig};
use daruma_types::{Message, ReplicaId, View};

fn counts(plan: &Plan) -> Counts {
    Counts { n: plan.thresholds.replicas(), f: plan.thresholds.faulty_max() }
}

fn plans(seed: u64) -> [Plan; 4] {
    [plan(4, seed), six(seed), plan(7, seed), automaton(six(seed))]
}

/// Through `rounds`, a request every fifth round; all are executed in time, and nobody leaves `view`.
fn serves_in_view(rig: &mut Rig<'_>, view: u64, rounds: u32, context: &str) {
    let mut asked: Vec<String> = rig.operations(rig.correct()[0]);
    let first = asked.len() as u64 + 1;
    for nonce in first..first + u64::from(rounds / 5) {
        let all = rig.correct();
        let operation = format!("{nonce}");
        rig.submit(&all, 0, nonce, &operation);
        asked.push(operation);
        assert_eq!(rig.never(5, |rig| !all_in_view(rig, view)), None, "{context}: view {view}");
    }
    let done = rig.until(REQUEST_ROUNDS_MAX, |rig| executed_by_all(rig, &asked));
    assert!(done.is_some(), "{context}");
    assert_eq!(consistent(rig), None, "{context}");
}

#[test]
fn c_z08_a_backup_that_votes_for_everything_nothing_the_opposite_or_by_turns_moves_nobody() {
    type Corrupt = fn(&mut Rig<'_>, ReplicaId);
    let voters: [Corrupt; 5] = [
        |rig, id| rig.behave(id, Some(Behaviour::Contrarian)),
        |rig, id| rig.play(id, FickleVoter::with(VotingManner::Nothing)),
        |rig, id| rig.play(id, FickleVoter::with(VotingManner::Opposite)),
        |rig, id| rig.play(id, FickleVoter::with(VotingManner::Alternating)),
        |rig, id| rig.play(id, FickleVoter::with(VotingManner::EveryBallot)),
    ];
    for plan in plans(8) {
        let Counts { n, f } = counts(&plan);
        for (voter, corrupt) in voters.iter().enumerate() {
            for first in 1..=n - f {
                plan.drive(RHYTHMS[first % 2], |rig| {
                    begin(rig);
                    rotated(first, f, n).into_iter().for_each(|id| corrupt(rig, id));
                    serves_in_view(rig, 0, 50, &format!("{plan} voter {voter} from r{first}"));
                });
            }
        }
    }
}

#[test]
fn c_z09_f_colluders_that_suspect_every_correct_primary_change_no_view() {
    for plan in plans(9).into_iter().chain([plan(11, 9), automaton(plan(7, 9))]) {
        let Counts { n, f } = counts(&plan);
        // Every correct primary in turn; with many replicas some of them.
        for view in (0..n).step_by(if n > 7 { 10 } else { 1 }) {
            plan.drive(RHYTHMS[view % 2], |rig| {
                begin(rig);
                in_view(rig, view as u64);
                for id in rotated(view + 1, f, n) {
                    rig.behave(id, Some(Behaviour::FalseSuspicion));
                }
                serves_in_view(rig, view as u64, NEVER_ROUNDS, &format!("{plan} view {view}"));
            });
        }
    }
}

#[test]
fn c_z10_huge_sets_votes_in_all_views_and_every_echo_move_nobody() {
    for plan in plans(10) {
        let Counts { n, f } = counts(&plan);
        for claim in Claim::ALL {
            for rhythm in RHYTHMS {
                plan.drive(rhythm, |rig| {
                    begin(rig);
                    for id in rotated(n - f, f, n) {
                        rig.play(id, Overclaiming::with(claim));
                    }
                    serves_in_view(rig, 0, 50, &format!("{plan} {rhythm:?} {claim:?}"));
                });
            }
        }
    }
}

/// `suspecting` correct replicas want another view, and the last `f` claim whatever they can; whether
/// anyone leaves view 0.
fn leaves(plan: &Plan, suspecting: usize, claim: Claim) -> bool {
    let Counts { n, f } = counts(plan);
    plan.drive(Rhythm::LockStep, |rig| {
        begin(rig);
        rotated(n - f, f, n).iter().for_each(|id| rig.play(*id, Overclaiming::with(claim)));
        rotated(1, suspecting, n).iter().for_each(|id| rig.engine(*id).suspect());
        let left = rig.never(CHANGE_ROUNDS_MAX + 8, |rig| !all_in_view(rig, 0));
        assert_eq!(consistent(rig), None, "{plan} {claim:?}");
        left.is_some()
    })
}

#[test]
fn c_z10_each_sender_counts_once_for_a_change_of_the_view() {
    for plan in plans(11) {
        let counts = counts(&plan);
        // With `f` true demands more they are n-2f, and everyone joins them.
        let enough = counts.supporting() - counts.f;
        for claim in Claim::ALL {
            assert!(!leaves(&plan, enough - 1, claim), "{plan} {claim:?}: {} suspect", enough - 1);
        }
        let demanding = match plan.establishment {
            daruma_types::Establishment::Certified => Claim::EveryView,
            daruma_types::Establishment::Automaton { .. } => Claim::Witness,
        };
        assert!(leaves(&plan, enough, demanding), "{plan}: the bound is where it is said to be");
    }
}

/// `away` correct replicas are cut off, and the last `f` claim that all voted: whether a block is committed.
fn commits(plan: &Plan, away: usize, claim: Claim) -> bool {
    let Counts { n, f } = counts(plan);
    forced(plan.clone()).drive(Rhythm::LockStep, |rig| {
        begin(rig);
        rotated(n - f, f, n).iter().for_each(|id| rig.play(*id, Overclaiming::with(claim)));
        cut_off(rig, n, &rotated(1, away, n), true);
        let all = rig.correct();
        rig.submit(&all, 0, 1, "counted");
        rig.run(NEVER_ROUNDS / 4);
        assert_eq!(consistent(rig), None, "{plan} {claim:?}");
        rig.status(ReplicaId(0)).executed.height.0 > 0
    })
}

#[test]
fn c_z10_each_sender_counts_once_for_a_certificate() {
    for plan in plans(12) {
        let counts = counts(&plan);
        let most_away = counts.n - counts.overlapping();
        for claim in Claim::ALL {
            assert!(commits(&plan, most_away, claim), "{plan} {claim:?}: {most_away} away");
            assert!(!commits(&plan, most_away + 1, claim), "{plan} {claim:?}: a vote too few");
        }
    }
}

/// Blocks that a joiner lacks: more than two windows.
const MISSED: u64 = 40;

/// Each batch of a window may first be asked of each of `f` liars, for as long as an answer is waited for.
fn joining_rounds_max(plan: &Plan) -> u32 {
    let batches = MISSED as u32 / plan.chain.window as u32 + 2;
    batches * (counts(plan).f as u32 * 24 + 4)
}

/// A replica is away while `MISSED` blocks are made, and then catches up from `f` liars and the others.
fn joins_beside_liars(plan: &Plan, answer: Answer, rhythm: Rhythm, seed: u64) {
    let Counts { n, f } = counts(plan);
    let context = format!("{plan} {rhythm:?} {answer:?}");
    let joiner = ReplicaId((n - 1) as u16);
    let mut plan = plan.clone();
    plan.chain.block_transactions_max = 1;
    plan.drive(rhythm, |rig| {
        begin(rig);
        // Its disk is empty when it comes back.
        rig.stop(joiner);
        let mut asked = Vec::new();
        let all = rig.correct();
        for nonce in 1..=MISSED {
            asked.push(format!("{nonce}"));
            rig.submit(&all, 0, nonce, &format!("{nonce}"));
        }
        let done = rig.until(4 * MISSED as u32, |rig| executed_by_all(rig, &asked));
        assert!(done.is_some(), "{context}");
        for id in rotated(1, f, n) {
            rig.play(id, LyingServer::with(answer, seed));
        }
        rig.start(joiner);
        let caught_up = rig.until(joining_rounds_max(&plan), |rig| executed_by_all(rig, &asked));
        assert!(caught_up.is_some(), "{context}: at {:?}", rig.status(joiner).executed);
        // Bounds are checked at every tick of the run; and the joiner is one of them again.
        asked.push("served".to_owned());
        let all = rig.correct();
        rig.submit(&all, 1, 1, "served");
        let done = rig.until(REQUEST_ROUNDS_MAX, |rig| executed_by_all(rig, &asked));
        assert!(done.is_some(), "{context}");
        assert_eq!(consistent(rig), None, "{context}");
    });
}

#[test]
fn c_z13_who_joins_beside_lying_servers_believes_none_and_finishes_with_the_others() {
    for plan in plans(13) {
        for answer in Answer::ALL {
            for (seed, rhythm) in (0..).zip([RHYTHMS, RHYTHMS].as_flattened()) {
                joins_beside_liars(&plan, answer, *rhythm, seed);
            }
        }
    }
}

/// What a replay must not change at a replica.
fn standing(rig: &Rig<'_>, id: ReplicaId) -> (View, u8, u64, bool, u64, usize) {
    let status = rig.status(id);
    let executed = status.executed.height.0;
    (status.view, status.phase, status.ballot.0, status.active, executed, status.pending)
}

/// The last `f` replicas send `messages`, and what they hear, again and again, for 60 rounds; nobody
/// moves, and requests are served afterwards.
fn repeats_change_nothing(rig: &mut Rig<'_>, plan: &Plan, messages: &[Message], context: &str) {
    let Counts { n, f } = counts(plan);
    for (seed, id) in (0..).zip(rotated(n - f, f, n)) {
        let messages = messages.iter().cloned().map(std::sync::Arc::new).collect();
        rig.play(id, daruma_simulator::adversary::Replay::of(messages, 24, seed));
    }
    let before: Vec<_> = rig.correct().iter().map(|id| (*id, standing(rig, *id))).collect();
    for _ in 0..60 {
        rig.run(1);
        for (id, before) in &before {
            assert_eq!(standing(rig, *id), *before, "{context}: {id}");
        }
    }
    let view = before[0].1.0.0;
    serves_in_view(rig, view, 20, context);
}

/// A life through three views, with requests in each, whose messages are noted.
fn lived_through(rig: &mut Rig<'_>) -> Vec<Message> {
    begin(rig);
    rig.listen();
    for view in 0..3 {
        if view > 0 {
            in_view(rig, view);
        }
        let all = rig.correct();
        for nonce in 2 * view + 1..=2 * view + 2 {
            rig.submit(&all, 0, nonce, &format!("{nonce}"));
            rig.run(4);
        }
    }
    rig.run(8);
    rig.said().iter().map(|(_, message)| message.clone()).collect()
}

/// Whether the door can tell whose a message is and for which chain; of the others only the connection
/// says so.
fn is_signed(message: &Message) -> bool {
    matches!(
        message,
        Message::Demand(_)
            | Message::Leave(_)
            | Message::Report(_)
            | Message::Enter(_)
            | Message::NewView(_)
            | Message::PrePrepare(_)
            | Message::Vote(_)
            | Message::Certificate(_)
            | Message::Attestation(_)
    )
}

#[test]
fn c_z14_old_messages_of_everyone_and_of_earlier_views_change_nothing() {
    for seed in 0..6 {
        for plan in plans(seed) {
            plan.drive(RHYTHMS[seed as usize % 2], |rig| {
                let said = lived_through(rig);
                assert!(said.len() > 500, "{}", said.len());
                repeats_change_nothing(rig, &plan, &said, &format!("{plan}"));
            });
        }
    }
}

#[test]
fn c_z14_messages_of_another_chain_and_cluster_are_refused_and_change_nothing() {
    for seed in 0..6 {
        for (plan, other) in plans(seed).into_iter().zip(plans(seed + 100)) {
            let mut foreign = other.drive(Rhythm::LockStep, lived_through);
            foreign.retain(is_signed);
            plan.drive(RHYTHMS[seed as usize % 2], |rig| {
                lived_through(rig);
                let refused = rig.refused();
                repeats_change_nothing(rig, &plan, &foreign, &format!("{plan}"));
                assert!(rig.refused() > refused + 300, "{plan}: nothing was refused");
            });
        }
    }
}

#[test]
fn c_z15_double_signing_is_told_once_and_of_the_culprit_only() {
    for plan in [plan(4, 15), plan(7, 15), automaton(six(15))] {
        for behaviour in [Behaviour::EvidenceFlood, Behaviour::Contrarian, Behaviour::Equivocating]
        {
            let Counts { n, f } = counts(&plan);
            let culprits = rotated(if behaviour == Behaviour::Equivocating { 0 } else { 1 }, f, n);
            plan.drive(RHYTHMS[0], |rig| {
                let context = format!("{plan} {behaviour:?}");
                begin(rig);
                culprits.iter().for_each(|id| rig.behave(*id, Some(behaviour)));
                let mut asked = Vec::new();
                for nonce in 1..=10 {
                    let all = rig.correct();
                    rig.submit(&all, 0, nonce, &format!("{nonce}"));
                    asked.push(format!("{nonce}"));
                    rig.run(10);
                }
                assert!(rig.until(100, |rig| executed_by_all(rig, &asked)).is_some(), "{context}");
                let told = rig.accusations();
                let once: BTreeSet<_> = told.iter().copied().collect();
                assert_eq!(once.len(), told.len(), "{context}: a piece of evidence told twice");
                assert!(told.iter().all(|told| culprits.contains(&told.accused)), "{context}");
                if behaviour == Behaviour::EvidenceFlood {
                    assert!(!told.is_empty(), "{context}: nothing was seen");
                }
                assert_eq!(consistent(rig), None, "{context}");
            });
        }
    }
}

/// Evidence has no form in which it is sent or stored, and nothing reads it: so an accuser that restarts
/// loses nothing, nobody can invent any, and the culprit's true votes count again afterwards.
#[test]
fn c_z15_who_was_accused_and_who_accused_it_go_on_together() {
    for plan in [plan(4, 16), automaton(six(16))] {
        let n = counts(&plan).n;
        let (culprit, accuser) = (ReplicaId(1), ReplicaId(2));
        plan.drive(RHYTHMS[0], |rig| {
            begin(rig);
            rig.behave(culprit, Some(Behaviour::EvidenceFlood));
            let all = rig.correct();
            let mut asked = Vec::new();
            while !rig.accusations().iter().any(|told| told.by == accuser) {
                let nonce = asked.len() as u64 + 1;
                assert!(nonce < u64::from(NEVER_ROUNDS), "{plan}: nothing was seen");
                rig.submit(&all, 0, nonce, &nonce.to_string());
                asked.push(nonce.to_string());
                rig.run(1);
            }
            rig.behave(culprit, None);
            rig.restart(accuser);
            // With four replicas, and one of them away, the culprit's votes are needed.
            let away = counts(&plan).f;
            cut_off(rig, n, &rotated(n - away, away, n), true);
            let there: Vec<_> = (0..(n - away) as u16).map(ReplicaId).collect();
            rig.submit(&there, 1, 1, "together");
            asked.push("together".to_owned());
            let done = rig
                .until(100, |rig| there.iter().all(|id| rig.operations(*id).len() == asked.len()));
            assert!(done.is_some(), "{plan}");
            cut_off(rig, n, &rotated(n - away, away, n), false);
            assert!(rig.until(100, |rig| executed_by_all(rig, &asked)).is_some(), "{plan}");
            assert_eq!(consistent(rig), None, "{plan}");
        });
    }
}

/// What is kept while contradictions come without end: 8 pairs to each of three, every round.
#[test]
fn c_z15_contradictions_without_end_do_not_make_memory_grow() {
    plan(4, 17).drive(Rhythm::LockStep, |rig| {
        begin(rig);
        rig.behave(ReplicaId(1), Some(Behaviour::EvidenceFlood));
        let mut most = [0, 0];
        for round in 0..800 {
            let all = rig.correct();
            rig.submit(&all, 0, round + 1, "served");
            rig.run(1);
            let held = rig.correct().iter().map(|id| rig.held(*id).total()).max().unwrap();
            let half = usize::from(round >= 400);
            most[half] = held.max(most[half]);
        }
        assert!(most[1] <= most[0] + most[0] / 20, "{most:?}");
        rig.run(REQUEST_ROUNDS_MAX);
        let served = rig.correct().iter().map(|id| rig.operations(*id).len()).min();
        assert_eq!(served, Some(800));
        assert_eq!(consistent(rig), None);
    });
}
