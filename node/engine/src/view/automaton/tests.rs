//! The rows B05 to B22 of the test catalogue: each predicate and action by itself.

use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{
    Ballot, Coordination, HeadClaim, Place, ReplicaId, SignerSet, Thresholds, ViewPair,
};

use super::Automaton;
use super::actions::Action;
use super::coordinator::{APART_ROUNDS, Coordinator};
use super::predicates::{Mode, Sight};
use super::state::AutomatonState;
use crate::fixtures::NoBlocks;
use crate::outbox::Outbox;
use crate::view::ViewEstablishment;

const RST: ViewPair = ViewPair::RESET;

const fn pair(current: u16, next: u16) -> ViewPair {
    ViewPair { current: Some(current), next }
}

const fn place(phase: u8, pair: ViewPair) -> Place {
    Place { phase, pair, change: false, witness: false }
}

const fn wanting(place: Place) -> Place {
    Place { change: true, ..place }
}

const fn witnessed(place: Place) -> Place {
    Place { witness: true, ..place }
}

fn set(ids: &[u16]) -> SignerSet {
    ids.iter().copied().map(ReplicaId).collect()
}

fn thresholds(n: usize) -> Thresholds {
    Thresholds::new(n, (n - 1) / 5).unwrap()
}

fn state(known: &[Place]) -> AutomatonState {
    AutomatonState { known: known.to_vec(), ..AutomatonState::new(known.len()) }
}

/// What replica 0 sees.
fn sight(state: &AutomatonState) -> Sight<'_> {
    let thresholds = thresholds(state.known.len());
    Sight { state, thresholds, own: ReplicaId(0), heard: thresholds.ids().collect() }
}

fn action(known: &[Place]) -> Action {
    Action::of(&sight(&state(known)))
}

/// Replica 0 with this knowledge, all of it echoed and witnessed.
fn seen_by_all(known: &[Place]) -> Coordinator {
    let thresholds = thresholds(known.len());
    let mut coordinator = Coordinator::new(ReplicaId(0), thresholds, false);
    coordinator.state = state(known);
    let own = witnessed(known[0]);
    coordinator.state.known[0] = own;
    coordinator.state.echo = vec![Some(own); known.len()];
    coordinator.state.witness_set = thresholds.ids().collect();
    coordinator
}

#[test]
fn b05_a_stale_or_malformed_message_changes_nothing_not_even_the_echo() {
    let settled = place(0, pair(0, 0));
    let moving = place(1, pair(0, 1));
    for (own, valid) in [
        (settled, true),
        (moving, true),
        (place(0, RST), true),
        (place(0, pair(0, 1)), false),
        (place(1, pair(0, 0)), false),
        (place(0, pair(6, 6)), false),
        (place(2, pair(0, 1)), false),
    ] {
        let mut state = AutomatonState::new(6);
        let before = state.clone();
        assert_eq!(state.hear(ReplicaId(1), Coordination { own, echo: moving }), valid, "{own:?}");
        assert_eq!(state == before, !valid, "{own:?}");
    }
    let mut state = AutomatonState::new(6);
    let out_of_domain = Coordination { own: settled, echo: place(0, pair(9, 9)) };
    assert!(!state.hear(ReplicaId(1), out_of_domain));
    assert_eq!(state, AutomatonState::new(6));
}

#[test]
fn b06_the_same_view_set_has_the_phase_and_pair_and_nothing_stale() {
    let zero = place(0, pair(0, 0));
    assert_eq!(sight(&state(&[zero, zero])).same(zero), set(&[0, 1]));
    assert_eq!(sight(&state(&[zero, place(0, pair(1, 1))])).same(zero), set(&[0]));
    assert_eq!(sight(&state(&[place(0, RST), place(1, RST)])).same(place(0, RST)), set(&[0]));
    let stale = place(0, pair(0, 1));
    assert_eq!(sight(&state(&[stale, stale])).same(stale), SignerSet::EMPTY);
}

#[test]
fn b06_in_phase_1_a_current_view_of_none_is_as_good_as_any_when_the_next_are_equal() {
    let none = place(1, ViewPair { current: None, next: 1 });
    let (zero, five) = (place(1, pair(0, 1)), place(1, pair(5, 1)));
    let state = state(&[none, zero, five, place(1, pair(0, 2)), none, none]);
    assert_eq!(sight(&state).same(none), set(&[0, 1, 2, 4, 5]));
    assert_eq!(sight(&state).same(zero), set(&[0, 1, 4, 5]));
}

#[test]
fn b07_the_transit_set_is_of_the_other_phase_supports_and_has_nothing_stale() {
    let here = place(1, pair(0, 1));
    let there = place(0, pair(1, 1));
    let state =
        state(&[here, there, place(1, pair(1, 2)), place(0, pair(1, 0)), place(0, RST), here]);
    assert_eq!(sight(&state).transit(here, Mode::Follow), set(&[1]));
}

#[test]
fn b08_who_supports_whom() {
    let supported = |supporter: Place, place: Place, mode| {
        let mut known = [super::tests::place(1, pair(3, 4)); 6];
        (known[0], known[1]) = (place, supporter);
        sight(&state(&known)).transit(place, mode).contains(ReplicaId(1))
    };
    // Remain: its next view is the other's current one.
    assert!(supported(place(1, pair(3, 0)), place(0, pair(0, 0)), Mode::Remain));
    assert!(!supported(place(1, pair(0, 1)), place(0, pair(0, 0)), Mode::Remain));
    assert!(supported(place(0, pair(0, 0)), place(1, pair(0, 3)), Mode::Remain));
    // Follow in phase 0: its next view is the one after; from none, the default view.
    assert!(supported(place(1, pair(0, 1)), place(0, pair(0, 0)), Mode::Follow));
    assert!(supported(place(1, pair(5, 0)), place(0, pair(5, 5)), Mode::Follow));
    assert!(supported(place(1, pair(3, 0)), place(0, RST), Mode::Follow));
    assert!(!supported(place(1, pair(3, 2)), place(0, pair(0, 0)), Mode::Follow));
    // Follow in phase 1: its current view is the other's next.
    assert!(supported(place(0, pair(2, 2)), place(1, pair(0, 2)), Mode::Follow));
    assert!(!supported(place(0, pair(0, 0)), place(1, pair(0, 2)), Mode::Follow));
}

#[test]
fn b09_three_of_six_are_not_adopted_and_four_are_whether_there_or_on_the_way() {
    let (there, away) = (place(0, pair(1, 1)), place(0, pair(3, 3)));
    let on = place(1, pair(1, 2));
    let adoptable = |known: &[Place]| sight(&state(known)).adoptable(there, Mode::Follow);
    assert!(!adoptable(&[away, there, there, on, away, away]));
    assert!(adoptable(&[away, there, there, on, on, away]));
    assert!(adoptable(&[away, there, there, there, there, away]));
}

#[test]
fn b10_n_minus_f_at_the_place_or_going_along_establish_and_fewer_do_not() {
    let (here, gone) = (place(1, pair(0, 1)), place(0, pair(1, 1)));
    let away = place(0, pair(3, 3));
    let establishable = |known: &[Place]| sight(&state(known)).establishable();
    assert!(establishable(&[here, here, here, gone, gone, away]));
    assert!(!establishable(&[here, here, gone, gone, away, away]));
}

#[test]
fn b11_adopting_takes_the_next_view_establishing_makes_it_current_and_after_the_last_comes_0() {
    let perform = |action: Action, from: Place| {
        let mut state = state(&[from; 6]);
        let after = sight(&state).after(from.pair.current);
        action.perform(ReplicaId(0), &mut state, after);
        state.known[0]
    };
    let adopted = perform(Action::Adopt(pair(1, 1)), place(0, RST));
    assert_eq!(adopted, place(1, ViewPair { current: None, next: 1 }));
    assert_eq!(perform(Action::Establish, place(1, pair(0, 1))), place(0, pair(1, 1)));
    assert_eq!(perform(Action::Start, place(0, pair(0, 0))), place(1, pair(0, 1)));
    assert_eq!(perform(Action::Start, place(0, pair(5, 5))), place(1, pair(5, 0)));
    assert_eq!(perform(Action::Start, place(0, RST)), place(1, RST));
}

#[test]
fn b12_wishes_and_those_on_their_way_make_a_change_and_each_replica_counts_once() {
    let (here, wish) = (place(0, pair(0, 0)), wanting(place(0, pair(0, 0))));
    let on = place(1, pair(0, 1));
    let changeable = |known: &[Place]| sight(&state(known)).changeable();
    assert!(changeable(&[wish, wish, wish, on, on, here]));
    assert!(!changeable(&[wish, wish, on, on, here, here]));
    assert!(!changeable(&[wish, wish, wanting(on), wanting(on), here, here]), "counted once");
}

#[test]
fn b13_phase_0_takes_the_first_predicate_that_holds() {
    let (zero, two) = (place(0, pair(0, 0)), place(0, pair(2, 2)));
    let wish = wanting(zero);
    // 0: a foreign pair, also when everything else would hold.
    assert_eq!(action(&[wish, two, two, two, two, wish]), Action::Adopt(two.pair));
    assert_eq!(action(&[place(0, RST), two, two, two, two, two]), Action::Adopt(two.pair));
    // 1a: the next view.
    assert_eq!(action(&[wish; 6]), Action::Start);
    // 1b: from the reset.
    assert_eq!(action(&[place(0, RST); 6]), Action::Start);
    // 2: stay.
    assert_eq!(action(&[zero, zero, zero, zero, two, two]), Action::Remain);
    assert_eq!(action(&[place(0, RST), two, zero, two, zero, two]), Action::Remain);
    // 3: reset.
    assert_eq!(action(&[zero, zero, zero, two, two, two]), Action::Reset);
}

#[test]
fn b13_an_iteration_takes_one_action_and_only_when_the_place_is_witnessed() {
    let mut coordinator = seen_by_all(&[place(0, RST); 6]);
    let _reset = coordinator.iterate();
    assert_eq!(coordinator.place(), place(1, RST));
    let _reset = coordinator.iterate();
    assert_eq!(coordinator.place(), place(1, RST), "nobody has seen the new place");
}

#[test]
fn b14_phase_1_takes_the_first_predicate_that_holds_and_clears_the_wish() {
    let (here, gone) = (place(1, pair(0, 1)), place(0, pair(1, 1)));
    let (zero, two) = (place(0, pair(0, 0)), place(0, pair(2, 2)));
    assert_eq!(action(&[here, two, two, two, two, here]), Action::Adopt(two.pair));
    assert_eq!(action(&[here, here, here, gone, gone, two]), Action::Establish);
    assert_eq!(action(&[here, zero, zero, zero, two, two]), Action::Remain);
    assert_eq!(action(&[here, here, zero, two, two, two]), Action::Reset);
    for others in [two, gone, zero, place(0, RST)] {
        let mut known = [others; 6];
        known[0] = wanting(here);
        let mut coordinator = seen_by_all(&known);
        let _reset = coordinator.iterate();
        assert!(!coordinator.place().change, "{others:?}");
    }
}

#[test]
fn b14_a_pair_that_leads_back_to_where_it_came_from_is_not_adopted() {
    let mut known = [place(0, pair(2, 2)); 6];
    known[0] = place(1, pair(2, 1));
    assert_eq!(action(&known), Action::Remain, "the trap that the watchdog is for");
}

#[test]
fn b15_a_stale_place_or_replications_wish_resets_and_neither_does_not() {
    let sound = place(0, pair(1, 1));
    for (own, flush, resets) in [
        (place(0, pair(1, 2)), true, true),
        (sound, true, true),
        (place(0, pair(1, 2)), false, true),
        (sound, false, false),
    ] {
        let mut known = [sound; 6];
        known[0] = own;
        let mut coordinator = seen_by_all(&known);
        coordinator.flush = flush;
        assert_eq!(coordinator.iterate(), resets, "{own:?} {flush}");
        assert!(!coordinator.flush && !coordinator.iterate(), "replication is told once");
    }
    let mut unseen = Coordinator::new(ReplicaId(0), thresholds(6), true);
    unseen.state.known[0] = place(0, pair(1, 2));
    assert!(unseen.iterate(), "it waits for nobody");
}

#[test]
fn b16_a_reset_leaves_nothing_of_what_was_known() {
    let mut coordinator = seen_by_all(&[wanting(place(0, pair(3, 3))); 6]);
    coordinator.flush = true;
    let _reset = coordinator.iterate();
    assert_eq!(coordinator.state, AutomatonState::new(6));
    assert!(!coordinator.flush);
}

#[test]
fn b18_five_of_six_echoes_are_notice_and_four_are_not() {
    let own = place(0, pair(1, 1));
    let mut state = state(&[own; 6]);
    let other = place(0, pair(2, 2));
    state.echo = vec![None, Some(own), Some(own), Some(own), Some(witnessed(own)), Some(other)];
    assert!(sight(&state).noticed(), "this replica knows its own place");
    state.echo[4] = None;
    assert!(!sight(&state).noticed());
}

#[test]
fn b19_the_witness_is_seen_when_n_minus_f_witnesses_echo_it_and_the_own_one_holds() {
    let own = witnessed(place(0, pair(1, 1)));
    let mut state = state(&[own; 6]);
    state.echo = vec![Some(own); 6];
    state.witness_set = set(&[1, 2, 3, 4]);
    assert!(sight(&state).witness_seen());
    state.witness_set = set(&[1, 2, 3]);
    assert!(!sight(&state).witness_seen(), "a set of three, and itself");
    state.witness_set = set(&[1, 2, 3, 4, 5]);
    state.echo = vec![Some(place(0, pair(1, 1))); 6];
    assert!(!sight(&state).witness_seen(), "nobody knows that it is witnessed");
    state.echo = vec![Some(own); 6];
    state.known[0].witness = false;
    assert!(!sight(&state).witness_seen());
}

#[test]
fn b21_service_needs_n_minus_2f_in_the_view_phase_0_and_nowhere_to_go() {
    let (here, away) = (place(0, pair(1, 1)), place(0, pair(3, 3)));
    let serving = |known: &[Place]| sight(&state(known)).serving();
    assert_eq!(serving(&[here, here, here, here, away, away]), Some(1));
    assert_eq!(serving(&[here, here, here, away, away, away]), None);
    assert_eq!(serving(&[place(1, pair(1, 2)); 6]), None);
    assert_eq!(serving(&[place(0, RST); 6]), None);
}

#[test]
fn b21_who_was_not_heard_lately_serves_nobody() {
    let state = state(&[place(0, pair(1, 1)); 6]);
    let seen = |heard: &[u16]| Sight { heard: set(heard), ..sight(&state) }.serving();
    assert_eq!(seen(&[1, 2, 3]), Some(1));
    assert_eq!(seen(&[1, 2]), None);
}

#[test]
fn b22_a_change_is_wanted_from_a_served_view_only() {
    let here = place(0, pair(1, 1));
    let mut coordinator = seen_by_all(&[here; 6]);
    coordinator.want_change();
    assert!(coordinator.place().change);
    let mut coordinator = seen_by_all(&[place(0, RST); 6]);
    coordinator.want_change();
    assert!(!coordinator.place().change);
}

#[test]
fn b73_those_who_want_a_change_count_in_the_same_view_only() {
    let known: Vec<Place> = (0..6).map(|i| wanting(place(0, pair(i % 2, i % 2)))).collect();
    assert_eq!(sight(&state(&known)).wanting(), SignerSet::EMPTY, "three are no view");
    let mut known = known;
    known[1] = wanting(place(0, pair(0, 0)));
    known[3] = place(0, pair(0, 0));
    assert_eq!(sight(&state(&known)).wanting(), set(&[0, 1, 2, 4]));
}

#[test]
fn b81_with_the_detector_a_step_waits_for_a_whole_round_since_the_last() {
    for (event_driven, rounds, moves) in [(false, 0, true), (true, 0, false), (true, 1, true)] {
        let mut coordinator = seen_by_all(&[place(0, RST); 6]);
        coordinator.event_driven = event_driven;
        coordinator.detector.since_step = rounds;
        let _reset = coordinator.iterate();
        assert_eq!(coordinator.place().phase == 1, moves, "{event_driven} {rounds}");
    }
}

#[test]
fn whatever_its_variables_hold_one_repair_brings_them_into_their_domains() {
    let six = thresholds(6);
    let mut damaged = state(&[place(0, pair(0, 0)); 6]);
    damaged.known[2] = place(7, pair(0, 1));
    damaged.echo[3] = Some(place(0, pair(9, 9)));
    damaged.witness_set = SignerSet(u64::MAX);
    assert!(damaged.repair(six));
    assert_eq!((damaged.known[2], damaged.echo[3]), (Place::RESET, None));
    assert_eq!(damaged.witness_set, six.ids().collect());
    assert!(!damaged.repair(six));
    let mut short = AutomatonState::new(4);
    assert!(short.repair(six));
    assert_eq!(short, AutomatonState::new(6));
}

#[test]
fn whose_votes_contradicted_themselves_takes_a_higher_ballot_after_the_reset() {
    let context = crate::fixtures::context(6);
    for (flushed, ballot) in [(false, 8), (true, 14)] {
        let mut automaton = Automaton::restore(Ballot(8), false, &context);
        let iterate = |automaton: &mut Automaton| {
            let voting = NoBlocks(HeadClaim::genesis(crate::fixtures::CHAIN));
            automaton.iterate(&voting, &context, &mut Outbox::default());
        };
        if flushed {
            automaton.flush();
        }
        iterate(&mut automaton);
        assert_eq!(automaton.take_reset(), flushed);
        automaton.coordinator.state.known = vec![place(0, pair(2, 2)); 6];
        automaton.coordinator.detector.heard = set(&[0, 2, 3, 4, 5]);
        iterate(&mut automaton);
        assert_eq!(automaton.ballot(), Ballot(ballot));
    }
}

#[test]
fn a_wish_without_a_suspicion_behind_it_is_withdrawn_in_service_and_kept_out_of_it() {
    let here = place(0, pair(1, 1));
    let mut known = [here; 6];
    known[0] = wanting(here);
    let mut coordinator = seen_by_all(&known);
    coordinator.want_no_change();
    assert!(!coordinator.place().change);
    // Three have gone on: this one must follow, and its wish counts.
    known[1..4].fill(place(1, pair(1, 2)));
    let mut coordinator = seen_by_all(&known);
    coordinator.want_no_change();
    assert!(coordinator.place().change);
}

#[test]
fn one_is_apart_when_more_than_f_that_it_hears_are_neither_with_it_nor_coming() {
    let (here, coming, away) = (place(0, pair(1, 1)), place(1, pair(0, 1)), place(0, pair(3, 3)));
    let apart = |known: &[Place]| sight(&state(known)).is_apart();
    assert!(apart(&[here, here, here, here, away, away]));
    assert!(!apart(&[here, here, here, here, here, away]), "it may lie");
    assert!(!apart(&[here, here, here, here, coming, away]));
    assert!(apart(&[here, here, here, here, place(1, pair(1, 2)), away]), "it has left");
    let state = state(&[here, here, here, here, away, away]);
    let deaf = Sight { heard: set(&[0, 1, 2, 3, 4]), ..sight(&state) };
    assert!(!deaf.is_apart(), "what a silent replica was is nothing to go by");
}

#[test]
fn one_that_serves_a_view_apart_from_the_rest_resets_after_the_stated_rounds_and_not_before() {
    let (here, away) = (place(0, pair(1, 1)), place(0, pair(3, 3)));
    for (known, resets) in [
        ([here, here, here, here, away, away], true),
        ([here, here, here, here, here, away], false),
    ] {
        let mut coordinator = seen_by_all(&known);
        coordinator.detector.apart = APART_ROUNDS - 1;
        assert!(!coordinator.iterate());
        coordinator.detector.apart = APART_ROUNDS;
        assert_eq!(coordinator.iterate(), resets);
    }
}
