//! The ledger's threads: one executes, one reads for peers that are behind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Instant;

use bytes::Bytes;
use daruma_engine::Input;
use daruma_ledger::{
    Depth, Executed, Ledger, LedgerError, LedgerReader, LedgerRepair, SnapshotShelf, Suspect,
};
use daruma_network::Network;
use daruma_store::{Heal, HealComponent, Store};
use daruma_types::{
    Adoption, CertifiedBlock, Hash, Height, Message, PublicKey, StateCertificate, Statement, codec,
    limits as wire,
};
use tokio::sync::broadcast;
use tracing::{error, warn};

use crate::door::Door;
use crate::event::{Counters, DriverEvent};
use crate::healing::{HealNotes, heals_of_ledger, now_ms};
use crate::scrubbing::ScrubControl;
use crate::start::engine_head;
use crate::supervision::{Supervisor, Task};
use crate::syncing::{Shelves, Syncing, Waiting};
use crate::turn::{LedgerWork, Serving, Work};
use crate::{DriverError, limits};

/// Everything the executing thread holds.
pub(crate) struct Executor {
    pub(crate) ledger: Ledger,
    pub(crate) work: Receiver<LedgerWork>,
    pub(crate) engine: SyncSender<Work>,
    pub(crate) door: Arc<Door>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) events: broadcast::Sender<DriverEvent>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) heals: HealNotes,
    /// Names of the transactions of blocks whose attestations may still come.
    pub(crate) unattested: BTreeMap<Height, Arc<[Hash]>>,
    pub(crate) syncing: Syncing,
    pub(crate) scrub: Arc<ScrubControl>,
    pub(crate) supervisor: Arc<Supervisor>,
    /// Whether a check of the ledger was broken off, so that the store may hold half of what it should: it is to
    /// be checked again before anything is executed.
    pub(crate) unchecked: bool,
}

impl Executor {
    /// Executes in order until the engine's thread is gone, and tells the engine where the ledger
    /// stands now and then.
    ///
    /// # Errors
    /// [`DriverError::Panicked`] if it panics too often.
    pub(crate) fn run(mut self) -> Result<(), DriverError> {
        let mut next_telling = Instant::now() + limits::LEDGER_PERIOD;
        let mut next_forgetting = Instant::now() + limits::FORGET_PERIOD;
        let supervisor = Arc::clone(&self.supervisor);
        loop {
            supervisor.waits(Task::Executor);
            let next = next_telling.min(self.syncing.next_tick);
            let wait = next.saturating_duration_since(Instant::now());
            let work = match self.work.recv_timeout(wait) {
                Ok(work) => Some(work),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            supervisor.works(Task::Executor);
            let done = supervisor.caught(|| {
                if let Some(work) = work {
                    self.perform(work);
                }
                self.sync_tick();
                if Instant::now() >= next_telling {
                    self.tell_head();
                    next_telling = Instant::now() + limits::LEDGER_PERIOD;
                }
                if Instant::now() >= next_forgetting {
                    self.door.forget_all();
                    next_forgetting = Instant::now() + limits::FORGET_PERIOD;
                }
            });
            if let Err(why) = done {
                self.open_again(why)?;
            }
        }
    }

    fn perform(&mut self, work: LedgerWork) {
        match work {
            LedgerWork::Execute(block) => {
                self.scrub.executing.store(true, Ordering::Relaxed);
                self.execute(&block);
                self.scrub.executing.store(false, Ordering::Relaxed);
            }
            LedgerWork::Attested(certificate) => self.attested(certificate),
            LedgerWork::Stand => self.stand(),
            LedgerWork::Adopt(blocks, tie) => self.adopt(&blocks, tie),
            LedgerWork::Check(height) => self.check(height),
            LedgerWork::Settle(suspect) => self.settle(&suspect),
            LedgerWork::Mend(block) => self.mend(&block),
            LedgerWork::LookUp(clients) => self.look_up(&clients),
            LedgerWork::Offered(from, checkpoint) => self.offered(from, checkpoint),
            LedgerWork::Chunk(chunk) => self.chunk(chunk),
        }
    }

    /// After a panic: what the ledger holds in memory may be half changed, and is read from the store again. The
    /// engine gives the block again that was not executed, as any that it misses.
    fn open_again(&mut self, mut why: String) -> Result<(), DriverError> {
        let supervisor = Arc::clone(&self.supervisor);
        loop {
            self.scrub.executing.store(false, Ordering::Relaxed);
            std::thread::sleep(supervisor.restarts(Task::Executor, &why)?);
            let started = Instant::now();
            match supervisor.caught(|| self.ledger.check_again(Depth::Recent)) {
                Ok(Ok(repairs)) => {
                    self.unchecked = false;
                    self.told("ledger", &repairs, started, "");
                    self.door.forget();
                    self.unattested.clear();
                    self.stand();
                    return Ok(());
                }
                Ok(Err(failed)) => why = failed.to_string(),
                Err(panic) => why = panic,
            }
        }
    }

    /// Executes a block. A disk that refuses is asked again until it does not: reads and the engine go
    /// on meanwhile. What is found damaged is repaired.
    fn execute(&mut self, block: &CertifiedBlock) {
        let mut pause = limits::DISK_PAUSE_MIN;
        let executed = loop {
            // A disk that refuses is told of as that.
            self.supervisor.works(Task::Executor);
            match self.execute_checked(block) {
                Ok(executed) => break executed,
                // The engine asks for blocks all the time, and gets some that are no use yet.
                Err(LedgerError::Restoring { .. }) => return,
                Err(refusal) if refusal.refuses_block() => {
                    // The engine's memory is wrong, or was, and it repeats itself. The ledger is right.
                    warn!(%refusal, "a block was not executed");
                    Counters::count(&self.counters.refused_blocks);
                    self.tell_head();
                    return;
                }
                Err(damage) if damage.is_damage() && self.repair(&damage) => {}
                Err(failure) => {
                    error!(%failure, "nothing is executed: the ledger cannot be written");
                    Counters::count(&self.counters.refused_writes);
                    if !self.counters.ledger_fails.swap(true, Ordering::Relaxed) {
                        let done = "nothing is executed until the ledger can be written";
                        let heal =
                            Heal::new(now_ms(), HealComponent::Disk, failure.to_string(), done);
                        self.heals.note("ledger refused", vec![heal]);
                    }
                    std::thread::sleep(pause);
                    pause = pause.saturating_mul(2).min(limits::DISK_PAUSE_MAX);
                }
            }
            if !self.tell_head() {
                return;
            }
        };
        if self.counters.ledger_fails.swap(false, Ordering::Relaxed) {
            let (cause, done) = ("the ledger can be written again", "blocks are executed again");
            let heal = Heal::new(now_ms(), HealComponent::Disk, cause, done);
            self.heals.note("ledger resumed", vec![heal]);
        }
        if let Some(maker) = &self.syncing.maker {
            maker.executed(executed.statement.height);
        }
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
    }

    /// Executes a block on a ledger that is whole.
    fn execute_checked(&mut self, block: &CertifiedBlock) -> Result<Executed, LedgerError> {
        if self.unchecked {
            let started = Instant::now();
            let repairs = self.ledger.check_again(Depth::Whole)?;
            self.told("ledger", &repairs, started, "");
            self.unchecked = false;
            self.door.forget();
        }
        self.ledger.execute(block)
    }

    /// Tells where the ledger stands, for an engine that is made anew.
    pub(crate) fn stand(&self) {
        self.note_restoring();
        let head = engine_head(&self.ledger);
        let _stopped = self.engine.send(Work::Rebuild(Box::new(head)));
    }

    /// For the node's health.
    fn note_restoring(&self) {
        let restoring = self.ledger.restoring().is_some();
        self.counters.restoring.store(restoring, Ordering::Relaxed);
    }

    /// Compares another chain's blocks with our own, and gives up our own where they part if the
    /// conflict rule says so.
    fn adopt(&mut self, blocks: &[CertifiedBlock], tie: bool) {
        let (from, before) = (self.ledger.head().claim.height, self.ledger.head().claim.hash);
        let started = Instant::now();
        match self.ledger.adopt(blocks, tie) {
            Ok(Adoption::Adopted { to }) => {
                error!(%from, %to, "blocks were given up for another certified chain");
                let cause =
                    "another certified chain was shown, and this replica was on the smaller side";
                let done = "the blocks above the fork gave way to the other chain's and are kept in quarantine";
                let heal = Heal::new(now_ms(), HealComponent::Chain, cause, done)
                    .with_change(Some(before), Some(self.ledger.head().claim.hash))
                    .with_evidence(format!("head {from}, given up down to {to}"))
                    .that_took(started.elapsed());
                self.heals.note("adopted", vec![heal]);
                self.changed(from);
            }
            Ok(adoption) => {
                let input = Box::new(Input::Adoption(adoption));
                let _stopped = self.engine.send(Work::Input(input));
            }
            Err(failure) => {
                error!(%failure, "another chain's blocks could not be compared");
                if self.repair(&failure) {
                    self.changed(from);
                }
            }
        }
    }

    /// Tells what was repaired in the log and in the heal log, where `more` is added to the evidence.
    fn told(&self, kind: &'static str, repairs: &[LedgerRepair], started: Instant, more: &str) {
        tell_repairs(repairs);
        let mut heals = heals_of_ledger(repairs, now_ms(), started.elapsed());
        for heal in &mut heals {
            heal.evidence.push_str(more);
        }
        self.heals.note(kind, heals);
    }

    /// Looks again at what the scrubber found, and repairs what is wrong.
    fn settle(&mut self, suspect: &Suspect) {
        if self.unchecked {
            return;
        }
        let started = Instant::now();
        match self.ledger.settle(suspect) {
            Ok(repairs) if repairs.is_empty() => {}
            Ok(repairs) => {
                Counters::count(&self.counters.ledger_repairs);
                self.scrub.found(repairs.len());
                self.told("scrubbed", &repairs, started, ", found by the scrubber");
                self.door.forget();
                self.tell_head();
            }
            Err(failure) => {
                warn!(%failure, ?suspect, "what was found could not be settled");
                self.unchecked = true;
            }
        }
    }

    /// Looks at a record that could not be served. What is missed then is told to the engine.
    fn check(&mut self, height: Height) {
        let started = Instant::now();
        match self.ledger.check_height(height) {
            Ok(repairs) if repairs.is_empty() => {}
            Ok(repairs) => {
                Counters::count(&self.counters.ledger_repairs);
                self.told("record", &repairs, started, "");
                self.tell_head();
            }
            Err(failure) => warn!(%failure, %height, "a record could not be checked"),
        }
    }

    /// Puts a block that a peer sent in the place of a damaged one, and tells what else is missed.
    fn mend(&mut self, block: &CertifiedBlock) {
        let (height, started) = (block.certificate.height, Instant::now());
        match self.ledger.mend(block) {
            Ok(true) => {
                warn!(%height, "a damaged block was had again from the other replicas");
                let cause = "the record of an executed block was damaged";
                let done = "the block was had again from another replica";
                let heal = Heal::new(now_ms(), HealComponent::Ledger, cause, done)
                    .with_change(None, Some(block.certificate.hash))
                    .with_evidence(format!("height {height}, proven by the block above"))
                    .that_took(started.elapsed());
                self.heals.note("mended", vec![heal]);
            }
            Ok(false) => {}
            Err(failure) => error!(%failure, %height, "a damaged block could not be replaced"),
        }
        self.tell_head();
    }

    /// The ledger is no longer what it was: everybody is told.
    pub(crate) fn changed(&mut self, from: Height) {
        let to = self.ledger.head().claim.height;
        self.door.forget();
        self.unattested.clear();
        let _unheard = self.events.send(DriverEvent::Truncated { from, to });
        self.stand();
    }

    /// Repairs what was found damaged on the way. False if the disk does not let it.
    pub(crate) fn repair(&mut self, damage: &LedgerError) -> bool {
        warn!(%damage, "the ledger is checked and repaired");
        Counters::count(&self.counters.ledger_repairs);
        let started = Instant::now();
        match self.ledger.check_again(Depth::Whole) {
            Ok(repairs) => {
                self.told("ledger", &repairs, started, "");
                if repairs.is_empty() {
                    let done = "the whole ledger was checked, and nothing was to be repaired";
                    let heal = Heal::new(now_ms(), HealComponent::Ledger, damage.to_string(), done);
                    self.heals.note("ledger", vec![heal.that_took(started.elapsed())]);
                }
                self.door.forget();
                true
            }
            Err(failure) => {
                error!(%failure, "the ledger could not be repaired");
                self.unchecked = true;
                false
            }
        }
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
    /// False if nobody listens any more.
    fn tell_head(&self) -> bool {
        let (head, floor) = (engine_head(&self.ledger), self.store.floor());
        let input = Input::Ledger { head, floor };
        if self.engine.send(Work::Input(Box::new(input))).is_err() {
            return false;
        }
        let Some(height) = self.ledger.missing() else { return true };
        self.engine.send(Work::Input(Box::new(Input::Missing { height }))).is_ok()
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

/// Writes what opening or checking a ledger repaired into the log.
pub fn tell_repairs(repairs: &[LedgerRepair]) {
    for LedgerRepair { height, column, found, remedy, .. } in repairs {
        warn!(%height, table = column.name(), found, ?remedy, "the ledger was repaired");
    }
}

/// Reads committed blocks, and chunks of snapshots, for peers that are behind. What is found damaged is not
/// sent, and the ledger is told.
pub(crate) fn serve(
    servings: &Receiver<Serving>,
    reader: &LedgerReader,
    network: &Network,
    (shelf, waiting): (Option<&dyn SnapshotShelf>, &Waiting),
    ledger: &SyncSender<LedgerWork>,
    supervisor: &Supervisor,
) -> Result<(), DriverError> {
    let shelves = Shelves { shelf, network };
    while let Ok(serving) = servings.recv() {
        if let Serving::Chunk { to, .. } = serving {
            waiting.end(to);
        }
        supervisor.each(Task::Serving, || serve_one(serving, reader, &shelves, ledger))?;
    }
    Ok(())
}

fn serve_one(
    serving: Serving,
    reader: &LedgerReader,
    shelves: &Shelves<'_>,
    ledger: &SyncSender<LedgerWork>,
) {
    let network = shelves.network;
    let (to, from, count) = match serving {
        Serving::Blocks { to, from, count } => (to, from, count),
        Serving::Chunk { to, height, from } => {
            shelves.send_chunk(to, height, from);
            return;
        }
    };
    if shelves.offer(to, from, reader) {
        return;
    }
    let count = (count as usize).min(wire::FETCH_BLOCKS_MAX);
    let read = reader.sound_blocks(from, count, wire::FETCH_BYTES_MAX);
    if let Ok((_, Some(damaged))) = &read {
        // With a full queue it is found again when somebody asks again.
        let _full = ledger.try_send(LedgerWork::Check(*damaged));
    }
    match read {
        Ok((blocks, _)) if blocks.is_empty() => {}
        Ok((blocks, _)) => {
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
