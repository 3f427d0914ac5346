//! One real engine with a real ledger, on rows in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use daruma_engine::{Context, Effect, Engine, EngineHead, Input, LocalLimits, admit};
use daruma_ledger::{Depth, HeadInfo, Ledger, LedgerReader};
use daruma_store::{MemoryStore, Store};
use daruma_types::{CertifiedBlock, Message, PublicKey, RecoveredJournal, ReplicaId};

use crate::chain::{Chain, Door, LIMITS, chain};

/// Small bounds and short patience, so that short inputs reach them.
pub(crate) const LOCAL: LocalLimits = LocalLimits {
    pending_max: 16,
    pending_per_client_max: 8,
    pending_bytes_max: 256,
    eager_proposals: 2,
    beat_rounds: 4,
    progress_tokens: 6,
    censorship_blocks: 3,
    patience_factor_max: 4,
    summary_ticks: 2,
    full_check_ticks: 4,
};

/// A running replica.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) id: ReplicaId,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) ledger: Ledger,
    pub(crate) reader: LedgerReader,
    pub(crate) engine: Engine,
    /// Decided blocks that are not executed yet, in order.
    pub(crate) decided: VecDeque<CertifiedBlock>,
}

/// Where a ledger stands.
fn engine_head(ledger: &Ledger) -> EngineHead {
    let HeadInfo { claim, timestamp_ms, statement } = ledger.head().clone();
    EngineHead { claim, timestamp_ms, statement, recent: ledger.recent_statements() }
}

impl Replica {
    /// Starts replica `id` from what is in `store`, with this journal, or the store's own.
    ///
    /// # Errors
    /// What was wrong with the store, for people; nothing may be, also if it was repaired.
    pub(crate) fn start(
        id: ReplicaId,
        store: &MemoryStore,
        journal: Option<RecoveredJournal>,
        damaged: bool,
    ) -> Result<(Self, Vec<Effect>), String> {
        let Chain { committee, verifier, signers, .. } = chain();
        // What a store keeps in memory beside its rows does not survive a restart.
        let store = Arc::new(store.copy());
        let opened = chain().open(&store, Depth::Recent);
        let (ledger, repairs) = opened.map_err(|error| error.to_string())?;
        let clean = store.clean_journal(&chain().trust()).map_err(|error| error.to_string())?;
        let repaired = !repairs.is_empty() || !clean.dropped.is_empty();
        if repaired && !damaged {
            return Err(format!("undamaged rows were repaired: {repairs:?}, {:?}", clean.dropped));
        }
        let context = Context {
            committee: Arc::clone(committee),
            own: id,
            signer: Arc::clone(&signers[id.index()]),
            verifier: Arc::clone(verifier),
            chain: LIMITS,
            local: LOCAL,
        };
        let reader = ledger.reader();
        let head = engine_head(&ledger);
        let journal = journal.unwrap_or(clean.journal);
        let (engine, effects) = Engine::new(context, head, journal);
        Ok((Self { id, store, ledger, reader, engine, decided: VecDeque::new() }, effects))
    }

    /// Hands over a message of `from`, if the door lets it in.
    pub(crate) fn receive(&mut self, from: ReplicaId, message: Message) -> Vec<Effect> {
        match admit(from, message, &Door { reader: Some(&self.reader) }) {
            Ok(message) => self.engine.step(Input::Received { from, message }),
            Err(_) => Vec::new(),
        }
    }

    /// Executes the next decided block.
    ///
    /// # Errors
    /// What the ledger says, for people.
    pub(crate) fn execute(&mut self) -> Result<Vec<Effect>, String> {
        let Some(block) = self.decided.pop_front() else { return Ok(Vec::new()) };
        let executed = self.ledger.execute(&block).map_err(|error| error.to_string())?;
        let (statement, nonces) = (executed.statement, executed.nonces);
        Ok(self.engine.step(Input::Executed { statement, nonces }))
    }

    /// Tells the engine where the ledger stands.
    pub(crate) fn tell_head(&mut self) -> Vec<Effect> {
        let (head, floor) = (engine_head(&self.ledger), self.store.floor());
        self.engine.step(Input::Ledger { head, floor })
    }

    /// Answers what the engine asked the ledger.
    pub(crate) fn tell_nonces(&mut self, clients: &[PublicKey]) -> Vec<Effect> {
        let last = |client: &PublicKey| self.reader.last_nonce(client).ok().flatten();
        let nonces = clients.iter().map(|client| (*client, last(client))).collect();
        let as_of = self.ledger.head().claim.height;
        self.engine.step(Input::Nonces { as_of, nonces })
    }
}
