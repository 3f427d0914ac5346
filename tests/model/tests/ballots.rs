//! Replication's ballots: agreement in every state of small configurations, and a counterexample for
//! every rule that is left out.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use daruma_model::ballots::{
    AGREEMENT, Ballots, Bounds, BoundsError, Claim, Compared, KEPT, ONE_CHAIN, Weakened,
    compare_with_engine,
};
use daruma_model::{Explored, Limits, explore};

fn run(replicas: usize, ballots: u8, contents: &[u8], weakened: Weakened) -> Explored {
    let bounds = Bounds { replicas, ballots, contents: contents.to_vec(), window: 2, weakened };
    let until = (weakened != Weakened::Nothing).then_some(AGREEMENT);
    let explored = explore(Ballots::new(bounds.clone()).unwrap(), Limits::default(), until);
    println!("{bounds:?}: {explored}");
    explored
}

#[test]
fn one_height_through_three_ballots_never_disagrees_with_an_equivocator_among_four() {
    let explored = run(4, 3, &[2], Weakened::Nothing);
    assert!(explored.holds(), "{explored}");
}

#[test]
fn two_heights_in_flight_through_two_ballots_never_disagree_with_an_equivocator_among_four() {
    let explored = run(4, 2, &[1, 2], Weakened::Nothing);
    assert!(explored.holds(), "{explored}");
}

#[test]
fn two_heights_in_flight_through_three_ballots_never_disagree_without_faults() {
    for (replicas, contents) in [(1, [2, 2]), (2, [2, 2])] {
        let explored = run(replicas, 3, &contents, Weakened::Nothing);
        assert!(explored.holds(), "{explored}");
    }
}

#[test]
fn with_a_quorum_one_lower_two_blocks_are_committed_at_one_height() {
    let explored = run(4, 1, &[2], Weakened::Quorum);
    assert!(explored.violates(AGREEMENT), "{explored}");
}

#[test]
fn with_a_new_view_that_is_not_checked_a_committed_block_is_lost() {
    let explored = run(4, 2, &[2], Weakened::NewView);
    assert!(explored.violates(AGREEMENT), "{explored}");
    assert!(!explored.violates(ONE_CHAIN), "only the step between ballots is broken: {explored}");
}

#[test]
fn with_votes_that_a_restart_forgets_one_ballot_commits_two_blocks() {
    let explored = run(4, 1, &[2], Weakened::Journal);
    assert!(explored.violates(AGREEMENT), "{explored}");
    assert!(explored.violates(ONE_CHAIN), "{explored}");
}

#[test]
fn with_reports_that_do_not_bind_a_late_commit_contradicts_the_next_ballot() {
    let explored = run(4, 2, &[2], Weakened::Binding);
    assert!(explored.violates(AGREEMENT), "{explored}");
}

/// The history of the anchor rule (ARCHITECTURE.md, "The tip is prepared first"): base+1 alone is
/// prepared again in ballot 1, outranks the old tip, and ballot 2 puts another block above it.
#[test]
fn with_blocks_prepared_again_from_the_base_up_a_committed_block_above_is_lost() {
    for replicas in [1, 2] {
        let explored = run(replicas, 3, &[1, 2], Weakened::Anchor);
        assert!(explored.violates(AGREEMENT), "{explored}");
        assert!(explored.violates(KEPT), "{explored}");
        assert!(!explored.violates(ONE_CHAIN), "{explored}");
        let two = run(replicas, 2, &[1, 2], Weakened::Anchor);
        assert!(!two.violates(AGREEMENT), "it takes a third ballot: {two}");
        let lone = run(replicas, 3, &[2], Weakened::Anchor);
        assert!(lone.holds(), "and several heights in flight: {lone}");
    }
}

#[test]
fn bounds_that_no_state_has_room_for_are_refused() {
    let bounds = Bounds {
        replicas: 4,
        ballots: 3,
        contents: vec![2],
        window: 2,
        weakened: Weakened::Nothing,
    };
    let new = |bounds: Bounds| Ballots::new(bounds).map(|_| ());
    assert_eq!(new(bounds.clone()), Ok(()));
    let ballots = Bounds { ballots: 5, ..bounds.clone() };
    assert_eq!(new(ballots), Err(BoundsError::Ballots(5)));
    let contents = Bounds { contents: vec![3], ..bounds.clone() };
    assert_eq!(new(contents), Err(BoundsError::Contents(vec![3])));
    assert!(matches!(new(Bounds { replicas: 0, ..bounds }), Err(BoundsError::Thresholds(_))));
}

/// Every set of three reports with heads on one chain and prepared certificates on and off it.
#[test]
fn a_real_engine_takes_over_from_every_set_of_reports_what_the_model_does() {
    let bounds = Bounds {
        replicas: 4,
        ballots: 3,
        contents: vec![2, 2, 2],
        window: 2,
        weakened: Weakened::Nothing,
    };
    let model = Ballots::new(bounds).unwrap();
    let mut claims = Vec::new();
    for (head, head_ballot) in [(1, 0), (2, 0), (2, 1), (4, 0), (4, 1)] {
        claims.push(Claim { head, head_ballot, ..Claim::default() });
        for (prepared_ballot, prepared) in
            [(0, 2), (0, 4), (0, 3), (0, 5), (1, 2), (1, 4), (1, 3), (1, 8)]
        {
            claims.push(Claim { head, head_ballot, prepared_ballot, prepared });
        }
    }
    let compared = compare_with_engine(&model, &[(1, 0), (2, 0)], &claims).unwrap();
    let Compared { asked, taken, nothing, refused, differ } = compared;
    println!("{asked} asked: {taken} taken, {nothing} nothing, {refused} refused");
    assert!(taken > 1_000 && nothing > 1_000 && refused > 1_000);
    assert!(differ.is_empty(), "{} differ: {:?}", differ.len(), &differ[..differ.len().min(5)]);
}
