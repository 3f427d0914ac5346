//! The engine's thread: input, step, perform (EXAMPLES: the driver turns effects into acts).
//!
//! A turn takes the inputs that wait, up to a bound, steps through them, makes all their promises
//! durable with one sync, and only then sends what follows.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use daruma_engine::{
    Context, Destination, Effect, Engine, EngineHead, Input, Observation, PoolRefusal, Status,
};
use daruma_ledger::Suspect;
use daruma_network::Network;
use daruma_store::{Heal, HealComponent, Store, StoreError, Trust};
use daruma_types::{
    CertifiedBlock, Checkpoint, Hash, Height, Message, Promise, PublicKey, ReplicaId,
    StateCertificate, Transaction, codec,
};
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::door::Refused;
use crate::event::Counters;
use crate::healing::{HealNotes, kind_of, now_ms};
use crate::limits;
use crate::rebuilding::{Cause, Rebuilding};
use crate::supervision::{Supervisor, Task};
use crate::syncing::Chunk;
use crate::{Answer, DriverError};

/// What the engine's thread is given.
pub(crate) enum Work {
    /// An input that nobody waits for.
    Input(Box<Input>),
    /// Checked transactions of clients, with where each answer goes.
    Submit(Vec<(Transaction, Answer)>),
    /// Where the ledger stands, in answer to [`LedgerWork::Stand`], or because it gave up blocks for
    /// another chain: the engine is made anew.
    Rebuild(Box<EngineHead>),
    /// Finish.
    Stop,
}

/// What the ledger's thread is given.
pub(crate) enum LedgerWork {
    /// Execute this block.
    Execute(CertifiedBlock),
    /// Tell the engine the last nonces of these clients.
    LookUp(Vec<PublicKey>),
    /// Tell of these attestations, and keep them.
    Attested(StateCertificate),
    /// Compare these blocks of another chain, [`Effect::Adopt`].
    Adopt(Vec<CertifiedBlock>, bool),
    /// Put this block in the place of a damaged one, [`Effect::Mend`].
    Mend(CertifiedBlock),
    /// Look at the record of this height, which could not be served.
    Check(Height),
    /// Look again at what the scrubber found.
    Settle(Suspect),
    /// Say where the ledger stands once all of this is done.
    Stand,
    /// A peer offers this snapshot.
    Offered(ReplicaId, Box<Checkpoint>),
    /// A chunk of a snapshot came.
    Chunk(Chunk),
}

/// What a peer asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Serving {
    /// Committed blocks.
    Blocks { to: ReplicaId, from: Height, count: u32 },
    /// A chunk of a snapshot.
    Chunk { to: ReplicaId, height: Height, from: Hash },
}

/// Everything the engine's thread holds.
pub(crate) struct EngineThread {
    pub(crate) engine: Engine,
    pub(crate) context: Context,
    pub(crate) rebuilding: Rebuilding,
    pub(crate) work: Receiver<Work>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) network: Network,
    pub(crate) ledger: SyncSender<LedgerWork>,
    pub(crate) servings: SyncSender<Serving>,
    pub(crate) status: watch::Sender<Arc<Status>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) heals: HealNotes,
    pub(crate) tick: Duration,
    pub(crate) supervisor: Arc<Supervisor>,
    /// The scrubber ends with it.
    #[expect(dead_code, reason = "that it is there is what it says")]
    pub(crate) scrubbing: Sender<()>,
}

impl Turn {
    /// Tells clients that nothing is pending: they are to come back.
    fn refuse(self) {
        for (answer, _) in self.answers {
            answer(Err(Refused::Pool(PoolRefusal::Full { pending: 0 })));
        }
    }
}

/// Why an engine no longer serves.
enum Ended {
    /// Its ledger gave up blocks for another chain, and stands there.
    Replaced(Box<EngineHead>),
    /// It was told to stop.
    Stopped,
    /// A promise was refused.
    Failed(Cause),
}

/// What the journal is judged by.
pub(crate) fn trust_of(context: &Context) -> Trust {
    Trust { committee: context.committee.clone(), verifier: context.verifier.clone() }
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
    look_ups: Vec<Vec<PublicKey>>,
    adoptions: Vec<(Vec<CertifiedBlock>, bool)>,
    mends: Vec<CertifiedBlock>,
    /// The ledger is another: all of this is of an engine that is no more.
    rebuild: Option<Box<EngineHead>>,
    servings: Vec<Serving>,
    answers: Vec<(Answer, Result<(), PoolRefusal>)>,
}

impl EngineThread {
    /// Runs until told to stop.
    pub(crate) fn run(mut self, effects: Vec<Effect>) -> Result<(), DriverError> {
        let mut first = Some(effects);
        loop {
            let supervisor = Arc::clone(&self.supervisor);
            let effects = first.take().unwrap_or_default();
            first = match supervisor.caught(|| self.life(effects)) {
                Ok(Some(effects)) => Some(effects?),
                Ok(None) => return Ok(()),
                // Nothing that a turn came to is said before its promises are on disk, so whatever it was
                // about to say is forgotten, and the journal has all that was said.
                Err(why) => {
                    let pause = supervisor.restarts(Task::Engine, &why)?;
                    let rebuilt = supervisor.caught(|| self.rebuild(Instant::now() + pause));
                    match rebuilt {
                        Ok(Ok(Some(effects))) => Some(effects),
                        Ok(Ok(None)) => return Ok(()),
                        Ok(Err(failed)) => return Err(failed),
                        Err(_) => return Err(DriverError::Panicked(Task::Engine.name())),
                    }
                }
            };
        }
    }

    /// Serves with one engine, and gives the first effects of the next; none if told to stop.
    fn life(&mut self, effects: Vec<Effect>) -> Option<Result<Vec<Effect>, DriverError>> {
        match self.serve(effects) {
            Ok(Ended::Stopped) => None,
            Ok(Ended::Replaced(head)) => Some(self.renew(*head)),
            Ok(Ended::Failed(cause)) => {
                let at = self.rebuilding.plan(cause, Instant::now());
                self.rebuild(at).transpose()
            }
            Err(failed) => Some(Err(failed)),
        }
    }

    /// Serves until told to stop, or until a promise is refused.
    fn serve(&mut self, effects: Vec<Effect>) -> Result<Ended, DriverError> {
        let mut turn = Turn::default();
        self.sort(effects, &mut turn);
        if let Some(cause) = self.perform(turn)? {
            return Ok(Ended::Failed(cause));
        }
        let mut next_tick = Instant::now() + self.tick;
        let mut shown = Instant::now();
        loop {
            let wait = next_tick.saturating_duration_since(Instant::now());
            let mut turn = Turn::default();
            self.supervisor.waits(Task::Engine);
            let work = self.work.recv_timeout(wait);
            self.supervisor.works(Task::Engine);
            match work {
                Ok(Work::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(Ended::Stopped),
                Ok(work) => {
                    self.handle(work, &mut turn);
                    if self.drain(&mut turn) {
                        return Ok(Ended::Stopped);
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
            if let Some(head) = turn.rebuild.take() {
                turn.refuse();
                return Ok(Ended::Replaced(head));
            }
            if let Some(cause) = self.perform(turn)? {
                return Ok(Ended::Failed(cause));
            }
            if shown.elapsed() >= limits::STATUS_PERIOD {
                shown = Instant::now();
                self.status.send_replace(Arc::new(self.engine.status()));
            }
        }
    }

    /// Makes the engine anew at the moment `at`, from the ledger, which is asked where it stands after
    /// all it was given, and from the journal. What comes until then is for an engine that is no more.
    /// None if told to stop.
    fn rebuild(&mut self, at: Instant) -> Result<Option<Vec<Effect>>, DriverError> {
        let mut asked = false;
        let mut at = at;
        loop {
            self.supervisor.waits(Task::Engine);
            if !asked && Instant::now() >= at {
                match self.ledger.try_send(LedgerWork::Stand) {
                    Ok(()) => asked = true,
                    // It is busy with what it was given before.
                    Err(TrySendError::Full(_)) => at = Instant::now() + self.tick,
                    Err(TrySendError::Disconnected(_)) => return Err(DriverError::Stopped),
                }
            }
            let wait = match asked {
                true => limits::DISK_PAUSE_MAX,
                false => at.saturating_duration_since(Instant::now()),
            };
            match self.work.recv_timeout(wait) {
                Ok(Work::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Ok(Work::Rebuild(head)) if asked => return Ok(Some(self.renew(*head)?)),
                Ok(Work::Submit(submissions)) => {
                    for (_, answer) in submissions {
                        // Nothing is pending; the client is to come back.
                        answer(Err(Refused::Pool(PoolRefusal::Full { pending: 0 })));
                    }
                }
                Ok(Work::Input(_) | Work::Rebuild(_)) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn renew(&mut self, head: EngineHead) -> Result<Vec<Effect>, DriverError> {
        let trust = trust_of(&self.context);
        let journal = match self.store.clean_journal(&trust) {
            Ok(clean) => clean.journal,
            Err(failed) => {
                // The disk still refuses. The first promise will find out, too, and wait longer.
                warn!(%failed, "the journal could not be cleaned");
                self.store.recover_journal()?.journal
            }
        };
        let (engine, effects) = Engine::new(self.context.clone(), head, journal);
        self.engine = engine;
        info!("the engine was made anew from ledger and journal");
        Ok(effects)
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
            Work::Rebuild(head) => turn.rebuild = Some(head),
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
                Effect::LookUpNonces(clients) => turn.look_ups.push(clients),
                Effect::Adopt { blocks, tie } => turn.adoptions.push((blocks, tie)),
                Effect::Mend(block) => turn.mends.push(block),
                Effect::ServeBlocks { to, from, count } => {
                    turn.servings.push(Serving::Blocks { to, from, count });
                }
                Effect::Pooled(_) => {}
                Effect::Observed(observation) => self.observe(&observation),
            }
        }
    }

    /// Does what a turn came to. If its promises are refused, nothing that follows from them is done,
    /// and the cause is given.
    fn perform(&mut self, mut turn: Turn) -> Result<Option<Cause>, DriverError> {
        self.send(std::mem::take(&mut turn.before));
        if let Some(cause) = self.promise(&turn.promises) {
            turn.refuse();
            return Ok(Some(cause));
        }
        self.send(turn.after);
        for (answer, outcome) in turn.answers {
            answer(outcome.map_err(Refused::Pool));
        }
        let executions = turn.executions.into_iter().map(LedgerWork::Execute);
        for work in executions.chain(turn.attested.into_iter().map(LedgerWork::Attested)) {
            match self.ledger.try_send(work) {
                // The two threads never wait for each other. A block that is missing the engine gives
                // again; attestations can be had again.
                Ok(()) | Err(TrySendError::Full(_)) => {}
                Err(TrySendError::Disconnected(_)) => return Err(DriverError::Stopped),
            }
        }
        for (blocks, tie) in turn.adoptions {
            // Asked again in time.
            let _full = self.ledger.try_send(LedgerWork::Adopt(blocks, tie));
        }
        for block in turn.mends {
            // The ledger tells what it misses until it has it.
            let _full = self.ledger.try_send(LedgerWork::Mend(block));
        }
        for clients in turn.look_ups {
            // Asked again at the next full check.
            let _full = self.ledger.try_send(LedgerWork::LookUp(clients));
        }
        for serving in turn.servings {
            // The peer asks again.
            let _full = self.servings.try_send(serving);
        }
        Ok(None)
    }

    /// Makes the promises durable. If they contradict what was promised before, the memory they come
    /// from is wrong, and if the disk refuses, nobody may rely on them: in both cases nothing of what
    /// follows may be said, now or in a later repetition, so the engine is made anew from the journal.
    fn promise(&mut self, promises: &[Promise]) -> Option<Cause> {
        if promises.is_empty() {
            return None;
        }
        Counters::count(&self.counters.syncs);
        let cause = match self.store.journal(promises) {
            Ok(()) => None,
            Err(contradiction @ StoreError::Contradiction { .. }) => {
                Counters::count(&self.counters.rebuilt);
                warn!(%contradiction, "the engine's memory was wrong");
                let done = "the engine was made anew from ledger and journal";
                self.note("contradiction", HealComponent::Engine, &contradiction, done);
                Some(Cause::Contradiction)
            }
            Err(failed) => {
                Counters::count(&self.counters.refused_writes);
                error!(%failed, "the journal cannot be written: this replica does not vote");
                if !self.counters.journal_fails.load(Ordering::Relaxed) {
                    let done = "this replica does not vote until its journal can be written";
                    self.note("journal refused", HealComponent::Disk, &failed, done);
                }
                Some(Cause::Disk)
            }
        };
        let fails = cause == Some(Cause::Disk);
        if self.counters.journal_fails.swap(fails, Ordering::Relaxed) && !fails {
            let cause = "the journal can be written again";
            self.note("journal resumed", HealComponent::Disk, &cause, "this replica votes again");
        }
        if !fails {
            self.rebuilding.disk_works();
        }
        cause
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

    fn note(
        &self,
        kind: &'static str,
        component: HealComponent,
        cause: &dyn std::fmt::Display,
        done: &str,
    ) {
        self.heals.note(kind, vec![Heal::new(now_ms(), component, cause.to_string(), done)]);
    }

    fn observe(&self, observation: &Observation) {
        let counters = &self.counters;
        match observation {
            Observation::View { view, phase } => {
                Counters::count(&counters.views);
                let primary = self.context.thresholds().primary(view.0);
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
            Observation::Forked { height } => {
                Counters::count(&counters.forks);
                error!(%height, "a valid certificate contradicts the chain of this replica");
            }
            Observation::GivenUp { ballot, height } => {
                error!(%ballot, %height, "blocks of a prepared chain are lost on n-f disks, and it is given up");
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
                let done = "the engine replaced what was wrong in its memory";
                self.note(kind_of(illegal), HealComponent::Engine, illegal, done);
            }
        }
    }
}
