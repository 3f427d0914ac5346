//! The run itself: one thread, one queue of events, virtual time.

mod arbitrary;
mod disks;
mod driven;
mod effects;
mod ending;
mod forged_rows;
mod holding;
mod life;
mod memory;
mod recovery;
mod rounds;
mod routes;
mod standstill;
mod survival;
mod syncing;
#[cfg(test)]
mod tests;
mod timers;
mod traffic;

pub use driven::Rig;
pub use driven::notes::{Accusation, Refused};
pub use syncing::SnapshotSettings;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use daruma_adversary::{Behaviour, Switching, Twins};
use daruma_append_list::AppendList;
use daruma_automaton_api::{DynAutomaton, serde_json::Value};
use daruma_engine::{Context, Effect, EngineHead, Input};
use daruma_ledger::TreeHashes;
use daruma_store::MemoryStore;
use daruma_types::{
    Adoption, Ballot, ChainId, Committee, Hash, Height, PublicKey, ReplicaId, Statement,
    Transaction, Verifier,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use self::driven::notes::Notes;
use self::holding::Holding;
use crate::arbitrary::Rhythm;
use crate::checkers::{Broken, Checkers};
use crate::clients::Clients;
use crate::fault::{Fault, Scheduled};
use crate::network::{Berth, Links};
use crate::parcel::Parcel;
use crate::plan::Plan;
use crate::queue::Queue;
use crate::random::{Purpose, stream};
use crate::replica::{Found, Replica};
use crate::schedule::schedule;
use crate::scheme::{Keys, Role};
use crate::trace::{Sink, Trace};
use crate::{Invariant, Outcome, Start, Stats, Violation, limits};
use arbitrary::History;
use recovery::Recovery;
use rounds::Rounds;
use survival::Stood;

/// Something that happens at one moment. Small, because the queue moves them about; what is large is
/// in a box of its own.
#[derive(Debug)]
pub(crate) enum Event {
    Fault(usize),
    Tick {
        replica: usize,
        incarnation: u32,
    },
    /// `round` is the one by which it must arrive, if rounds are counted.
    Deliver {
        to: usize,
        parcel: Rc<Parcel>,
        /// Its place in a link's queue, where another may have moved up to.
        berth: Option<Berth>,
        round: u32,
    },
    DeliverCorrupt {
        to: usize,
        corrupt: Box<Corrupt>,
    },
    DeliverRaw {
        to: usize,
        raw: Box<Corrupt>,
    },
    Synced {
        replica: usize,
        incarnation: u32,
    },
    Execute {
        replica: usize,
        incarnation: u32,
    },
    Told {
        replica: usize,
        incarnation: u32,
        executed: Box<(Statement, Vec<(PublicKey, u64)>)>,
    },
    /// A replica that stopped by itself starts again: its engine contradicted its journal too often, or its
    /// power is back.
    StartAgain {
        replica: usize,
        incarnation: u32,
    },
    /// It is time to tell an engine where its ledger stands.
    TellHead {
        replica: usize,
        incarnation: u32,
    },
    /// The engine hears it.
    Head {
        replica: usize,
        incarnation: u32,
        head: Box<(EngineHead, Option<Height>)>,
        floor: Ballot,
    },
    /// The engine hears of nonces that it asked for.
    Nonces {
        replica: usize,
        incarnation: u32,
        read: Box<NoncesRead>,
    },
    /// The engine hears what its ledger found of another chain's blocks.
    Adoption {
        replica: usize,
        incarnation: u32,
        adoption: Adoption,
    },
    Client(usize),
    Submit {
        to: ReplicaId,
        transaction: Box<Transaction>,
    },
    EndCheck,
}

/// Clients' last executed nonces, and the executed height at which they were read.
type NoncesRead = (Height, Vec<(PublicKey, Option<u64>)>);

/// Changed bytes of a message.
#[derive(Debug)]
pub(crate) struct Corrupt {
    from: ReplicaId,
    bytes: Vec<u8>,
    kind: &'static str,
}

/// Everything there is in a run.
pub(crate) struct World<'a> {
    plan: &'a Plan,
    keys: Keys,
    now_us: u64,
    queue: Queue<Event>,
    faults: Vec<Scheduled>,
    committee: Arc<Committee>,
    verifier: Arc<dyn Verifier>,
    automaton: Arc<dyn DynAutomaton>,
    hashes: Arc<TreeHashes>,
    /// The replicas by id, and behind them the second twins.
    replicas: Vec<Replica>,
    /// Who of the two twins talks to whom, and where the second one is.
    twins: BTreeMap<ReplicaId, (Twins, usize)>,
    links: Links,
    holding: Holding,
    clients: Clients,
    checkers: Checkers,
    /// Empty between two steps: the list that engines write their effects to.
    effects: Vec<Effect>,
    crashes: ChaCha8Rng,
    calm_us: Option<u64>,
    ended: bool,
    /// Whether the run began with two certified chains: then some blocks must be given up, and what holds
    /// of one chain is for the end to judge.
    forked: bool,
    violations: Vec<Violation>,
    stats: Stats,
    trace: Trace<'a>,
    /// While the history before an arbitrary start goes on.
    history: Option<Box<History>>,
    /// After an arbitrary start.
    rounds: Option<Rounds>,
    /// The rhythm of a run that a test drives.
    driven: Option<Rhythm>,
    /// What such a run notes for its test.
    notes: Option<Box<Notes>>,
    recovery: Option<Recovery>,
    /// What correct replicas held when memories and disks were set.
    stood: Option<Stood>,
}

impl<'a> World<'a> {
    /// Runs `plan` to the end, or to the first violation; a panic is one.
    pub(crate) fn run(plan: &'a Plan, sink: Option<Sink<'a>>) -> Outcome {
        let mut world = Self::new(plan, sink);
        let ran = catch_unwind(AssertUnwindSafe(|| match &plan.start {
            Start::Fresh => world.run_to_the_end(),
            Start::Arbitrary(start) => world.run_arbitrary(start),
        }));
        if let Err(panic) = ran {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default();
            world.broken((Invariant::Panic, text));
        }
        world.outcome()
    }

    fn new(plan: &'a Plan, sink: Option<Sink<'a>>) -> Self {
        let keys = Keys::new(plan.scheme, plan.seed);
        let verifier = keys.verifier();
        let committee = Arc::new(committee(plan, &keys));
        let replicas = plan.thresholds.replicas();
        let mut world = Self {
            plan,
            now_us: 0,
            queue: Queue::new(),
            faults: schedule(plan),
            replicas: Vec::new(),
            twins: BTreeMap::new(),
            links: Links::new(
                replicas,
                plan.links,
                plan.tick_ms * 1000,
                stream(plan.seed, Purpose::Links),
            ),
            holding: Holding::default(),
            clients: Clients::new(
                plan.clients,
                &keys,
                committee.chain(),
                replicas as u16,
                stream(plan.seed, Purpose::Clients),
            ),
            checkers: Checkers::new(Arc::clone(&committee), Arc::clone(&verifier)),
            effects: Vec::new(),
            automaton: Arc::new(automaton()),
            hashes: Arc::new(TreeHashes::new()),
            keys,
            committee,
            verifier,
            crashes: stream(plan.seed, Purpose::Crashes),
            calm_us: None,
            ended: false,
            forked: false,
            violations: Vec::new(),
            stats: Stats::default(),
            trace: Trace::new(sink, plan.tick_ms * 1000),
            history: None,
            rounds: None,
            driven: None,
            notes: None,
            recovery: None,
            stood: None,
        };
        let spoils = |entry: &Scheduled| matches!(entry.fault, Fault::Memory { .. });
        if world.faults.iter().any(spoils) {
            world.remember();
        }
        world.populate();
        world
    }

    /// Makes replicas, twins and adversaries, and the first events.
    fn populate(&mut self) {
        let mut random = stream(self.plan.seed, Purpose::Adversaries);
        let random = &mut random;
        for id in self.committee.ids().collect::<Vec<_>>() {
            let mut replica = self.replica(id, random);
            // The history before an arbitrary start is honest.
            if self.plan.start == Start::Fresh {
                self.corrupt(&mut replica, random);
            }
            self.replicas.push(replica);
        }
        if self.plan.start == Start::Fresh {
            self.add_twins(random);
        }
        for window in &self.plan.windows {
            *self.stats.byzantine.entry(window.behaviour.name()).or_default() += 1;
        }
        for (index, scheduled) in self.faults.iter().enumerate() {
            self.queue.push(scheduled.at_us, Event::Fault(index));
        }
        for client in 0..self.clients.count() {
            self.queue.push(1_000 * client as u64, Event::Client(client));
        }
    }

    /// Gives a replica to its adversary, if the plan has one for it.
    fn corrupt(&mut self, replica: &mut Replica, random: &mut ChaCha8Rng) {
        let of_it = |(id, _): &&(ReplicaId, Behaviour)| *id == replica.id;
        if let Some((_, behaviour)) = self.plan.byzantine.iter().find(of_it) {
            replica.correct = false;
            replica.adversary = Some(behaviour.adversary(random.random()));
            *self.stats.byzantine.entry(behaviour.name()).or_default() += 1;
        } else if self.plan.windows.iter().any(|window| window.replica == replica.id) {
            replica.correct = false;
            let switching = Switching::new(replica.id, &self.plan.windows, random.random());
            replica.adversary = Some(Box::new(switching));
        }
    }

    fn add_twins(&mut self, random: &mut ChaCha8Rng) {
        for (id, behaviour) in &self.plan.byzantine {
            if *behaviour == Behaviour::Twins {
                let mut twin = self.replica(*id, random);
                (twin.correct, twin.side) = (false, 1);
                self.twins.insert(*id, (Twins::new(random.random()), self.replicas.len()));
                self.replicas.push(twin);
            }
        }
    }

    /// After an honest history the Byzantine replicas go over to their adversaries.
    fn take_over_byzantine(&mut self) {
        let mut random = stream(self.plan.seed, Purpose::Adversaries);
        let mut replicas = std::mem::take(&mut self.replicas);
        for replica in &mut replicas {
            self.corrupt(replica, &mut random);
        }
        self.replicas = replicas;
        let first = self.replicas.len();
        self.add_twins(&mut random);
        (first..self.replicas.len()).for_each(|twin| self.start(twin));
    }

    fn replica(&self, id: ReplicaId, random: &mut ChaCha8Rng) -> Replica {
        let tick_us = self.plan.tick_ms * 1000;
        Replica {
            id,
            context: Context {
                committee: Arc::clone(&self.committee),
                own: id,
                signer: self.keys.signer(Role::Replica, id.0),
                verifier: Arc::clone(&self.verifier),
                chain: self.plan.chain,
                local: self.plan.local,
            },
            side: 0,
            correct: true,
            transient: false,
            tainted: false,
            spoiled: false,
            healing_ticks: 0,
            unchecked_ticks: 0,
            store: Arc::new(MemoryStore::new()),
            snapshots: self.plan.snapshots.is_some(),
            shelf: Arc::default(),
            unfinished: None,
            sync: None,
            running: None,
            incarnation: 0,
            // Wall clocks differ by some seconds, ticks by two per cent.
            epoch_ms: limits::EPOCH_MS + random.random_range(0..20_000),
            tick_us: tick_us - tick_us / 100 + random.random_range(0..=tick_us / 50),
            tick_per_mille: 1_000,
            mistimed_until_us: 0,
            paused_until_us: 0,
            waiting: 0,
            outcast: false,
            disk_factor: 1,
            down_us: 0,
            crash_after: None,
            adversary: None,
            rebuilt_us: Default::default(),
            summary: None,
            found: Found::default(),
        }
    }

    fn run_to_the_end(&mut self) {
        while !self.ended && self.violations.is_empty() {
            let Some((at_us, event)) = self.queue.pop() else { break };
            self.now_us = at_us;
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        let Some(event) = self.unless_paused(event) else { return };
        match event {
            Event::Fault(index) => self.fault(index),
            Event::Tick { replica, incarnation } => self.tick(replica, incarnation),
            Event::Deliver { to, parcel, berth, round: _ } => {
                self.deliver(to, berth.map_or(parcel, |berth| berth.borrow().clone()));
            }
            Event::DeliverCorrupt { to, corrupt } => self.deliver_corrupt(to, &corrupt),
            Event::DeliverRaw { to, raw } => self.deliver_raw(to, &raw),
            Event::Synced { replica, incarnation } => self.synced(replica, incarnation),
            Event::Execute { replica, incarnation } => self.execute(replica, incarnation),
            Event::Told { replica, incarnation, executed } => {
                if self.lives(replica, incarnation) {
                    let (statement, nonces) = *executed;
                    self.step(replica, Input::Executed { statement, nonces });
                }
            }
            Event::StartAgain { replica, incarnation } => {
                if self.replicas[replica].incarnation == incarnation {
                    self.start(replica);
                }
            }
            Event::TellHead { replica, incarnation } => self.tell_head_again(replica, incarnation),
            Event::Head { replica, incarnation, head, floor } => {
                if self.lives(replica, incarnation) {
                    let (head, missing) = *head;
                    self.step(replica, Input::Ledger { head, floor });
                    if let Some(height) = missing {
                        self.step(replica, Input::Missing { height });
                    }
                }
            }
            Event::Nonces { replica, incarnation, read } => {
                if self.lives(replica, incarnation) {
                    let (as_of, nonces) = *read;
                    self.step(replica, Input::Nonces { as_of, nonces });
                }
            }
            Event::Adoption { replica, incarnation, adoption } => {
                if self.lives(replica, incarnation) {
                    self.step(replica, Input::Adoption(adoption));
                }
            }
            Event::Client(client) => self.wake_client(client),
            Event::Submit { to, transaction } => self.submit(to, vec![*transaction]),
            Event::EndCheck => self.end_check(),
        }
    }

    fn lives(&self, replica: usize, incarnation: u32) -> bool {
        let replica = &self.replicas[replica];
        replica.incarnation == incarnation && replica.running.is_some()
    }

    /// Gives an input to an engine, and performs what comes of it.
    fn step(&mut self, replica: usize, input: Input) {
        let Some(running) = &mut self.replicas[replica].running else { return };
        let mut effects = std::mem::take(&mut self.effects);
        running.engine.step_into(input, &mut effects);
        self.perform(replica, &mut effects);
        self.effects = effects;
    }

    fn broken(&mut self, (invariant, what): Broken) {
        // A test that sets memories judges by itself when all is well again.
        let set = self.driven.is_some() && self.replicas.iter().any(|replica| replica.tainted);
        let unstable =
            set || self.forked || self.recovery.as_ref().is_some_and(Recovery::is_unstable);
        if unstable && invariant.waits_for_convergence() {
            self.trace.line(self.now_us, || format!("before convergence: {what}"));
            self.stats.count(invariant.name());
            return;
        }
        self.trace.line(self.now_us, || format!("VIOLATION {}: {what}", invariant.name()));
        self.violations.push(Violation { invariant, at_us: self.now_us, what });
    }

    fn check(&mut self, result: Result<(), Broken>) {
        if let Err(broken) = result {
            self.broken(broken);
        }
    }
}

fn automaton() -> AppendList {
    #[expect(clippy::unwrap_used, reason = "no parameters are needed")]
    AppendList::from_parameters(&Value::Object(Default::default())).unwrap()
}

fn committee(plan: &Plan, keys: &Keys) -> Committee {
    let mut chain = [0; 32];
    chain[..8].copy_from_slice(&plan.seed.to_le_bytes());
    chain[31] = 1;
    let replicas = (0..plan.thresholds.replicas() as u16)
        .map(|i| daruma_types::Replica {
            name: format!("r{i}"),
            key: keys.signer(Role::Replica, i).public_key(),
        })
        .collect();
    let faulty_max = plan.thresholds.faulty_max();
    let committee = Committee::new(ChainId(Hash(chain)), faulty_max, replicas).ok();
    #[expect(clippy::unwrap_used, reason = "n and f were checked, and keys of a run are distinct")]
    committee.and_then(|c| c.with_establishment(plan.establishment).ok()).unwrap()
}
