//! The paper's view establishment in whole engines, from the exact start states of the thesis's
//! appendix C (test catalogue A02 to A12) and the states in which the published prototype stays for
//! ever (catalogue 9.1).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod cluster;

use daruma_engine::{Engine, EngineHead, Illegal, Input};
use daruma_types::{
    Ballot, Establishment, Hash, HeadClaim, Height, Place, ReplicaId, SignerSet, Statement,
    Transaction, ViewPair,
};

use cluster::{B_VE, CHAIN, Cluster, Lie, key};

const RST: ViewPair = ViewPair::RESET;
const PLAIN: Establishment = Establishment::Automaton { event_driven_fd: false };
const DETECTED: Establishment = Establishment::Automaton { event_driven_fd: true };

const fn pair(current: u16, next: u16) -> ViewPair {
    ViewPair { current: Some(current), next }
}

const fn place(phase: u8, pair: ViewPair) -> Place {
    Place { phase, pair, change: false, witness: false }
}

const fn witnessed(place: Place) -> Place {
    Place { witness: true, ..place }
}

const fn wanting(place: Place) -> Place {
    Place { change: true, ..place }
}

const fn settled(view: u16) -> Place {
    place(0, ViewPair::settled(view))
}

/// Six or more alike.
fn all<const N: usize>(place: Place) -> [Place; N] {
    [place; N]
}

#[test]
fn a01_from_the_defaults_view_0_is_established_and_orders() {
    for establishment in [PLAIN, DETECTED] {
        for n in [6, 11, 12, 16] {
            let mut cluster = Cluster::new(n, establishment);
            cluster.reaches(0, B_VE);
            cluster.executes_one(12);
            assert_eq!(cluster.repaired, [], "nothing was illegal");
        }
    }
}

#[test]
fn a02_one_that_is_a_step_behind_follows_into_the_view() {
    for establishment in [PLAIN, DETECTED] {
        let (behind, ahead) = (witnessed(settled(1)), witnessed(place(1, pair(1, 2))));
        let places = [behind, ahead, ahead, ahead, ahead, ahead];
        let mut cluster = Cluster::starts(6, establishment, &places);
        for index in 0..6 {
            cluster.echoed(index, &places);
        }
        cluster.reaches(2, B_VE);
    }
}

#[test]
fn a03_two_that_are_a_step_behind_follow_into_the_view() {
    for establishment in [PLAIN, DETECTED] {
        let (behind, ahead) = (witnessed(settled(1)), witnessed(place(1, pair(1, 2))));
        let places = [behind, behind, ahead, ahead, ahead, ahead];
        let mut cluster = Cluster::starts(6, establishment, &places);
        for index in 0..6 {
            cluster.echoed(index, &all::<6>(places[usize::from(index)]));
        }
        cluster.reaches(2, B_VE);
    }
}

#[test]
fn a04_five_that_want_another_view_lead_the_sixth_there() {
    for establishment in [PLAIN, DETECTED] {
        let mut places = all::<6>(wanting(settled(1)));
        places[5] = settled(1);
        Cluster::starts(6, establishment, &places).reaches(2, B_VE);
    }
}

#[test]
fn a05_where_no_view_has_support_all_reset_to_view_0() {
    for establishment in [PLAIN, DETECTED] {
        let mut places = [
            wanting(settled(1)),
            wanting(settled(2)),
            wanting(place(1, pair(2, 3))),
            wanting(settled(0)),
            settled(4),
            settled(4),
        ];
        Cluster::starts(6, establishment, &places).reaches(0, B_VE);
        places.reverse();
        Cluster::starts(6, establishment, &places).reaches(0, B_VE);
    }
}

#[test]
fn a06_stale_places_are_gone_after_one_iteration_and_everywhere_after_two() {
    for establishment in [PLAIN, DETECTED] {
        let places = [
            place(0, pair(1, 2)),
            place(0, pair(5, 2)),
            place(1, pair(2, 5)),
            place(1, pair(2, 2)),
            settled(0),
            settled(0),
        ];
        let mut cluster = Cluster::starts(6, establishment, &places);
        cluster.round();
        for id in cluster.ids() {
            assert!(!cluster.known(id, id).is_stale(6), "{id}");
        }
        cluster.round();
        for (at, of) in cluster.ids().flat_map(|at| (0..6).map(move |of| (at, ReplicaId(of)))) {
            assert!(!cluster.known(at, of).is_stale(6), "{at} of {of}");
        }
        cluster.reaches(0, B_VE);
    }
}

#[test]
fn a07_one_on_its_way_to_a_view_of_its_own_comes_back() {
    for establishment in [PLAIN, DETECTED] {
        let mut places = all::<6>(witnessed(settled(2)));
        places[0] = witnessed(place(1, pair(1, 4)));
        let mut cluster = Cluster::starts(6, establishment, &places);
        for index in 0..6 {
            cluster.echoed(index, &places);
        }
        cluster.reaches(2, B_VE);
    }
}

#[test]
fn a08_one_in_a_reset_that_nobody_needs_comes_back_and_the_others_never_leave() {
    for establishment in [PLAIN, DETECTED] {
        let mut places = all::<6>(settled(2));
        places[0] = place(1, RST);
        let mut cluster = Cluster::starts(6, establishment, &places);
        cluster.never(B_VE, |cluster| {
            (1..6).map(ReplicaId).any(|id| cluster.known(id, id).pair != ViewPair::settled(2))
        });
        cluster.reaches(2, 0);
    }
}

#[test]
fn a09_a_stable_view_is_never_left() {
    for establishment in [PLAIN, DETECTED] {
        let mut cluster = Cluster::starts(6, establishment, &all::<6>(witnessed(settled(1))));
        cluster.never(1000, |cluster| {
            let served = |id: ReplicaId| cluster.engines[id.index()].status().active;
            cluster.ids().any(|id| cluster.known(id, id).pair != ViewPair::settled(1))
                || (cluster.rounds >= 8 && !cluster.ids().all(served))
        });
        cluster.executes_one(12);
    }
}

/// Lemma 9: three believe that all are in view 2; two believe that only those three are.
fn split(establishment: Establishment, watchdog: bool) -> Cluster {
    let mut cluster = Cluster::new(6, establishment);
    for index in 0..6 {
        let (zero, one, two) = (settled(0), settled(1), settled(2));
        let places = if index < 3 { [two; 6] } else { [two, two, two, zero, zero, one] };
        cluster.believes(index, &places);
        if !watchdog {
            cluster.engines[usize::from(index)].without_watchdog();
        }
    }
    cluster.silent.insert(ReplicaId(5));
    cluster
}

#[test]
fn a10_without_the_watchdog_the_split_of_lemma_9_halts_for_good() {
    let mut cluster = split(PLAIN, false);
    cluster.never(B_VE, |cluster| cluster.executed.iter().any(|height| *height > Height(0)));
    let transaction = Transaction::sign(CHAIN, &key(99), 1, vec![7]);
    for id in cluster.ids() {
        cluster.input(id, Input::Submitted { transactions: vec![transaction.clone()] });
    }
    cluster.never(300, |cluster| {
        let stuck = |id: u16| cluster.known(ReplicaId(id), ReplicaId(id));
        (0..3).any(|id| stuck(id).pair != ViewPair::settled(2))
            || (3..5).any(|id| (stuck(id).phase, stuck(id).pair) != (0, RST))
            || cluster.executed.iter().any(|height| *height > Height(0))
    });
}

#[test]
fn a10_with_the_watchdog_it_recovers_with_and_without_the_detector() {
    for establishment in [PLAIN, DETECTED] {
        let mut cluster = split(establishment, true);
        cluster.reaches(0, 2 * B_VE);
        cluster.executes_one(12);
    }
}

#[test]
fn a10_once_the_silent_one_speaks_again_all_six_recover() {
    for watchdog in [false, true] {
        let mut cluster = split(PLAIN, watchdog);
        cluster.never(100, |_| false);
        cluster.silent = SignerSet::EMPTY;
        cluster.never(2 * B_VE, |_| false);
        assert!(cluster.healthy().is_some(), "{:?}", cluster.places());
    }
}

#[test]
fn a10_even_while_the_liar_goes_on_lying_all_others_recover() {
    for establishment in [PLAIN, DETECTED] {
        let mut cluster = split(establishment, true);
        cluster.silent = SignerSet::EMPTY;
        let lie = |to: ReplicaId| witnessed(settled(if to.0 < 3 { 2 } else { 1 }));
        cluster.liar = Some((ReplicaId(5), lie));
        // First those three must find out that too many others are elsewhere.
        cluster.executes_one(4 * B_VE);
    }
}

/// The lies of these tests are the first ones on which `tests/model` goes round for ever without a rule.
#[test]
fn one_that_tells_some_the_last_view_and_others_the_reset_keeps_nobody_from_view_0() {
    for establishment in [PLAIN, DETECTED] {
        let mut cluster = Cluster::starts(6, establishment, &all::<6>(place(0, RST)));
        for index in 3..5 {
            cluster.believes(index, &all::<6>(settled(5)));
        }
        let lie = |to: ReplicaId| witnessed(if to.0 < 3 { place(0, RST) } else { settled(5) });
        cluster.liar = Some((ReplicaId(5), lie));
        cluster.reaches(0, 4 * B_VE);
    }
}

#[test]
fn those_that_go_to_view_0_from_another_do_not_wait_for_those_that_rise_from_the_reset() {
    for establishment in [PLAIN, DETECTED] {
        let going = place(1, pair(5, 0));
        let places = [settled(5), settled(5), going, going, going, settled(5)];
        let mut cluster = Cluster::starts(6, establishment, &places);
        let lie =
            |to: ReplicaId| witnessed(if to.0 < 2 { settled(5) } else { place(1, pair(5, 0)) });
        cluster.liar = Some((ReplicaId(5), lie));
        cluster.reaches(0, 4 * B_VE);
    }
}

fn never_moved_by(establishment: Establishment, lie: Lie) {
    let mut cluster = Cluster::starts(6, establishment, &all::<6>(witnessed(settled(1))));
    cluster.liar = Some((ReplicaId(0), lie));
    cluster.never(1000, |cluster| {
        let correct = cluster.correct();
        correct
            .iter()
            .any(|at| correct.iter().any(|of| cluster.known(*at, *of).pair != ViewPair::settled(1)))
    });
}

#[test]
fn a11_one_that_shows_different_views_moves_nobody() {
    let lie = |to: ReplicaId| witnessed(settled(if to.0.is_multiple_of(2) { 1 } else { 2 }));
    [PLAIN, DETECTED].into_iter().for_each(|establishment| never_moved_by(establishment, lie));
}

#[test]
fn a12_one_that_pretends_to_be_reset_resets_nobody() {
    let lie = |_: ReplicaId| witnessed(place(0, RST));
    [PLAIN, DETECTED].into_iter().for_each(|establishment| never_moved_by(establishment, lie));
}

#[test]
fn c_m09_the_stuck_half_transitions_of_the_prototype_all_come_back() {
    for establishment in [PLAIN, DETECTED] {
        let mut two = all::<6>(settled(2));
        two[2] = place(1, pair(2, 1));
        Cluster::starts(6, establishment, &two).reaches(2, B_VE);
        for next in [5, 1] {
            let mut zero = all::<6>(settled(0));
            zero[5] = place(1, pair(0, next));
            Cluster::starts(6, establishment, &zero).reaches(0, B_VE);
        }
    }
}

#[test]
fn without_the_watchdog_a_half_transition_stays_for_ever() {
    let mut places = all::<6>(settled(2));
    places[3] = place(1, pair(2, 1));
    let mut cluster = Cluster::starts(6, PLAIN, &places);
    cluster.engines.iter_mut().for_each(Engine::without_watchdog);
    let stuck = ReplicaId(3);
    cluster.never(300, |cluster| cluster.known(stuck, stuck).pair != pair(2, 1));
}

#[test]
fn c_m09_a_half_transition_does_not_keep_a_silent_primary_in_office() {
    for establishment in [PLAIN, DETECTED] {
        let mut places = all::<6>(settled(0));
        places[5] = place(1, pair(0, 5));
        let mut cluster = Cluster::starts(6, establishment, &places);
        cluster.silent.insert(ReplicaId(0));
        cluster.executes_one(4 * B_VE);
        assert_ne!(cluster.healthy(), Some(0));
    }
}

#[test]
fn a_silent_primary_is_replaced_and_what_waits_is_executed() {
    for establishment in [PLAIN, DETECTED] {
        let mut cluster = Cluster::new(6, establishment);
        cluster.reaches(0, B_VE);
        cluster.executes_one(12);
        cluster.silent.insert(ReplicaId(0));
        cluster.executes_one(4 * B_VE);
        cluster.reaches(1, B_VE);
        assert_eq!(cluster.repaired, [], "nothing was illegal");
    }
}

#[test]
fn a_floor_that_garbage_made_another_views_is_left_for_a_higher_ballot_of_the_view() {
    let mut cluster = Cluster::new(6, PLAIN);
    cluster.reaches(0, B_VE);
    cluster.executes_one(12);
    let before = cluster.engines[3].status().ballot;
    cluster.engines[3].set_floor(before.next());
    cluster.never(B_VE, |_| false);
    let status = cluster.engines[3].status();
    assert!(status.ballot > before && status.ballot.0.is_multiple_of(6), "{}", status.ballot);
    // The others need not wait for it; their primary comes up for it some seconds later.
    cluster.others_vote(3);
    cluster.never(300, |_| false);
    cluster.others_vote(6);
    cluster.executes_one(12);
}

#[test]
fn a_ballot_that_garbage_made_too_high_is_lowered_to_what_the_others_report() {
    for garbage in [1 << 40, u64::MAX] {
        let mut cluster = Cluster::new(6, PLAIN);
        cluster.reaches(0, B_VE);
        cluster.engines[4].set_floor(daruma_types::Ballot(garbage));
        cluster.never(2 * B_VE, |_| false);
        assert!(
            cluster.repaired.iter().any(|(_, illegal)| matches!(illegal, Illegal::Floor { .. })),
            "{:?}",
            cluster.repaired
        );
        assert!(cluster.engines.iter().all(|engine| engine.status().ballot.0 < 100));
        cluster.reaches(0, B_VE);
        cluster.executes_one(12);
    }
}

#[test]
fn a_quiet_primary_that_leaves_out_more_than_f_whose_ballot_is_higher_is_replaced() {
    for establishment in [PLAIN, DETECTED] {
        let mut cluster = Cluster::new(6, establishment);
        cluster.reaches(0, B_VE);
        let primary = ReplicaId(0);
        let left_out = [ReplicaId(4), ReplicaId(5)];
        for id in left_out {
            cluster.engines[id.index()].set_floor(Ballot(12));
        }
        // It behaves as if they told it nothing, and is no more to be counted as correct.
        cluster.deaf = Some((primary, left_out.into_iter().collect()));
        cluster.liar = Some((primary, |_| witnessed(settled(0))));
        while cluster.known(ReplicaId(1), ReplicaId(1)).pair == ViewPair::settled(0) {
            assert!(cluster.rounds < 1000, "{:?}", cluster.places());
            cluster.round();
        }
        cluster.reaches(1, 2 * B_VE);
    }
}

#[test]
fn a_memory_that_forgot_its_ballot_has_it_from_the_journal_before_it_serves() {
    for n in [6, 11] {
        let mut cluster = Cluster::new(n, PLAIN);
        cluster.reaches(0, B_VE);
        let before = cluster.engines[3].status().ballot;
        cluster.engines[3].set_floor(Ballot(0));
        let (claim, root) = (HeadClaim::genesis(CHAIN), Hash::default());
        let (state_root, receipts_root) = (root, root);
        let statement = Statement { height: Height(0), block: CHAIN.0, state_root, receipts_root };
        let head = EngineHead { claim, timestamp_ms: 0, statement, recent: Vec::new() };
        cluster.input(ReplicaId(3), Input::Ledger { head, floor: before });
        assert_eq!(cluster.engines[3].status().ballot, before);
        assert!(
            matches!(cluster.repaired[..], [(ReplicaId(3), Illegal::Forgotten { .. })]),
            "{:?}",
            cluster.repaired
        );
        cluster.executes_one(12);
    }
}
