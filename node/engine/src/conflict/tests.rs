//! How the search for the height where two chains part goes on, whatever memory says of it.

use super::*;
use crate::fixtures::{CHAIN, context};
use alloc::vec;
use daruma_types::{Ballot, MonitorReport, VStatus, View};

fn summary(head: u64) -> Summary {
    Summary {
        view: View(0),
        phase: 0,
        reports: SignerSet::EMPTY,
        ballot: Ballot(0),
        active: true,
        head: Height(head),
        head_hash: Hash([9; 32]),
        executed: Height(head),
        state_root: Hash([9; 32]),
        attested: Height(0),
        prepared: None,
        slots: vec![],
        monitor: MonitorReport { status: VStatus::Ok, suspects: false, demands: SignerSet::EMPTY },
    }
}

/// The first height that replica 1, at `head`, asks for and of whom, with peers on another chain at `heads`
/// that have all shown their certificates.
fn asks(conflict: &mut Conflict, head: u64, heads: [u64; 3]) -> Option<(ReplicaId, Height)> {
    let context = context(4);
    let claim = HeadClaim { height: Height(head), hash: Hash([1; 32]), certificate: None };
    let trail = (0..=head).map(|height| (Height(height), Hash([1; 32]))).collect();
    let own = Own { head: &claim, trail: &trail };
    let peers = [0, 2, 3].map(ReplicaId);
    let said: Vec<Summary> = heads.into_iter().map(summary).collect();
    let summaries: Vec<_> = peers.into_iter().zip(said.iter().map(Some)).collect();
    conflict.shown = peers.into_iter().collect();
    (conflict.stood, conflict.asked) = (STAND_TICKS, None);
    let mut out = Outbox::default();
    conflict.tick(own, &summaries, &context, &mut out);
    conflict.asked.map(|(peer, from, _)| (peer, from))
}

#[test]
fn where_no_peer_reaches_above_what_was_the_same_memory_was_wrong_about_it() {
    let mut conflict = Conflict { low: Height(1), high: Height(2), ..Conflict::default() };
    let asked = asks(&mut conflict, 1, [1, 1, 1]);
    assert_eq!(asked.map(|(_, from)| from), Some(Height(1)), "from below what it believed");
}

#[test]
fn a_peer_that_does_not_reach_there_is_not_asked_while_another_does() {
    for turn in 0..6 {
        let mut conflict = Conflict { low: Height(5), turn, ..Conflict::default() };
        assert_eq!(asks(&mut conflict, 10, [3, 9, 5]), Some((ReplicaId(2), Height(6))));
        assert_eq!(conflict.low, Height(5));
    }
}

#[test]
fn what_the_ledger_finds_to_differ_right_above_what_was_the_same_was_not_the_same() {
    let claim = HeadClaim::genesis(CHAIN);
    let own = Own { head: &claim, trail: &BTreeMap::new() };
    let mut conflict = Conflict { low: Height(7), high: Height(10), ..Conflict::default() };
    conflict.on_adoption(Adoption::Below { from: Height(9) }, own, &[]);
    assert_eq!(conflict.low, Height(7), "they may part at the height between");
    conflict.on_adoption(Adoption::Below { from: Height(8) }, own, &[]);
    let asked = asks(&mut conflict, 20, [20, 20, 20]).map(|(_, from)| from);
    assert!(asked < Some(Height(8)), "{asked:?}");
}
