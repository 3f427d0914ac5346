//! The heal log: bounded, chained, and mended by itself where rows of it are lost.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use daruma_store::{
    Batch, Column, Heal, HealComponent, HealRecord, MemoryStore, Store, check_heals, limits,
};
use support::on_both;

fn heal(at_ms: u64) -> Heal {
    Heal::new(at_ms, HealComponent::Ledger, format!("found at {at_ms}"), "mended")
}

/// All records, the oldest first.
fn all(store: &dyn Store) -> Vec<HealRecord> {
    let (mut records, mut before) = (Vec::new(), None);
    loop {
        let page = store.heals_before(before, limits::HEAL_PAGE_MAX).unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.sequence);
        records.extend(page);
    }
    records.reverse();
    records
}

fn set(store: &dyn Store, sequence: u64, row: Option<Vec<u8>>) {
    let mut batch = Batch::default();
    batch.set(Column::HealLog, sequence.to_be_bytes().to_vec(), row);
    store.mend(batch).unwrap();
}

fn row(store: &dyn Store, sequence: u64) -> Vec<u8> {
    store.row(Column::HealLog, &sequence.to_be_bytes()).unwrap().unwrap()
}

#[test]
fn records_are_numbered_chained_and_there_after_a_restart() {
    on_both(|open| {
        let store = open();
        assert_eq!(store.heals_before(None, 10).unwrap(), []);
        store.note_heals(&[heal(1), heal(2)]).unwrap();
        drop(store);
        let store = open();
        store.note_heals(&[heal(3)]).unwrap();
        let records = all(&*store);
        let times: Vec<u64> = records.iter().map(|record| record.heal.at_ms).collect();
        assert_eq!((times, check_heals(&records)), (vec![1, 2, 3], vec![]));
        assert_eq!(store.heal_bounds(), (0, 3));
        let newest = store.heals_before(None, 1).unwrap();
        assert_eq!(newest[0].sequence, 2);
        assert_eq!(store.heals_before(Some(2), 1).unwrap()[0].sequence, 1);
    });
}

#[test]
fn the_log_is_bounded_in_records_and_bytes_and_stays_chained() {
    let store = MemoryStore::new();
    let long = "x".repeat(100_000);
    let over = limits::HEAL_RECORDS_MAX + 10;
    for at_ms in 0..over {
        let heal = Heal { cause: long.clone(), done: long.clone(), ..heal(at_ms) };
        store.note_heals(&[heal.with_evidence(long.clone())]).unwrap();
    }
    assert_eq!(store.heal_bounds(), (10, over));
    let rows = store.rows(Column::HealLog, b"", usize::MAX).unwrap();
    assert_eq!(rows.len() as u64, limits::HEAL_RECORDS_MAX);
    assert!(rows.iter().map(|(key, row)| key.len() + row.len()).sum::<usize>() < 8 << 20);
    assert_eq!(check_heals(&all(&store)), []);
    let again = store.copy();
    assert_eq!((again.heal_bounds(), again.heal_faults()), ((10, over), vec![]));
}

#[test]
fn a_lost_or_damaged_record_anywhere_is_replaced_by_one_that_says_so() {
    on_both(|open| {
        let store = open();
        store.note_heals(&(0..8).map(heal).collect::<Vec<_>>()).unwrap();
        // Missing, damaged, another's, and the newest.
        let other = row(&*store, 1);
        set(&*store, 2, None);
        set(&*store, 4, Some(vec![1, 2, 3]));
        set(&*store, 5, Some(other));
        let mut last = row(&*store, 7);
        last[20] ^= 1;
        set(&*store, 7, Some(last));
        drop(store);

        let store = open();
        assert_eq!(store.heal_faults().len(), 4);
        assert_eq!(store.mend_heal_log(99).unwrap(), 4);
        store.note_heals(&[heal(100)]).unwrap();
        drop(store);

        let store = open();
        assert_eq!(store.heal_faults(), []);
        let records = all(&*store);
        assert_eq!(check_heals(&records), []);
        let replaced = records.iter().filter(|r| r.heal.component == HealComponent::HealLog);
        let replaced: Vec<u64> = replaced.map(|record| record.sequence).collect();
        assert_eq!(replaced, [2, 4, 5, 7]);
        assert_eq!((records.len(), records[8].heal.at_ms), (9, 100));
    });
}

#[test]
fn garbage_in_the_log_neither_stops_it_nor_makes_it_long() {
    on_both(|open| {
        let store = open();
        store.note_heals(&(0..3).map(heal).collect::<Vec<_>>()).unwrap();
        let mut batch = Batch::default();
        batch.put(Column::HealLog, b"no number".to_vec(), vec![1]);
        batch.put(Column::HealLog, u64::MAX.to_be_bytes().to_vec(), vec![2]);
        batch.put(Column::HealLog, 5000_u64.to_be_bytes().to_vec(), vec![3]);
        store.mend(batch).unwrap();
        drop(store);

        let store = open();
        assert_eq!(store.mend_heal_log(9).unwrap(), 3);
        drop(store);

        let store = open();
        assert_eq!((store.heal_faults(), store.heal_bounds()), (vec![], (0, 4)));
        let records = all(&*store);
        assert_eq!((records[3].heal.component, records[3].heal.count), (HealComponent::HealLog, 3));
    });
}

#[test]
fn a_forged_record_far_above_the_others_ends_the_log_below_it() {
    let (store, other) = (MemoryStore::new(), MemoryStore::new());
    store.note_heals(&[heal(1)]).unwrap();
    for at_ms in 0..200 {
        other.note_heals(&[heal(at_ms)]).unwrap();
    }
    set(&store, 199, Some(row(&other, 199)));
    let store = store.copy();
    store.mend_heal_log(9).unwrap();
    let (first, next) = store.heal_bounds();
    assert_eq!((first, next), (199, 201), "the forged one, and what was removed below it");
    assert_eq!(check_heals(&all(&store)), []);
    assert_eq!(store.copy().heal_faults(), []);
}
