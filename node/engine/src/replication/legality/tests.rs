//! Each stale-information rule of replication by itself: one variable is damaged, one tick repairs it.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{
    Ballot, Block, Certificate, CertifiedBlock, Hash, HeadClaim, Height, NewView, PrePrepare,
    ReplicaId, Signature, SignerSet, Statement, Transaction, Vote, VoteKind,
};

use super::super::slot::{Candidate, Held};
use super::super::{EngineHead, Replication, Tip, Used};
use crate::config::Context;
use crate::fixtures::{CHAIN, context, key};
use crate::outbox::Outbox;
use crate::{Illegal, Observation};

const FORGED: Signature = Signature([1; 64]);

fn block(height: u64, parent: Hash) -> Block {
    let transaction = Transaction::sign(CHAIN, &key(50), height, vec![7]);
    Block::build(CHAIN, Height(height), parent, ReplicaId(0), height, vec![transaction])
}

fn vote(kind: VoteKind, ballot: u64, block: &Block, voter: u16) -> Vote {
    let (height, hash) = (block.header.height, block.hash());
    Vote::sign(kind, CHAIN, Ballot(ballot), height, hash, &key(voter))
}

fn certificate(kind: VoteKind, ballot: u64, block: &Block) -> Certificate {
    let voters = [0, 2, 3];
    Certificate {
        kind,
        ballot: Ballot(ballot),
        height: block.header.height,
        hash: block.hash(),
        signers: voters.into_iter().map(ReplicaId).collect(),
        signatures: voters.iter().map(|id| vote(kind, ballot, block, *id).signature).collect(),
    }
}

/// Replica 1 of four at the genesis: it accepted a block of ballot 0, and r2 did.
struct Sound {
    context: Context,
    first: Block,
    replication: Replication,
}

impl Sound {
    fn new() -> Self {
        let context = context(4);
        let statement = Statement {
            height: Height(0),
            block: CHAIN.0,
            state_root: Hash::default(),
            receipts_root: Hash::default(),
        };
        let (claim, recent) = (HeadClaim::genesis(CHAIN), Vec::new());
        let head = EngineHead { claim, timestamp_ms: 0, statement, recent };
        let mut replication = Replication::new(head, Ballot(0), &context);
        let first = block(1, CHAIN.0);
        let signature = vote(VoteKind::Prepare, 0, &first, 0).signature;
        let proposal = PrePrepare { ballot: Ballot(0), block: Arc::new(first.clone()), signature };
        let mut out = Outbox::default();
        replication.on_pre_prepare(ReplicaId(0), proposal, Vec::new(), &context, &mut out);
        let second = vote(VoteKind::Commit, 0, &first, 2);
        replication.on_vote(ReplicaId(2), second, &context, &mut out);
        replication.advance(&context, &mut out);
        assert_eq!(replication.tip.height, Height(1));
        Self { context, first, replication }
    }

    /// One tick in this ballot; what it repaired.
    fn tick(&mut self, ballot: u64, full: bool) -> Vec<Illegal> {
        let mut out = Outbox::default();
        self.replication.repair(Ballot(ballot), full, &self.context, &mut out);
        let mut found = Vec::new();
        for effect in out.into_effects() {
            if let crate::Effect::Observed(Observation::Repaired(illegal)) = effect {
                found.push(illegal);
            }
        }
        found
    }

    /// One tick repairs something, looking twice as the engine then does; the next repairs nothing.
    fn is_repaired(&mut self, full: bool) {
        assert_ne!(self.tick(0, full), []);
        let _again = self.tick(0, true);
        assert_eq!(self.tick(0, true), []);
    }

    fn vote_of(&self, kind: VoteKind, voter: u16) -> Option<Held> {
        self.replication.slots.get(&Height(1)).unwrap().vote_of(kind, ReplicaId(voter))
    }
}

#[test]
fn a_sound_memory_is_left_as_it_is() {
    let mut sound = Sound::new();
    assert_eq!((sound.tick(0, false), sound.tick(0, true)), (vec![], vec![]));
    assert_eq!(sound.replication.tip.hash, sound.first.hash());
    assert!(sound.vote_of(VoteKind::Commit, 2).is_some());
}

#[test]
fn a_head_that_is_not_the_executed_block_is_replaced_by_it() {
    let mut sound = Sound::new();
    sound.replication.head.hash = Hash([9; 32]);
    sound.is_repaired(false);
    assert_eq!(sound.replication.head, HeadClaim::genesis(CHAIN));
}

#[test]
fn decided_blocks_above_a_gap_are_dropped() {
    let mut sound = Sound::new();
    let third = block(3, Hash([2; 32]));
    let certificate = certificate(VoteKind::Commit, 0, &third);
    let claim =
        HeadClaim { height: Height(3), hash: third.hash(), certificate: Some(certificate.clone()) };
    let decided = CertifiedBlock { block: Arc::new(third), certificate };
    sound.replication.decided.insert(Height(3), decided);
    sound.replication.head = claim;
    sound.is_repaired(false);
    assert!(sound.replication.decided.is_empty());
    assert_eq!(sound.replication.head.height, Height(0));
}

#[test]
fn a_body_under_another_name_is_dropped() {
    let mut sound = Sound::new();
    let name = Hash([9; 32]);
    sound.replication.bodies.insert(name, Arc::new(block(2, Hash([2; 32]))));
    sound.is_repaired(false);
    assert!(!sound.replication.bodies.contains_key(&name));
}

#[test]
fn votes_that_nobody_signed_are_dropped_and_those_that_are_signed_stay() {
    let mut sound = Sound::new();
    let held = Held { hash: sound.first.hash(), signature: FORGED };
    let slot = sound.replication.slots.get_mut(&Height(1)).unwrap();
    slot.record(VoteKind::Prepare, ReplicaId(3), held);
    slot.record(VoteKind::Commit, ReplicaId(3), held);
    sound.is_repaired(true);
    assert_eq!(sound.vote_of(VoteKind::Prepare, 3), None);
    assert_eq!(sound.vote_of(VoteKind::Commit, 3), None);
    assert!(sound.vote_of(VoteKind::Commit, 2).is_some());
    assert!(sound.vote_of(VoteKind::Prepare, 0).is_some());
}

#[test]
fn an_own_vote_of_a_ballot_to_come_is_dropped_and_those_of_others_stay() {
    let mut sound = Sound::new();
    for voter in [1, 2] {
        let early = vote(VoteKind::Prepare, 5, &sound.first, voter);
        sound.replication.early[usize::from(voter)].push_back(early);
    }
    sound.is_repaired(false);
    assert_eq!(
        sound.replication.early.iter().map(|early| early.len()).collect::<Vec<_>>(),
        [0, 0, 1, 0]
    );
}

#[test]
fn a_slots_certificate_that_nobody_signed_is_dropped() {
    let mut sound = Sound::new();
    let mut forged = certificate(VoteKind::Prepare, 0, &sound.first);
    forged.signatures.reverse();
    sound.replication.slots.get_mut(&Height(1)).unwrap().prepared = Some(forged);
    sound.is_repaired(true);
    assert_eq!(sound.replication.slots.get(&Height(1)).unwrap().prepared, None);
}

#[test]
fn an_accepted_block_with_an_operation_that_no_client_signed_is_dropped_unless_it_is_prepared() {
    for prepared in [false, true] {
        let mut sound = Sound::new();
        let mut transaction = sound.first.transactions[0].clone();
        transaction.signature = FORGED;
        let forged = Block::build(CHAIN, Height(1), CHAIN.0, ReplicaId(0), 1, vec![transaction]);
        let hash = forged.hash();
        let slot = sound.replication.slots.get_mut(&Height(1)).unwrap();
        *slot = super::super::slot::Slot::new(4);
        slot.accepted = Some(hash);
        slot.prepared = prepared.then(|| certificate(VoteKind::Prepare, 0, &forged));
        for voter in [0, 1] {
            let signature = vote(VoteKind::Prepare, 0, &forged, voter).signature;
            slot.record(VoteKind::Prepare, ReplicaId(voter), Held { hash, signature });
        }
        sound.replication.tip =
            Tip { height: Height(1), hash, timestamp_ms: forged.header.timestamp_ms };
        sound.replication.bodies.insert(hash, Arc::new(forged));
        let _found = sound.tick(0, true);
        assert_eq!(sound.replication.bodies.contains_key(&hash), prepared);
    }
}

#[test]
fn a_proposal_that_the_primary_never_made_is_dropped() {
    let mut sound = Sound::new();
    let second = block(2, sound.first.hash());
    let context = sound.context.clone();
    let candidate = Candidate {
        hash: second.hash(),
        block: Arc::new(second),
        nonces: Vec::new(),
        refused_above: None,
    };
    sound.replication.slot(Height(2), &context).unwrap().candidate = Some(candidate);
    sound.is_repaired(true);
    assert_eq!(sound.replication.slots.get(&Height(2)).unwrap().candidate, None);
}

#[test]
fn a_block_that_this_replica_never_voted_for_is_not_accepted() {
    let mut sound = Sound::new();
    let second = block(2, sound.first.hash());
    let (hash, context) = (second.hash(), sound.context.clone());
    sound.replication.bodies.insert(hash, Arc::new(second));
    sound.replication.slot(Height(2), &context).unwrap().accepted = Some(hash);
    sound.is_repaired(false);
    assert_eq!(sound.replication.slots.get(&Height(2)).unwrap().accepted, None);
    assert_eq!(sound.replication.tip.height, Height(1));
}

#[test]
fn a_tip_that_the_accepted_chain_does_not_reach_is_led_back_to_it() {
    let mut sound = Sound::new();
    let tip = sound.replication.tip;
    sound.replication.tip = Tip { height: Height(7), hash: Hash([9; 32]), timestamp_ms: 1 };
    sound.is_repaired(false);
    assert_eq!(sound.replication.tip, tip);
    sound.replication.tip.timestamp_ms = u64::MAX;
    let _unseen = sound.tick(0, false);
    assert_eq!(sound.replication.tip, tip);
}

#[test]
fn a_prepared_certificate_that_does_not_hold_or_whose_block_is_not_held_is_not_reported() {
    let mut sound = Sound::new();
    let good = certificate(VoteKind::Prepare, 0, &sound.first);
    sound.replication.prepared = Some(good.clone());
    assert_eq!(sound.tick(0, true), [], "this one is good");
    let mut forged = good.clone();
    forged.signatures.reverse();
    let unheld = certificate(VoteKind::Prepare, 0, &block(2, Hash([2; 32])));
    let later = certificate(VoteKind::Prepare, 1, &sound.first);
    let commit = certificate(VoteKind::Commit, 0, &sound.first);
    for bad in [forged, unheld, later, commit] {
        sound.replication.prepared = Some(bad);
        sound.is_repaired(true);
        assert_eq!(sound.replication.prepared, None);
    }
}

#[test]
fn new_views_of_another_ballot_and_headers_of_none_are_dropped() {
    let mut sound = Sound::new();
    let other = NewView::sign(CHAIN, Ballot(3), Vec::new(), Vec::new(), &key(3));
    sound.replication.new_view = Some(other.clone());
    sound.is_repaired(false);
    assert_eq!(sound.replication.new_view, None);
    sound.replication.waiting_new_view = Some(other);
    sound.is_repaired(false);
    assert_eq!(sound.replication.waiting_new_view, None);
    sound.replication.taken_over = vec![block(2, sound.first.hash()).header];
    sound.is_repaired(false);
    assert_eq!(sound.replication.taken_over, []);
}

#[test]
fn a_ballot_is_not_active_without_anything_that_shows_that_it_was() {
    let mut sound = Sound::new();
    sound.replication.enter(Ballot(1));
    sound.replication.active = true;
    let _told = sound.tick(1, false);
    assert!(!sound.replication.active);
}

#[test]
fn a_memory_of_the_own_chain_that_does_not_end_at_the_head_is_forgotten() {
    let mut sound = Sound::new();
    sound.replication.trail.insert(Height(0), Hash([9; 32]));
    sound.is_repaired(false);
    sound.replication.trail.insert(Height(9), Hash([9; 32]));
    sound.is_repaired(false);
    let trail: Vec<_> = sound.replication.trail.iter().map(|(at, hash)| (*at, *hash)).collect();
    assert_eq!(trail, [(Height(0), CHAIN.0)]);
}

#[test]
fn nonces_at_heights_that_nothing_reaches_are_forgotten() {
    let mut sound = Sound::new();
    let client = daruma_types::PublicKey([3; 32]);
    for height in [0, 100] {
        let used = Used { nonce: u64::MAX, height: Height(height) };
        sound.replication.in_flight.insert(client, used);
        sound.is_repaired(false);
        assert_eq!(sound.replication.last_nonce(&client), None);
    }
}

#[test]
fn early_votes_that_nobody_signed_or_that_are_not_early_are_dropped() {
    let mut sound = Sound::new();
    let good = vote(VoteKind::Prepare, 5, &sound.first, 2);
    let forged = Vote { signature: FORGED, ..good.clone() };
    sound.replication.early.get_mut(2).unwrap().extend([good.clone(), forged]);
    sound.is_repaired(true);
    assert!(sound.replication.early.get(2).unwrap().iter().eq([&good]));
    let past = vote(VoteKind::Prepare, 0, &sound.first, 2);
    sound.replication.early.get_mut(2).unwrap().push_back(past);
    sound.is_repaired(false);
    assert!(sound.replication.early.get(2).unwrap().iter().eq([&good]));
}

#[test]
fn a_quorum_that_memory_made_up_executes_nothing() {
    let mut sound = Sound::new();
    let held = Held { hash: sound.first.hash(), signature: FORGED };
    let slot = sound.replication.slots.get_mut(&Height(1)).unwrap();
    (0..4).for_each(|id| {
        slot.record(VoteKind::Commit, ReplicaId(id), held);
    });
    let mut out = Outbox::default();
    sound.replication.advance(&sound.context, &mut out);
    let executes = |effect: &crate::Effect| matches!(effect, crate::Effect::Execute(_));
    assert!(!out.into_effects().iter().any(executes));
    assert_eq!(sound.replication.head.height, Height(0));
    let left = sound.replication.slots.get(&Height(1)).unwrap();
    let true_ones: SignerSet = [ReplicaId(2)].into_iter().collect();
    assert_eq!(left.voters(VoteKind::Commit, &held.hash), true_ones);
}

#[test]
fn nonces_remembered_above_the_ledgers_are_lowered_to_them_and_later_ones_are_not() {
    let mut sound = Sound::new();
    let clients = [1, 2, 3, 4].map(|id| daruma_types::PublicKey([id; 32]));
    let used = |nonce, height| Used { nonce, height: Height(height) };
    let held = [used(9, 0), used(9, 0), used(9, 5), used(3, 0)];
    sound.replication.recent.extend(clients.into_iter().zip(held));
    let ledger = [None, Some(4), Some(4), Some(4)];
    let told: Vec<_> = clients.into_iter().zip(ledger).collect();
    sound.replication.on_nonces(Height(2), &told);
    let known = clients.map(|client| sound.replication.last_nonce(&client));
    assert_eq!(known, [None, Some(4), Some(9), Some(3)]);
}

#[test]
fn nonces_remembered_of_heights_that_were_not_executed_are_forgotten() {
    let mut sound = Sound::new();
    let client = daruma_types::PublicKey([3; 32]);
    sound.replication.recent.insert(client, Used { nonce: 9, height: Height(5) });
    sound.is_repaired(false);
    assert_eq!(sound.replication.last_nonce(&client), None);
}

#[test]
fn an_answer_that_nobody_owes_is_not_waited_for_long() {
    let mut sound = Sound::new();
    let heads = [(ReplicaId(3), Height(5))];
    sound.replication.catch_up.wait_for(ReplicaId(2), u32::MAX);
    let asks = |sound: &mut Sound| {
        let mut out = Outbox::default();
        sound.replication.catch_up_tick(&heads, &sound.context, &mut out);
        !out.into_effects().is_empty()
    };
    let waited = (0..100).take_while(|_| !asks(&mut sound)).count();
    assert!(waited <= 21, "{waited} ticks");
}

#[test]
fn a_ballot_that_is_not_the_views_is_left_with_its_votes() {
    let mut sound = Sound::new();
    assert_ne!(sound.tick(2, false), []);
    assert_eq!(sound.replication.ballot, Ballot(2));
    assert!(sound.replication.slots.is_empty() && !sound.replication.active);
}
