//! Which of two certified chains a replica leaves.

use super::*;

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
