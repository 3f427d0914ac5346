//! Adversaries, kinds of faults, and the plans made of them.

use daruma_simulator::{Behaviour, FaultKind, FaultKinds, Outcome, Plan, Window};
use daruma_types::ReplicaId;

fn holds(plan: &Plan) -> Outcome {
    let outcome = plan.run();
    assert!(outcome.holds(), "{plan}: {:?}", outcome.violations);
    outcome
}

#[test]
fn each_kind_of_fault_is_survived_with_and_without_a_byzantine_primary_and_is_counted() {
    for kind in FaultKind::ALL {
        for byzantine in [&[][..], &[(ReplicaId(0), Behaviour::Equivocating)]] {
            let plan = Plan { faults_min: 3, ..Plan::calm(1, 7) }
                .faults(FaultKinds::NONE.with(kind))
                .byzantine(byzantine);
            let stats = holds(&plan).stats;
            assert_eq!(stats.faults.keys().copied().collect::<Vec<_>>(), [kind.name()], "{plan}");
            assert!(stats.executed > 5, "{plan}: {stats:?}");
        }
    }
}

#[test]
fn in_chaos_there_are_twenty_faults_of_six_kinds_at_least_and_everything_holds() {
    for seed in 0..8 {
        let plan = Plan::chaos(seed);
        let stats = holds(&plan).stats;
        assert!(stats.faults_in_all() >= 20 && stats.faults.len() >= 6, "{plan}: {stats:?}");
        assert!(stats.virtual_us >= 600_000_000 && stats.executed > 20, "{plan}: {stats:?}");
    }
}

#[test]
fn c_z01_twins_that_talk_to_other_groups_in_each_phase_are_survived() {
    (0..150).for_each(|seed| drop(holds(&Plan::twins(seed))));
}

#[test]
fn c_z03_small_steps_in_single_fields_and_brief_cuts_are_survived() {
    (0..150).for_each(|seed| drop(holds(&Plan::mutations(seed))));
}

/// For one phase: every way to split the seven instances, the twin in every place.
#[test]
fn c_z01_every_split_of_one_phase_is_survived_with_the_twin_in_every_place() {
    for first in 0..3 {
        for split in 0..64 {
            holds(&Plan::of_twins(split, 6, first, &[split, split], (2, 4)));
        }
    }
}

/// C-N10 with clients and by the clock: a link that carries nothing, in one direction and for ever, leads to
/// no endless view changes.
#[test]
fn c_n10_links_cut_in_one_direction_for_ever_lead_to_at_most_f_plus_one_views() {
    let mut cut = 0;
    for seed in 0..24 {
        let plan = Plan { faults_min: 1, ..Plan::calm(seed, 4) }
            .faults(FaultKinds::NONE.with(FaultKind::PermanentCuts));
        let stats = holds(&plan).stats;
        cut += stats.faults_in_all();
        assert!(stats.views <= 2, "{plan}: {} views", stats.views);
    }
    assert!(cut >= 24);
}

/// C-Z12: Byzantine replicas next to each other in turn to be primary.
#[test]
fn byzantine_replicas_next_in_turn_are_replaced_one_after_the_other() {
    for behaviour in [Behaviour::Silent, Behaviour::StopAssigning, Behaviour::ReuseHeights] {
        for view in 0..7 {
            let plan = Plan::calm(view, 7).next_in_turn(view, behaviour);
            assert_eq!(plan.byzantine.len(), 2);
            holds(&plan);
        }
    }
}

/// As many twins as there may be Byzantine replicas: eleven in phases, and seven in random splits.
#[test]
fn c_z02_f_twins_are_survived() {
    for seed in 0..20_u64 {
        let splits: Vec<u64> = (1..=6).map(|i| (seed + 1) * i * 0x9e37_79b9).collect();
        let outcome = holds(&Plan::of_twins(seed, 11, (seed % 3) as u16, &splits, (2, 4)));
        assert_eq!(outcome.stats.byzantine.get("twins"), Some(&2));
    }
    for seed in 0..6 {
        let twins = [(ReplicaId(0), Behaviour::Twins), (ReplicaId(1), Behaviour::Twins)];
        let outcome = holds(&Plan::calm(seed, 7).byzantine(&twins));
        assert_eq!(outcome.stats.byzantine.get("twins"), Some(&2));
    }
}

#[test]
fn a_replica_that_changes_its_behaviour_from_phase_to_phase_is_survived() {
    let windows: Vec<Window> = Behaviour::ALL
        .into_iter()
        .enumerate()
        .map(|(i, behaviour)| {
            let from_ms = 200 * i as u64;
            Window { replica: ReplicaId(1), behaviour, from_ms, until_ms: from_ms + 200 }
        })
        .collect();
    for seed in 0..4 {
        let plan = Plan::calm(seed, 4).windows(&windows).heal_after_ms(7_000);
        // Twins need a second engine for the whole run.
        assert_eq!(plan.windows.len(), windows.len() - 1);
        holds(&plan);
    }
}

#[test]
fn windows_count_against_the_budget_together_with_whole_runs() {
    let window =
        |id| Window { replica: ReplicaId(id), behaviour: Behaviour::Liar, from_ms: 0, until_ms: 9 };
    let plan = Plan::calm(1, 7).byzantine(&[(ReplicaId(3), Behaviour::Silent)]);
    let plan = plan.windows(&[window(3), window(5), window(6), window(5)]);
    assert_eq!(plan.byzantine_ids(), [ReplicaId(3), ReplicaId(5)]);
    assert_eq!(plan.windows, [window(5), window(5)]);
}

/// Colluding replicas: an equivocating primary, and one that agrees with everyone.
#[test]
fn colluding_replicas_of_different_behaviours_do_not_break_agreement() {
    for other in [Behaviour::Accomplice, Behaviour::FickleVoter, Behaviour::BadNewView] {
        for seed in 0..8 {
            let plan = Plan::calm(seed, 7)
                .byzantine(&[(ReplicaId(0), Behaviour::Equivocating), (ReplicaId(1), other)]);
            holds(&plan);
        }
    }
}

/// C-Z15, C-S03: what a replica keeps does not grow with what it is sent. That it stays within the
/// engine's own bounds is checked at every tick of every run.
#[test]
fn floods_of_messages_and_of_evidence_leave_what_a_replica_keeps_bounded() {
    for behaviour in [Behaviour::Flood, Behaviour::EvidenceFlood, Behaviour::Garbage] {
        for seed in 0..4 {
            let kept = |millis| {
                let flood = Plan::calm(seed, 4).byzantine(&[(ReplicaId(1), behaviour)]);
                holds(&flood.heal_after_ms(millis)).stats.held_max
            };
            let (short, long) = (kept(3_000), kept(12_000));
            assert!(short > 0 && long <= 2 * short, "{behaviour:?} {seed}: {short}, then {long}");
        }
    }
}
