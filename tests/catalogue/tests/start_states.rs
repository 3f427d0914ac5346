//! Inconsistent start states of replication (the thesis's Claim 14, Lemmas 17, 19, 20, and mal-free
//! runs). What the paper calls a replica state with its log is here the head that a replica believes
//! in, with the ledger below it; its default state is the ledger's certified head, never less.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use daruma_catalogue::{
    REQUEST_ROUNDS_MAX, RHYTHMS, all_executed, all_in_view, consistent, forced, healthy, plan,
};
use daruma_simulator::Rig;
use daruma_types::{Hash, HeadClaim, Height, ReplicaId, Statement};

/// A head that nobody certified, at `height`.
fn forged(height: u64, name: u8) -> (HeadClaim, Statement) {
    let hash = Hash([name; 32]);
    let height = Height(height);
    let statement = Statement {
        height,
        block: hash,
        state_root: Hash([name ^ 0xff; 32]),
        receipts_root: Hash::default(),
    };
    (HeadClaim { height, hash, certificate: None }, statement)
}

fn all_stand_at(rig: &Rig<'_>, height: u64) -> bool {
    rig.correct().into_iter().all(|id| {
        let status = rig.status(id);
        status.head.0 == height && status.executed.height.0 == height
    })
}

/// Claim 14 and Lemma 17, with an empty ledger and with one of two blocks.
#[test]
fn claim_14_lemma_17_a19_distinct_states_fall_back_to_what_is_certified() {
    for blocks in [0, 2] {
        for n in [4, 6, 7, 11] {
            for rhythm in RHYTHMS {
                forced(plan(n, 1)).drive(rhythm, |rig| {
                    let all = rig.correct();
                    for nonce in 1..=blocks {
                        rig.submit(&all, 0, nonce, &nonce.to_string());
                        let done = |rig: &Rig<'_>| all_stand_at(rig, nonce);
                        assert!(rig.until(REQUEST_ROUNDS_MAX, done).is_some());
                    }
                    for (id, name) in all.iter().zip([1, 1, 2, 3, 2, 3, 4, 4, 5, 6, 7]) {
                        let (head, executed) = forged(u64::from(name) + blocks, name);
                        rig.engine(*id).set_head(head, executed);
                    }
                    let rounds = rig.until(8, |rig| all_stand_at(rig, blocks));
                    assert!(rounds.is_some(), "n={n} {rhythm:?} blocks {blocks}");
                    rig.submit(&all, 0, 9, "after");
                    let done = rig.until(40, |rig| all_stand_at(rig, blocks + 1));
                    assert!(done.is_some(), "n={n} {rhythm:?} blocks {blocks}");
                    assert_eq!(consistent(rig), None);
                });
            }
        }
    }
}

#[test]
fn lemma_19_a20_unsupported_execution_is_replaced() {
    for rhythm in RHYTHMS {
        for seed in 0..5 {
            forced(plan(6, seed)).drive(rhythm, |rig| {
                let all = rig.correct();
                for nonce in 1..=2 {
                    rig.submit(&all, 0, nonce, &nonce.to_string());
                    let done = |rig: &Rig<'_>| all_stand_at(rig, nonce);
                    assert!(rig.until(REQUEST_ROUNDS_MAX, done).is_some());
                }
                // Node 0 believes to have executed a third block, which nobody certified.
                let (head, executed) = forged(3, 3);
                rig.engine(ReplicaId(0)).set_head(head, executed);
                assert!(rig.until(8, |rig| all_stand_at(rig, 2)).is_some(), "{rhythm:?} {seed}");
                assert!(all_executed(rig, &["1", "2"]));
                assert_eq!(consistent(rig), None);
            });
        }
    }
}

#[test]
fn lemma_20_1_a22_with_3f_plus_1_prefixes_all_come_to_hold_everything() {
    for rhythm in RHYTHMS {
        for seed in 0..5 {
            plan(6, seed).drive(rhythm, |rig| {
                let all = rig.correct();
                rig.submit(&all, 0, 1, "1");
                assert!(rig.until(REQUEST_ROUNDS_MAX, |rig| all_stand_at(rig, 1)).is_some());
                let (head, executed) = forged(2, 9);
                rig.engine(ReplicaId(1)).set_head(head, executed);
                for (id, name) in [(4, 2), (5, 3)] {
                    rig.wipe(ReplicaId(id));
                    let (head, executed) = forged(1, name);
                    rig.engine(ReplicaId(id)).set_head(head, executed);
                }
                let holders: Vec<ReplicaId> = (0..4).map(ReplicaId).collect();
                rig.submit(&holders, 0, 2, "2");
                rig.submit(&holders, 0, 4, "3");
                let done = rig.until(65, |rig| all_executed(rig, &["1", "2", "3"]));
                assert!(done.is_some(), "{rhythm:?} {seed}");
                assert_eq!(consistent(rig), None);
            });
        }
    }
}

#[test]
fn lemma_20_2_a23_with_2f_plus_1_prefixes_and_the_rest_empty_all_come_to_hold_everything() {
    for n in [11, 12] {
        for rhythm in RHYTHMS {
            plan(n, 3).drive(rhythm, |rig| {
                let all = rig.correct();
                rig.submit(&all, 0, 1, "1");
                assert!(rig.until(REQUEST_ROUNDS_MAX, |rig| all_stand_at(rig, 1)).is_some());
                for id in (5..n as u16).map(ReplicaId) {
                    rig.wipe(id);
                }
                for id in [7, 8].map(ReplicaId) {
                    let (head, executed) = forged(1, 5);
                    rig.engine(id).set_head(head, executed);
                }
                let holders: Vec<ReplicaId> = (0..5).map(ReplicaId).collect();
                rig.submit(&holders, 0, 2, "2");
                rig.submit(&holders, 0, 4, "3");
                // The client signed another operation under one of these nonces.
                rig.submit(&[ReplicaId(7), ReplicaId(8)], 0, 2, "5");
                let done = rig.until(120, |rig| {
                    rig.correct().into_iter().all(|id| rig.operations(id).len() == 3)
                });
                assert!(done.is_some(), "n={n} {rhythm:?}");
                let operations = rig.operations(ReplicaId(0));
                assert!(all_executed(
                    rig,
                    &operations.iter().map(String::as_str).collect::<Vec<_>>()
                ));
                assert_eq!((operations[0].as_str(), operations[2].as_str()), ("1", "3"));
                assert_eq!(consistent(rig), None);
            });
        }
    }
}

#[test]
fn mal_free_2_a24_a_replica_far_behind_catches_up() {
    for (lag, rounds_max) in [(1, 12), (14, 16), (15, 16), (16, 16), (19, 20), (200, 60)] {
        for rhythm in RHYTHMS {
            plan(6, 5).drive(rhythm, |rig| {
                let away = ReplicaId(5);
                let all = rig.correct();
                for other in all.iter().filter(|id| **id != away) {
                    rig.cut(*other, away, true);
                    rig.cut(away, *other, true);
                }
                for nonce in 1..=lag {
                    rig.submit(&all[..5], 0, nonce, &nonce.to_string());
                    let others = &all[..5];
                    let done = rig.until(REQUEST_ROUNDS_MAX, |rig| {
                        others.iter().all(|id| rig.status(*id).executed.height.0 == nonce)
                    });
                    assert!(done.is_some());
                }
                for other in all.iter().filter(|id| **id != away) {
                    rig.cut(*other, away, false);
                    rig.cut(away, *other, false);
                }
                let rounds = rig.until(rounds_max, |rig| all_stand_at(rig, lag));
                assert!(rounds.is_some(), "lag {lag} {rhythm:?}: {}", rig.status(away).head);
                assert!(all_in_view(rig, 0) && healthy(rig));
                assert_eq!(consistent(rig), None);
            });
        }
    }
}
