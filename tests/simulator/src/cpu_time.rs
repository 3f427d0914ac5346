//! Time that a thread spends computing, for the figures of a search. What runs inside a simulation
//! has no clock but the simulated one.

use std::time::Duration;

/// How long the calling thread has computed since it began.
#[must_use]
pub(crate) fn of_this_thread() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    // The clock starts at zero with the thread.
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn computing_takes_time_of_this_thread() {
        let begin = super::of_this_thread();
        let sum = (0..3_000_000_u64).fold(0, |sum: u64, i| sum.rotate_left(5) ^ i);
        assert!(super::of_this_thread() > begin, "{sum}");
    }
}
