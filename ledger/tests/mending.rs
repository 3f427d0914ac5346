//! Records that are damaged while a ledger runs: not served, missed, and had again from another replica.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::sync::Arc;

use daruma_ledger::{Depth, Ledger, Remedy, limits::MISSING_MAX};
use daruma_store::{Column, MemoryStore, Store, limits::QUARANTINE_ROWS_MAX};
use daruma_types::{Block, CertifiedBlock, Height, ReplicaId, codec};
use support::{CHAIN, Script, certified, ledger_on, run, transaction, trust};

const BLOCKS: u64 = 9;

fn filled(blocks: u64) -> (Arc<dyn Store>, Ledger, Vec<CertifiedBlock>) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut ledger = ledger_on(Arc::clone(&store));
    for nonce in 1..=blocks {
        run(&mut ledger, vec![transaction(1, nonce, "+a=b")]);
    }
    let all = ledger.reader().certified_blocks(Height(1), usize::MAX, usize::MAX).unwrap();
    (store, ledger, all)
}

fn set(store: &dyn Store, column: Column, height: u64, row: Option<Vec<u8>>) {
    support::set(store, column, &height.to_be_bytes(), row);
}

fn row(store: &dyn Store, column: Column, height: u64) -> Option<Vec<u8>> {
    store.row(column, &height.to_be_bytes()).unwrap()
}

fn served(ledger: &Ledger) -> (u64, Option<Height>) {
    let (blocks, damaged) = ledger.reader().sound_blocks(Height(1), 64, 1 << 20).unwrap();
    (blocks.len() as u64, damaged)
}

#[test]
fn a_damaged_record_is_not_served_and_is_replaced_by_the_true_one_while_the_ledger_runs() {
    for column in [Column::Blocks, Column::Certificates] {
        for height in [1, 5, BLOCKS] {
            let (store, mut ledger, blocks) = filled(BLOCKS);
            let (head, sound) = (ledger.head().clone(), row(&*store, column, height));
            let other = row(&*store, column, height % BLOCKS + 1);
            let mut flipped = sound.clone().unwrap();
            *flipped.last_mut().unwrap() ^= 1;
            for damaged in [None, Some(vec![7; 40]), other, Some(flipped)] {
                set(&*store, column, height, damaged.clone());
                assert_eq!(served(&ledger), (height - 1, Some(Height(height))));
                let told = ledger.check_height(Height(height)).unwrap();
                assert_eq!(told.iter().map(|r| r.remedy).collect::<Vec<_>>(), [Remedy::Missed]);
                assert_eq!(ledger.check_height(Height(height)).unwrap(), [], "told once");
                assert_eq!(ledger.missing(), Some(Height(height)));
                assert_eq!(
                    row(&*store, column, height),
                    damaged,
                    "as it was, until it is replaced"
                );
                assert!(ledger.mend(&blocks[height as usize - 1]).unwrap());
                assert_eq!((row(&*store, column, height), ledger.missing()), (sound.clone(), None));
                assert_eq!(served(&ledger), (BLOCKS, None));
            }
            assert_eq!(ledger.head(), &head);
            let kept = store.rows(Column::Quarantine, b"", usize::MAX).unwrap();
            assert_eq!(kept.len(), 1, "the last of this key");
            let again = Ledger::open(Arc::clone(&store), Arc::new(Script), trust(), Depth::Whole);
            assert_eq!(again.unwrap().1, []);
        }
    }
}

#[test]
fn only_the_block_that_the_own_chain_has_there_takes_the_place_of_a_damaged_one() {
    let (store, mut ledger, blocks) = filled(BLOCKS);
    set(&*store, Column::Blocks, 5, Some(vec![7; 40]));
    let true_one = blocks[4].clone();
    assert!(!ledger.mend(&true_one).unwrap(), "nothing is missed");
    assert_eq!(ledger.check_height(Height(5)).unwrap().len(), 1);
    let (parent, by) = (true_one.block.header.parent, ReplicaId(0));
    let transactions = vec![transaction(1, 99, "+a=c")];
    let other = certified(Block::build(CHAIN, Height(5), parent, by, 5, transactions));
    let mut forged = true_one.clone();
    forged.certificate.signatures.swap(0, 1);
    let mut elsewhere = true_one.clone();
    elsewhere.block = Arc::clone(&other.block);
    for bad in [other, forged, elsewhere, blocks[5].clone(), blocks[3].clone()] {
        assert!(!ledger.mend(&bad).unwrap());
        assert_eq!(row(&*store, Column::Blocks, 5), Some(vec![7; 40]));
    }
    assert!(ledger.mend(&true_one).unwrap());
    assert_eq!(served(&ledger), (BLOCKS, None));
}

#[test]
fn records_damaged_side_by_side_are_replaced_from_the_top_down() {
    let (store, mut ledger, blocks) = filled(BLOCKS);
    for height in [4, 5, 6] {
        set(&*store, Column::Blocks, height, None);
    }
    assert_eq!(ledger.check_height(Height(4)).unwrap().len(), 1);
    for height in [4, 5, 6] {
        // The one above is what proves it: it is missed then, too.
        let missed = Height(height);
        assert_eq!(ledger.missing(), Some(missed));
        assert_eq!(ledger.mend(&blocks[height as usize - 1]).unwrap(), height == 6);
    }
    for height in [5, 4] {
        assert_eq!(ledger.missing(), Some(Height(height)));
        assert!(ledger.mend(&blocks[height as usize - 1]).unwrap());
    }
    assert_eq!((ledger.missing(), served(&ledger)), (None, (BLOCKS, None)));
}

#[test]
fn a_record_above_the_head_that_does_not_prove_itself_goes_to_quarantine_and_nothing_is_missed() {
    let (store, mut ledger, blocks) = filled(BLOCKS);
    let other = codec::encode(blocks[3].block.as_ref());
    for height in [BLOCKS + 1, BLOCKS + 2] {
        set(&*store, Column::Blocks, height, Some(other.clone()));
        let told = ledger.check_height(Height(height)).unwrap();
        assert_eq!(told.iter().map(|r| r.remedy).collect::<Vec<_>>(), [Remedy::Quarantined]);
        assert_eq!((row(&*store, Column::Blocks, height), ledger.missing()), (None, None));
        assert_eq!(ledger.check_height(Height(height)).unwrap(), []);
    }
    run(&mut ledger, vec![transaction(1, 99, "+a=c")]);
    assert_eq!(served(&ledger), (BLOCKS + 1, None));
}

#[test]
fn no_more_is_missed_or_kept_than_the_bounds() {
    let length = MISSING_MAX as u64 + 9;
    let (store, mut ledger, blocks) = filled(length);
    for height in 1..=length {
        set(&*store, Column::Blocks, height, Some(vec![7; 40]));
        assert_eq!(ledger.check_height(Height(height)).unwrap().len(), 1);
    }
    assert_eq!(ledger.check_height(Height(1)).unwrap(), [], "the highest are had first");
    for height in (1..=length).rev().map(Height) {
        let lowest = length - MISSING_MAX as u64;
        assert_eq!(ledger.missing(), (height.0 > lowest).then_some(height));
        let told = ledger.check_height(height).unwrap().len();
        assert_eq!(told, usize::from(height.0 <= lowest), "found again by whoever reads it");
        assert!(ledger.mend(&blocks[height.0 as usize - 1]).unwrap());
    }
    assert_eq!(served(&ledger).1, None);
    assert!(store.rows(Column::Quarantine, b"", usize::MAX).unwrap().len() <= QUARANTINE_ROWS_MAX);
}
