//! When a prepared certificate is given up for a chain that nobody has any more.

use super::*;
use crate::fixtures::{CHAIN, context};
use crate::outbox::Outbox;
use crate::replication::{BODIES_MAX, EngineHead};
use crate::{Destination, Effect};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use daruma_types::{Block, HeadClaim, Message, Signature, Statement, Vote, VoteKind, Want, limits};

/// Blocks without transactions, one above the other; `branch` tells chains apart.
fn chain(length: u64, branch: u64) -> Vec<Arc<Block>> {
    let mut parent = CHAIN.0;
    (1..=length)
        .map(|height| {
            let block = Block::build(CHAIN, Height(height), parent, ReplicaId(0), branch, vec![]);
            parent = block.hash();
            Arc::new(block)
        })
        .collect()
}

fn genesis() -> EngineHead {
    let (height, block) = (Height(0), CHAIN.0);
    EngineHead {
        claim: HeadClaim::genesis(CHAIN),
        timestamp_ms: 0,
        statement: Statement { height, block, state_root: block, receipts_root: block },
        recent: vec![],
    }
}

/// Block 3 of a chain, prepared in ballot 2 by `signers`, with its body; of 1 and 2 there is nothing.
fn without_what_lies_below(blocks: &[Arc<Block>]) -> Replication {
    let mut replication = Replication::new(genesis(), Ballot(4), &context(4));
    let block = &blocks[2];
    replication.keep_body(block.hash(), Arc::clone(block));
    let (kind, ballot, height) = (VoteKind::Prepare, Ballot(2), Height(3));
    let (signers, signatures) = (SignerSet::EMPTY, vec![]);
    let hash = block.hash();
    replication.prepared = Some(Certificate { kind, ballot, height, hash, signers, signatures });
    replication
}

fn lacks(block: &Block, voted: Option<u64>) -> Lacks {
    let blocks = vec![(block.header.height, block.hash())];
    Lacks { blocks, voted: voted.map(Ballot) }
}

/// Whether the certificate is still held after these answers.
fn stays(replication: &mut Replication, answers: &[(u16, Lacks)]) -> bool {
    let mut out = Outbox::default();
    for (from, lacks) in answers {
        replication.on_lacks(ReplicaId(*from), lacks, &context(4), &mut out);
    }
    let told = out.into_effects().iter().any(|effect| {
        matches!(
            effect,
            Effect::Observed(Observation::GivenUp { ballot: Ballot(2), height: Height(3) })
        )
    });
    assert_eq!(told, replication.prepared.is_none());
    replication.prepared.is_some()
}

/// What replica 2 is told that wants `block`.
fn told(replication: &Replication, block: &Block) -> Vec<Message> {
    let want = Want { blocks: vec![(block.header.height, block.hash())] };
    let mut out = Outbox::default();
    replication.on_want(ReplicaId(2), &want, &mut out);
    let message = |effect| {
        let Effect::Send { to: Destination::One(ReplicaId(2)), message } = effect else {
            panic!("{effect:?}");
        };
        message
    };
    out.into_effects().into_iter().map(message).collect()
}

#[test]
fn a_prepared_certificate_whose_chain_n_minus_f_lack_is_given_up_and_not_before() {
    let blocks = chain(3, 0);
    let mut replication = without_what_lies_below(&blocks);
    let answer = lacks(&blocks[1], Some(2));
    assert!(stays(&mut replication, &[(0, answer.clone()), (0, answer.clone())]), "one and itself");
    assert!(!stays(&mut replication, &[(3, answer)]), "two and itself");
}

#[test]
fn an_answer_about_another_block_or_by_one_that_voted_later_does_not_count() {
    let blocks = chain(3, 0);
    let mut replication = without_what_lies_below(&blocks);
    let about = |block: &Block| lacks(block, None);
    assert!(stays(&mut replication, &[(0, about(&blocks[0])), (3, about(&blocks[0]))]));
    let later = lacks(&blocks[1], Some(3));
    assert!(stays(&mut replication, &[(0, later.clone()), (2, later.clone()), (3, later)]));
    assert!(stays(&mut replication, &[(0, about(&blocks[1]))]));
    // What is missing is another one now: what was said of the first is no answer.
    replication.keep_body(blocks[1].hash(), Arc::clone(&blocks[1]));
    assert!(stays(&mut replication, &[(3, about(&blocks[0]))]));
    assert!(!stays(&mut replication, &[(0, about(&blocks[0]))]));
}

#[test]
fn one_that_voted_later_itself_takes_the_word_of_n_minus_f_others() {
    let blocks = chain(3, 0);
    let mut replication = without_what_lies_below(&blocks);
    replication.promised.insert(Height(1), (Ballot(3), Hash([9; 32])));
    let answer = lacks(&blocks[1], Some(2));
    assert!(stays(&mut replication, &[(0, answer.clone()), (2, answer.clone())]));
    assert!(!stays(&mut replication, &[(3, answer)]));
}

#[test]
fn the_highest_missing_block_below_it_is_asked_for() {
    let blocks = chain(3, 0);
    let mut replication = without_what_lies_below(&blocks);
    let mut out = Outbox::default();
    for _ in 0..4 {
        replication.want_bodies(&[], &context(4), &mut out);
    }
    let wanted = Message::Want(Want { blocks: vec![(Height(2), blocks[1].hash())] });
    let asked = out.into_effects().into_iter().map(|effect| {
        let Effect::Send { to: Destination::One(peer), message } = effect else {
            panic!("{effect:?}");
        };
        assert_eq!(message, wanted);
        peer
    });
    assert_eq!(asked.collect::<SignerSet>(), [0, 2, 3].map(ReplicaId).into_iter().collect());
    replication.on_body(Arc::clone(&blocks[1]), &[], &context(4));
    assert!(replication.bodies.contains_key(&blocks[1].hash()));
}

#[test]
fn a_replica_says_that_it_lacks_a_block_above_its_head_and_in_which_ballot_it_voted_last() {
    let blocks = chain(3, 0);
    let mut replication = without_what_lies_below(&blocks);
    assert_eq!(told(&replication, &blocks[2]), [Message::Body(Arc::clone(&blocks[2]))]);
    assert_eq!(told(&replication, &blocks[1]), [Message::Lacks(lacks(&blocks[1], None))]);
    for (height, ballot) in [(1, 3), (2, 2)] {
        replication.promised.insert(Height(height), (Ballot(ballot), Hash([9; 32])));
    }
    assert_eq!(told(&replication, &blocks[1]), [Message::Lacks(lacks(&blocks[1], Some(3)))]);
    replication.head.height = Height(2);
    assert_eq!(told(&replication, &blocks[1]), [], "its ledger may have it");
}

#[test]
fn a_vote_just_cast_counts_as_one_of_the_journal() {
    let context = context(4);
    let transaction = daruma_types::Transaction::sign(CHAIN, &crate::fixtures::key(9), 0, vec![1]);
    let block = Block::build(CHAIN, Height(1), CHAIN.0, ReplicaId(0), 0, vec![transaction]);
    let mut replication = Replication::new(genesis(), Ballot(0), &context);
    let (ballot, kind) = (Ballot(0), VoteKind::Prepare);
    let key = crate::fixtures::key(0);
    let signature: Signature =
        Vote::sign(kind, CHAIN, ballot, Height(1), block.hash(), &key).signature;
    let proposal = daruma_types::PrePrepare { ballot, block: Arc::new(block.clone()), signature };
    let mut out = Outbox::default();
    replication.on_pre_prepare(ReplicaId(0), proposal, vec![], &context, &mut out);
    replication.advance(&context, &mut out);
    assert_eq!(replication.last_vote(), Some((ballot, Height(1), block.hash())));
}

#[test]
fn of_more_bodies_than_there_is_room_for_those_below_the_last_vote_are_kept() {
    let height = limits::WINDOW_MAX as u64;
    let voted = chain(height, 0);
    let mut journal = voted.clone();
    (1..=8).for_each(|branch| journal.extend(chain(height, branch)));
    journal.sort_by_key(|block| (block.header.height, block.hash()));
    assert!(journal.len() > BODIES_MAX);
    let mut replication = Replication::new(genesis(), Ballot(4), &context(4));
    let tip = &voted[voted.len() - 1];
    let votes = [(Ballot(2), tip.header.height, tip.hash())];
    replication.restore_votes(&votes, journal, None, &context(4));
    let held = |block: &Arc<Block>| replication.bodies.contains_key(&block.hash());
    assert!(voted.iter().all(held));
}
