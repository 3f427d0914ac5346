//! Lets one log line through per interval, so that a flood of refusals cannot flood the log.

use std::time::{Duration, Instant};

pub(crate) struct LogGate {
    interval: Duration,
    next: Option<Instant>,
    held_back: u64,
}

impl LogGate {
    pub(crate) const fn new(interval: Duration) -> Self {
        Self { interval, next: None, held_back: 0 }
    }

    /// Whether to log now; if so, how many lines were held back since the last.
    pub(crate) fn open(&mut self, now: Instant) -> Option<u64> {
        if self.next.is_some_and(|next| now < next) {
            self.held_back = self.held_back.saturating_add(1);
            return None;
        }
        self.next = now.checked_add(self.interval);
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_refusals_in_one_interval_are_one_line_and_a_number() {
        let start = Instant::now();
        let mut gate = LogGate::new(Duration::from_secs(1));
        assert_eq!(gate.open(start), Some(0));
        for _ in 0..999 {
            assert_eq!(gate.open(start + Duration::from_millis(999)), None);
        }
        assert_eq!(gate.open(start + Duration::from_secs(1)), Some(999));
        assert_eq!(gate.open(start + Duration::from_secs(2)), Some(0));
    }
}
