//! Clocks, pauses and timers (the catalogue's C-T rows). The protocol counts ticks and tokens; a wall clock
//! goes into the headers of blocks and decides nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::BTreeSet;

use daruma_catalogue::{
    Counts, DETECTION_ROUNDS_MAX, Draws, REQUEST_ROUNDS_MAX, RHYTHMS, VIEW_ROUNDS_MAX,
    all_executed_these, all_in_view, consistent, healthy, six_of_both, two_views_decide,
};
use daruma_simulator::{Fault, Plan, Rhythm, Rig};
use daruma_types::ReplicaId;

const SIX: Counts = Counts { n: 6, f: 1 };

/// A tick of the plans that these rows use.
const TICK_US: u64 = 100_000;

const SECOND_US: u64 = 1_000_000;

const YEAR_MS: i64 = 365 * 24 * 3_600 * 1_000;

/// From the waking of a replica, or of all, to one view with everything executed.
const AWAKE_US: u64 = (VIEW_ROUNDS_MAX + REQUEST_ROUNDS_MAX) as u64 * TICK_US;

/// Both view establishments in both rhythms.
fn each(seed: u64, story: impl Fn(&mut Rig<'_>, &str)) {
    for plan in six_of_both(seed) {
        for rhythm in RHYTHMS {
            let what = format!("{plan} {rhythm:?}");
            plan.drive(rhythm, |rig| {
                assert!(rig.until(VIEW_ROUNDS_MAX, healthy).is_some(), "{what}");
                story(rig, &what);
                assert_eq!(consistent(rig), None, "{what}");
            });
        }
    }
}

fn standings(rig: &Rig<'_>) -> String {
    rig.correct().iter().map(|id| format!("\n{:?}", rig.standing(*id))).collect()
}

/// What a run did, but for the timestamps and what hangs on them: when, who was where and had executed
/// what, and how much was said.
type Deeds = Vec<(u64, u64, Vec<(u64, u8, bool, u64, Vec<String>)>)>;

/// A run with requests and a view change, and what `clocks` does before each of its steps. Gives its deeds,
/// and the timestamps of the blocks.
fn deeds(plan: &Plan, rhythm: Rhythm, clocks: impl Fn(&mut Rig<'_>, u32)) -> (Deeds, Vec<u64>) {
    plan.drive(rhythm, |rig| {
        let mut deeds = Vec::new();
        for step in 0..60 {
            clocks(rig, step);
            let all = rig.correct();
            if step % 2 == 0 {
                rig.submit(&all, 0, u64::from(step), &step.to_string());
            }
            if step == 30 {
                all.iter().for_each(|id| rig.suspect(*id));
            }
            rig.run(1);
            let places = all.iter().map(|id| {
                let standing = rig.standing(*id);
                let (view, height) = (standing.view.0, standing.executed.height.0);
                (view, standing.phase, standing.active, height, rig.operations(*id))
            });
            let places = places.collect();
            deeds.push((rig.now_us(), rig.traffic().0, places));
        }
        assert_eq!(consistent(rig), None);
        let blocks = rig.blocks(ReplicaId(0));
        (deeds, blocks.iter().map(|block| block.block.header.timestamp_ms).collect())
    })
}

#[test]
fn c_t01_wall_clocks_that_jump_by_a_year_or_drift_change_nothing_but_timestamps() {
    for plan in six_of_both(1) {
        for rhythm in RHYTHMS {
            let (calm, honest) = deeds(&plan, rhythm, |_, _| {});
            assert!(honest.len() >= 20, "{plan}: {} blocks", honest.len());
            let (jumping, jumped) = deeds(&plan, rhythm, |rig, step| {
                let mut draws = Draws::new(step.into());
                let replica = ReplicaId((step % 6) as u16);
                let by_ms = draws.below(2 * YEAR_MS as u64) as i64 - YEAR_MS;
                rig.inject(Fault::ClockJump { replica, by_ms });
            });
            // Clocks at half and at twice their speed: a tick more or less in each round.
            let (drifting, drifted) = deeds(&plan, rhythm, |rig, _| {
                for replica in rig.correct() {
                    let by_ms = [-50, 100, 0][usize::from(replica.0) % 3];
                    rig.inject(Fault::ClockJump { replica, by_ms });
                }
            });
            assert_eq!(calm, jumping, "{plan} {rhythm:?}");
            assert_eq!(calm, drifting, "{plan} {rhythm:?}");
            assert_ne!(honest, jumped, "the clocks did jump");
            assert_ne!(honest, drifted, "the clocks did drift");
        }
    }
}

/// The rate of ticks, which all patience is counted in.
#[test]
fn c_t01_ticks_at_half_or_twice_their_rate_make_nobody_suspect_a_correct_primary() {
    for (i, plan) in six_of_both(1).iter().enumerate() {
        for fast in 0..6 {
            let what = format!("{plan} fast {fast}");
            plan.drive(Rhythm::Random, |rig| {
                for replica in rig.correct() {
                    let per_mille = if usize::from(replica.0) == fast {
                        [500, 2_000][i]
                    } else {
                        [2_000, 500][(i + fast) % 2]
                    };
                    rig.inject(Fault::TickLength { replica, per_mille });
                }
                assert!(rig.until(VIEW_ROUNDS_MAX, healthy).is_some(), "{what}");
                let mut asked = BTreeSet::new();
                for nonce in 1..=10 {
                    let all = rig.correct();
                    rig.submit(&all, 0, nonce, &nonce.to_string());
                    asked.insert(nonce.to_string());
                    let done = rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed_these(rig, &asked));
                    assert!(done.is_some(), "{what}: {}", standings(rig));
                    rig.run(5);
                }
                assert!(all_in_view(rig, 0), "{what}: {}", standings(rig));
                assert_eq!(consistent(rig), None, "{what}");
            });
        }
    }
}

/// A replica cannot know that it stood still, and may go on with what it was about to say. That decides
/// nothing: at no instant could two views decide, what it executes after it woke was certified in the view
/// that the others went on to, and with these it is within the bound.
#[test]
fn c_t02_a_replica_that_wakes_decides_nothing_in_the_view_that_the_others_left() {
    for seconds in [1, 10, 600] {
        for asleep in [0, 3].map(ReplicaId) {
            each(2, |rig, what| {
                let what = format!("{what} {asleep} for {seconds} s");
                let until_us = rig.now_us() + seconds * SECOND_US;
                // What the sleeper knows of when it wakes, and what it does not.
                let all = rig.correct();
                rig.submit(&all, 0, 1, "before");
                rig.inject(Fault::Pause { replica: asleep, until_us });
                let others: Vec<_> = all.iter().copied().filter(|id| *id != asleep).collect();
                rig.submit(&others, 1, 1, "meanwhile");
                let asked = BTreeSet::from(["before", "meanwhile"].map(str::to_owned));
                let wrong = rig.never_during(seconds * SECOND_US, |rig| two_views_decide(rig, SIX));
                assert_eq!(wrong, None, "{what}");
                let left = rig.standing(others[0]).view;
                let slept_at = rig.standing(asleep).executed.height.0;
                if seconds >= 10 {
                    let executed = |id: &ReplicaId| rig.operations(*id).len() == asked.len();
                    assert!(others.iter().all(executed), "{what}: {}", standings(rig));
                    assert_eq!(left.0, u64::from(asleep.0 == 0), "{what}: replaced if primary");
                }
                let wrong = rig.never_during(AWAKE_US, |rig| two_views_decide(rig, SIX));
                assert_eq!(wrong, None, "{what}");
                assert!(healthy(rig), "{what}: {}", standings(rig));
                assert!(all_executed_these(rig, &asked), "{what}: {}", standings(rig));
                for block in rig.blocks(asleep).iter().skip(slept_at as usize) {
                    let decided = block.certificate.ballot;
                    assert!(seconds < 10 || decided.0 >= left.0, "{what}: in ballot {decided}");
                }
            });
        }
    }
}

#[test]
fn c_t03_all_stand_still_and_wake_in_any_order() {
    for seed in 0..4 {
        each(seed, |rig, what| {
            let mut draws = Draws::new(seed);
            let all = rig.correct();
            rig.submit(&all, 0, 1, "before");
            let mut last_us = 0;
            for replica in draws.shuffled(all.clone()) {
                let until_us =
                    rig.now_us() + draws.between(1, [3, 20, 60, 300][seed as usize]) * SECOND_US;
                last_us = last_us.max(until_us);
                rig.inject(Fault::Pause { replica, until_us });
            }
            let wrong = rig.never_during(last_us - rig.now_us(), |rig| two_views_decide(rig, SIX));
            assert_eq!(wrong, None, "{what}");
            rig.submit(&all, 1, 1, "after");
            let asked = BTreeSet::from(["before", "after"].map(str::to_owned));
            let well =
                rig.until_within(AWAKE_US, |rig| healthy(rig) && all_executed_these(rig, &asked));
            assert!(well.is_some(), "{what}: {}", standings(rig));
        });
    }
}

#[test]
fn c_t04_timers_that_fire_late_early_twice_or_not_at_all_keep_nothing_from_going_on() {
    for seed in 0..3 {
        each(seed, |rig, what| {
            for replica in rig.correct() {
                rig.inject(Fault::Timers { replica, until_us: u64::MAX });
            }
            let mut asked = BTreeSet::new();
            for nonce in 1..=15 {
                let all = rig.correct();
                rig.submit(&all, 0, nonce, &nonce.to_string());
                asked.insert(nonce.to_string());
                let done = rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed_these(rig, &asked));
                assert!(done.is_some(), "{what}: {}", standings(rig));
            }
            let before = rig.standing(ReplicaId(0)).view;
            rig.correct().into_iter().for_each(|id| rig.suspect(id));
            let changed = rig.until(VIEW_ROUNDS_MAX, |rig| {
                healthy(rig) && rig.standing(ReplicaId(0)).view > before
            });
            assert!(changed.is_some(), "{what}: {}", standings(rig));
            // A primary that is gone is found out by such timers too.
            let primary = rig.status(ReplicaId(0)).primary;
            let view = rig.standing(ReplicaId(0)).view;
            rig.inject(Fault::Pause { replica: primary, until_us: u64::MAX });
            let others: Vec<_> = rig.correct().into_iter().filter(|id| *id != primary).collect();
            let bound = u64::from(2 * DETECTION_ROUNDS_MAX + VIEW_ROUNDS_MAX) * TICK_US;
            let replaced = rig.until_within(bound, |rig| {
                others.iter().all(|id| rig.standing(*id).view > view && rig.standing(*id).active)
            });
            assert!(replaced.is_some(), "{what}: {}", standings(rig));
            let mistimed = rig.stats().counts["timer: mistimed"];
            assert!(mistimed > 200, "{what}: {mistimed}");
        });
    }
}

/// Primaries whose clocks are years apart: time in headers never runs back, and nobody stops. That a block
/// whose time is before its parent's is not voted for is shown of one engine.
#[test]
fn c_t05_primaries_with_clocks_years_apart_make_blocks_whose_time_never_runs_back() {
    each(5, |rig, what| {
        let all = rig.correct();
        for (replica, years) in all.iter().zip([3, -10, 1, -1, 20, -30]) {
            rig.inject(Fault::ClockJump { replica: *replica, by_ms: years * YEAR_MS });
        }
        let mut asked = BTreeSet::new();
        for view in 0..6 {
            if view > 0 {
                all.iter().for_each(|id| rig.suspect(*id));
                let rounds =
                    rig.until(VIEW_ROUNDS_MAX, |rig| all_in_view(rig, view) && healthy(rig));
                assert!(rounds.is_some(), "{what} view {view}: {}", standings(rig));
            }
            for nonce in 1..=3 {
                let operation = format!("{view}:{nonce}");
                rig.submit(&all, view as u16, nonce, &operation);
                asked.insert(operation);
                let done = rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed_these(rig, &asked));
                assert!(done.is_some(), "{what}: {}", standings(rig));
            }
        }
        let blocks = rig.blocks(ReplicaId(0));
        let times: Vec<u64> = blocks.iter().map(|block| block.block.header.timestamp_ms).collect();
        assert!(times.is_sorted(), "{what}: {times:?}");
        let proposers: BTreeSet<_> = blocks.iter().map(|b| b.block.header.proposer).collect();
        assert_eq!(proposers.len(), 6, "{what}");
    });
}
