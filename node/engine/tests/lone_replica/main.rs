//! One engine of six (f = 1), fed by hand with what the other five would sign: each rule of voting on
//! both sides of its threshold (thesis 2.6.2; the thesis's single-processor invariants of
//! replication). Quorum 4, strong 5, weak 2.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod lone;
mod phases;

use std::sync::Arc;

use daruma_engine::Input;
use daruma_types::{
    Ballot, Block, Demand, Hash, HeadClaim, Height, Message, NewView, ReplicaId, Report, View,
    VoteKind,
};
use lone::{
    CHAIN, Lone, block, certificate, commit, first, key, prepare, proposal, report, transaction,
    words,
};

#[test]
fn b48_a_proposal_of_the_primary_in_the_window_on_the_tip_is_prepared() {
    let mut backup = Lone::new(1);
    assert_eq!(backup.hears(0, proposal(0, &first(), 0)), ["prepare 0/1"]);
    let second = block(2, first().hash(), vec![transaction(1, 2)]);
    assert_eq!(backup.hears(0, proposal(0, &second, 0)), ["prepare 0/2"]);
}

#[test]
fn b48_a_proposal_outside_the_window_of_another_ballot_or_on_another_parent_is_not_prepared() {
    let mut backup = Lone::new(1);
    for height in [5, 10_000, u64::MAX] {
        let far = block(height, CHAIN.0, vec![transaction(1, 1)]);
        let said = backup.hears(0, proposal(0, &far, 0));
        assert!(!said.iter().any(|word| word.starts_with("prepare")), "{height}: {said:?}");
    }
    assert!(backup.hears(0, proposal(6, &first(), 0)).is_empty(), "the next ballot of r0");
    let orphan = block(1, Hash([3; 32]), vec![transaction(1, 1)]);
    assert_eq!(backup.hears(0, proposal(0, &orphan, 0)), ["WrongParent"]);
}

#[test]
fn b40_a_block_with_one_nonce_twice_or_one_that_is_in_flight_is_not_prepared() {
    let mut backup = Lone::new(1);
    let twice = block(1, CHAIN.0, vec![transaction(1, 1), transaction(1, 1)]);
    assert_eq!(backup.hears(0, proposal(0, &twice, 0)), ["StaleNonce"]);
    let mut backup = Lone::new(1);
    backup.hears(0, proposal(0, &first(), 0));
    let again = block(2, first().hash(), vec![transaction(1, 1)]);
    assert_eq!(backup.hears(0, proposal(0, &again, 0)), ["StaleNonce"]);
}

#[test]
fn b41_heights_at_the_end_of_their_range_do_no_harm() {
    let mut backup = Lone::new(1);
    for height in [u64::MAX - 5, u64::MAX - 1, u64::MAX] {
        let last = block(height, CHAIN.0, vec![transaction(1, 1)]);
        assert!(backup.hears_all(&[2, 3, 4, 5], commit(&last)).is_empty());
        assert!(backup.hears_all(&[2, 3, 4, 5], prepare(&last)).is_empty());
    }
    assert_eq!(backup.hears(0, proposal(0, &first(), 0)), ["prepare 0/1"]);
}

#[test]
fn b48_a_second_proposal_for_one_height_is_evidence_and_not_prepared() {
    let mut backup = Lone::new(1);
    backup.hears(0, proposal(0, &first(), 0));
    let other = block(1, CHAIN.0, vec![transaction(2, 1)]);
    assert_eq!(backup.hears(0, proposal(0, &other, 0)), ["r0 equivocates", "SecondProposal"]);
    assert!(backup.hears(0, proposal(0, &other, 0)).is_empty(), "told once");
}

#[test]
fn b57_four_prepares_of_six_make_a_commit_and_three_do_not() {
    let mut backup = Lone::new(1);
    backup.hears(0, proposal(0, &first(), 0));
    // Its own and the primary's are two.
    assert!(backup.hears(2, prepare(&first())(2)).is_empty());
    assert_eq!(backup.hears(3, prepare(&first())(3)), ["prepared 0/1", "commit 0/1"]);
}

#[test]
fn b57_four_commits_of_six_execute_and_three_do_not_and_only_the_next_height() {
    let mut backup = Lone::new(1);
    let second = block(2, first().hash(), vec![transaction(1, 2)]);
    backup.hears(0, proposal(0, &first(), 0));
    backup.hears(0, proposal(0, &second, 0));
    assert!(backup.hears_all(&[2, 3, 4, 5], commit(&second)).is_empty(), "height 1 comes first");
    assert!(backup.hears_all(&[2, 3, 4], commit(&first())).is_empty());
    assert_eq!(backup.hears(5, commit(&first())(5)), ["execute 1", "execute 2"]);
}

#[test]
fn b42_b49_votes_for_different_blocks_are_not_added_up() {
    let mut backup = Lone::new(1);
    backup.hears(0, proposal(0, &first(), 0));
    let other = block(1, CHAIN.0, vec![transaction(2, 1)]);
    assert!(backup.hears_all(&[2, 3], commit(&other)).is_empty());
    assert!(backup.hears_all(&[4, 5], commit(&first())).is_empty());
    assert!(backup.hears(2, prepare(&other)(2)).is_empty());
    // Who changes its mind is counted once, for what it said first.
    assert_eq!(backup.hears(2, commit(&first())(2)), ["r2 equivocates"]);
    assert_eq!(backup.hears(3, commit(&first())(3)), ["r3 equivocates"]);
}

#[test]
fn b58_a_backup_that_missed_the_proposal_executes_when_a_quorum_committed_it() {
    let mut backup = Lone::new(1);
    assert!(backup.hears_all(&[2, 3, 4, 5], commit(&first())).is_empty(), "its body is missing");
    let certificate = certificate(VoteKind::Commit, 0, &first(), &[2, 3, 4, 5]);
    let block = Arc::new(first());
    let blocks = vec![daruma_types::CertifiedBlock { block, certificate }];
    assert_eq!(backup.hears(2, Message::Blocks(blocks)), ["execute 1"]);
}

#[test]
fn b56_a_primary_gives_waiting_transactions_consecutive_heights_up_to_the_window() {
    let mut primary = Lone::new(0);
    let submitted = (1..=40).map(|nonce| transaction(1, nonce)).collect();
    let said = words(primary.engine.step(Input::Submitted { transactions: submitted }));
    assert_eq!(said, ["propose 0/1", "propose 0/2", "propose 0/3", "propose 0/4"]);
}

#[test]
fn b54_what_was_executed_is_neither_pending_nor_proposed_again() {
    let mut primary = Lone::new(0);
    let transactions = vec![transaction(1, 1)];
    assert_eq!(words(primary.engine.step(Input::Submitted { transactions })), ["propose 0/1"]);
    let proposed =
        Block::build(CHAIN, Height(1), CHAIN.0, ReplicaId(0), 0, vec![transaction(1, 1)]);
    assert_eq!(primary.hears_all(&[1, 2, 3, 4], commit(&proposed)), ["execute 1"]);
    assert!(primary.executed(&proposed).is_empty());
    assert_eq!(primary.engine.status().pending, 0);
    let transactions = vec![transaction(1, 1)];
    assert!(words(primary.engine.step(Input::Submitted { transactions })).is_empty());
}

#[test]
fn b51_five_reports_of_six_make_a_new_view_and_four_do_not() {
    let mut primary = Lone::new(1);
    let demand = |id: u16| Message::Demand(Demand::sign(CHAIN, View(0), &key(id)));
    for id in [0, 2, 3, 4] {
        primary.hears(id, demand(id));
    }
    assert_eq!(primary.engine.status().view, View(1), "its own demand is the fifth");
    // Its own report and three others'.
    assert!(primary.hears_all(&[2, 3, 4], |id| report(1, id, None)).is_empty());
    assert_eq!(primary.hears(5, report(1, 5, None)), ["new-view 1 takes over 0"]);
}

#[test]
fn b51_the_highest_prepared_block_of_the_reports_is_taken_over_and_prepared_first() {
    let mut primary = Lone::new(1);
    primary.hears(0, proposal(0, &first(), 0));
    let demand = |id: u16| Message::Demand(Demand::sign(CHAIN, View(0), &key(id)));
    for id in [0, 2, 3, 4] {
        primary.hears(id, demand(id));
    }
    let prepared = certificate(VoteKind::Prepare, 0, &first(), &[0, 2, 3, 4]);
    primary.hears_all(&[2, 3, 4], |id| report(1, id, None));
    let said = primary.hears(5, report(1, 5, Some(prepared)));
    assert_eq!(said, ["new-view 1 takes over 1", "prepare 1/1"]);
}

#[test]
fn b52_b53_a_backup_follows_a_new_view_that_its_reports_support_and_no_other() {
    let prepared = certificate(VoteKind::Prepare, 0, &first(), &[0, 2, 3, 4]);
    let reports: Vec<Report> = [1, 2, 3, 4, 5]
        .iter()
        .map(|id| {
            let prepared = (*id == 5).then(|| prepared.clone());
            let (head, id) = (HeadClaim::genesis(CHAIN), *id);
            Report::sign(CHAIN, ReplicaId(id), Ballot(1), head, prepared, &key(id))
        })
        .collect();
    let new_view = |headers| {
        Message::NewView(NewView::sign(CHAIN, Ballot(1), reports.clone(), headers, &key(1)))
    };
    let mut backup = Lone::new(2);
    backup.hears(0, proposal(0, &first(), 0));
    assert_eq!(backup.hears(1, new_view(vec![])), ["NewViewNotSupported"], "it drops a block");
    let other = block(1, CHAIN.0, vec![transaction(2, 1)]).header;
    assert_eq!(backup.hears(1, new_view(vec![other])), ["NewViewNotSupported"]);
    assert_eq!(backup.hears(1, new_view(vec![first().header])), ["prepare 1/1"]);
}

#[test]
fn b61_while_a_view_change_goes_on_nothing_new_is_prepared() {
    let mut backup = Lone::new(2);
    let demand = |id: u16| Message::Demand(Demand::sign(CHAIN, View(0), &key(id)));
    // Four demands of six: it stops serving and joins (thesis algorithm 4, n-2f).
    assert!(backup.hears_all(&[0, 3, 4], demand).is_empty());
    assert_eq!(backup.hears(5, demand(5)), ["demand 0", "report 1"]);
    assert!(backup.hears(0, proposal(0, &first(), 0)).is_empty());
}

#[test]
fn c_t05_a_block_older_than_its_parent_is_not_prepared_and_what_others_decide_instead_is_executed()
{
    let at = |time_ms, nonce| {
        let (parent, proposer) = (first().hash(), ReplicaId(0));
        let transactions = vec![transaction(1, nonce)];
        Block::build(CHAIN, Height(2), parent, proposer, time_ms, transactions)
    };
    let time_ms = first().header.timestamp_ms;
    for good in [time_ms, time_ms + 1, u64::MAX] {
        let mut backup = Lone::new(1);
        backup.hears(0, proposal(0, &first(), 0));
        assert_eq!(backup.hears(0, proposal(0, &at(good, 2), 0)), ["prepare 0/2"]);
    }
    for old in [time_ms - 1, 0] {
        let mut backup = Lone::new(1);
        backup.hears(0, proposal(0, &first(), 0));
        assert_eq!(backup.hears(0, proposal(0, &at(old, 2), 0)), ["TimeRunsBackwards"]);
        for ballot in [1, 2] {
            let said = backup.hears(0, proposal(0, &at(old, 2), 0));
            assert!(said.is_empty(), "said once, not {ballot} times: {said:?}");
        }
        // The first block is decided, and everything goes on.
        let said = backup.hears_all(&[0, 2, 3, 4], commit(&first()));
        assert!(said.contains(&"execute 1".to_owned()), "{said:?}");
        backup.executed(&first());
    }
}
