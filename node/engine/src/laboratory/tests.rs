//! That a scrambled engine is really another one, in every variable.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{
    Ballot, Block, Certificate, CertifiedBlock, Coordination, Establishment, HeadClaim, Height,
    Message, Place, ReplicaId, Report, Statement, Transaction, ViewPair, Vote, VoteKind,
};

use super::{Dictionary, Garbage, Scope, Values};
use crate::fixtures::{CHAIN, context_with, key};
use crate::{Context, Effect, Engine, EngineHead};

/// Both view establishments, each with the fewest replicas that tolerate a Byzantine one.
const KINDS: [(u16, Establishment); 3] = [
    (4, Establishment::Certified),
    (6, Establishment::Automaton { event_driven_fd: false }),
    (6, Establishment::Automaton { event_driven_fd: true }),
];

fn engine(replicas: u16, establishment: Establishment) -> Engine {
    Engine::new(context_with(replicas, establishment), head(), Default::default()).0
}

fn head() -> EngineHead {
    let statement = Statement {
        height: Height(0),
        block: CHAIN.0,
        state_root: CHAIN.0,
        receipts_root: CHAIN.0,
    };
    let claim = HeadClaim::genesis(CHAIN);
    EngineHead { claim, timestamp_ms: 0, statement, recent: Vec::new() }
}

/// A short history: three blocks, a report, and a place where places are said.
fn dictionary(establishment: Establishment) -> Dictionary {
    let mut dictionary = Dictionary::default();
    if establishment != Establishment::Certified {
        let own = Place { pair: ViewPair::settled(1), ..Place::RESET };
        let said = Coordination { own, echo: Place::RESET };
        dictionary.note(ReplicaId(2), &Message::Coordination(said));
    }
    let mut parent = CHAIN.0;
    for height in (1..=3).map(Height) {
        let transaction = Transaction::sign(CHAIN, &key(9), height.0, vec![1]);
        let block = Block::build(CHAIN, height, parent, ReplicaId(0), 7, vec![transaction]);
        parent = block.hash();
        let votes: Vec<Vote> = (0..3)
            .map(|i| {
                let kind = VoteKind::Commit;
                Vote::sign(kind, CHAIN, Default::default(), height, parent, &key(i))
            })
            .collect();
        for (voter, vote) in (0..).map(ReplicaId).zip(&votes) {
            dictionary.note(voter, &Message::Vote(vote.clone()));
        }
        let certificate = Certificate {
            kind: VoteKind::Commit,
            ballot: Default::default(),
            height,
            hash: parent,
            signers: (0..3).map(ReplicaId).collect(),
            signatures: votes.into_iter().map(|vote| vote.signature).collect(),
        };
        dictionary.note_certified(&CertifiedBlock { block: Arc::new(block), certificate });
    }
    let head = HeadClaim::genesis(CHAIN);
    let report = Report::sign(CHAIN, ReplicaId(2), Ballot(1), head, None, &key(2));
    dictionary.note(ReplicaId(2), &Message::Report(report));
    dictionary
}

#[test]
fn every_variable_of_every_module_is_really_changed() {
    for (replicas, establishment) in KINDS {
        let dictionary = dictionary(establishment);
        let mut changed: BTreeMap<&str, u32> = BTreeMap::new();
        for seed in 0..64 {
            let values = Values::Mixed;
            let garbage = Garbage::new(seed, Scope::All, values, &dictionary, replicas.into());
            let mut garbage = garbage.watching();
            engine(replicas, establishment).scramble(&mut garbage);
            for (name, (set, times)) in garbage.variables() {
                assert!(*set > 0, "{name}");
                *changed.entry(name).or_default() += times;
            }
        }
        assert!(changed.len() > 45, "{} variables", changed.len());
        let never: Vec<_> = changed.iter().filter(|(_, times)| **times == 0).collect();
        assert!(never.is_empty(), "{establishment:?}: {never:?}");
        // Each module of the establishment has its part.
        let modules: &[&str] = match establishment {
            Establishment::Certified => &["view."],
            Establishment::Automaton { .. } => &["automaton.", "ballots.", "detector."],
        };
        for module in modules {
            assert!(changed.keys().any(|name| name.starts_with(module)), "{module}");
        }
    }
}

#[test]
fn a_name_sets_that_variable_and_no_other() {
    for (replicas, establishment) in KINDS {
        let dictionary = dictionary(establishment);
        let scope = Scope::Named("replication.tip");
        let garbage = Garbage::new(3, scope, Values::Largest, &dictionary, replicas.into());
        let mut garbage = garbage.watching();
        engine(replicas, establishment).scramble(&mut garbage);
        let set: Vec<_> = garbage.variables().iter().filter(|(_, (set, _))| *set > 0).collect();
        assert_eq!(set, [(&"replication.tip", &(1, 1))]);
    }
}

#[test]
fn equal_seeds_give_equal_garbage() {
    for (replicas, establishment) in KINDS {
        let dictionary = dictionary(establishment);
        let made = |seed| {
            let mut engine = engine(replicas, establishment);
            let (scope, values) = (Scope::All, Values::Mixed);
            let mut garbage = Garbage::new(seed, scope, values, &dictionary, replicas.into());
            engine.scramble(&mut garbage);
            engine.status()
        };
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
    }
}

#[test]
fn exchanged_memories_leave_each_replica_its_name() {
    let (replicas, establishment) = KINDS[1];
    let places: Vec<Place> = (0..replicas)
        .map(|id| Place { pair: ViewPair { current: Some(id), next: id }, ..Place::RESET })
        .collect();
    let named = |own: u16| {
        let context = Context { own: ReplicaId(own), ..context_with(replicas, establishment) };
        let mut engine = Engine::new(context, head(), Default::default()).0;
        engine.automaton_mut().unwrap().0.known.clone_from(&places);
        engine
    };
    let (mut one, mut two) = (named(1), named(2));
    one.swap(&mut two);
    for (own, engine) in [(1, &mut one), (2, &mut two)] {
        let mut said = Vec::new();
        for effect in engine.step(crate::Input::Tick { now_ms: 1 }) {
            if let Effect::Send { message: Message::Coordination(coordination), .. } = effect {
                said.push(coordination.own);
            }
        }
        assert_eq!(said, [places[own]; 5], "each speaks of its own place");
    }
}

#[test]
fn one_tick_brings_every_collection_within_its_bound() {
    for (replicas, establishment) in KINDS {
        let dictionary = dictionary(establishment);
        for values in [Values::Mixed, Values::Replayed, Values::Largest, Values::Zero] {
            for seed in 0..32 {
                let mut engine = engine(replicas, establishment);
                let scope = Scope::All;
                let mut garbage = Garbage::new(seed, scope, values, &dictionary, replicas.into());
                engine.scramble(&mut garbage);
                let _effects = engine.step(crate::Input::Tick { now_ms: 1 });
                let over: Vec<_> =
                    engine.sizes().into_iter().filter(|size| size.held > size.bound).collect();
                assert!(over.is_empty(), "{establishment:?} {values:?} {seed}: {over:?}");
            }
        }
    }
}
