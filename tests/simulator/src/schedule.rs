//! When which fault happens: drawn once, before the run.

use daruma_types::ReplicaId;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::plan::Plan;
use crate::random::{Purpose, stream};

/// Longest time that a fault lasts, as a multiple of the mean time between two of them.
const LASTS_UP_TO: u64 = 2;

/// A disk under this factor takes a quarter of a second at most.
const SLOW_DISK_FACTOR: u64 = 80;

/// Something that is done to the replicas or to the links between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Cut these links, each in this direction.
    Cut(Vec<(ReplicaId, ReplicaId)>),
    /// Join these links again.
    Join(Vec<(ReplicaId, ReplicaId)>),
    /// Crash: at once, or after so many more messages.
    Crash { replica: ReplicaId, after_messages: Option<u32> },
    /// Start, unless it runs.
    Start(ReplicaId),
    /// Crash all at once.
    PowerLoss,
    /// The factor on the disk's time.
    Disk { replica: ReplicaId, factor: u64 },
    /// Everything heals.
    Calm,
}

impl Fault {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Cut(_) => "cut",
            Self::Join(_) => "join",
            Self::Crash { .. } => "crash",
            Self::Start(_) => "start",
            Self::PowerLoss => "power-loss",
            Self::Disk { .. } => "disk",
            Self::Calm => "calm",
        }
    }
}

/// All faults of a run with their times in microseconds, the last being calm.
pub(crate) fn schedule(plan: &Plan) -> Vec<(u64, Fault)> {
    let mut drawing = Drawing {
        random: stream(plan.seed, Purpose::Schedule),
        replicas: plan.thresholds.replicas() as u16,
        every_us: plan.fault_every_ms.max(1) * 1000,
        end_us: plan.fault_phase_ms * 1000,
        faults: Vec::new(),
    };
    let kinds = plan.faults;
    let starts = drawing.starts(kinds.late_starts);
    let draws: [(bool, Draw); 5] = [
        (kinds.partitions, Drawing::partition),
        (kinds.one_way_cuts, Drawing::one_way_cut),
        (kinds.crashes, Drawing::crash),
        (kinds.power_loss, Drawing::power_loss),
        (kinds.slow_disks, Drawing::slow_disk),
    ];
    for (on, draw) in draws {
        if on {
            drawing.repeatedly(draw);
        }
    }
    let Drawing { mut faults, end_us, .. } = drawing;
    faults.retain(|(at, _)| *at < end_us);
    faults.extend(starts);
    faults.push((end_us, Fault::Calm));
    faults.sort_by_key(|(at, _)| *at);
    faults
}

/// Draws one fault that begins at a time.
type Draw = fn(&mut Drawing, u64);

struct Drawing {
    random: ChaCha8Rng,
    replicas: u16,
    every_us: u64,
    end_us: u64,
    faults: Vec<(u64, Fault)>,
}

impl Drawing {
    fn repeatedly(&mut self, draw: Draw) {
        let mut at_us = 0;
        loop {
            at_us += self.random.random_range(1..=2 * self.every_us);
            if at_us >= self.end_us {
                return;
            }
            draw(self, at_us);
        }
    }

    fn lasts_us(&mut self) -> u64 {
        self.random.random_range(1..=LASTS_UP_TO * self.every_us)
    }

    fn replica(&mut self) -> ReplicaId {
        ReplicaId(self.random.random_range(0..self.replicas))
    }

    fn starts(&mut self, late: bool) -> Vec<(u64, Fault)> {
        (0..self.replicas)
            .map(|id| {
                let is_late = late && self.random.random_bool(0.4);
                let at_us =
                    if is_late { self.random.random_range(0..self.end_us.max(1)) } else { 0 };
                (at_us, Fault::Start(ReplicaId(id)))
            })
            .collect()
    }

    fn partition(&mut self, at_us: u64) {
        let side: u16 = self.random.random();
        let apart = |a: u16, b: u16| (side >> a & 1) != (side >> b & 1);
        let links: Vec<_> = (0..self.replicas)
            .flat_map(|a| (0..self.replicas).map(move |b| (a, b)))
            .filter(|(a, b)| apart(*a, *b))
            .map(|(a, b)| (ReplicaId(a), ReplicaId(b)))
            .collect();
        let until_us = at_us + self.lasts_us();
        self.faults.push((at_us, Fault::Cut(links.clone())));
        self.faults.push((until_us, Fault::Join(links)));
    }

    fn one_way_cut(&mut self, at_us: u64) {
        let count = self.random.random_range(1..=u32::from(self.replicas));
        let links: Vec<_> = (0..count).map(|_| (self.replica(), self.replica())).collect();
        let until_us = at_us + self.lasts_us();
        self.faults.push((at_us, Fault::Cut(links.clone())));
        self.faults.push((until_us, Fault::Join(links)));
    }

    fn crash(&mut self, at_us: u64) {
        let replica = self.replica();
        let after_messages = self.random.random_bool(0.7).then(|| self.random.random_range(1..200));
        let pause_us = if self.random.random_bool(0.5) {
            self.random.random_range(1_000..50_000)
        } else {
            self.lasts_us()
        };
        self.faults.push((at_us, Fault::Crash { replica, after_messages }));
        // An armed crash may come later than this; then calm starts the replica again.
        self.faults.push((at_us + pause_us, Fault::Start(replica)));
        self.faults.push((at_us + pause_us + self.every_us, Fault::Start(replica)));
    }

    fn power_loss(&mut self, at_us: u64) {
        self.faults.push((at_us, Fault::PowerLoss));
        for id in 0..self.replicas {
            let pause_us = self.random.random_range(1_000..=self.every_us.max(1_001));
            self.faults.push((at_us + pause_us, Fault::Start(ReplicaId(id))));
        }
    }

    fn slow_disk(&mut self, at_us: u64) {
        let replica = self.replica();
        let factor = self.random.random_range(2..=SLOW_DISK_FACTOR);
        let until_us = at_us + self.lasts_us();
        self.faults.push((at_us, Fault::Disk { replica, factor }));
        self.faults.push((until_us, Fault::Disk { replica, factor: 1 }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FaultKinds;

    #[test]
    fn every_replica_starts_and_calm_comes_last() {
        for seed in 0..50 {
            let plan = Plan::calm(seed, 7).faults(FaultKinds::ALL);
            let faults = schedule(&plan);
            for id in (0..7).map(ReplicaId) {
                assert!(faults.iter().any(|(_, fault)| *fault == Fault::Start(id)));
            }
            assert_eq!(faults.last(), Some(&(plan.fault_phase_ms * 1000, Fault::Calm)));
            assert!(faults.is_sorted_by_key(|(at, _)| *at));
        }
    }

    #[test]
    fn a_plan_without_faults_only_starts_and_calms() {
        let faults = schedule(&Plan::calm(1, 4));
        assert_eq!(faults.len(), 5);
    }
}
