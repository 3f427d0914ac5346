//! Links that lose, repeat, delay, change and hold back (the catalogue's C-N rows). What is asked for is
//! executed all the same. Where a fault makes asynchronous rounds long, bounds are taken in ticks.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::BTreeSet;

use daruma_catalogue::{
    CHANGE_ROUNDS_MAX, Counts, DETECTION_ROUNDS_MAX, Draws, Link, REQUEST_ROUNDS_MAX, RHYTHMS,
    VIEW_ROUNDS_MAX, all_executed_these, all_in_view, between, consistent, healthy, set_weather,
    six_of_both, two_views_decide, views_with_proofs,
};
use daruma_simulator::{
    Fault, LinkSettings, Outcome, Plan, Rhythm, Rig, Scheduled, Weather, limits,
};
use daruma_types::{Establishment, Place, ReplicaId, ViewPair};

const SIX: Counts = Counts { n: 6, f: 1 };

/// A tick of the plans that these rows use: a round on good links.
const TICK_US: u64 = 100_000;

const SECOND_US: u64 = 1_000_000;

fn all_links(n: usize) -> Vec<Link> {
    between(n, |_, _| true)
}

/// Everything that comes or goes at these replicas.
fn links_of(n: usize, of: &[usize]) -> Vec<Link> {
    between(n, |a, _| of.contains(&a))
}

/// Operations of one client, each given to all replicas, and all that was asked for so far.
#[derive(Default)]
struct Asked {
    operations: BTreeSet<String>,
}

impl Asked {
    fn one_more(&mut self, rig: &mut Rig<'_>) {
        let nonce = self.operations.len() as u64 + 1;
        let operation = format!("operation {nonce}");
        let all = rig.correct();
        rig.submit(&all, 0, nonce, &operation);
        self.operations.insert(operation);
    }
}

fn standings(rig: &Rig<'_>) -> String {
    rig.correct().iter().map(|id| format!("\n{:?}", rig.standing(*id))).collect()
}

/// `bound` rounds, scaled to a share of messages that is lost, in per mille: by `1/(1-p)^2`.
fn scaled(bound: u32, lost: u32) -> u32 {
    let kept = u64::from(1_000 - lost);
    (u64::from(bound) * 1_000_000).div_ceil(kept * kept) as u32
}

/// Runs both view establishments, each in its own rhythm, over links with these settings.
fn both(seed: u64, links: LinkSettings, story: impl Fn(&mut Rig<'_>, &str)) {
    for (plan, rhythm) in six_of_both(seed).into_iter().zip([Rhythm::Random, Rhythm::LockStep]) {
        let plan = plan.links(links);
        let what = format!("{plan} {rhythm:?}");
        plan.drive(rhythm, |rig| {
            story(rig, &what);
            assert_eq!(consistent(rig), None, "{what}");
        });
    }
}

/// Twenty requests, one after the other, while this share of messages is lost: on average within the bound
/// of one, and each within that of the view establishment.
fn asks_twenty(rig: &mut Rig<'_>, lost: u32, what: &str) {
    assert!(rig.until(scaled(VIEW_ROUNDS_MAX, lost), healthy).is_some(), "{what}");
    let mut asked = Asked::default();
    let mut rounds = 0;
    for _ in 0..20 {
        asked.one_more(rig);
        let bound = scaled(VIEW_ROUNDS_MAX, lost);
        let done = rig.until(bound, |rig| all_executed_these(rig, &asked.operations));
        assert!(done.is_some(), "{what}: {}", standings(rig));
        rounds += done.unwrap();
    }
    assert!(rounds <= 20 * scaled(REQUEST_ROUNDS_MAX, lost), "{what}: {rounds} rounds");
    assert!(rig.until(scaled(VIEW_ROUNDS_MAX, lost), healthy).is_some(), "{what}");
}

#[test]
fn c_n01_lost_messages_cost_rounds_in_proportion_and_nothing_else() {
    for loss in [10, 50, 100, 200, 300] {
        for seed in 0..2 {
            let links = LinkSettings { loss, ..LinkSettings::QUIET };
            both(seed, links, |rig, what| asks_twenty(rig, loss, what));
        }
    }
}

#[test]
fn c_n02_after_a_burst_between_two_replicas_all_is_well_again() {
    let pairs = (0..6).flat_map(|a| (0..a).map(move |b| (b, a)));
    for (i, pair) in pairs.enumerate() {
        let seconds = [1, 5, 30][i % 3];
        both(i as u64, LinkSettings::QUIET, |rig, what| {
            rig.until(VIEW_ROUNDS_MAX, healthy).unwrap();
            let links = between(6, |a, b| (a, b) == pair);
            let weather = Weather { loss: 1_000, ..Weather::NONE };
            set_weather(rig, &links, weather, seconds * SECOND_US);
            let mut asked = Asked::default();
            asked.one_more(rig);
            let wrong = rig.never_during(seconds * SECOND_US, |rig| two_views_decide(rig, SIX));
            assert_eq!(wrong, None, "{what}");
            assert!(rig.until(VIEW_ROUNDS_MAX, healthy).is_some(), "{what} {pair:?}");
            asked.one_more(rig);
            let done =
                rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed_these(rig, &asked.operations));
            assert!(done.is_some(), "{what} {pair:?}: {}", standings(rig));
        });
    }
}

/// A run by the clock with this weather over all links for the whole phase of faults.
fn under(plan: Plan, weather: Weather, seconds: u64) -> Outcome {
    let n = plan.thresholds.replicas();
    let until_us = seconds * SECOND_US;
    let fault = Fault::Weather { links: all_links(n), weather, until_us };
    let schedule = vec![Scheduled { at_us: 0, begins: None, fault }];
    let plan = plan.heal_after_ms(seconds * 1_000).with_schedule(schedule);
    let outcome = plan.run();
    assert!(outcome.holds(), "{plan}: {:?}", outcome.violations);
    outcome
}

/// Agreement, validity, and no two votes are checked by the run itself, the bounds of what a replica keeps
/// at each of its ticks.
#[test]
fn c_n03_duplicates_up_to_a_minute_late_change_nothing_and_memory_does_not_grow() {
    for plan in both_by_the_clock(3) {
        let late = |duplication| {
            let weather = Weather { duplication, duplicate_us: 60 * SECOND_US, ..Weather::NONE };
            under(plan.clone(), weather, 65)
        };
        let none = late(0);
        for duplication in [100, 500] {
            let some = late(duplication);
            let kept = (none.stats.held_max, some.stats.held_max);
            assert!(kept.1 <= 2 * kept.0, "{plan}: {kept:?} entries kept");
            let share = some.stats.mishaps["duplicated"] * 1_000 / some.stats.messages;
            assert!(share >= u64::from(duplication) * 8 / 10, "{plan}: {share} per mille");
            assert!(some.stats.executed > 100 && some.stats.views == 0, "{plan}: {:?}", some.stats);
        }
    }
}

/// Six replicas under each view establishment with clients of their own, four ticks a second.
fn both_by_the_clock(seed: u64) -> [Plan; 2] {
    let automaton = Establishment::Automaton { event_driven_fd: false };
    let plan = Plan { tick_ms: 100, ..Plan::calm(seed, 6) };
    [plan.clone(), plan.establishment(automaton)]
}

#[test]
fn c_n04_messages_that_take_up_to_five_seconds_and_overtake_each_other_only_cost_time() {
    let late = LinkSettings { jitter_us: 5 * SECOND_US, ordered: false, ..LinkSettings::QUIET };
    for seed in 0..2 {
        both(seed, late, |rig, what| {
            assert!(rig.until(VIEW_ROUNDS_MAX, healthy).is_some(), "{what}");
            let mut asked = Asked::default();
            for _ in 0..5 {
                asked.one_more(rig);
                let done =
                    rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed_these(rig, &asked.operations));
                assert!(done.is_some(), "{what}: {}", standings(rig));
            }
        });
    }
}

#[test]
fn c_n05_changed_bytes_are_all_refused_and_counted_and_what_is_asked_for_is_executed() {
    for plan in both_by_the_clock(5) {
        let stats = under(plan.clone(), Weather { corruption: 100, ..Weather::NONE }, 10).stats;
        let of = |name| stats.counts.get(name).copied().unwrap_or_default();
        let refused = of("corrupt: not decoded")
            + of("corrupt: refused at the door")
            + of("corrupt: left to the transport");
        let corrupted = stats.mishaps["corrupted"];
        assert!(corrupted > 500, "{plan}: {stats:?}");
        // A change that changes nothing, such as one bit twice, is none.
        assert!(refused <= corrupted && refused >= corrupted * 99 / 100, "{refused} {corrupted}");
    }
    let links = LinkSettings { corruption: 100, ..LinkSettings::QUIET };
    both(5, links, |rig, what| asks_twenty(rig, 100, what));
}

/// What a primary meets the timing assumption by: its tokens come back before the patience of
/// [`daruma_catalogue::plan`] is over.
const STEADY: LinkSettings =
    LinkSettings { delay_us_min: 9_000, delay_us_max: 9_000, ..LinkSettings::QUIET };

#[test]
fn c_n07_ten_times_slower_links_lead_to_no_suspicion_whoever_has_them() {
    let automaton = Establishment::Automaton { event_driven_fd: false };
    let eleven = Plan::calm(7, 6).establishment(automaton).replicas(11).in_rounds();
    let certified = Plan { establishment: Establishment::Certified, ..eleven.clone() };
    let [six, six_automaton] = six_of_both(7);
    let of_six: [&[usize]; 2] = [&[0], &[3]];
    let of_eleven: [&[usize]; 2] = [&[0, 5], &[3, 7]];
    for (plan, slow) in
        [(six, of_six), (six_automaton, of_six), (certified, of_eleven), (eleven, of_eleven)]
    {
        for (slow, rhythm) in slow.into_iter().zip(RHYTHMS) {
            let plan = plan.clone().links(STEADY);
            let what = format!("{plan} {rhythm:?} slow {slow:?}");
            plan.drive(rhythm, |rig| {
                rig.until(VIEW_ROUNDS_MAX, healthy).unwrap();
                let weather = Weather { slowness: 10, ..Weather::NONE };
                set_weather(
                    rig,
                    &links_of(plan.thresholds.replicas(), slow),
                    weather,
                    u64::MAX / 2,
                );
                let mut asked = Asked::default();
                for _ in 0..15 {
                    asked.one_more(rig);
                    let done = rig.until(REQUEST_ROUNDS_MAX, |rig| {
                        all_executed_these(rig, &asked.operations)
                    });
                    assert!(done.is_some(), "{what}: {}", standings(rig));
                    let suspected = rig.never(10, |rig| {
                        rig.correct().iter().any(|id| rig.status(*id).monitor.suspects)
                    });
                    assert_eq!(suspected, None, "{what}");
                }
                assert!(all_in_view(rig, 0), "{what}");
                assert_eq!(consistent(rig), None, "{what}");
            });
        }
    }
}

#[test]
fn c_n07_a_primary_too_slow_for_the_failure_detector_is_replaced_exactly_once() {
    both(8, STEADY, |rig, what| {
        rig.until(VIEW_ROUNDS_MAX, healthy).unwrap();
        // A token takes 3.6 s there and back, and the patience is 0.6 s.
        let weather = Weather { slowness: 200, ..Weather::NONE };
        set_weather(rig, &links_of(6, &[0]), weather, u64::MAX / 2);
        let mut asked = Asked::default();
        asked.one_more(rig);
        let others = |rig: &Rig<'_>| (1..6).all(|id| rig.standing(ReplicaId(id)).view.0 == 1);
        let bound = u64::from(DETECTION_ROUNDS_MAX + CHANGE_ROUNDS_MAX) * TICK_US;
        assert!(rig.until_within(bound, others).is_some(), "{what}: {}", standings(rig));
        let again = rig.never_during(60 * SECOND_US, |rig| {
            rig.correct().iter().any(|id| rig.standing(*id).view.0 > 1)
        });
        assert_eq!(again, None, "{what}: {}", standings(rig));
        assert!(all_in_view(rig, 1), "{what}: the slow one came along");
        assert!(all_executed_these(rig, &asked.operations), "{what}");
    });
}

#[test]
fn c_n08_swizzled_replicas_serve_again_after_the_last_release() {
    for seed in 0..8 {
        both(seed, LinkSettings::QUIET, |rig, what| {
            rig.until(VIEW_ROUNDS_MAX, healthy).unwrap();
            let mut draws = Draws::new(seed);
            let mut clogged = draws.shuffled((0..6).collect::<Vec<usize>>());
            clogged.truncate(draws.between(1, 6) as usize);
            let step_us = draws.between(200_000, 2 * SECOND_US);
            let releases = draws.shuffled((0..clogged.len() as u64).collect::<Vec<_>>());
            let all_us = rig.now_us() + step_us * clogged.len() as u64;
            let mut asked = Asked::default();
            for (id, turn) in clogged.iter().zip(&releases) {
                let until_us = all_us + step_us * (turn + 1);
                let weather = Weather { clogged_until_us: Some(until_us), ..Weather::NONE };
                let lasts_us = until_us - rig.now_us();
                set_weather(rig, &links_of(6, &[*id]), weather, lasts_us);
                asked.one_more(rig);
                let wrong = rig.never_during(step_us, |rig| two_views_decide(rig, SIX));
                assert_eq!(wrong, None, "{what} {clogged:?}");
            }
            let left_us = step_us * clogged.len() as u64;
            let wrong = rig.never_during(left_us, |rig| two_views_decide(rig, SIX));
            assert_eq!(wrong, None, "{what} {clogged:?}");
            let bound = u64::from(VIEW_ROUNDS_MAX) * TICK_US;
            let well = rig.until_within(bound, |rig| {
                healthy(rig) && all_executed_these(rig, &asked.operations)
            });
            assert!(well.is_some(), "{what} {clogged:?}: {}", standings(rig));
        });
    }
}

/// Spreads the replicas over views: proven ones for the certified variant, any pairs for the automaton.
fn spread(rig: &mut Rig<'_>, seed: u64) {
    let mut draws = Draws::new(seed);
    if rig.engine(ReplicaId(0)).automaton().is_none() {
        let proofs = views_with_proofs(rig, 4);
        for id in rig.correct() {
            let (view, proof) = proofs[draws.below(5) as usize].clone();
            rig.engine(id).set_view(view, draws.below(2) as u8, proof);
        }
        return;
    }
    for id in rig.correct() {
        let engine = rig.engine(id);
        let (state, _) = engine.automaton_mut().unwrap();
        for known in &mut state.known {
            let current = draws.below(6) as u16;
            let next = draws.below(6) as u16;
            let phase = u8::from(current != next);
            *known = Place {
                phase,
                pair: ViewPair { current: Some(current), next },
                change: draws.below(2) == 0,
                witness: draws.below(2) == 0,
            };
        }
        let known = state.known.clone();
        for (echo, known) in state.echo.iter_mut().zip(known) {
            *echo = (draws.below(3) > 0).then_some(known);
        }
    }
}

/// Every message that would complete a quorum or a predicate is held back for some rounds; rounds are
/// counted with what is held back in them.
#[test]
fn c_n09_a_scheduler_that_holds_back_what_completes_a_quorum_does_not_exceed_the_bounds() {
    for seed in 0..6 {
        both(seed, LinkSettings::QUIET, |rig, what| {
            rig.until(VIEW_ROUNDS_MAX, healthy).unwrap();
            spread(rig, seed);
            let delay_us = (1 + seed) * TICK_US;
            rig.inject(Fault::Hold { delay_us, until_us: u64::MAX });
            let rounds = rig.until(VIEW_ROUNDS_MAX, healthy);
            assert!(rounds.is_some(), "{what}: {}", standings(rig));
            let mut asked = Asked::default();
            for _ in 0..3 {
                asked.one_more(rig);
                let done =
                    rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed_these(rig, &asked.operations));
                assert!(done.is_some(), "{what}: {}", standings(rig));
            }
            // A view change that is wanted is carried out as well.
            let before = rig.standing(ReplicaId(0)).view;
            rig.correct().into_iter().for_each(|id| rig.suspect(id));
            let changed = rig.until(CHANGE_ROUNDS_MAX, |rig| {
                healthy(rig) && rig.standing(ReplicaId(0)).view > before
            });
            assert!(changed.is_some(), "{what}: {}", standings(rig));
        });
    }
}

/// Each link takes half of what a replica says to each other one, for a minute. The rest waits in its queue,
/// for up to half as many ticks as that is long, and what finds it full is lost. Not every primary need get
/// through that.
#[test]
fn c_n11_links_too_narrow_for_what_is_said_bound_their_queues_and_service_goes_on() {
    both(11, LinkSettings::QUIET, |rig, what| {
        rig.until(VIEW_ROUNDS_MAX, healthy).unwrap();
        let narrow_us = 60 * SECOND_US;
        let weather = Weather { per_tick: Some(2), ..Weather::NONE };
        set_weather(rig, &all_links(6), weather, narrow_us);
        let end_us = rig.now_us() + narrow_us;
        let (mut asked, mut executed) = (Asked::default(), 0);
        while rig.now_us() < end_us {
            asked.one_more(rig);
            let left_us = end_us - rig.now_us();
            let done = rig.until_within(left_us, |rig| all_executed_these(rig, &asked.operations));
            executed += usize::from(done.is_some());
        }
        assert!(executed >= 2, "{what}: {executed} executed meanwhile, {}", standings(rig));
        // What was said last goes through the whole queue.
        let queue_us = limits::LINK_QUEUE_MAX / 2 * TICK_US;
        let bound = 3 * queue_us + u64::from(VIEW_ROUNDS_MAX) * TICK_US;
        let well = rig
            .until_within(bound, |rig| healthy(rig) && all_executed_these(rig, &asked.operations));
        assert!(well.is_some(), "{what}: {}", standings(rig));
        let changes = rig.standing(ReplicaId(0)).view.0;
        assert!(changes <= 2, "{what}: {changes} view changes");
    });
}

/// Sixty requests over sixty seconds with this weather, another one for each pair of replicas; the entries
/// that replicas keep at most, after each.
fn kept_over_a_minute(rig: &mut Rig<'_>, weather: impl Fn(&mut Draws) -> Weather) -> Vec<u64> {
    rig.until(VIEW_ROUNDS_MAX, healthy).unwrap();
    let mut draws = Draws::new(12);
    for pair in all_links(6).into_iter().filter(|(from, to)| from < to) {
        let weather = weather(&mut draws);
        set_weather(rig, &[pair, (pair.1, pair.0)], weather, u64::MAX / 2);
    }
    let mut asked = Asked::default();
    let mut kept = Vec::new();
    for _ in 0..60 {
        asked.one_more(rig);
        let done = rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed_these(rig, &asked.operations));
        assert!(done.is_some(), "{}", standings(rig));
        rig.never_during(SECOND_US, |_| false);
        kept.push(rig.stats().held_max);
    }
    kept
}

/// That no task, socket or memory is left behind by a real connection is shown on real sockets.
#[test]
fn c_n12_connections_that_break_every_few_seconds_hinder_nothing_and_leave_nothing_behind() {
    for (plan, rhythm) in six_of_both(12).into_iter().zip(RHYTHMS) {
        let run = |breaks: bool| {
            plan.drive(rhythm, |rig| {
                let kept = kept_over_a_minute(rig, |draws| {
                    let every_us = draws.between(SECOND_US / 2, 5 * SECOND_US);
                    Weather { severed_every_us: every_us * u64::from(breaks), ..Weather::NONE }
                });
                assert_eq!(consistent(rig), None);
                kept
            })
        };
        let (calm, churned) = (run(false), run(true));
        let more: Vec<u64> = churned.iter().zip(&calm).map(|(c, k)| c.saturating_sub(*k)).collect();
        // One entry may be under way on each of the 15 connections; one left behind by each of their breaks
        // would come to hundreds in a minute.
        let most = more.iter().max();
        assert!(most <= Some(&15), "{plan}: {more:?} entries more than without churn");
    }
}
