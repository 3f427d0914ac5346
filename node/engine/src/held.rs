//! How much an engine keeps of what others decide about (DESIGN 9, invariant 7).

use crate::attest::Attestations;
use crate::config::{ChainLimits, LocalLimits};
use crate::replication::Replication;

/// Counts of what an engine keeps. The rest of its memory has a fixed size for each replica: one
/// summary, demand and report, and the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Heights in flight.
    pub slots: usize,
    /// Votes of later ballots.
    pub early_votes: usize,
    /// Block bodies above the head.
    pub bodies: usize,
    /// Decided blocks that wait for the ledger.
    pub decided: usize,
    /// Clients' nonces in flight and executed lately.
    pub nonces: usize,
    /// Heights with attestations.
    pub attested: usize,
    /// Pending transactions.
    pub pending: usize,
}

impl Held {
    /// The most of each that an engine ever keeps, whatever it is sent.
    #[must_use]
    pub fn max(replicas: usize, chain: &ChainLimits, local: &LocalLimits) -> Self {
        Self {
            attested: Attestations::HEIGHTS_MAX,
            pending: local.pending_max,
            ..Replication::held_max(replicas, chain)
        }
    }

    /// What is more here than in `max`, by name.
    #[must_use]
    pub fn beyond(&self, max: &Self) -> Option<&'static str> {
        [
            ("slots", self.slots, max.slots),
            ("early votes", self.early_votes, max.early_votes),
            ("bodies", self.bodies, max.bodies),
            ("decided blocks", self.decided, max.decided),
            ("nonces", self.nonces, max.nonces),
            ("attested heights", self.attested, max.attested),
            ("pending transactions", self.pending, max.pending),
        ]
        .into_iter()
        .find(|(_, held, max)| held > max)
        .map(|(name, _, _)| name)
    }

    /// All of it.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.slots
            .saturating_add(self.early_votes)
            .saturating_add(self.bodies)
            .saturating_add(self.decided)
            .saturating_add(self.nonces)
            .saturating_add(self.attested)
            .saturating_add(self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_its_bound_is_named_and_what_is_at_it_is_not() {
        let chain = ChainLimits {
            operation_bytes_max: 64,
            block_bytes_max: 1024,
            block_transactions_max: 4,
            window: 8,
        };
        let max = Held::max(4, &chain, &LocalLimits::default());
        assert_eq!(max.beyond(&max), None);
        assert_eq!(Held::default().beyond(&max), None);
        let more = Held { bodies: max.bodies + 1, ..max };
        assert_eq!(more.beyond(&max), Some("bodies"));
        assert_eq!(more.total(), max.total() + 1);
    }
}
