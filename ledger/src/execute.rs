//! Executing the transactions of one block (DESIGN 3 and 6).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use daruma_automaton_api::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use daruma_automaton_api::{At, DynAutomaton, Overlay, StateRead, Writes};
use daruma_store::{Store, StoreError};
use daruma_types::{
    Block, ChainId, Hash, Height, Outcome, PublicKey, Receipt, Transaction, supersedes,
};

use crate::{StateKey, limits};

/// Reads the last executed nonce of a client.
pub(crate) fn stored_nonce(
    client: &PublicKey,
    get: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
) -> Result<Option<u64>, StoreError> {
    let key = StateKey::nonce(client);
    let Some(value) = get(key.as_bytes())? else {
        return Ok(None);
    };
    match value.first_chunk::<8>() {
        Some(bytes) if value.len() == bytes.len() => Ok(Some(u64::from_le_bytes(*bytes))),
        Some(_) | None => Err(StoreError::Damaged {
            column: daruma_store::Column::State,
            key: format!("{client}"),
            why: format!("a nonce has 8 bytes; found {}", value.len()),
        }),
    }
}

/// The automaton's entries before a transaction: those of the head, with the block's writes so far.
struct Entries<'a> {
    store: &'a dyn Store,
    writes: Writes,
    /// A failed read. The automaton must not learn of it, or its reply would differ from that of the
    /// other replicas: the block is thrown away instead.
    failed: RefCell<Option<StoreError>>,
}

impl StateRead for Entries<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(written) = self.writes.get(key) {
            return written.clone();
        }
        match self.store.state_get(StateKey::automaton(key).as_bytes()) {
            Ok(value) => value,
            Err(error) => {
                self.failed.borrow_mut().get_or_insert(error);
                None
            }
        }
    }
}

/// What executing a block came to, before anything is stored.
pub(crate) struct Results {
    /// The transactions' names, in their order.
    pub(crate) transactions: Vec<Hash>,
    /// Their receipts.
    pub(crate) receipts: Vec<Receipt>,
    /// The new last nonces of the clients that executed something.
    pub(crate) nonces: BTreeMap<PublicKey, u64>,
    /// Changed entries of the whole state.
    pub(crate) changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

/// Executes a block's transactions, one after the other, on the state in `store`.
pub(crate) fn execute(
    store: &dyn Store,
    automaton: &dyn DynAutomaton,
    chain: ChainId,
    block: &Block,
) -> Result<Results, StoreError> {
    let mut entries = Entries { store, writes: Writes::new(), failed: RefCell::new(None) };
    // Last nonces of the clients met so far; those that changed come out as results.
    let mut known: BTreeMap<PublicKey, Option<u64>> = BTreeMap::new();
    let mut nonces = BTreeMap::new();
    let mut transactions = Vec::with_capacity(block.transactions.len());
    let mut receipts = Vec::with_capacity(block.transactions.len());
    let height = block.header.height;
    for (index, transaction) in (0..).zip(&block.transactions) {
        let client = &transaction.client;
        let last = match known.get(client) {
            Some(last) => *last,
            None => stored_nonce(client, |key| store.state_get(key))?,
        };
        let outcome = match last {
            // The one place where a transaction is kept from executing twice.
            Some(last_nonce) if !supersedes(transaction.nonce, last) => {
                known.insert(*client, last);
                Outcome::Superseded { last_nonce }
            }
            Some(_) | None => {
                known.insert(*client, Some(transaction.nonce));
                nonces.insert(*client, transaction.nonce);
                apply(automaton, height, index, &mut entries, transaction)
            }
        };
        if let Some(error) = entries.failed.take() {
            return Err(error);
        }
        let name = transaction.hash(chain);
        transactions.push(name);
        receipts.push(Receipt { transaction: name, height, index, outcome });
    }
    let changed = entries.writes.into_iter();
    let mut changes: BTreeMap<_, _> =
        changed.map(|(key, value)| (StateKey::automaton(&key).into_bytes(), value)).collect();
    for (client, nonce) in &nonces {
        changes.insert(StateKey::nonce(client).into_bytes(), Some(nonce.to_le_bytes().to_vec()));
    }
    Ok(Results { transactions, receipts, nonces, changes })
}

/// Applies one transaction; its writes are kept only if it takes effect.
fn apply(
    automaton: &dyn DynAutomaton,
    height: Height,
    index: u32,
    entries: &mut Entries<'_>,
    transaction: &Transaction,
) -> Outcome {
    let at = At { height: height.0, index, client: transaction.client.0 };
    let mut overlay = Overlay::new(entries);
    // What the automaton could leave half done is the overlay, which is dropped then.
    let applied = catch_unwind(AssertUnwindSafe(|| {
        automaton.apply(at, &mut overlay, &transaction.operation)
    }));
    match applied {
        Ok(Ok(reply)) => {
            let writes = overlay.into_writes();
            if let Some(reason) = over_bound(&writes) {
                return Outcome::aborted(limits::ABORT_OVER_BOUND, reason);
            }
            // Not `append`, which takes time in proportion to both maps.
            entries.writes.extend(writes);
            Outcome::executed(reply)
        }
        Ok(Err(abort)) => Outcome::aborted(abort.code, abort.reason),
        // Not the panic's own message: it may hold addresses, which differ between replicas.
        Err(_) => Outcome::aborted(limits::ABORT_PANICKED, "the automaton panicked".into()),
    }
}

/// Says which write is over the bounds of [`daruma_automaton_api::limits`].
fn over_bound(writes: &Writes) -> Option<String> {
    writes.iter().find_map(|(key, value)| {
        let (key, value) = (key.len(), value.as_ref().map_or(0, Vec::len));
        if key > KEY_BYTES_MAX {
            Some(format!("a key has {key} bytes; at most {KEY_BYTES_MAX}"))
        } else if value > VALUE_BYTES_MAX {
            Some(format!("a value has {value} bytes; at most {VALUE_BYTES_MAX}"))
        } else {
            None
        }
    })
}
