//! When the engine's memory turns out to be wrong, or the disk refuses its promises: the engine is made
//! anew from ledger and journal, not too often.
//!
//! A promise that contradicts the journal means that the memory it comes from is wrong: a transient
//! fault. Nothing that follows from it is said, and all of it is replaced. A disk that does not take
//! promises makes a replica mute; it goes on as soon as the disk does.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::limits;

/// Why an engine is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It was about to contradict the journal.
    Contradiction,
    /// The disk did not take a promise.
    Disk,
}

/// Says when an engine may be made anew.
#[derive(Debug, Default)]
pub(crate) struct Rebuilding {
    /// The last times, oldest first.
    times: VecDeque<Instant>,
    /// How often in a row the disk refused.
    refused: u32,
}

impl Rebuilding {
    /// The moment for the next rebuild, given that one is needed since `now`.
    pub(crate) fn plan(&mut self, cause: Cause, now: Instant) -> Instant {
        while self.times.front().is_some_and(|at| now.duration_since(*at) > limits::REBUILD_WINDOW)
        {
            self.times.pop_front();
        }
        let wait = match cause {
            Cause::Disk => {
                let doubled = limits::DISK_PAUSE_MIN.saturating_mul(1 << self.refused.min(16));
                self.refused = self.refused.saturating_add(1);
                doubled.min(limits::DISK_PAUSE_MAX)
            }
            Cause::Contradiction if self.times.len() >= limits::REBUILDS_MAX => {
                limits::REBUILD_PAUSE
            }
            Cause::Contradiction => Duration::ZERO,
        };
        let at = now + wait;
        self.times.push_back(at);
        self.times.truncate(limits::REBUILDS_MAX);
        at
    }

    /// The disk took a promise.
    pub(crate) const fn disk_works(&mut self) {
        self.refused = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_answered_at_once_until_there_are_too_many() {
        let (mut rebuilding, now) = (Rebuilding::default(), Instant::now());
        for _ in 0..limits::REBUILDS_MAX {
            assert_eq!(rebuilding.plan(Cause::Contradiction, now), now);
        }
        assert_eq!(rebuilding.plan(Cause::Contradiction, now), now + limits::REBUILD_PAUSE);
        let later = now + limits::REBUILD_PAUSE + limits::REBUILD_WINDOW + limits::REBUILD_WINDOW;
        assert_eq!(rebuilding.plan(Cause::Contradiction, later), later);
    }

    #[test]
    fn a_disk_that_refuses_is_asked_again_after_pauses_that_grow_to_their_bound() {
        let (mut rebuilding, now) = (Rebuilding::default(), Instant::now());
        let pauses: Vec<Duration> =
            (0..40).map(|_| rebuilding.plan(Cause::Disk, now) - now).collect();
        assert_eq!(pauses.first(), Some(&limits::DISK_PAUSE_MIN));
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&limits::DISK_PAUSE_MAX));
        rebuilding.disk_works();
        assert_eq!(rebuilding.plan(Cause::Disk, now), now + limits::DISK_PAUSE_MIN);
    }
}
