//! Whether memory is made to follow from what the ledger tells.

use super::*;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use daruma_types::{
    Ballot, Block, Certificate, ChainId, Committee, Ed25519, PublicKey, Replica, ReplicaId,
    SecretKey, Signer, SignerSet, Statement, Transaction, Vote,
};

use super::super::Used;
use crate::{ChainLimits, LocalLimits, Observation};

const CHAIN: ChainId = ChainId(Hash([7; 32]));

fn key(i: u16) -> SecretKey {
    SecretKey::from_bytes(&[i as u8 + 1; 32])
}

fn context() -> Context {
    let replica = |i| Replica { name: alloc::format!("r{i}"), key: key(i).public_key() };
    Context {
        committee: Arc::new(Committee::new(CHAIN, 1, (0..4).map(replica).collect()).unwrap()),
        own: ReplicaId(0),
        signer: Arc::new(key(0)),
        verifier: Arc::new(Ed25519),
        chain: ChainLimits {
            operation_bytes_max: 64,
            block_bytes_max: 4096,
            block_transactions_max: 8,
            window: 8,
        },
        local: LocalLimits::default(),
    }
}

/// A chain of certified blocks with one transaction each.
fn chain(length: u64) -> Vec<CertifiedBlock> {
    let mut parent = CHAIN.0;
    (1..=length)
        .map(|height| {
            let transaction = Transaction::sign(CHAIN, &key(9), height, vec![1]);
            let at = Height(height);
            let block = Block::build(CHAIN, at, parent, ReplicaId(0), height, vec![transaction]);
            parent = block.hash();
            certified(block)
        })
        .collect()
}

fn certified(block: Block) -> CertifiedBlock {
    let (kind, ballot) = (VoteKind::Commit, Default::default());
    let (height, hash) = (block.header.height, block.hash());
    let sign = |i| Vote::sign(kind, CHAIN, ballot, height, hash, &key(i)).signature;
    let signers: SignerSet = (0..3).map(ReplicaId).collect();
    let signatures = (0..3).map(sign).collect();
    let certificate = Certificate { kind, ballot, height, hash, signers, signatures };
    CertifiedBlock { block: Arc::new(block), certificate }
}

fn claim(block: &CertifiedBlock) -> HeadClaim {
    let Certificate { height, hash, .. } = block.certificate;
    HeadClaim { height, hash, certificate: Some(block.certificate.clone()) }
}

fn statement(block: &CertifiedBlock) -> Statement {
    let root = Hash([block.certificate.height.0 as u8; 32]);
    Statement {
        height: block.certificate.height,
        block: block.certificate.hash,
        state_root: root,
        receipts_root: root,
    }
}

/// A ledger whose head is block 3.
fn ledger(blocks: &[CertifiedBlock]) -> EngineHead {
    EngineHead {
        claim: claim(&blocks[2]),
        timestamp_ms: 3,
        statement: statement(&blocks[2]),
        recent: blocks[..3].iter().map(statement).collect(),
    }
}

/// A replica that executed blocks 1 to 3 and decided 4 and 5.
fn sound(blocks: &[CertifiedBlock], context: &Context) -> Replication {
    let mut replication = Replication::new(ledger(blocks), Ballot(0), context);
    let mut out = Outbox::default();
    for block in &blocks[3..5] {
        let CertifiedBlock { block, certificate } = block.clone();
        assert!(replication.decide(certificate, block, context, &mut out));
    }
    replication
}

/// Tells `replication` that the ledger's head is block 3; what was repaired, and what is to be
/// executed again.
fn tell(
    replication: &mut Replication,
    blocks: &[CertifiedBlock],
    context: &Context,
) -> (Vec<Illegal>, Vec<Height>) {
    let mut out = Outbox::default();
    replication.on_ledger(ledger(blocks), context, &mut out);
    let (mut repaired, mut again) = (Vec::new(), Vec::new());
    for effect in out.into_effects() {
        if let Effect::Observed(Observation::Repaired(illegal)) = effect {
            repaired.push(illegal);
        } else if let Effect::Execute(block) = effect {
            again.push(block.certificate.height);
        }
    }
    (repaired, again)
}

/// The hashes of the genesis and of the blocks up to `height`.
fn trail(blocks: &[CertifiedBlock], height: usize) -> BTreeMap<Height, Hash> {
    let own = blocks[..height].iter().map(|b| (b.certificate.height, b.certificate.hash));
    core::iter::once((Height(0), CHAIN.0)).chain(own).collect()
}

/// Damages a sound replica, tells it the ledger's head once, and compares it with one that decided
/// `left` blocks above it.
fn repaired_by_one_telling(left: usize, damage: impl Fn(&mut Replication, &[CertifiedBlock])) {
    let (context, blocks) = (context(), chain(9));
    let mut replication = sound(&blocks, &context);
    damage(&mut replication, &blocks);
    let (repaired, _) = tell(&mut replication, &blocks, &context);
    assert!(!repaired.is_empty());
    assert_eq!(replication.executed, statement(&blocks[2]));
    assert_eq!(replication.head, claim(&blocks[2 + left]));
    assert_eq!(replication.head_timestamp_ms, 3 + left as u64);
    let decided: Vec<_> = replication.decided.values().cloned().collect();
    assert_eq!(decided, blocks[3..3 + left]);
    assert_eq!(replication.tip, replication.head_tip());
    assert_eq!(replication.trail, trail(&blocks, 3 + left));
    // What follows is found in order: nothing more is repaired, at a telling or at a tick.
    assert_eq!(tell(&mut replication, &blocks, &context).0, []);
    let mut out = Outbox::default();
    replication.repair(Ballot(0), true, &context, &mut out);
    assert_eq!(out.into_effects(), []);
}

#[test]
fn a_memory_that_follows_from_the_ledger_is_left_as_it_is() {
    let (context, blocks) = (context(), chain(9));
    let mut replication = sound(&blocks, &context);
    let before = replication.clone();
    assert_eq!(tell(&mut replication, &blocks, &context), (vec![], vec![]));
    assert_eq!(replication.head, before.head);
    assert_eq!(replication.decided, before.decided);
    assert_eq!(replication.in_flight, before.in_flight);
    assert_eq!(replication.tip, before.tip);
    assert_eq!(replication.trail, before.trail);
    assert_eq!(replication.trail, trail(&blocks, 5));
}

#[test]
fn hashes_of_own_blocks_that_memory_lost_or_made_up_are_the_ledgers_again() {
    let (context, blocks) = (context(), chain(9));
    let mut replication = sound(&blocks, &context);
    replication.forget_trail();
    assert_eq!(tell(&mut replication, &blocks, &context), (vec![], vec![]));
    assert_eq!(replication.trail, trail(&blocks, 5));
    replication.trail.insert(Height(2), Hash([9; 32]));
    assert_eq!(tell(&mut replication, &blocks, &context).0.len(), 1);
    assert_eq!(replication.trail, trail(&blocks, 5));
}

#[test]
fn no_more_hashes_of_own_blocks_are_remembered_than_their_bound() {
    let (context, blocks) = (context(), chain(4));
    let mut head = ledger(&blocks);
    let last = Height(TRAIL_MAX as u64 + 9);
    head.recent =
        (1..last.0).map(|at| Statement { height: Height(at), ..head.statement }).collect();
    (head.claim.height, head.statement.height) = (last, last);
    let first = |trail: &BTreeMap<Height, Hash>| trail.first_key_value().map(|(at, _)| *at);
    let mut replication = Replication::new(head.clone(), Ballot(0), &context);
    assert_eq!((replication.trail.len(), first(&replication.trail)), (TRAIL_MAX, Some(Height(10))));
    replication.forget_trail();
    replication.on_ledger(head, &context, &mut Outbox::default());
    assert_eq!((replication.trail.len(), first(&replication.trail)), (TRAIL_MAX, Some(Height(10))));
}

#[test]
fn an_executed_height_above_the_ledgers_is_lowered() {
    repaired_by_one_telling(2, |replication, blocks| {
        replication.executed = statement(&blocks[8]);
    });
}

#[test]
fn an_executed_height_below_the_ledgers_is_raised() {
    repaired_by_one_telling(2, |replication, blocks| {
        replication.executed = statement(&blocks[0]);
        for block in &blocks[1..3] {
            replication.decided.insert(block.certificate.height, block.clone());
        }
    });
}

#[test]
fn decided_blocks_above_a_gap_are_dropped() {
    repaired_by_one_telling(1, |replication, blocks| {
        replication.decided.remove(&Height(5));
        replication.decided.insert(Height(6), blocks[5].clone());
        replication.head = claim(&blocks[5]);
    });
}

#[test]
fn a_decided_block_that_nobody_certified_is_dropped_with_all_above_it() {
    repaired_by_one_telling(0, |replication, blocks| {
        let parent = blocks[2].certificate.hash;
        let block = Block::build(CHAIN, Height(4), parent, ReplicaId(0), 99, vec![]);
        let mut forged = certified(block);
        forged.certificate.signatures.reverse();
        replication.decided.clear();
        replication.head = claim(&forged);
        replication.decided.insert(Height(4), forged);
    });
}

#[test]
fn a_head_without_certificate_gets_the_ledgers() {
    repaired_by_one_telling(0, |replication, blocks| {
        replication.decided.clear();
        replication.head = HeadClaim { certificate: None, ..claim(&blocks[2]) };
    });
    repaired_by_one_telling(2, |replication, _| replication.head.certificate = None);
}

#[test]
fn a_head_with_another_blocks_certificate_or_timestamp_is_replaced() {
    repaired_by_one_telling(2, |replication, blocks| {
        replication.head.certificate = Some(blocks[7].certificate.clone());
    });
    repaired_by_one_telling(2, |replication, _| replication.head_timestamp_ms = u64::MAX);
}

#[test]
fn decided_blocks_that_the_ledger_was_never_given_are_given_to_it() {
    let (context, blocks) = (context(), chain(9));
    let mut replication = sound(&blocks, &context);
    assert_eq!(tell(&mut replication, &blocks, &context).1, []);
    assert_eq!(tell(&mut replication, &blocks, &context).1, [Height(4), Height(5)]);
}

#[test]
fn a_ledger_that_refuses_one_block_after_the_other_is_given_what_waits_once_between_two_ticks() {
    let (context, blocks) = (context(), chain(9));
    let mut replication = sound(&blocks, &context);
    let given = |replication: &mut Replication| {
        let tellings = (0..8).map(|_| tell(replication, &blocks, &context).1);
        tellings.flatten().collect::<Vec<_>>()
    };
    assert_eq!(given(&mut replication), [Height(4), Height(5)]);
    assert_eq!(given(&mut replication), []);
    replication.ledger_tick();
    assert_eq!(given(&mut replication), [Height(4), Height(5)]);
}

#[test]
fn a_certificate_that_the_ledger_will_not_take_is_found_although_the_hashes_fit() {
    let (context, blocks) = (context(), chain(9));
    let mut replication = sound(&blocks, &context);
    let mut forged = blocks[3].clone();
    forged.certificate.signatures.clear();
    replication.decided.insert(Height(4), forged);
    tell(&mut replication, &blocks, &context);
    let (repaired, again) = tell(&mut replication, &blocks, &context);
    assert_eq!((repaired.first(), again), (Some(&Illegal::Head(Height(5))), vec![]));
    assert_eq!(replication.head, claim(&blocks[2]));
}

#[test]
fn nonces_that_no_block_used_are_forgotten_though_nothing_is_executed() {
    let (context, blocks) = (context(), chain(9));
    let mut replication = sound(&blocks, &context);
    let clients = [1, 2, 3].map(|i| PublicKey([i; 32]));
    for (client, height) in clients.iter().zip([3, 9, u64::MAX]) {
        let used = Used { nonce: u64::MAX, height: Height(height) };
        replication.recent.insert(*client, used);
        replication.in_flight.insert(*client, used);
    }
    let (repaired, _) = tell(&mut replication, &blocks, &context);
    assert_eq!(repaired.len(), 1, "heights that nobody executed: {repaired:?}");
    assert_eq!(replication.last_nonce(&clients[1]), None);
    assert_eq!(replication.last_nonce(&clients[2]), None);
    for _ in 0..RECENT_TELLINGS {
        tell(&mut replication, &blocks, &context);
    }
    assert_eq!(replication.last_nonce(&clients[0]), None);
    assert_eq!(replication.last_nonce(&key(9).public_key()), Some(5));
}
