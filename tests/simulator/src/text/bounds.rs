//! What a plan must keep to so that a run can have it.

use daruma_types::{ReplicaId, limits as hard};

use crate::{Fault, Plan, limits};

/// Time between two ticks, in milliseconds: what a node allows, and somewhat more at both ends.
const TICK_MS: core::ops::RangeInclusive<u64> = 1..=10_000;

impl Plan {
    /// Whether a run can have this plan; if not, why.
    pub(crate) fn check(&self) -> Result<(), String> {
        let replicas = self.thresholds.replicas();
        let within = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        within(
            replicas <= limits::REPLICAS_MAX,
            "it has more replicas than a simulated chain may",
        )?;
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
        within(
            self.fault_phase_ms.max(self.quiet_ms_max) <= limits::FAULT_PHASE_MS_MAX,
            "fault_phase_ms and quiet_ms_max are a day at most",
        )?;
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
