//! From an honest history to an arbitrary state, and back to service.

use std::rc::Rc;

use daruma_engine::Input;
use daruma_engine::laboratory::{Dictionary, Garbage};
use daruma_store::MemoryStore;
use daruma_types::{Establishment, Message, ReplicaId, Transaction};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::recovery::Recovery;
use super::rounds::Rounds;
use super::{Event, World};
use crate::Invariant;
use crate::arbitrary::{ArbitraryStart, Rhythm, UNIT_US};
use crate::network::LinkSettings;
use crate::parcel::Parcel;
use crate::random::{Purpose, stream};
use crate::replica::Replica;
use crate::scheme::Role;

/// From one step of the history to the next: enough for a block or a view change on quiet links.
const STEP_US: u64 = 30_000;

/// Ticks in which the paper's views establish one, and its ballot becomes active: each step of the
/// automaton is witnessed over some ticks. The certified views need messages only.
const ESTABLISHMENT_TICKS: u64 = 20;

/// Of the places that are said in a history, one in so many is kept for the links: they are said at
/// every tick, to everyone, and would leave no room for anything else.
const PLACES_KEPT_EVERY: u64 = 32;

/// Clients of the history; those that ask afterwards have other keys.
const HISTORY_CLIENTS: u16 = 3;

/// Messages of the history kept for the links.
const SAID_MAX: usize = 512;

/// What is noted while the history goes on.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) dictionary: Dictionary,
    said: Vec<(ReplicaId, Message)>,
    /// Places that were said.
    places: u64,
    /// Each replica's disk at some moments.
    disks: Vec<Vec<MemoryStore>>,
    /// Only one of so many messages is noted; 0 for each.
    every: u64,
    passed: u64,
}

impl History {
    /// Notes one of so many messages.
    pub(super) fn noting_every(every: u64) -> Self {
        Self { every, ..Self::default() }
    }

    /// A replica said this.
    pub(super) fn note(&mut self, from: ReplicaId, message: &Message) {
        self.passed += 1;
        if self.every > 0 && !self.passed.is_multiple_of(self.every) {
            return;
        }
        self.dictionary.note(from, message);
        if let Message::Coordination(_) = message {
            self.places += 1;
            if !self.places.is_multiple_of(PLACES_KEPT_EVERY) {
                return;
            }
        }
        if self.said.len() < SAID_MAX {
            self.said.push((from, message.clone()));
        }
    }
}

impl World<'_> {
    /// The whole run: history, arbitrary state, and the way back to service.
    pub(super) fn run_arbitrary(&mut self, start: &ArbitraryStart) {
        let mut random = stream(self.plan.seed, Purpose::Memory);
        let history = self.live_through(start, &mut random);
        if !self.violations.is_empty() {
            return;
        }
        self.take_over_byzantine();
        self.begin_arbitrary(start, &history, &mut random);
        while !self.ended && self.violations.is_empty() {
            let Some((at_us, event)) = self.queue.pop() else { break };
            self.now_us = at_us;
            let tracked = self.begins(&event);
            self.happen(event);
            self.ends(tracked);
        }
    }

    /// What the event means for the rounds, before it happens.
    pub(super) fn begins(&mut self, event: &Event) -> bool {
        let Some(rounds) = &mut self.rounds else { return false };
        if let Event::Tick { replica, incarnation } = event {
            if self.replicas[*replica].incarnation == *incarnation
                && self.replicas[*replica].running.is_some()
            {
                rounds.begin(*replica);
            }
            true
        } else if let Event::Deliver { round, .. } = event {
            rounds.arrived(*round);
            true
        } else {
            false
        }
    }

    pub(super) fn ends(&mut self, tracked: bool) {
        let Some(rounds) = &mut self.rounds else { return };
        rounds.end();
        let replicas = &self.replicas;
        let takes_part = |replica: usize| {
            let replica = &replicas[replica];
            replica.correct && replica.running.is_some()
        };
        if tracked && rounds.over(takes_part) {
            self.round_ended();
        }
    }

    /// Runs until `until_us`.
    fn run_until(&mut self, until_us: u64) {
        while self.now_us < until_us && self.violations.is_empty() {
            let Some((at_us, event)) = self.queue.pop_until(until_us) else { break };
            self.now_us = at_us;
            self.happen(event);
        }
        self.now_us = until_us;
    }

    /// An honest past: blocks, changes of the view, and all that is said meanwhile.
    fn live_through(&mut self, start: &ArbitraryStart, random: &mut ChaCha8Rng) -> History {
        let replicas = self.replicas.len();
        self.history = Some(Box::new(History {
            disks: (0..replicas).map(|_| vec![MemoryStore::new()]).collect(),
            ..History::default()
        }));
        let mut steps: Vec<bool> = (0..start.blocks).map(|_| true).collect();
        steps.extend((0..start.views).map(|_| false));
        steps.shuffle(random);
        let view_us = match self.plan.establishment {
            Establishment::Certified => STEP_US,
            Establishment::Automaton { .. } => ESTABLISHMENT_TICKS * UNIT_US,
        };
        self.run_until(view_us);
        for (nonce, block) in (0..).zip(steps) {
            if block {
                let client = random.random_range(0..HISTORY_CLIENTS);
                let transaction = self.sign(client, nonce);
                let to = ReplicaId(random.random_range(0..replicas as u16));
                self.queue
                    .push(self.now_us, Event::Submit { to, transaction: Box::new(transaction) });
            } else {
                for replica in 0..replicas {
                    if let Some(running) = &mut self.replicas[replica].running {
                        running.engine.suspect();
                    }
                    let nothing = Input::Nonces { as_of: Default::default(), nonces: Vec::new() };
                    self.step(replica, nothing);
                }
            }
            // Some steps follow one another before the first has come to its end.
            let step_us = if block { STEP_US } else { view_us };
            let pause_us = if random.random_bool(0.3) { step_us / 10 } else { step_us };
            self.run_until(self.now_us + pause_us);
            // A copy makes the next write to each of its tables copy that table.
            if start.disks.any() {
                self.note_disks();
            }
        }
        // Until nothing is on its way.
        self.run_until(self.now_us + 2 * view_us);
        let mut history = self.history.take().map(|history| *history).unwrap_or_default();
        for replica in &self.replicas {
            let Some(running) = &replica.running else { continue };
            history.dictionary.note_view(running.engine.view_proof());
            let blocks = running.reader.certified_blocks(daruma_types::Height(1), 64, usize::MAX);
            for block in blocks.unwrap_or_default() {
                history.dictionary.note_certified(&block);
            }
        }
        history
    }

    fn note_disks(&mut self) {
        if let Some(history) = &mut self.history {
            for (disks, replica) in history.disks.iter_mut().zip(&self.replicas) {
                disks.push(replica.store.copy());
            }
        }
    }

    /// A transaction of a client, known to the checkers.
    pub(super) fn sign(&mut self, client: u16, nonce: u64) -> Transaction {
        let signer = self.keys.signer(Role::Client, client);
        let operation = format!("c{client}:{nonce}").into_bytes();
        let chain = self.committee.chain();
        let transaction = Transaction::sign(chain, signer.as_ref(), nonce, operation);
        self.checkers.signed(&transaction);
        transaction
    }

    /// Sets memories, disks and links, and begins to count rounds.
    fn begin_arbitrary(
        &mut self,
        start: &ArbitraryStart,
        history: &History,
        random: &mut ChaCha8Rng,
    ) {
        let replicas = self.committee.thresholds().replicas();
        self.trace.line(self.now_us, || format!("ARBITRARY {start:?}"));
        let mut correct: Vec<usize> = (0..replicas).filter(|r| self.replicas[*r].correct).collect();
        correct.shuffle(random);
        let faulty: Vec<usize> = correct.iter().copied().take(start.faulty).collect();
        self.recovery = Some(Recovery::new(self.now_us, &self.keys));
        let spoiled = self.spoil_disks(start.disks, &correct, &history.disks);
        self.stood = Some(self.what_stands());
        spoiled.into_iter().for_each(|replica| self.start(replica));
        for replica in 0..self.replicas.len() {
            self.forget_driver(replica);
        }
        if start.swapped {
            for pair in faulty.chunks_exact(2) {
                self.swap_memories(pair[0], pair[1]);
            }
        }
        for &replica in &faulty {
            let mut garbage = Garbage::new(
                random.random(),
                start.scope.clone(),
                start.values,
                &history.dictionary,
                replicas,
            );
            self.replicas[replica].transient = true;
            self.replicas[replica].tainted = true;
            self.replicas[replica].unchecked_ticks = self.ticks_to_check();
            if let Some(running) = &mut self.replicas[replica].running {
                running.engine.scramble(&mut garbage);
            }
        }
        if start.rhythm == Rhythm::Random {
            self.links.set(LinkSettings {
                delay_us_min: UNIT_US / 20,
                delay_us_max: UNIT_US / 20,
                jitter_us: UNIT_US - UNIT_US / 20,
                ..LinkSettings::QUIET
            });
        }
        self.rounds = Some(Rounds::new(replicas));
        self.fill_links(start, history, random);
        self.ask_afresh();
        // Last, and only where it runs: what is drawn for everything else stays as it was.
        self.scramble_syncing(start, history, &faulty, random);
    }

    /// What drivers remember of state sync is memory as well.
    fn scramble_syncing(
        &mut self,
        start: &ArbitraryStart,
        history: &History,
        faulty: &[usize],
        random: &mut ChaCha8Rng,
    ) {
        if self.plan.snapshots.is_none() {
            return;
        }
        let known = self.offered_anywhere();
        let replicas = self.committee.thresholds().replicas();
        for &replica in faulty {
            let (scope, values) = (start.scope.clone(), start.values);
            let seed = random.random();
            let mut garbage = Garbage::new(seed, scope, values, &history.dictionary, replicas);
            if let Some(sync) = &mut self.replicas[replica].sync {
                sync.scramble(&mut garbage, &known);
            }
        }
    }

    /// What a driver holds between engine and disk is memory too.
    pub(super) fn forget_driver(&mut self, replica: usize) {
        let (at_us, tell_us) =
            (self.next_tick_us(replica), self.now_us + self.crashes.random_range(0..UNIT_US));
        let found = &mut self.replicas[replica];
        found.incarnation += 1;
        let incarnation = found.incarnation;
        let Some(running) = &mut found.running else { return };
        running.outbox.clear();
        running.decided.clear();
        (running.durable, running.syncing, running.executing) = (0, None, false);
        self.queue.push(at_us, Event::Tick { replica, incarnation });
        self.queue.push(tell_us, Event::TellHead { replica, incarnation });
    }

    fn swap_memories(&mut self, a: usize, b: usize) {
        let (low, high) = (a.min(b), a.max(b));
        let (left, right) = self.replicas.split_at_mut(high);
        let (Some(first), Some(second)) = (left.get_mut(low), right.first_mut()) else { return };
        (first.transient, second.transient) = (true, true);
        (first.tainted, second.tainted) = (true, true);
        if let (Some(first), Some(second)) = (&mut first.running, &mut second.running) {
            first.engine.swap(&mut second.engine);
        }
    }

    fn fill_links(&mut self, start: &ArbitraryStart, history: &History, random: &mut ChaCha8Rng) {
        let replicas = self.committee.thresholds().replicas();
        for from in self.committee.ids().collect::<Vec<_>>() {
            let said: Vec<_> = history.said.iter().filter(|(by, _)| *by == from).collect();
            for to in (0..replicas).filter(|to| *to != from.index()) {
                for _ in 0..random.random_range(0..=start.in_flight) {
                    let message = match said.choose(random) {
                        Some((_, message)) if random.random_bool(0.6) => message.clone(),
                        Some(_) | None => {
                            let seed = random.random();
                            let (scope, values) = (start.scope.clone(), start.values);
                            let dictionary = &history.dictionary;
                            Garbage::new(seed, scope, values, dictionary, replicas).message(from)
                        }
                    };
                    let parcel = Parcel::new(from, message, &self.door()).doubtful(true);
                    let parcel = Rc::new(parcel);
                    let at_us = self.now_us + random.random_range(0..UNIT_US);
                    self.queue.push(at_us, Event::Deliver { to, parcel, berth: None, round: 0 });
                }
            }
        }
    }

    /// When a replica ticks next.
    pub(super) fn next_tick_us(&mut self, replica: usize) -> u64 {
        match self.rhythm() {
            None => {
                let Replica { tick_us, tick_per_mille, .. } = self.replicas[replica];
                self.now_us + tick_us * tick_per_mille / 1_000
            }
            Some(Rhythm::LockStep) => {
                (self.now_us / UNIT_US + 1) * UNIT_US + self.crashes.random_range(0..1_000)
            }
            Some(Rhythm::Random) => {
                let pause_us = self.crashes.random_range(UNIT_US / 2..=UNIT_US * 3 / 2);
                self.now_us + pause_us * self.replicas[replica].tick_per_mille / 1_000
            }
        }
    }

    /// Crashes a replica and starts it from its disk.
    pub(super) fn restart(&mut self, replica: usize) {
        self.crash(replica);
        self.start(replica);
    }

    /// Every bound holds from a replica's first iteration on.
    pub(super) fn check_sizes(&mut self, replica: usize) {
        let Some(running) = &self.replicas[replica].running else { return };
        let over = running.engine.sizes().into_iter().find(|size| size.held > size.bound);
        if let Some(size) = over {
            let id = self.replicas[replica].id;
            self.broken((Invariant::Bounds, format!("{id}: {size:?}")));
        }
    }
}
