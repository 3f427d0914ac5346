//! Starts and stops a driver's threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use daruma_automaton_api::DynAutomaton;
use daruma_engine::{Context, Engine, EngineHead, StateSync, Status};
use daruma_ledger::{HeadInfo, Ledger, LedgerReader, Scrubber};
use daruma_network::{Events, Network};
use daruma_store::{CleanJournal, Store};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tracing::{error, warn};

use crate::door::Door;
use crate::event::{Counters, DriverEvent};
use crate::executor::{Executor, serve};
use crate::healing::{self, HealNotes, heals_of_journal, now_ms};
use crate::intake::{Intake, SyncRoutes};
use crate::rebuilding::Rebuilding;
use crate::scrubbing::{ScrubControl, ScrubSettings, Scrubbing};
use crate::snapshots::{Maker, Making, Snapshots};
use crate::supervision::{Supervisor, Task};
use crate::syncing::{Awaited, Syncing, Waiting};
use crate::turn::{EngineThread, Work, trust_of};
use crate::{DriverError, Submission, limits};

/// What a driver is put together from.
pub struct DriverParts {
    /// The engine's setting: replicas, keys, bounds.
    pub context: Context,
    /// The store that the ledger lies in; the journal is kept there too.
    pub store: Arc<dyn Store>,
    /// The opened ledger.
    pub ledger: Ledger,
    /// The chain's automaton, for admission.
    pub automaton: Arc<dyn DynAutomaton>,
    /// The network.
    pub network: Network,
    /// What the network receives.
    pub events: Events,
    /// Time from one tick of the engine to the next.
    pub tick: Duration,
    /// How snapshots are kept; without it none are made, given out or fetched.
    pub snapshots: Option<Snapshots>,
    /// How the ledger is looked through while the replica serves.
    pub scrub: ScrubSettings,
}

/// A running driver.
pub struct Driver {
    work: SyncSender<Work>,
    submissions: mpsc::Sender<Submission>,
    status: watch::Receiver<Arc<Status>>,
    events: broadcast::Sender<DriverEvent>,
    counters: Arc<Counters>,
    scrub: Arc<ScrubControl>,
    supervisor: Arc<Supervisor>,
    network: Network,
    ended: oneshot::Receiver<Result<(), DriverError>>,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

/// How a thread ended.
type End = (&'static str, Result<(), DriverError>);

/// Starts a thread that tells how it ended, by a panic too.
fn thread(
    name: &'static str,
    ends: &Sender<End>,
    body: impl FnOnce() -> Result<(), DriverError> + Send + 'static,
) -> Result<(), DriverError> {
    let ends = ends.clone();
    Builder::new().name(name.into()).spawn(move || {
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        // Nobody listens any more once the first failure was told.
        let _unheard = ends.send((name, ended.unwrap_or(Err(DriverError::Panicked(name)))));
    })?;
    Ok(())
}

/// Where the ledger stands, as an engine needs to know it.
pub(crate) fn engine_head(ledger: &Ledger) -> EngineHead {
    let HeadInfo { claim, timestamp_ms, statement } = ledger.head().clone();
    EngineHead { claim, timestamp_ms, statement, recent: ledger.recent_statements() }
}

impl Driver {
    /// Recovers the journal and starts the threads.
    ///
    /// # Errors
    /// [`DriverError`] if the journal cannot be read or a thread not be started.
    pub fn start(parts: DriverParts) -> Result<Self, DriverError> {
        let DriverParts {
            context,
            store,
            ledger,
            automaton,
            network,
            events,
            tick,
            snapshots,
            scrub,
        } = parts;
        let CleanJournal { journal, dropped } = store.clean_journal(&trust_of(&context))?;
        let journal_heals = heals_of_journal(&dropped, now_ms());
        for (fault, rows) in dropped {
            warn!(rows, "the journal held {}: dropped", fault.name());
        }
        let reader = ledger.reader();
        let head = engine_head(&ledger);
        let committee = context.committee.clone();
        let door = Arc::new(Door::new(committee, context.chain, automaton, reader.clone()));
        let (engine, effects) = Engine::new(context.clone(), head, journal);

        let (work_sender, work) = sync_channel(limits::INPUTS_MAX);
        let (ledger_sender, ledger_work) = sync_channel(limits::EXECUTIONS_MAX);
        let checks = ledger_sender.clone();
        let (servings_sender, servings) = sync_channel(limits::SERVINGS_MAX);
        let (submissions_sender, submissions) = mpsc::channel(limits::SUBMISSIONS_MAX);
        let (status_sender, status) = watch::channel(Arc::new(engine.status()));
        let (events_sender, _) = broadcast::channel(limits::EVENTS_MAX);
        let counters = Arc::new(Counters::default());
        counters.restoring.store(ledger.restoring().is_some(), Ordering::Relaxed);
        let (notes_sender, notes) = sync_channel(limits::HEAL_NOTES_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let heals = HealNotes::new(notes_sender, lost.clone());
        heals.note("journal", journal_heals);
        let supervisor = Arc::new(Supervisor::default());
        let scrub_control = Arc::new(ScrubControl::new(scrub));
        let (scrubbing_sender, engine_lives) = channel();
        let scrubbing = Scrubbing {
            scrubber: Scrubber::new(&ledger),
            settings: scrub,
            control: scrub_control.clone(),
            ledger: ledger_sender.clone(),
            engine: engine_lives,
        };
        let (ends_sender, ends) = channel();
        let (awaited, waiting) = (Awaited::default(), Waiting::default());
        let shelf = snapshots.as_ref().map(|snapshots| Arc::clone(&snapshots.shelf));
        let maker = match &snapshots {
            Some(snapshots) => {
                let making = (snapshots.clone(), store.clone(), reader.clone());
                Some(start_making(making, &ends_sender, supervisor.clone())?)
            }
            None => None,
        };
        let syncing = Syncing {
            sync: StateSync::new(context.own, context.thresholds(), limits::SNAPSHOT_LEAP),
            network: network.clone(),
            awaited: awaited.clone(),
            snapshots,
            maker,
            next_tick: Instant::now(),
            pruned_for: None,
            pruning: true,
        };

        let intake = Intake {
            door: door.clone(),
            engine: work_sender.clone(),
            network: network.clone(),
            counters: counters.clone(),
            sync: shelf.is_some().then(|| SyncRoutes {
                ledger: ledger_sender.clone(),
                servings: servings_sender.clone(),
                awaited,
                waiting: waiting.clone(),
            }),
            supervisor: supervisor.clone(),
        };
        let engine_thread = EngineThread {
            engine,
            context,
            rebuilding: Rebuilding::default(),
            work,
            store: store.clone(),
            network: network.clone(),
            ledger: ledger_sender,
            servings: servings_sender,
            status: status_sender,
            counters: counters.clone(),
            heals: heals.clone(),
            tick,
            supervisor: supervisor.clone(),
            scrubbing: scrubbing_sender,
        };
        let executor = Executor {
            ledger,
            work: ledger_work,
            engine: work_sender.clone(),
            door: door.clone(),
            store: store.clone(),
            events: events_sender.clone(),
            counters: counters.clone(),
            heals,
            unattested: BTreeMap::new(),
            syncing,
            scrub: scrub_control.clone(),
            supervisor: supervisor.clone(),
            unchecked: false,
        };
        thread("engine", &ends_sender, move || engine_thread.run(effects))?;
        thread("executor", &ends_sender, move || executor.run())?;
        let watched = supervisor.clone();
        thread("healing", &ends_sender, move || {
            healing::keep(&notes, &lost, store.as_ref(), &watched);
            Ok(())
        })?;
        let (serving_network, serving_supervisor) = (network.clone(), supervisor.clone());
        thread("serving", &ends_sender, move || {
            let (shelf, supervisor) = (shelf.as_deref(), serving_supervisor.as_ref());
            serve(&servings, &reader, &serving_network, (shelf, &waiting), &checks, supervisor)
        })?;
        let scrub_supervisor = supervisor.clone();
        thread("scrub", &ends_sender, move || scrub_until_end(scrubbing, &scrub_supervisor))?;
        start_intake(&intake, events, submissions, &ends_sender)?;
        drop(ends_sender);
        let (ended_sender, ended) = oneshot::channel();
        let stop = work_sender.clone();
        Builder::new().name("watch".into()).spawn(move || {
            let _unheard = ended_sender.send(watch_threads(&ends, &stop));
        })?;
        Ok(Self {
            work: work_sender,
            submissions: submissions_sender,
            status,
            events: events_sender,
            counters,
            scrub: scrub_control,
            supervisor,
            network,
            ended,
        })
    }

    /// Where clients' transactions go in. When it is full, clients are to come back later.
    #[must_use]
    pub fn submissions(&self) -> mpsc::Sender<Submission> {
        self.submissions.clone()
    }

    /// Where the engine stands, replaced as it moves, at most every [`limits::STATUS_PERIOD`].
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.clone()
    }

    /// Tells of executed and attested blocks from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<DriverEvent> {
        self.events.subscribe()
    }

    /// Counts since the start.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// How far the scrubber is, and what pauses it.
    #[must_use]
    pub fn scrub(&self) -> Arc<ScrubControl> {
        self.scrub.clone()
    }

    /// Knows which threads went on after a panic, and which are stuck.
    #[must_use]
    pub fn supervisor(&self) -> Arc<Supervisor> {
        self.supervisor.clone()
    }

    /// Waits until the driver ends by itself, which it does only when it fails.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn ended(&mut self) -> Result<(), DriverError> {
        (&mut self.ended).await.unwrap_or(Err(DriverError::Stopped))
    }

    /// Stops the engine after its turn, the network, and then everything else.
    ///
    /// # Errors
    /// What failed on the way, if anything did.
    pub async fn shutdown(mut self) -> Result<(), DriverError> {
        // A full queue empties, or the thread behind it has ended.
        let work = self.work.clone();
        let _stopped = tokio::task::spawn_blocking(move || work.send(Work::Stop)).await;
        self.network.shutdown().await;
        self.ended().await
    }
}

/// Starts the thread that makes snapshots.
fn start_making(
    (snapshots, store, reader): (Snapshots, Arc<dyn Store>, LedgerReader),
    ends: &Sender<End>,
    supervisor: Arc<Supervisor>,
) -> Result<Maker, DriverError> {
    // No queue: one that is due while another is made is left out.
    let (make, makes) = sync_channel(0);
    let (every, stopped) = (snapshots.every, Arc::new(AtomicBool::new(false)));
    let making = Making { snapshots, store, reader, stopped: Arc::clone(&stopped) };
    thread("snapshots", ends, move || {
        // A panic costs the snapshot that was being made; the next one is not far.
        while let Err(why) = supervisor.caught(|| making.run(&makes)) {
            std::thread::sleep(supervisor.restarts(Task::Snapshots, &why)?);
        }
        Ok(())
    })?;
    Ok(Maker { every, make, stopped })
}

fn start_intake(
    intake: &Intake,
    events: Events,
    submissions: mpsc::Receiver<Submission>,
    ends: &Sender<End>,
) -> Result<(), DriverError> {
    let mut checkers = Vec::new();
    for _ in 0..limits::CHECK_THREADS {
        let (sender, frames) = sync_channel(limits::CHECKS_MAX);
        checkers.push(sender);
        let intake = intake.clone();
        thread("check", ends, move || intake.check_bulk(&frames))?;
    }
    let dispatcher = intake.clone();
    thread("dispatch", ends, move || dispatcher.dispatch(events, &checkers))?;
    let submitter = Intake { sync: None, ..intake.clone() };
    thread("submit", ends, move || submitter.check_submissions(submissions))
}

/// Looks through the ledger until the driver ends. After a panic it goes on with its next rows.
fn scrub_until_end(mut scrubbing: Scrubbing, supervisor: &Supervisor) -> Result<(), DriverError> {
    loop {
        match supervisor.caught(|| scrubbing.run()) {
            Ok(_) => return Ok(()),
            Err(why) => std::thread::sleep(supervisor.restarts(Task::Scrub, &why)?),
        }
    }
}

/// Waits until the engine and everything that feeds it has ended, or one of them failed. Any end
/// stops the engine: without one of its parts a replica is deaf or mute, and must not look well.
fn watch_threads(ends: &Receiver<End>, stop: &SyncSender<Work>) -> Result<(), DriverError> {
    while let Ok((name, ended)) = ends.recv() {
        // A full queue belongs to an engine that works on it, or that is gone already.
        let _gone = stop.try_send(Work::Stop);
        match ended {
            // It ends when the RPC server, which holds the other end, does.
            Ok(()) if name == "submit" => {}
            // It ends after the engine and the executor, which make notes for it.
            Ok(()) if name == "healing" => return Ok(()),
            Ok(()) => {}
            Err(failure) => {
                error!(thread = name, %failure, "stopped");
                return Err(failure);
            }
        }
    }
    Ok(())
}
