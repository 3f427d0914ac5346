//! The kinds of faults that a schedule may use.

/// A kind of fault. Each is drawn again and again until calm, unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The replicas fall apart in two groups, for a while.
    Partitions,
    /// Some pairs, a ring, a chain, a star or two halves with a bridge are what remains of the links.
    PartialPartitions,
    /// The groups change every few rounds, for a while.
    RestlessPartitions,
    /// Single links are cut in one direction, for a while.
    OneWayCuts,
    /// Links are cut in one direction for ever, past calm too. Each is a link of a Byzantine replica or
    /// of one that takes the place of a Byzantine one: `n-f` correct replicas keep all their links.
    PermanentCuts,
    /// A single link is cut for a single round.
    BriefCuts,
    /// Everything between two replicas is lost, for 1 to 30 s.
    Bursts,
    /// 1 to 30 per cent of all messages are lost, for a while.
    Losses,
    /// Messages arrive again up to 60 s later, for a while.
    LateDuplicates,
    /// Messages take 0 to 5 s and overtake each other, for a while.
    Reordering,
    /// One to 64 bits of one message in ten change, for a while.
    Corruption,
    /// One field of one message changes by a small step. It is refused, as all changed bytes are.
    Mutations,
    /// Replicas are cut off one by one, and released one by one in another order; what was sent waits.
    Swizzles,
    /// Connections break every few seconds, and what was under way on them is lost.
    Churn,
    /// Links hold back what would complete a quorum, up to a bound.
    Holding,
    /// One replica, `f` or the primary has links ten times slower, for a while.
    SlowReplicas,
    /// Single replicas crash and start again.
    Crashes,
    /// A replica crashes again soon after each start.
    CrashLoops,
    /// All replicas restart in turn, some while others are down.
    RollingRestarts,
    /// All replicas crash at once and start again.
    PowerLoss,
    /// A replica, or all, stand still for 1 s to 10 min, and then go on as if nothing had happened.
    Pauses,
    /// A wall clock jumps by up to a year, forth or back.
    ClockJumps,
    /// A replica's ticks come up to twice as fast or half as fast, for a while.
    ClockDrift,
    /// Single disks become slow, for a while.
    SlowDisks,
    /// Some replicas start late.
    LateStarts,
    /// All variables of a running replica get arbitrary values: of one that takes the place of a Byzantine
    /// one, as for permanent cuts, so that nothing that is promised to clients is excused by it.
    Memory,
    /// A replica's timers fire late, early by a rounding, twice, or not at all, for a while.
    Timers,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::Partitions,
        Self::PartialPartitions,
        Self::RestlessPartitions,
        Self::OneWayCuts,
        Self::PermanentCuts,
        Self::BriefCuts,
        Self::Bursts,
        Self::Losses,
        Self::LateDuplicates,
        Self::Reordering,
        Self::Corruption,
        Self::Mutations,
        Self::Swizzles,
        Self::Churn,
        Self::Holding,
        Self::SlowReplicas,
        Self::Crashes,
        Self::CrashLoops,
        Self::RollingRestarts,
        Self::PowerLoss,
        Self::Pauses,
        Self::ClockJumps,
        Self::ClockDrift,
        Self::SlowDisks,
        Self::LateStarts,
        Self::Memory,
        Self::Timers,
    ];

    /// Those that there were when the plans of seeds were first drawn.
    pub(crate) const FIRST: &[Self] = Self::ALL.split_at(25).0;

    /// Those that came later. They are drawn after everything else, one after the other, so that a seed keeps
    /// its plan but for them.
    pub(crate) const LATER: &[Self] = Self::ALL.split_at(25).1;

    /// The name in plans, traces and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Partitions => "partitions",
            Self::PartialPartitions => "partial-partitions",
            Self::RestlessPartitions => "restless-partitions",
            Self::OneWayCuts => "one-way-cuts",
            Self::PermanentCuts => "permanent-cuts",
            Self::BriefCuts => "brief-cuts",
            Self::Bursts => "bursts",
            Self::Losses => "losses",
            Self::LateDuplicates => "late-duplicates",
            Self::Reordering => "reordering",
            Self::Corruption => "corruption",
            Self::Mutations => "mutations",
            Self::Swizzles => "swizzles",
            Self::Churn => "churn",
            Self::Holding => "holding",
            Self::SlowReplicas => "slow-replicas",
            Self::Crashes => "crashes",
            Self::CrashLoops => "crash-loops",
            Self::RollingRestarts => "rolling-restarts",
            Self::PowerLoss => "power-loss",
            Self::Pauses => "pauses",
            Self::ClockJumps => "clock-jumps",
            Self::ClockDrift => "clock-drift",
            Self::SlowDisks => "slow-disks",
            Self::LateStarts => "late-starts",
            Self::Memory => "memory",
            Self::Timers => "timers",
        }
    }

    /// The kind called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Which kinds of faults a schedule may use until calm: a set of [`FaultKind`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultKinds(u32);

impl FaultKinds {
    /// No faults.
    pub const NONE: Self = Self(0);
    /// Every kind.
    pub const ALL: Self = Self((1 << FaultKind::ALL.len()) - 1);

    /// These and `kind`.
    #[must_use]
    pub const fn with(self, kind: FaultKind) -> Self {
        Self(self.0 | 1 << kind as u32)
    }

    /// These but `kind`.
    #[must_use]
    pub const fn without(self, kind: FaultKind) -> Self {
        Self(self.0 & !(1 << kind as u32))
    }

    /// Whether `kind` is one of these.
    #[must_use]
    pub const fn has(self, kind: FaultKind) -> bool {
        self.0 & 1 << kind as u32 != 0
    }

    /// How many these are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These, in the order of [`FaultKind::ALL`].
    pub fn iter(self) -> impl Iterator<Item = FaultKind> {
        FaultKind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }
}

impl FromIterator<FaultKind> for FaultKinds {
    fn from_iter<I: IntoIterator<Item = FaultKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name_and_all_holds_each_once() {
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::from_name(kind.name()), Some(kind));
            assert!(FaultKinds::ALL.has(kind));
            assert!(!FaultKinds::ALL.without(kind).has(kind));
        }
        assert_eq!(FaultKinds::ALL.iter().collect::<FaultKinds>(), FaultKinds::ALL);
        assert_eq!(FaultKinds::ALL.len(), FaultKind::ALL.len());
    }
}
