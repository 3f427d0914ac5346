use super::*;
use crate::FaultKinds;

#[test]
fn every_replica_starts_and_calm_comes_last() {
    for seed in 0..50 {
        let plan = Plan::calm(seed, 7).faults(FaultKinds::ALL);
        let entries = schedule(&plan);
        for id in (0..7).map(ReplicaId) {
            assert!(entries.iter().any(|entry| entry.fault == Fault::Start(id)));
        }
        let last = entries.last().map(|entry| (entry.at_us, &entry.fault));
        assert_eq!(last, Some((plan.fault_phase_ms * 1000, &Fault::Calm)));
        assert!(entries.is_sorted_by_key(|entry| entry.at_us));
    }
}

#[test]
fn a_plan_without_faults_only_starts_and_calms() {
    let entries = schedule(&Plan::calm(1, 4));
    assert_eq!(entries.len(), 5);
    assert!(entries.iter().all(|entry| entry.begins.is_none()));
}

#[test]
fn a_plan_of_one_kind_has_faults_of_this_kind_only() {
    for kind in FaultKind::ALL {
        let begun: Vec<FaultKind> = (0..20)
            .flat_map(|seed| {
                let plan = Plan { faults_min: 3, ..Plan::calm(seed, 7) };
                schedule(&plan.faults(FaultKinds::NONE.with(kind)))
            })
            .filter_map(|entry| entry.begins)
            .collect();
        assert!(begun.len() >= 20, "{}: {}", kind.name(), begun.len());
        assert!(begun.iter().all(|begun| *begun == kind));
    }
}

#[test]
fn as_many_faults_of_every_kind_are_drawn_as_the_plan_wants_and_no_more_than_it_allows() {
    for seed in 0..50 {
        let kinds = [FaultKind::Partitions, FaultKind::Pauses, FaultKind::Crashes];
        let plan = Plan { faults_min: 40, fault_every_ms: 1_000_000, ..Plan::calm(seed, 4) }
            .faults(kinds.into_iter().collect());
        let begun = |plan: &Plan| -> Vec<FaultKind> {
            schedule(plan).iter().filter_map(|entry| entry.begins).collect()
        };
        assert!(begun(&plan).len() >= 40);
        assert!(kinds.iter().all(|kind| begun(&plan).contains(kind)));
        let few = Plan { faults_min: 0, faults_each_max: 2, fault_every_ms: 10, ..plan };
        assert_eq!(begun(&few).len(), 6);
    }
}

#[test]
fn links_that_are_cut_for_ever_leave_n_minus_f_correct_replicas_with_all_links_between_them() {
    let mut met = 0;
    for seed in 0..200 {
        let silent = [(ReplicaId(2), crate::Behaviour::Silent)];
        let plan = Plan::calm(seed, if seed % 2 == 0 { 4 } else { 7 })
            .faults(FaultKinds::NONE.with(FaultKind::PermanentCuts))
            .byzantine(&silent[..(seed % 3 % 2) as usize]);
        for entry in schedule(&plan) {
            let Fault::CutForever { outcasts, links } = entry.fault else { continue };
            let frail: Vec<ReplicaId> =
                plan.byzantine_ids().into_iter().chain(outcasts.iter().copied()).collect();
            assert!(frail.len() <= plan.thresholds.faulty_max());
            assert!(links.iter().all(|(a, b)| frail.contains(a) || frail.contains(b)));
            met += 1;
        }
    }
    assert!(met > 100, "{met}");
}
