//! Primary monitoring with all modules on (the thesis's Claim 25, Lemmas 26 and 29).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use daruma_catalogue::{
    CHANGE_ROUNDS_MAX, NEVER_ROUNDS, REPLACED_ROUNDS_MAX, REQUEST_ROUNDS_MAX, RHYTHMS,
    all_executed, all_in_view, consistent, forced, healthy, plan, six,
};
use daruma_simulator::{Behaviour, LinkSettings};
use daruma_types::{ReplicaId, View};

/// All in view 0 with one operation pending; node 0 is Byzantine from the start of the request.
fn a_faulty_primary_is_replaced(behaviour: Behaviour) {
    for (n, seed) in [(4, 0), (6, 0), (6, 1), (6, 2), (7, 0), (11, 0)] {
        for rhythm in RHYTHMS {
            plan(n, seed).drive(rhythm, |rig| {
                rig.run(2);
                rig.behave(ReplicaId(0), Some(behaviour));
                let all = rig.correct();
                rig.submit(&all, 0, 1, "0");
                let done = rig.until(REPLACED_ROUNDS_MAX, |rig| all_executed(rig, &["0"]));
                assert!(done.is_some(), "n={n} {rhythm:?} seed {seed}");
                assert!(rig.until(REPLACED_ROUNDS_MAX, healthy_but_for_the_byzantine).is_some());
                for id in rig.correct() {
                    assert_eq!(rig.status(id).pending, 0);
                    assert_eq!(rig.blocks(id).len(), 1);
                }
                assert_eq!(consistent(rig), None);
            });
        }
    }
}

/// The correct ones are in one view whose primary is correct, or which served the request all the same.
fn healthy_but_for_the_byzantine(rig: &daruma_simulator::Rig<'_>) -> bool {
    let views: std::collections::BTreeSet<_> =
        rig.correct().into_iter().map(|id| rig.status(id).view).collect();
    views.len() == 1
}

#[test]
fn lemma_29_2_a31_an_unresponsive_primary_is_replaced() {
    a_faulty_primary_is_replaced(Behaviour::Silent);
}

#[test]
fn lemma_29_2_a31_a_primary_that_stops_assigning_is_replaced() {
    a_faulty_primary_is_replaced(Behaviour::StopAssigning);
}

#[test]
fn trap_2_a31_a_primary_that_reuses_numbers_is_replaced() {
    a_faulty_primary_is_replaced(Behaviour::ReuseHeights);
}

#[test]
fn trap_2_a31_a_primary_that_assigns_out_of_bound_is_replaced() {
    a_faulty_primary_is_replaced(Behaviour::OutOfBound);
}

#[test]
fn trap_2_a31_a_primary_that_assigns_different_numbers_is_replaced() {
    a_faulty_primary_is_replaced(Behaviour::AssignDifferent);
}

#[test]
fn lemma_29_2_a31_a_primary_with_a_wrong_state_is_replaced() {
    a_faulty_primary_is_replaced(Behaviour::WrongState);
}

#[test]
fn lemma_29_2_a31_a_primary_that_changes_operations_is_replaced() {
    a_faulty_primary_is_replaced(Behaviour::ModifyRequest);
}

#[test]
fn lemma_29_2_a31_a_primary_that_is_unresponsive_to_half_is_replaced() {
    a_faulty_primary_is_replaced(Behaviour::HalfSilent);
}

#[test]
fn lemma_29_2_a21_ten_requests_survive_a_primary_that_is_unresponsive_to_half() {
    for rhythm in RHYTHMS {
        for seed in 0..5 {
            six(seed).drive(rhythm, |rig| {
                rig.run(4);
                rig.behave(ReplicaId(0), Some(Behaviour::HalfSilent));
                let all = rig.correct();
                let operations: Vec<String> = (0..10).map(|i| i.to_string()).collect();
                for (nonce, operation) in (1..).zip(&operations) {
                    rig.submit(&all, 0, nonce, operation);
                }
                let expected: Vec<&str> = operations.iter().map(String::as_str).collect();
                let done = rig.until(REPLACED_ROUNDS_MAX, |rig| all_executed(rig, &expected));
                assert!(done.is_some(), "{rhythm:?} seed {seed}");
                assert_eq!(consistent(rig), None);
            });
        }
    }
}

#[test]
fn claim_25_a27_a_new_primary_orders_what_the_old_one_left_once() {
    for rhythm in RHYTHMS {
        for seed in 0..5 {
            six(seed).drive(rhythm, |rig| {
                let all = rig.correct();
                rig.submit(&all, 0, 1, "1");
                assert!(rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed(rig, &["1"])).is_some());
                // The second is proposed and then the view changes at once.
                rig.submit(&all, 0, 2, "2");
                rig.submit(&all, 0, 4, "3");
                for id in rig.correct() {
                    rig.engine(id).suspect();
                }
                let done = rig.until(CHANGE_ROUNDS_MAX, |rig| {
                    all_executed(rig, &["1", "2", "3"]) && all_in_view(rig, 1)
                });
                assert!(done.is_some(), "{rhythm:?} seed {seed}");
                assert!(rig.until(8, healthy).is_some());
                for id in rig.correct() {
                    assert_eq!(rig.status(id).pending, 0);
                }
                assert_eq!(consistent(rig), None);
            });
        }
    }
}

#[test]
fn lemma_26_a25_corrupt_monitoring_values_replace_at_most_one_correct_primary() {
    for rhythm in RHYTHMS {
        for seed in 0..5 {
            six(seed).drive(rhythm, |rig| {
                rig.run(4);
                rig.engine(ReplicaId(1)).set_monitor(&[55, 0, 0, 0, 0, 0], 0, false);
                rig.engine(ReplicaId(2)).set_monitor(&[0; 6], 35, false);
                rig.engine(ReplicaId(3)).set_monitor(&[0; 6], 0, true);
                rig.engine(ReplicaId(4)).set_monitor(&[0; 6], 0, true);
                let later = rig.never(NEVER_ROUNDS, |rig| {
                    rig.correct().into_iter().any(|id| rig.status(id).view > View(1))
                });
                assert_eq!(later, None, "{rhythm:?} seed {seed}");
                assert!(healthy(rig));
            });
        }
    }
}

#[test]
fn lemma_26_a28_a_demanded_view_change_is_carried_out_once() {
    for rhythm in RHYTHMS {
        for seed in 0..5 {
            six(seed).drive(rhythm, |rig| {
                rig.run(4);
                for id in [2, 3, 4, 5].map(ReplicaId) {
                    rig.engine(id).suspect();
                }
                let done =
                    rig.until(CHANGE_ROUNDS_MAX + 8, |rig| all_in_view(rig, 1) && healthy(rig));
                assert!(done.is_some(), "{rhythm:?} seed {seed}");
                assert_eq!(rig.never(NEVER_ROUNDS, |rig| !all_in_view(rig, 1)), None);
            });
        }
    }
}

#[test]
fn lemma_29_1_a29_too_few_suspicions_change_nothing() {
    for rhythm in RHYTHMS {
        six(0).drive(rhythm, |rig| {
            rig.run(4);
            for id in [4, 5].map(ReplicaId) {
                rig.engine(id).suspect();
            }
            assert_eq!(rig.never(NEVER_ROUNDS, |rig| !all_in_view(rig, 0)), None);
            let all = rig.correct();
            rig.submit(&all, 0, 1, "served");
            assert!(rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed(rig, &["served"])).is_some());
        });
    }
}

#[test]
fn lemma_29_1_a30_a_correct_primary_under_load_is_never_replaced() {
    let late = LinkSettings { delay_us_max: 90_000, ..LinkSettings::QUIET };
    for rhythm in RHYTHMS {
        six(0).links(late).drive(rhythm, |rig| {
            let all = rig.correct();
            for nonce in 1..=250 {
                for client in 0..4 {
                    rig.submit(&all, client, nonce, &format!("{client}:{nonce}"));
                }
                let moved = rig.never(1, |rig| !all_in_view(rig, 0));
                assert_eq!(moved, None);
            }
            let done = rig.until(NEVER_ROUNDS, |rig| {
                rig.correct().into_iter().all(|id| rig.operations(id).len() == 1_000)
            });
            assert!(done.is_some());
            assert_eq!(consistent(rig), None);
        });
    }
}

#[test]
fn mal_free_1_a26_one_request_is_executed_everywhere_and_the_view_stays() {
    for monitored in [true, false] {
        for (n, seed) in [(4, 0), (6, 0), (6, 1), (7, 0), (11, 0)] {
            for rhythm in RHYTHMS {
                let plan = if monitored { plan(n, seed) } else { forced(plan(n, seed)) };
                plan.drive(rhythm, |rig| {
                    let all = rig.correct();
                    rig.submit(&all, 0, 1, "1");
                    let done = rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed(rig, &["1"]));
                    assert!(done.is_some(), "n={n} {rhythm:?}");
                    let moved = rig.never(NEVER_ROUNDS, |rig| !all_in_view(rig, 0));
                    assert_eq!(moved, None);
                    for id in rig.correct() {
                        assert_eq!(rig.status(id).pending, 0);
                        assert!(!rig.status(id).monitor.suspects);
                        let signers = rig.blocks(id)[0].certificate.signers.len();
                        assert!(signers > (n + (n - 1) / 3) / 2);
                    }
                });
            }
        }
    }
}
