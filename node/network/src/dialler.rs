//! When to dial a peer. The lower id of a pair dials at once and for ever; the higher id does the same
//! but first leaves time for the other, so that normally each pair has one dialler, and a replica that
//! cannot be reached from outside is not alone.

use std::time::{Duration, Instant};

use crate::config::NetworkSettings;
use crate::limits::STABLE_AFTER;

/// What is being done about one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing until then.
    Waiting(Instant),
    /// An address is being resolved or dialled.
    Trying,
    /// There is a connection.
    Linked,
}

#[derive(Debug)]
pub(crate) struct Dialler {
    state: State,
    failures: u32,
    /// Head start of the other side.
    grace: Duration,
    delay_min: Duration,
    delay_max: Duration,
}

impl Dialler {
    /// `first`: whether this side has the lower id.
    pub(crate) fn new(first: bool, settings: &NetworkSettings, now: Instant) -> Self {
        let grace = if first { Duration::ZERO } else { settings.dial_grace };
        Self {
            state: State::Waiting(now + grace),
            failures: 0,
            grace,
            delay_min: settings.redial_min,
            delay_max: settings.redial_max,
        }
    }

    /// When to dial next, if nothing happens before.
    pub(crate) const fn next(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(until) => Some(until),
            State::Trying | State::Linked => None,
        }
    }

    /// Whether to dial now; if so, counts as begun.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        let due = self.next().is_some_and(|next| next <= now);
        if due {
            self.state = State::Trying;
        }
        due
    }

    /// The dial, or resolving the address, failed. `jitter` in `0.0..1.0`.
    pub(crate) fn failed(&mut self, now: Instant, jitter: f64) {
        // A connection from the other side may have come meanwhile.
        if self.state == State::Trying {
            self.state = State::Waiting(now + self.delay(jitter));
        }
    }

    /// There is a connection, whoever dialled.
    pub(crate) const fn linked(&mut self) {
        self.state = State::Linked;
    }

    /// The connection is gone. `jitter` in `0.0..1.0`.
    pub(crate) fn unlinked(&mut self, now: Instant, lasted: Duration, jitter: f64) {
        if lasted >= STABLE_AFTER {
            self.failures = 0;
        }
        self.state = State::Waiting(now + self.delay(jitter).max(self.grace));
    }

    /// Doubles with each call up to the longest. The upper half is random, so that replicas that lost
    /// each other together do not meet in step.
    fn delay(&mut self, jitter: f64) -> Duration {
        let doubled = self.delay_min.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let longest = doubled.min(self.delay_max);
        longest / 2 + (longest / 2).mul_f64(jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialler(first: bool) -> (Dialler, Instant) {
        let now = Instant::now();
        (Dialler::new(first, &NetworkSettings::default(), now), now)
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn delays_double_from_50_ms_to_1_s_and_jitter_takes_at_most_half() {
        let (mut dialler, now) = dialler(true);
        let mut delays = Vec::new();
        for jitter in [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0] {
            assert!(dialler.begin(dialler.next().unwrap()));
            assert_eq!(dialler.next(), None);
            dialler.failed(now, jitter);
            delays.push(dialler.next().unwrap() - now);
        }
        assert_eq!(delays, [50, 100, 200, 400, 800, 1000, 1000, 500].map(ms));
    }

    #[test]
    fn the_higher_id_waits_for_the_other_at_start_and_after_each_loss() {
        let (mut dialler, now) = dialler(false);
        assert!(!dialler.begin(now + ms(2999)));
        assert!(dialler.begin(now + ms(3000)));
        dialler.linked();
        dialler.unlinked(now, ms(60_000), 1.0);
        assert_eq!(dialler.next(), Some(now + ms(3000)));
    }

    #[test]
    fn only_a_connection_that_lasted_starts_the_delays_over() {
        let (mut dialler, now) = dialler(true);
        for (lasted, expected) in [(0, 50), (1999, 100), (0, 200), (2000, 50), (2000, 50)] {
            dialler.linked();
            dialler.unlinked(now, ms(lasted), 1.0);
            assert_eq!(dialler.next(), Some(now + ms(expected)), "after {lasted} ms");
        }
    }

    #[test]
    fn a_failed_dial_does_not_disturb_a_connection_from_the_other_side() {
        let (mut dialler, now) = dialler(true);
        assert!(dialler.begin(now));
        dialler.linked();
        dialler.failed(now, 1.0);
        assert_eq!(dialler.next(), None);
    }
}
