use super::*;
use crate::{Fault, FaultKind, FaultKinds, Scheduled, Weather};
use daruma_types::{Establishment, ReplicaId};

/// Plans of every scenario, as drawn and with their schedule made explicit.
fn plans() -> impl Iterator<Item = Plan> {
    Scenario::ALL.iter().flat_map(|scenario| {
        (0..30).map(|seed| scenario.plan(seed)).flat_map(|plan| {
            let schedule = plan.drawn_schedule();
            [plan.clone(), plan.with_schedule(schedule)]
        })
    })
}

#[test]
fn every_plan_comes_back_from_its_text() {
    for plan in plans() {
        let text = plan.to_text();
        assert_eq!(Plan::from_text(&text), Ok(plan), "{text}");
    }
    for event_driven_fd in [false, true] {
        let automaton = Establishment::Automaton { event_driven_fd };
        let plan = Plan::seeded(1).establishment(automaton);
        assert_eq!(Plan::from_text(&plan.to_text()), Ok(plan));
    }
    let last = Plan::calm(u64::MAX, 16);
    assert_eq!(Plan::from_text(&last.to_text()), Ok(last));
}

#[test]
fn every_kind_of_fault_comes_back_from_its_text() {
    for kind in FaultKind::ALL {
        let plan = Plan { faults_min: 4, ..Plan::calm(7, 7).faults(FaultKinds::NONE.with(kind)) };
        let schedule = plan.drawn_schedule();
        assert!(!schedule.is_empty(), "{}", kind.name());
        let plan = plan.with_schedule(schedule);
        assert_eq!(Plan::from_text(&plan.to_text()), Ok(plan));
    }
}

#[test]
fn a_plan_from_its_peculiarities_is_the_same_plan() {
    for plan in plans() {
        let all = plan.peculiarities();
        assert_eq!(plan.with_peculiarities(&all), Some(plan));
    }
    assert_eq!(Plan::calm(3, 7).peculiarities(), []);
}

#[test]
fn a_text_has_what_differs_and_a_line_for_each_fault() {
    let mut plan = Plan::calm(29, 4);
    plan.links.loss = 20;
    let weather = Weather { loss: 1000, ..Weather::NONE };
    let links = vec![(ReplicaId(0), ReplicaId(1))];
    let plan = plan.with_schedule(vec![
        Scheduled {
            at_us: 120_500,
            begins: Some(FaultKind::Crashes),
            fault: Fault::Crash { replica: ReplicaId(2), after_messages: Some(17) },
        },
        Scheduled { at_us: 300_000, begins: None, fault: Fault::Start(ReplicaId(2)) },
        Scheduled {
            at_us: 400_000,
            begins: Some(FaultKind::Bursts),
            fault: Fault::Weather { links, weather, until_us: 500_000 },
        },
        Scheduled { at_us: 600_000, begins: Some(FaultKind::PowerLoss), fault: Fault::PowerLoss },
    ]);
    let expected = r#"# A plan of the Daruma simulator: what differs from the scenario's plan of this seed.
# Run it with: daruma simulate --replay FILE
scenario = "calm"
seed = 29
links.loss = 20
schedule = [
    { at_us = 120500, begins = "crashes", fault = { crash = { after_messages = 17, replica = "r2" } } },
    { at_us = 300000, fault = { start = "r2" } },
    { at_us = 400000, begins = "bursts", fault = { weather = { links = ["r0>r1"], until_us = 500000, weather = { corruption = 0, duplicate_us = 0, duplication = 0, jitter_us = 0, loss = 1000, severed_every_us = 0, slowness = 1 } } } },
    { at_us = 600000, begins = "power-loss", fault = "power-loss" },
]
"#;
    assert_eq!(plan.to_text(), expected);
}

#[test]
fn a_text_by_hand_changes_any_scenario() {
    let text = "scenario = \"random\"\nseed = 5\nclients.clients = 1\n[links]\nloss = 7\n";
    let plan = Plan::from_text(text).expect("it is a plan");
    let mut expected = Plan::seeded(5);
    (expected.clients.clients, expected.links.loss) = (1, 7);
    assert_eq!(plan, expected);
}

#[test]
fn a_text_that_is_no_plan_is_told_why() {
    for (text, why) in [
        ("seed = ", "TOML parse error at line 1"),
        ("links.loss = 3", "a plan needs a line such as seed = 29"),
        ("seed = -1", "a plan needs a line such as seed = 29"),
        ("seed = 1\nscenario = \"nonsense\"", "there are:\nrandom "),
        ("seed = 1\nnonsense = 3", "unknown field `nonsense`"),
        ("seed = 1\nlinks.nonsense = 3", "unknown field `nonsense`"),
        ("seed = 1\nlocal.nonsense = 3", "unknown field `nonsense`"),
        ("seed = 1\nlinks.loss = \"x\"", "invalid type"),
        ("seed = 1\nthresholds = \"n=4 f=2\"", "tolerate at most 1"),
        ("seed = 1\nestablishment = \"automaton\"", "5f+1"),
        ("seed = 1\nthresholds = \"n=40 f=1\"", "more replicas than a simulated chain may"),
        ("seed = 1\nbyzantine = [\"r0=nonsense\"]", "is no behaviour"),
        ("seed = 1\nbyzantine = [\"r0\"]", "is not of the form r0=silent"),
        (
            "seed = 1\nbyzantine = [\"r0=silent\", \"r1=silent\"]",
            "Byzantine replicas are at most f",
        ),
        ("seed = 1\ntick_ms = 0", "tick_ms is 1 to 10000"),
        ("seed = 1\nschedule = [{ at_us = 1, fault = { start = \"r4\" } }]", "names a replica"),
        ("seed = 1\nschedule = [{ at_us = 1, fault = { nonsense = 1 } }]", "unknown variant"),
    ] {
        let error = Plan::from_text(text).expect_err(text).to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}
