//! Timers that are not to be relied on: late, early by a rounding, twice, or never once.

use rand::Rng;

use super::{Event, World};

/// By how much a timer is early when somebody rounded, in microseconds.
const ROUNDING_US: u64 = 1_000;

impl World<'_> {
    /// A timer of a replica fires, and should again at `next_us`: how often what it is for is to be
    /// done now, and when it fires next.
    pub(super) fn fires(&mut self, replica: usize, next_us: u64) -> (u32, u64) {
        if self.replicas[replica].mistimed_until_us <= self.now_us {
            return (1, next_us);
        }
        self.stats.count("timer: mistimed");
        let pause_us = next_us.saturating_sub(self.now_us);
        match self.crashes.random_range(0..5) {
            0 => (1, next_us + self.crashes.random_range(0..=pause_us)),
            1 => (1, next_us.saturating_sub(ROUNDING_US).max(self.now_us + 1)),
            2 => (2, next_us),
            3 => (0, next_us),
            _ => (1, next_us),
        }
    }

    /// A replica's clock ticks.
    pub(super) fn tick(&mut self, replica: usize, incarnation: u32) {
        if !self.lives(replica, incarnation) {
            return;
        }
        self.trace.mix(&[self.now_us, replica as u64]);
        let next_us = self.next_tick_us(replica);
        let (times, at_us) = self.fires(replica, next_us);
        self.queue.push(at_us, Event::Tick { replica, incarnation });
        for _ in 0..times {
            if self.lives(replica, incarnation) {
                self.ticks_once(replica);
            }
        }
    }

    /// It is time to tell an engine where its ledger stands.
    pub(super) fn tell_head_again(&mut self, replica: usize, incarnation: u32) {
        if self.lives(replica, incarnation) {
            let next_us = self.now_us + self.plan.ledger_every_ms * 1000;
            let (times, at_us) = self.fires(replica, next_us);
            (0..times).for_each(|_| self.tell_head(replica));
            self.queue.push(at_us, Event::TellHead { replica, incarnation });
        }
    }
}
