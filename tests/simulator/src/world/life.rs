//! Starts, ticks, crashes and the other faults.

use std::sync::Arc;

use daruma_engine::{Held, Input};
use daruma_store::PowerCut;
use daruma_types::{Height, ReplicaId, Statement, merkle_root};
use rand::Rng;

use super::{Event, World};
use crate::fault::{Fault, Scheduled};
use crate::replica::Found;
use crate::replica::Replica;
use crate::{Invariant, describe, limits};

impl World<'_> {
    /// A fault of the schedule happens.
    pub(super) fn fault(&mut self, index: usize) {
        let Scheduled { begins, fault, .. } = self.faults[index].clone();
        self.trace.mix(&[self.now_us, index as u64]);
        if let Some(kind) = begins {
            *self.stats.faults.entry(kind.name()).or_default() += 1;
        }
        self.inject(fault);
    }

    /// This fault happens now.
    pub(super) fn inject(&mut self, fault: Fault) {
        // A start tells of itself.
        if !matches!(fault, Fault::Start(_)) {
            self.trace.line(self.now_us, || format!("FAULT {fault}"));
        }
        self.stats.count(fault.name());
        match fault {
            Fault::Cut(links) => {
                links.iter().for_each(|(from, to)| self.links.set_cut(*from, *to, true));
            }
            Fault::Join(links) => {
                links.iter().for_each(|(from, to)| self.links.set_cut(*from, *to, false));
            }
            Fault::CutForever { outcasts, links } => {
                links.iter().for_each(|(from, to)| self.links.cut_forever(*from, *to));
                outcasts.iter().for_each(|id| self.replicas[id.index()].outcast = true);
            }
            Fault::Weather { links, weather, until_us } => {
                for (from, to) in links {
                    self.links.set_weather(from, to, weather, until_us);
                }
            }
            Fault::Mutate { from, to } => self.links.add_mutation(from, to),
            Fault::Hold { delay_us, until_us } => self.holding.begin(delay_us, until_us),
            Fault::Pause { replica, until_us } => self.replicas[replica.index()].pause(until_us),
            Fault::ClockJump { replica, by_ms } => {
                let epoch_ms = &mut self.replicas[replica.index()].epoch_ms;
                *epoch_ms = epoch_ms.saturating_add_signed(by_ms);
            }
            Fault::TickLength { replica, per_mille } => {
                self.replicas[replica.index()].tick_per_mille = per_mille;
            }
            Fault::Timers { replica, until_us } => {
                self.replicas[replica.index()].mistimed_until_us = until_us;
            }
            Fault::Crash { replica, after_messages: None } => self.crash(replica.index()),
            Fault::Crash { replica, after_messages } => {
                self.replicas[replica.index()].crash_after = after_messages;
            }
            Fault::CutPower { replica, after_writes, moment, down_us } => {
                let unsynced_kept = self.crashes.random_range(0..=limits::UNSYNCED_KEPT_MAX);
                let replica = &mut self.replicas[replica.index()];
                replica.down_us = down_us;
                replica.store.cut_power(PowerCut { after_writes, moment, unsynced_kept });
            }
            Fault::Start(replica) => self.start_with_twin(replica),
            Fault::PowerLoss => (0..self.replicas.len()).for_each(|replica| self.crash(replica)),
            Fault::Disk { replica, factor } => self.replicas[replica.index()].disk_factor = factor,
            Fault::Memory { replica, values } => self.spoil_memory(replica.index(), values),
            Fault::LoseDisk(replica) => self.lose_disk(replica.index()),
            Fault::Calm => self.calm(),
        }
    }

    fn calm(&mut self) {
        self.calm_us = Some(self.now_us);
        self.links.calm();
        self.holding.end();
        for replica in 0..self.replicas.len() {
            self.replicas[replica].disk_factor = 1;
            self.replicas[replica].tick_per_mille = 1_000;
            self.replicas[replica].mistimed_until_us = 0;
            self.replicas[replica].crash_after = None;
            self.start(replica);
        }
        self.queue.push(self.now_us + limits::END_CHECK_US, Event::EndCheck);
    }

    fn start_with_twin(&mut self, replica: ReplicaId) {
        self.start(replica.index());
        if let Some((_, second)) = self.twins.get(&replica) {
            self.start(*second);
        }
    }

    /// Starts a replica from its disk, unless it runs.
    pub(super) fn start(&mut self, replica: usize) {
        if self.replicas[replica].running.is_some() {
            return;
        }
        let (id, correct) = (self.replicas[replica].id, self.replicas[replica].correct);
        // Its disk holds what a faulty memory promised: that may have to be repaired again.
        self.replicas[replica].transient |= self.replicas[replica].tainted;
        let (automaton, hashes) = (Arc::clone(&self.automaton), Arc::clone(&self.hashes));
        let crashed = self.replicas[replica].sync.is_none();
        self.begin_syncing(replica);
        match self.replicas[replica].start(automaton, hashes) {
            Ok((mut effects, head, dropped)) => {
                if dropped > 0 {
                    *self.stats.counts.entry("repaired: row of the disk").or_default() += dropped;
                }
                self.trace
                    .of(self.now_us, id, || format!("starts with {}", describe::statement(&head)));
                let standing = self.standing(replica);
                if crashed && standing.is_some_and(|standing| standing.restoring.is_some()) {
                    self.stats.count("snapshot: went on");
                }
                if correct {
                    if self.replicas[replica].transient {
                        self.checkers.restored(id, &head);
                    }
                    let sound = self.checkers.recovered(id, &head);
                    self.check(sound);
                    self.check_confirmed(replica, head.height);
                }
                let tick_us = self.replicas[replica].tick_us;
                let at_us = self.now_us + self.crashes.random_range(0..tick_us);
                let incarnation = self.replicas[replica].incarnation;
                self.queue.push(at_us, Event::Tick { replica, incarnation });
                let tell_us = self.now_us + self.plan.ledger_every_ms * 1000;
                self.queue.push(tell_us, Event::TellHead { replica, incarnation });
                self.perform(replica, &mut effects);
            }
            Err(error) => {
                let what = format!("{id} does not start: {error}");
                self.broken((Invariant::Refused, what));
            }
        }
    }

    /// What clients hold as confirmed must be in this replica's ledger, up to its height. What was found
    /// there before is looked at again only if the store lost or changed rows since.
    pub(super) fn check_confirmed(&mut self, replica: usize, height: Height) {
        let id = self.replicas[replica].id;
        let (replaced, found) = (self.replicas[replica].replaced(), self.replicas[replica].found);
        let after = if replaced == found.replaced { found.to } else { Height(0) };
        let Some(running) = &self.replicas[replica].running else { return };
        let reader = &running.reader;
        // What was pruned f+1 replicas attest, and the state that it led to is here.
        let after = after.max(running.ledger.base());
        let stored = |at: Height| {
            let block = reader.header(at).ok()??.hash();
            let receipts = reader.receipts(at).ok()??;
            let leaves: Vec<_> = receipts.iter().map(daruma_types::Receipt::leaf).collect();
            // The state root of an earlier height is not stored; receipts and block are.
            let state_root = daruma_types::Hash::default();
            Some(Statement { height: at, block, state_root, receipts_root: merkle_root(&leaves) })
        };
        match self.checkers.holds_confirmed(id, after, height, stored) {
            Ok(to) => self.replicas[replica].found = Found { to, replaced },
            Err(broken) => self.broken(broken),
        }
    }

    /// An engine that was about to contradict its journal is made anew from ledger and journal: what
    /// it held is gone, what waits for it is for an engine that is no more.
    pub(super) fn rebuild(&mut self, replica: usize) {
        self.stats.count("repaired: contradiction of the journal");
        let now_us = self.now_us;
        let rebuilt = &mut self.replicas[replica];
        rebuilt.incarnation += 1;
        rebuilt.running = None;
        rebuilt.rebuilt_us.retain(|at_us| at_us + limits::REBUILD_WINDOW_US > now_us);
        let too_often = rebuilt.rebuilt_us.len() >= limits::REBUILDS_MAX;
        rebuilt.rebuilt_us.push_back(now_us);
        rebuilt.rebuilt_us.truncate(limits::REBUILDS_MAX);
        if too_often {
            let incarnation = rebuilt.incarnation;
            let at_us = now_us + limits::REBUILD_PAUSE_US;
            self.queue.push(at_us, Event::StartAgain { replica, incarnation });
        } else {
            self.start(replica);
        }
    }

    pub(super) fn crash(&mut self, replica: usize) {
        if self.replicas[replica].running.is_none() {
            return;
        }
        let Replica { id, correct, transient, .. } = self.replicas[replica];
        self.stats.count("crashed");
        let flushed = self.crashes.random();
        self.trace.of(self.now_us, id, || {
            let fate = if flushed { "arrives there" } else { "is lost" };
            format!("crashes; what is on its way to disk {fate}")
        });
        if let Err(error) = self.replicas[replica].crash(flushed)
            && correct
            && !transient
        {
            self.broken((Invariant::Refused, format!("the store of {id}: {error}")));
        }
    }

    /// Whether this replica's power went at the write that just failed. It starts again by itself.
    pub(super) fn power_went(&mut self, replica: usize) -> bool {
        if !self.replicas[replica].power_went() {
            return false;
        }
        let Replica { id, incarnation, down_us, .. } = self.replicas[replica];
        self.stats.count("power cut");
        self.trace.of(self.now_us, id, || "loses its power at a write".to_owned());
        let at_us = self.now_us + down_us;
        self.queue.push(at_us, Event::StartAgain { replica, incarnation });
        true
    }

    /// Whether this replica crashes just before it sends its next message.
    pub(super) fn crashes_now(&mut self, replica: usize) -> bool {
        match &mut self.replicas[replica].crash_after {
            Some(0) => {
                self.crash(replica);
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// What a replica keeps stays within its bound, whatever it is sent.
    fn check_held(&mut self, replica: usize) {
        let Some(running) = &self.replicas[replica].running else { return };
        let held = running.engine.held();
        let plan = self.plan;
        let max = Held::max(plan.thresholds.replicas(), &plan.chain, &plan.local);
        self.stats.held_max = self.stats.held_max.max(held.total() as u64);
        if let Some(what) = held.beyond(&max) {
            let what = format!("{} keeps too many {what}: {held:?}", self.replicas[replica].id);
            self.broken((Invariant::Bounds, what));
        }
    }

    /// What a replica does at each tick of its clock.
    pub(super) fn ticks_once(&mut self, replica: usize) {
        let id = self.replicas[replica].id;
        let now_ms = self.replicas[replica].epoch_ms + self.now_us / 1000;
        self.step(replica, Input::Tick { now_ms });
        self.sync_tick(replica);
        let Replica { healing_ticks, unchecked_ticks, .. } = &mut self.replicas[replica];
        for ticks in [healing_ticks, unchecked_ticks] {
            *ticks = ticks.saturating_sub(1);
        }
        self.check_held(replica);
        if let Some((twins, _)) = self.twins.get_mut(&id)
            && replica == id.index()
        {
            twins.on_tick();
        }
        self.sayings(replica);
        if self.recovery.is_some() && self.replicas[replica].correct {
            self.check_sizes(replica);
        }
    }
}
