//! View establishment (b), as DESIGN 10 has it: where runs in lock-step end.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::HashSet;

use daruma_model::automaton::{Faulty, Found, Node, Place, Rules, Scope, Varied, World, search};
use daruma_types::Thresholds;

/// The paper alone.
const PAPER: Rules = Rules { watchdog: None, support: false, apart: None };
/// With the watchdog that DESIGN 10 adds. It takes at most 4 rounds from one step to the next.
const WATCHED: Rules = Rules { watchdog: Some(9), support: false, apart: None };
/// With more support as well.
const SUPPORTED: Rules = Rules { watchdog: Some(9), support: true, apart: None };
/// As the engine has them: one that serves a view gives it four times as long.
const OURS: Rules = Rules { apart: Some(36), ..SUPPORTED };

/// Rounds to health in 6 views, if ever.
fn rounds(nodes: &[Node], faulty: Faulty, rules: Rules) -> Option<usize> {
    let thresholds = Thresholds::new(6, 1).unwrap();
    let world = World { thresholds, views: 6, rules, faulty };
    let (mut nodes, mut seen) = (nodes.to_vec(), HashSet::new());
    while !World::is_healthy(&nodes) {
        if !seen.insert(nodes.clone()) {
            return None;
        }
        nodes = world.round(&nodes);
    }
    Some(seen.len())
}

fn all(faulty: Faulty, views: u8, rules: Rules) -> Found {
    let scope = Scope { replicas: 6, faulty, views, varied: Varied::Nothing, rules };
    let found = search(scope).unwrap();
    println!("{scope:?}: {found}");
    found
}

/// Five in phase 0 of `view`, and one in phase 1 from there to `next`.
fn one_on_its_way(view: u8, next: u8) -> Vec<Node> {
    let mut nodes = vec![Node::at(Place::settled(view), None); 5];
    nodes.push(Node::at(Place::at(1, Some(view), next), None));
    nodes
}

/// Lemma 9: the sixth, silent, is believed in view 2 by three and in view 1 by two.
fn split() -> Vec<Node> {
    let three = Node::at(Place::settled(2), Some(Place::settled(2)));
    let two = Node::at(Place::settled(0), Some(Place::settled(1)));
    vec![three, three, three, two, two]
}

#[test]
fn a_half_transition_stays_for_ever_without_the_watchdog_and_is_repaired_with_it() {
    for nodes in [one_on_its_way(2, 1), one_on_its_way(0, 5), one_on_its_way(0, 1)] {
        assert_eq!(rounds(&nodes, Faulty::Nobody, PAPER), None);
        for rules in [WATCHED, SUPPORTED, OURS] {
            assert!(rounds(&nodes, Faulty::Nobody, rules).is_some());
        }
    }
}

#[test]
fn lemma_9_a_split_held_up_by_a_silent_replica_ends_with_the_watchdog_only() {
    assert_eq!(rounds(&split(), Faulty::Silent, PAPER), None);
    for rules in [WATCHED, SUPPORTED, OURS] {
        assert!(rounds(&split(), Faulty::Silent, rules).is_some());
    }
}

#[test]
fn a_split_that_a_liar_holds_up_ends_only_where_those_in_a_view_mind_who_is_elsewhere() {
    for rules in [PAPER, WATCHED, SUPPORTED] {
        assert_eq!(rounds(&split(), Faulty::Liar, rules), None);
    }
    assert!(rounds(&split(), Faulty::Liar, OURS).is_some());
}

/// The watchdog takes every standstill away, and what is left are rounds without end: one half
/// resets just when the other follows it. More support ends those.
#[test]
fn every_start_of_six_in_three_views_gets_healthy_with_watchdog_and_support_only() {
    let (paper, watched) = (all(Faulty::Nobody, 3, PAPER), all(Faulty::Nobody, 3, WATCHED));
    assert!(watched.stuck < paper.stuck, "{paper} {watched}");
    assert!(watched.stuck > 0, "{watched}");
    for rules in [SUPPORTED, OURS] {
        let supported = all(Faulty::Nobody, 3, rules);
        assert_eq!(supported.stuck, 0, "{supported}");
    }
}

#[test]
fn every_start_of_five_and_a_silent_one_in_two_views_gets_healthy_with_watchdog_and_support() {
    assert!(all(Faulty::Silent, 2, PAPER).stuck > 0);
    for rules in [SUPPORTED, OURS] {
        let supported = all(Faulty::Silent, 2, rules);
        assert_eq!(supported.stuck, 0, "{supported}");
    }
}

/// Whatever it tells to whom, so long as it stays with it. Without support in the last view denied to those
/// that rise from the reset, or with all that go to view 0 let be as if they rose from it, some starts
/// never get healthy.
#[test]
fn every_start_of_five_and_a_liar_in_two_views_gets_healthy_with_all_rules_only() {
    assert!(all(Faulty::Liar, 2, SUPPORTED).stuck > 0);
    let ours = all(Faulty::Liar, 2, OURS);
    assert_eq!(ours.stuck, 0, "{ours}");
}

/// A watchdog of twice the 4 rounds of a step keeps time with the resets of the others: pairs of
/// replicas follow one another round for ever. So its length must not be 8 rounds.
#[test]
fn a_watchdog_in_step_with_the_others_goes_round_with_them() {
    let rules = Rules { watchdog: Some(8), ..SUPPORTED };
    assert!(all(Faulty::Nobody, 3, rules).stuck > 0);
}

#[test]
fn a_view_that_all_are_in_is_never_left_unless_a_change_is_wanted() {
    let thresholds = Thresholds::new(6, 1).unwrap();
    for rules in [PAPER, WATCHED, SUPPORTED, OURS] {
        let world = World { thresholds, views: 3, rules, faulty: Faulty::Nobody };
        let mut nodes = vec![Node::at(Place::settled(1), None); 6];
        for _ in 0..100 {
            nodes = world.round(&nodes);
            assert!(World::is_healthy(&nodes) && nodes[0].place.current == Some(1), "{rules:?}");
        }
        let wanting = Place { change: true, ..Place::settled(1) };
        let mut nodes = vec![Node::at(wanting, None); 6];
        let left = (0..100).any(|_| {
            nodes = world.round(&nodes);
            World::is_healthy(&nodes) && nodes[0].place.current == Some(2)
        });
        assert!(left, "{rules:?}");
    }
}
