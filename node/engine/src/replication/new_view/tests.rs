//! What a new-view takes over, and how far its primary waits for it.

use super::*;
use alloc::vec;
use daruma_types::{ChainId, SecretKey, SignerSet, VoteKind};

const CHAIN: ChainId = ChainId(Hash([7; 32]));

/// Blocks without transactions, one above the other; `branch` tells chains apart.
fn chain(length: u64, branch: u64) -> Vec<Block> {
    let mut parent = CHAIN.0;
    (1..=length)
        .map(|height| {
            let block = Block::build(CHAIN, Height(height), parent, ReplicaId(0), branch, vec![]);
            parent = block.hash();
            block
        })
        .collect()
}

fn certificate(kind: VoteKind, ballot: u64, block: &Block) -> Certificate {
    Certificate {
        kind,
        ballot: Ballot(ballot),
        height: block.header.height,
        hash: block.hash(),
        signers: SignerSet::EMPTY,
        signatures: vec![],
    }
}

fn report(replica: u16, head: Option<(u64, &Block)>, prepared: Option<(u64, &Block)>) -> Report {
    let head = head.map_or(HeadClaim::genesis(CHAIN), |(ballot, block)| HeadClaim {
        height: block.header.height,
        hash: block.hash(),
        certificate: Some(certificate(VoteKind::Commit, ballot, block)),
    });
    let prepared = prepared.map(|(b, block)| certificate(VoteKind::Prepare, b, block));
    let key = SecretKey::from_bytes(&[1; 32]);
    Report::sign(CHAIN, ReplicaId(replica), Ballot(9), head, prepared, &key)
}

fn headers(blocks: &[Block]) -> Vec<Header> {
    blocks.iter().map(|block| block.header.clone()).collect()
}

#[test]
fn the_highest_head_is_the_base_and_the_highest_rank_above_it_the_tip() {
    let blocks = chain(5, 0);
    let reports = [
        report(0, Some((1, &blocks[0])), Some((1, &blocks[3]))),
        report(1, Some((1, &blocks[1])), Some((1, &blocks[4]))),
        report(2, None, Some((1, &blocks[2]))),
    ];
    let selection = select(&reports).unwrap();
    assert_eq!(selection.base.height, Height(2));
    assert_eq!(selection.tip.unwrap().height, Height(5));
    assert!(supported(&selection, &headers(&blocks[2..5])));
}

#[test]
fn a_later_ballot_outranks_a_higher_block() {
    let (old, new) = (chain(5, 0), chain(2, 1));
    let reports = [report(0, None, Some((1, &old[4]))), report(1, None, Some((2, &new[1])))];
    assert_eq!(select(&reports).unwrap().tip.unwrap().hash, new[1].hash());
}

#[test]
fn a_certificate_that_the_bases_own_outranks_is_not_taken_over() {
    let (old, new) = (chain(5, 0), chain(3, 1));
    let reports = [report(0, Some((2, &new[2])), None), report(1, None, Some((1, &old[4])))];
    let selection = select(&reports).unwrap();
    assert!(selection.tip.is_none());
    assert!(supported(&selection, &[]));
    assert!(!supported(&selection, &headers(&old[3..5])));
}

#[test]
fn headers_that_are_not_exactly_the_chain_to_the_tip_are_not_supported() {
    let (blocks, other) = (chain(4, 0), chain(4, 1));
    let reports = [report(0, None, Some((1, &blocks[3])))];
    let selection = select(&reports).unwrap();
    let good = headers(&blocks);
    assert!(supported(&selection, &good));
    assert!(!supported(&selection, &good[..3]), "the tip is missing");
    assert!(!supported(&selection, &good[1..]), "the first is missing");
    assert!(!supported(&selection, &[]), "all are missing");
    let mut slipped_in = good;
    slipped_in[1] = other[1].header.clone();
    assert!(!supported(&selection, &slipped_in), "one is another's");
}

/// Replica 1 of four in ballot 9, in which it voted for the first of `blocks` before it lost the
/// ballot's new-view.
fn voted(blocks: &[Block], context: &Context) -> Replication {
    let statement = daruma_types::Statement {
        height: Height(0),
        block: CHAIN.0,
        state_root: Hash::default(),
        receipts_root: Hash::default(),
    };
    let (claim, recent) = (HeadClaim::genesis(CHAIN), vec![]);
    let head = crate::EngineHead { claim, timestamp_ms: 0, statement, recent };
    let mut replication = Replication::new(head, Ballot(9), context);
    replication.slot(Height(1), context).unwrap().accepted = Some(blocks[0].hash());
    replication
}

#[test]
fn a_new_view_that_contradicts_an_own_vote_of_its_ballot_is_not_adopted() {
    let context = crate::fixtures::context(4);
    let (own, other) = (chain(1, 0), chain(1, 1));
    for (taken, adopted) in [(&own, true), (&other, false)] {
        let mut replication = voted(&own, &context);
        let reports = vec![report(0, None, Some((1, &taken[0])))];
        let key = SecretKey::from_bytes(&[2; 32]);
        let new_view = NewView::sign(CHAIN, Ballot(9), reports, headers(taken), &key);
        let mut out = Outbox::default();
        replication.on_new_view(ReplicaId(1), new_view, &context, &mut out);
        assert_eq!(replication.active, adopted);
    }
}

#[test]
fn a_waiting_new_view_that_memory_made_up_is_not_adopted() {
    let context = crate::fixtures::context(4);
    let blocks = chain(1, 0);
    let mut replication = voted(&blocks, &context);
    let new_view = NewView::sign(
        CHAIN,
        Ballot(9),
        vec![report(0, None, None)],
        vec![],
        &SecretKey::from_bytes(&[9; 32]),
    );
    replication.waiting_new_view = Some(new_view);
    replication.retry_new_view(&context, &mut Outbox::default());
    assert!(!replication.active && replication.waiting_new_view.is_none());
}

#[test]
fn blocks_that_nobody_gives_are_waited_for_and_then_left_out_if_so_many_reports_are_left() {
    let context = crate::fixtures::context(4);
    let blocks = chain(5, 0);
    let mut replication = voted(&blocks, &context);
    let all: Vec<Report> = (0..4)
        .map(|replica| report(replica, (replica == 2).then_some((1, &blocks[4])), None))
        .collect();
    let three = || all[..3].to_vec();
    replication.starving.ticks = 7;
    assert_eq!(replication.attainable(all.clone(), &context), None, "it may come yet");
    replication.starving.ticks = 8;
    let (reports, headers) = replication.attainable(all.clone(), &context).unwrap();
    assert_eq!(reports.len(), 3);
    assert!(reports.iter().all(|report| report.head.height == Height(0)));
    assert!(headers.is_empty());
    assert_eq!(replication.attainable(three(), &context), None, "two are too few");
}

#[test]
fn the_wait_for_blocks_begins_anew_when_something_comes() {
    let context = crate::fixtures::context(4);
    let blocks = chain(2, 0);
    let mut replication = voted(&blocks, &context);
    let reports: Vec<Report> =
        (0..3).map(|replica| report(replica, None, Some((1, &blocks[1])))).collect();
    let waited = |replication: &mut Replication| {
        replication.want_bodies(&reports, &context, &mut Outbox::default());
        replication.starving.ticks
    };
    assert_eq!([(); 3].map(|()| waited(&mut replication)), [1, 2, 3]);
    replication.bodies.insert(blocks[1].hash(), Arc::new(blocks[1].clone()));
    assert_eq!(waited(&mut replication), 0);
}
