//! Partitions and links cut in one direction (the catalogue's C-P rows, and C-N10). A side that cannot decide does nothing, and nothing that a
//! client holds as done is lost when the sides meet again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::BTreeSet;

use daruma_catalogue::{
    CLOSURE_ROUNDS, Counts, DETECTION_ROUNDS_MAX, Draws, Link, REQUEST_ROUNDS_MAX, RHYTHMS,
    VIEW_ROUNDS_MAX, acknowledged, all_executed_these, all_in_view, between, consistent, healthy,
    in_view, neighbours, plan, set_cut, six_of_both, two_views_decide,
};
use daruma_simulator::{Plan, Rhythm, Rig};
use daruma_types::{Establishment, ReplicaId};

const SIX: Counts = Counts { n: 6, f: 1 };

/// For how long a partition lasts: the failure detector fires some times meanwhile, with the patience
/// that grows.
const APART_ROUNDS: u32 = 120;

/// From the healing to everything that was asked for, executed everywhere: the sides meet, one suspicion
/// that began before is carried out, and another primary, whom a minority suspects, has its time.
const HEALED_ROUNDS_MAX: u32 = VIEW_ROUNDS_MAX + 4 * DETECTION_ROUNDS_MAX + REQUEST_ROUNDS_MAX;

fn id(index: usize) -> ReplicaId {
    ReplicaId(index as u16)
}

fn ids(of: impl IntoIterator<Item = usize>) -> Vec<ReplicaId> {
    of.into_iter().map(id).collect()
}

fn heights(rig: &Rig<'_>) -> Vec<u64> {
    rig.correct().into_iter().map(|id| rig.standing(id).executed.height.0).collect()
}

fn views(rig: &Rig<'_>) -> Vec<u64> {
    rig.correct().into_iter().map(|id| rig.standing(id).view.0).collect()
}

/// After the healing: one view, everything that was asked for executed once everywhere, what clients
/// held as done before still there, and the view stays.
fn recovers(rig: &mut Rig<'_>, asked: &BTreeSet<String>, held: &BTreeSet<String>, what: &str) {
    let rounds = rig.until(HEALED_ROUNDS_MAX, |rig| healthy(rig) && all_executed_these(rig, asked));
    let standing = || rig.correct().iter().map(|id| rig.standing(*id)).collect::<Vec<_>>();
    assert!(rounds.is_some(), "{what}: {:#?}", standing());
    assert!(held.is_subset(&acknowledged(rig, SIX)), "{what}: lost of {held:?}");
    assert_eq!(consistent(rig), None, "{what}");
    let view = rig.status(ReplicaId(0)).view.0;
    assert_eq!(rig.never(CLOSURE_ROUNDS, |rig| !all_in_view(rig, view)), None, "{what}");
}

/// Lets six replicas in view `primary` fall apart in `sides`, each with a request of its own. A side
/// executes if it has `n-2f` and the primary, or `n-f`; it changes the view only with `n-f`.
fn falls_apart(plan: &Plan, rhythm: Rhythm, sides: &[Vec<usize>], primary: usize) {
    let what = format!("{plan} {rhythm:?} {sides:?} primary {primary}");
    plan.drive(rhythm, |rig| {
        assert!(rig.until(VIEW_ROUNDS_MAX, healthy).is_some());
        in_view(rig, primary as u64);
        let all = rig.correct();
        rig.submit(&all, 9, 1, "before");
        let before = BTreeSet::from(["before".to_owned()]);
        assert!(rig.until(REQUEST_ROUNDS_MAX, |rig| all_executed_these(rig, &before)).is_some());
        rig.run(2);
        let side = |id: usize| sides.iter().position(|side| side.contains(&id)).unwrap();
        let cut = between(6, |a, b| side(a) != side(b));
        set_cut(rig, &cut, true);
        let mut asked = before;
        for (client, members) in sides.iter().enumerate() {
            let operation = format!("of side {client}");
            rig.submit(&ids(members.iter().copied()), client as u16, 1, &operation);
            asked.insert(operation);
        }
        let may_execute = |id: usize| sides[side(id)].len() >= SIX.supporting();
        let may_change = |id: usize| sides[side(id)].len() >= SIX.all_but_faulty();
        let wrong = rig.never(APART_ROUNDS, |rig| {
            let (heights, views) = (heights(rig), views(rig));
            let wrong = |id: usize| {
                (!may_execute(id) && heights[id] != 1)
                    || (!may_change(id) && views[id] != primary as u64)
            };
            (0..6).any(wrong) || two_views_decide(rig, SIX)
        });
        assert_eq!(wrong, None, "{what}: {:?} {:?}", heights(rig), views(rig));
        for members in sides {
            let executes = members.len() >= SIX.all_but_faulty()
                || (members.len() >= SIX.supporting() && members.contains(&primary));
            let expected = if executes { 2 } else { 1 };
            for id in members {
                assert_eq!(heights(rig)[*id], expected, "{what}: {id}");
            }
        }
        assert_eq!(consistent(rig), None, "{what}");
        let held = acknowledged(rig, SIX);
        set_cut(rig, &cut, false);
        recovers(rig, &asked, &held, &what);
    });
}

#[test]
fn c_p01_every_split_of_six_stops_the_side_that_cannot_decide_and_loses_nothing() {
    for split in 1..32_usize {
        // Node 5 is always on the first side, so that each split comes once.
        let (one, other): (Vec<_>, Vec<_>) = (0..6).partition(|id| split >> id & 1 == 0);
        for (i, plan) in six_of_both(split as u64).iter().enumerate() {
            for (j, primary) in [one[0], other[0]].into_iter().enumerate() {
                falls_apart(
                    plan,
                    RHYTHMS[(i + j + split) % 2],
                    &[one.clone(), other.clone()],
                    primary,
                );
            }
        }
    }
}

#[test]
fn c_p02_every_three_way_split_of_six_stops_all_sides_that_cannot_decide() {
    let mut splits = BTreeSet::new();
    for code in 0..3_usize.pow(6) {
        let mut sides = vec![Vec::new(); 3];
        (0..6).for_each(|id| sides[code / 3_usize.pow(id as u32) % 3].push(id));
        sides.sort_unstable();
        if sides.iter().all(|side| !side.is_empty()) {
            splits.insert(sides);
        }
    }
    assert_eq!(splits.len(), 90);
    for (i, sides) in splits.iter().enumerate() {
        falls_apart(&six_of_both(i as u64)[i % 2], RHYTHMS[i / 2 % 2], sides, 0);
    }
}

/// Lets the links of `cut` be cut while something is asked for everywhere. Where nobody hears `n-2f`,
/// nothing is executed; where nobody hears `n-f`, no view changes.
fn takes_shape(plan: &Plan, rhythm: Rhythm, cut: &[Link], shape: &str) {
    let what = format!("{plan} {rhythm:?} {shape}");
    let most = neighbours(6, cut).iter().map(BTreeSet::len).max().unwrap();
    plan.drive(rhythm, |rig| {
        assert!(rig.until(VIEW_ROUNDS_MAX, healthy).is_some(), "{what}");
        set_cut(rig, cut, true);
        let all = rig.correct();
        rig.submit(&all, 0, 1, "apart");
        let wrong = rig.never(APART_ROUNDS, |rig| {
            two_views_decide(rig, SIX)
                || (most < SIX.supporting() && heights(rig) != [0; 6])
                || (most < SIX.all_but_faulty() && views(rig) != [0; 6])
        });
        assert_eq!(wrong, None, "{what}: {:?} {:?}", heights(rig), views(rig));
        assert_eq!(consistent(rig), None, "{what}");
        let held = acknowledged(rig, SIX);
        set_cut(rig, cut, false);
        recovers(rig, &BTreeSet::from(["apart".to_owned()]), &held, &what);
    });
}

#[test]
fn c_p02_a_ring_a_chain_a_star_and_two_halves_with_a_bridge_recover_and_lose_nothing() {
    let mut draws = Draws::new(2);
    for seed in 0..6 {
        let place = draws.shuffled((0..6).collect::<Vec<usize>>());
        let apart = |a: usize, b: usize| place[a].abs_diff(place[b]);
        let ring = between(6, |a, b| !matches!(apart(a, b), 1 | 5));
        let chain = between(6, |a, b| apart(a, b) != 1);
        // A star around a node that is not the primary, and a bridge between a half of three and one of two.
        let center = (0..6).find(|id| *id != 0 && place[*id] >= 4).unwrap();
        let star = between(6, |a, b| a != center && b != center);
        let bridge = between(6, |a, b| place[a] < 3 && place[b] > 3);
        for (i, plan) in six_of_both(seed).iter().enumerate() {
            let rhythm = RHYTHMS[(seed as usize + i) % 2];
            takes_shape(plan, rhythm, &ring, "ring");
            takes_shape(plan, rhythm, &chain, "chain");
            takes_shape(plan, rhythm, &star, "star");
            takes_shape(plan, rhythm, &bridge, "bridge");
        }
    }
}

/// Cuts these links for good: what is asked for is executed by all, after `changes_max` view changes at
/// most, and then the view stays.
fn goes_on(plan: &Plan, rhythm: Rhythm, cut: &[Link], changes_max: u64, shape: &str) {
    let what = format!("{plan} {rhythm:?} {shape}");
    plan.drive(rhythm, |rig| {
        assert!(rig.until(VIEW_ROUNDS_MAX, healthy).is_some(), "{what}");
        set_cut(rig, cut, true);
        let all = rig.correct();
        let mut asked = BTreeSet::new();
        for nonce in 1..=3 {
            rig.submit(&all, 0, nonce, &nonce.to_string());
            asked.insert(nonce.to_string());
            let rounds = rig.until(HEALED_ROUNDS_MAX, |rig| all_executed_these(rig, &asked));
            let standing = || rig.correct().iter().map(|id| rig.standing(*id)).collect::<Vec<_>>();
            assert!(rounds.is_some(), "{what}: {:?} {:#?}", heights(rig), standing());
        }
        let settled = views(rig);
        let highest = settled.iter().max().unwrap();
        assert!(*highest <= changes_max, "{what}: {settled:?}");
        let moved = rig.never(CLOSURE_ROUNDS, |rig| views(rig) != settled);
        assert_eq!(moved, None, "{what}: {settled:?}, then {:?}", views(rig));
        assert_eq!(consistent(rig), None, "{what}");
    });
}

#[test]
fn c_p03_one_pair_or_two_disjoint_pairs_that_are_cut_hinder_nobody() {
    let pairs: Vec<(usize, usize)> = (0..6).flat_map(|a| (0..a).map(move |b| (b, a))).collect();
    assert_eq!(pairs.len(), 15);
    for (i, pair) in pairs.iter().enumerate() {
        for (j, plan) in six_of_both(i as u64).iter().enumerate() {
            let one = between(6, |a, b| (a, b) == *pair);
            goes_on(plan, RHYTHMS[(i + j) % 2], &one, 0, &format!("{pair:?}"));
            // One of those with which it has no replica in common.
            let apart = |other: &&(usize, usize)| {
                ![other.0, other.1].iter().any(|id| [pair.0, pair.1].contains(id))
            };
            let others: Vec<_> = pairs.iter().filter(apart).collect();
            let other = *others[i % others.len()];
            let two = between(6, |a, b| (a, b) == *pair || (a, b) == other);
            goes_on(plan, RHYTHMS[(i + j + 1) % 2], &two, 0, &format!("{pair:?} {other:?}"));
        }
    }
}

#[test]
fn c_p03_one_isolated_from_f_to_2f_plus_1_others_costs_at_most_f_plus_one_views() {
    for (n, establishment) in [
        (6, Establishment::Certified),
        (6, Establishment::Automaton { event_driven_fd: false }),
        (11, Establishment::Certified),
        (11, Establishment::Automaton { event_driven_fd: false }),
    ] {
        let f = (n - 1) / 5;
        let thresholds = daruma_types::Thresholds::new(n, f).unwrap();
        for others in BTreeSet::from([f, f + 1, 2 * f, 2 * f + 1]) {
            for isolated in [0, 2] {
                let from = |id: usize| (id + n - isolated) % n;
                let cut = between(n, |a, b| a == isolated && (1..=others).contains(&from(b)));
                let plan = Plan { thresholds, establishment, ..plan(n, others as u64) };
                let rhythm = RHYTHMS[(others + isolated / 2) % 2];
                let what = format!("{isolated} from {others} others");
                goes_on(&plan, rhythm, &cut, f as u64 + 1, &what);
            }
        }
    }
}

#[test]
fn c_n10_every_single_link_cut_in_one_direction_costs_at_most_f_plus_one_views() {
    for (i, link) in between(6, |_, _| true).into_iter().enumerate() {
        for (j, plan) in six_of_both(i as u64).iter().enumerate() {
            goes_on(plan, RHYTHMS[(i + j) % 2], &[link], 2, &format!("{link:?}"));
        }
    }
}

#[test]
fn c_n10_with_f_links_to_each_replica_cut_at_random_at_most_f_plus_one_views_follow() {
    for seed in 0..6 {
        for (i, plan) in six_of_both(seed).into_iter().enumerate() {
            for plan in [plan.clone(), eleven(&plan)] {
                let thresholds = plan.thresholds;
                let (n, f) = (thresholds.replicas(), thresholds.faulty_max());
                let mut draws = Draws::new(seed);
                let mut cut = Vec::new();
                for to in 0..n {
                    let others: Vec<usize> = (0..n).filter(|from| *from != to).collect();
                    let unheard = draws.shuffled(others).into_iter().take(f);
                    cut.extend(unheard.map(|from| (id(from), id(to))));
                }
                let rhythm = RHYTHMS[(seed as usize + i) % 2];
                goes_on(&plan, rhythm, &cut, f as u64 + 1, &format!("{cut:?}"));
            }
        }
    }
}

/// The same plan for eleven replicas, two of which may be Byzantine.
fn eleven(plan: &Plan) -> Plan {
    Plan { thresholds: daruma_types::Thresholds::new(11, 2).unwrap(), ..plan.clone() }
}

#[test]
fn c_p04_a_thousand_rounds_of_changing_partitions_break_nothing_and_end_well() {
    for (i, plan) in six_of_both(4).iter().enumerate() {
        let rhythm = RHYTHMS[i];
        let what = format!("{plan} {rhythm:?}");
        plan.drive(rhythm, |rig| {
            let mut draws = Draws::new(4);
            let (mut cut, mut held) = (Vec::new(), BTreeSet::new());
            let end = rig.rounds() + 1_000;
            while rig.rounds() < end {
                set_cut(rig, &cut, false);
                let side = draws.below(64);
                cut = between(6, |a, b| side >> a & 1 != side >> b & 1);
                set_cut(rig, &cut, true);
                let operation = format!("round {}", rig.rounds());
                let some = ids((0..6).filter(|_| draws.below(2) == 0));
                rig.submit(&some, 0, u64::from(rig.rounds()), &operation);
                let lasts = draws.between(1, 10) as u32;
                let wrong = rig.never(lasts, |rig| two_views_decide(rig, SIX));
                assert_eq!(wrong, None, "{what}");
                assert_eq!(consistent(rig), None, "{what}");
                let now = acknowledged(rig, SIX);
                assert!(now.is_superset(&held), "{what}: {held:?}, then {now:?}");
                held = now;
            }
            set_cut(rig, &cut, false);
            let all = rig.correct();
            rig.submit(&all, 1, 1, "after");
            let done = rig.until(HEALED_ROUNDS_MAX, |rig| {
                healthy(rig) && rig.operations(ReplicaId(0)).contains(&"after".to_owned())
            });
            assert!(done.is_some(), "{what}: {:?}", views(rig));
            let everything = rig.operations(ReplicaId(0)).into_iter().collect();
            recovers(rig, &everything, &held, &what);
        });
    }
}

/// What the interfaces answer meanwhile is for their own tests; here, that nobody attests what was not
/// decided, so that no client is told it was.
#[test]
fn c_p06_a_client_on_the_minority_side_is_never_told_that_its_request_was_executed() {
    for minority in [vec![5], vec![4, 5], vec![0, 1], vec![3, 4, 5], vec![0, 1, 2]] {
        for (plan, rhythm) in six_of_both(6).iter().zip(RHYTHMS) {
            let what = format!("{plan} {rhythm:?} {minority:?}");
            plan.drive(rhythm, |rig| {
                assert!(rig.until(VIEW_ROUNDS_MAX, healthy).is_some(), "{what}");
                let cut = between(6, |a, b| minority.contains(&a) != minority.contains(&b));
                set_cut(rig, &cut, true);
                rig.submit(&ids(minority.iter().copied()), 0, 1, "unheard");
                let told = rig.never(APART_ROUNDS, |rig| {
                    rig.confirmed() > 0
                        || rig.correct().iter().any(|id| !rig.blocks(*id).is_empty())
                });
                assert_eq!(told, None, "{what}");
                for id in &minority {
                    assert_eq!(rig.status(ReplicaId(*id as u16)).pending, 1, "{what}: it waits");
                }
                set_cut(rig, &cut, false);
                recovers(rig, &BTreeSet::from(["unheard".to_owned()]), &BTreeSet::new(), &what);
                assert_eq!(rig.confirmed(), 1, "{what}");
            });
        }
    }
}
