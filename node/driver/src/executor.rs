//! The ledger's threads: one executes, one reads for peers that are behind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Instant;

use bytes::Bytes;
use daruma_engine::Input;
use daruma_ledger::{HeadInfo, Ledger, LedgerReader};
use daruma_network::Network;
use daruma_store::Store;
use daruma_types::{
    CertifiedBlock, Hash, Height, Message, PublicKey, StateCertificate, Statement, codec,
    limits as wire,
};
use tokio::sync::broadcast;
use tracing::warn;

use crate::DriverError;
use crate::door::Door;
use crate::event::{Counters, DriverEvent};
use crate::limits;
use crate::start::engine_head;
use crate::turn::{LedgerWork, Serving, Work};

/// Everything the executing thread holds.
pub(crate) struct Executor {
    pub(crate) ledger: Ledger,
    pub(crate) work: Receiver<LedgerWork>,
    pub(crate) engine: SyncSender<Work>,
    pub(crate) door: Arc<Door>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) events: broadcast::Sender<DriverEvent>,
    pub(crate) counters: Arc<Counters>,
    /// Names of the transactions of blocks whose attestations may still come.
    pub(crate) unattested: BTreeMap<Height, Arc<[Hash]>>,
}

impl Executor {
    /// Executes in order until the engine's thread is gone, and tells the engine where the ledger
    /// stands now and then.
    pub(crate) fn run(mut self) -> Result<(), DriverError> {
        let mut next_telling = Instant::now() + limits::LEDGER_PERIOD;
        loop {
            match self.work.recv_timeout(next_telling.saturating_duration_since(Instant::now())) {
                Ok(LedgerWork::Execute(block)) => self.execute(&block)?,
                Ok(LedgerWork::Attested(certificate)) => self.attested(certificate),
                Ok(LedgerWork::Stand) => {
                    let head = engine_head(self.ledger.head().clone(), &self.ledger.reader());
                    let _stopped = self.engine.send(Work::Rebuild(Box::new(head)));
                }
                Ok(LedgerWork::LookUp(clients)) => self.look_up(&clients),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if Instant::now() >= next_telling {
                self.tell_head();
                next_telling = Instant::now() + limits::LEDGER_PERIOD;
            }
        }
    }

    fn execute(&mut self, block: &CertifiedBlock) -> Result<(), DriverError> {
        let executed = match self.ledger.execute(block) {
            Ok(executed) => executed,
            Err(refusal) if refusal.refuses_block() => {
                // The engine's memory is wrong, or was, and it repeats itself. The ledger is right.
                warn!(%refusal, "a block was not executed");
                Counters::count(&self.counters.refused_blocks);
                self.tell_head();
                return Ok(());
            }
            Err(failure) => return Err(failure.into()),
        };
        self.door.executed(&executed.nonces);
        let transactions: Arc<[Hash]> = executed.transactions.into();
        self.unattested.insert(executed.statement.height, transactions.clone());
        while self.unattested.len() > limits::UNATTESTED_MAX {
            self.unattested.pop_first();
        }
        let event = DriverEvent::Executed {
            header: block.block.header.clone(),
            hash: executed.statement.block,
            transactions,
        };
        // Nobody may be listening.
        let _unheard = self.events.send(event);
        self.tell(executed.statement, executed.nonces);
        Ok(())
    }

    /// Tells the engine what was executed; one that has stopped need not know.
    fn tell(&self, statement: Statement, nonces: Vec<(PublicKey, u64)>) {
        let _stopped =
            self.engine.send(Work::Input(Box::new(Input::Executed { statement, nonces })));
    }

    /// Tells the engine the last nonces of clients. One that cannot be read is not told.
    fn look_up(&self, clients: &[PublicKey]) {
        let as_of = self.ledger.head().claim.height;
        let reader = self.ledger.reader();
        let found = clients.iter().filter_map(|key| Some((*key, reader.last_nonce(key).ok()?)));
        let input = Input::Nonces { as_of, nonces: found.collect() };
        let _stopped = self.engine.send(Work::Input(Box::new(input)));
    }

    /// Tells the engine where the ledger stands, so that its memory is made to follow from it.
    fn tell_head(&self) {
        let HeadInfo { claim, timestamp_ms, statement } = self.ledger.head().clone();
        let input = Input::Ledger { claim, timestamp_ms, statement };
        let _stopped = self.engine.send(Work::Input(Box::new(input)));
    }

    /// Attestations can be had again from the other replicas, so a failure to keep them is no more
    /// than a warning.
    fn attested(&self, certificate: StateCertificate) {
        if let Err(failed) = self.store.put_state_certificate(&certificate) {
            warn!(%failed, "attestations could not be kept");
        }
        let height = certificate.statement.height;
        // A block executed before the last start is looked up: somebody may still wait for it.
        let transactions = self.unattested.get(&height).cloned().or_else(|| self.names(height));
        if let Some(transactions) = transactions {
            let _unheard = self.events.send(DriverEvent::Attested { certificate, transactions });
        }
    }
}

impl Executor {
    /// The names of a stored block's transactions.
    fn names(&self, height: Height) -> Option<Arc<[Hash]>> {
        let block = self.store.block(height).ok().flatten()?;
        let chain = block.header.chain;
        Some(block.transactions.iter().map(|transaction| transaction.hash(chain)).collect())
    }
}

/// Reads committed blocks for peers that are behind.
pub(crate) fn serve(servings: &Receiver<Serving>, reader: &LedgerReader, network: &Network) {
    while let Ok(Serving { to, from, count }) = servings.recv() {
        let count = (count as usize).min(wire::FETCH_BLOCKS_MAX);
        match reader.certified_blocks(from, count, wire::FETCH_BYTES_MAX) {
            Ok(blocks) if blocks.is_empty() => {}
            Ok(blocks) => {
                let heights = blocks.iter().map(|block| block.certificate.height);
                // One that is missing or unreadable here, the other replicas have.
                let attested = heights.filter_map(|h| reader.state_certificate(h).ok().flatten());
                let attested = Message::StateCertificates(attested.collect());
                for message in [attested, Message::Blocks(blocks)] {
                    network.send(to, message.lane(), Bytes::from(codec::encode(&message)));
                }
            }
            Err(failed) => warn!(%failed, %from, "could not read blocks for a peer"),
        }
    }
}
