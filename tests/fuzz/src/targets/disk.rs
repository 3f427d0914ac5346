//! A ledger whose rows are damaged: blocks, certificates, receipts, statements, state and the pages of
//! the state tree. What is read may be an error; it is never a panic, nor a proof of what is not so.

use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use daruma_automaton_api::serde_json::Value;
use daruma_ledger::{LedgerReader, StateKey, verify_state_proof};
use daruma_store::{Column, MemoryStore};
use daruma_types::{Block, CertifiedBlock, Hash, Height, ReplicaId, VoteKind};

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
}

fn apply(store: &MemoryStore, damage: Damage) {
    let (column, row) = match &damage {
        Damage::Lost { column, row }
        | Damage::Replaced { column, row, .. }
        | Damage::Patched { column, row, .. }
        | Damage::Swapped { column, row, .. } => (*column, *row),
    };
    let column = Column::ALL[usize::from(column) % Column::COUNT];
    let keys = store.keys(column);
    let nth = |row: u8| usize::from(row).checked_rem(keys.len()).and_then(|at| keys.get(at));
    let Some(key) = nth(row) else { return };
    let value = match damage {
        Damage::Lost { .. } => None,
        Damage::Replaced { bytes, .. } => Some(bytes),
        Damage::Patched { patches, .. } => {
            store.row(column, key).map(|value| patched(value, &patches))
        }
        Damage::Swapped { with, .. } => nth(with).and_then(|other| store.row(column, other)),
    };
    store.damage(column, key, value);
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
    let _ = reader.recent_statements(8);
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
    let Ok(mut ledger) = chain().open(store) else { return };
    let head = ledger.head().claim.clone();
    let transactions = vec![chain().transaction(0, 1_000, false, 1)];
    let block = Block::build(
        chain().id(),
        head.height.next(),
        head.hash,
        ReplicaId(0),
        9_000,
        transactions,
    );
    let signers = (0..3).map(ReplicaId).collect();
    let ballot = daruma_types::Ballot(2);
    let (height, hash) = (block.header.height, block.hash());
    let certificate = chain().certificate(VoteKind::Commit, ballot, height, hash, signers);
    let _ = ledger.execute(&CertifiedBlock { block: Arc::new(block), certificate });
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
