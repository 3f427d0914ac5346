//! The rules of execution, on both stores.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::sync::Arc;

use daruma_automaton_api::limits::REPLY_BYTES_MAX;
use daruma_ledger::{
    Depth, HeadInfo, Ledger, LedgerError, LedgerReader, empty_state_root,
    limits::{ABORT_OVER_BOUND, ABORT_PANICKED},
};
#[cfg(feature = "rocks")]
use daruma_store::RocksStore;
use daruma_store::{Column, Location, MemoryStore, Store};
use daruma_types::{ChainId, Hash, Height, Outcome, Signer, VoteKind};
use support::{
    CHAIN, block_on, certified, client, ledger_on, on_both, outcomes, replied, run, transaction,
    trust,
};

fn value(reader: &LedgerReader, key: &str) -> Option<Vec<u8>> {
    use daruma_automaton_api::StateRead;
    let view = reader.state_view().unwrap();
    let value = view.get(key.as_bytes());
    view.finish().unwrap();
    value
}

#[test]
fn an_empty_ledger_is_at_the_genesis() {
    on_both(|open| {
        let ledger = open();
        assert_eq!(*ledger.head(), HeadInfo::genesis(CHAIN));
        assert_eq!(ledger.head().statement.state_root, empty_state_root());
        assert_eq!(ledger.reader().head().unwrap(), *ledger.head());
        assert_eq!(ledger.reader().block(Height(0)).unwrap(), None);
    });
}

#[test]
fn a_transaction_executes_once_and_nonces_may_leave_gaps() {
    on_both(|open| {
        let mut ledger = open();
        let first = transaction(0, 5, "+a=1");
        let executed = run(&mut ledger, vec![first.clone(), first.clone()]);
        assert_eq!(executed.nonces, [(client(0).public_key(), 5)]);
        assert_eq!(executed.transactions, [first.hash(CHAIN); 2]);
        assert_eq!(outcomes(executed), [replied(""), Outcome::Superseded { last_nonce: 5 }]);
        drop(ledger);
        let mut ledger = open();
        let again = [
            first.clone(),
            transaction(0, 4, "+a=2"),
            transaction(0, 5, "+a=3"),
            transaction(0, 90, "?a"),
            transaction(0, 89, "+a=4"),
            transaction(1, 0, "?a"),
        ];
        let superseded = |last_nonce| Outcome::Superseded { last_nonce };
        let executed = run(&mut ledger, again.to_vec());
        let mut nonces = [(client(0).public_key(), 90), (client(1).public_key(), 0)];
        nonces.sort_unstable();
        assert_eq!(executed.nonces, nonces);
        let expected = [
            superseded(5),
            superseded(5),
            superseded(5),
            replied("1"),
            superseded(90),
            replied("1"),
        ];
        assert_eq!(outcomes(executed), expected);
        let reader = ledger.reader();
        assert_eq!(reader.last_nonce(&client(0).public_key()).unwrap(), Some(90));
        assert_eq!(reader.last_nonce(&client(1).public_key()).unwrap(), Some(0));
        assert_eq!(reader.last_nonce(&client(2).public_key()).unwrap(), None);
        let place = Location { height: Height(1), index: 0 };
        assert_eq!(reader.location(&first.hash(CHAIN)).unwrap(), Some(place));
    });
}

#[test]
fn an_abort_undoes_its_own_writes_only_and_uses_up_the_nonce() {
    on_both(|open| {
        let mut ledger = open();
        let executed = run(
            &mut ledger,
            vec![
                transaction(0, 1, "+a=1;+b=1"),
                transaction(0, 2, "+a=2;-b;!"),
                transaction(0, 3, "?a;?b"),
                transaction(0, 2, "+a=3"),
                transaction(0, 4, "*"),
            ],
        );
        let [_, abort, read, late, malformed] = outcomes(executed).try_into().unwrap();
        assert_eq!(abort, Outcome::aborted(107, "told to".into()));
        assert_eq!(read, replied("11"));
        assert_eq!(late, Outcome::Superseded { last_nonce: 3 });
        assert!(matches!(malformed, Outcome::Aborted { code: 1, .. }));
        assert_eq!(value(&ledger.reader(), "a").unwrap(), b"1");
        assert_eq!(ledger.reader().last_nonce(&client(0).public_key()).unwrap(), Some(4));
    });
}

#[test]
fn a_panic_of_the_automaton_is_that_transactions_abort() {
    on_both(|open| {
        let mut ledger = open();
        let operations = vec![transaction(0, 1, "+a=1;#"), transaction(0, 2, "+b=1")];
        let [panicked, next] = outcomes(run(&mut ledger, operations)).try_into().unwrap();
        assert!(matches!(panicked, Outcome::Aborted { code: ABORT_PANICKED, .. }));
        assert_eq!(next, replied(""));
        assert_eq!(value(&ledger.reader(), "a"), None);
        assert_eq!(value(&ledger.reader(), "b").unwrap(), b"1");
    });
}

#[test]
fn a_write_over_the_bounds_is_an_abort_and_a_long_reply_is_cut() {
    on_both(|open| {
        let mut ledger = open();
        let operations =
            vec![transaction(0, 1, "k"), transaction(0, 2, "v"), transaction(0, 3, "r")];
        let [key, long, reply] = outcomes(run(&mut ledger, operations)).try_into().unwrap();
        for outcome in [key, long] {
            assert!(matches!(outcome, Outcome::Aborted { code: ABORT_OVER_BOUND, .. }));
        }
        assert_eq!(reply, Outcome::Executed { reply: vec![7; REPLY_BYTES_MAX] });
    });
}

#[test]
fn a_block_that_is_not_the_next_one_is_refused_and_changes_nothing() {
    on_both(|open| {
        let mut ledger = open();
        let genesis = ledger.head().clone();
        let first = block_on(&genesis, vec![transaction(0, 1, "+a=1")]);
        ledger.execute(&first).unwrap();
        let head = ledger.head().clone();
        let good = block_on(&head, vec![transaction(0, 2, "+a=2")]);

        assert!(matches!(ledger.execute(&first), Err(LedgerError::NotNext { .. })));
        let spoil = |change: fn(&mut daruma_types::Block)| {
            let mut block = (*good.block).clone();
            change(&mut block);
            certified(block)
        };
        let far = spoil(|block| block.header.height = Height(3));
        assert!(matches!(ledger.execute(&far), Err(LedgerError::NotNext { .. })));
        let last = spoil(|block| block.header.height = Height(u64::MAX));
        assert!(matches!(ledger.execute(&last), Err(LedgerError::NotNext { .. })));
        let stray = spoil(|block| block.header.parent = Hash([9; 32]));
        assert!(matches!(ledger.execute(&stray), Err(LedgerError::Parent { .. })));
        let foreign = spoil(|block| block.header.chain = ChainId(Hash([9; 32])));
        assert!(matches!(ledger.execute(&foreign), Err(LedgerError::OtherChain { .. })));
        let mut prepared = good.clone();
        prepared.certificate.kind = VoteKind::Prepare;
        assert!(matches!(ledger.execute(&prepared), Err(LedgerError::Certificate { .. })));
        let mut other = good.clone();
        other.certificate.hash = Hash([9; 32]);
        assert!(matches!(ledger.execute(&other), Err(LedgerError::Certificate { .. })));

        assert_eq!(*ledger.head(), head);
        assert_eq!(value(&ledger.reader(), "a").unwrap(), b"1");
        ledger.execute(&good).unwrap();
    });
}

/// Twelve blocks with every kind of outcome, empty blocks among them; the statements after each.
fn history(open: &dyn Fn() -> Ledger, reopen: bool) -> Vec<HeadInfo> {
    let mut ledger = open();
    let mut heads = Vec::new();
    for height in 1..=12_u64 {
        if reopen {
            drop(ledger);
            ledger = open();
        }
        let operations = (0..height % 4 * 20).map(|i| {
            let text = match i % 5 {
                0 => format!("+k{}={height}", i * height % 37),
                1 => format!("-k{}", i * height % 37),
                2 => format!("?k{}", i * height % 37),
                3 => "+lost=1;!".into(),
                _ => format!("+h{height}-{i}=v"),
            };
            transaction((i % 7) as u8, height * 3 + i / 14, &text)
        });
        run(&mut ledger, operations.collect());
        heads.push(ledger.head().clone());
    }
    heads
}

#[test]
fn equal_histories_give_equal_heads_on_both_stores_with_and_without_restarts() {
    let found = std::cell::RefCell::new(Vec::new());
    on_both(|open| found.borrow_mut().push(history(open, true)));
    on_both(|open| found.borrow_mut().push(history(open, false)));
    let found = found.into_inner();
    assert!(found.iter().all(|heads| *heads == found[0]));
    let roots = |heads: &[HeadInfo]| -> Vec<Hash> {
        heads.iter().map(|head| head.statement.state_root).collect()
    };
    let roots = roots(&found[0]);
    assert_eq!(roots[2], roots[3], "block 4 is empty");
    assert_ne!(roots[3], roots[4]);
}

#[test]
fn a_reader_sees_whole_blocks_while_another_thread_executes() {
    on_both(|open| {
        let mut ledger = open();
        let reader = ledger.reader();
        std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                use daruma_automaton_api::StateView;
                loop {
                    let view = reader.state_view().unwrap();
                    let entries = view.scan(b"", b"", 10);
                    let height = view.head().claim.height.0;
                    let expected = (height > 0).then(|| height.to_string().into_bytes());
                    assert!(entries.iter().all(|(_, value)| Some(value) == expected.as_ref()));
                    assert_eq!(entries.len(), if height > 0 { 2 } else { 0 });
                    if height == 30 {
                        break;
                    }
                }
            });
            for height in 1..=30 {
                let [a, b] = [format!("+a={height}"), format!("+b={height}")];
                run(&mut ledger, vec![transaction(0, height, &a), transaction(1, height, &b)]);
            }
            watcher.join().unwrap();
        });
    });
}

#[test]
fn blocks_for_a_replica_that_lags_keep_to_both_bounds() {
    on_both(|open| {
        let mut ledger = open();
        for height in 1..=6 {
            run(&mut ledger, vec![transaction(0, height, "+a=1")]);
        }
        let reader = ledger.reader();
        let heights = |from, count_max, bytes_max| -> Vec<u64> {
            let blocks = reader.certified_blocks(Height(from), count_max, bytes_max).unwrap();
            blocks.iter().map(|block| block.block.header.height.0).collect()
        };
        let one = reader.certified_block(Height(1)).unwrap().unwrap();
        let bytes = daruma_types::codec::encode(&one).len();
        assert_eq!(heights(2, 3, usize::MAX), [2, 3, 4]);
        assert_eq!(heights(5, 9, usize::MAX), [5, 6]);
        assert_eq!(heights(7, 9, usize::MAX), [0; 0]);
        assert_eq!(heights(0, 9, usize::MAX), [0; 0]);
        assert_eq!(heights(1, 9, 2 * bytes), [1, 2]);
        assert_eq!(heights(1, 9, 2 * bytes - 1), [1]);
        assert_eq!(heights(1, 9, 0), [1]);
        assert_eq!(heights(1, 0, usize::MAX), [0; 0]);
    });
}

#[test]
fn a_damaged_entry_stops_the_block_and_not_the_process() {
    let store = Arc::new(MemoryStore::new());
    let mut ledger = ledger_on(Arc::clone(&store) as Arc<dyn Store>);
    run(&mut ledger, vec![transaction(0, 1, "+a=1")]);
    let nonce = store.keys(Column::State).into_iter().find(|key| key[0] == b'n').unwrap();
    store.damage(Column::State, &nonce, Some(vec![1, 2, 3]));
    let head = ledger.head().clone();
    let block = block_on(&head, vec![transaction(0, 2, "+a=2")]);
    assert!(matches!(ledger.execute(&block), Err(LedgerError::Store(_))));
    assert_eq!(*ledger.head(), head);
    store.damage(Column::State, &nonce, Some(1_u64.to_le_bytes().to_vec()));
    ledger.execute(&block).unwrap();
}

#[cfg(feature = "rocks")]
#[test]
fn the_append_list_runs_on_disk_and_answers_queries_after_a_restart() {
    use daruma_automaton_api::{DynAutomaton, serde_json::json};
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let store = Arc::new(RocksStore::open(folder.path()).unwrap());
        let list = daruma_append_list::AppendList::from_parameters(&json!(null)).unwrap();
        Ledger::open(store, Arc::new(list), trust(), Depth::Recent).unwrap().0
    };
    let mut ledger = open();
    run(&mut ledger, vec![transaction(0, 1, "one"), transaction(1, 1, "two")]);
    run(&mut ledger, vec![transaction(0, 2, "three")]);
    drop(ledger);
    let reader = open().reader();
    let list = daruma_append_list::AppendList::from_parameters(&json!(null)).unwrap();
    let view = reader.state_view().unwrap();
    let answer = DynAutomaton::query(&list, &view, "range", &json!({})).unwrap();
    view.finish().unwrap();
    let text = answer.to_string();
    let found = ["one", "two", "three"].map(|item| text.find(item).unwrap());
    assert!(found.is_sorted(), "{text}");
}
