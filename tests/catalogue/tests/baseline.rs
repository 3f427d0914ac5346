//! Without the stale-information rules: what they are for, and what they cost.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use daruma_catalogue::{CLOSURE_ROUNDS, RHYTHMS, consistent, forced, plan};
use daruma_simulator::{Rhythm, Rig};
use daruma_types::{Hash, HeadClaim, Height, Statement};

fn baseline(rig: &mut Rig<'_>) {
    for id in rig.correct() {
        rig.engine(id).be_baseline();
    }
}

#[test]
fn a32_without_the_rules_inconsistent_states_stay_for_ever() {
    for rhythm in RHYTHMS {
        forced(plan(6, 1)).drive(rhythm, |rig| {
            baseline(rig);
            for (id, name) in rig.correct().into_iter().zip([1, 1, 2, 3, 2, 3]) {
                let (height, hash) = (Height(1), Hash([name; 32]));
                let statement = Statement {
                    height,
                    block: hash,
                    state_root: hash,
                    receipts_root: Hash::default(),
                };
                rig.engine(id).set_head(HeadClaim { height, hash, certificate: None }, statement);
            }
            let left = rig.never(CLOSURE_ROUNDS, |rig| {
                rig.correct().into_iter().any(|id| rig.status(id).executed.height != Height(1))
            });
            assert_eq!(left, None, "nobody comes back to what is certified");
        });
    }
}

/// 204 requests of 6 clients. The rules read memory only, so they cost neither messages nor rounds.
#[test]
fn a33_the_rules_cost_no_rounds_and_no_bytes_when_nothing_is_wrong() {
    let run = |without_rules: bool| {
        plan(6, 2).drive(Rhythm::LockStep, |rig| {
            if without_rules {
                baseline(rig);
            }
            let all = rig.correct();
            for nonce in 1..=34 {
                for client in 0..6 {
                    rig.submit(&all, client, nonce, &format!("{client}:{nonce}"));
                }
            }
            let done = rig.until(100, |rig| {
                rig.correct().into_iter().all(|id| rig.operations(id).len() == 204)
            });
            assert_eq!(consistent(rig), None);
            (done.unwrap(), rig.traffic().1 / 204)
        })
    };
    let (with, without) = (run(false), run(true));
    println!("rounds and bytes for each request: {with:?} with the rules, {without:?} without");
    assert!(with.0 <= without.0 + 1, "{with:?} {without:?}");
    assert!(with.1 <= without.1 * 11 / 10, "{with:?} {without:?}");
}
