//! Memory that is corrupted while a cluster runs (catalogue 8.4): C-M03 and C-M05 to C-M08. Rows C-M01,
//! C-M02, C-M04 are `tests/simulator/tests/arbitrary.rs`, C-M09 the traps.

use daruma_catalogue::{REQUEST_ROUNDS_MAX, RHYTHMS, consistent, healthy, plan};
use daruma_simulator::{FaultKind, FaultKinds, Plan, Rig, Scope, Values, convergence_rounds_max};
use daruma_types::ReplicaId;

/// Rounds after which a client repeats a request that was not executed: a pool is memory too.
const REPEAT_ROUNDS: u32 = 10;

/// The client that asks whether there is service.
const ASKING: u16 = 90;

/// Kinds of values, in turn.
const VALUES: [Values; 4] = [Values::Mixed, Values::Replayed, Values::Largest, Values::Zero];

/// A step of a simple generator of numbers: what happens is decided by the test's seed.
fn next(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// Clients ask all replicas for something in each of so many rounds.
fn under_load(rig: &mut Rig<'_>, rounds: u32, nonce: &mut u64) {
    for _ in 0..rounds {
        *nonce += 1;
        let all = rig.correct();
        rig.submit(&all, (*nonce % 3) as u16, *nonce, &format!("load {nonce}"));
        rig.run(1);
    }
}

/// Everybody serves again and executes a fresh request, within the bound for a state that may be any.
fn heals(rig: &mut Rig<'_>, plan: &Plan, nonce: u64) -> bool {
    let bound = convergence_rounds_max(&plan.local, plan.thresholds, plan.establishment);
    let wanted = format!("fresh {nonce}");
    for _ in 0..=bound / REPEAT_ROUNDS {
        let all = rig.correct();
        rig.submit(&all, ASKING, nonce, &wanted);
        let done = |rig: &Rig<'_>| {
            healthy(rig) && all.iter().all(|id| rig.operations(*id).contains(&wanted))
        };
        if rig.until(REPEAT_ROUNDS, done).is_some() {
            return true;
        }
    }
    false
}

/// `count` replicas, the first of which `first` says.
fn victims(n: usize, first: u64, count: usize) -> Vec<ReplicaId> {
    (0..count).map(|i| ReplicaId(((first as usize + i) % n) as u16)).collect()
}

#[test]
fn c_m03_memory_corrupted_under_load_at_1_f_f_plus_1_n_minus_f_or_all_heals_and_nothing_certified_is_lost()
 {
    for n in [4, 6, 7] {
        let plan = plan(n, 3);
        let f = plan.thresholds.faulty_max();
        for (seed, count) in (0..).zip([1, f, f + 1, n - f, n]) {
            for (rhythm, values) in RHYTHMS.into_iter().cycle().zip(VALUES) {
                plan.drive(rhythm, |rig| {
                    let (mut random, mut nonce) = (seed * 64 + n as u64, 0);
                    rig.remember();
                    under_load(rig, 5 + next(&mut random, 20) as u32, &mut nonce);
                    rig.note_what_stands();
                    let victims = victims(n, next(&mut random, n as u64), count);
                    rig.scramble(&victims, &Scope::All, values, seed);
                    under_load(rig, 5, &mut nonce);
                    let what = format!("n={n} {rhythm:?} {values:?} {victims:?}");
                    assert!(heals(rig, &plan, 1), "{what}");
                    assert_eq!(rig.what_was_lost(), None, "{what}");
                    assert_eq!(consistent(rig), None, "{what}");
                });
            }
        }
    }
}

/// With at most `f` of them corrupted, whatever a client had confirmed stays, and nobody else is disturbed:
/// all checks of the simulator go on without exception.
#[test]
fn c_m03_with_at_most_f_corrupted_again_and_again_everything_confirmed_stays_without_exception() {
    for seed in 0..30 {
        let n = [4, 6, 7, 11][(seed % 4) as usize];
        let plan = Plan { faults_min: 6, ..Plan::calm(seed, n) }
            .faults(FaultKinds::NONE.with(FaultKind::Memory));
        let outcome = plan.run();
        assert!(outcome.holds(), "{plan}: {:?}", outcome.violations);
        assert!(outcome.stats.faults["memory"] >= 6, "{plan}");
        assert!(outcome.stats.confirmed > 20, "{plan}: {:?}", outcome.stats);
    }
}

#[test]
fn c_m05_memory_corrupted_every_50_to_500_rounds_heals_after_the_last_time() {
    for (seed, rhythm) in (0..4).zip(RHYTHMS.into_iter().cycle()) {
        let plan = plan(4, seed);
        plan.drive(rhythm, |rig| {
            let (mut random, mut nonce, mut times) = (seed, 0, 0);
            rig.remember();
            while rig.rounds() < 10_000 {
                under_load(rig, 5, &mut nonce);
                rig.run(45 + next(&mut random, 450) as u32);
                times += 1;
                let (first, count) = (next(&mut random, 4), 1 + next(&mut random, 4) as usize);
                let scope = [Scope::All, Scope::Some(200)][next(&mut random, 2) as usize].clone();
                let values = VALUES[next(&mut random, 4) as usize];
                rig.note_what_stands();
                rig.scramble(&victims(4, first, count), &scope, values, random);
            }
            assert!(times >= 20, "{times}");
            assert!(heals(rig, &plan, 1), "seed {seed} {rhythm:?} after {times}");
            assert_eq!(rig.what_was_lost(), None, "seed {seed} {rhythm:?}");
            assert_eq!(consistent(rig), None, "seed {seed} {rhythm:?}");
        });
    }
}

#[test]
fn c_m06_caches_and_indexes_dropped_every_10_rounds_have_no_visible_effect() {
    for n in [4, 7] {
        for rhythm in RHYTHMS {
            let run = |drops: bool| {
                plan(n, 5).drive(rhythm, |rig| {
                    let mut nonce = 0;
                    for _ in 0..12 {
                        under_load(rig, 10, &mut nonce);
                        if drops {
                            rig.drop_caches();
                        }
                    }
                    rig.run(REQUEST_ROUNDS_MAX);
                    assert!(healthy(rig));
                    assert_eq!(consistent(rig), None);
                    let blocks: Vec<_> = rig.correct().iter().map(|id| rig.blocks(*id)).collect();
                    (blocks, rig.rounds(), rig.traffic())
                })
            };
            let (dropped, undisturbed) = (run(true), run(false));
            assert!(dropped.0[0].len() > 20);
            assert!(dropped == undisturbed, "n={n} {rhythm:?}");
        }
    }
}

/// What stood at `n-q+1` replicas stays, since no quorum is left for anything else; what stood at one less
/// can lose to another chain.
#[test]
fn c_m07_a_chain_held_by_n_minus_q_plus_1_cannot_be_replaced_and_one_less_can() {
    for n in [4, 6, 7, 11] {
        for rhythm in RHYTHMS {
            let plan = plan(n, 2);
            let enough = n - plan.thresholds.quorum() + 1;
            for holders in [enough - 1, enough, enough + 1] {
                plan.drive(rhythm, |rig| {
                    let mut nonce = 0;
                    under_load(rig, 5, &mut nonce);
                    rig.run(REQUEST_ROUNDS_MAX);
                    let all = rig.correct();
                    let chain = |rig: &Rig<'_>| -> Vec<_> {
                        rig.blocks(all[0]).iter().map(|block| block.certificate.hash).collect()
                    };
                    let before = chain(rig);
                    assert!(before.len() >= 3, "{}", before.len());
                    // The primary of view 0 is among those that lose everything.
                    let (wiped, holding) = all.split_at(n - holders);
                    let cut = |rig: &mut Rig<'_>, is_cut: bool| {
                        for (a, b) in
                            holding.iter().flat_map(|a| wiped.iter().map(move |b| (*a, *b)))
                        {
                            rig.cut(a, b, is_cut);
                            rig.cut(b, a, is_cut);
                        }
                    };
                    cut(rig, true);
                    wiped.iter().for_each(|id| rig.wipe(*id));
                    rig.note_what_stands();
                    rig.submit(wiped, ASKING, 1, "among those that lost everything");
                    rig.run(40);
                    let what = format!("n={n} {rhythm:?} held by {holders}");
                    let went_on = wiped.iter().any(|id| !rig.blocks(*id).is_empty());
                    assert_eq!(went_on, holders < enough, "{what}");
                    cut(rig, false);
                    assert!(heals(rig, &plan, 2), "{what}");
                    assert_eq!(rig.what_was_lost(), None, "{what}");
                    let kept = chain(rig).starts_with(&before);
                    assert_eq!(kept, holders >= enough, "{what}");
                });
            }
        }
    }
}

/// Reports: with `n-f` of them the next ballot becomes active, with one less it never does.
#[test]
fn c_m07_n_minus_f_reports_make_a_ballot_active_and_one_less_never_do() {
    for n in [4, 6, 7, 11] {
        for rhythm in RHYTHMS {
            let plan = plan(n, 4);
            let strong = plan.thresholds.strong();
            for speaking in [strong - 1, strong] {
                plan.drive(rhythm, |rig| {
                    rig.run(5);
                    let all = rig.correct();
                    let (group, silent) = all.split_at(speaking);
                    // The silent ones hear of nothing and say nothing.
                    let cut = |rig: &mut Rig<'_>, is_cut: bool| {
                        for (a, b) in all.iter().flat_map(|a| silent.iter().map(move |b| (*a, *b)))
                        {
                            rig.cut(a, b, is_cut);
                            rig.cut(b, a, is_cut);
                        }
                    };
                    cut(rig, true);
                    group.iter().for_each(|id| rig.engine(*id).suspect());
                    let moved = |rig: &Rig<'_>| {
                        group.iter().any(|id| {
                            let status = rig.status(*id);
                            status.view.0 > 0 && status.active
                        })
                    };
                    let what = format!("n={n} {rhythm:?} {speaking} speak");
                    assert_eq!(rig.until(60, moved).is_some(), speaking == strong, "{what}");
                    cut(rig, false);
                    assert!(heals(rig, &plan, 1), "{what}");
                    assert_eq!(consistent(rig), None, "{what}");
                });
            }
        }
    }
}

/// Demands: `n-2f` of them make the others join, and one less moves nobody.
#[test]
fn c_m07_n_minus_2f_demands_change_the_view_and_one_less_move_nobody() {
    for n in [4, 6, 7, 11] {
        for rhythm in RHYTHMS {
            let plan = plan(n, 6);
            let joining = plan.thresholds.joining();
            for demanding in [joining - 1, joining] {
                plan.drive(rhythm, |rig| {
                    rig.run(5);
                    let all = rig.correct();
                    // Not the primary of view 0: the last ones.
                    let who = all.iter().rev().take(demanding);
                    who.for_each(|id| rig.engine(*id).suspect());
                    let moved = |rig: &Rig<'_>| rig.status(ReplicaId(0)).view.0 > 0;
                    let what = format!("n={n} {rhythm:?} {demanding} demand");
                    assert_eq!(rig.until(30, moved).is_some(), demanding == joining, "{what}");
                });
            }
        }
    }
}

/// The numbers just below the largest, where one step or one window leads beyond it.
#[test]
fn c_m08_numbers_next_to_the_largest_are_lowered_or_wrap_and_nothing_stops() {
    let numbers = [
        "attest.attested",
        "attest.executed",
        "catch_up.last",
        "catch_up.turn",
        "engine.entered",
        "engine.handed_over",
        "engine.now_ms",
        "engine.peers",
        "engine.ticks",
        "engine.told",
        "conflict.",
        "links.links",
        "monitor.",
        "pool.",
        "replication.",
        "view.",
    ];
    for variable in numbers.into_iter().map(Scope::Named).chain([Scope::All]) {
        // One and two below; a window of 16 below, and beside it.
        for less in [1, 2, 15, 16, 17] {
            for count in [1, 4] {
                let plan = plan(4, u64::from(less));
                plan.drive(RHYTHMS[usize::from(less) % 2], |rig| {
                    let mut nonce = 0;
                    rig.remember();
                    under_load(rig, 6, &mut nonce);
                    rig.note_what_stands();
                    let victims = victims(4, u64::from(less), count);
                    rig.scramble(&victims, &variable, Values::Below(less), 7);
                    let what = format!("{variable:?} {less} {count}");
                    assert!(heals(rig, &plan, 1), "{what}");
                    assert_eq!(rig.what_was_lost(), None, "{what}");
                    assert_eq!(consistent(rig), None, "{what}");
                });
            }
        }
    }
}

/// Nonces are numbers that clients choose: the last one there is is executed, and is the last.
#[test]
fn c_m08_a_client_that_uses_the_last_nonce_there_is_has_used_them_up_and_disturbs_nobody() {
    for rhythm in RHYTHMS {
        let plan = plan(4, 8);
        plan.drive(rhythm, |rig| {
            let all = rig.correct();
            for (nonce, operation) in
                [(u64::MAX - 1, "next to last"), (u64::MAX, "last"), (0, "first again"), (7, "low")]
            {
                rig.submit(&all, 1, nonce, operation);
                rig.run(REQUEST_ROUNDS_MAX);
            }
            assert!(heals(rig, &plan, 1), "{rhythm:?}");
            let executed = rig.operations(ReplicaId(0));
            assert_eq!(executed, ["next to last", "last", "fresh 1"], "{rhythm:?}");
            assert_eq!(consistent(rig), None, "{rhythm:?}");
        });
    }
}
