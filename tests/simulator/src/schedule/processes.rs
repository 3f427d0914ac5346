//! Faults of processes, clocks and disks.

use daruma_types::ReplicaId;
use rand::Rng;

use super::{Drawing, Fault, LASTS_MAX_US};

/// A disk under this factor takes a quarter of a second at most.
const SLOW_DISK_FACTOR: u64 = 80;

/// How far a wall clock jumps at most.
const YEAR_MS: i64 = 365 * 24 * 3_600 * 1_000;

impl Drawing<'_> {
    pub(super) fn starts(&mut self, late: bool) {
        for id in self.ids() {
            if late && self.random.random_bool(0.4) {
                let at_us = self.random.random_range(0..self.end_us.clamp(1, 2 * LASTS_MAX_US));
                self.begin(at_us, Fault::Start(id));
            } else {
                self.then(0, Fault::Start(id));
            }
        }
    }

    pub(super) fn crash(&mut self, at_us: u64) {
        let replica = self.replica();
        let after_messages = self.random.random_bool(0.7).then(|| self.random.random_range(1..200));
        let pause_us = if self.random.random_bool(0.5) {
            self.random.random_range(1_000..50_000)
        } else {
            self.lasts_us()
        };
        self.begin(at_us, Fault::Crash { replica, after_messages });
        // An armed crash may come later than this; then calm starts the replica again.
        self.then(at_us + pause_us, Fault::Start(replica));
        self.then(at_us + pause_us + self.every_us.min(LASTS_MAX_US), Fault::Start(replica));
    }

    /// Crashes soon after each start: sometimes before anything was sent.
    pub(super) fn crash_loop(&mut self, at_us: u64) {
        let replica = self.replica();
        let mut from_us = at_us;
        for crash in 0..self.random.random_range(3..=8) {
            let fault = Fault::Crash { replica, after_messages: None };
            if crash == 0 {
                self.begin(from_us, fault);
            } else {
                self.then(from_us, fault);
            }
            let start_us = from_us + self.random.random_range(1_000..20 * self.tick_us);
            self.then(start_us, Fault::Start(replica));
            from_us = start_us + self.random.random_range(0..20 * self.tick_us);
        }
    }

    /// All in turn; the next one may go down before the last is up again.
    pub(super) fn rolling_restart(&mut self, at_us: u64) {
        let step_us = self.span_us(500, 10_000);
        for (i, replica) in self.shuffled().into_iter().enumerate() {
            let down_us = at_us + step_us * i as u64;
            let fault = Fault::Crash { replica, after_messages: None };
            if i == 0 {
                self.begin(down_us, fault);
            } else {
                self.then(down_us, fault);
            }
            let up_us = down_us + self.random.random_range(1_000..=3 * step_us);
            self.then(up_us, Fault::Start(replica));
        }
    }

    pub(super) fn power_loss(&mut self, at_us: u64) {
        self.begin(at_us, Fault::PowerLoss);
        for id in self.ids() {
            let pause_us =
                self.random.random_range(1_000..=self.every_us.clamp(1_001, LASTS_MAX_US));
            self.then(at_us + pause_us, Fault::Start(id));
        }
    }

    pub(super) fn pause(&mut self, at_us: u64) {
        let mut paused = self.shuffled();
        if self.random.random_ratio(4, 5) {
            paused.truncate(1);
        }
        for (i, replica) in paused.into_iter().enumerate() {
            let until_us = (at_us + self.span_us(1_000, 600_000)).min(self.end_us);
            let fault = Fault::Pause { replica, until_us };
            if i == 0 {
                self.begin(at_us, fault);
            } else {
                self.then(at_us, fault);
            }
        }
    }

    pub(super) fn clock_jump(&mut self, at_us: u64) {
        let replica = self.replica();
        let by_ms = self.random.random_range(-YEAR_MS..=YEAR_MS);
        self.begin(at_us, Fault::ClockJump { replica, by_ms });
    }

    pub(super) fn clock_drift(&mut self, at_us: u64) {
        let replica = self.replica();
        let per_mille = self.random.random_range(500..=2_000);
        let until_us = at_us + self.lasts_us();
        self.begin(at_us, Fault::TickLength { replica, per_mille });
        self.then(until_us, Fault::TickLength { replica, per_mille: 1_000 });
    }

    pub(super) fn timers(&mut self, at_us: u64) {
        let replica = self.replica();
        let until_us = at_us + self.lasts_us();
        self.begin(at_us, Fault::Timers { replica, until_us });
    }

    /// One that takes the place of a Byzantine replica, a new one only while there is room for it.
    pub(super) fn memory(&mut self, at_us: u64) {
        let frail = self.frail();
        let room = frail.len() < self.plan.thresholds.faulty_max();
        let byzantine = self.plan.byzantine_ids();
        let mut order = self.shuffled();
        order.retain(|id| !byzantine.contains(id) && (room || frail.contains(id)));
        if let Some(replica) = order.first() {
            let values = self.random.random();
            self.begin(at_us, Fault::Memory { replica: *replica, values });
        }
    }

    pub(super) fn slow_disk(&mut self, at_us: u64) {
        let replica: ReplicaId = self.replica();
        let factor = self.random.random_range(2..=SLOW_DISK_FACTOR);
        let until_us = at_us + self.lasts_us();
        self.begin(at_us, Fault::Disk { replica, factor });
        self.then(until_us, Fault::Disk { replica, factor: 1 });
    }
}
