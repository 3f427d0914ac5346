//! An audit names what is wrong and changes nothing.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::sync::Arc;

use daruma_ledger::{Audit, Depth, HeadInfo, Ledger, LedgerError, Trust, audit};
use daruma_store::{CHAIN as CHAIN_ROW, Column, HEAD, Heal, HealComponent, MemoryStore, Store};
use daruma_types::{ChainId, Committee, Ed25519, Hash, Height, Replica, Signer, codec};
use support::{
    CHAIN, LEDGER_COLUMNS, Script, all_rows, block_on, ledger_on, replica_key, run, set,
    state_certificate, transaction, trust,
};

const BLOCKS: u64 = 6;

/// Some blocks with entries and a repeated transaction, attestations, and a record of a repair.
fn filled(store: &Arc<dyn Store>) -> HeadInfo {
    let mut ledger = ledger_on(Arc::clone(store));
    for height in 1..=BLOCKS {
        let put = |number| transaction(number, height, &format!("+k{height}-{number}={height}"));
        let mut transactions: Vec<_> = (0..5).map(put).collect();
        transactions.push(transaction(9, 1, "?k"));
        let executed = run(&mut ledger, transactions);
        store.put_state_certificate(&state_certificate(executed.statement, 2)).unwrap();
    }
    store.note_heals(&[Heal::new(1, HealComponent::Engine, "a", "b")]).unwrap();
    ledger.head().clone()
}

fn look(store: &Arc<dyn Store>, execute: bool) -> Audit {
    let (store, automaton) = (Arc::clone(store), Arc::new(Script));
    audit(store, automaton, trust(), execute, &mut |_| {}).unwrap()
}

#[test]
fn of_a_sound_ledger_nothing_is_found_however_deep_one_looks() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    assert!(look(&store, true).is_clean(), "a new store");
    let head = filled(&store);
    let before = all_rows(&*store);
    let audit = look(&store, true);
    assert_eq!((&audit.findings, &audit.notes), (&vec![], &vec![]));
    assert_eq!(audit.head, Some(head.statement));
    for (what, count) in [
        ("blocks", BLOCKS),
        ("transactions", 6 * BLOCKS),
        ("attestations", BLOCKS),
        ("blocks executed anew", BLOCKS),
        ("records of the heal log", 1),
        ("entries of the state", 5 * BLOCKS + 6),
    ] {
        assert_eq!(audit.looked_at[what], count, "{what}");
    }
    assert_eq!(all_rows(&*store), before);
}

#[test]
fn each_damaged_row_of_each_table_is_named_and_left_as_it_is() {
    let sound = Arc::new(MemoryStore::new());
    filled(&(Arc::clone(&sound) as Arc<dyn Store>));
    for column in LEDGER_COLUMNS.into_iter().chain([Column::HealLog]) {
        for (key, row) in sound.rows(column, b"", usize::MAX).unwrap() {
            let store = sound.copy();
            let mut changed = row;
            let middle = changed.len() / 2;
            changed[middle] ^= 1;
            store.damage(column, &key, Some(changed));
            let store: Arc<dyn Store> = Arc::new(store);
            let before = all_rows(&*store);
            let audit = look(&store, false);
            let named =
                |f: &daruma_ledger::Finding| f.column == column && f.row == Some(key.clone());
            assert!(audit.findings.iter().any(named), "{column:?} {key:?}: {:?}", audit.findings);
            assert_eq!(all_rows(&*store), before, "{column:?}");
        }
    }
}

#[test]
fn many_damaged_rows_are_all_named_in_one_audit() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    filled(&store);
    let at = |height: u64| height.to_be_bytes();
    set(&*store, Column::Blocks, &at(2), Some(vec![1; 60]));
    set(&*store, Column::Receipts, &at(3), None);
    set(&*store, Column::Statements, &at(4), Some(vec![2; 60]));
    set(&*store, Column::Certificates, &at(5), None);
    set(&*store, Column::Journal, b"v", Some(vec![3]));
    set(&*store, Column::Receipts, &at(77), Some(vec![4]));
    let found = look(&store, false).findings;
    for (column, row) in [
        (Column::Blocks, at(2).to_vec()),
        (Column::Receipts, at(3).to_vec()),
        (Column::Statements, at(4).to_vec()),
        (Column::Certificates, at(5).to_vec()),
        (Column::Journal, b"v".to_vec()),
        (Column::Receipts, at(77).to_vec()),
    ] {
        let named = found.iter().any(|f| f.column == column && f.row.as_ref() == Some(&row));
        assert!(named, "{column:?}: {found:?}");
    }
}

#[test]
fn a_head_row_that_is_lost_or_wrong_is_found_and_the_rest_is_compared_all_the_same() {
    for row in [None, Some(vec![7; 9])] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let head = filled(&store);
        set(&*store, Column::Meta, HEAD, row);
        set(&*store, Column::Meta, CHAIN_ROW, Some(vec![1]));
        let audit = look(&store, false);
        let rows: Vec<_> = audit.findings.iter().map(|f| (f.column, f.row.clone())).collect();
        let meta = |key: &[u8]| (Column::Meta, Some(key.to_vec()));
        assert_eq!(rows, [meta(CHAIN_ROW), meta(HEAD)], "{:?}", audit.findings);
        assert_eq!(audit.head, Some(head.statement));
    }
}

#[test]
fn a_result_that_only_executing_again_can_tell_is_wrong_is_found_by_that() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    filled(&store);
    // An automaton that computes something else is what a damaged processor looks like.
    let other: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut ledger = ledger_on(Arc::clone(&other));
    for _ in 1..=3 {
        let block =
            block_on(ledger.head(), vec![transaction(1, ledger.head().claim.height.0 + 1, "+a=1")]);
        ledger.execute(&block).unwrap();
    }
    let forged = ledger.head().statement;
    let right = store.statement(Height(3)).unwrap().unwrap();
    let wrong = daruma_types::Statement { state_root: forged.state_root, ..right };
    set(&*store, Column::Attestations, &3_u64.to_be_bytes(), None);
    let (_, row) = other.rows(Column::Statements, &3_u64.to_be_bytes(), 1).unwrap().remove(0);
    let (statement, guard): (daruma_types::Statement, Hash) = codec::decode(&row).unwrap();
    assert_eq!((statement, guard == Hash::default()), (forged, false));
    let guard =
        Hash::of(daruma_types::HashContext::StateTree, &[b"statement row", &codec::encode(&wrong)]);
    set(&*store, Column::Statements, &3_u64.to_be_bytes(), Some(codec::encode(&(wrong, guard))));
    assert!(look(&store, false).is_clean(), "nothing on this disk tells");
    let found = look(&store, true).findings;
    assert_eq!((found.len(), found[0].column), (1, Column::Statements), "{found:?}");
    assert!(found[0].found.contains(&forged.state_root.to_hex()), "{found:?}");
}

#[test]
fn another_chains_store_is_refused() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    filled(&store);
    let replica = |i| Replica { name: format!("r{i}"), key: replica_key(i).public_key() };
    let chain = ChainId(Hash([99; 32]));
    let committee = Committee::new(chain, 1, (0..4).map(replica).collect()).unwrap();
    let trust = Trust { committee: Arc::new(committee), verifier: Arc::new(Ed25519) };
    let refused = audit(store, Arc::new(Script), trust, false, &mut |_| {});
    assert_eq!(refused, Err(LedgerError::OtherChain { found: CHAIN, expected: chain }));
}

#[test]
fn what_an_audit_finds_a_start_repairs() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let head = filled(&store);
    for column in [Column::Receipts, Column::Tree, Column::State, Column::Attestations] {
        let (key, _) = store.rows(column, b"", 1).unwrap().remove(0);
        set(&*store, column, &key, Some(vec![5; 40]));
    }
    assert!(!look(&store, false).is_clean());
    let opened = Ledger::open(Arc::clone(&store), Arc::new(Script), trust(), Depth::Whole);
    assert_eq!(*opened.unwrap().0.head(), head);
    assert!(look(&store, true).is_clean(), "{:?}", look(&store, true));
}

#[cfg(feature = "rocks")]
mod on_disk {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};

    use daruma_store::{ReadOnly, RocksStore};

    use super::*;

    fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
    }

    #[test]
    fn a_bit_in_a_file_is_found_with_its_rows_and_no_byte_of_the_folder_is_changed() {
        let (folder, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store: Arc<dyn Store> = Arc::new(RocksStore::open(folder.path()).unwrap());
        filled(&store);
        drop(store);
        // A second opening writes what was in the log to table files.
        drop(RocksStore::open(folder.path()).unwrap());
        let mut tables = 0;
        for (path, bytes) in files(folder.path()) {
            if path.extension().is_none_or(|extension| extension != "sst") {
                continue;
            }
            // Early in the file lie its rows.
            let mut changed = bytes.clone();
            changed[30] ^= 1;
            fs::write(&path, changed).unwrap();
            let before = files(folder.path());
            let opened = RocksStore::open_read_only(folder.path(), scratch.path()).unwrap();
            let ReadOnly::Opened { store, log_damage: None } = opened else { panic!("{opened:?}") };
            let found = look(&(store.clone() as Arc<dyn Store>), false).findings;
            assert!(store.file_damage().is_some() && !found.is_empty(), "{}", path.display());
            drop(store);
            assert!(files(folder.path()) == before, "the folder was changed");
            fs::write(&path, bytes).unwrap();
            tables += 1;
        }
        assert!(tables > 0);
        let opened = RocksStore::open_read_only(folder.path(), scratch.path()).unwrap();
        let ReadOnly::Opened { store, .. } = opened else { panic!("{opened:?}") };
        assert_eq!(look(&(store as Arc<dyn Store>), true).findings, []);
    }
}
