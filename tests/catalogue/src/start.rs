//! Plans and start states.

use daruma_simulator::{Plan, Rhythm, Rig};
use daruma_types::{Establishment, ReplicaId, View, ViewProof};

/// The two schedules in which every row is run.
pub const RHYTHMS: [Rhythm; 2] = [Rhythm::LockStep, Rhythm::Random];

/// `n` replicas with the largest `f`, no clients of its own, every loop once a tick.
#[must_use]
pub fn plan(n: usize, seed: u64) -> Plan {
    Plan::calm(seed, n).in_rounds()
}

/// Six replicas, one of which may be Byzantine.
#[must_use]
pub fn six(seed: u64) -> Plan {
    plan(6, seed)
}

/// Six replicas under each of the two view establishments.
#[must_use]
pub fn six_of_both(seed: u64) -> [Plan; 2] {
    let automaton = Establishment::Automaton { event_driven_fd: false };
    [six(seed), six(seed).establishment(automaton)]
}

/// The same without primary monitoring: nobody is ever suspected, so the view stays.
#[must_use]
pub fn forced(plan: Plan) -> Plan {
    let mut plan = plan;
    plan.local.beat_rounds = u32::MAX;
    plan.local.progress_tokens = u32::MAX;
    plan.local.censorship_blocks = u64::MAX;
    plan
}

/// Lets a fresh cluster come to view 0: the paper's view establishment begins at its reset.
///
/// # Panics
/// If it does not get there.
pub fn begin(rig: &mut Rig<'_>) {
    let begun =
        rig.until(crate::VIEW_ROUNDS_MAX, |rig| crate::all_in_view(rig, 0) && crate::healthy(rig));
    assert!(begun.is_some(), "view 0 was not reached");
}

/// Takes all replicas to `view` by the protocol itself: each suspects the primary of every view before.
///
/// # Panics
/// If they do not get there.
pub fn in_view(rig: &mut Rig<'_>, view: u64) {
    for next in 1..=view {
        for id in rig.correct() {
            rig.suspect(id);
        }
        let arrived = rig.until(40, |rig| crate::all_in_view(rig, next) && crate::healthy(rig));
        let standings: Vec<_> = rig.correct().iter().map(|id| rig.status(*id)).collect();
        assert!(arrived.is_some(), "view {next} was not reached: {standings:?}");
    }
}

/// Takes all replicas from view 0 to `last`, and gives each view's proof of its service.
///
/// # Panics
/// If they do not get there.
pub fn views_with_proofs(rig: &mut Rig<'_>, last: u64) -> Vec<(View, ViewProof)> {
    let mut proofs = vec![(View(0), ViewProof::Initial)];
    for view in 1..=last {
        for id in rig.correct() {
            rig.engine(id).suspect();
        }
        let arrived = rig.until(40, |rig| crate::all_in_view(rig, view) && crate::healthy(rig));
        assert!(arrived.is_some(), "view {view} was not reached");
        proofs.push((View(view), rig.engine(ReplicaId(0)).view_proof().clone()));
    }
    proofs
}

/// The same with the paper's own view establishment, and as many replicas as it needs for the same `f`.
#[must_use]
pub fn automaton(plan: Plan) -> Plan {
    plan.establishment(Establishment::Automaton { event_driven_fd: false })
}

/// Every set of these replicas that is not empty.
#[must_use]
pub fn subsets(of: &[ReplicaId]) -> Vec<Vec<ReplicaId>> {
    let chosen = |bits: u32| {
        let ids = of.iter().enumerate().filter(move |(index, _)| bits >> index & 1 == 1);
        ids.map(|(_, id)| *id).collect()
    };
    (1..1_u32 << of.len()).map(chosen).collect()
}

/// `count` of `n` replicas, one after the other from `first` on.
#[must_use]
pub fn rotated(first: usize, count: usize, n: usize) -> Vec<ReplicaId> {
    (first..first + count).map(|id| ReplicaId((id % n) as u16)).collect()
}

/// Cuts these replicas off from all others, or joins them again.
pub fn cut_off(rig: &mut Rig<'_>, n: usize, ids: &[ReplicaId], is_cut: bool) {
    for id in ids {
        for other in (0..n as u16).map(ReplicaId).filter(|other| !ids.contains(other)) {
            rig.cut(*id, other, is_cut);
            rig.cut(other, *id, is_cut);
        }
    }
}
