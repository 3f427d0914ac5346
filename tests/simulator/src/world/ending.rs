//! How a run ends: everything asked for is done everywhere, or time is up.

use daruma_types::Height;

use super::{Event, World};
use crate::{Invariant, Outcome, limits};

impl World<'_> {
    /// Whether clients still ask for new operations.
    pub(super) fn asking(&self) -> bool {
        self.calm_us.is_none_or(|calm_us| self.now_us < calm_us + limits::CALM_CLIENTS_US)
    }

    /// After calm: ends the run when everything is done, or when it should be.
    pub(super) fn end_check(&mut self) {
        let Some(calm_us) = self.calm_us else { return };
        let height = self.checkers.height();
        let connected = || self.replicas.iter().filter(|r| r.correct && !r.outcast);
        let level = connected().all(|replica| {
            replica
                .running
                .as_ref()
                .is_some_and(|running| running.engine.status().executed.height == height)
        });
        if !self.asking() && self.clients.open() == 0 && level {
            self.ended = true;
            let heights: Vec<(usize, Height)> = (0..self.replicas.len())
                .filter(|i| self.replicas[*i].correct && !self.replicas[*i].outcast)
                .map(|replica| (replica, height))
                .collect();
            for (replica, height) in heights {
                self.check_confirmed(replica, height);
            }
            return;
        }
        if self.now_us > calm_us + self.plan.quiet_ms_max * 1000 {
            let what = self.standstill();
            self.broken((Invariant::Progress, what));
            return;
        }
        self.queue.push(self.now_us + limits::END_CHECK_US, Event::EndCheck);
    }

    /// Where everyone stands, for people.
    fn standstill(&self) -> String {
        let mut text = format!(
            "{} ms after calm, height {}, waiting: {}",
            self.plan.quiet_ms_max,
            self.checkers.height(),
            self.clients.waiting()
        );
        text.push_str(&self.standings_of_all());
        text
    }

    /// One line for each replica.
    pub(super) fn standings_of_all(&self) -> String {
        let mut text = String::new();
        for replica in &self.replicas {
            text.push_str(&format!(
                "\n  {}{}: ",
                replica.id,
                match (replica.correct, replica.outcast) {
                    (false, _) => " (byzantine)",
                    (true, true) => " (outcast)",
                    (true, false) => "",
                }
            ));
            match &replica.running {
                None => text.push_str("down"),
                Some(running) => text.push_str(&format!("{:?}", running.engine.status())),
            }
        }
        text
    }

    pub(super) fn outcome(mut self) -> Outcome {
        self.trace.end();
        let mishaps = self.links.mishaps;
        for (name, count) in [
            ("cut off", mishaps.cut),
            ("lost", mishaps.lost),
            ("duplicated", mishaps.duplicated),
            ("corrupted", mishaps.corrupted),
            ("over capacity", mishaps.over_capacity),
            ("clogged", mishaps.clogged),
            ("severed", mishaps.severed),
            ("held back", mishaps.held_back),
            ("mutated", mishaps.mutated),
        ] {
            if count > 0 {
                self.stats.mishaps.insert(name, count);
            }
        }
        if self.clients.repeated > 0 {
            self.stats.counts.insert("submission: repeated", self.clients.repeated);
        }
        self.stats.virtual_us = self.now_us;
        if let Some(calm_us) = self.calm_us {
            self.stats.quiet_us = self.now_us - calm_us;
        }
        self.stats.heights = self.checkers.height().0;
        self.stats.executed = self.checkers.transactions;
        self.stats.confirmed = self.checkers.confirmed_count();
        self.trace.mix(&[self.stats.messages, self.stats.bytes, self.stats.executed]);
        Outcome { violations: self.violations, stats: self.stats, trace_hash: self.trace.hash() }
    }
}
