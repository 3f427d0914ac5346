//! What holds for every behaviour.

use std::sync::Arc;

use daruma_types::{Certificate, Ed25519, Message, ReplicaId, Transaction, VoteKind};

use super::bench::{
    CHAIN, OWN, committee, every_kind, transactions, transcript, with_surroundings,
};
use crate::Behaviour;

#[test]
fn every_behaviour_is_found_by_its_name_and_names_differ() {
    for behaviour in Behaviour::ALL {
        assert_eq!(Behaviour::from_name(behaviour.name()), Some(behaviour));
    }
    assert_eq!(Behaviour::from_name("honest"), None);
}

#[test]
fn every_behaviour_but_the_twins_differs_from_honest_and_one_seed_gives_one_adversary() {
    let honest =
        with_surroundings(|around| transcript(Behaviour::Twins.adversary(0).as_mut(), around));
    for behaviour in Behaviour::ALL {
        let said = |seed| {
            with_surroundings(|around| transcript(behaviour.adversary(seed).as_mut(), around))
        };
        assert_eq!(said(1), said(1), "{}", behaviour.name());
        // Garbage also differs by bytes that are no message, and some behaviours only for some seeds.
        let differs = (0..40).any(|seed| said(seed) != honest);
        assert_eq!(differs, behaviour != Behaviour::Twins, "{}", behaviour.name());
    }
}

/// Whether a key that is not its own stands behind what the adversary says, and it was not given it.
fn is_forged(message: &Message, given: &[Arc<Message>]) -> bool {
    let committee = committee();
    let others = || committee.ids().filter(|id| *id != OWN);
    let known = |certificate: &Certificate| {
        given.iter().any(|given| match &**given {
            Message::Certificate(given) => given == certificate,
            Message::Blocks(given) => given.iter().any(|given| given.certificate == *certificate),
            Message::Report(given) => given.head.certificate.as_ref() == Some(certificate),
            _ => false,
        })
    };
    let verifies = |c: &Certificate| c.verify(&committee, &Ed25519).is_ok();
    let is_of_client = |t: &Transaction| t.verify(CHAIN, 1024, &Ed25519).is_ok();
    match message {
        Message::Demand(m) => {
            let bytes = daruma_types::Demand::signed_bytes(CHAIN, m.view);
            others().any(|id| committee.check(id, "demand", &bytes, &m.signature, &Ed25519).is_ok())
        }
        Message::Vote(m) => others().any(|id| m.verify(id, &committee, &Ed25519).is_ok()),
        Message::Attestation(m) => m.replica != OWN && m.verify(&committee, &Ed25519).is_ok(),
        Message::Report(m) => m.replica != OWN && m.verify(&committee, &Ed25519).is_ok(),
        Message::Leave(m) => m.verify(&committee, &Ed25519).is_ok(),
        Message::Enter(m) => m.verify(&committee, &Ed25519).is_ok(),
        Message::NewView(m) => {
            m.ballot.0 % 4 != u64::from(OWN.0) && m.verify(&committee, &Ed25519).is_ok()
        }
        Message::PrePrepare(m) => {
            let primary = committee.thresholds().primary(m.ballot.0);
            let (height, hash) = (m.block.header.height, m.block.hash());
            let bytes = VoteKind::Prepare.signed_bytes(CHAIN, m.ballot, height, &hash);
            let sound = committee.check(primary, "proposal", &bytes, &m.signature, &Ed25519);
            primary != OWN && sound.is_ok()
        }
        Message::Certificate(m) => verifies(m) && !known(m),
        Message::Blocks(blocks) => {
            blocks.iter().any(|b| verifies(&b.certificate) && !known(&b.certificate))
        }
        Message::StateCertificates(m) => m.iter().any(|certificate| {
            let weak = committee.thresholds().weak();
            certificate.verify(weak, &committee, &Ed25519).is_ok()
        }),
        Message::Transactions(m) => {
            m.iter().any(|t| is_of_client(t) && !transactions().contains(t))
        }
        _ => false,
    }
}

#[test]
fn nothing_is_said_under_a_key_that_is_not_its_own() {
    let given: Vec<Arc<Message>> = (0..4).flat_map(every_kind).collect();
    for behaviour in Behaviour::ALL {
        for seed in 0..3 {
            let said =
                with_surroundings(|around| transcript(behaviour.adversary(seed).as_mut(), around));
            let made_up =
                said.said.iter().map(|(_, message)| message).filter(|m| !given.contains(m));
            for message in made_up {
                assert!(!is_forged(message, &given), "{}: {message:?}", behaviour.name());
            }
        }
    }
}

#[test]
fn nobody_is_written_to_that_does_not_exist() {
    for behaviour in Behaviour::ALL {
        with_surroundings(|around| {
            let mut adversary = behaviour.adversary(3);
            let said = transcript(adversary.as_mut(), around);
            let raw = adversary.raw(around);
            let receivers =
                said.said.iter().map(|(to, _)| *to).chain(raw.iter().map(|(to, _)| *to));
            for to in receivers {
                assert!(to != OWN && to < ReplicaId(4), "{} to {to}", behaviour.name());
            }
        });
    }
}
