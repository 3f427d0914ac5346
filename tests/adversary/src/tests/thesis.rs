//! The behaviours of the validation thesis, in our terms.

use std::sync::Arc;

use daruma_types::{Ed25519, Hash, Height, Message, ReplicaId, VoteKind, limits as hard};

use super::bench::{
    CHAIN, OWN, block, certified, committee, every_kind, proposal, vote, with_surroundings,
};
use crate::{Adversary, Behaviour, Surroundings};

const EVEN: ReplicaId = ReplicaId(2);
const ODD: ReplicaId = ReplicaId(1);

fn tells(
    adversary: &mut dyn Adversary,
    to: ReplicaId,
    message: Message,
    around: &Surroundings<'_>,
) -> Option<Message> {
    let sent = adversary.outgoing(to, Arc::new(message), around);
    assert!(sent.len() <= 1);
    sent.first().map(|message| (**message).clone())
}

fn height_and_hash(message: Option<Message>) -> (u64, Hash) {
    match message {
        Some(Message::PrePrepare(sent)) => (sent.block.header.height.0, sent.block.hash()),
        Some(Message::Vote(sent)) => (sent.height.0, sent.hash),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_silent_replica_says_nothing_and_a_primary_that_stopped_assigning_still_sends_tokens() {
    with_surroundings(|around| {
        let token = Message::Token { counter: 1 };
        let mut silent = Behaviour::Silent.adversary(1);
        for message in every_kind(0) {
            assert!(silent.outgoing(ODD, message, around).is_empty());
        }
        let mut idle = Behaviour::StopAssigning.adversary(1);
        assert_eq!(tells(idle.as_mut(), ODD, token.clone(), around), Some(token));
        assert_eq!(tells(idle.as_mut(), ODD, proposal(4, block(1, CHAIN.0)), around), None);
    });
}

#[test]
fn a_half_silent_replica_may_return_tokens_to_those_it_does_not_speak_to() {
    with_surroundings(|around| {
        let manners = (0..40).map(|seed| {
            let mut adversary = Behaviour::HalfSilent.adversary(seed);
            let mut heard = |message| tells(adversary.as_mut(), ODD, message, around).is_some();
            (heard(Message::Token { counter: 1 }), heard(Message::TokenReturn { counter: 1 }))
        });
        let manners: Vec<_> = manners.collect();
        for manner in [(true, true), (false, true), (false, false)] {
            assert!(manners.contains(&manner), "{manner:?}");
        }
    });
}

#[test]
fn odd_replicas_are_shown_another_view_than_even_ones() {
    with_surroundings(|around| {
        let mut adversary = Behaviour::DifferentViews.adversary(1);
        for message in every_kind(0) {
            let even = tells(adversary.as_mut(), EVEN, (*message).clone(), around);
            let odd = tells(adversary.as_mut(), ODD, (*message).clone(), around);
            match (even, odd) {
                (Some(Message::Summary(even)), Some(Message::Summary(odd))) => {
                    assert!(odd.view > even.view);
                    assert_eq!((even.phase, odd.phase), (0, 0));
                }
                (Some(Message::Demand(even)), Some(Message::Demand(odd))) => {
                    assert!(odd.view > even.view);
                    let bytes = daruma_types::Demand::signed_bytes(CHAIN, odd.view);
                    let sound = committee().check(OWN, "demand", &bytes, &odd.signature, &Ed25519);
                    assert_eq!(sound, Ok(()));
                }
                (Some(Message::Report(even)), Some(Message::Report(odd))) => {
                    assert_ne!(even.head, odd.head);
                    assert_eq!(odd.verify(&committee(), &Ed25519), Ok(()));
                }
                (Some(Message::Coordination(even)), Some(Message::Coordination(odd))) => {
                    assert_eq!(even.own.pair, daruma_types::ViewPair::settled(1));
                    assert_eq!(odd.own.pair, daruma_types::ViewPair::settled(2));
                    assert_eq!(even.echo, odd.echo, "what it knows of others stays honest");
                }
                (None, Some(sent)) => assert_eq!(sent.name(), "enter"),
                (Some(sent), None) => assert_eq!(sent.name(), "leave"),
                (even, odd) => assert_eq!(even, odd),
            }
        }
    });
}

#[test]
fn one_that_forces_a_reset_is_always_at_the_beginning() {
    with_surroundings(|around| {
        let mut adversary = Behaviour::ForcingReset.adversary(1);
        for message in every_kind(0) {
            let (name, said) =
                (message.name(), tells(adversary.as_mut(), ODD, (*message).clone(), around));
            match said {
                Some(Message::Summary(said)) => {
                    assert_eq!((said.view, said.head, said.executed), Default::default());
                }
                Some(Message::Report(said)) => assert_eq!(said.head.height, Height(0)),
                Some(_) => assert!(!["leave", "enter"].contains(&name)),
                None => assert!(["leave", "enter"].contains(&name)),
            }
        }
    });
}

#[test]
fn odd_replicas_get_the_block_two_heights_further_on_and_votes_for_that_one() {
    with_surroundings(|around| {
        let mut adversary = Behaviour::AssignDifferent.adversary(1);
        let honest = block(3, Hash([2; 32]));
        let mut to = |to, message| height_and_hash(tells(adversary.as_mut(), to, message, around));
        assert_eq!(to(EVEN, proposal(4, Arc::clone(&honest))), (3, honest.hash()));
        let odd = to(ODD, proposal(4, Arc::clone(&honest)));
        assert_eq!(odd.0, 5);
        assert_ne!(odd.1, honest.hash());
        let own_vote = || Message::Vote(vote(0, VoteKind::Commit, 3, honest.hash()));
        assert_eq!(to(EVEN, own_vote()), (3, honest.hash()));
        assert_eq!(to(ODD, own_vote()), odd);
    });
}

#[test]
fn every_block_of_a_ballot_gets_the_height_of_the_first() {
    with_surroundings(|around| {
        let mut adversary = Behaviour::ReuseHeights.adversary(1);
        let mut to = |message| height_and_hash(tells(adversary.as_mut(), ODD, message, around));
        let (first, second) = (block(3, Hash([2; 32])), block(4, Hash([3; 32])));
        assert_eq!(to(proposal(4, Arc::clone(&first))), (3, first.hash()));
        let again = to(proposal(4, Arc::clone(&second)));
        assert_eq!(again.0, 3);
        let own_vote = Message::Vote(vote(0, VoteKind::Prepare, 4, second.hash()));
        assert_eq!(to(own_vote), again);
        // A new ballot, a new height.
        assert_eq!(to(proposal(8, Arc::clone(&second))).0, 4);
    });
}

#[test]
fn proposals_out_of_bound_are_beyond_every_window() {
    with_surroundings(|around| {
        for seed in 0..20 {
            let mut adversary = Behaviour::OutOfBound.adversary(seed);
            let sent = tells(adversary.as_mut(), ODD, proposal(4, block(3, CHAIN.0)), around);
            assert!(height_and_hash(sent).0 > 3 + hard::WINDOW_MAX as u64);
        }
    });
}

#[test]
fn a_wrong_state_is_claimed_everywhere_and_its_certificates_do_not_verify() {
    with_surroundings(|around| {
        let mut adversary = Behaviour::WrongState.adversary(1);
        let mut forged = 0;
        for message in every_kind(0) {
            let Some(said) = tells(adversary.as_mut(), ODD, (*message).clone(), around) else {
                panic!("{} was kept back", message.name());
            };
            let committee = committee();
            forged += match &said {
                Message::Summary(s) => usize::from(s.head > Height(9) && s.state_root.0[0] == 66),
                Message::Attestation(a) => {
                    assert_eq!(a.verify(&committee, &Ed25519), Ok(()));
                    usize::from(a.statement.state_root.0[0] == 66)
                }
                Message::Certificate(c) => {
                    assert_eq!(c.signers.len(), 4);
                    usize::from(c.verify(&committee, &Ed25519).is_err())
                }
                Message::Blocks(blocks) => {
                    let sound = |b: &daruma_types::CertifiedBlock| {
                        b.certificate.verify(&committee, &Ed25519).is_ok()
                    };
                    usize::from(!blocks.iter().any(sound))
                }
                Message::StateCertificates(c) => {
                    usize::from(c[0].verify(2, &committee, &Ed25519).is_err())
                }
                Message::Report(r) => usize::from(r.verify(&committee, &Ed25519).is_err()),
                Message::Leave(l) => usize::from(l.verify(&committee, &Ed25519).is_err()),
                Message::Enter(e) => usize::from(e.verify(&committee, &Ed25519).is_err()),
                said => {
                    assert_eq!(*said, *message);
                    0
                }
            };
        }
        assert_eq!(forged, 9);
    });
}

#[test]
fn modified_requests_make_a_well_formed_block_of_transactions_that_nobody_signed() {
    with_surroundings(|around| {
        for seed in 0..10 {
            let mut adversary = Behaviour::ModifyRequest.adversary(seed);
            let honest = proposal(4, block(3, CHAIN.0));
            let Some(Message::PrePrepare(sent)) = tells(adversary.as_mut(), ODD, honest, around)
            else {
                panic!("not a proposal");
            };
            assert_eq!(sent.block.verify_shape(CHAIN, 3, 10_000), Ok(()));
            for transaction in &sent.block.transactions {
                assert!(transaction.verify(CHAIN, 1024, &Ed25519).is_err());
            }
        }
    });
}

#[test]
fn a_lying_servers_blocks_are_never_the_ones_it_has_and_its_height_is_not_its_own() {
    with_surroundings(|around| {
        let first = block(1, CHAIN.0);
        let second = block(2, first.hash());
        let honest = vec![certified(first), certified(second)];
        for seed in 0..20 {
            let mut adversary = Behaviour::LyingServer.adversary(seed);
            let told = adversary.outgoing(ODD, Arc::new(Message::Blocks(honest.clone())), around);
            let again = adversary.on_tick(around);
            let same = matches!(&*told[0], Message::Blocks(told) if *told == honest);
            assert!(!same || again.len() > 10);
            let summary = super::bench::summary();
            match tells(adversary.as_mut(), ODD, Message::Summary(summary.clone()), around) {
                Some(Message::Summary(told)) => assert_ne!(told.executed, summary.executed),
                other => panic!("{other:?}"),
            }
        }
    });
}
