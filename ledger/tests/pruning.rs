//! Pruning, and what is made of a pruned ledger whose derived rows are damaged.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::sync::Arc;

use daruma_ledger::{
    Depth, HeldState, Ledger, LedgerError, LedgerRepair, MemoryShelf, Remedy, Restored,
    SnapshotShelf, audit,
};
use daruma_store::{Column, MemoryStore, Store};
use daruma_types::{CertifiedBlock, Height, Transaction, limits::CHUNK_BYTES};
use support::*;

struct Pruned {
    store: Arc<MemoryStore>,
    shelf: Arc<MemoryShelf>,
    ledger: Ledger,
    blocks: Vec<CertifiedBlock>,
    transactions: Vec<Transaction>,
}

fn open(store: &Arc<MemoryStore>, shelf: &Arc<MemoryShelf>) -> (Ledger, Vec<LedgerRepair>) {
    let store: Arc<dyn Store> = store.clone();
    Ledger::open_with(store, Arc::new(Script), trust(), Depth::Whole, shelf.clone()).unwrap()
}

/// Twenty blocks, all attested, with snapshots at 10 and 16.
fn story() -> Pruned {
    let (store, shelf) = (Arc::new(MemoryStore::new()), Arc::new(MemoryShelf::default()));
    let (mut ledger, _) = open(&store, &shelf);
    let (mut blocks, mut transactions) = (Vec::new(), Vec::new());
    for nonce in 1..=20 {
        let transaction = transaction(1, nonce, &format!("+k{nonce}=v;+last={nonce}"));
        let block = block_on(ledger.head(), vec![transaction.clone()]);
        let statement = ledger.execute(&block).unwrap().statement;
        store.put_state_certificate(&state_certificate(statement, 2)).unwrap();
        if nonce == 10 || nonce == 16 {
            let held = HeldState::hold(store.as_ref(), &ledger.reader()).unwrap();
            let checkpoint = ledger.reader().checkpoint(statement.height).unwrap().unwrap();
            held.write(shelf.as_ref(), CHUNK_BYTES, &mut |_| true)
                .unwrap()
                .finish(&checkpoint)
                .unwrap();
        }
        blocks.push(block);
        transactions.push(transaction);
    }
    Pruned { store, shelf, ledger, blocks, transactions }
}

fn pruned() -> Pruned {
    let mut story = story();
    assert_eq!(story.ledger.prune(Height(8)).unwrap(), Height(8));
    while story.ledger.remove_pruned().unwrap() {}
    story
}

#[test]
fn bodies_and_receipts_go_and_what_proves_the_chain_stays() {
    let Pruned { store, shelf, ledger, transactions, .. } = pruned();
    let reader = ledger.reader();
    for height in (1..=20).map(Height) {
        let kept = height >= Height(8);
        assert_eq!(reader.block(height).unwrap().is_some(), kept);
        assert_eq!(reader.receipts(height).unwrap().is_some(), kept);
        assert_eq!(reader.expect_kept(height).is_ok(), kept);
        assert!(reader.header(height).unwrap().is_some());
        assert!(reader.certificate(height).unwrap().is_some());
        assert!(reader.state_certificate(height).unwrap().is_some());
    }
    let proof = |index: usize| reader.transaction_proof(&transactions[index].hash(CHAIN));
    assert!(proof(7).unwrap().is_some());
    let why = proof(6).unwrap_err();
    assert_eq!(why, LedgerError::Pruned { height: Height(7), earliest: Height(8) });
    let head = ledger.head().clone();
    drop(ledger);
    let (ledger, repairs) = open(&store, &shelf);
    assert_eq!((ledger.head(), repairs), (&head, vec![]));
}

#[test]
fn an_audit_takes_neither_pruned_blocks_nor_half_a_snapshot_for_damage_and_finds_a_damaged_base() {
    let look = |store: &Arc<MemoryStore>| {
        audit(store.clone(), Arc::new(Script), trust(), true, &mut |_| {}).unwrap()
    };
    let Pruned { store, shelf, mut ledger, .. } = pruned();
    let found = look(&store);
    assert_eq!((found.findings, found.more), (vec![], 0));
    assert_eq!(found.head, Some(ledger.head().statement));
    assert_eq!((found.looked_at["blocks"], found.notes.len()), (13, 2), "{:?}", found.notes);
    // Whoever serves blocks may ask about a pruned one.
    assert_eq!(ledger.check_height(Height(3)).unwrap(), vec![]);
    assert_eq!(ledger.missing(), None);

    let restoring = Arc::new(MemoryStore::new());
    let (mut half, _) = open(&restoring, &Arc::default());
    assert!(half.restore(shelf.checkpoint(Height(16)).unwrap().unwrap()).unwrap());
    let found = look(&restoring);
    assert_eq!((found.findings, found.notes.len()), (vec![], 1));

    store.damage(Column::Meta, b"base", Some(vec![1]));
    assert!(look(&store).findings.iter().any(|f| f.row.as_deref() == Some(b"base".as_slice())));
}

#[test]
fn nothing_is_pruned_that_no_snapshot_lies_above() {
    let Pruned { mut ledger, .. } = story();
    assert_eq!(ledger.prune(Height(20)).unwrap(), Height(11));
    let (store, shelf) = (Arc::new(MemoryStore::new()), Arc::new(MemoryShelf::default()));
    let (mut ledger, _) = open(&store, &shelf);
    run(&mut ledger, vec![transaction(1, 1, "+k=v")]);
    assert_eq!(ledger.prune(Height(20)).unwrap(), Height(1));
}

#[test]
fn a_damaged_state_is_made_again_from_the_highest_snapshot() {
    for (column, what) in [(Column::State, "state"), (Column::Tree, "tree")] {
        let Pruned { store, shelf, ledger, .. } = pruned();
        let head = ledger.head().clone();
        drop(ledger);
        for key in store.keys(Column::State) {
            store.damage(Column::State, &key, Some(vec![1]));
        }
        for key in store.keys(column) {
            store.damage(column, &key, None);
        }
        let (ledger, repairs) = open(&store, &shelf);
        assert_eq!(ledger.head(), &head, "{what}");
        let from = |r: &&LedgerRepair| r.found == "was restored from a snapshot";
        let from: Vec<Height> = repairs.iter().filter(from).map(|r| r.height).collect();
        assert_eq!(from, [Height(16)]);
        drop(ledger);
        assert_eq!(open(&store, &shelf).1, []);
    }
}

#[test]
fn a_hole_in_the_chain_lowers_the_head_to_below_it_and_a_lower_snapshot_serves() {
    let Pruned { store, shelf, ledger, .. } = pruned();
    drop(ledger);
    store.damage(Column::Blocks, &13_u64.to_be_bytes(), None);
    let (ledger, _) = open(&store, &shelf);
    assert_eq!(ledger.head().claim.height, Height(12));
    drop(ledger);
    assert_eq!(open(&store, &shelf).1, []);
}

#[test]
fn a_damaged_snapshot_is_dropped_and_the_one_before_it_serves() {
    let Pruned { store, shelf, ledger, .. } = pruned();
    let head = ledger.head().clone();
    drop(ledger);
    let from = shelf.beginnings(Height(16))[0];
    shelf.damage(Height(16), &from, |chunk| chunk[40] ^= 1);
    for key in store.keys(Column::State) {
        store.damage(Column::State, &key, Some(vec![1]));
    }
    let (ledger, _) = open(&store, &shelf);
    assert_eq!(ledger.head(), &head);
    assert_eq!(shelf.heights().unwrap(), [Height(10)]);
}

#[test]
fn without_a_snapshot_a_damaged_state_waits_for_one_and_the_blocks_above_it_are_executed_then() {
    let Pruned { store, shelf, ledger, blocks, .. } = pruned();
    let head = ledger.head().clone();
    drop(ledger);
    let elsewhere = MemoryShelf::default();
    for height in [Height(10), Height(16)] {
        let checkpoint = shelf.checkpoint(height).unwrap().unwrap();
        let mut writer = elsewhere.begin(height).unwrap();
        for from in shelf.beginnings(height) {
            let chunk = shelf.chunk(height, &from).unwrap().unwrap();
            writer.chunk(from, &chunk).unwrap();
        }
        writer.finish(&checkpoint).unwrap();
        shelf.remove(height).unwrap();
    }
    for key in store.keys(Column::State) {
        store.damage(Column::State, &key, None);
    }
    let (mut ledger, repairs) = open(&store, &shelf);
    assert_eq!(ledger.head().claim.height, Height(0));
    assert!(repairs.iter().any(|r| r.column == Column::Meta && r.remedy == Remedy::Removed));
    assert!(ledger.execute(&blocks[0]).is_ok(), "it may begin from the genesis, too");
    drop(ledger);
    let (mut ledger, _) = open(&store, &shelf);
    let checkpoint = elsewhere.checkpoint(Height(16)).unwrap().unwrap();
    assert!(ledger.restore(checkpoint).unwrap());
    let from = ledger.restoring().unwrap().next();
    let chunk = elsewhere.chunk(Height(16), &from).unwrap().unwrap();
    let Restored::Done(_) = ledger.restore_chunk(from, &chunk).unwrap() else {
        panic!("there is one chunk");
    };
    assert_eq!(ledger.head(), &head);
    assert_eq!(ledger.base(), Height(16));
    assert!(ledger.reader().block(Height(16)).unwrap().is_none());
    drop(ledger);
    assert_eq!(open(&store, &shelf).1, []);
}

#[test]
fn a_damaged_base_or_a_row_that_it_vouches_for_is_mended_or_leads_to_a_ledger_that_can_be_restored()
{
    let rows = [
        (Column::Certificates, 7_u64.to_be_bytes().to_vec()),
        (Column::Statements, 7_u64.to_be_bytes().to_vec()),
    ];
    for (column, key) in rows {
        let Pruned { store, shelf, ledger, .. } = pruned();
        let head = ledger.head().clone();
        drop(ledger);
        store.damage(column, &key, Some(vec![1, 2, 3]));
        let (ledger, repairs) = open(&store, &shelf);
        assert_eq!((ledger.head(), repairs.len()), (&head, 1), "{column:?} {repairs:?}");
    }
    let Pruned { store, shelf, ledger, .. } = pruned();
    drop(ledger);
    store.damage(Column::Meta, b"base", Some(vec![1, 2, 3]));
    let (mut ledger, _) = open(&store, &shelf);
    assert_eq!(ledger.head().claim.height, Height(0));
    let checkpoint = shelf.checkpoint(Height(16)).unwrap().unwrap();
    assert!(ledger.restore(checkpoint).unwrap());
}
