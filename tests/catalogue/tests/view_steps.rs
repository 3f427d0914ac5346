//! What happens at each step of a view change, and of a reset, under both view establishments: the
//! network falls apart (catalogue C-P05), or a replica turns Byzantine (C-Z11).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use daruma_catalogue::{
    CHANGE_ROUNDS_MAX, VIEW_ROUNDS_MAX, all_executed, consistent, healthy, plan,
};
use daruma_simulator::{Behaviour, Plan, Rhythm, Rig, Standing, convergence_rounds_max};
use daruma_types::{Establishment, Place, ReplicaId, View, ViewPair, ViewProof};

/// Both view establishments, each with the fewest replicas that tolerate a Byzantine one.
const KINDS: [(u16, Establishment); 3] = [
    (4, Establishment::Certified),
    (6, Establishment::Automaton { event_driven_fd: false }),
    (6, Establishment::Automaton { event_driven_fd: true }),
];

/// Rounds through which the network stays apart: longer than a step takes, and shorter than patience.
const APART_ROUNDS: u32 = 12;

/// What sets a view establishment in motion.
#[derive(Debug, Clone, Copy)]
enum Stirred {
    /// All suspect their primary.
    Change,
    /// No two memories agree on the view: all begin anew.
    Reset,
}

fn kind(n: u16, establishment: Establishment) -> Plan {
    plan(n.into(), 1).establishment(establishment)
}

fn ids(n: u16) -> Vec<ReplicaId> {
    (0..n).map(ReplicaId).collect()
}

fn stir(rig: &mut Rig<'_>, n: u16, what: Stirred) {
    assert!(rig.until(2 * VIEW_ROUNDS_MAX, healthy).is_some());
    for id in ids(n) {
        let engine = rig.engine(id);
        match what {
            Stirred::Change => engine.suspect(),
            Stirred::Reset => {
                engine.set_view(View(5 + u64::from(id.0)), 0, ViewProof::Initial);
                if let Some((state, _)) = engine.automaton_mut() {
                    let places =
                        (0..n).map(|id| Place { pair: ViewPair::settled(id % 4), ..Place::RESET });
                    state.known = places.collect();
                }
            }
        }
    }
}

/// What changes with each step that a replica takes, on the way to a view and into its ballot.
fn step(rig: &Rig<'_>, id: ReplicaId) -> (View, u8, bool, Option<Place>) {
    let Standing { view, phase, active, .. } = rig.standing(id);
    let place = rig.place(id);
    (view, phase, active, place)
}

/// Lets `id` take so many steps; false if it takes fewer.
fn takes_steps(rig: &mut Rig<'_>, id: ReplicaId, steps: u32) -> bool {
    let (mut seen, mut left) = (step(rig, id), steps);
    rig.until_event(CHANGE_ROUNDS_MAX, |rig| {
        let now = step(rig, id);
        left -= u32::from(now != seen && left > 0);
        seen = now;
        left == 0
    })
}

/// Runs `story` at every step of every one of `replicas`, in both rhythms by turns, until it takes no
/// further one. How many there were.
fn at_each_step(
    n: u16,
    establishment: Establishment,
    what: Stirred,
    replicas: &[ReplicaId],
    story: impl Fn(&mut Rig<'_>, ReplicaId, u32),
) -> u32 {
    let mut all = 0;
    for id in replicas {
        for steps in 0.. {
            let rhythm = if steps % 2 == 0 { Rhythm::LockStep } else { Rhythm::Random };
            let taken = kind(n, establishment).drive(rhythm, |rig| {
                stir(rig, n, what);
                let taken = takes_steps(rig, *id, steps);
                if taken {
                    story(rig, *id, steps);
                    assert_eq!(consistent(rig), None, "{establishment:?} {what:?} {id} {steps}");
                }
                taken
            });
            if !taken {
                all += steps;
                break;
            }
        }
    }
    all
}

fn in_one_view(rig: &Rig<'_>) -> bool {
    let mut correct = rig.correct().into_iter().map(|id| rig.standing(id));
    let first = correct.next().map(|standing| standing.view);
    correct.all(|standing| Some(standing.view) == first && standing.settled)
}

/// Cuts or joins all links between the two groups.
fn divide(rig: &mut Rig<'_>, n: u16, group: &[ReplicaId], is_cut: bool) {
    for one in group {
        for other in ids(n).iter().filter(|other| !group.contains(other)) {
            rig.cut(*one, *other, is_cut);
            rig.cut(*other, *one, is_cut);
        }
    }
}

fn bound(n: u16, establishment: Establishment) -> u32 {
    let Plan { local, thresholds, .. } = kind(n, establishment);
    convergence_rounds_max(&local, thresholds, establishment)
}

#[test]
fn c_p05_a_network_that_falls_apart_at_any_step_of_a_change_or_a_reset_serves_again_once_it_heals()
{
    for (n, establishment) in KINDS {
        for what in [Stirred::Change, Stirred::Reset] {
            let steps = at_each_step(n, establishment, what, &ids(n), |rig, id, steps| {
                // Alone, or with half of them.
                let with = if steps / 2 % 2 == 0 { 1 } else { n / 2 };
                let group: Vec<_> = (0..with).map(|i| ReplicaId((id.0 + i) % n)).collect();
                divide(rig, n, &group, true);
                rig.run(APART_ROUNDS);
                divide(rig, n, &group, false);
                let told = format!("{establishment:?} {what:?} {group:?} after {steps}");
                assert!(rig.until(VIEW_ROUNDS_MAX, in_one_view).is_some(), "{told}");
                let all = rig.correct();
                rig.submit(&all, 0, 1, "after");
                let served = |rig: &Rig<'_>| healthy(rig) && all_executed(rig, &["after"]);
                assert!(rig.until(bound(n, establishment), served).is_some(), "{told}");
            });
            // The certified views repair what is proven in one step, without a way through others.
            let least = if establishment == Establishment::Certified { 1 } else { 4 };
            assert!(steps >= least * u32::from(n), "{establishment:?} {what:?}: {steps} steps");
        }
    }
}

/// Every behaviour, and the one that changes its own at every message or so in some ways more. Twins are
/// two instances, not one that turns.
fn turns() -> Vec<(Behaviour, u64)> {
    let one = |behaviour: &Behaviour| *behaviour != Behaviour::Twins;
    let mut turns: Vec<_> = Behaviour::ALL.into_iter().filter(one).map(|b| (b, 0)).collect();
    turns.extend((1..5).map(|seed| (Behaviour::Chameleon, seed)));
    turns
}

#[test]
fn c_z11_one_that_turns_byzantine_at_any_step_of_a_change_keeps_nobody_from_a_view_and_service() {
    // The primary that is left, the one that is next, and one that is neither.
    for liar in [0, 1, 3].map(ReplicaId) {
        for (n, establishment) in KINDS {
            for (behaviour, seed) in turns() {
                let watched = ReplicaId((liar.0 + 1) % n);
                let what = Stirred::Change;
                let steps = at_each_step(n, establishment, what, &[watched], |rig, _, steps| {
                    rig.behave_by_chance(liar, Some(behaviour), u64::from(steps) * 8 + seed);
                    let all = rig.correct();
                    rig.submit(&all, 0, 1, "after");
                    let served = |rig: &Rig<'_>| in_one_view(rig) && all_executed(rig, &["after"]);
                    let taken = rig.until(bound(n, establishment), served);
                    let name = behaviour.name();
                    assert!(taken.is_some(), "{establishment:?} {liar} {name} {seed} {steps}");
                });
                assert!(steps >= 3, "{establishment:?}: {steps} steps");
            }
        }
    }
}
