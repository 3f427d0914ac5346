//! A new-view that is lost after its ballot became active.

use daruma_catalogue::{
    REQUEST_ROUNDS_MAX, RHYTHMS, all_executed, all_in_view, consistent, forced, in_view, plan,
};
use daruma_simulator::Rig;
use daruma_types::ReplicaId;

/// The primary of view 1.
const PRIMARY: ReplicaId = ReplicaId(1);

/// Rounds until the primary has made another: to hear twice that a peer waits, to get the reports, and to
/// be heard.
const AGAIN_ROUNDS_MAX: u32 = 6;

fn all_active(rig: &Rig<'_>) -> bool {
    rig.correct().into_iter().all(|id| rig.status(id).active)
}

/// Nobody suspects anyone here, so only the new-view can bring service back.
#[test]
fn a_primary_whose_new_view_is_lost_everywhere_makes_another_in_the_same_view() {
    for (n, rhythm) in [4, 6, 7].into_iter().flat_map(|n| RHYTHMS.map(|rhythm| (n, rhythm))) {
        forced(plan(n, 1)).drive(rhythm, |rig| {
            in_view(rig, 1);
            let all = rig.correct();
            // Its certificate goes on proving that the ballot is active.
            rig.submit(&all, 1, 1, "before");
            assert!(rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed(rig, &["before"])).is_some());
            for id in all.iter().copied() {
                if id == PRIMARY {
                    rig.engine(id).lose_new_view();
                } else {
                    rig.engine(id).deactivate();
                }
            }
            let active = rig.until(AGAIN_ROUNDS_MAX, all_active);
            assert!(active.is_some(), "n = {n}, {rhythm:?}");
            assert!(all_in_view(rig, 1), "n = {n}, {rhythm:?}");
            rig.submit(&all, 1, 2, "after");
            let done = |rig: &Rig<'_>| all_executed(rig, &["before", "after"]);
            assert!(rig.until(REQUEST_ROUNDS_MAX, done).is_some(), "n = {n}, {rhythm:?}");
            assert_eq!(consistent(rig), None);
        });
    }
}
