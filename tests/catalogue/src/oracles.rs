//! What is judged, from outside and with vote counts of its own.

use std::collections::{BTreeMap, BTreeSet};

use daruma_simulator::Rig;
use daruma_types::ReplicaId;

/// Vote counts, worked out here anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Replicas.
    pub n: usize,
    /// Byzantine ones, at most.
    pub f: usize,
}

impl Counts {
    /// `n-f`.
    #[must_use]
    pub const fn all_but_faulty(self) -> usize {
        self.n - self.f
    }

    /// `n-2f`.
    #[must_use]
    pub const fn supporting(self) -> usize {
        self.n - 2 * self.f
    }

    /// The least number of which any two sets share `f+1`.
    #[must_use]
    pub fn overlapping(self) -> usize {
        (0..=self.n).find(|q| 2 * q > self.n + self.f).unwrap_or(self.n)
    }
}

/// For each view, the correct replicas that serve it: phase 0, votes are cast, nobody wants to leave.
#[must_use]
pub fn serving_views(rig: &Rig<'_>) -> BTreeMap<u64, BTreeSet<ReplicaId>> {
    let mut serving: BTreeMap<u64, BTreeSet<ReplicaId>> = BTreeMap::new();
    for id in rig.correct() {
        let standing = rig.standing(id);
        if standing.phase == 0 && standing.active && standing.serves {
            serving.entry(standing.view.0).or_default().insert(id);
        }
    }
    serving
}

/// Whether all correct replicas serve one view and stand at one height.
#[must_use]
pub fn healthy(rig: &Rig<'_>) -> bool {
    let correct = rig.correct();
    let serving = serving_views(rig);
    let heads: BTreeSet<_> = correct
        .iter()
        .map(|id| {
            let executed = rig.standing(*id).executed;
            (executed.height, executed.block, executed.state_root)
        })
        .collect();
    serving.len() == 1
        && serving.values().all(|serving| serving.len() == correct.len())
        && heads.len() == 1
}

/// Whether every correct replica is in `view`, phase 0.
#[must_use]
pub fn all_in_view(rig: &Rig<'_>, view: u64) -> bool {
    rig.correct().into_iter().all(|id| {
        let standing = rig.standing(id);
        standing.view.0 == view && standing.phase == 0
    })
}

/// Whether every correct replica executed exactly these operations, in this order.
#[must_use]
pub fn all_executed(rig: &Rig<'_>, operations: &[&str]) -> bool {
    rig.correct().into_iter().all(|id| rig.operations(id) == operations)
}

/// Whether two views are served at once, each by so many correct replicas that with `f` Byzantine ones
/// they could decide in it (oracle S8).
#[must_use]
pub fn two_views_decide(rig: &Rig<'_>, counts: Counts) -> bool {
    let deciding = |serving: &BTreeSet<ReplicaId>| serving.len() + counts.f >= counts.overlapping();
    serving_views(rig).values().filter(|serving| deciding(serving)).count() > 1
}

/// The operations that a client may hold as done: `f+1` correct replicas executed each.
#[must_use]
pub fn acknowledged(rig: &Rig<'_>, counts: Counts) -> BTreeSet<String> {
    let mut holders: BTreeMap<String, usize> = BTreeMap::new();
    for id in rig.correct() {
        for operation in rig.operations(id) {
            *holders.entry(operation).or_default() += 1;
        }
    }
    holders.retain(|_, holders| *holders > counts.f);
    holders.into_keys().collect()
}

/// Whether every correct replica executed each of these, in any order, and nothing else.
#[must_use]
pub fn all_executed_these(rig: &Rig<'_>, operations: &BTreeSet<String>) -> bool {
    rig.correct().into_iter().all(|id| {
        let executed = rig.operations(id);
        executed.len() == operations.len() && executed.iter().all(|o| operations.contains(o))
    })
}

/// Whether every correct replica executed each of these operations exactly once and no others, in one
/// order.
#[must_use]
pub fn executed_by_all(rig: &Rig<'_>, operations: &[String]) -> bool {
    let mut expected = operations.to_vec();
    expected.sort_unstable();
    let ledgers: BTreeSet<Vec<String>> =
        rig.correct().into_iter().map(|id| rig.operations(id)).collect();
    ledgers.len() == 1
        && ledgers.into_iter().all(|mut executed| {
            executed.sort_unstable();
            executed == expected
        })
}

/// Whether no correct replica has accepted a block above what is executed.
#[must_use]
pub fn nothing_assigned(rig: &Rig<'_>) -> bool {
    let accepted = |id| rig.status(id).slots.iter().any(|line| line.accepted);
    !rig.correct().into_iter().any(accepted)
}

/// Agreement, at most once, and a common state, by comparing what correct replicas hold: what is wrong,
/// if anything.
#[must_use]
pub fn consistent(rig: &Rig<'_>) -> Option<String> {
    let mut at_height = BTreeMap::new();
    for id in rig.correct() {
        let mut seen = BTreeSet::new();
        for block in rig.blocks(id) {
            let (height, hash) = (block.certificate.height, block.certificate.hash);
            if *at_height.entry(height).or_insert(hash) != hash {
                return Some(format!("{id} has another block at height {height}"));
            }
            for transaction in &block.block.transactions {
                if !seen.insert((transaction.client, transaction.nonce)) {
                    return Some(format!("{id} executed nonce {} twice", transaction.nonce));
                }
            }
        }
    }
    rig.violations().first().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_two_sets_of_n_minus_2f_share_a_correct_replica_and_ours_agree_with_the_codes() {
        for n in 1..=64 {
            for f in 0..=(n - 1) / 3 {
                let counts = Counts { n, f };
                let code = daruma_types::Thresholds::new(n, f).unwrap();
                assert_eq!(counts.overlapping(), code.quorum(), "{n} {f}");
                assert_eq!(counts.all_but_faulty(), code.strong(), "{n} {f}");
                assert_eq!(counts.supporting(), code.joining(), "{n} {f}");
                if n > 5 * f {
                    assert!(2 * counts.supporting() > n + f, "{n} {f}");
                }
            }
        }
    }
}
