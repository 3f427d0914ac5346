//! Which of two certified chains a replica leaves, and how it finds where they part, whatever memory says.

use super::*;
use crate::fixtures::{CHAIN, context};
use alloc::vec;
use daruma_types::{Ballot, MonitorReport, VStatus, View};

fn summary(head: u64) -> Summary {
    Summary {
        view: View(0),
        phase: 0,
        reports: SignerSet::EMPTY,
        ballot: Ballot(0),
        active: true,
        head: Height(head),
        head_hash: Hash([9; 32]),
        executed: Height(head),
        state_root: Hash([9; 32]),
        attested: Height(0),
        prepared: None,
        slots: vec![],
        monitor: MonitorReport { status: VStatus::Ok, suspects: false, demands: SignerSet::EMPTY },
    }
}

/// The first height that replica 1, at `head`, asks for and of whom, with peers on another chain at `heads`
/// that have all shown their certificates.
fn asks(conflict: &mut Conflict, head: u64, heads: [u64; 3]) -> Option<(ReplicaId, Height)> {
    let context = context(4);
    let claim = HeadClaim { height: Height(head), hash: Hash([1; 32]), certificate: None };
    let trail = (0..=head).map(|height| (Height(height), Hash([1; 32]))).collect();
    let own = Own { head: &claim, trail: &trail };
    let peers = [0, 2, 3].map(ReplicaId);
    let said: Vec<Summary> = heads.into_iter().map(summary).collect();
    let summaries: Vec<_> = peers.into_iter().zip(said.iter().map(Some)).collect();
    conflict.shown = peers.into_iter().collect();
    (conflict.stood, conflict.asked) = (STAND_TICKS, None);
    let mut out = Outbox::default();
    conflict.tick(own, &summaries, &context, &mut out);
    conflict.asked.map(|(peer, from, _)| (peer, from))
}

#[test]
fn where_no_peer_reaches_above_what_was_the_same_memory_was_wrong_about_it() {
    let mut conflict = Conflict { low: Height(1), high: Height(2), ..Conflict::default() };
    let asked = asks(&mut conflict, 1, [1, 1, 1]);
    assert_eq!(asked.map(|(_, from)| from), Some(Height(1)), "from below what it believed");
}

#[test]
fn a_peer_that_does_not_reach_there_is_not_asked_while_another_does() {
    for turn in 0..6 {
        let mut conflict = Conflict { low: Height(5), turn, ..Conflict::default() };
        assert_eq!(asks(&mut conflict, 10, [3, 9, 5]), Some((ReplicaId(2), Height(6))));
        assert_eq!(conflict.low, Height(5));
    }
}

#[test]
fn what_the_ledger_finds_to_differ_right_above_what_was_the_same_was_not_the_same() {
    let claim = HeadClaim::genesis(CHAIN);
    let own = Own { head: &claim, trail: &BTreeMap::new() };
    let mut conflict = Conflict { low: Height(7), high: Height(10), ..Conflict::default() };
    conflict.on_adoption(Adoption::Below { from: Height(9) }, own, &[]);
    assert_eq!(conflict.low, Height(7), "they may part at the height between");
    conflict.on_adoption(Adoption::Below { from: Height(8) }, own, &[]);
    let asked = asks(&mut conflict, 20, [20, 20, 20]).map(|(_, from)| from);
    assert!(asked < Some(Height(8)), "{asked:?}");
}

/// So many on the own chain, and these on another.
fn support(own: usize, others: &[u16]) -> Support {
    let others: SignerSet = others.iter().copied().map(ReplicaId).collect();
    Support { own, other: others.len(), others }
}

/// What replica 6 knows when it was shown the other chain, and evidence stood for long enough.
fn shown() -> Conflict {
    let shown = [ReplicaId(6)].into_iter().collect();
    Conflict { shown, stood: STAND_TICKS, ..Conflict::default() }
}

#[test]
fn the_smaller_side_leaves_and_the_larger_one_stays() {
    let context = crate::fixtures::context(7);
    assert_eq!(shown().leaves(support(3, &[3, 4, 5, 6]), &context), Some(false));
    assert_eq!(shown().leaves(support(4, &[4, 5, 6]), &context), None);
    // Before n-f were counted either may be the larger.
    assert_eq!(shown().leaves(support(1, &[4, 5, 6]), &context), None);
    assert_eq!(shown().leaves(support(2, &[4, 5, 6]), &context), Some(false));
}

#[test]
fn of_two_equal_sides_the_ledger_is_asked_once_for_each_support() {
    let context = crate::fixtures::context(4);
    let tie = support(2, &[2, 3]);
    assert_eq!(shown().leaves(tie, &context), Some(true));
    let kept = Conflict { kept: Some(tie), ..shown() };
    assert_eq!(kept.leaves(tie, &context), None, "its own certificate ranks higher");
    assert_eq!(kept.leaves(support(2, &[1, 3]), &context), Some(true), "others stand there now");
    assert_eq!(kept.leaves(support(1, &[2, 3]), &context), Some(false), "it is the smaller one");
}

#[test]
fn nothing_is_left_before_evidence_was_shown_and_stood() {
    let (context, most) = (crate::fixtures::context(7), support(2, &[2, 3, 4, 5, 6]));
    let early = Conflict { stood: STAND_TICKS - 1, ..shown() };
    assert_eq!(early.leaves(most, &context), None);
    let hearsay = Conflict { shown: SignerSet::EMPTY, ..shown() };
    assert_eq!(hearsay.leaves(most, &context), None);
}
