//! Halts of other systems in which timers, rounds or views went apart, a primary was of no use, or clocks
//! jumped (docs/healing.md): each as start state or event, and service by itself.

use daruma_catalogue::{
    Draws, REPLACED_ROUNDS_MAX, REQUEST_ROUNDS_MAX, VIEW_ROUNDS_MAX, all_in_view, cut_off,
    deciding, from_any_state, heals, in_view, load, views_with_proofs,
};
use daruma_simulator::{Behaviour, Column, Fault, Plan, Scope, Values};
use daruma_types::{Establishment, ReplicaId};

const YEAR_MS: i64 = 365 * 24 * 3_600 * 1_000;

/// A view and a request, once everyone hears everyone and no memory is wrong; under the paper's views from
/// any place of the automaton.
fn one_change(plan: &Plan) -> u32 {
    match plan.establishment {
        Establishment::Certified => VIEW_ROUNDS_MAX + REQUEST_ROUNDS_MAX,
        Establishment::Automaton { .. } => from_any_state(plan),
    }
}

/// Views as far apart as the rounds in the report, patience as long as it can be, and with every other seed
/// the primary of the highest view is down.
#[test]
fn heal_round_skew_replicas_many_views_apart_with_the_longest_patience_serve_again() {
    heals("heal/round-skew", from_any_state, |rig, struck| {
        let all = struck.all();
        if struck.certified() {
            let proofs = views_with_proofs(rig, 10);
            for (id, view) in all.iter().zip([6, 9, 10, 10, 7, 6, 8]) {
                let (view, proof) = proofs[view].clone();
                rig.engine(*id).set_view(view, 0, proof);
            }
        } else {
            in_view(rig, 3);
            rig.scramble(&all, &Scope::Named("automaton."), Values::Mixed, struck.seed);
        }
        rig.scramble(&all, &Scope::Named("monitor.patience"), Values::Largest, struck.seed);
        if struck.seed % 2 == 1 {
            let highest = rig.status(ReplicaId(2)).primary;
            rig.stop(highest);
        }
    });
}

/// Who is in the set is known from the chainspec, so a member that never followed is no member's concern.
#[test]
fn heal_join_gate_members_that_hold_nothing_join_late_and_stop_nobody() {
    heals("heal/join-gate", from_any_state, |rig, struck| {
        let late: Vec<_> = struck.all().into_iter().rev().take(struck.f()).collect();
        for id in &late {
            rig.stop(*id);
            Column::ALL.into_iter().for_each(|column| rig.spoil(*id, column, |_, _| None));
        }
        let before = rig.standing(ReplicaId(0));
        for nonce in 1..=10 {
            load(rig, 0, nonce, 1);
            rig.run(REQUEST_ROUNDS_MAX);
            let executed = rig.operations(ReplicaId(0));
            assert!(executed.contains(&format!("0:{nonce}")), "{nonce}");
        }
        assert_eq!(rig.standing(ReplicaId(0)).view, before.view);
        late.iter().for_each(|id| rig.start(*id));
    });
}

/// An invalid proposal, and then everyone in any step of the protocol.
#[test]
fn heal_random_phase_everyone_in_any_step_after_an_invalid_proposal_serves_again() {
    const STEPS: [&str; 10] = [
        "view.phase",
        "view.demands",
        "automaton.",
        "detector.",
        "replication.active",
        "replication.serving",
        "replication.waiting",
        "replication.in_flight",
        "engine.entered",
        "engine.told",
    ];
    heals("heal/random-phase", from_any_state, |rig, struck| {
        let primary = rig.status(ReplicaId(0)).primary;
        rig.behave(primary, Some(Behaviour::ModifyRequest));
        load(rig, 0, 1, 3);
        rig.behave(primary, None);
        for step in STEPS {
            rig.scramble(&struck.all(), &Scope::Named(step), Values::Mixed, struck.seed);
        }
    });
}

/// One lost its disk, and every counter that there is of views, ballots, ticks and tokens is any number.
#[test]
fn heal_round_counter_arbitrary_counters_of_all_are_any_numbers_and_one_disk_is_gone() {
    const COUNTERS: [&str; 12] = [
        "view.",
        "ballots.",
        "automaton.",
        "detector.",
        "replication.ballot",
        "replication.promised",
        "monitor.",
        "links.",
        "engine.entered",
        "engine.handed_over",
        "engine.ticks",
        "engine.now_ms",
    ];
    heals("heal/round-counter-arbitrary", from_any_state, |rig, struck| {
        struck.some(1).into_iter().for_each(|id| rig.wipe(id));
        let values = [Values::Mixed, Values::Largest, Values::Below(1), Values::Replayed];
        for counter in COUNTERS {
            let values = values[struck.seed as usize % 4];
            rig.scramble(&struck.all(), &Scope::Named(counter), values, struck.seed);
        }
    });
}

/// With every other seed some restart and know no view and no ballot any more; with the others they were
/// about to commit, and did not hear that all others went on to the next view.
#[test]
fn heal_view_amnesia_who_forgot_the_view_or_missed_its_change_serves_with_the_others_again() {
    heals("heal/view-amnesia", from_any_state, |rig, struck| {
        let forgetful = struck.some(struck.f());
        in_view(rig, 2);
        deciding(rig, struck, 1);
        if struck.seed % 2 == 0 {
            for id in forgetful {
                rig.stop(id);
                rig.spoil(id, Column::Journal, |key, row| {
                    (key != b"v" && key != b"f").then_some(row)
                });
                rig.start(id);
            }
        } else {
            cut_off(rig, struck.n(), &forgetful, true);
            let others = struck.all().into_iter().filter(|id| !forgetful.contains(id));
            others.for_each(|id| rig.suspect(id));
            rig.run(VIEW_ROUNDS_MAX);
            cut_off(rig, struck.n(), &forgetful, false);
        }
    });
}

/// A primary that is there, and silent to all or half, or orders nothing, or everything at one height.
#[test]
fn heal_mute_primary_one_that_lives_and_is_of_no_use_is_replaced() {
    let bound = |plan: &Plan| match plan.establishment {
        Establishment::Certified => REPLACED_ROUNDS_MAX,
        Establishment::Automaton { .. } => from_any_state(plan),
    };
    heals("heal/mute-primary", bound, |rig, struck| {
        let ways = [
            Behaviour::Silent,
            Behaviour::HalfSilent,
            Behaviour::StopAssigning,
            Behaviour::ReuseHeights,
        ];
        let primary = rig.status(ReplicaId(0)).primary;
        rig.behave(primary, Some(ways[struck.seed as usize % 4]));
    });
}

/// A view is given up at each of many moments of a block's way to its decision.
#[test]
fn heal_deadlock_watchdog_a_view_given_up_at_any_moment_of_a_decision_holds_nothing_up() {
    heals("heal/deadlock-watchdog", one_change, |rig, struck| {
        let mut draws = Draws::new(struck.seed);
        for nonce in 1..=12 {
            let all = rig.correct();
            rig.submit(&all, 0, nonce, &nonce.to_string());
            let mut events = draws.below(40 * struck.n() as u64);
            rig.until_event(3, |_| {
                events = events.saturating_sub(1);
                events == 0
            });
            all.iter().for_each(|id| rig.suspect(*id));
            rig.run(draws.below(4) as u32);
        }
    });
}

/// Wall clocks jump by years, each elsewhere; keys of links do not expire. Nobody leaves the view.
#[test]
fn heal_clock_jump_clocks_years_apart_change_no_view_and_hold_up_no_request() {
    heals(
        "heal/clock-jump",
        |_| REQUEST_ROUNDS_MAX,
        |rig, struck| {
            let mut draws = Draws::new(struck.seed);
            let view = rig.standing(ReplicaId(0)).view;
            for replica in struck.all() {
                let by_ms = draws.below(60 * YEAR_MS as u64) as i64 - 30 * YEAR_MS;
                rig.inject(Fault::ClockJump { replica, by_ms });
            }
            load(rig, 0, 1, 5);
            rig.run(REQUEST_ROUNDS_MAX);
            assert!(all_in_view(rig, view.0));
            for replica in struck.all() {
                let by_ms = draws.below(60 * YEAR_MS as u64) as i64 - 30 * YEAR_MS;
                rig.inject(Fault::ClockJump { replica, by_ms });
            }
        },
    );
}
