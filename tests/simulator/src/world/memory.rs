//! Memories that get arbitrary values while a replica runs.

use daruma_engine::laboratory::{Dictionary, Garbage, Scope, Values};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::World;
use super::arbitrary::History;
use crate::random::{Purpose, stream};

/// Of so many messages one is noted for what faulty memories are made of, where nothing else is said: looking
/// at each would take longer than the run.
const NOTED_EVERY: u64 = 16;

/// Ticks beyond those up to the next full check after which a memory holds nothing wrong any more that it
/// says: what it found there leads to another check at the next, and what it said before them may wait for a
/// slow disk.
const AFTER_FULL_CHECK_TICKS: u32 = 4;

impl World<'_> {
    /// Notes from now on what is said: faulty memories hold fragments of it.
    pub(super) fn remember(&mut self) {
        if self.history.is_none() {
            self.history = Some(Box::new(History::noting_every(NOTED_EVERY)));
        }
    }

    /// What was noted so far, with all blocks that some ledger has.
    pub(super) fn what_was_said(&mut self) -> Dictionary {
        let mut dictionary =
            self.history.as_ref().map(|history| history.dictionary.clone()).unwrap_or_default();
        for running in self.replicas.iter().filter_map(|replica| replica.running.as_ref()) {
            dictionary.note_view(running.engine.view_proof());
            let head = running.ledger.head().claim.height;
            let from = daruma_types::Height(head.0.saturating_sub(8).max(1));
            let blocks = running.reader.certified_blocks(from, 8, usize::MAX);
            blocks.unwrap_or_default().iter().for_each(|block| dictionary.note_certified(block));
        }
        dictionary
    }

    /// All that a replica's process holds beside its disk gets arbitrary values; nothing if it is down.
    pub(super) fn scramble(&mut self, replica: usize, garbage: &mut Garbage<'_>) {
        let ticks = self.ticks_to_check();
        let spoiled = &mut self.replicas[replica];
        if spoiled.running.is_none() {
            return;
        }
        spoiled.spoiled = true;
        (spoiled.healing_ticks, spoiled.unchecked_ticks) = (ticks, ticks);
        self.forget_driver(replica);
        if let Some(running) = &mut self.replicas[replica].running {
            running.engine.scramble(garbage);
        }
    }

    /// Ticks after which a memory that was set holds nothing wrong any more that it says.
    pub(super) const fn ticks_to_check(&self) -> u32 {
        self.plan.local.full_check_ticks + AFTER_FULL_CHECK_TICKS
    }

    /// Whether this replica's memory was spoiled a short while ago: what it says may be wrong still. It heals
    /// by its own ticks, so that one that stands still does not heal meanwhile.
    pub(super) fn is_healing(&self, replica: usize) -> bool {
        self.replicas[replica].healing_ticks > 0
    }

    /// The same as a fault of a schedule.
    pub(super) fn spoil_memory(&mut self, replica: usize, values: u32) {
        if !self.replicas[replica].correct {
            return;
        }
        let dictionary = self.what_was_said();
        let mut random = stream(self.plan.seed ^ u64::from(values) << 32, Purpose::Memory);
        let scopes = [Scope::All, Scope::Some(50), Scope::Some(200), Scope::Some(500)];
        let scope = scopes.choose(&mut random).cloned().unwrap_or(Scope::All);
        let kinds = [Values::Mixed, Values::Mixed, Values::Replayed, Values::Largest, Values::Zero];
        let kind = kinds.choose(&mut random).copied().unwrap_or(Values::Mixed);
        let replicas = self.committee.thresholds().replicas();
        let mut garbage = Garbage::new(random.random(), scope, kind, &dictionary, replicas);
        self.scramble(replica, &mut garbage);
    }
}

#[cfg(test)]
mod tests;
