//! A ledger whose rows are damaged: blocks, certificates, receipts, statements, state and the pages of
//! the state tree. What is read may be an error; it is never a panic, nor a proof of what is not so.

use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use daruma_automaton_api::serde_json::Value;
use daruma_ledger::{Depth, LedgerError, LedgerReader, StateKey, verify_state_proof};
use daruma_store::{Column, MemoryStore, Store};
use daruma_types::{Hash, Height};

use super::patches::{Patch, patched};
use crate::chain::{Chain, chain, history};

/// Damages of one run.
const DAMAGES_MAX: usize = 8;

#[derive(Debug, Arbitrary)]
enum Damage {
    /// The row is lost.
    Lost { column: u8, row: u8 },
    /// The row holds other bytes.
    Replaced { column: u8, row: u8, bytes: Vec<u8> },
    /// The row holds its own bytes, changed.
    Patched { column: u8, row: u8, patches: Vec<Patch> },
    /// The row holds what another row of the table held.
    Swapped { column: u8, row: u8, with: u8 },
}

/// Damages some rows, then does everything that a node does with them.
pub(super) fn run(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let store = Arc::new(history().store.copy());
    for _ in 0..DAMAGES_MAX {
        if u.is_empty() {
            break;
        }
        let Ok(damage) = Damage::arbitrary(&mut u) else { break };
        apply(&store, damage);
    }
    use_rows(&store);
    // What a quick opening makes of it, which looks at less, is as sound as far as it looked.
    let _ = chain().open(&Arc::new(store.copy()), Depth::Recent);
    repair(&store);
}

fn apply(store: &MemoryStore, damage: Damage) {
    let (column, row) = match &damage {
        Damage::Lost { column, row }
        | Damage::Replaced { column, row, .. }
        | Damage::Patched { column, row, .. }
        | Damage::Swapped { column, row, .. } => (*column, *row),
    };
    // The tables that a ledger writes; those behind them a driver does.
    let column = Column::ALL[usize::from(column) % (Column::Quarantine as usize + 1)];
    let keys = store.keys(column);
    let nth = |row: u8| usize::from(row).checked_rem(keys.len()).and_then(|at| keys.get(at));
    let Some(key) = nth(row) else { return };
    let value = match damage {
        Damage::Lost { .. } => None,
        Damage::Replaced { bytes, .. } => Some(bytes),
        Damage::Patched { patches, .. } => {
            raw(store, column, key).map(|value| patched(value, &patches))
        }
        Damage::Swapped { with, .. } => nth(with).and_then(|other| raw(store, column, other)),
    };
    store.damage(column, key, value);
}

fn raw(store: &MemoryStore, column: Column, key: &[u8]) -> Option<Vec<u8>> {
    store.row(column, key).ok().flatten()
}

fn use_rows(store: &Arc<MemoryStore>) {
    let Chain { clients, automaton, .. } = chain();
    let reader = LedgerReader::new(Arc::clone(store) as Arc<_>, chain().id());
    let mut keys: Vec<StateKey> =
        clients.iter().map(|client| StateKey::nonce(&client.public_key())).collect();
    keys.extend([StateKey::automaton(b"value"), StateKey::automaton(b"no such key")]);
    for key in &keys {
        prove(&reader, key);
    }
    for height in (0..8).map(Height) {
        let _ = reader.certified_block(height);
        let _ = reader.header(height);
        let _ = reader.receipts(height);
        let _ = reader.state_certificate(height);
    }
    let _ = reader.certified_blocks(Height(1), 64, 1 << 20);
    for block in &history().blocks {
        for transaction in &block.block.transactions {
            let proof = reader.transaction_proof(&transaction.hash(chain().id()));
            if let Ok(Some(proof)) = proof {
                super::proofs::check_transaction(&proof);
            }
        }
    }
    if let Ok(state) = reader.state_view() {
        let _ = automaton.query(&state, "value", &Value::Null);
        let _ = state.finish();
    }
}

/// Opens the ledger: what it holds then is the beginning of the history, and what lacks can be executed.
fn repair(store: &Arc<MemoryStore>) {
    let (mut ledger, repairs) = match chain().open(store, Depth::Whole) {
        Ok(opened) => opened,
        // Nothing of ours was left, and the row that names the chain names another.
        Err(LedgerError::OtherChain { .. }) => return,
        Err(error) => panic!("a damaged ledger does not open: {error}"),
    };
    let (blocks, statements) = (&history().blocks, &history().statements);
    let head = ledger.head().statement;
    let height = head.height.0 as usize;
    if let Some(last) = height.checked_sub(1) {
        assert_eq!(Some(&head), statements.get(last), "a head that never was");
    }
    let reader = ledger.reader();
    for (block, height) in blocks.iter().zip((1..=height as u64).map(Height)) {
        let found = reader.certified_block(height);
        assert!(found.as_ref().is_ok_and(|found| found.as_ref() == Some(block)), "{found:?}");
    }
    if let Ok((_, again)) = chain().open(&Arc::new(store.copy()), Depth::Whole) {
        assert!(again.is_empty(), "repaired {repairs:?}, and once more: {again:?}");
    }
    for block in blocks.iter().skip(height) {
        let executed = ledger.execute(block);
        assert!(executed.is_ok(), "a repaired ledger does not go on: {executed:?}");
    }
    assert_eq!(Some(&ledger.head().statement), statements.last(), "another state");
}

/// A proof from damaged rows that verifies against the true root proves the truth.
fn prove(reader: &LedgerReader, key: &StateKey) {
    let Ok(answer) = reader.state_proof(key) else { return };
    let (root, truth) = truth(key);
    if verify_state_proof(&root, key, answer.value.as_deref(), &answer.proof) {
        assert_eq!(answer.value, truth, "a false value is proved");
    }
}

/// The true root, and the true value of `key`.
fn truth(key: &StateKey) -> (Hash, Option<Vec<u8>>) {
    let reader = LedgerReader::new(Arc::clone(&history().store) as Arc<_>, chain().id());
    match reader.state_proof(key) {
        Ok(answer) => (answer.head.statement.state_root, answer.value),
        Err(error) => panic!("the history is damaged: {error}"),
    }
}
