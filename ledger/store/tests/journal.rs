//! What a start believes of a journal that may hold anything.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::sync::Arc;

use daruma_store::limits::LONE_REFUSALS_MAX;
use daruma_store::{CleanJournal, Column, JournalFault, MemoryStore, Store, Trust};
use daruma_types::{
    Ballot, Block, Certificate, ChainId, Committee, Demand, Ed25519, Hash, Height,
    LeaveCertificate, Promise, Replica, ReplicaId, SecretKey, Signer, SignerSet, Transaction, View,
    ViewProof, Vote, VoteKind, codec,
};

const CHAIN: ChainId = ChainId(Hash([1; 32]));

fn key(i: u16) -> SecretKey {
    SecretKey::from_bytes(&[i as u8 + 1; 32])
}

fn trust() -> Trust {
    let replica = |i| Replica { name: format!("r{i}"), key: key(i).public_key() };
    let committee = Committee::new(CHAIN, 1, (0..4).map(replica).collect()).unwrap();
    Trust { committee: Arc::new(committee), verifier: Arc::new(Ed25519) }
}

fn signers() -> SignerSet {
    (0..3).map(ReplicaId).collect()
}

/// Three of four demand to leave the view below `view`: phase 1 of `view` is proven.
fn view(view: u64) -> Promise {
    let left = View(view - 1);
    let signatures = (0..3).map(|i| Demand::sign(CHAIN, left, &key(i)).signature).collect();
    let proof = ViewProof::Left(LeaveCertificate { view: left, signers: signers(), signatures });
    Promise::View { view: View(view), phase: 1, proof }
}

fn block(height: u64, salt: u64) -> Arc<Block> {
    let transactions = vec![Transaction::sign(CHAIN, &key(50), salt, vec![9])];
    let parent = Hash([height as u8; 32]);
    Arc::new(Block::build(CHAIN, Height(height), parent, ReplicaId(0), 7, transactions))
}

fn vote(ballot: u64, block: &Arc<Block>) -> Promise {
    let (height, hash) = (block.header.height, block.hash());
    Promise::Prepare { ballot: Ballot(ballot), height, hash, block: Arc::clone(block) }
}

fn certificate(kind: VoteKind, ballot: u64, block: &Block) -> Certificate {
    let (ballot, height, hash) = (Ballot(ballot), block.header.height, block.hash());
    let sign = |i| Vote::sign(kind, CHAIN, ballot, height, hash, &key(i)).signature;
    let signatures = (0..3).map(sign).collect();
    Certificate { kind, ballot, height, hash, signers: signers(), signatures }
}

/// A journal as an execution leaves it: view 2, votes at 1 and 2, the first prepared.
fn sound() -> MemoryStore {
    let store = MemoryStore::new();
    let (a, b) = (block(1, 1), block(2, 2));
    let prepared = Promise::Prepared { certificate: certificate(VoteKind::Prepare, 2, &a) };
    store.journal(&[view(2), vote(2, &a), prepared, vote(2, &b)]).unwrap();
    store
}

fn faults(clean: &CleanJournal) -> Vec<(JournalFault, u64)> {
    clean.dropped.iter().map(|(fault, count)| (*fault, *count)).collect()
}

#[test]
fn a_journal_of_an_execution_is_kept_whole() {
    let store = sound();
    let before = store.recover_journal().unwrap();
    let clean = store.clean_journal(&trust()).unwrap();
    assert_eq!((&clean.journal, faults(&clean)), (&before.journal, vec![]));
    assert_eq!(store.recover_journal().unwrap(), before);
}

#[test]
fn a_view_without_proof_is_dropped_with_the_votes_above_what_is_left_and_the_replica_votes_again() {
    let store = sound();
    let row = codec::encode(&(View(900), 1_u8, ViewProof::Initial));
    store.damage(Column::Journal, b"v", Some(row));
    let clean = store.clean_journal(&trust()).unwrap();
    let expected = [
        (JournalFault::UnprovenView, 1),
        (JournalFault::InvalidPrepared, 1),
        (JournalFault::VoteAboveFloor, 2),
    ];
    assert_eq!(faults(&clean), expected);
    assert_eq!(clean.journal.view, None);
    assert_eq!(store.journal(&[vote(0, &block(1, 9))]), Ok(()));
    let again = store.copy().clean_journal(&trust()).unwrap();
    assert_eq!(faults(&again), []);
    assert_eq!(again.journal.votes.len(), 1);
}

#[test]
fn a_view_whose_proof_nobody_signed_is_dropped() {
    let store = sound();
    let mut forged = certificate(VoteKind::Commit, 900, &block(7, 7));
    forged.signatures.reverse();
    let row = codec::encode(&(View(900), 0_u8, ViewProof::Committed(forged)));
    store.damage(Column::Journal, b"v", Some(row));
    let clean = store.clean_journal(&trust()).unwrap();
    assert_eq!(faults(&clean).first(), Some(&(JournalFault::UnprovenView, 1)));
    assert_eq!(clean.journal.view, None);
}

#[test]
fn a_vote_above_every_proven_ballot_would_refuse_all_votes_of_its_height_and_is_dropped() {
    let store = sound();
    let (height, hash) = (Height(2), block(2, 2).hash());
    let row = codec::encode(&(Ballot(u64::MAX), hash));
    let name = [&b"t"[..], &height.0.to_be_bytes()].concat();
    store.damage(Column::Journal, &name, Some(row));
    assert!(store.journal(&[vote(2, &block(2, 2))]).is_err());
    let clean = store.clean_journal(&trust()).unwrap();
    assert_eq!(faults(&clean), [(JournalFault::VoteAboveFloor, 1)]);
    assert_eq!(clean.journal.votes.len(), 1);
    assert_eq!(store.journal(&[vote(2, &block(2, 2))]), Ok(()));
}

#[test]
fn a_prepared_certificate_that_nobody_signed_is_dropped() {
    let store = sound();
    let mut forged = certificate(VoteKind::Prepare, 2, &block(7, 7));
    forged.signatures.reverse();
    store.damage(Column::Journal, b"p", Some(codec::encode(&forged)));
    let clean = store.clean_journal(&trust()).unwrap();
    assert_eq!(faults(&clean), [(JournalFault::InvalidPrepared, 1)]);
    let good = Promise::Prepared { certificate: certificate(VoteKind::Prepare, 1, &block(1, 1)) };
    store.journal(&[good]).unwrap();
    assert_eq!(store.recover_journal().unwrap().journal.prepared.unwrap().ballot, Ballot(1));
}

#[test]
fn a_body_with_a_transaction_that_its_client_never_signed_is_dropped() {
    let store = sound();
    let mut transaction = Transaction::sign(CHAIN, &key(50), 5, vec![9]);
    transaction.nonce = 6;
    let block = Block::build(CHAIN, Height(2), CHAIN.0, ReplicaId(0), 7, vec![transaction]);
    let name = [&b"b"[..], &2_u64.to_be_bytes(), &block.hash().0].concat();
    store.damage(Column::Journal, &name, Some(codec::encode(&block)));
    let clean = store.clean_journal(&trust()).unwrap();
    assert_eq!(faults(&clean), [(JournalFault::InvalidBody, 1)]);
    assert_eq!(clean.journal.blocks.len(), 2);
}

#[test]
fn rows_that_do_not_decode_or_have_no_name_of_ours_are_removed_from_the_disk() {
    let store = sound();
    for name in [&b"t"[..], b"b-and-too-long-for-a-body", b"stranger", b"", b"p"] {
        store.damage(Column::Journal, name, Some(vec![0xff; 3]));
    }
    let clean = store.clean_journal(&trust()).unwrap();
    assert_eq!(faults(&clean), [(JournalFault::Unreadable, 5)]);
    assert_eq!(clean.journal.votes.len(), 2);
    assert_eq!(faults(&store.clean_journal(&trust()).unwrap()), []);
}

#[test]
fn a_disk_full_of_votes_leaves_room_for_those_just_above_the_head() {
    let store = sound();
    let row = codec::encode(&(Ballot(1), Hash([9; 32])));
    for height in 1_000..2_000_u64 {
        let name = [&b"t"[..], &height.to_be_bytes()].concat();
        store.damage(Column::Journal, &name, Some(row.clone()));
    }
    let clean = store.clean_journal(&trust()).unwrap();
    assert_eq!(clean.journal.votes.len(), daruma_store::limits::JOURNAL_HEIGHTS_MAX);
    assert_eq!(clean.journal.blocks.len(), 2);
    assert_eq!(faults(&clean), [(JournalFault::TooMany, 746)]);
}

#[test]
fn a_certificate_whose_block_is_missing_refuses_some_votes_for_another_and_then_gives_way() {
    let store = MemoryStore::new();
    let (lost, other) = (block(1, 1), block(1, 2));
    let key = 1_u64.to_be_bytes();
    let row = codec::encode(&certificate(VoteKind::Commit, 0, &lost));
    store.damage(Column::Certificates, &key, Some(row.clone()));
    for _ in 0..LONE_REFUSALS_MAX {
        // What is kept in memory is lost after each refusal, as the engine is.
        let refused = store.copy();
        assert!(refused.journal(&[vote(0, &other)]).is_err());
        let noted = refused.row(Column::Meta, b"refused").unwrap();
        store.damage(Column::Meta, b"refused", noted);
    }
    store.journal(&[vote(0, &lost)]).unwrap();
    assert!(store.row(Column::Certificates, &key).unwrap().is_some(), "its own block is no reason");
    store.journal(&[vote(1, &other)]).unwrap();
    assert_eq!(store.row(Column::Certificates, &key).unwrap(), None);
    let quarantined = Column::Certificates.quarantine_key(&key);
    assert_eq!(store.row(Column::Quarantine, &quarantined).unwrap(), Some(row));
}

#[test]
fn with_a_certificate_that_gave_way_those_above_it_do_and_those_below_stay() {
    let store = MemoryStore::new();
    let lone = [1, 2, 3, 4].map(|height| block(height, 1));
    for block in &lone {
        let row = codec::encode(&certificate(VoteKind::Commit, 0, block));
        store.damage(Column::Certificates, &block.header.height.0.to_be_bytes(), Some(row));
    }
    let other = [1, 2, 3, 4].map(|height| block(height, 2));
    for _ in 0..LONE_REFUSALS_MAX {
        assert!(store.journal(&[vote(0, &other[1])]).is_err());
    }
    store.journal(&[vote(0, &other[1])]).unwrap();
    store.journal(&[vote(0, &other[2]), vote(0, &other[3])]).unwrap();
    assert!(store.journal(&[vote(0, &other[0])]).is_err(), "it lies below");
    let kept = |height: u64| {
        let key = Column::Certificates.quarantine_key(&height.to_be_bytes());
        store.row(Column::Quarantine, &key).unwrap().is_some()
    };
    assert_eq!([1, 2, 3, 4].map(kept), [false, true, true, true]);
}

#[test]
fn a_damaged_certificate_above_the_head_refuses_nothing() {
    let store = MemoryStore::new();
    store.damage(Column::Certificates, &1_u64.to_be_bytes(), Some(vec![1, 2, 3]));
    store.journal(&[vote(0, &block(1, 1))]).unwrap();
}
