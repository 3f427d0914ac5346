//! What a replica votes for in each phase of a ballot, and after a restart in the middle of one.

use std::sync::Arc;

use daruma_engine::Input;
use daruma_types::{
    Ballot, Block, CertifiedBlock, Demand, HeadClaim, Height, Message, NewView, RecoveredJournal,
    ReplicaId, Report, View, ViewProof, VoteKind,
};

use crate::lone::{
    CHAIN, Lone, block, certificate, first, key, proposal, report, transaction, vote, words,
};

/// Another block of height 1.
fn rival() -> Block {
    block(1, CHAIN.0, vec![transaction(2, 1)])
}

/// Replica 2 in view 1, whose primary's new-view it has not heard.
fn in_view_1() -> Lone {
    let mut backup = Lone::new(2);
    for id in [0, 3, 4, 5] {
        backup.hears(id, Message::Demand(Demand::sign(CHAIN, View(0), &key(id))));
    }
    for id in [0, 1, 3, 4] {
        assert!(backup.hears(id, report(1, id, None)).is_empty());
    }
    let status = backup.engine.status();
    assert_eq!((status.view, status.phase, status.active), (View(1), 0, false));
    backup
}

/// A new-view of ballot 1 that takes over `block`, which r5 reports as prepared; or nothing.
fn new_view(block: Option<&Block>) -> Message {
    let reports = [0, 1, 3, 4, 5].map(|id| {
        let taken_over = block.filter(|_| id == 5);
        let prepared =
            taken_over.map(|block| certificate(VoteKind::Prepare, 0, block, &[0, 3, 4, 5]));
        let head = HeadClaim::genesis(CHAIN);
        Report::sign(CHAIN, ReplicaId(id), Ballot(1), head, prepared, &key(id))
    });
    let headers = block.iter().map(|block| block.header.clone()).collect();
    Message::NewView(NewView::sign(CHAIN, Ballot(1), reports.to_vec(), headers, &key(1)))
}

#[test]
fn nothing_is_prepared_in_a_ballot_before_its_new_view() {
    let mut backup = in_view_1();
    assert!(backup.hears(1, proposal(1, &first(), 1)).is_empty());
    assert_eq!(backup.hears(1, new_view(None)), ["prepare 1/1"]);
}

#[test]
fn nothing_else_is_prepared_while_the_chain_that_is_taken_over_is_not_all_here() {
    let mut backup = in_view_1();
    assert!(backup.hears(1, new_view(Some(&first()))).is_empty(), "its body is missing");
    assert!(backup.hears(1, proposal(1, &rival(), 1)).is_empty());
    assert_eq!(backup.hears(3, Message::Body(Arc::new(first()))), ["prepare 1/1"]);
}

#[test]
fn a_certificate_stands_for_votes_of_its_own_block_and_ballot_only() {
    let mut backup = Lone::new(2);
    backup.hears(0, proposal(0, &first(), 0));
    let signers = [0, 3, 4, 5];
    let of = |ballot, block: &Block| {
        Message::Certificate(certificate(VoteKind::Prepare, ballot, block, &signers))
    };
    assert!(backup.hears(3, of(0, &rival())).is_empty(), "of another block");
    assert_eq!(backup.hears(1, new_view(Some(&first()))), ["prepare 1/1"]);
    assert!(backup.hears(3, of(0, &first())).is_empty(), "of the ballot before");
    assert_eq!(backup.hears(3, of(1, &first())), ["prepared 1/1", "commit 1/1"]);
}

#[test]
fn votes_of_a_later_ballot_count_once_it_is_entered_and_those_of_an_earlier_one_never() {
    let mut backup = Lone::new(2);
    backup.hears(0, proposal(0, &first(), 0));
    let prepare = |ballot, id| vote(VoteKind::Prepare, ballot, &first(), id);
    [0, 3].iter().for_each(|id| assert!(backup.hears(*id, prepare(1, *id)).is_empty()));
    assert_eq!(backup.hears(1, new_view(Some(&first()))), ["prepare 1/1"]);
    assert!(backup.hears(4, prepare(0, 4)).is_empty(), "a vote of ballot 0");
    assert_eq!(backup.hears(5, prepare(1, 5)), ["prepared 1/1", "commit 1/1"]);
}

#[test]
fn a_replica_whose_disk_lost_the_block_that_it_voted_for_votes_for_no_other_there() {
    let votes = vec![(Ballot(0), Height(1), first().hash())];
    let journal = || RecoveredJournal { votes: votes.clone(), ..RecoveredJournal::default() };
    let mut other = Lone::from_journal(2, journal());
    assert!(other.hears(0, proposal(0, &rival(), 0)).is_empty());
    let mut same = Lone::from_journal(2, journal());
    assert_eq!(same.hears(0, proposal(0, &first(), 0)), ["prepare 0/1"]);
}

#[test]
fn a_replica_that_voted_above_a_chain_that_its_disk_lost_votes_for_nothing_below() {
    let second = block(2, first().hash(), vec![transaction(1, 2)]);
    let votes = vec![(Ballot(0), Height(2), second.hash())];
    let blocks = vec![Arc::new(second)];
    let mut backup =
        Lone::from_journal(2, RecoveredJournal { votes, blocks, ..RecoveredJournal::default() });
    assert!(backup.hears(0, proposal(0, &rival(), 0)).is_empty());
}

#[test]
fn no_demand_is_signed_for_a_view_that_only_memory_says() {
    let mut replica = Lone::new(2);
    let nothing = || Input::Submitted { transactions: Vec::new() };
    replica.engine.set_view(View(7), 0, ViewProof::Initial);
    let _entered = words(replica.engine.step(nothing()));
    replica.engine.suspect();
    assert!(words(replica.engine.step(nothing())).is_empty());
    let mut proven = Lone::new(2);
    proven.engine.suspect();
    assert_eq!(words(proven.engine.step(nothing())), ["demand 0"]);
}

#[test]
fn a_new_view_above_a_head_that_this_replica_lacks_waits_for_it() {
    let mut backup = in_view_1();
    let certificate = certificate(VoteKind::Commit, 0, &first(), &[0, 3, 4, 5]);
    let head =
        HeadClaim { height: Height(1), hash: first().hash(), certificate: Some(certificate) };
    let reports = [0, 1, 3, 4, 5]
        .map(|id| Report::sign(CHAIN, ReplicaId(id), Ballot(1), head.clone(), None, &key(id)));
    let new_view = NewView::sign(CHAIN, Ballot(1), reports.to_vec(), Vec::new(), &key(1));
    assert!(backup.hears(1, Message::NewView(new_view)).is_empty());
    assert!(!backup.engine.status().active);
    assert!(backup.hears(1, proposal(1, &rival(), 1)).is_empty());
}

#[test]
fn a_second_new_view_of_an_active_ballot_changes_nothing() {
    let mut backup = in_view_1();
    assert!(backup.hears(1, new_view(Some(&first()))).is_empty(), "its body is missing");
    assert!(backup.hears(1, new_view(None)).is_empty());
    assert!(backup.hears(1, proposal(1, &rival(), 1)).is_empty());
}

#[test]
fn a_proposal_of_the_ballot_before_is_not_prepared() {
    let mut backup = in_view_1();
    assert!(backup.hears(1, new_view(None)).is_empty());
    assert!(backup.hears(0, proposal(0, &first(), 0)).is_empty());
    assert_eq!(backup.hears(1, proposal(1, &first(), 1)), ["prepare 1/1"]);
}

#[test]
fn a_block_without_transactions_is_not_prepared() {
    let mut backup = Lone::new(2);
    let empty = block(1, CHAIN.0, Vec::new());
    assert_eq!(backup.hears(0, proposal(0, &empty, 0)), ["EmptyBlock"]);
}

#[test]
fn a_certified_block_that_leaves_heights_out_is_not_executed() {
    let mut backup = Lone::new(2);
    let blocks = |block: Block| {
        let certificate = certificate(VoteKind::Commit, 0, &block, &[0, 3, 4, 5]);
        Message::Blocks(vec![CertifiedBlock { block: Arc::new(block), certificate }])
    };
    let third = block(3, CHAIN.0, vec![transaction(1, 1)]);
    assert!(backup.hears(3, blocks(third)).is_empty());
    assert_eq!(backup.hears(3, blocks(first())), ["execute 1"]);
}

#[test]
fn of_votes_of_later_ballots_no_more_are_kept_than_a_window_has() {
    let mut backup = Lone::new(2);
    for height in 1..200 {
        let block = block(height, CHAIN.0, Vec::new());
        assert!(backup.hears(3, vote(VoteKind::Prepare, 5, &block, 3)).is_empty());
    }
    let sizes = backup.engine.sizes();
    let early = sizes.iter().find(|size| size.name == "replication.early votes").unwrap();
    assert_eq!(early.held, early.bound);
}

#[test]
fn with_n_minus_2f_demands_nothing_new_is_prepared_though_the_view_is_not_left() {
    for (demanding, prepares) in [(vec![3, 4], true), (vec![3, 4, 5], false)] {
        let mut backup = Lone::new(2);
        backup.engine.suspect();
        let own = backup.engine.step(Input::Submitted { transactions: Vec::new() });
        assert_eq!(words(own), ["demand 0"]);
        for id in &demanding {
            let demand = Demand::sign(CHAIN, View(0), &key(*id));
            assert!(backup.hears(*id, Message::Demand(demand)).is_empty());
        }
        assert_eq!(backup.engine.status().view, View(0));
        let said = backup.hears(0, proposal(0, &first(), 0));
        assert_eq!(said == ["prepare 0/1"], prepares, "{demanding:?}: {said:?}");
    }
}

#[test]
fn a_replica_whose_votes_contradict_themselves_would_rather_leave_the_view() {
    for forged in [false, true] {
        let mut backup = Lone::new(2);
        backup.hears(0, proposal(0, &first(), 0));
        if forged {
            backup.engine.forge_votes(Height(1));
        }
        let tick = |now_ms| words(backup.engine.step(Input::Tick { now_ms }));
        let demands = (1..1_000).flat_map(tick).any(|said| said == "demand 0");
        assert_eq!(demands, forged);
    }
}
