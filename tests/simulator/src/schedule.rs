//! When which fault happens: drawn once, before the run.

mod links;
mod processes;

use daruma_types::ReplicaId;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::FaultKind;
use crate::fault::{Fault, Pairs, Scheduled};
use crate::limits;
use crate::plan::Plan;
use crate::random::{Purpose, stream};

/// Longest time that a fault lasts, as a multiple of the mean time between two of them.
const LASTS_UP_TO: u64 = 2;

/// Longest time that such a fault lasts, so that in a long run there is service now and then.
const LASTS_MAX_US: u64 = 60_000_000;

/// The fault phase in which faults last as long as the catalogue says. In a shorter one they are
/// shorter in proportion, and somewhat longer than that so that they still are felt.
const FULL_PHASE_US: u64 = 600_000_000 / 4;

impl Plan {
    /// The faults that the seed draws for this plan, in order of time: what can be given back, edited,
    /// with [`Plan::with_schedule`]. Two things go without saying: at the end of the fault phase
    /// everything heals, and a replica starts at once unless a fault that begins as
    /// [`FaultKind::LateStarts`] starts it.
    #[must_use]
    pub fn drawn_schedule(&self) -> Vec<Scheduled> {
        let mut entries = drawn(self);
        entries.retain(|entry| {
            let start = matches!(entry.fault, Fault::Start(_));
            let at_once = start && entry.at_us == 0 && entry.begins.is_none();
            entry.fault != Fault::Calm && !at_once
        });
        entries
    }
}

/// All faults of a run in order of time, the last being calm.
pub(crate) fn schedule(plan: &Plan) -> Vec<Scheduled> {
    match &plan.schedule {
        Some(entries) => completed(plan, entries),
        None => drawn(plan),
    }
}

/// These faults with all that goes without saying.
fn completed(plan: &Plan, faults: &[Scheduled]) -> Vec<Scheduled> {
    let is_late = |id: ReplicaId| {
        let late = Some(FaultKind::LateStarts);
        faults.iter().any(|entry| entry.begins == late && entry.fault == Fault::Start(id))
    };
    let end_us = plan.fault_phase_ms * 1000;
    let mut entries: Vec<Scheduled> = (0..plan.thresholds.replicas() as u16)
        .map(ReplicaId)
        .filter(|id| !is_late(*id))
        .map(|id| Scheduled { at_us: 0, begins: None, fault: Fault::Start(id) })
        .collect();
    entries.extend(faults.iter().filter(|entry| entry.at_us < end_us).cloned());
    entries.push(Scheduled { at_us: end_us, begins: None, fault: Fault::Calm });
    entries.sort_by_key(|entry| entry.at_us);
    entries
}

fn drawn(plan: &Plan) -> Vec<Scheduled> {
    let mut drawing = Drawing {
        random: stream(plan.seed, Purpose::Schedule),
        plan,
        replicas: plan.thresholds.replicas() as u16,
        tick_us: plan.tick_ms * 1000,
        every_us: plan.fault_every_ms.max(1) * 1000,
        end_us: plan.fault_phase_ms * 1000,
        kind: FaultKind::LateStarts,
        entries: Vec::new(),
    };
    drawing.starts(plan.faults.has(FaultKind::LateStarts));
    for kind in plan.faults.iter() {
        drawing.kind = kind;
        drawing.repeatedly();
    }
    drawing.fill_up();
    let end_us = drawing.end_us;
    let mut entries = drawing.entries;
    let is_start = |entry: &Scheduled| matches!(entry.fault, Fault::Start(_));
    entries.retain(|entry| entry.at_us < end_us || entry.at_us == 0 && is_start(entry));
    entries.push(Scheduled { at_us: end_us, begins: None, fault: Fault::Calm });
    entries.sort_by_key(|entry| entry.at_us);
    entries
}

struct Drawing<'a> {
    random: ChaCha8Rng,
    plan: &'a Plan,
    replicas: u16,
    tick_us: u64,
    every_us: u64,
    end_us: u64,
    /// The kind that is being drawn.
    kind: FaultKind,
    entries: Vec<Scheduled>,
}

impl Drawing<'_> {
    /// Draws faults of the kind until the end, as many as the plan allows of one kind.
    fn repeatedly(&mut self) {
        let mut at_us = 0;
        for _ in 0..self.plan.faults_each_max {
            at_us += self.random.random_range(1..=2 * self.every_us);
            if at_us >= self.end_us {
                return;
            }
            self.draw(at_us);
        }
    }

    /// Draws more faults, one of each kind at a time, until there are as many as the plan wants.
    fn fill_up(&mut self) {
        for _ in 0..limits::SCHEDULE_ROUNDS_MAX {
            let begun: Vec<_> = self.entries.iter().filter_map(|entry| entry.begins).collect();
            let lacking: Vec<FaultKind> = if begun.len() < self.plan.faults_min {
                self.plan.faults.iter().collect()
            } else if self.plan.faults_min > 0 {
                self.plan.faults.iter().filter(|kind| !begun.contains(kind)).collect()
            } else {
                Vec::new()
            };
            for kind in &lacking {
                self.kind = *kind;
                let at_us = self.random.random_range(0..self.end_us.max(1));
                self.draw(at_us);
            }
            if lacking.is_empty() {
                return;
            }
        }
    }

    /// Draws one fault of the kind, which begins at a time.
    fn draw(&mut self, at_us: u64) {
        match self.kind {
            FaultKind::Partitions => self.partition(at_us),
            FaultKind::PartialPartitions => self.partial_partition(at_us),
            FaultKind::RestlessPartitions => self.restless_partition(at_us),
            FaultKind::OneWayCuts => self.one_way_cut(at_us),
            FaultKind::PermanentCuts => self.permanent_cut(at_us),
            FaultKind::BriefCuts => self.brief_cut(at_us),
            FaultKind::Bursts => self.burst(at_us),
            FaultKind::Losses => self.losses(at_us),
            FaultKind::LateDuplicates => self.late_duplicates(at_us),
            FaultKind::Reordering => self.reordering(at_us),
            FaultKind::Corruption => self.corruption(at_us),
            FaultKind::Mutations => self.mutation(at_us),
            FaultKind::Swizzles => self.swizzle(at_us),
            FaultKind::Churn => self.churn(at_us),
            FaultKind::Holding => self.holding(at_us),
            FaultKind::SlowReplicas => self.slow_replicas(at_us),
            FaultKind::Crashes => self.crash(at_us),
            FaultKind::CrashLoops => self.crash_loop(at_us),
            FaultKind::RollingRestarts => self.rolling_restart(at_us),
            FaultKind::PowerLoss => self.power_loss(at_us),
            FaultKind::Pauses => self.pause(at_us),
            FaultKind::ClockJumps => self.clock_jump(at_us),
            FaultKind::ClockDrift => self.clock_drift(at_us),
            FaultKind::SlowDisks => self.slow_disk(at_us),
            FaultKind::Memory => self.memory(at_us),
            FaultKind::Timers => self.timers(at_us),
            // Drawn before all others: a replica starts once.
            FaultKind::LateStarts => {}
        }
    }

    /// The first thing that a fault does.
    fn begin(&mut self, at_us: u64, fault: Fault) {
        self.entries.push(Scheduled { at_us, begins: Some(self.kind), fault });
    }

    /// What it does later on.
    fn then(&mut self, at_us: u64, fault: Fault) {
        self.entries.push(Scheduled { at_us, begins: None, fault });
    }

    fn lasts_us(&mut self) -> u64 {
        self.random.random_range(1..=(LASTS_UP_TO * self.every_us).min(LASTS_MAX_US))
    }

    /// A time between these two, shorter in a run whose fault phase is short. Short ones are as likely
    /// as long ones.
    fn span_us(&mut self, from_ms: u64, to_ms: u64) -> u64 {
        let doublings = (to_ms / from_ms.max(1)).max(1).ilog2();
        let ms = from_ms << self.random.random_range(0..=doublings);
        let ms = self.random.random_range(ms / 2..=ms).clamp(from_ms, to_ms);
        let us = ms * 1000;
        (us * self.end_us.min(FULL_PHASE_US) / FULL_PHASE_US).max(self.tick_us)
    }

    /// Replicas that take the place of Byzantine ones.
    fn frail(&self) -> Vec<ReplicaId> {
        let mut frail = self.plan.byzantine_ids();
        for entry in &self.entries {
            if let Fault::CutForever { outcasts, .. } = &entry.fault {
                frail.extend(outcasts);
            } else if let Fault::Memory { replica, .. } = &entry.fault {
                frail.push(*replica);
            }
        }
        frail.sort_unstable();
        frail.dedup();
        frail
    }

    fn replica(&mut self) -> ReplicaId {
        ReplicaId(self.random.random_range(0..self.replicas))
    }

    fn ids(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..self.replicas).map(ReplicaId)
    }

    /// All replicas in a random order.
    fn shuffled(&mut self) -> Vec<ReplicaId> {
        let mut ids: Vec<ReplicaId> = self.ids().collect();
        for i in (1..ids.len()).rev() {
            ids.swap(i, self.random.random_range(0..=i));
        }
        ids
    }

    /// The links for which `chosen` holds.
    fn links(&self, chosen: impl Fn(ReplicaId, ReplicaId) -> bool) -> Pairs {
        let all = self.ids().flat_map(|a| self.ids().map(move |b| (a, b)));
        all.filter(|(a, b)| a != b && chosen(*a, *b)).collect()
    }
}

#[cfg(test)]
mod tests;
