//! One simulated replica: a real engine and a real ledger over a simulated disk.

use std::collections::VecDeque;
use std::sync::Arc;

use daruma_adversary::Adversary;
use daruma_automaton_api::DynAutomaton;
use daruma_engine::{Context, Effect, Engine, EngineHead, StateSync};
use daruma_ledger::{
    Depth, HeadInfo, Ledger, LedgerReader, MemoryShelf, SnapshotShelf, SnapshotWriter, TreeHashes,
};
use daruma_store::{Column, MemoryStore, Store, Trust};
use daruma_types::{CertifiedBlock, Height, Promise, ReplicaId, Statement, Summary};

/// What runs between two crashes. All of it is lost in a crash.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    pub(crate) ledger: Ledger,
    pub(crate) reader: LedgerReader,
    /// Effects not yet performed, in order.
    pub(crate) outbox: VecDeque<Effect>,
    /// Promises at the front of the outbox that are durable.
    pub(crate) durable: usize,
    /// Promises of the outbox that are being made durable.
    pub(crate) syncing: Option<usize>,
    /// Blocks to execute, in order.
    pub(crate) decided: VecDeque<CertifiedBlock>,
    pub(crate) executing: bool,
}

/// A replica, running or crashed, with its disk.
pub(crate) struct Replica {
    pub(crate) id: ReplicaId,
    pub(crate) context: Context,
    /// 0, or 1 for the second twin.
    pub(crate) side: usize,
    pub(crate) correct: bool,
    /// Whether its memory or its disk met a transient fault: what it then finds to repair is counted,
    /// and no violation.
    pub(crate) transient: bool,
    /// Whether it ever met one: what it promised meanwhile stays on its disk.
    pub(crate) tainted: bool,
    pub(crate) store: Arc<MemoryStore>,
    /// Whether it makes and takes snapshots.
    pub(crate) snapshots: bool,
    /// Its snapshots, on the same disk.
    pub(crate) shelf: Arc<MemoryShelf>,
    /// A snapshot that waits for its attestations.
    pub(crate) unfinished: Option<(Height, Box<dyn SnapshotWriter>)>,
    /// What its driver remembers of state sync, while it runs.
    pub(crate) sync: Option<StateSync>,
    pub(crate) running: Option<Running>,
    /// Whether its memory was ever spoiled while it ran. What it promised then stays in its journal; its
    /// ledger checks what it is given, and must be sound for all that.
    pub(crate) spoiled: bool,
    /// So many of its ticks it has yet to heal from that.
    pub(crate) healing_ticks: u32,
    /// So many of its ticks it may yet say what memory made up: until it looked at all that it holds, and what
    /// it said before that is on its way.
    pub(crate) unchecked_ticks: u32,
    /// Counts starts and crashes, so that events of an earlier life are known as such.
    pub(crate) incarnation: u32,
    /// Its wall clock at the start of the run.
    pub(crate) epoch_ms: u64,
    /// Its time between two ticks.
    pub(crate) tick_us: u64,
    /// What that time is multiplied by.
    pub(crate) tick_per_mille: u64,
    /// Until then its timers are not to be relied on.
    pub(crate) mistimed_until_us: u64,
    /// It stands still until then, with all of its memory.
    pub(crate) paused_until_us: u64,
    /// Messages that wait for its going on.
    pub(crate) waiting: usize,
    /// Whether links of its are cut for ever: it must do no harm, and need not get anywhere.
    pub(crate) outcast: bool,
    pub(crate) disk_factor: u64,
    /// So long it stays down when its power goes, in microseconds.
    pub(crate) down_us: u64,
    /// Crash after so many more messages.
    pub(crate) crash_after: Option<u32>,
    pub(crate) adversary: Option<Box<dyn Adversary>>,
    /// When its engine was made anew because of a contradiction, the last times, in microseconds.
    pub(crate) rebuilt_us: VecDeque<u64>,
    /// The last summary that its engine made, for the adversary.
    pub(crate) summary: Option<Summary>,
    /// Up to where its ledger was found to hold all that clients hold as confirmed.
    pub(crate) found: Found,
}

/// What was once found in a store is there until the store says that a row was replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Every height up to here is confirmed, and was found.
    pub(crate) to: Height,
    /// [`Replica::replaced`] at that time.
    pub(crate) replaced: u64,
}

impl Replica {
    /// Starts from what the disk holds. Gives the first effects, the head that was found, and how many
    /// rows of the disk were repaired or dropped, which of an undamaged one must be none.
    pub(crate) fn start(
        &mut self,
        automaton: Arc<dyn DynAutomaton>,
        hashes: Arc<TreeHashes>,
    ) -> Result<(Vec<Effect>, Statement, u64), String> {
        // What a store keeps in memory beside its rows is lost in a crash as well.
        self.store = Arc::new(self.store.copy());
        let store: Arc<dyn Store> = Arc::clone(&self.store) as Arc<dyn Store>;
        let committee = Arc::clone(&self.context.committee);
        let trust = Trust { committee, verifier: Arc::clone(&self.context.verifier) };
        let (ledger, repairs) = if self.snapshots {
            let shelf: Arc<dyn SnapshotShelf> = Arc::clone(&self.shelf) as Arc<dyn SnapshotShelf>;
            Ledger::open_with(store, automaton, trust.clone(), Depth::Recent, shelf)
        } else {
            Ledger::open(store, automaton, trust.clone(), Depth::Recent)
        }
        .map_err(|error| error.to_string())?;
        let ledger = ledger.sharing(hashes);
        if !repairs.is_empty() && !self.transient {
            return Err(format!("of an undamaged ledger were repaired: {repairs:?}"));
        }
        let clean = self.store.clean_journal(&trust).map_err(|error| error.to_string())?;
        if !clean.dropped.is_empty() && !self.transient && !self.spoiled {
            return Err(format!("{:?} of an undamaged journal were dropped", clean.dropped));
        }
        let dropped = clean.dropped.values().sum::<u64>() + repairs.len() as u64;
        let head = engine_head(&ledger);
        let statement = head.statement;
        let (engine, effects) = Engine::new(self.context.clone(), head, clean.journal);
        let reader = ledger.reader();
        self.running = Some(Running {
            engine,
            ledger,
            reader,
            outbox: VecDeque::new(),
            durable: 0,
            syncing: None,
            decided: VecDeque::new(),
            executing: false,
        });
        self.incarnation += 1;
        Ok((effects, statement, dropped))
    }

    /// How many rows of the ledger that only ever get more were changed or lost so far.
    pub(crate) fn replaced(&self) -> u64 {
        let columns = [Column::Certificates, Column::Headers, Column::Receipts];
        columns.into_iter().map(|column| self.store.replaced(column)).sum()
    }

    /// Stands still until then.
    pub(crate) fn pause(&mut self, until_us: u64) {
        self.paused_until_us = self.paused_until_us.max(until_us);
        self.waiting = 0;
    }

    /// Whether its power went, which its disk alone notices. What ran is gone then.
    pub(crate) fn power_went(&mut self) -> bool {
        let went = self.running.is_some() && self.store.power_is_out();
        if went {
            self.incarnation += 1;
            self.crash_after = None;
            self.paused_until_us = 0;
            self.running = None;
        }
        went
    }

    /// Loses everything but the disk. With `flushed`, the promises that were on their way to the
    /// disk arrived there.
    pub(crate) fn crash(&mut self, flushed: bool) -> Result<(), String> {
        self.incarnation += 1;
        self.crash_after = None;
        self.paused_until_us = 0;
        (self.sync, self.unfinished) = (None, None);
        let Some(running) = self.running.take() else { return Ok(()) };
        match running.syncing {
            Some(count) if flushed => {
                let promises = running.promises(running.durable, count);
                self.store.journal(&promises).map_err(|error| error.to_string())
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Where a ledger stands.
pub(crate) fn engine_head(ledger: &Ledger) -> EngineHead {
    let HeadInfo { claim, timestamp_ms, statement } = ledger.head().clone();
    EngineHead { claim, timestamp_ms, statement, recent: ledger.recent_statements() }
}

impl Running {
    /// Promises in the outbox, after the first `skip`.
    pub(crate) fn promises(&self, skip: usize, count: usize) -> Vec<Promise> {
        let promises = self.outbox.iter().filter_map(|effect| match effect {
            Effect::Promise { promise, .. } => Some(promise.clone()),
            Effect::Send { .. }
            | Effect::Execute(_)
            | Effect::ServeBlocks { .. }
            | Effect::LookUpNonces(_)
            | Effect::Adopt { .. }
            | Effect::Mend(_)
            | Effect::Pooled(_)
            | Effect::Attested(_)
            | Effect::Observed(_) => None,
        });
        promises.skip(skip).take(count).collect()
    }
}
