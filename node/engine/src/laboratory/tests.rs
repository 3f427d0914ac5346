//! That a scrambled engine is really another one, in every variable.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{
    Ballot, Block, Certificate, CertifiedBlock, HeadClaim, Height, Message, ReplicaId, Report,
    Statement, Transaction, Vote, VoteKind,
};

use super::{Dictionary, Garbage, Scope, Values};
use crate::fixtures::{CHAIN, context, key};
use crate::{Engine, EngineHead};

fn engine() -> Engine {
    let statement = Statement {
        height: Height(0),
        block: CHAIN.0,
        state_root: CHAIN.0,
        receipts_root: CHAIN.0,
    };
    let claim = HeadClaim::genesis(CHAIN);
    let head = EngineHead { claim, timestamp_ms: 0, statement, recent: Vec::new() };
    Engine::new(context(4), head, Default::default()).0
}

/// A short history: three blocks, and a report.
fn dictionary() -> Dictionary {
    let mut dictionary = Dictionary::default();
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
    let dictionary = dictionary();
    let mut changed: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..64 {
        let mut garbage = Garbage::new(seed, Scope::All, Values::Mixed, &dictionary, 4).watching();
        engine().scramble(&mut garbage);
        for (name, (set, times)) in garbage.variables() {
            assert!(*set > 0, "{name}");
            *changed.entry(name).or_default() += times;
        }
    }
    assert!(changed.len() > 45, "{} variables", changed.len());
    let never: Vec<_> = changed.iter().filter(|(_, times)| **times == 0).collect();
    assert!(never.is_empty(), "{never:?}");
}

#[test]
fn a_name_sets_that_variable_and_no_other() {
    let dictionary = dictionary();
    let scope = Scope::Named("replication.tip");
    let mut garbage = Garbage::new(3, scope, Values::Largest, &dictionary, 4).watching();
    engine().scramble(&mut garbage);
    let set: Vec<_> = garbage.variables().iter().filter(|(_, (set, _))| *set > 0).collect();
    assert_eq!(set, [(&"replication.tip", &(1, 1))]);
}

#[test]
fn equal_seeds_give_equal_garbage() {
    let dictionary = dictionary();
    let made = |seed| {
        let mut engine = engine();
        let mut garbage = Garbage::new(seed, Scope::All, Values::Mixed, &dictionary, 4);
        engine.scramble(&mut garbage);
        engine.status()
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
}

#[test]
fn one_tick_brings_every_collection_within_its_bound() {
    let dictionary = dictionary();
    for values in [Values::Mixed, Values::Replayed, Values::Largest, Values::Zero] {
        for seed in 0..32 {
            let mut engine = engine();
            engine.scramble(&mut Garbage::new(seed, Scope::All, values, &dictionary, 4));
            let _effects = engine.step(crate::Input::Tick { now_ms: 1 });
            let over: Vec<_> =
                engine.sizes().into_iter().filter(|size| size.held > size.bound).collect();
            assert!(over.is_empty(), "{values:?} {seed}: {over:?}");
        }
    }
}
