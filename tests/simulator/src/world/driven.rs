//! A run that a test drives by hand: an exact start state, then one asynchronous round after the other.

mod asking;
mod disks;
pub(super) mod notes;

use std::sync::Arc;

use daruma_adversary::{Adversary, Behaviour};
use daruma_automaton_api::DynAutomaton;
use daruma_engine::laboratory::{Garbage, Scope, Standing, Values};
use daruma_engine::{Engine, Held, Status};
use daruma_ledger::Depth;
use daruma_store::Column;
use daruma_types::{CertifiedBlock, Height, Place, ReplicaId};

use super::rounds::Rounds;
use super::{Event, World};
use crate::arbitrary::{Rhythm, UNIT_US};
use crate::fault::Fault;
use crate::limits::END_CHECK_US;
use crate::plan::Plan;
use crate::{Outcome, Stats, Violation};

/// A run in a test's hands. Nothing happens but what it asks for.
pub struct Rig<'a> {
    world: World<'a>,
}

impl core::fmt::Debug for Rig<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Rig").field("now_us", &self.world.now_us).finish_non_exhaustive()
    }
}

impl Plan {
    /// Lets `act` drive a run of this plan in this rhythm, from the moment when all replicas have
    /// started on empty disks. The plan's own end of a run does not end it.
    pub fn drive<R>(&self, rhythm: Rhythm, act: impl FnOnce(&mut Rig<'_>) -> R) -> R {
        self.drive_with(rhythm, None, act)
    }

    /// The same with another automaton in every replica.
    pub fn drive_on<R>(
        &self,
        automaton: Arc<dyn DynAutomaton>,
        rhythm: Rhythm,
        act: impl FnOnce(&mut Rig<'_>) -> R,
    ) -> R {
        self.drive_with(rhythm, Some(automaton), act)
    }

    fn drive_with<R>(
        &self,
        rhythm: Rhythm,
        automaton: Option<Arc<dyn DynAutomaton>>,
        act: impl FnOnce(&mut Rig<'_>) -> R,
    ) -> R {
        let mut world = World::new(self, None);
        world.driven = Some(rhythm);
        world.notes = Some(Box::default());
        if let Some(automaton) = automaton {
            world.automaton = automaton;
        }
        world.rounds = Some(Rounds::new(self.thresholds.replicas()));
        let mut rig = Rig { world };
        rig.begin();
        act(&mut rig)
    }
}

impl Rig<'_> {
    fn begin(&mut self) {
        while let Some((at_us, event)) = self.world.queue.pop_until(UNIT_US / 100) {
            self.happen(at_us, event);
        }
    }

    fn happen(&mut self, at_us: u64, event: Event) {
        self.world.now_us = at_us;
        let tracked = self.world.begins(&event);
        self.world.happen(event);
        self.world.ends(tracked);
    }

    /// Lets one event happen; false if there is none.
    fn step(&mut self) -> bool {
        let Some((at_us, event)) = self.world.queue.pop() else { return false };
        self.happen(at_us, event);
        true
    }

    /// Asynchronous rounds so far.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.world.rounds.as_ref().map_or(0, |rounds| rounds.now - 1)
    }

    /// Lets `count` rounds pass.
    pub fn run(&mut self, count: u32) {
        self.never(count, |_| false);
    }

    /// Lets rounds pass until `holds` does, looked at after each; the rounds that it took, none if it
    /// does not hold within `rounds_max`.
    pub fn until(&mut self, rounds_max: u32, holds: impl Fn(&Self) -> bool) -> Option<u32> {
        for taken in 0..=rounds_max {
            if holds(self) {
                return Some(taken);
            }
            if taken < rounds_max {
                self.run(1);
            }
        }
        None
    }

    /// Lets `rounds` pass, and looks after every event whether `bad` holds; the round in which it did
    /// first.
    pub fn never(&mut self, rounds: u32, bad: impl Fn(&Self) -> bool) -> Option<u32> {
        let end = self.rounds() + rounds;
        let mut found = bad(self).then(|| self.rounds());
        while self.rounds() < end && self.step() {
            if found.is_none() && bad(self) {
                found = Some(self.rounds());
            }
        }
        found
    }

    /// Lets events happen until `holds` does, looked at after every one, for `rounds_max` rounds at most;
    /// whether it came to hold.
    pub fn until_event(&mut self, rounds_max: u32, mut holds: impl FnMut(&Self) -> bool) -> bool {
        let end = self.rounds() + rounds_max;
        loop {
            if holds(self) {
                return true;
            }
            if self.rounds() >= end || !self.step() {
                return false;
            }
        }
    }

    /// The same for a stretch of virtual time, for faults that make rounds long; the moment, in
    /// microseconds.
    pub fn never_during(&mut self, lasts_us: u64, bad: impl Fn(&Self) -> bool) -> Option<u64> {
        let end_us = self.now_us() + lasts_us;
        let mut found = bad(self).then(|| self.now_us());
        while let Some((at_us, event)) = self.world.queue.pop() {
            if at_us > end_us {
                self.world.queue.push(at_us, event);
                break;
            }
            self.happen(at_us, event);
            if found.is_none() && bad(self) {
                found = Some(at_us);
            }
        }
        self.world.now_us = end_us;
        found
    }

    /// Lets virtual time pass until `holds` does, looked at every [`END_CHECK_US`]; how long it took in
    /// microseconds, none if it does not hold within `lasts_us`.
    pub fn until_within(&mut self, lasts_us: u64, holds: impl Fn(&Self) -> bool) -> Option<u64> {
        let begin_us = self.now_us();
        while !holds(self) {
            if self.now_us() >= begin_us + lasts_us {
                return None;
            }
            self.never_during(END_CHECK_US, |_| false);
        }
        Some(self.now_us() - begin_us)
    }

    /// Virtual time since the run began, in microseconds.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.world.now_us
    }

    /// Lets a fault happen now.
    pub fn inject(&mut self, fault: Fault) {
        self.world.inject(fault);
    }

    /// Transactions that clients hold as confirmed: `f+1` replicas attested each.
    #[must_use]
    pub fn confirmed(&self) -> u64 {
        self.world.checkers.confirmed_count()
    }

    /// Counts so far. Those that only the end of a run tells are missing.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.world.stats
    }

    /// Every replica that runs and is not Byzantine now.
    #[must_use]
    pub fn correct(&self) -> Vec<ReplicaId> {
        let replicas = self.world.replicas.iter();
        let replicas = replicas.filter(|replica| replica.correct && replica.running.is_some());
        replicas.map(|replica| replica.id).collect()
    }

    /// The engine of a replica, for its memory to be set.
    ///
    /// # Panics
    /// If the replica is down.
    pub fn engine(&mut self, id: ReplicaId) -> &mut Engine {
        let replica = &mut self.world.replicas[id.index()];
        // What is set on purpose is a transient fault: what it leads to is judged by the test.
        (replica.transient, replica.tainted) = (true, true);
        #[expect(clippy::unwrap_used, reason = "said in the documentation")]
        let running = replica.running.as_mut().unwrap();
        &mut running.engine
    }

    /// A replica suspects the primary of its view, as its failure detector may at any time: no fault.
    pub fn suspect(&mut self, id: ReplicaId) {
        if let Some(running) = &mut self.world.replicas[id.index()].running {
            running.engine.suspect();
        }
    }

    /// Notes from now on what is said: faulty memories hold fragments of it.
    pub fn remember(&mut self) {
        self.world.remember();
    }

    /// All variables of `scope` of these replicas, while they run, get arbitrary values; what their drivers
    /// hold between engine and disk is gone.
    pub fn scramble(&mut self, ids: &[ReplicaId], scope: &Scope, values: Values, seed: u64) {
        let dictionary = self.world.what_was_said();
        let replicas = self.world.committee.thresholds().replicas();
        for id in ids {
            let seed = seed.wrapping_mul(64).wrapping_add(u64::from(id.0));
            let mut garbage = Garbage::new(seed, scope.clone(), values, &dictionary, replicas);
            let replica = &mut self.world.replicas[id.index()];
            if replica.running.is_some() {
                // What it leads to is judged by the test.
                (replica.transient, replica.tainted) = (true, true);
            }
            self.world.scramble(id.index(), &mut garbage);
        }
    }

    /// Notes which chains stand on the disks of correct replicas, for [`Self::what_was_lost`].
    pub fn note_what_stands(&mut self) {
        self.world.stood = Some(self.world.what_stands());
    }

    /// What of the chains noted last does not stand any more and must: what stood at `n-q+1` correct replicas
    /// or more, and what no other certified block took the place of. None if nothing is lost. All correct
    /// replicas must stand at one height.
    #[must_use]
    pub fn what_was_lost(&self) -> Option<String> {
        let stood = self.world.stood.as_ref()?;
        self.world.check_survival(stood).err().map(|(_, what)| what)
    }

    /// Every replica loses what it can make again without anybody's noticing: the indexes and the state tree on its
    /// disk, the ledger's pages in memory, and the marks of whose turn it is.
    ///
    /// # Panics
    /// If the ledger cannot be read.
    #[expect(clippy::unwrap_used, reason = "said in the documentation")]
    pub fn drop_caches(&mut self) {
        for id in self.correct() {
            let replica = &mut self.world.replicas[id.index()];
            for column in [Column::Headers, Column::Transactions, Column::Tree] {
                for key in replica.store.keys(column) {
                    replica.store.damage(column, &key, None);
                }
            }
            if let Some(running) = &mut replica.running {
                running.ledger.check_again(Depth::Recent).unwrap();
            }
            for turn in ["pool.checked", "catch_up.turn", "replication.want_turn"] {
                self.scramble_in_place(id, &Scope::Named(turn));
            }
        }
    }

    fn scramble_in_place(&mut self, id: ReplicaId, scope: &Scope) {
        let dictionary = daruma_engine::laboratory::Dictionary::default();
        let replicas = self.world.committee.thresholds().replicas();
        let mut zero = Garbage::new(0, scope.clone(), Values::Zero, &dictionary, replicas);
        self.engine(id).scramble(&mut zero);
    }

    /// Where a replica stands.
    ///
    /// # Panics
    /// If the replica is down.
    #[must_use]
    pub fn status(&self, id: ReplicaId) -> Status {
        #[expect(clippy::unwrap_used, reason = "said in the documentation")]
        let running = self.world.replicas[id.index()].running.as_ref().unwrap();
        running.engine.status()
    }

    /// Where a replica stands, in short: for what is looked at after every event.
    ///
    /// # Panics
    /// If the replica is down.
    #[must_use]
    pub fn standing(&self, id: ReplicaId) -> Standing {
        #[expect(clippy::unwrap_used, reason = "said in the documentation")]
        let running = self.world.replicas[id.index()].running.as_ref().unwrap();
        running.engine.standing()
    }

    /// Where a replica is in the Coordination Automaton, if there is one.
    ///
    /// # Panics
    /// If the replica is down.
    #[must_use]
    pub fn place(&self, id: ReplicaId) -> Option<Place> {
        #[expect(clippy::unwrap_used, reason = "said in the documentation")]
        let running = self.world.replicas[id.index()].running.as_ref().unwrap();
        running.engine.automaton().map(|(state, _)| state.place(id))
    }

    /// The blocks that a replica executed, in order.
    #[must_use]
    pub fn blocks(&self, id: ReplicaId) -> Vec<CertifiedBlock> {
        let Some(running) = &self.world.replicas[id.index()].running else { return Vec::new() };
        let blocks = running.reader.certified_blocks(Height(1), usize::MAX, usize::MAX);
        blocks.unwrap_or_default()
    }

    /// The operations that a replica executed, in order: with the append-list, its state.
    #[must_use]
    pub fn operations(&self, id: ReplicaId) -> Vec<String> {
        let blocks = self.blocks(id);
        let transactions = blocks.iter().flat_map(|block| &block.block.transactions);
        transactions.map(|t| String::from_utf8_lossy(&t.operation).into_owned()).collect()
    }

    /// From now on a replica is Byzantine in this way; with none, it is honest again.
    pub fn behave(&mut self, id: ReplicaId, behaviour: Option<Behaviour>) {
        self.behave_by_chance(id, behaviour, u64::from(id.0));
    }

    /// The same, with what it leaves to chance decided by `seed`.
    pub fn behave_by_chance(&mut self, id: ReplicaId, behaviour: Option<Behaviour>, seed: u64) {
        let replica = &mut self.world.replicas[id.index()];
        replica.adversary = behaviour.map(|behaviour| behaviour.adversary(seed));
        replica.correct = behaviour.is_none();
        if replica.correct {
            // What it said meanwhile may contradict what it says from now on.
            (replica.transient, replica.tainted) = (true, true);
        }
    }

    /// From now on a replica is in the hands of this adversary.
    pub fn play(&mut self, id: ReplicaId, adversary: impl Adversary + 'static) {
        let replica = &mut self.world.replicas[id.index()];
        replica.adversary = Some(Box::new(adversary));
        replica.correct = false;
    }

    /// Cuts or joins the link from one replica to another, in this direction.
    pub fn cut(&mut self, from: ReplicaId, to: ReplicaId, is_cut: bool) {
        self.world.links.set_cut(from, to, is_cut);
    }

    /// Crashes a replica, which loses its memory, and leaves it down.
    pub fn stop(&mut self, id: ReplicaId) {
        self.world.crash(id.index());
    }

    /// Starts a replica from its disk, unless it runs.
    pub fn start(&mut self, id: ReplicaId) {
        self.world.start(id.index());
    }

    /// Crashes a replica, which loses its memory, and starts it from its disk.
    pub fn restart(&mut self, id: ReplicaId) {
        self.world.restart(id.index());
    }

    /// A replica loses memory and disk, and starts from nothing.
    pub fn wipe(&mut self, id: ReplicaId) {
        self.world.crash(id.index());
        let replica = &mut self.world.replicas[id.index()];
        (replica.transient, replica.tainted) = (true, true);
        replica.store = std::sync::Arc::new(daruma_store::MemoryStore::new());
        self.world.start(id.index());
    }

    /// The row of an executed height changes on a replica's disk while it runs.
    pub fn rot(&mut self, id: ReplicaId, column: Column, height: Height, row: Option<Vec<u8>>) {
        let replica = &mut self.world.replicas[id.index()];
        (replica.transient, replica.tainted) = (true, true);
        replica.store.damage(column, &height.0.to_be_bytes(), row);
    }

    /// What a replica keeps of what others decide about.
    ///
    /// # Panics
    /// If the replica is down.
    #[must_use]
    pub fn held(&self, id: ReplicaId) -> Held {
        #[expect(clippy::unwrap_used, reason = "said in the documentation")]
        let running = self.world.replicas[id.index()].running.as_ref().unwrap();
        running.engine.held()
    }

    /// Messages that correct replicas refused at their doors.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.world.stats.refused
    }

    /// The rules that did not hold.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.world.violations
    }

    /// Messages sent so far, and their bytes.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        (self.world.stats.messages, self.world.stats.bytes)
    }

    /// Ends the run.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        self.world.outcome()
    }
}
