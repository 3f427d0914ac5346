//! Vote counts: the only place where `n` and `f` are computed with.

use crate::{Establishment, ReplicaId, limits};

/// Vote counts for `n` replicas of equal weight, at most `f` of them Byzantine (DESIGN 2).
///
/// | n  | f | `quorum` ceil((n+f+1)/2) | `strong` n-f | `weak` f+1 | `joining` n-2f | `doubting` n-3f |
/// |----|---|---|---|---|---|---|
/// | 4  | 1 | 3 | 3 | 2 | 2 | 1 |
/// | 6  | 1 | 4 | 5 | 2 | 4 | 3 |
/// | 7  | 2 | 5 | 5 | 3 | 3 | 1 |
/// | 11 | 2 | 7 | 9 | 3 | 7 | 5 |
/// | 12 | 2 | 8 | 10 | 3 | 8 | 6 |
/// | 16 | 3 | 10 | 13 | 4 | 10 | 7 |
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
    /// `n < 5f+1` with the paper's view establishment.
    #[error(
        "{replicas} replicas with the view establishment \"automaton\" tolerate at most {allowed} \
         Byzantine ones, not {faulty_max}: n >= 5f+1"
    )]
    TooFewForAutomaton {
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

    /// Checks what [`Self::new`] does, and that `n` and `f` go together with `establishment`:
    /// the paper's needs `n >= 5f+1` (DESIGN 2).
    ///
    /// # Errors
    /// [`ThresholdsError`] says which bound is broken and what is allowed.
    pub const fn with_establishment(
        replicas: usize,
        faulty_max: usize,
        establishment: Establishment,
    ) -> Result<Self, ThresholdsError> {
        let allowed = Self::largest_faulty_with(replicas, establishment);
        match (Self::new(replicas, faulty_max), establishment) {
            (Ok(_), Establishment::Automaton { .. }) if faulty_max > allowed => {
                Err(ThresholdsError::TooFewForAutomaton { replicas, faulty_max, allowed })
            }
            (checked, Establishment::Certified | Establishment::Automaton { .. }) => checked,
        }
    }

    /// The largest `f` that `establishment` allows with `n` replicas; 0 for `n = 0`.
    #[must_use]
    pub const fn largest_faulty_with(replicas: usize, establishment: Establishment) -> usize {
        match establishment {
            Establishment::Certified => Self::largest_faulty(replicas),
            Establishment::Automaton { .. } => replicas.saturating_sub(1) / 5,
        }
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

    /// All replicas, ascending.
    pub fn ids(self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..self.replicas).map(|index| ReplicaId(index as u16))
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

    /// `n-3f`: as few as may be out of service before a replica doubts its own (thesis 2.6.3).
    #[must_use]
    pub const fn doubting(self) -> usize {
        self.replicas - 3 * self.faulty_max
    }

    /// How many others a round of the event-driven failure detector waits for: `n-2f`, or all others
    /// where there are no more (DESIGN 4.4).
    #[must_use]
    pub const fn answering(self) -> usize {
        let others = self.replicas - 1;
        if self.joining() < others { self.joining() } else { others }
    }

    /// The view after `view`, of the `n` that the paper's view establishment has.
    #[must_use]
    pub const fn view_after(self, view: u16) -> u16 {
        // The remainder is below n <= 64, so it fits.
        ((view as usize + 1) % self.replicas) as u16
    }

    /// The least number that is not below `least` and has `primary` as its primary; none if that
    /// would be more than a number can be.
    #[must_use]
    pub const fn least_ballot(self, least: u64, primary: ReplicaId) -> Option<u64> {
        let n = self.replicas as u64;
        let ahead = (primary.0 as u64 % n + n - least % n) % n;
        least.checked_add(ahead)
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
        for (n, f, quorum, strong, weak, joining, doubting) in [
            (4, 1, 3, 3, 2, 2, 1),
            (6, 1, 4, 5, 2, 4, 3),
            (7, 2, 5, 5, 3, 3, 1),
            (11, 2, 7, 9, 3, 7, 5),
            (12, 2, 8, 10, 3, 8, 6),
            (16, 3, 10, 13, 4, 10, 7),
        ] {
            let t = Thresholds::new(n, f).unwrap();
            assert_eq!(
                (t.quorum(), t.strong(), t.weak(), t.joining(), t.doubting()),
                (quorum, strong, weak, joining, doubting)
            );
        }
    }

    #[test]
    fn two_sets_of_n_minus_2f_share_a_correct_replica_wherever_the_automaton_is_allowed() {
        let automaton = Establishment::Automaton { event_driven_fd: false };
        for n in 1..=limits::REPLICAS_MAX {
            let most = Thresholds::largest_faulty_with(n, automaton);
            for f in 0..=most {
                let t = Thresholds::with_establishment(n, f, automaton).unwrap();
                assert!(2 * t.joining() > n + f, "n={n} f={f}");
                assert!(t.quorum() <= t.joining(), "n={n} f={f}");
            }
            assert!(Thresholds::with_establishment(n, most + 1, automaton).is_err(), "n={n}");
        }
        assert_eq!(
            Thresholds::with_establishment(10, 2, automaton),
            Err(ThresholdsError::TooFewForAutomaton { replicas: 10, faulty_max: 2, allowed: 1 })
        );
    }

    #[test]
    fn the_least_ballot_of_a_primary_is_its_own_and_less_than_n_away() {
        let six = Thresholds::new(6, 1).unwrap();
        for least in 0..20 {
            for primary in (0..6).map(ReplicaId) {
                let ballot = six.least_ballot(least, primary).unwrap();
                assert_eq!(six.primary(ballot), primary);
                assert!((least..least + 6).contains(&ballot));
            }
        }
        assert_eq!(six.least_ballot(u64::MAX, ReplicaId(0)), None);
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
