//! Every behaviour together with every kind of fault, and with every other behaviour: many faults
//! only show when two things meet.

use daruma_simulator::{Behaviour, FaultKind, FaultKinds, Plan, SearchSettings, search};
use daruma_types::ReplicaId;

fn all_hold(count: usize, plan: impl Fn(usize) -> Plan + Sync) {
    let plan = |index: u64| plan(index as usize);
    let summary = search(0..count as u64, plan, SearchSettings::default(), |_, _| {});
    assert_eq!(summary.runs, count as u64);
    assert!(summary.failures.is_empty(), "{:#?}", summary.failures);
}

#[test]
fn every_behaviour_is_survived_under_every_kind_of_fault() {
    let (behaviours, kinds) = (Behaviour::ALL, FaultKind::ALL);
    all_hold(behaviours.len() * kinds.len(), |index| {
        let (behaviour, kind) =
            (behaviours[index % behaviours.len()], kinds[index / behaviours.len()]);
        let replica = ReplicaId((index % 4) as u16);
        Plan { faults_min: 2, fault_every_ms: 1_000, ..Plan::calm(index as u64, 4) }
            .faults(FaultKinds::NONE.with(kind))
            .byzantine(&[(replica, behaviour)])
            .heal_after_ms(1_500)
    });
}

#[test]
fn every_two_behaviours_are_survived_together() {
    let behaviours = Behaviour::ALL;
    let pairs: Vec<_> = behaviours
        .iter()
        .flat_map(|one| behaviours.iter().map(move |other| (*one, *other)))
        .filter(|(one, other)| one <= other)
        .collect();
    all_hold(pairs.len(), |index| {
        let (one, other) = pairs[index];
        // The first primary and the next, or one of them and a backup.
        let places = [(0, 1), (1, 0), (0, 5), (5, 0)][index % 4];
        Plan::calm(index as u64, 7)
            .byzantine(&[(ReplicaId(places.0), one), (ReplicaId(places.1), other)])
            .heal_after_ms(1_000)
    });
}
