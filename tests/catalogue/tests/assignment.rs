//! A Byzantine primary and nobody to replace it: it can stop the machine, and never corrupt it (the
//! thesis's Claim 24). Start state R6: one operation executed everywhere, two pending everywhere.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use daruma_catalogue::{
    NEVER_ROUNDS, REQUEST_ROUNDS_MAX, RHYTHMS, all_executed, consistent, forced, plan,
};
use daruma_simulator::{Behaviour, Rig};
use daruma_types::{ReplicaId, View};

/// Node 0 turns to `behaviour` in state R6; for 300 rounds nothing but the first operation is executed,
/// the view stays, and `also` holds at the end.
fn stops_and_corrupts_nothing(behaviour: Behaviour, also: impl Fn(&Rig<'_>)) {
    for (n, seed) in [(4, 0), (6, 0), (6, 1), (6, 2), (7, 0), (11, 0)] {
        for rhythm in RHYTHMS {
            forced(plan(n, seed)).drive(rhythm, |rig| {
                let all = rig.correct();
                rig.submit(&all, 0, 1, "1");
                assert!(rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed(rig, &["1"])).is_some());
                rig.behave(ReplicaId(0), Some(behaviour));
                rig.submit(&all, 0, 2, "2");
                rig.submit(&all, 0, 4, "3");
                let corrupted = rig.never(NEVER_ROUNDS, |rig| {
                    rig.correct().into_iter().any(|id| {
                        let status = rig.status(id);
                        status.executed.height.0 != 1 || status.view != View(0)
                    })
                });
                assert_eq!(corrupted, None, "n={n} {rhythm:?}");
                assert!(all_executed(rig, &["1"]));
                for id in rig.correct() {
                    assert_eq!(rig.status(id).pending, 2, "{id}");
                }
                assert_eq!(consistent(rig), None);
                also(rig);
            });
        }
    }
}

#[test]
fn claim_24_a13_a_primary_that_stops_assigning() {
    stops_and_corrupts_nothing(Behaviour::StopAssigning, |rig| {
        assert!(daruma_catalogue::nothing_assigned(rig));
    });
}

#[test]
fn claim_24_a15_a_primary_that_assigns_numbers_out_of_bound() {
    stops_and_corrupts_nothing(Behaviour::OutOfBound, |rig| {
        assert!(daruma_catalogue::nothing_assigned(rig));
    });
}

#[test]
fn claim_24_a18_a_primary_that_changes_the_clients_operations() {
    stops_and_corrupts_nothing(Behaviour::ModifyRequest, |rig| {
        assert!(daruma_catalogue::nothing_assigned(rig));
    });
}

/// With these a first proposal may be good, and is executed then: what is executed is one chain without
/// gaps, of operations that the client asked for.
fn corrupts_nothing(behaviour: Behaviour) {
    for (n, seed) in [(4, 0), (6, 0), (6, 1), (7, 0), (11, 0)] {
        for rhythm in RHYTHMS {
            forced(plan(n, seed)).drive(rhythm, |rig| {
                let all = rig.correct();
                rig.submit(&all, 0, 1, "1");
                assert!(rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed(rig, &["1"])).is_some());
                rig.behave(ReplicaId(0), Some(behaviour));
                rig.submit(&all, 0, 2, "2");
                rig.submit(&all, 0, 4, "3");
                for _ in 0..NEVER_ROUNDS {
                    rig.run(1);
                    assert_eq!(consistent(rig), None, "n={n} {rhythm:?}");
                }
                for id in rig.correct() {
                    let heights: Vec<u64> =
                        rig.blocks(id).iter().map(|b| b.certificate.height.0).collect();
                    let expected: Vec<u64> = (1..=heights.len() as u64).collect();
                    assert_eq!(heights, expected, "no gap");
                    let operations = rig.operations(id);
                    assert!(
                        ["1", "2", "3"].starts_with(
                            &operations.iter().map(String::as_str).collect::<Vec<_>>()
                        )
                    );
                    assert_eq!(rig.status(id).view, View(0));
                }
            });
        }
    }
}

#[test]
fn claim_24_a14_a_primary_that_reuses_numbers() {
    corrupts_nothing(Behaviour::ReuseHeights);
}

#[test]
fn claim_24_a16_a_primary_that_assigns_different_numbers_to_different_replicas() {
    corrupts_nothing(Behaviour::AssignDifferent);
}

#[test]
fn claim_24_a17_a_primary_that_proposes_a_state_that_never_was() {
    corrupts_nothing(Behaviour::WrongState);
}
