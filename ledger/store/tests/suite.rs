//! One suite for both stores: what holds of one holds of the other.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::sync::Arc;

use daruma_store::{Commit, Head, Location, Recovered, Store, StoreError, limits};
use daruma_types::{
    Ballot, Block, Certificate, CertifiedBlock, ChainId, Hash, Height, Outcome, Promise, Receipt,
    ReplicaId, SecretKey, SignerSet, StateCertificate, Statement, Transaction, View, ViewProof,
    VoteKind,
};
use support::on_both;

const CHAIN: ChainId = ChainId(Hash([1; 32]));

fn block(height: u64, salt: u64) -> Arc<Block> {
    let key = SecretKey::from_bytes(&[3; 32]);
    let transactions = vec![Transaction::sign(CHAIN, &key, salt, vec![9])];
    let parent = Hash([height as u8; 32]);
    Arc::new(Block::build(CHAIN, Height(height), parent, ReplicaId(0), 7, transactions))
}

fn certificate(kind: VoteKind, ballot: u64, height: u64, hash: Hash) -> Certificate {
    let (ballot, height, signers) = (Ballot(ballot), Height(height), SignerSet::EMPTY);
    Certificate { kind, ballot, height, hash, signers, signatures: Vec::new() }
}

fn vote(ballot: u64, block: &Arc<Block>) -> Promise {
    let (height, hash) = (block.header.height, block.hash());
    Promise::Prepare { ballot: Ballot(ballot), height, hash, block: Arc::clone(block) }
}

fn prepared(ballot: u64, height: u64, hash: Hash) -> Promise {
    Promise::Prepared { certificate: certificate(VoteKind::Prepare, ballot, height, hash) }
}

const fn view(view: u64, phase: u8) -> Promise {
    Promise::View { view: View(view), phase, proof: ViewProof::Initial }
}

fn refused(result: Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Contradiction { .. }))
}

fn statement(height: u64, hash: Hash) -> Statement {
    let (state_root, receipts_root) = (Hash([4; 32]), Hash([5; 32]));
    Statement { height: Height(height), block: hash, state_root, receipts_root }
}

fn commit(store: &dyn Store, block: &Arc<Block>, outcomes: &[Outcome], names: &[Hash]) {
    let (height, hash) = (block.header.height, block.hash());
    let receipts: Vec<Receipt> = (0..)
        .zip(outcomes.iter().zip(names))
        .map(|(index, (outcome, name))| Receipt {
            transaction: *name,
            height,
            index,
            outcome: outcome.clone(),
        })
        .collect();
    let certified = CertifiedBlock {
        block: Arc::clone(block),
        certificate: certificate(VoteKind::Commit, 0, height.0, hash),
    };
    let mark = height.0.to_be_bytes().to_vec();
    store
        .commit(Commit {
            block: &certified,
            transactions: names,
            receipts: &receipts,
            statement: statement(height.0, hash),
            state: vec![
                (b"changed".to_vec(), Some(mark.clone())),
                (b"gone".to_vec(), (height.0 == 1).then(|| mark.clone())),
            ],
            tree: vec![(b"node".to_vec(), Some(mark))],
        })
        .unwrap();
}

const EXECUTED: Outcome = Outcome::Executed { reply: Vec::new() };
const SUPERSEDED: Outcome = Outcome::Superseded { last_nonce: 9 };

#[test]
fn a_committed_block_is_found_by_all_its_names_after_a_restart() {
    on_both(|open| {
        let store = open();
        assert_eq!(store.head().unwrap(), None);
        let (first, second) = (block(1, 1), block(2, 2));
        commit(&*store, &first, &[EXECUTED], &[Hash([7; 32])]);
        commit(&*store, &second, &[EXECUTED], &[Hash([8; 32])]);
        drop(store);
        let store = open();
        let head = Head {
            height: Height(2),
            hash: second.hash(),
            timestamp_ms: 7,
            statement: statement(2, second.hash()),
        };
        assert_eq!(store.head().unwrap(), Some(head));
        assert_eq!(store.block(Height(1)).unwrap().as_ref(), Some(&*first));
        assert_eq!(store.block(Height(3)).unwrap(), None);
        assert_eq!(store.certificate(Height(2)).unwrap().unwrap().hash, second.hash());
        assert_eq!(store.header(&first.hash()).unwrap().as_ref(), Some(&first.header));
        assert_eq!(store.height_of(&second.hash()).unwrap(), Some(Height(2)));
        let location = Location { height: Height(2), index: 0 };
        assert_eq!(store.transaction(&Hash([8; 32])).unwrap(), Some(location));
        assert_eq!(store.transaction(&Hash([9; 32])).unwrap(), None);
        assert_eq!(store.receipts(Height(1)).unwrap().unwrap()[0].transaction, Hash([7; 32]));
        assert_eq!(store.state_get(b"changed").unwrap().unwrap(), 2_u64.to_be_bytes());
        assert_eq!(store.state_get(b"gone").unwrap(), None);
        assert_eq!(store.tree_node(b"node").unwrap().unwrap(), 2_u64.to_be_bytes());
    });
}

#[test]
fn a_repeated_transaction_keeps_its_first_place() {
    on_both(|open| {
        let store = open();
        let (name, other) = (Hash([7; 32]), Hash([8; 32]));
        commit(&*store, &block(1, 1), &[EXECUTED, SUPERSEDED], &[name, name]);
        commit(&*store, &block(2, 2), &[SUPERSEDED, SUPERSEDED, SUPERSEDED], &[name, other, other]);
        commit(&*store, &block(3, 3), &[SUPERSEDED], &[other]);
        let place = |name| store.transaction(&name).unwrap().unwrap();
        assert_eq!(place(name), Location { height: Height(1), index: 0 });
        assert_eq!(place(other), Location { height: Height(2), index: 1 });
    });
}

#[test]
fn a_scan_is_ordered_and_stays_within_prefix_and_limit() {
    on_both(|open| {
        let store = open();
        let certified = CertifiedBlock {
            block: block(1, 1),
            certificate: certificate(VoteKind::Commit, 0, 1, Hash([2; 32])),
        };
        let keys: [&[u8]; 6] = [b"a", b"b", b"b\0", b"b\xff", b"ba", b"c"];
        let state = keys.map(|key| (key.to_vec(), Some(Vec::new()))).to_vec();
        let (statement, tree) = (statement(1, Hash([2; 32])), Vec::new());
        let commit =
            Commit { block: &certified, transactions: &[], receipts: &[], statement, state, tree };
        store.commit(commit).unwrap();
        let scan = |prefix: &[u8], from: &[u8], limit| -> Vec<Vec<u8>> {
            let rows = store.state_scan(prefix, from, limit).unwrap();
            rows.into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(scan(b"b", b"", 9), [&b"b"[..], b"b\0", b"ba", b"b\xff"]);
        assert_eq!(scan(b"b", b"b\0", 2), [&b"b\0"[..], b"ba"]);
        assert_eq!(scan(b"b", b"c", 9), Vec::<Vec<u8>>::new());
        assert_eq!(scan(b"", b"c", 9), [b"c"]);
        assert_eq!(scan(b"", b"", 0), Vec::<Vec<u8>>::new());
    });
}

#[test]
fn a_snapshot_stays_as_it_was_while_blocks_are_committed() {
    on_both(|open| {
        let store = open();
        commit(&*store, &block(1, 1), &[EXECUTED], &[Hash([7; 32])]);
        let snapshot = store.snapshot();
        commit(&*store, &block(2, 2), &[EXECUTED], &[Hash([8; 32])]);
        assert_eq!(snapshot.head().unwrap().unwrap().height, Height(1));
        assert_eq!(snapshot.state_get(b"changed").unwrap().unwrap(), 1_u64.to_be_bytes());
        assert_eq!(snapshot.tree_node(b"node").unwrap().unwrap(), 1_u64.to_be_bytes());
        assert_eq!(snapshot.state_scan(b"", b"", 9).unwrap().len(), 2);
        assert_eq!(store.snapshot().state_scan(b"", b"", 9).unwrap().len(), 1);
    });
}

#[test]
fn a_vote_can_be_repeated_but_not_contradicted() {
    on_both(|open| {
        let mut store = open();
        let (a, b) = (block(5, 1), block(5, 2));
        store.journal(&[view(3, 0), vote(3, &a)]).unwrap();
        for _ in 0..2 {
            assert_eq!(store.journal(&[vote(3, &a)]), Ok(()));
            assert!(refused(store.journal(&[vote(3, &b)])), "another block in the same ballot");
            assert!(refused(store.journal(&[vote(2, &a)])), "a ballot below the view");
            assert!(refused(store.journal(&[view(2, 0)])), "a lower view");
            drop(store);
            store = open();
        }
        store.journal(&[vote(7, &b)]).unwrap();
        assert!(refused(store.journal(&[vote(6, &b)])), "below the ballot voted in");
        assert!(refused(store.journal(&[vote(7, &a)])));
        store.journal(&[vote(6, &block(6, 1))]).unwrap();
        store.journal(&[view(3, 1), view(3, 0)]).unwrap();
    });
}

#[test]
fn of_a_refused_list_of_promises_nothing_is_kept() {
    on_both(|open| {
        let store = open();
        let (a, b) = (block(5, 1), block(5, 2));
        assert!(refused(store.journal(&[view(4, 1), vote(4, &a), vote(4, &b)])));
        assert!(refused(store.journal(&[view(4, 1), vote(3, &a)])));
        assert_eq!(store.recover_journal().unwrap(), Recovered::default());
        assert_eq!(store.journal(&[vote(0, &b)]), Ok(()), "nor is it remembered");
    });
}

#[test]
fn a_restart_finds_the_last_view_the_latest_votes_and_the_highest_certificate() {
    on_both(|open| {
        let store = open();
        let (a, b, below) = (block(5, 1), block(5, 2), block(4, 1));
        store.journal(&[view(1, 0), vote(1, &a), prepared(1, 5, a.hash())]).unwrap();
        store.journal(&[view(2, 1), view(2, 0), vote(2, &b)]).unwrap();
        store.journal(&[prepared(2, 4, b.hash()), prepared(1, 9, a.hash())]).unwrap();
        store.journal(&[Promise::Body { block: Arc::clone(&below) }]).unwrap();
        drop(store);
        let Recovered { journal, dropped } = open().recover_journal().unwrap();
        assert_eq!(dropped, 0);
        assert_eq!(journal.view, Some((View(2), 0, ViewProof::Initial)));
        assert_eq!(journal.votes, [(Ballot(2), Height(5), b.hash())]);
        assert_eq!(journal.prepared.unwrap().rank(), (Ballot(2), Height(4)));
        assert_eq!(journal.blocks.len(), 3);
        assert!([a, b, below].iter().all(|block| journal.blocks.contains(block)));
    });
}

#[test]
fn a_height_keeps_eight_bodies_and_those_that_are_needed_among_them() {
    assert_eq!(limits::BODIES_PER_HEIGHT_MAX, 8);
    on_both(|open| {
        let store = open();
        let bodies: Vec<Arc<Block>> = (0..20).map(|salt| block(5, salt)).collect();
        store.journal(&[vote(0, &bodies[0]), prepared(0, 5, bodies[0].hash())]).unwrap();
        store.journal(&[vote(1, &bodies[1])]).unwrap();
        for body in &bodies[2..] {
            store.journal(&[Promise::Body { block: Arc::clone(body) }]).unwrap();
        }
        let kept = store.recover_journal().unwrap().journal.blocks;
        assert_eq!(kept.len(), 8);
        assert!(kept.contains(&bodies[0]) && kept.contains(&bodies[1]));
        assert!(bodies[14..].iter().all(|body| kept.contains(body)));
    });
}

#[test]
fn a_commit_ends_the_promises_up_to_its_height_and_no_other_block_can_be_voted_for_there() {
    on_both(|open| {
        let store = open();
        let (a, b, above) = (block(1, 1), block(1, 2), block(2, 1));
        store.journal(&[view(1, 0), vote(1, &b), vote(1, &above)]).unwrap();
        commit(&*store, &a, &[EXECUTED], &[Hash([7; 32])]);
        let journal = store.recover_journal().unwrap().journal;
        assert_eq!(journal.votes, [(Ballot(1), Height(2), above.hash())]);
        assert_eq!(journal.blocks, [Arc::clone(&above)]);
        assert!(journal.view.is_some());
        drop(store);
        let store = open();
        assert!(refused(store.journal(&[vote(9, &b)])));
        assert_eq!(store.journal(&[vote(9, &a)]), Ok(()));
        assert!(refused(store.journal(&[vote(1, &block(2, 2))])), "height 2 is as it was");
        commit(&*store, &above, &[EXECUTED], &[Hash([8; 32])]);
        assert_eq!(store.recover_journal().unwrap().journal.votes, []);
    });
}

#[test]
fn below_a_floor_no_vote_is_recorded_and_a_restart_still_knows_it() {
    on_both(|open| {
        let store = open();
        let floor = |ballot| Promise::Floor { ballot: Ballot(ballot) };
        store.journal(&[floor(7), vote(7, &block(5, 1))]).unwrap();
        drop(store);
        let store = open();
        assert_eq!(store.recover_journal().unwrap().journal.floor, Some(Ballot(7)));
        assert!(refused(store.journal(&[vote(6, &block(6, 1))])));
        assert!(refused(store.journal(&[floor(6)])));
        assert_eq!(store.journal(&[vote(7, &block(6, 1)), floor(7), floor(8)]), Ok(()));
        assert!(refused(store.journal(&[vote(7, &block(7, 1))])));
    });
}

#[test]
fn a_floor_is_lowered_only_from_where_no_execution_gets_and_what_it_covered_is_forgotten() {
    on_both(|open| {
        let store = open();
        let floor = |ballot| Promise::Floor { ballot: Ballot(ballot) };
        let leap = daruma_types::limits::BALLOT_LEAP;
        let (a, b) = (block(5, 1), block(6, 1));
        store.journal(&[vote(1, &a), floor(leap + 7), vote(leap + 7, &b)]).unwrap();
        assert!(refused(store.journal(&[floor(7)])), "exactly a leap away");
        assert_eq!(store.journal(&[floor(6)]), Ok(()));
        assert_eq!(store.journal(&[vote(6, &block(6, 2))]), Ok(()));
        let journal = store.recover_journal().unwrap().journal;
        assert_eq!(journal.floor, Some(Ballot(6)));
        let votes: Vec<Ballot> = journal.votes.iter().map(|(ballot, ..)| *ballot).collect();
        assert_eq!(votes, [Ballot(1), Ballot(6)]);
    });
}

#[test]
fn a_repair_lowers_the_view_and_forgets_what_later_ballots_left() {
    on_both(|open| {
        let store = open();
        let (a, b) = (block(5, 1), block(6, 1));
        store.journal(&[vote(1, &a)]).unwrap();
        store.journal(&[view(u64::MAX, 0), vote(u64::MAX, &b)]).unwrap();
        store.journal(&[prepared(u64::MAX, 6, b.hash())]).unwrap();
        assert!(refused(store.journal(&[view(2, 0)])));
        store.journal_repair(&[view(2, 0)]).unwrap();
        drop(store);
        let store = open();
        let journal = store.recover_journal().unwrap().journal;
        assert_eq!(journal.view, Some((View(2), 0, ViewProof::Initial)));
        assert_eq!(journal.votes, [(Ballot(1), Height(5), a.hash())]);
        assert_eq!(journal.prepared, None);
        assert_eq!(store.journal(&[vote(2, &block(6, 2)), prepared(2, 5, a.hash())]), Ok(()));
        assert!(refused(store.journal(&[view(1, 0)])), "afterwards the rules hold again");
    });
}

#[test]
fn state_certificates_are_kept_by_height_and_the_last_one_stays() {
    on_both(|open| {
        let store = open();
        let mut certificate = StateCertificate {
            statement: statement(5, Hash([2; 32])),
            signers: SignerSet(3),
            signatures: Vec::new(),
        };
        store.put_state_certificate(&certificate).unwrap();
        certificate.signers = SignerSet(7);
        store.put_state_certificate(&certificate).unwrap();
        assert_eq!(store.state_certificate(Height(5)).unwrap(), Some(certificate));
        assert_eq!(store.state_certificate(Height(6)).unwrap(), None);
    });
}
