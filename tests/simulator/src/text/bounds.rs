//! What a plan must keep to so that a run can have it.

use daruma_types::{ReplicaId, Thresholds, limits as hard};

use crate::{Fault, Plan, Start, limits};

/// Time between two ticks, in milliseconds: what a node allows, and somewhat more at both ends.
const TICK_MS: core::ops::RangeInclusive<u64> = 1..=10_000;

/// Blocks and view changes of a history, and messages on a link at its end: more make a run slow and
/// show nothing new.
const HISTORY_MAX: u64 = 1_000;

impl Plan {
    /// Whether a run can have this plan; if not, why.
    pub(crate) fn check(&self) -> Result<(), String> {
        let replicas = self.thresholds.replicas();
        let within = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        within(
            replicas <= limits::REPLICAS_MAX,
            "it has more replicas than a simulated chain may",
        )?;
        let (f, establishment) = (self.thresholds.faulty_max(), self.establishment);
        Thresholds::with_establishment(replicas, f, establishment)
            .map_err(|error| error.to_string())?;
        let allowed = self.clone().within_budget();
        within(
            (&allowed.byzantine, &allowed.windows) == (&self.byzantine, &self.windows),
            "Byzantine replicas are at most f, ascending and each named once, or with windows",
        )?;
        within(TICK_MS.contains(&self.tick_ms), "tick_ms is 1 to 10000")?;
        within(self.links.per_tick > 0, "links.per_tick is at least 1")?;
        within(
            (1..=hard::WINDOW_MAX).contains(&self.chain.window),
            "chain.window is at least 1 and at most a chain's",
        )?;
        match &self.start {
            Start::Fresh => within(
                self.fault_phase_ms.max(self.quiet_ms_max) <= limits::FAULT_PHASE_MS_MAX,
                "fault_phase_ms and quiet_ms_max are a day at most",
            )?,
            // There is no fault phase, and the schedule would be drawn for as long as it lasts.
            Start::Arbitrary(start) => {
                let drawn = self.schedule.is_none() && !self.faults.is_empty();
                within(!drawn, "an arbitrary start has no faults of a schedule besides")?;
                within(start.faulty <= replicas, "start.arbitrary.faulty is at most n")?;
                let disks = start.disks.old.max(start.disks.damaged);
                within(disks <= replicas, "start.arbitrary.disks names more than n of them")?;
                let rows = start.disks.rows as u64;
                let sizes = [start.blocks, start.views, start.in_flight as u64, rows];
                let small = sizes.iter().all(|size| *size <= HISTORY_MAX);
                within(
                    small,
                    "blocks, views, in_flight and disks.rows of an arbitrary start are 1000 at most",
                )?;
            }
        }
        let exists = |id: &ReplicaId| id.index() < replicas;
        for entry in self.schedule.iter().flatten() {
            within(
                entry.at_us <= 1_000 * limits::FAULT_PHASE_MS_MAX,
                "a fault comes after more than a day",
            )?;
            within(
                entry.fault != Fault::Calm,
                "calm is no fault of the schedule; it comes at fault_phase_ms",
            )?;
            within(
                entry.fault.replicas().iter().all(exists),
                "a fault of the schedule names a replica that the run has not",
            )?;
        }
        Ok(())
    }
}
