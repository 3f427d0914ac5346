//! A ledger that is looked through while it runs: what is damaged is found within one pass and repaired, what is
//! sound is not written, and blocks are executed all the while.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::sync::Arc;

use daruma_ledger::{Depth, Ledger, LedgerRepair, Remedy, Scrubber, Suspect, audit, limits};
use daruma_store::{Batch, CHAIN as CHAIN_ROW, Column, HEAD, Location, MemoryStore, Store};
use daruma_types::{CertifiedBlock, Hash, Height, codec};
use support::{Script, block_on, ledger_on, run, state_certificate, transaction, trust};

const BLOCKS: u64 = 3;

/// Some blocks with entries, a repeated transaction, and attestations.
fn filled() -> MemoryStore {
    let memory = MemoryStore::new();
    let store: Arc<dyn Store> = Arc::new(memory.copy());
    let mut ledger = ledger_on(Arc::clone(&store));
    for height in 1..=BLOCKS {
        let put = |number| transaction(number, height, &format!("+k{height}-{number}={height}"));
        let mut transactions: Vec<_> = (0..4).map(put).collect();
        transactions.push(transaction(9, 1, "?k"));
        let executed = run(&mut ledger, transactions);
        store.put_state_certificate(&state_certificate(executed.statement, 2)).unwrap();
    }
    let copy = MemoryStore::new();
    for column in Column::ALL {
        for (key, row) in store.rows(column, b"", usize::MAX).unwrap() {
            set(&copy, column, &key, Some(row));
        }
    }
    copy
}

fn set(store: &dyn Store, column: Column, key: &[u8], value: Option<Vec<u8>>) {
    let mut batch = Batch::default();
    batch.set(column, key.to_vec(), value);
    store.mend(batch).unwrap();
}

fn all_rows(store: &dyn Store) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    Column::ALL.map(|column| store.rows(column, b"", usize::MAX).unwrap()).into()
}

/// One pass, with a block executed after each step, as a replica does it: what is found is settled, what is
/// missed is had from `others`, and what an execution finds is repaired.
fn pass(
    scrubber: &mut Scrubber,
    ledger: &mut Ledger,
    others: &[CertifiedBlock],
) -> (Vec<Suspect>, Vec<LedgerRepair>) {
    let (mut suspects, mut repairs, mut steps) = (Vec::new(), Vec::new(), 0);
    loop {
        let scrubbed = scrubber.step().unwrap();
        assert!(scrubbed.rows <= 3 * limits::SCRUB_ROWS_AT_ONCE as u64);
        for suspect in scrubbed.suspects {
            repairs.extend(ledger.settle(&suspect).unwrap());
            suspects.push(suspect);
        }
        while let Some(height) = ledger.missing() {
            assert!(ledger.mend(&others[height.0 as usize - 1]).unwrap(), "{height}");
        }
        if scrubbed.pass_done {
            return (suspects, repairs);
        }
        steps += 1;
        let nonce = 1000 + ledger.head().claim.height.0;
        let operation = format!("+new{steps}=1;-new{};+k1-1={steps}", steps - 1);
        loop {
            let block = block_on(ledger.head(), vec![transaction(8, nonce, &operation)]);
            match ledger.execute(&block) {
                Ok(_) => break,
                Err(damage) if damage.is_damage() => {
                    repairs.extend(ledger.check_again(Depth::Whole).unwrap());
                }
                Err(failed) => panic!("{failed}"),
            }
        }
    }
}

fn is_clean(store: &Arc<dyn Store>) {
    let audit = audit(Arc::clone(store), Arc::new(Script), trust(), true, &mut |_| {}).unwrap();
    assert!(audit.is_clean(), "{:?}", audit.findings);
}

/// A running ledger on a copy of `sound`, a scrubber, and the blocks that other replicas have.
fn running(sound: &MemoryStore) -> (Arc<dyn Store>, Ledger, Scrubber, Vec<CertifiedBlock>) {
    let store: Arc<dyn Store> = Arc::new(sound.copy());
    let ledger = ledger_on(Arc::clone(&store));
    let blocks = ledger.reader().certified_blocks(Height(1), usize::MAX, usize::MAX).unwrap();
    let scrubber = Scrubber::new(&ledger);
    (store, ledger, scrubber, blocks)
}

#[test]
fn of_a_sound_ledger_nothing_is_found_and_nothing_is_written() {
    let empty: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let new = ledger_on(Arc::clone(&empty));
    for (store, ledger) in [(empty, new), {
        let (store, ledger, _, _) = running(&filled());
        (store, ledger)
    }] {
        let (before, mut scrubber) = (all_rows(&*store), Scrubber::new(&ledger));
        for _ in 0..3 {
            while !{
                let scrubbed = scrubber.step().unwrap();
                assert_eq!(scrubbed.suspects, []);
                scrubbed.pass_done
            } {}
        }
        assert_eq!(all_rows(&*store), before);
    }
}

#[test]
fn each_damaged_row_of_a_running_ledger_is_repaired_within_one_pass() {
    let sound = filled();
    for column in [
        Column::Blocks,
        Column::Certificates,
        Column::Headers,
        Column::Transactions,
        Column::Receipts,
        Column::Statements,
        Column::State,
        Column::Tree,
        Column::Attestations,
    ] {
        let rows = sound.rows(column, b"", usize::MAX).unwrap();
        for (at, (key, row)) in rows.iter().enumerate() {
            let mut flipped = row.clone();
            let middle = flipped.len() / 2;
            flipped[middle] ^= 1;
            let other = rows[(at + 1) % rows.len()].1.clone();
            for damaged in [None, Some(flipped), Some(vec![7; 40]), Some(other)] {
                if damaged.as_ref() == Some(row)
                    || (damaged.is_none() && column == Column::Attestations)
                {
                    continue;
                }
                let (store, mut ledger, mut scrubber, blocks) = running(&sound);
                set(&*store, column, key, damaged.clone());
                let (_, repairs) = pass(&mut scrubber, &mut ledger, &blocks);
                let what = format!("{} {key:?} {damaged:?}", column.name());
                // What a block overwrote before anybody looked is no damage any more.
                assert!(!repairs.is_empty() || column == Column::State, "{what}");
                is_clean(&store);
                let now = store.row(column, key).unwrap();
                let changes = matches!(column, Column::State | Column::Tree);
                match column {
                    Column::Attestations => assert_eq!(now, None, "{what}: dropped"),
                    _ => assert!(changes || now.as_ref() == Some(row), "{what}: {now:?}"),
                }
                assert_eq!(pass(&mut scrubber, &mut ledger, &blocks).0, [], "{what}: again");
            }
        }
    }
}

#[test]
fn rows_of_no_block_and_rows_that_name_head_and_chain_are_put_right_within_one_pass() {
    let at = |height: u64| height.to_be_bytes().to_vec();
    let place = |height| codec::encode(&Location { height: Height(height), index: 0 });
    let sound = filled();
    let header = sound.rows(Column::Headers, b"", 1).unwrap().remove(0).1;
    let block = sound.row(Column::Blocks, &at(2)).unwrap().unwrap();
    for (column, key, row) in [
        (Column::Meta, HEAD.to_vec(), vec![7; 9]),
        (Column::Meta, CHAIN_ROW.to_vec(), vec![1]),
        (Column::Receipts, at(777), vec![4]),
        (Column::Statements, at(0), vec![4]),
        (Column::Certificates, at(0), vec![4]),
        (Column::Statements, vec![1, 2], vec![4]),
        (Column::Headers, vec![9; 32], header),
        (Column::Transactions, vec![9; 32], place(3)),
        (Column::Transactions, vec![9; 32], place(777)),
        (Column::Transactions, vec![9; 32], vec![1]),
        (Column::Tree, vec![3, 0x12, 0x30], vec![0; 4]),
        (Column::Tree, vec![200], vec![0; 4]),
        (Column::State, b"stranger".to_vec(), vec![1]),
        (Column::Blocks, at(700), block),
        (Column::Blocks, vec![0; 9], vec![3]),
        (Column::Blocks, vec![255; 9], vec![3]),
    ] {
        let (store, mut ledger, mut scrubber, blocks) = running(&sound);
        set(&*store, column, &key, Some(row.clone()));
        let what = format!("{} {key:?} {row:?}", column.name());
        let (_, repairs) = pass(&mut scrubber, &mut ledger, &blocks);
        assert!(repairs.len() == 1 || column == Column::State, "{what}: {repairs:?}");
        assert!(repairs.iter().all(|r| r.remedy != Remedy::Lowered), "{what}: {repairs:?}");
        assert_ne!(store.row(column, &key).unwrap(), Some(row), "{what}");
        is_clean(&store);
        assert_eq!(pass(&mut scrubber, &mut ledger, &blocks).0, [], "{what}: again");
    }
}

#[test]
fn entries_that_come_and_go_while_a_large_state_is_gone_through_are_no_finding_and_a_lost_one_is() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut ledger = ledger_on(Arc::clone(&store));
    for part in 0..8_u64 {
        let puts: Vec<String> = (0..250).map(|n| format!("+{part}-{n}=1")).collect();
        run(&mut ledger, vec![transaction(1, part + 1, &puts.join(";"))]);
    }
    let (mut scrubber, mut steps) = (Scrubber::new(&ledger), 0_u64);
    let mut churn = |ledger: &mut Ledger, scrubber: &mut Scrubber| loop {
        let scrubbed = scrubber.step().unwrap();
        if scrubbed.pass_done || !scrubbed.suspects.is_empty() {
            break scrubbed.suspects;
        }
        steps += 1;
        // Keys all over the tree are written, removed, and written again.
        let churned: Vec<String> = (0..40)
            .map(|n| match (steps + n) % 3 {
                0 => format!("-{}-{}", n % 8, (steps * 7 + n) % 250),
                _ => format!("+{}-{}={steps}", n % 8, (steps * 7 + n) % 250),
            })
            .collect();
        run(ledger, vec![transaction(2, steps, &churned.join(";"))]);
    };
    for _ in 0..4 {
        assert_eq!(churn(&mut ledger, &mut scrubber), []);
    }
    let (lost, _) = store.rows(Column::State, b"", 1000).unwrap().pop().unwrap();
    set(&*store, Column::State, &lost, None);
    let mut scrubber = Scrubber::new(&ledger);
    let found = std::iter::repeat_with(|| scrubber.step().unwrap())
        .find(|scrubbed| scrubbed.pass_done)
        .unwrap();
    assert_eq!(found.suspects, [Suspect::Table(Column::State, "lacks an entry that the tree has")]);
    assert!(!ledger.settle(&found.suspects[0]).unwrap().is_empty());
    assert!(store.row(Column::State, &lost).unwrap().is_some());
    is_clean(&store);
}

#[test]
fn a_check_of_everything_waits_until_records_that_are_missed_were_had() {
    let (store, mut ledger, _, blocks) = running(&filled());
    let head = ledger.head().clone();
    let key = 3_u64.to_be_bytes();
    for column in [Column::Blocks, Column::Receipts] {
        set(&*store, column, &key, None);
    }
    let repairs = ledger.settle(&Suspect::Height(Height(3))).unwrap();
    assert_eq!(repairs.iter().map(|r| r.remedy).collect::<Vec<_>>(), [Remedy::Missed]);
    let table = Suspect::Table(Column::State, "is wrong");
    assert_eq!(ledger.settle(&table).unwrap(), [], "the head would be lowered");
    assert_eq!(ledger.head(), &head);
    assert!(ledger.mend(&blocks[2]).unwrap());
    assert!(!ledger.settle(&Suspect::Height(Height(3))).unwrap().is_empty());
    assert_eq!((ledger.head(), ledger.head().claim.hash == Hash::default()), (&head, false));
    is_clean(&store);
}
