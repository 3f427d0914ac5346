//! Health and view establishment (the thesis's Lemmas 1 and 9, Theorems 10 and 11), for variant (a):
//! the situations of the paper's tests in its terms. Those of variant (b), literally, are in
//! `coordination.rs`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use daruma_catalogue::{
    CHANGE_ROUNDS_MAX, CLOSURE_ROUNDS, NEVER_ROUNDS, RHYTHMS, VIEW_ROUNDS_MAX, all_executed,
    all_in_view, consistent, healthy, in_view, plan, six, views_with_proofs,
};
use daruma_simulator::{Behaviour, Plan, Rig};
use daruma_types::{ReplicaId, View, ViewProof};

const SIZES: [usize; 3] = [4, 6, 7];

/// Runs `story` for every size, rhythm and some seeds.
fn each(story: impl Fn(&mut Rig<'_>, usize)) {
    for n in SIZES {
        for rhythm in RHYTHMS {
            for seed in 0..3 {
                plan(n, seed).drive(rhythm, |rig| {
                    story(rig, n);
                    assert_eq!(consistent(rig), None, "n={n} {rhythm:?} seed {seed}");
                });
            }
        }
    }
}

fn ids(range: std::ops::Range<usize>) -> Vec<ReplicaId> {
    range.map(|id| ReplicaId(id as u16)).collect()
}

/// Cuts or joins one replica from and to all others.
fn isolate(rig: &mut Rig<'_>, id: ReplicaId, is_cut: bool) {
    for other in rig.correct() {
        if other != id {
            rig.cut(id, other, is_cut);
            rig.cut(other, id, is_cut);
        }
    }
}

/// Healthy within the bound, and then through the closure window.
fn settles(rig: &mut Rig<'_>, rounds_max: u32) {
    let rounds = rig.until(rounds_max, healthy);
    assert!(
        rounds.is_some(),
        "{:?}",
        rig.correct().iter().map(|id| rig.status(*id).view).collect::<Vec<_>>()
    );
    let view = rig.status(ReplicaId(1)).view;
    let left = rig.never(CLOSURE_ROUNDS, |rig| !all_in_view(rig, view.0));
    assert_eq!(left, None, "the view is stable");
}

#[test]
fn a01_health_a_fresh_cluster_serves_view_0() {
    each(|rig, _| {
        assert!(rig.until(VIEW_ROUNDS_MAX, |rig| healthy(rig) && all_in_view(rig, 0)).is_some());
        settles(rig, 0);
    });
}

#[test]
fn theorem_10_a02_one_replica_behind_follows_the_others_into_the_next_view() {
    each(|rig, n| {
        in_view(rig, 1);
        isolate(rig, ReplicaId(0), true);
        for id in ids(1..n) {
            rig.engine(id).suspect();
        }
        // The others are on their way to view 2 without it.
        rig.run(1);
        isolate(rig, ReplicaId(0), false);
        assert!(rig.until(VIEW_ROUNDS_MAX, |rig| all_in_view(rig, 2)).is_some());
        settles(rig, VIEW_ROUNDS_MAX);
    });
}

#[test]
fn theorem_10_a03_two_replicas_behind_follow_the_others() {
    each(|rig, n| {
        in_view(rig, 1);
        // Two hear nothing of the change, and what they say arrives.
        for behind in ids(0..2) {
            for other in ids(2..n) {
                rig.cut(other, behind, true);
            }
        }
        for id in ids(0..n) {
            rig.engine(id).suspect();
        }
        rig.run(4);
        for behind in ids(0..2) {
            for other in ids(2..n) {
                rig.cut(other, behind, false);
            }
        }
        assert!(rig.until(VIEW_ROUNDS_MAX, |rig| all_in_view(rig, 2)).is_some());
        settles(rig, VIEW_ROUNDS_MAX);
    });
}

#[test]
fn theorem_10_a04_n_minus_f_demands_change_the_view_and_the_last_replica_follows() {
    each(|rig, n| {
        in_view(rig, 1);
        let f = (n - 1) / 3;
        for id in ids(0..n - f) {
            rig.engine(id).suspect();
        }
        let rounds = rig.until(VIEW_ROUNDS_MAX, |rig| all_in_view(rig, 2) && healthy(rig));
        assert!(rounds.is_some());
        settles(rig, 0);
    });
}

#[test]
fn lemma_1_a05_replicas_in_different_proven_views_meet_in_the_highest() {
    each(|rig, n| {
        let proofs = views_with_proofs(rig, 4);
        for (id, view) in ids(0..n).into_iter().zip([1, 2, 2, 0, 4, 4, 3]) {
            let (view, proof) = proofs[view].clone();
            rig.engine(id).set_view(view, 0, proof);
        }
        let expected = if n == 4 { 2 } else { 4 };
        let rounds = rig.until(VIEW_ROUNDS_MAX, |rig| {
            rig.correct().iter().all(|id| rig.status(*id).view >= View(expected))
        });
        assert!(rounds.is_some_and(|rounds| rounds <= 3), "{rounds:?}");
        settles(rig, 2 * CHANGE_ROUNDS_MAX);
    });
}

#[test]
fn lemma_1_a06_a_view_without_a_proof_is_gone_after_one_iteration() {
    each(|rig, _| {
        in_view(rig, 2);
        let (_, proof) = (View(2), rig.engine(ReplicaId(3)).view_proof().clone());
        rig.engine(ReplicaId(0)).set_view(View(5), 0, ViewProof::Initial);
        rig.engine(ReplicaId(1)).set_view(View(9), 1, proof.clone());
        rig.engine(ReplicaId(2)).set_view(View(u64::MAX), 0, proof);
        rig.run(2);
        for id in rig.correct() {
            assert!(rig.status(id).view <= View(2), "{id} {:?}", rig.status(id).view);
        }
        settles(rig, VIEW_ROUNDS_MAX);
        assert!(all_in_view(rig, 2));
    });
}

#[test]
fn theorem_10_a07_one_corrupt_next_view_is_corrected() {
    each(|rig, _| {
        in_view(rig, 2);
        let proof = rig.engine(ReplicaId(1)).view_proof().clone();
        rig.engine(ReplicaId(0)).set_view(View(4), 1, proof);
        assert!(rig.until(VIEW_ROUNDS_MAX, |rig| all_in_view(rig, 2)).is_some());
        settles(rig, VIEW_ROUNDS_MAX);
    });
}

#[test]
fn theorem_10_a08_one_replica_in_an_unneeded_reset_comes_back_and_the_others_do_not_move() {
    each(|rig, n| {
        in_view(rig, 2);
        rig.engine(ReplicaId(0)).set_view(View(0), 0, ViewProof::Initial);
        let others = ids(1..n);
        let moved = rig.never(VIEW_ROUNDS_MAX, |rig| {
            others.iter().any(|id| (rig.status(*id).view, rig.status(*id).phase) != (View(2), 0))
        });
        assert_eq!(moved, None);
        assert!(all_in_view(rig, 2));
        settles(rig, VIEW_ROUNDS_MAX);
    });
}

#[test]
fn theorem_11_a09_a_stable_view_is_never_left() {
    for rhythm in RHYTHMS {
        six(1).drive(rhythm, |rig| {
            in_view(rig, 1);
            assert_eq!(rig.never(1_000, |rig| !all_in_view(rig, 1)), None);
            assert!(healthy(rig));
        });
    }
}

#[test]
fn lemma_9_a10_two_groups_in_different_views_and_a_silent_replica_do_not_stop_the_certified_variant()
 {
    for rhythm in RHYTHMS {
        for seed in 0..5 {
            six(seed).drive(rhythm, |rig| {
                let proofs = views_with_proofs(rig, 2);
                for (id, view) in ids(0..6).into_iter().zip([2, 2, 2, 0, 0, 1]) {
                    let (view, proof) = proofs[view].clone();
                    rig.engine(id).set_view(view, 0, proof);
                }
                rig.behave(ReplicaId(5), Some(Behaviour::Silent));
                assert!(rig.until(2 * VIEW_ROUNDS_MAX, healthy).is_some());
                let all = rig.correct();
                rig.submit(&all, 0, 1, "after");
                assert!(rig.until(VIEW_ROUNDS_MAX, |rig| all_executed(rig, &["after"])).is_some());
                assert_eq!(consistent(rig), None);
            });
        }
    }
}

fn never_leaves_view_1(behaviour: Behaviour) {
    for rhythm in RHYTHMS {
        let plan: Plan = six(2);
        plan.drive(rhythm, |rig| {
            in_view(rig, 1);
            rig.behave(ReplicaId(0), Some(behaviour));
            assert_eq!(rig.never(1_000, |rig| !all_in_view(rig, 1)), None);
            let all = rig.correct();
            rig.submit(&all, 0, 1, "still served");
            assert!(rig.until(NEVER_ROUNDS, |rig| all_executed(rig, &["still served"])).is_some());
        });
    }
}

#[test]
fn theorem_11_a11_one_that_shows_different_views_does_not_move_the_others() {
    never_leaves_view_1(Behaviour::DifferentViews);
}

#[test]
fn theorem_11_a12_one_that_claims_to_have_reset_does_not_move_the_others() {
    never_leaves_view_1(Behaviour::ForcingReset);
}
