use super::*;
use crate::{Behaviour, FaultKind, FaultKinds, LinkSettings, Stats};
use daruma_types::ReplicaId;

/// A rule that no protocol could keep, broken in runs of which `broken` holds: it stands for an error
/// that shows only when certain faults meet.
fn checked(broken: impl Fn(&Plan, &Stats) -> bool) -> impl Fn(&Plan) -> Outcome {
    move |plan| {
        let mut outcome = plan.run();
        if broken(plan, &outcome.stats) {
            let what = "a rule for this test only".to_owned();
            let at_us = outcome.stats.virtual_us;
            outcome.violations.push(Violation { invariant: Invariant::Agreement, at_us, what });
        }
        outcome
    }
}

fn shrunk(plan: &Plan, run: &dyn Fn(&Plan) -> Outcome) -> Shrunken {
    let settings = ShrinkSettings { time_max: Duration::from_secs(600), ..Default::default() };
    let violation = run(plan).violations.first().cloned().expect("the plan fails");
    shrink(plan, &violation, run, settings).expect("it fails again")
}

/// Everything that can happen, for some seconds.
fn wild(seed: u64) -> Plan {
    let links = LinkSettings { loss: 50, duplication: 50, ordered: false, ..LinkSettings::QUIET };
    Plan::calm(seed, 7)
        .faults(FaultKinds::ALL.without(FaultKind::PermanentCuts).without(FaultKind::Pauses))
        .links(links)
        .byzantine(&[(ReplicaId(1), Behaviour::Silent), (ReplicaId(4), Behaviour::Replay)])
}

#[test]
fn a_power_loss_beside_a_cut_is_found_among_a_hundred_faults_and_one_byzantine_replica_stays() {
    let run = checked(|plan, stats| {
        stats.counts.get("crashed").is_some_and(|crashed| *crashed >= 6)
            && stats.mishaps.contains_key("cut off")
            && plan.byzantine.iter().any(|(_, behaviour)| *behaviour == Behaviour::Replay)
    });
    let plan = wild(3);
    assert!(plan.drawn_schedule().len() > 100, "{}", plan.drawn_schedule().len());
    let small = shrunk(&plan, &run);
    let text = small.plan.to_text();
    assert!(small.faults() <= 10, "{} faults:\n{text}", small.faults());
    assert_eq!(small.plan.byzantine, [(ReplicaId(4), Behaviour::Replay)]);
    assert_eq!(small.plan.links, LinkSettings::QUIET, "{text}");
    assert_eq!(small.plan.clients.clients, 1, "{text}");
    assert!(small.plan.fault_phase_ms < plan.fault_phase_ms);
    // It fails in the same way, and so does what comes back from its text.
    let again = Plan::from_text(&text).expect("it is a plan");
    let violations = run(&again).violations;
    assert_eq!(violations, [small.violation]);
    assert_eq!(violations[0].invariant, Invariant::Agreement);
}

#[test]
fn what_needs_no_fault_shrinks_to_a_calm_plan() {
    let run = checked(|_, stats| stats.executed > 0);
    let small = shrunk(&wild(5), &run);
    assert_eq!((small.faults(), small.plan.byzantine.len()), (0, 0), "{}", small.plan.to_text());
    assert_eq!(small.plan.thresholds.replicas(), 4);
    assert!(small.faults_before > 100);
    assert!(small.plan.fault_phase_ms < 100, "{}", small.plan.to_text());
    let left: Vec<String> = small.plan.peculiarities().iter().map(|(p, _)| p.join(".")).collect();
    assert_eq!(left, ["clients.clients"], "{}", small.plan.to_text());
}

#[test]
fn another_invariant_is_another_failure() {
    let run = |plan: &Plan| {
        let mut outcome = plan.run();
        // With fewer than two crashes this fails otherwise.
        let crashed = outcome.stats.counts.get("crashed").copied().unwrap_or(0);
        let invariant = if crashed >= 2 { Invariant::OneVote } else { Invariant::Validity };
        outcome.violations.push(Violation { invariant, at_us: 1, what: String::new() });
        outcome
    };
    let crashes = FaultKinds::NONE.with(FaultKind::Crashes);
    let plan = Plan { fault_every_ms: 300, ..Plan::calm(1, 4).faults(crashes) };
    let small = shrunk(&plan, &run);
    assert_eq!(small.violation.invariant, Invariant::OneVote);
    assert!(small.plan.run().stats.counts["crashed"] >= 2);
}

#[test]
fn an_arbitrary_start_shrinks_to_a_simpler_one() {
    let run = checked(|plan, stats| plan.thresholds.replicas() > 3 && stats.rounds_to_service > 0);
    let plan = Plan::arbitrary(3, 7);
    let small = shrunk(&plan, &run);
    let Start::Arbitrary(start) = &small.plan.start else { panic!("it begins arbitrarily") };
    assert_eq!((start.blocks, start.views, start.in_flight, start.faulty), (0, 0, 0, 1));
    assert_eq!(small.plan.thresholds.replicas(), 4);
    assert_eq!(Plan::from_text(&small.plan.to_text()), Ok(small.plan));
}

#[test]
fn a_plan_that_does_not_fail_is_not_shrunk_and_attempts_are_bounded() {
    let violation = Violation { invariant: Invariant::Agreement, at_us: 1, what: String::new() };
    let settings = ShrinkSettings { attempts_max: 5, time_max: Duration::from_secs(600) };
    let plan = Plan::calm(1, 4).heal_after_ms(100);
    assert_eq!(shrink(&plan, &violation, &Plan::run, settings), None);
    let run = checked(|_, _| true);
    let small = shrink(&wild(1), &violation, &run, settings).expect("it fails");
    assert_eq!(small.attempts, 5);
}

#[test]
fn a_schedule_written_out_runs_as_the_drawn_one_does() {
    for seed in 0..30 {
        let plan = Plan::seeded(seed).heal_after_ms(3_000);
        let explicit = plan.clone().with_schedule(plan.drawn_schedule());
        assert_eq!(explicit.run(), plan.run(), "{plan}");
    }
}
