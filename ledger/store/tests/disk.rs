//! What concerns the store on disk, or the damage that a store may meet, only.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::sync::Arc;

use daruma_store::{Column, MemoryStore, Recovered, RocksStore, Store, StoreError};
use daruma_types::{
    Ballot, Block, ChainId, Hash, Height, Promise, ReplicaId, View, ViewProof, codec,
};

fn vote(ballot: u64, height: u64) -> Promise {
    let chain = ChainId(Hash([1; 32]));
    let block = Block::build(chain, Height(height), chain.0, ReplicaId(0), ballot, Vec::new());
    let hash = block.hash();
    Promise::Prepare { ballot: Ballot(ballot), height: Height(height), hash, block: block.into() }
}

#[test]
fn a_folder_that_is_open_cannot_be_opened_again_and_the_error_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let first = RocksStore::open(folder.path()).unwrap();
    let error = RocksStore::open(folder.path()).unwrap_err();
    assert_eq!(error, StoreError::Locked { path: folder.path().to_path_buf() });
    drop(first);
    RocksStore::open(folder.path()).unwrap();
}

#[test]
fn a_path_that_is_no_folder_is_refused_with_its_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = RocksStore::open(file.path()).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    assert!(error.to_string().contains(&file.path().display().to_string()));
}

#[test]
fn a_copy_of_the_folder_made_while_it_is_open_has_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let store = RocksStore::open(folder.path()).unwrap();
    let view = Promise::View { view: View(1), phase: 0, proof: ViewProof::Initial };
    store.journal(&[view, vote(1, 1), vote(1, 2)]).unwrap();
    // What a crash leaves: the files as they are, not closed.
    let crashed = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), crashed.path().join(entry.file_name())).unwrap();
    }
    let found = RocksStore::open(crashed.path()).unwrap().recover_journal().unwrap();
    assert_eq!(found, store.recover_journal().unwrap());
    assert_eq!(found.journal.votes.len(), 2);
}

#[test]
fn a_journal_row_that_is_damaged_is_dropped_and_counted_and_the_rest_is_kept() {
    let store = MemoryStore::new();
    let view = Promise::View { view: View(1), phase: 0, proof: ViewProof::Initial };
    store.journal(&[view, vote(1, 1), vote(1, 2), vote(1, 3)]).unwrap();
    let whole = store.recover_journal().unwrap();
    for key in store.keys(Column::Journal) {
        for bytes in [vec![], vec![0xff; 7], vec![0; 200]] {
            let store = store.copy();
            store.damage(Column::Journal, &key, Some(bytes));
            let Recovered { journal, dropped } = store.recover_journal().unwrap();
            assert_eq!(dropped, 1, "{key:?}");
            let rows = usize::from(journal.view.is_some()) + journal.votes.len();
            let kept = rows + journal.blocks.len();
            assert_eq!(kept, 6);
            assert!(journal.blocks.iter().all(|block| whole.journal.blocks.contains(block)));
        }
    }
    store.damage(Column::Journal, b"t", Some(vec![0; 40]));
    store.damage(Column::Journal, b"b-and-too-long-for-a-body", Some(vec![0; 40]));
    store.damage(Column::Journal, b"stranger", Some(vec![]));
    let found = store.recover_journal().unwrap();
    assert_eq!((found.journal, found.dropped), (whole.journal, 2));
}

#[test]
fn a_damaged_row_is_an_error_that_names_column_and_key() {
    let store = MemoryStore::new();
    store.damage(Column::Certificates, &7_u64.to_be_bytes(), Some(vec![1, 2]));
    let error = store.certificate(Height(7)).unwrap_err().to_string();
    assert!(error.starts_with("certificates/0x0000000000000007 is damaged"), "{error}");
    store.damage(Column::Meta, b"head", Some(codec::encode(&1_u8)));
    assert!(matches!(store.head(), Err(StoreError::Damaged { column: Column::Meta, .. })));
}

#[test]
fn a_flipped_bit_in_a_file_on_disk_is_an_error_and_never_another_value() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = RocksStore::open(folder.path()).unwrap();
        for height in 1..=400 {
            store.journal(&[vote(0, height)]).unwrap();
        }
    }
    // A second start writes what was in the log to table files.
    drop(RocksStore::open(folder.path()).unwrap());
    let files: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    let table = files.iter().find(|path| path.extension().is_some_and(|e| e == "sst")).unwrap();
    let mut bytes = std::fs::read(table).unwrap();
    bytes[100] ^= 1;
    std::fs::write(table, bytes).unwrap();
    let store = RocksStore::open(folder.path()).unwrap();
    let found = store.recover_journal().unwrap();
    assert!(found.dropped > 0);
    assert!(Arc::new(store).journal(&[vote(1, 401)]).is_ok(), "and the replica goes on");
}
