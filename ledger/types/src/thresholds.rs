//! Vote counts: the only place where `n` and `f` are computed with.

use crate::{ReplicaId, limits};

/// Vote counts for `n` replicas of equal weight, at most `f` of them Byzantine (DESIGN 2).
///
/// | n  | f | `quorum` ceil((n+f+1)/2) | `strong` n-f | `weak` f+1 | `joining` n-2f |
/// |----|---|---|---|---|---|
/// | 4  | 1 | 3 | 3 | 2 | 2 |
/// | 6  | 1 | 4 | 5 | 2 | 4 |
/// | 7  | 2 | 5 | 5 | 3 | 3 |
/// | 11 | 2 | 7 | 9 | 3 | 7 |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    replicas: usize,
    faulty_max: usize,
}

/// Why `n` and `f` do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdsError {
    /// `n < 3f+1`.
    #[error(
        "{replicas} replicas tolerate at most {allowed} Byzantine ones, not {faulty_max}: n >= 3f+1"
    )]
    TooFewReplicas {
        /// `n`.
        replicas: usize,
        /// `f` as asked for.
        faulty_max: usize,
        /// The largest `f` that `n` allows.
        allowed: usize,
    },
    /// `n` outside 1..=64.
    #[error("{0} replicas: a chain has 1 to {max}", max = limits::REPLICAS_MAX)]
    ReplicaCount(usize),
}

impl Thresholds {
    /// Checks `n >= 3f+1` and `1 <= n <=` [`limits::REPLICAS_MAX`].
    ///
    /// # Errors
    /// [`ThresholdsError`] says which bound is broken and what is allowed.
    pub const fn new(replicas: usize, faulty_max: usize) -> Result<Self, ThresholdsError> {
        if replicas == 0 || replicas > limits::REPLICAS_MAX {
            return Err(ThresholdsError::ReplicaCount(replicas));
        }
        let allowed = Self::largest_faulty(replicas);
        if faulty_max > allowed {
            return Err(ThresholdsError::TooFewReplicas { replicas, faulty_max, allowed });
        }
        Ok(Self { replicas, faulty_max })
    }

    /// The largest `f` with `n >= 3f+1`; 0 for `n = 0`.
    #[inline]
    #[must_use]
    pub const fn largest_faulty(replicas: usize) -> usize {
        replicas.saturating_sub(1) / 3
    }

    /// `n`.
    #[inline]
    #[must_use]
    pub const fn replicas(self) -> usize {
        self.replicas
    }

    /// `f`.
    #[inline]
    #[must_use]
    pub const fn faulty_max(self) -> usize {
        self.faulty_max
    }

    /// Prepare, commit, attest: any two quorums share at least `f+1` replicas.
    #[inline]
    #[must_use]
    pub const fn quorum(self) -> usize {
        (self.replicas + self.faulty_max + 1).div_ceil(2)
    }

    /// `n-f`: as many as can be waited for; moves the view establishment.
    #[inline]
    #[must_use]
    pub const fn strong(self) -> usize {
        self.replicas - self.faulty_max
    }

    /// `f+1`: at least one of them is correct.
    #[inline]
    #[must_use]
    pub const fn weak(self) -> usize {
        self.faulty_max + 1
    }

    /// `n-2f`: this many equal demands make a replica stop serving and join (thesis 2.6.3).
    #[inline]
    #[must_use]
    pub const fn joining(self) -> usize {
        self.replicas - 2 * self.faulty_max
    }

    /// The replica that is primary of view or ballot `number`.
    #[inline]
    #[must_use]
    pub const fn primary(self, number: u64) -> ReplicaId {
        // The remainder is below n <= 64, so it fits.
        ReplicaId((number % self.replicas as u64) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_documentation_holds() {
        for (n, f, quorum, strong, weak, joining) in
            [(4, 1, 3, 3, 2, 2), (6, 1, 4, 5, 2, 4), (7, 2, 5, 5, 3, 3), (11, 2, 7, 9, 3, 7)]
        {
            let t = Thresholds::new(n, f).unwrap();
            assert_eq!(
                (t.quorum(), t.strong(), t.weak(), t.joining()),
                (quorum, strong, weak, joining)
            );
        }
    }

    #[test]
    fn any_two_quorums_share_a_correct_replica_and_a_quorum_of_correct_ones_exists() {
        for n in 1..=limits::REPLICAS_MAX {
            for f in 0..=Thresholds::largest_faulty(n) {
                let t = Thresholds::new(n, f).unwrap();
                assert!(2 * t.quorum() > n + f, "n={n} f={f}");
                assert!(t.quorum() <= t.strong(), "n={n} f={f}");
                // A quorum and n-f reports share a correct replica: what 4.2's safety rests on.
                assert!(t.quorum() + t.strong() > n + f, "n={n} f={f}");
            }
        }
    }

    #[test]
    fn more_faults_than_n_allows_are_refused() {
        assert!(Thresholds::new(4, 1).is_ok());
        assert_eq!(
            Thresholds::new(3, 1),
            Err(ThresholdsError::TooFewReplicas { replicas: 3, faulty_max: 1, allowed: 0 })
        );
        assert!(Thresholds::new(0, 0).is_err());
        assert!(Thresholds::new(65, 1).is_err());
    }
}
