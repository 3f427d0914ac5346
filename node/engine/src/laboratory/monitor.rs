//! An arbitrary failure detector.

use super::Monitor;
use crate::laboratory::{Garbage, Size};

impl Monitor {
    /// Sets every variable.
    pub(crate) fn scramble(&mut self, garbage: &mut Garbage<'_>) {
        let Self { view, beat, count, settled, suspects, patience, progressed, status } = self;
        garbage.set("monitor.view", view, Garbage::view);
        garbage.set("monitor.beat", beat, |g| g.each(|g, _| g.small_number(&[16, 0])));
        garbage.set("monitor.count", count, |g| g.small_number(&[40, 8, 0]));
        garbage.set("monitor.settled", settled, |g| g.number(&[0]));
        garbage.set("monitor.suspects", suspects, Garbage::flag);
        garbage.set("monitor.patience", patience, |g| g.small_number(&[1, 8]));
        garbage.set("monitor.progressed", progressed, Garbage::flag);
        garbage.set("monitor.status", status, Garbage::status);
    }

    /// Sets what the detector counts and whether it suspects.
    pub(crate) fn set(&mut self, beat: &[u32], count: u32, suspects: bool) {
        (self.beat, self.count, self.suspects) = (beat.to_vec(), count, suspects);
    }

    /// What is held.
    pub(crate) fn sizes(&self, replicas: usize, sizes: &mut alloc::vec::Vec<Size>) {
        sizes.push(Size::new("monitor.beat", self.beat.len(), replicas));
    }
}
