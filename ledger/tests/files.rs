//! A ledger on damaged files: whatever becomes of any file of the store's folder, it opens, and with one
//! intact replica that serves blocks the ledger is again what it was (catalogue C-D03, C-D04).
#![cfg(feature = "rocks")]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use daruma_ledger::{Depth, HeadInfo, Ledger, LedgerReader};
use daruma_store::{MemoryStore, Opened, RocksStore, Store, StoreError};
use daruma_types::Transaction;
use support::{CHAIN, Script, block_on, client, trust};

/// Blocks of the ledger; the store is closed now and then, so that there are table files of each table,
/// and a log.
const BLOCKS: u64 = 12;
const CLOSED_EVERY: u64 = 8;

fn open(store: Arc<dyn Store>) -> Ledger {
    Ledger::open(store, Arc::new(Script), trust(), Depth::Whole).unwrap().0
}

/// Opens what is in the folder, whatever it is, as a node does.
fn healed(folder: &Path, at: &str) -> (Ledger, Opened) {
    let (store, opened) = RocksStore::open_any(folder).unwrap_or_else(|e| panic!("{at}: {e}"));
    let store = Arc::new(store);
    let ledger = Ledger::open(store.clone(), Arc::new(Script), trust(), Depth::Whole);
    let Some(why) = store.file_damage().map(str::to_owned) else {
        return (ledger.unwrap_or_else(|e| panic!("{at}: {e}")).0, opened);
    };
    drop((ledger, store));
    let (store, opened) = RocksStore::salvage(folder, why).unwrap_or_else(|e| panic!("{at}: {e}"));
    let store = Arc::new(store);
    let ledger = open(store.clone());
    assert_eq!(store.file_damage(), None, "{at}: damage in a new file");
    (ledger, opened)
}

/// Executes the next blocks, up to `last`. `salt` makes another chain's blocks of them.
fn fill(ledger: &mut Ledger, last: u64, salt: u64) {
    while ledger.head().claim.height.0 < last {
        let nonce = ledger.head().claim.height.0 + 1;
        let sign = |number: u8| {
            let operation = format!("+key{nonce}-{number}={salt};+k={nonce}");
            Transaction::sign(CHAIN, &client(number), nonce, operation.into())
        };
        ledger.execute(&block_on(ledger.head(), (0..5).map(sign).collect())).unwrap();
    }
}

/// A folder with a ledger that was closed and opened again.
fn filled(folder: &Path, salt: u64) {
    for last in (CLOSED_EVERY..BLOCKS).step_by(CLOSED_EVERY as usize).chain([BLOCKS]) {
        fill(&mut open(Arc::new(RocksStore::open(folder).unwrap())), last, salt);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in files(from) {
        fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let name = |entry: fs::DirEntry| PathBuf::from(entry.file_name());
    fs::read_dir(folder).unwrap().map(|entry| name(entry.unwrap())).collect()
}

/// What becomes of a file.
const DAMAGES: [&str; 9] = [
    "deleted",
    "emptied",
    "cut in half",
    "zeroed",
    "one bit at the start",
    "one bit in the middle",
    "one bit at the end",
    "a thousand bits",
    "another's",
];

fn damage(file: &Path, other: &Path, how: &str) {
    let mut bytes = fs::read(file).unwrap();
    let length = bytes.len();
    let mut flip = |at: usize| {
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 0x10;
        }
    };
    match how {
        "deleted" => return fs::remove_file(file).unwrap(),
        "emptied" => bytes.clear(),
        "cut in half" => bytes.truncate(length / 2),
        "zeroed" => bytes.fill(0),
        "one bit at the start" => flip(0),
        "one bit in the middle" => flip(length / 2),
        "one bit at the end" => flip(length.saturating_sub(1)),
        "a thousand bits" => (0..1000).for_each(|i| flip(i * length.max(1) / 1000)),
        _ => bytes = fs::read(other).unwrap_or_default(),
    }
    fs::write(file, bytes).unwrap();
}

/// An intact replica's ledger.
struct Intact {
    reader: LedgerReader,
    head: HeadInfo,
}

impl Intact {
    fn new() -> Self {
        let mut ledger = open(Arc::new(MemoryStore::new()));
        fill(&mut ledger, BLOCKS, 1);
        Self { reader: ledger.reader(), head: ledger.head().clone() }
    }

    /// Opens what is in the folder, whatever it is, and gives the ledger what it lacks.
    fn heals(&self, folder: &Path, at: &str) -> Opened {
        let (mut ledger, opened) = healed(folder, at);
        assert!(ledger.head().claim.height <= self.head.claim.height, "{at}");
        while let Some(block) =
            self.reader.certified_block(ledger.head().claim.height.next()).unwrap()
        {
            ledger.execute(&block).unwrap_or_else(|error| panic!("{at}: {opened:?}: {error}"));
        }
        assert_eq!(*ledger.head(), self.head, "{at}: {opened:?}");
        drop(ledger);
        let store = Arc::new(RocksStore::open(folder).unwrap());
        assert_eq!(*open(store.clone()).head(), self.head, "{at}: {opened:?}");
        assert_eq!(store.file_damage(), None, "{at}: damage that nothing hides stays");
        opened
    }
}

#[test]
fn c_d03_c_d04_whatever_becomes_of_a_file_the_ledger_is_again_what_it_was() {
    let place = tempfile::tempdir().unwrap();
    let (whole, other) = (place.path().join("whole"), place.path().join("other"));
    filled(&whole, 1);
    filled(&other, 2);
    let intact = Intact::new();
    let mut salvaged = 0;
    for file in files(&whole).iter().filter(|file| *file != Path::new("LOCK")) {
        for how in DAMAGES {
            let folder = place.path().join("ledger");
            copy(&whole, &folder);
            damage(&folder.join(file), &other.join(file), how);
            let at = format!("{} {how}", file.display());
            let opened = intact.heals(&folder, &at);
            salvaged += u32::from(matches!(opened, Opened::Salvaged(_)));
            fs::remove_dir_all(&folder).unwrap();
        }
    }
    assert!(salvaged > 0, "no damage stopped the database");
}

#[test]
fn many_damaged_files_at_once_and_strange_ones_among_them_are_healed() {
    let place = tempfile::tempdir().unwrap();
    let (whole, folder) = (place.path().join("whole"), place.path().join("ledger"));
    filled(&whole, 1);
    let intact = Intact::new();
    for (number, how) in DAMAGES.into_iter().enumerate() {
        copy(&whole, &folder);
        for (index, file) in files(&whole).iter().enumerate() {
            if index % 3 == number % 3 {
                damage(&folder.join(file), &whole.join("CURRENT"), how);
            }
        }
        fs::write(folder.join("000001.sst"), b"no table").unwrap();
        fs::write(folder.join("holiday.jpg"), b"no picture").unwrap();
        intact.heals(&folder, how);
        fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn what_is_salvaged_needs_no_other_replica() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("ledger");
    filled(&folder, 1);
    let head = Intact::new().head;
    fs::remove_file(folder.join("CURRENT")).unwrap();
    let (store, opened) = RocksStore::open_any(&folder).unwrap();
    let Opened::Salvaged(salvaged) = opened else { panic!("{opened:?}") };
    assert_eq!(salvaged.rows.get("blocks"), Some(&BLOCKS), "{salvaged:?}");
    assert_eq!(salvaged.aside, place.path().join("ledger.damaged"));
    assert!(salvaged.aside.exists());
    assert_eq!(*open(Arc::new(store)).head(), head);
}

#[test]
fn a_salvage_that_was_interrupted_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let beside = |name: &str| place.path().join(name);
    filled(&beside("ledger"), 1);
    let intact = Intact::new();
    // As it is when the power fails while rows are copied.
    fs::rename(beside("ledger"), beside("ledger.damaged")).unwrap();
    fs::create_dir_all(beside("ledger.salvaged")).unwrap();
    fs::write(beside("ledger.salvaged").join("MANIFEST-000001"), b"half").unwrap();
    // A node makes the folder before it opens the store.
    fs::create_dir_all(beside("ledger")).unwrap();
    let opened = intact.heals(&beside("ledger"), "interrupted");
    assert!(matches!(opened, Opened::Salvaged(_)), "{opened:?}");
    assert!(!beside("ledger.salvaged").exists());
    let (_store, opened) = RocksStore::open_any(beside("ledger")).unwrap();
    assert_eq!(opened, Opened::Whole, "it is salvaged once");
}

#[test]
fn a_new_folder_is_whole_a_file_in_its_place_is_put_aside_and_a_lock_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("ledger");
    let (store, opened) = RocksStore::open_any(&folder).unwrap();
    assert_eq!(opened, Opened::Whole);
    assert_eq!(
        RocksStore::open_any(&folder).unwrap_err(),
        StoreError::Locked { path: folder.clone() }
    );
    drop(store);
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, b"no folder").unwrap();
    let (_store, opened) = RocksStore::open_any(&folder).unwrap();
    assert!(matches!(opened, Opened::Salvaged(_)), "{opened:?}");
    assert_eq!(fs::read(place.path().join("ledger.damaged")).unwrap(), b"no folder");
}
