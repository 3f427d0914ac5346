//! What becomes of disks at an arbitrary start.

use daruma_types::Thresholds;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::seeded::pick;

/// Disks of correct replicas that are not what they were. `world/disks.rs` says what happens to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskFaults {
    /// Correct replicas that begin with the disk of an earlier moment of the history.
    pub old: usize,
    /// Correct replicas of whose disks rows are damaged: others than those with old disks, as far as
    /// there are enough.
    pub damaged: usize,
    /// Acts of damage to each such disk, most of them to one row.
    pub rows: usize,
}

impl DiskFaults {
    /// All disks are what they were.
    pub const NONE: Self = Self { old: 0, damaged: 0, rows: 0 };

    /// Whether some disk is not what it was.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.old > 0 || self.damaged > 0 && self.rows > 0
    }

    /// Some disks at least are not what they were: one, those that are within the budget, one more, or
    /// all.
    pub(crate) fn drawn(thresholds: Thresholds, random: &mut ChaCha8Rng) -> Self {
        let replicas = thresholds.replicas();
        let counts = [0, 0, 1, thresholds.faulty_max(), thresholds.weak(), replicas];
        let (old, damaged) = (pick(random, &counts), pick(random, &counts));
        let rows = pick(random, &[1, 4, 16, 64]);
        let damaged =
            if old == 0 && damaged == 0 { random.random_range(1..=replicas) } else { damaged };
        Self { old, damaged, rows }
    }
}
