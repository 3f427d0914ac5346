//! What the published prototype does wrong and a port must not (the test catalogue's traps). Trap 1
//! is about the paper's automaton alone, and in the engine's own tests; 2 is the rest of A31 in
//! `monitoring.rs`, and here for the paper's views.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use daruma_catalogue::{
    CHANGE_ROUNDS_MAX, DETECTION_ROUNDS_MAX, NEVER_ROUNDS, REQUEST_ROUNDS_MAX, RHYTHMS,
    VIEW_ROUNDS_MAX, all_executed, all_in_view, consistent, healthy, in_view, plan, six,
};
use daruma_simulator::{Behaviour, Plan, Rig};
use daruma_types::{Establishment, ReplicaId};

/// Trap 3: some believe that a view change goes on, others do not.
#[test]
fn c_m09_trap_3_replicas_that_disagree_on_whether_the_ballot_is_active_serve_again() {
    for pattern in ["TFTFTF", "TTTTFF", "FTFTFT", "TTTTTF", "TFFFTF"] {
        for silent in [false, true] {
            for rhythm in RHYTHMS {
                six(4).drive(rhythm, |rig| {
                    in_view(rig, 1);
                    for (id, flag) in rig.correct().into_iter().zip(pattern.chars()) {
                        if flag == 'T' {
                            rig.engine(id).deactivate();
                        }
                    }
                    if silent {
                        rig.behave(ReplicaId(5), Some(Behaviour::Silent));
                    }
                    rig.run(10);
                    let all = rig.correct();
                    rig.submit(&all, 0, 1, "served");
                    let done = rig.until(65, |rig| all_executed(rig, &["served"]));
                    assert!(done.is_some(), "{pattern} silent {silent} {rhythm:?}");
                    assert_eq!(consistent(rig), None);
                });
            }
        }
    }
}

/// The paper's views, with and without its detector, and six replicas in view 0.
fn under_the_papers_views(seed: u64, story: impl Fn(&mut Rig<'_>, &str)) {
    for event_driven_fd in [false, true] {
        for rhythm in RHYTHMS {
            let plan = six(seed).establishment(Establishment::Automaton { event_driven_fd });
            plan.drive(rhythm, |rig| {
                assert!(rig.until(2 * VIEW_ROUNDS_MAX, healthy).is_some());
                story(rig, &format!("detector {event_driven_fd} {rhythm:?}"));
                assert_eq!(consistent(rig), None);
            });
        }
    }
}

/// Trap 3, as it was found: in the paper's own views.
#[test]
fn c_m09_trap_3_the_papers_views_serve_again_when_replicas_disagree_on_whether_votes_are_cast() {
    for pattern in ["TFTFTF", "TTTTFF", "FTFTFT", "TTTTTF", "TFFFTF"] {
        for silent in [false, true] {
            under_the_papers_views(4, |rig, told| {
                for (id, flag) in rig.correct().into_iter().zip(pattern.chars()) {
                    if flag == 'T' {
                        rig.engine(id).deactivate();
                    }
                }
                if silent {
                    rig.behave(ReplicaId(5), Some(Behaviour::Silent));
                }
                rig.run(10);
                let all = rig.correct();
                rig.submit(&all, 0, 1, "served");
                let done = rig.until(2 * 65, |rig| all_executed(rig, &["served"]));
                assert!(done.is_some(), "{pattern} silent {silent} {told}");
            });
        }
    }
}

/// Trap 2, in the paper's own views.
#[test]
fn c_m09_trap_2_the_papers_views_replace_a_primary_whose_assignments_come_to_nothing() {
    for behaviour in [Behaviour::ReuseHeights, Behaviour::OutOfBound, Behaviour::AssignDifferent] {
        under_the_papers_views(3, |rig, told| {
            rig.behave(ReplicaId(0), Some(behaviour));
            let all = rig.correct();
            rig.submit(&all, 0, 1, "served");
            let rounds = DETECTION_ROUNDS_MAX * 3 + 2 * CHANGE_ROUNDS_MAX + REQUEST_ROUNDS_MAX;
            let done = rig.until(rounds, |rig| all_executed(rig, &["served"]));
            assert!(done.is_some(), "{} {told}", behaviour.name());
        });
    }
}

/// Trap 5: clients overflow the pool while the primary is dead; what was accepted is executed.
#[test]
fn trap_5_a_flood_does_not_hide_a_dead_primary_and_nothing_accepted_is_lost() {
    for rhythm in RHYTHMS {
        let mut plan: Plan = six(5);
        // A sixth for each replica, of which it fills three quarters with what its own clients ask.
        plan.local.pending_max = 6 * 20;
        plan.local.pending_per_client_max = 10;
        plan.drive(rhythm, |rig| {
            rig.run(2);
            rig.behave(ReplicaId(0), Some(Behaviour::Silent));
            let all = rig.correct();
            for nonce in 1..=10 {
                for client in 0..4 {
                    rig.submit(&all, client, nonce, &format!("{client}:{nonce}"));
                }
            }
            let accepted: usize = all.iter().map(|id| rig.status(*id).pending).min().unwrap();
            assert_eq!(accepted, 15, "its share is full");
            let done = rig.until(120, |rig| {
                rig.correct().into_iter().all(|id| rig.operations(id).len() >= accepted)
            });
            assert!(done.is_some(), "{rhythm:?}");
            for id in rig.correct() {
                assert_eq!(rig.status(id).pending, 0, "{id}");
            }
            assert_eq!(consistent(rig), None);
        });
    }
}

/// Trap 8: a crashed replica does not keep the others from starting.
#[test]
fn trap_8_the_others_start_with_f_absent() {
    for (n, f) in [(4, 1), (6, 1), (7, 2), (11, 3)] {
        for rhythm in RHYTHMS {
            let absent: Vec<_> =
                (0..f).map(|i| (ReplicaId((n - 1 - i) as u16), Behaviour::Silent)).collect();
            plan(n, 6).byzantine(&absent).drive(rhythm, |rig| {
                let all = rig.correct();
                assert_eq!(all.len(), n - f);
                rig.submit(&all, 0, 1, "started");
                let done = rig.until(VIEW_ROUNDS_MAX, |rig| all_executed(rig, &["started"]));
                assert!(done.is_some(), "n={n} {rhythm:?}");
            });
        }
    }
}

/// Trap 11: a reset of control state never empties the history.
#[test]
fn trap_11_no_start_state_shortens_a_certified_ledger() {
    for rhythm in RHYTHMS {
        six(7).drive(rhythm, |rig| {
            let all = rig.correct();
            rig.submit(&all, 0, 1, "1");
            assert!(rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed(rig, &["1"])).is_some());
            for id in rig.correct() {
                rig.engine(id).deactivate();
                rig.engine(id).suspect();
            }
            let shortened = rig.never(NEVER_ROUNDS, |rig| !all_executed(rig, &["1"]));
            assert_eq!(shortened, None);
            assert!(healthy(rig) && !all_in_view(rig, 0));
        });
    }
}
