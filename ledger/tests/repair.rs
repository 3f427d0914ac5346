//! A ledger on a damaged disk: whatever one row holds, opening repairs it, and with one intact replica
//! that serves blocks the ledger is again what it was, row by row.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::sync::Arc;

use daruma_automaton_api::limits::REPLY_BYTES_MAX;
use daruma_ledger::{Depth, HeadInfo, Ledger, LedgerError, LedgerReader, LedgerRepair, Trust};
#[cfg(feature = "rocks")]
use daruma_store::RocksStore;
use daruma_store::{
    CHAIN as CHAIN_ROW, Class, Column, HEAD, Head, MemoryStore, Moment, PowerCut, Row, Store,
    limits::QUARANTINE_ROWS_MAX, row_digest,
};
use daruma_types::{
    Block, ChainId, Committee, Ed25519, Hash, Height, Replica, ReplicaId, Signer, Transaction,
    codec,
};
use support::{
    CHAIN, Script, block_on, certified_in, client, replica_key, set, state_certificate, trust,
};

const BLOCKS: u64 = 9;

fn trust_of(chain: ChainId) -> Trust {
    let replica = |i| Replica { name: format!("r{i}"), key: replica_key(i).public_key() };
    let committee = Committee::new(chain, 1, (0..4).map(replica).collect()).unwrap();
    Trust { committee: Arc::new(committee), verifier: Arc::new(Ed25519) }
}

fn open(store: &Arc<dyn Store>, chain: ChainId, depth: Depth) -> (Ledger, Vec<LedgerRepair>) {
    Ledger::open(Arc::clone(store), Arc::new(Script), trust_of(chain), depth).unwrap()
}

/// A ledger of some blocks, each with entries, an abort and a repeated transaction in it, and
/// attestations of every second one.
fn filled(store: Arc<dyn Store>, chain: ChainId) -> Ledger {
    let mut ledger = open(&store, chain, Depth::Whole).0;
    for height in 1..=BLOCKS {
        let sign = |number, nonce, operation: String| {
            Transaction::sign(chain, &client(number), nonce, operation.into())
        };
        let mut transactions: Vec<Transaction> = (0..6)
            .map(|i| sign(i, 10 * height, format!("+key{height}-{i}=value{height};+k={height}")))
            .collect();
        transactions.push(sign(7, 1, "?k".into()));
        transactions.push(sign(8, height, "!".into()));
        let head = ledger.head().claim.clone();
        let (next, by) = (head.height.next(), ReplicaId(0));
        let block = Block::build(chain, next, head.hash, by, next.0, transactions);
        let executed = ledger.execute(&certified_in(chain, block)).unwrap();
        if height.is_multiple_of(2) && chain == CHAIN {
            store.put_state_certificate(&state_certificate(executed.statement, 3)).unwrap();
        }
    }
    ledger
}

fn rows(store: &dyn Store, column: Column) -> Vec<Row> {
    store.rows(column, b"", usize::MAX).unwrap()
}

/// All ways in which a row is damaged; `others` are the rows that it may be mistaken for.
fn damages(value: &[u8], others: &[Vec<u8>]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let flipped = |at: usize| {
        let mut bytes = value.to_vec();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1;
        }
        Some(bytes)
    };
    let mut damages = vec![
        ("deleted", None),
        ("emptied", Some(Vec::new())),
        ("truncated", Some(value[..value.len() / 2].to_vec())),
        ("longer", Some([value, &[0]].concat())),
        ("flipped at the start", flipped(0)),
        ("flipped in the middle", flipped(value.len() / 2)),
        ("flipped at the end", flipped(value.len().saturating_sub(1))),
        ("garbage", Some(vec![0xff; value.len()])),
    ];
    damages.extend(others.iter().map(|other| ("another's", Some(other.clone()))));
    damages.retain(|(_, damaged)| damaged.as_deref() != Some(value));
    damages
}

/// Executes what the intact ledger has and this one lacks.
fn catch_up(ledger: &mut Ledger, intact: &LedgerReader) {
    loop {
        let next = ledger.head().claim.height.next();
        let Some(block) = intact.certified_block(next).unwrap() else { return };
        ledger.execute(&block).unwrap();
    }
}

const CHECKED: [Column; 10] = [
    Column::Blocks,
    Column::Certificates,
    Column::Headers,
    Column::Transactions,
    Column::Receipts,
    Column::Statements,
    Column::State,
    Column::Tree,
    Column::Attestations,
    Column::Meta,
];

/// Damages every row of `store` that `picks` takes, one after the other, in every way.
fn every_damage_is_repaired(store: &Arc<dyn Store>, depth: Depth, picks: impl Fn(usize) -> bool) {
    let head = filled(Arc::clone(store), CHAIN).head().clone();
    let intact: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let intact_reader = filled(Arc::clone(&intact), CHAIN).reader();
    let elsewhere: Arc<dyn Store> = Arc::new(MemoryStore::new());
    filled(Arc::clone(&elsewhere), ChainId(Hash([99; 32])));
    for column in CHECKED {
        let whole = rows(&*intact, column);
        let strange = rows(&*elsewhere, column);
        for (index, (key, value)) in whole.iter().enumerate().filter(|(index, _)| picks(*index)) {
            let neighbour = whole[(index + 1) % whole.len()].1.clone();
            let strange = strange.get(index).map(|(_, value)| value.clone());
            let others: Vec<_> = [Some(neighbour), strange].into_iter().flatten().collect();
            for (kind, damaged) in damages(value, &others) {
                let at = format!("{column:?} {key:02x?} {kind}");
                set(&**store, column, key, damaged);
                let (mut ledger, repairs) = open(store, CHAIN, depth);
                assert!(ledger.head().claim.height <= head.claim.height, "{at}");
                catch_up(&mut ledger, &intact_reader);
                assert_eq!(*ledger.head(), head, "{at}: {repairs:?}");
                let (again, more) = open(store, CHAIN, Depth::Whole);
                assert_eq!((again.head(), more), (&head, vec![]), "{at}: {repairs:?}");
                for other in CHECKED.into_iter().filter(|c| *c != Column::Attestations) {
                    let same = rows(&**store, other) == rows(&*intact, other);
                    assert!(same, "{at}: {other:?} differs after {repairs:?}");
                }
                if column == Column::Attestations {
                    // Not needed, and had again from the others.
                    set(&**store, column, key, Some(value.clone()));
                } else {
                    assert!(!repairs.is_empty(), "{at}");
                }
            }
        }
    }
    assert!(rows(&**store, Column::Quarantine).len() <= QUARANTINE_ROWS_MAX);
}

#[test]
fn any_damage_to_any_row_is_repaired_when_the_whole_ledger_is_checked() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    every_damage_is_repaired(&store, Depth::Whole, |index| index < 3 || index % 8 == 0);
}

#[test]
fn any_damage_to_a_row_of_the_last_blocks_is_repaired_at_every_start() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    every_damage_is_repaired(&store, Depth::Recent, |index| index % 9 == 7);
}

#[cfg(feature = "rocks")]
#[test]
fn any_damage_to_a_row_on_disk_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(RocksStore::open(folder.path()).unwrap());
    every_damage_is_repaired(&store, Depth::Whole, |index| index == 8);
}

#[test]
fn whole_tables_that_are_lost_or_filled_with_garbage_are_repaired() {
    let intact: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let reader = filled(Arc::clone(&intact), CHAIN).reader();
    for column in CHECKED {
        for garbage in [None, Some(vec![7; 40])] {
            let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
            let head = filled(Arc::clone(&store), CHAIN).head().clone();
            for (key, _) in rows(&*store, column) {
                set(&*store, column, &key, garbage.clone());
            }
            let (mut ledger, repairs) = open(&store, CHAIN, Depth::Whole);
            catch_up(&mut ledger, &reader);
            assert_eq!(*ledger.head(), head, "{column:?} {repairs:?}");
            assert_eq!(open(&store, CHAIN, Depth::Whole).1, [], "{column:?}");
        }
    }
}

#[test]
fn strange_rows_in_any_table_of_derived_rows_are_removed() {
    for column in CHECKED.into_iter().filter(|column| column.class() == Class::Derived) {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let head = filled(Arc::clone(&store), CHAIN).head().clone();
        let before = rows(&*store, column);
        for key in [vec![], vec![9; 3], vec![9; 32], 77_u64.to_be_bytes().to_vec()] {
            set(&*store, column, &key, Some(before[0].1.clone()));
        }
        let (ledger, repairs) = open(&store, CHAIN, Depth::Whole);
        assert_eq!(*ledger.head(), head, "{column:?}");
        assert!(!repairs.is_empty(), "{column:?}");
        assert!(rows(&*store, column) == before, "{column:?}: {repairs:?}");
    }
}

#[test]
fn a_hole_lowers_the_head_keeps_what_is_above_it_and_counts_it_again_once_it_is_filled() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let head = filled(Arc::clone(&store), CHAIN).head().clone();
    let key = 5_u64.to_be_bytes();
    let block = store.row(Column::Blocks, &key).unwrap();
    set(&*store, Column::Blocks, &key, Some(vec![1; 50]));
    let (ledger, repairs) = open(&store, CHAIN, Depth::Recent);
    assert_eq!(ledger.head().claim.height, Height(4), "{repairs:?}");
    assert!(ledger.reader().certified_block(Height(6)).unwrap().is_some());
    let kept = rows(&*store, Column::Quarantine);
    assert_eq!(kept, [(Column::Blocks.quarantine_key(&key), vec![1; 50])]);
    drop(ledger);
    set(&*store, Column::Blocks, &key, block);
    let (ledger, repairs) = open(&store, CHAIN, Depth::Recent);
    assert_eq!(*ledger.head(), head, "{repairs:?}");
}

#[test]
fn a_repair_names_the_row_with_digests_of_what_was_there_and_of_what_is_there_now() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let head = filled(Arc::clone(&store), CHAIN).head().clone();
    let (key, statement) = (BLOCKS.to_be_bytes(), Column::Statements);
    let right = store.row(statement, &key).unwrap().unwrap();
    set(&*store, statement, &key, Some(vec![1; 50]));
    let (_, repairs) = open(&store, CHAIN, Depth::Recent);
    let of_row = repairs.iter().find(|repair| repair.column == statement).unwrap();
    assert_eq!(of_row.row.as_deref(), Some(&key[..]));
    assert_eq!(of_row.before, Some(row_digest(&[1; 50])));
    assert_eq!(of_row.after, Some(row_digest(&right)), "{repairs:?}");
    let of_state = repairs.iter().find(|repair| repair.column == Column::State).unwrap();
    assert_eq!((&of_state.row, of_state.after), (&None, Some(head.statement.state_root)));

    set(&*store, Column::Blocks, &key, Some(vec![2; 50]));
    let (_, repairs) = open(&store, CHAIN, Depth::Recent);
    let of_block = repairs.iter().find(|repair| repair.column == Column::Blocks).unwrap();
    assert_eq!((of_block.before, of_block.after), (Some(row_digest(&[2; 50])), None));
}

#[test]
fn a_power_loss_while_everything_is_derived_again_costs_nothing_but_time() {
    let reference: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let head = filled(Arc::clone(&reference), CHAIN).head().clone();
    for left in [0, 1, 4] {
        // As it is when derived rows were cleared, in part, and the head row said that they count no more.
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        filled(Arc::clone(&store), CHAIN);
        set(&*store, Column::Meta, HEAD, None);
        for column in [Column::Statements, Column::State, Column::Tree] {
            for (key, _) in rows(&*store, column).into_iter().skip(left) {
                set(&*store, column, &key, None);
            }
        }
        assert_eq!(*open(&store, CHAIN, Depth::Recent).0.head(), head);
        for column in CHECKED {
            assert_eq!(rows(&*store, column), rows(&*reference, column));
        }
    }
}

/// Opens what is on the disk; false if the power went meanwhile.
fn opens(disk: &Arc<MemoryStore>) -> bool {
    let store: Arc<dyn Store> = Arc::clone(disk) as Arc<dyn Store>;
    let opened = Ledger::open(store, Arc::new(Script), trust(), Depth::Whole);
    assert_eq!(opened.is_err(), disk.power_is_out(), "{:?}", opened.err());
    !disk.power_is_out()
}

#[test]
fn c_r06_a_repair_that_loses_its_power_five_times_at_any_write_ends_as_one_that_does_not() {
    let store = Arc::new(MemoryStore::new());
    filled(Arc::clone(&store) as Arc<dyn Store>, CHAIN);
    for (column, key) in CHECKED.map(|column| (column, rows(&*store, column).remove(1).0)) {
        store.damage(column, &key, Some(vec![7; 40]));
    }
    store.damage(Column::Blocks, &5_u64.to_be_bytes(), None);
    let (damaged, undisturbed) = (store.copy(), Arc::new(store.copy()));
    assert!(opens(&undisturbed));
    let mut cuts = 0;
    for moment in Moment::ALL {
        for after_writes in 0.. {
            let mut disk = Arc::new(damaged.copy());
            let cut = PowerCut { after_writes, moment, unsynced_kept: 1 };
            let went = (0..5).take_while(|_| {
                disk.cut_power(cut);
                let went = !opens(&disk);
                disk = Arc::new(disk.copy());
                went
            });
            let went = went.count();
            cuts += went;
            assert!(opens(&disk), "{cut:?}");
            for column in CHECKED.into_iter().chain([Column::Quarantine]) {
                let same = rows(&*disk, column) == rows(&*undisturbed, column);
                assert!(same, "{column:?} after {cut:?}");
            }
            if went == 0 {
                break;
            }
        }
    }
    assert!(cuts > 50, "only {cuts} cuts: a repair makes more writes");
}

#[test]
fn the_store_of_another_chain_is_refused_and_left_as_it_is() {
    let other = ChainId(Hash([99; 32]));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    filled(Arc::clone(&store), other);
    for without_note in [false, true] {
        if without_note {
            set(&*store, Column::Meta, CHAIN_ROW, None);
        }
        let before: Vec<_> = CHECKED.map(|column| rows(&*store, column)).into();
        let opened = Ledger::open(Arc::clone(&store), Arc::new(Script), trust(), Depth::Whole);
        let Err(LedgerError::OtherChain { found, expected }) = opened else {
            panic!("another chain's store was opened");
        };
        assert_eq!((found, expected), (other, CHAIN));
        let after: Vec<_> = CHECKED.map(|column| rows(&*store, column)).into();
        assert_eq!(after, before);
    }
}

#[test]
fn a_head_row_of_a_height_that_never_was_is_not_believed() {
    for height in [Height(0), Height(BLOCKS + 1), Height(u64::MAX)] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let head: HeadInfo = filled(Arc::clone(&store), CHAIN).head().clone();
        let (hash, timestamp_ms) = (head.claim.hash, head.timestamp_ms);
        let row = Head { height, hash, timestamp_ms, statement: head.statement };
        set(&*store, Column::Meta, HEAD, Some(codec::encode(&row)));
        let (ledger, repairs) = open(&store, CHAIN, Depth::Whole);
        assert_eq!(*ledger.head(), head, "{repairs:?}");
    }
}

#[test]
fn a_block_that_is_next_but_not_certified_or_not_whole_is_refused() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut ledger = filled(store, CHAIN);
    let head = ledger.head().clone();
    let good = block_on(&head, vec![Transaction::sign(CHAIN, &client(0), 999, b"+a=1".to_vec())]);
    let mut forged = good.clone();
    forged.certificate.signatures.swap(0, 1);
    let mut few = good.clone();
    few.certificate.signatures.pop();
    let mut other_body = good.clone();
    let mut body = Block::clone(&good.block);
    body.transactions[0].operation = b"+a=2".to_vec();
    other_body.block = Arc::new(body);
    for bad in [forged, few, other_body] {
        let error = ledger.execute(&bad).unwrap_err();
        assert!(error.refuses_block(), "{error}");
        assert_eq!(*ledger.head(), head);
    }
    ledger.execute(&good).unwrap();
}

#[test]
fn the_receipts_of_the_largest_block_with_the_longest_replies_can_be_read_again() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut ledger = open(&store, CHAIN, Depth::Whole).0;
    let transactions: Vec<_> = (1..=4096)
        .map(|nonce| Transaction::sign(CHAIN, &client(0), nonce, b"r".to_vec()))
        .collect();
    let block = block_on(ledger.head(), transactions);
    let executed = ledger.execute(&block).unwrap();
    assert!(
        store.row(Column::Receipts, &1_u64.to_be_bytes()).unwrap().unwrap().len()
            > 4096 * REPLY_BYTES_MAX
    );
    assert_eq!(ledger.reader().receipts(Height(1)).unwrap(), Some(executed.receipts));
    assert_eq!(open(&store, CHAIN, Depth::Whole).1, []);
}
