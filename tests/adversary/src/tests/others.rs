//! The further behaviours.

use std::collections::BTreeSet;
use std::sync::Arc;

use daruma_types::{ChainId, Committee, Ed25519, Hash, Message, ReplicaId, Vote, VoteKind, codec};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::bench::{CHAIN, OWN, block, committee, every_kind, proposal, vote, with_surroundings};
use crate::{Behaviour, Surroundings, Switching, Twins, Window, small_step};

const OTHERS: [ReplicaId; 3] = [ReplicaId(1), ReplicaId(2), ReplicaId(3)];

fn block_of(message: &Message) -> Hash {
    match message {
        Message::PrePrepare(proposal) => proposal.block.hash(),
        other => panic!("a {} instead of a proposal", other.name()),
    }
}

fn votes(messages: &[Arc<Message>]) -> Vec<Vote> {
    let vote = |message: &Arc<Message>| match &**message {
        Message::Vote(vote) => Some(vote.clone()),
        _ => None,
    };
    messages.iter().filter_map(vote).collect()
}

#[test]
fn an_equivocating_primary_shows_two_blocks_at_one_height_and_votes_accordingly() {
    with_surroundings(|around| {
        let honest = block(1, CHAIN.0);
        let seen_by = |seed| {
            let mut adversary = Behaviour::Equivocating.adversary(seed);
            let mut blocks = BTreeSet::new();
            for to in OTHERS {
                let proposal = Arc::new(proposal(4, Arc::clone(&honest)));
                let sent = adversary.outgoing(to, proposal, around);
                assert_eq!(sent.len(), 1);
                let hash = block_of(&sent[0]);
                let vote = Message::Vote(vote(0, VoteKind::Commit, 1, honest.hash()));
                let sent = adversary.outgoing(to, Arc::new(vote), around);
                assert_eq!(votes(&sent)[0].hash, hash);
                blocks.insert(hash);
            }
            blocks.len()
        };
        assert!((0..20).any(|seed| seen_by(seed) == 2));
        assert!((0..20).all(|seed| seen_by(seed) <= 2));
    });
}

#[test]
fn a_two_faced_replica_tells_two_stories_in_every_kind_of_message() {
    with_surroundings(|around| {
        let mut kinds = BTreeSet::new();
        for seed in 0..10 {
            let mut adversary = Behaviour::TwoFaced.adversary(seed);
            // Once, so that it has something older to show.
            for message in every_kind(0) {
                let told: Vec<_> = OTHERS
                    .iter()
                    .map(|to| adversary.outgoing(*to, Arc::clone(&message), around))
                    .collect();
                let stories: Vec<_> = told
                    .iter()
                    .enumerate()
                    .filter(|(i, story)| !told[..*i].contains(story))
                    .collect();
                assert!(stories.len() <= 2);
                if stories.len() == 2 {
                    kinds.insert(message.name());
                }
            }
        }
        let all: BTreeSet<_> = every_kind(0).iter().map(|message| message.name()).collect();
        assert_eq!(kinds, all);
    });
}

#[test]
fn an_accomplice_votes_in_both_steps_for_what_each_one_voted_for() {
    with_surroundings(|around| {
        let mut adversary = Behaviour::Accomplice.adversary(1);
        for from in OTHERS {
            let theirs = vote(from.0, VoteKind::Prepare, 3, Hash([from.0 as u8; 32]));
            drop(adversary.incoming(from, Arc::new(Message::Vote(theirs)), around));
        }
        let said = adversary.on_tick(around);
        assert_eq!(said.len(), 6);
        for (to, message) in said {
            let vote = votes(&[message]).remove(0);
            assert_eq!(vote.hash, Hash([to.0 as u8; 32]));
            assert_eq!(vote.verify(OWN, &committee(), &Ed25519), Ok(()));
        }
        let own = Message::Vote(vote(0, VoteKind::Prepare, 3, Hash::default()));
        assert!(adversary.outgoing(OTHERS[0], Arc::new(own), around).is_empty());
    });
}

#[test]
fn what_was_said_on_another_chain_holds_there_and_not_here() {
    let mut other = CHAIN;
    other.0.0[31] ^= 1;
    let elsewhere =
        |chain: ChainId| Committee::new(chain, 1, committee().replicas().to_vec()).unwrap();
    with_surroundings(|around| {
        let mut adversary = Behaviour::ForeignChain.adversary(1);
        let own = Message::Vote(vote(0, VoteKind::Prepare, 3, Hash::default()));
        let sent = adversary.outgoing(OTHERS[0], Arc::new(own), around);
        let foreign = votes(&sent).remove(0);
        assert!(foreign.verify(OWN, &committee(), &Ed25519).is_err());
        assert_eq!(foreign.verify(OWN, &elsewhere(other), &Ed25519), Ok(()));
    });
}

#[test]
fn a_fickle_voter_votes_for_nothing_the_opposite_by_turns_or_in_every_ballot() {
    with_surroundings(|around| {
        let own = vote(0, VoteKind::Prepare, 3, Hash::default());
        let mut manners = BTreeSet::new();
        for seed in 0..40 {
            let mut adversary = Behaviour::FickleVoter.adversary(seed);
            let manner: Vec<Vec<(u64, bool)>> = (0..2)
                .map(|_| {
                    let message = Arc::new(Message::Vote(own.clone()));
                    let sent = votes(&adversary.outgoing(OTHERS[0], message, around));
                    assert!(sent.iter().all(|v| v.verify(OWN, &committee(), &Ed25519).is_ok()));
                    adversary.on_tick(around);
                    sent.iter().map(|v| (v.ballot.0, v.hash == own.hash)).collect()
                })
                .collect();
            manners.insert(manner);
        }
        let opposite = vec![(4, false), (4, false)];
        let everywhere: Vec<_> = (3..8).map(|ballot| (ballot, true)).collect();
        let expected = [
            vec![vec![], vec![]],
            vec![opposite.clone(), opposite.clone()],
            vec![vec![(4, true)], opposite],
            vec![everywhere.clone(), everywhere],
        ];
        assert_eq!(manners, expected.into_iter().collect());
    });
}

#[test]
fn a_flood_fills_the_link_and_no_more_and_ends_at_its_own_bound() {
    with_surroundings(|around| {
        for seed in 0..20 {
            let mut adversary = Behaviour::Flood.adversary(seed);
            let count = |said: &[(ReplicaId, Arc<Message>)], id| {
                said.iter().filter(|(to, _)| *to == id).count() as u32
            };
            let narrow = Surroundings { link_per_tick: 3, ..*around };
            let said = adversary.on_tick(&narrow);
            assert!(OTHERS.iter().all(|to| count(&said, *to) == 3));
            let wide = Surroundings { link_per_tick: u32::MAX, ..*around };
            let said = adversary.on_tick(&wide);
            let most = crate::limits::FLOOD_PER_TICK_MAX;
            assert!(OTHERS.iter().all(|to| (8..=most).contains(&count(&said, *to))));
        }
    });
}

#[test]
fn the_flood_of_evidence_is_of_true_contradictions() {
    with_surroundings(|around| {
        let mut adversary = Behaviour::EvidenceFlood.adversary(1);
        let said: Vec<_> = (0..20)
            .flat_map(|_| adversary.on_tick(around))
            .filter(|(to, _)| *to == OTHERS[0])
            .map(|(_, message)| message)
            .collect();
        let mut contradictions = 0;
        for pair in votes(&said).chunks(2) {
            if let [one, other] = pair
                && (one.kind, one.ballot, one.height) == (other.kind, other.ballot, other.height)
            {
                assert_ne!(one.hash, other.hash);
                assert_eq!(one.verify(OWN, &committee(), &Ed25519), Ok(()));
                assert_eq!(other.verify(OWN, &committee(), &Ed25519), Ok(()));
                contradictions += 1;
            }
        }
        assert!(contradictions > 20, "{contradictions}");
    });
}

#[test]
fn garbage_is_bytes_that_mostly_are_no_message_and_signatures_that_do_not_hold() {
    with_surroundings(|around| {
        let mut adversary = Behaviour::Garbage.adversary(1);
        for message in every_kind(1) {
            drop(adversary.incoming(OTHERS[0], message, around));
        }
        let raw: Vec<_> = (0..50).flat_map(|_| adversary.raw(around)).collect();
        let decoded = raw.iter().filter(|(_, b)| codec::decode::<Message>(b).is_ok()).count();
        assert!(raw.len() >= 100 && decoded < raw.len() / 2);
        for (_, message) in (0..50).flat_map(|_| adversary.on_tick(around)) {
            let sound = match &*message {
                Message::Vote(m) => m.verify(OWN, &committee(), &Ed25519).is_ok(),
                Message::Attestation(m) => m.verify(&committee(), &Ed25519).is_ok(),
                // Someone else's, under the sender's connection.
                Message::Report(m) => m.replica == OWN,
                _ => false,
            };
            assert!(!sound, "{message:?}");
        }
    });
}

#[test]
fn a_mutating_replica_is_honest_but_for_one_to_three_messages_of_six_hundred() {
    with_surroundings(|around| {
        for seed in 0..30 {
            let mut adversary = Behaviour::Mutate.adversary(seed);
            let changed = (0..600)
                .filter(|i| {
                    let own = Message::Vote(vote(0, VoteKind::Prepare, *i, Hash([*i as u8; 32])));
                    let sent = adversary.outgoing(OTHERS[0], Arc::new(own.clone()), around);
                    let vote = votes(&sent).remove(0);
                    assert_eq!(vote.verify(OWN, &committee(), &Ed25519), Ok(()));
                    *sent[0] != own
                })
                .count();
            assert!((1..=3).contains(&changed), "{changed}");
        }
    });
}

#[test]
fn a_small_step_changes_every_kind_of_message_and_no_signature_holds_after_it() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let committee = committee();
    for message in every_kind(0) {
        let steps: Vec<Message> =
            (0..20).map(|_| small_step(&message, &[Hash([3; 32])], &mut random)).collect();
        let changed = steps.iter().filter(|step| **step != *message).count();
        let has_steps = !matches!(*message, Message::TokenReturn { .. } | Message::Want(_));
        assert_eq!(changed > 10, has_steps, "{}: {changed}", message.name());
        for step in steps.iter().filter(|step| **step != *message) {
            let sound = match step {
                Message::Vote(m) => m.verify(OWN, &committee, &Ed25519),
                Message::Report(m) => m.verify(&committee, &Ed25519),
                Message::Leave(m) => m.verify(&committee, &Ed25519),
                Message::Enter(m) => m.verify(&committee, &Ed25519),
                Message::NewView(m) => m.verify(&committee, &Ed25519),
                Message::Certificate(m) => m.verify(&committee, &Ed25519),
                Message::Attestation(m) => m.verify(&committee, &Ed25519),
                Message::StateCertificates(m) => m[0].verify(2, &committee, &Ed25519),
                _ => continue,
            };
            assert!(sound.is_err(), "{step:?}");
        }
    }
}

#[test]
fn a_chameleon_treats_equal_messages_in_different_ways() {
    with_surroundings(|around| {
        let ways = |seed| {
            let mut adversary = Behaviour::Chameleon.adversary(seed);
            let own = Arc::new(Message::Vote(vote(0, VoteKind::Prepare, 3, Hash::default())));
            let mut ways: Vec<Vec<Arc<Message>>> = Vec::new();
            for _ in 0..100 {
                let sent = adversary.outgoing(OTHERS[0], Arc::clone(&own), around);
                if !ways.contains(&sent) {
                    ways.push(sent);
                }
                adversary.on_tick(around);
            }
            ways.len()
        };
        let ways: Vec<usize> = (0..6).map(ways).collect();
        assert!(ways.iter().all(|ways| *ways > 1) && ways.iter().any(|ways| *ways > 5), "{ways:?}");
    });
}

#[test]
fn a_behaviour_begins_and_ends_at_its_time_and_the_next_one_is_another() {
    let window =
        |behaviour, from_ms, until_ms| Window { replica: OWN, behaviour, from_ms, until_ms };
    let foreign = Window { replica: ReplicaId(1), ..window(Behaviour::Silent, 0, 1_000) };
    let windows =
        [foreign, window(Behaviour::Silent, 100, 200), window(Behaviour::StopAssigning, 200, 300)];
    let mut switching = Switching::new(OWN, &windows, 1);
    with_surroundings(|around| {
        let mut said = |elapsed_ms| {
            let around = Surroundings { elapsed_ms, ..*around };
            let adversary: &mut dyn crate::Adversary = &mut switching;
            let token = Arc::new(Message::Token { counter: 1 });
            let proposal = Arc::new(proposal(4, block(1, CHAIN.0)));
            (
                adversary.outgoing(OTHERS[0], token, &around).len(),
                adversary.outgoing(OTHERS[0], proposal, &around).len(),
            )
        };
        assert_eq!(said(99), (1, 1));
        assert_eq!(said(100), (0, 0));
        assert_eq!(said(200), (1, 0));
        assert_eq!(said(300), (1, 1));
    });
}

#[test]
fn a_slow_primary_holds_its_proposal_back_and_tells_everyone_at_once() {
    with_surroundings(|around| {
        let mut adversary = Behaviour::SlowPrimary.adversary(1);
        let own = || Arc::new(proposal(4, block(1, CHAIN.0)));
        for to in OTHERS {
            assert!(adversary.outgoing(to, own(), around).is_empty());
        }
        let told = (0..64).map(|_| adversary.on_tick(around)).find(|said| !said.is_empty());
        assert_eq!(told.map(|said| said.len()), Some(3));
        assert_eq!(adversary.outgoing(OTHERS[0], own(), around).len(), 1);
    });
}

#[test]
fn a_block_with_a_transaction_twice_is_well_formed() {
    with_surroundings(|around| {
        let spoilt = (0..20).map(|seed| {
            let mut adversary = Behaviour::UsedNonces.adversary(seed);
            adversary.outgoing(OTHERS[0], Arc::new(proposal(4, block(1, CHAIN.0))), around)
        });
        let twice = spoilt.filter(|sent| match &*sent[0] {
            Message::PrePrepare(sent) => {
                assert_eq!(sent.block.verify_shape(CHAIN, 3, 10_000), Ok(()));
                sent.block.transactions.first() == sent.block.transactions.last()
            }
            other => panic!("a {} instead of a proposal", other.name()),
        });
        assert!(twice.count() > 0);
    });
}

#[test]
fn twins_split_the_others_and_the_split_changes() {
    let mut twins = Twins::new(3);
    let split = |twins: &Twins| (0..8).map(|i| twins.heard_by(ReplicaId(i))).collect::<Vec<_>>();
    let first = split(&twins);
    assert!((0..1000).any(|_| {
        twins.on_tick();
        split(&twins) != first
    }));
}
