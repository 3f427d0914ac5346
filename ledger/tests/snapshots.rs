//! Snapshots: whoever trusts nothing but the chainspec gets the same state from them, whatever is
//! interrupted and whoever lies.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::sync::Arc;

use daruma_ledger::{
    ChunkFault, FolderShelf, HeldState, Ledger, LedgerError, MemoryShelf, Restored, SnapshotShelf,
    verify_snapshot,
};
use daruma_store::{MemoryStore, Store};
use daruma_types::{Checkpoint, Hash, Height, limits::CHUNK_BYTES};
use support::*;

const START: Hash = Hash([0; 32]);

/// Executes blocks that write `count` entries with values of `bytes` bytes.
fn fill(ledger: &mut Ledger, count: usize, bytes: usize) {
    let per_block = (900 * 1024 / (bytes + 20)).min(count);
    let mut written = 0;
    while written < count {
        let keys = written..count.min(written + per_block);
        written = keys.end;
        let nonce = ledger.head().claim.height.0 + 1;
        let steps: Vec<String> = keys.map(|key| format!("+k{key}={}", "v".repeat(bytes))).collect();
        run(ledger, vec![transaction(1, nonce, &steps.join(";"))]);
    }
}

/// The ledger's head as a checkpoint, attested by two replicas.
fn checkpoint(ledger: &Ledger, store: &dyn Store) -> Checkpoint {
    let statement = ledger.head().statement;
    store.put_state_certificate(&state_certificate(statement, 2)).unwrap();
    ledger.reader().checkpoint(statement.height).unwrap().unwrap()
}

/// Makes a snapshot of the ledger's head.
fn snapshot(ledger: &Ledger, store: &dyn Store, shelf: &dyn SnapshotShelf) -> Checkpoint {
    let checkpoint = checkpoint(ledger, store);
    let held = HeldState::hold(store, &ledger.reader()).unwrap();
    held.write(shelf, CHUNK_BYTES, &mut |_| true).unwrap().finish(&checkpoint).unwrap();
    checkpoint
}

/// A ledger of many chunks, with a snapshot of its head.
fn source() -> (Ledger, MemoryShelf, Checkpoint) {
    let store = Arc::new(MemoryStore::new());
    let mut ledger = ledger_on(store.clone());
    fill(&mut ledger, 400, 6_000);
    let shelf = MemoryShelf::default();
    let checkpoint = snapshot(&ledger, store.as_ref(), &shelf);
    (ledger, shelf, checkpoint)
}

fn next_chunk(ledger: &Ledger, shelf: &dyn SnapshotShelf) -> (Hash, Vec<u8>) {
    let restoring = ledger.restoring().unwrap();
    let (height, from) = (restoring.checkpoint.height(), restoring.next());
    (from, shelf.chunk(height, &from).unwrap().unwrap())
}

#[test]
fn a_snapshot_gives_the_same_ledger_also_if_it_is_interrupted_after_every_chunk() {
    let (mut source, shelf, checkpoint) = source();
    let chunks = shelf.beginnings(checkpoint.height()).len();
    assert!(chunks > 4, "{chunks}");
    let after = block_on(source.head(), vec![transaction(2, 1, "?k7;+k8=new")]);
    let executed = source.execute(&after).unwrap();
    on_both(|open| {
        let mut ledger = open();
        run(&mut ledger, vec![transaction(3, 1, "+other=chain")]);
        assert!(ledger.restore(checkpoint.clone()).unwrap());
        for chunk in 1..=chunks {
            drop(std::mem::replace(&mut ledger, ledger_on(Arc::new(MemoryStore::new()))));
            ledger = open();
            assert_eq!(ledger.head().statement, *checkpoint.statement());
            assert_eq!(ledger.reader().head().unwrap().claim.height, Height(0));
            let refused = ledger.execute(&after).unwrap_err();
            assert!(matches!(refused, LedgerError::Restoring { .. }), "{refused}");
            let (from, bytes) = next_chunk(&ledger, &shelf);
            let restored = ledger.restore_chunk(from, &bytes).unwrap();
            assert_eq!(matches!(restored, Restored::Done(_)), chunk == chunks, "{restored:?}");
        }
        assert_eq!(ledger.head().statement, *checkpoint.statement());
        assert_eq!(ledger.execute(&after).unwrap(), executed);
        drop(std::mem::replace(&mut ledger, ledger_on(Arc::new(MemoryStore::new()))));
        // Looked at as a whole, nothing is found to repair.
        ledger = open();
        assert_eq!(ledger.head(), source.head());
        assert_eq!(ledger.base(), checkpoint.height());
        assert_eq!(ledger.reader().earliest(), checkpoint.height().next());
        let pruned = ledger.reader().expect_kept(checkpoint.height()).unwrap_err();
        assert!(matches!(pruned, LedgerError::Pruned { .. }), "{pruned}");
    });
}

#[test]
fn a_chunk_that_was_changed_anywhere_is_refused_and_the_true_one_still_taken() {
    let (_, shelf, checkpoint) = source();
    let mut ledger = ledger_on(Arc::new(MemoryStore::new()));
    assert!(ledger.restore(checkpoint).unwrap());
    let (from, bytes) = next_chunk(&ledger, &shelf);
    // Every byte of the proof and of the first entries, and some of the others.
    let places = (0..4_000).chain((4_000..bytes.len()).step_by(997)).filter(|at| *at < bytes.len());
    for place in places {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        let restored = ledger.restore_chunk(from, &changed).unwrap();
        assert!(matches!(restored, Restored::Refused(_)), "byte {place}: {restored:?}");
    }
    let short = ledger.restore_chunk(from, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(short, Restored::Refused(ChunkFault::Malformed));
    assert_eq!(ledger.restoring().unwrap().next(), from);
    assert!(matches!(ledger.restore_chunk(from, &bytes).unwrap(), Restored::Next(_)));
    assert_eq!(ledger.restore_chunk(from, &bytes).unwrap(), Restored::NotWanted);
}

#[test]
fn the_chunk_of_another_place_or_another_state_is_refused() {
    let (mut source, shelf, checkpoint) = source();
    let mut ledger = ledger_on(Arc::new(MemoryStore::new()));
    assert!(ledger.restore(checkpoint.clone()).unwrap());
    let beginnings = shelf.beginnings(checkpoint.height());
    let second = shelf.chunk(checkpoint.height(), &beginnings[1]).unwrap().unwrap();
    let restored = ledger.restore_chunk(START, &second).unwrap();
    assert!(matches!(restored, Restored::Refused(_)), "{restored:?}");
    run(&mut source, vec![transaction(2, 1, "+k0=other")]);
    let store = Arc::new(MemoryStore::new());
    let mut other = ledger_on(store.clone());
    fill(&mut other, 400, 6_001);
    let later = MemoryShelf::default();
    let another = snapshot(&other, store.as_ref(), &later);
    let chunk = later.chunk(another.height(), &START).unwrap().unwrap();
    let restored = ledger.restore_chunk(START, &chunk).unwrap();
    assert_eq!(restored, Restored::Refused(ChunkFault::Pages));
}

#[test]
fn a_checkpoint_that_too_few_attest_or_committed_is_not_restored() {
    let (_, _, good) = source();
    let mut ledger = ledger_on(Arc::new(MemoryStore::new()));
    let mut attested = good.clone();
    attested.state = state_certificate(*good.statement(), 1);
    assert!(!ledger.restore(attested).unwrap());
    let mut other = good.clone();
    let mut statement = *good.statement();
    statement.state_root = Hash([9; 32]);
    other.state.statement = statement;
    assert!(!ledger.restore(other).unwrap());
    let mut committed = good.clone();
    committed.certificate.signatures.pop();
    assert!(!ledger.restore(committed).unwrap());
    let mut header = good.clone();
    header.header.timestamp_ms += 1;
    assert!(!ledger.restore(header).unwrap());
    assert!(ledger.restoring().is_none());
    assert!(ledger.restore(good.clone()).unwrap());
    assert!(!ledger.restore(good).unwrap(), "it is being restored already");
}

#[test]
fn a_state_of_one_entry_and_one_of_more_than_memory_may_hold_are_snapshots_too() {
    let one = Arc::new(MemoryStore::new());
    let mut ledger = ledger_on(one.clone());
    run(&mut ledger, vec![transaction(1, 1, "!")]);
    let shelf = MemoryShelf::default();
    let checkpoint = snapshot(&ledger, one.as_ref(), &shelf);
    let size = verify_snapshot(&shelf, checkpoint.height(), &trust()).unwrap();
    assert_eq!((size.chunks, size.entries), (1, 1));

    let large = Arc::new(MemoryStore::new());
    let mut ledger = ledger_on(large.clone());
    fill(&mut ledger, 4_500, 4_000);
    let checkpoint = snapshot(&ledger, large.as_ref(), &shelf);
    let folder = tempfile::tempdir().unwrap();
    let sorted = FolderShelf::open(folder.path()).unwrap();
    snapshot(&ledger, large.as_ref(), &sorted);
    let height = checkpoint.height();
    let size = verify_snapshot(&sorted, height, &trust()).unwrap();
    assert_eq!(size.entries, 4_501);
    // Put in order through files or in memory, the chunks are the same.
    assert_eq!(size, verify_snapshot(&shelf, height, &trust()).unwrap());
    for from in shelf.beginnings(height) {
        assert_eq!(sorted.chunk(height, &from), shelf.chunk(height, &from));
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "scratch files are gone: {left:?}");
}

#[test]
fn damage_to_any_file_of_a_snapshot_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new());
    let mut ledger = ledger_on(store.clone());
    fill(&mut ledger, 400, 6_000);
    let shelf = FolderShelf::open(folder.path()).unwrap();
    let height = snapshot(&ledger, store.as_ref(), &shelf).height();
    assert_eq!(shelf.heights().unwrap(), [height]);
    for file in ["checkpoint", "chunks", "index"] {
        let path = folder.path().join(format!("{:020}", height.0)).join(file);
        let whole = std::fs::read(&path).unwrap();
        for place in (0..whole.len()).step_by(whole.len() / 40 + 1) {
            let mut damaged = whole.clone();
            damaged[place] ^= 4;
            std::fs::write(&path, &damaged).unwrap();
            let found = verify_snapshot(&shelf, height, &trust());
            assert!(matches!(found, Err(LedgerError::Snapshot { .. })), "{file}, byte {place}");
        }
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(verify_snapshot(&shelf, height, &trust()).is_err(), "{file} cut");
        std::fs::write(&path, &whole).unwrap();
    }
    assert!(verify_snapshot(&shelf, height, &trust()).is_ok());
    shelf.remove(height).unwrap();
    assert_eq!(shelf.heights().unwrap(), []);
}

#[test]
fn what_a_loss_of_power_left_unfinished_is_no_snapshot_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new());
    let mut ledger = ledger_on(store.clone());
    fill(&mut ledger, 10, 100);
    let shelf = FolderShelf::open(folder.path()).unwrap();
    let mut writer = shelf.begin(Height(5)).unwrap();
    writer.chunk(START, &[1, 2, 3]).unwrap();
    // As if the process ended here.
    std::mem::forget(writer);
    let shelf = FolderShelf::open(folder.path()).unwrap();
    assert_eq!(shelf.heights().unwrap(), []);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
