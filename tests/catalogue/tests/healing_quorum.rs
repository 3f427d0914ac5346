//! Halts of other systems after a quorum was lost and came back, after everybody restarted, or in silence
//! (docs/healing.md): each as event, and service by itself.

use daruma_catalogue::{
    Draws, Link, REQUEST_ROUNDS_MAX, Struck, VIEW_ROUNDS_MAX, between, cut_off, from_any_state,
    heals, heals_unasked, load, set_cut, set_weather,
};
use daruma_simulator::{Fault, Plan, Rig, Weather};
use daruma_types::{Establishment, ReplicaId};

const TICK_US: u64 = 100_000;

/// A view and a request, however long it was before that; under the paper's views from any place of the
/// automaton.
fn one_change(plan: &Plan) -> u32 {
    match plan.establishment {
        Establishment::Certified => VIEW_ROUNDS_MAX + REQUEST_ROUNDS_MAX,
        Establishment::Automaton { .. } => from_any_state(plan),
    }
}

fn every_link(struck: &Struck<'_>) -> Vec<Link> {
    between(struck.n(), |_, _| true)
}

/// So many rounds, by the clock: there is none while nobody takes part.
fn pass(rig: &mut Rig<'_>, rounds: u64) {
    rig.never_during(rounds * TICK_US, |_| false);
}

fn start_all(rig: &mut Rig<'_>, struck: &Struck<'_>) {
    struck.all().into_iter().for_each(|id| rig.start(id));
}

/// So many that the others are no quorum are away, up to 2,000 rounds, down or cut off: the time to service
/// does not depend on it.
#[test]
fn heal_quorum_return_service_is_back_as_soon_after_a_long_absence_as_after_a_short_one() {
    heals("heal/quorum-return", one_change, |rig, struck| {
        let away = struck.some(struck.blocking());
        let rounds = [20, 200, 1_000, 2_000][struck.seed as usize % 4];
        let is_down = struck.seed % 2 == 0;
        if is_down {
            away.iter().for_each(|id| rig.stop(*id));
        } else {
            cut_off(rig, struck.n(), &away, true);
        }
        load(rig, 0, 1, 3);
        pass(rig, rounds);
        if is_down {
            away.iter().for_each(|id| rig.start(*id));
        } else {
            cut_off(rig, struck.n(), &away, false);
        }
    });
}

#[test]
fn heal_wiped_f_plus_1_without_disks_fetch_and_check_the_blocks_and_serve() {
    heals("heal/wiped-f+1", from_any_state, |rig, struck| {
        let count = (struck.f() + 1).max(struck.blocking());
        struck.some(count).into_iter().for_each(|id| rig.wipe(id));
    });
}

/// Nobody hears anybody when all start, and then one link after the other is there, in any order.
#[test]
fn heal_permission_cycle_all_start_with_no_link_and_get_them_one_by_one() {
    heals("heal/permission-cycle", one_change, |rig, struck| {
        let mut links = every_link(struck);
        set_cut(rig, &links, true);
        rig.inject(Fault::PowerLoss);
        start_all(rig, struck);
        load(rig, 0, 1, 5);
        pass(rig, 50);
        links = Draws::new(struck.seed).shuffled(links);
        for link in links {
            set_cut(rig, &[link], false);
            rig.run(1);
        }
    });
}

/// One that lives and does nothing for 200 rounds: it hears nobody, or is heard by nobody, and then it starts
/// anew, as a process of which a thread ended does.
#[test]
fn heal_actor_death_replicas_that_live_deaf_or_dumb_and_then_start_anew_serve_again() {
    heals("heal/actor-death", one_change, |rig, struck| {
        let dead = struck.some(struck.f());
        let of = |from: &ReplicaId, to: &ReplicaId| {
            let end = if struck.seed % 2 == 0 { from } else { to };
            dead.contains(end)
        };
        let links: Vec<_> =
            every_link(struck).into_iter().filter(|(from, to)| of(from, to)).collect();
        set_cut(rig, &links, true);
        load(rig, 0, 1, 3);
        rig.run(200);
        let others = struck.all().into_iter().filter(|id| !dead.contains(id));
        for id in others {
            assert!(rig.operations(id).contains(&"0:3".to_owned()), "the others go on");
        }
        set_cut(rig, &links, false);
        dead.iter().for_each(|id| rig.restart(*id));
    });
}

/// No link carries anything for up to 1,000 rounds, and in the dark `f` replicas restart.
#[test]
fn heal_outage_a_network_that_was_away_for_all_is_served_by_all_again() {
    heals("heal/outage", one_change, |rig, struck| {
        let links = every_link(struck);
        set_cut(rig, &links, true);
        load(rig, 0, 1, 3);
        pass(rig, [50, 300, 1_000, 1_000][struck.seed as usize % 4]);
        struck.some(struck.f()).into_iter().for_each(|id| rig.restart(id));
        pass(rig, 50);
        set_cut(rig, &links, false);
    });
}

/// All, or so many that the others are no quorum, crash in the middle of a decision and start again.
#[test]
fn heal_all_restart_memories_lost_in_the_middle_of_decisions_are_made_again_from_disks() {
    heals("heal/all-restart", one_change, |rig, struck| {
        let mut draws = Draws::new(struck.seed);
        let count = [struck.n(), struck.blocking()][struck.seed as usize % 2];
        for nonce in 1..=6 {
            let all = rig.correct();
            rig.submit(&all, 0, nonce, &nonce.to_string());
            let mut events = draws.below(30 * struck.n() as u64);
            rig.until_event(3, |_| {
                events = events.saturating_sub(1);
                events == 0
            });
            let victims = struck.some(count);
            victims.iter().for_each(|id| rig.stop(*id));
            victims.iter().for_each(|id| rig.start(*id));
        }
    });
}

/// So many that the others are no quorum stand still for up to ten minutes, under load, and wake.
#[test]
fn heal_sigstop_replicas_that_stood_still_for_up_to_ten_minutes_serve_again() {
    heals("heal/sigstop", one_change, |rig, struck| {
        let seconds = [1, 10, 60, 600][struck.seed as usize % 4];
        load(rig, 0, 1, 2);
        let until_us = rig.now_us() + seconds * 1_000_000;
        for replica in struck.some(struck.blocking()) {
            rig.inject(Fault::Pause { replica, until_us });
        }
        let all = rig.correct();
        rig.submit(&all, 1, 1, "while some stand still");
        rig.never_during(seconds * 1_000_000, |_| false);
    });
}

/// Replicas 20 blocks behind fetch them over links that lose a tenth, double half and overtake by five ticks,
/// for as long as it takes.
#[test]
fn heal_catchup_reorder_blocks_that_come_out_of_order_twice_or_not_at_all_are_caught_up() {
    heals("heal/catchup-reorder", from_any_state, |rig, struck| {
        let behind = struck.some(struck.f());
        cut_off(rig, struck.n(), &behind, true);
        let others: Vec<_> = struck.all().into_iter().filter(|id| !behind.contains(id)).collect();
        for nonce in 1..=20 {
            rig.submit(&others, 0, nonce, &nonce.to_string());
            rig.run(2);
        }
        cut_off(rig, struck.n(), &behind, false);
        let weather = Weather {
            loss: 100,
            duplication: 500,
            duplicate_us: 10 * TICK_US,
            jitter_us: 5 * TICK_US,
            ..Weather::NONE
        };
        set_weather(rig, &every_link(struck), weather, 3_600_000_000);
    });
}

#[test]
fn heal_quorum_flap_a_quorum_lost_and_found_a_dozen_times_serves() {
    heals("heal/quorum-flap", one_change, |rig, struck| {
        let mut draws = Draws::new(struck.seed);
        for time in 0..12 {
            let first = draws.below(struck.n() as u64) as usize;
            let away = daruma_catalogue::rotated(first, struck.blocking(), struck.n());
            away.iter().for_each(|id| rig.stop(*id));
            load(rig, 0, 10 * time, 1);
            pass(rig, draws.between(1, 15));
            away.iter().for_each(|id| rig.start(*id));
            pass(rig, draws.between(1, 15));
        }
    });
}

/// Everyone was given a request, and all that is said about it is lost, for up to 300 rounds. Nobody asks
/// again.
#[test]
fn heal_silence_what_all_wait_for_is_said_again_without_anybodys_asking() {
    let silence = |rig: &mut Rig<'_>, struck: &Struck<'_>| {
        let rounds = [5, 30, 100, 300][struck.seed as usize % 4];
        let all = rig.correct();
        let weather = Weather { loss: 1_000, ..Weather::NONE };
        set_weather(rig, &every_link(struck), weather, rounds * TICK_US);
        rig.submit(&all, 0, 1, "given to all");
        pass(rig, rounds);
    };
    heals_unasked("heal/silence", one_change, silence, "given to all");
}

/// All start at one moment, and whatever they say is lost until the connections are there, all at one moment.
#[test]
fn heal_simultaneous_boot_what_was_said_before_there_were_connections_is_said_again() {
    heals("heal/simultaneous-boot", one_change, |rig, struck| {
        let links = every_link(struck);
        rig.inject(Fault::PowerLoss);
        set_cut(rig, &links, true);
        start_all(rig, struck);
        pass(rig, [1, 5, 20, 60][struck.seed as usize % 4]);
        set_cut(rig, &links, false);
    });
}
