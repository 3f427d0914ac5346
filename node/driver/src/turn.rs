//! The engine's thread: input, step, perform (EXAMPLES: the driver turns effects into acts).
//!
//! A turn takes the inputs that wait, up to a bound, steps through them, makes all their promises
//! durable with one sync, and only then sends what follows.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use daruma_engine::{Destination, Effect, Engine, Input, Observation, PoolRefusal, Status};
use daruma_network::Network;
use daruma_store::Store;
use daruma_types::{
    CertifiedBlock, Committee, Height, Message, Promise, ReplicaId, StateCertificate, Transaction,
    codec,
};
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::door::Refused;
use crate::event::Counters;
use crate::limits;
use crate::{Answer, DriverError};

/// What the engine's thread is given.
pub(crate) enum Work {
    /// An input that nobody waits for.
    Input(Box<Input>),
    /// Checked transactions of clients, with where each answer goes.
    Submit(Vec<(Transaction, Answer)>),
    /// Finish.
    Stop,
}

/// What the ledger's thread is given.
pub(crate) enum LedgerWork {
    /// Execute this block.
    Execute(CertifiedBlock),
    /// Tell of these attestations, and keep them.
    Attested(StateCertificate),
}

/// A peer's request for committed blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Serving {
    pub(crate) to: ReplicaId,
    pub(crate) from: Height,
    pub(crate) count: u32,
}

/// Everything the engine's thread holds.
pub(crate) struct EngineThread {
    pub(crate) engine: Engine,
    pub(crate) work: Receiver<Work>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) network: Network,
    pub(crate) ledger: SyncSender<LedgerWork>,
    pub(crate) servings: SyncSender<Serving>,
    pub(crate) status: watch::Sender<Arc<Status>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) committee: Arc<Committee>,
    pub(crate) tick: Duration,
}

/// The effects of a turn, sorted into what needs the disk first and what does not.
#[derive(Default)]
struct Turn {
    /// Messages that precede every promise.
    before: Vec<(Destination, Message)>,
    promises: Vec<Promise>,
    /// Everything after the first promise, in order.
    after: Vec<(Destination, Message)>,
    executions: Vec<CertifiedBlock>,
    attested: Vec<StateCertificate>,
    servings: Vec<Serving>,
    answers: Vec<(Answer, Result<(), PoolRefusal>)>,
}

impl EngineThread {
    /// Runs until told to stop, or until the store fails.
    pub(crate) fn run(mut self, effects: Vec<Effect>) -> Result<(), DriverError> {
        let mut turn = Turn::default();
        self.sort(effects, &mut turn);
        self.perform(turn)?;
        let mut next_tick = Instant::now() + self.tick;
        let mut shown = Instant::now();
        loop {
            let wait = next_tick.saturating_duration_since(Instant::now());
            let mut turn = Turn::default();
            match self.work.recv_timeout(wait) {
                Ok(Work::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(work) => {
                    self.handle(work, &mut turn);
                    if self.drain(&mut turn) {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= next_tick {
                self.step(Input::Tick { now_ms: now_ms() }, &mut turn);
                // A late tick is not made up for: ticks measure patience, and a stalled process
                // must not run out of it all at once.
                next_tick = Instant::now() + self.tick;
            }
            self.perform(turn)?;
            if shown.elapsed() >= limits::STATUS_PERIOD {
                shown = Instant::now();
                self.status.send_replace(Arc::new(self.engine.status()));
            }
        }
    }

    /// Takes what else waits. True if told to stop.
    fn drain(&mut self, turn: &mut Turn) -> bool {
        for _ in 1..limits::TURN_INPUTS_MAX {
            match self.work.try_recv() {
                Ok(Work::Stop) => return true,
                Ok(work) => self.handle(work, turn),
                Err(_) => break,
            }
        }
        false
    }

    fn handle(&mut self, work: Work, turn: &mut Turn) {
        match work {
            Work::Input(input) => self.step(*input, turn),
            Work::Submit(submissions) => {
                let (transactions, answers): (Vec<_>, Vec<_>) = submissions.into_iter().unzip();
                let effects = self.engine.step(Input::Submitted { transactions });
                let mut answers = answers.into_iter();
                for effect in &effects {
                    if let Effect::Pooled(outcomes) = effect {
                        turn.answers.extend(answers.by_ref().zip(outcomes.iter().cloned()));
                    }
                }
                self.sort(effects, turn);
            }
            Work::Stop => {}
        }
    }

    fn step(&mut self, input: Input, turn: &mut Turn) {
        let effects = self.engine.step(input);
        self.sort(effects, turn);
    }

    fn sort(&self, effects: Vec<Effect>, turn: &mut Turn) {
        for effect in effects {
            match effect {
                Effect::Promise { promise, then } => {
                    turn.promises.push(promise);
                    turn.after.extend(then);
                }
                Effect::Send { to, message } if turn.promises.is_empty() => {
                    turn.before.push((to, message));
                }
                Effect::Send { to, message } => turn.after.push((to, message)),
                Effect::Execute(block) => turn.executions.push(block),
                Effect::Attested(certificate) => turn.attested.push(certificate),
                Effect::ServeBlocks { to, from, count } => {
                    turn.servings.push(Serving { to, from, count });
                }
                Effect::Pooled(_) => {}
                Effect::Observed(observation) => self.observe(&observation),
            }
        }
    }

    fn perform(&self, turn: Turn) -> Result<(), DriverError> {
        self.send(turn.before);
        self.promise(&turn.promises)?;
        self.send(turn.after);
        for (answer, outcome) in turn.answers {
            answer(outcome.map_err(Refused::Pool));
        }
        for block in turn.executions {
            self.ledger.send(LedgerWork::Execute(block)).map_err(|_| DriverError::Stopped)?;
        }
        for certificate in turn.attested {
            self.ledger
                .send(LedgerWork::Attested(certificate))
                .map_err(|_| DriverError::Stopped)?;
        }
        for serving in turn.servings {
            // The peer asks again.
            let _full = self.servings.try_send(serving);
        }
        Ok(())
    }

    /// Makes the promises durable. If they contradict what was promised before, the memory they come
    /// from cannot be trusted: nothing of it may be said, now or in a later repetition, so the engine
    /// stops here, and the next start goes on from the journal.
    fn promise(&self, promises: &[Promise]) -> Result<(), DriverError> {
        if promises.is_empty() {
            return Ok(());
        }
        Counters::count(&self.counters.syncs);
        Ok(self.store.journal(promises)?)
    }

    fn send(&self, messages: Vec<(Destination, Message)>) {
        for (to, message) in messages {
            let lane = message.lane();
            let frame = Bytes::from(codec::encode(&message));
            match to {
                Destination::All => self.network.broadcast(lane, &frame),
                Destination::One(peer) => self.network.send(peer, lane, frame),
            }
        }
    }

    fn observe(&self, observation: &Observation) {
        let counters = &self.counters;
        match observation {
            Observation::View { view, phase } => {
                Counters::count(&counters.views);
                let primary = self.committee.thresholds().primary(view.0);
                info!(%view, phase, %primary, "view");
            }
            Observation::Activated { ballot } => info!(%ballot, "ballot active"),
            Observation::Suspected { view, reason } => {
                warn!(%view, ?reason, "the primary is suspected");
            }
            Observation::Equivocation { replica, ballot, height } => {
                Counters::count(&counters.equivocations);
                warn!(%replica, %ballot, %height, "a replica contradicts itself");
            }
            Observation::Diverged { height } => {
                Counters::count(&counters.diverged);
                error!(%height, "f+1 replicas attest another state than this one computed");
            }
            Observation::Disbelieved { from, reason } => {
                Counters::count(&counters.disbelieved);
                debug!(%from, ?reason, "a message was not believed");
            }
            Observation::Repaired(illegal) => {
                Counters::count(&counters.repaired);
                warn!(%illegal, "own state was illegal and has been repaired");
            }
        }
    }
}

/// The wall clock in ms since 1970; 0 before.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
