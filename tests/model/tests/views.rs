//! View establishment (a): every state of small configurations.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use daruma_model::views::{
    CONVERGED, ENTERED, Proof, Start, Table, Views, Weakened, converge_from_every_start,
};
use daruma_model::{Explored, Limits, explore};

fn run(n: usize, last: u8, start: Start, weakened: Weakened) -> Explored {
    let model = Views::new(n, last, start, weakened).unwrap();
    let explored = explore(model, Limits::default(), None);
    println!("views n={n} last={last} {start:?} {weakened:?}: {explored}");
    explored
}

fn explores(n: usize, last: u8, start: Start) {
    let explored = run(n, last, start, Weakened::Nothing);
    assert!(explored.holds(), "n={n} last={last}: {explored}");
}

#[test]
fn with_one_report_less_a_view_is_entered_without_n_minus_f() {
    let explored = run(4, 2, Start::Genesis, Weakened::Strong);
    assert!(explored.violates(ENTERED), "{explored}");
}

#[test]
fn without_help_a_faulty_replica_leaves_correct_ones_in_different_views() {
    let explored = run(4, 2, Start::Genesis, Weakened::Help);
    assert!(explored.violates(CONVERGED), "{explored}");
    assert!(!explored.violates(ENTERED), "{explored}");
}

#[test]
fn views_are_entered_by_enough_reports_bind_and_fair_runs_end_in_one_view() {
    for (n, last) in [(2, 3), (3, 3), (4, 3)] {
        explores(n, last, Start::Genesis);
    }
}

#[test]
fn from_any_proofs_on_disk_every_fair_run_ends_in_one_view() {
    for (n, last) in [(2, 3), (3, 2), (4, 2)] {
        explores(n, last, Start::Arbitrary);
    }
}

#[test]
fn an_engine_goes_to_the_higher_proof_and_believes_none_that_too_few_signed() {
    let table = Table::new(4, 3).unwrap();
    for ((held, received), step) in table.steps() {
        let higher = received.rank() > held.rank();
        assert_eq!(step.holds, if higher { *received } else { *held }, "{held:?} {received:?}");
        let changes = higher && matches!(received, Proof::Left(_));
        assert_eq!(step.reports, changes, "{held:?} {received:?}");
    }
    for (on_disk, holds) in table.starts() {
        let proves_nothing = matches!(on_disk, Proof::TooFew(_) | Proof::Forged(_));
        assert_eq!(*holds, if proves_nothing { Proof::Initial } else { *on_disk });
    }
}

#[test]
fn real_engines_meet_in_one_view_from_every_combination_of_proofs_on_disk() {
    for (n, last) in [(2, 3), (3, 2), (4, 1)] {
        let result = converge_from_every_start(n, last, 40).unwrap();
        println!("n={n} last={last}: {result:?}");
        assert!(result.stuck.is_empty(), "n={n}: {:?}", result.stuck);
    }
}
