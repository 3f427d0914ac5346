use std::sync::Arc;

use daruma_types::{
    Ballot, Block, ChainId, Committee, Hash, Height, Message, PrePrepare, Replica, ReplicaId,
    SecretKey, Signer, Transaction, Vote, VoteKind,
};

use crate::{Behaviour, Surroundings, Twins};

const CHAIN: ChainId = ChainId(Hash([7; 32]));

fn key(i: u16) -> SecretKey {
    SecretKey::from_bytes(&[i as u8 + 1; 32])
}

fn committee() -> Committee {
    let replicas =
        (0..4).map(|i| Replica { name: format!("r{i}"), key: key(i).public_key() }).collect();
    Committee::new(CHAIN, 1, replicas).unwrap()
}

fn proposal(signer: &dyn Signer) -> Arc<Message> {
    let client = SecretKey::from_bytes(&[99; 32]);
    let transactions = (1..=3).map(|n| Transaction::sign(CHAIN, &client, n, vec![1])).collect();
    let block = Arc::new(Block::build(CHAIN, Height(1), CHAIN.0, ReplicaId(0), 5, transactions));
    let bytes = VoteKind::Prepare.signed_bytes(CHAIN, Ballot(0), Height(1), &block.hash());
    let signature = signer.sign(&bytes);
    Arc::new(Message::PrePrepare(PrePrepare { ballot: Ballot(0), block, signature }))
}

fn with_surroundings<T>(body: impl FnOnce(&Surroundings<'_>) -> T) -> T {
    let (committee, signer) = (committee(), key(0));
    body(&Surroundings {
        own: ReplicaId(0),
        committee: &committee,
        signer: &signer,
        now_ms: 0,
        elapsed_ms: 0,
        link_per_tick: 64,
        summary: None,
    })
}

fn block_of(message: &Message) -> Hash {
    match message {
        Message::PrePrepare(proposal) => proposal.block.hash(),
        other => panic!("a {} instead of a proposal", other.name()),
    }
}

#[test]
fn every_behaviour_is_found_by_its_name_and_names_differ() {
    for behaviour in Behaviour::ALL {
        assert_eq!(Behaviour::from_name(behaviour.name()), Some(behaviour));
    }
    assert_eq!(Behaviour::from_name("honest"), None);
}

#[test]
fn an_equivocating_primary_shows_two_blocks_at_one_height_and_votes_accordingly() {
    with_surroundings(|around| {
        let seen_by = |seed| {
            let mut adversary = Behaviour::Equivocating.adversary(seed);
            let mut blocks = Vec::new();
            for to in (1..4).map(ReplicaId) {
                let sent = adversary.outgoing(to, proposal(around.signer), around);
                assert_eq!(sent.len(), 1);
                let hash = block_of(&sent[0]);
                let honest = block_of(&proposal(around.signer));
                let vote = Vote::sign(
                    VoteKind::Commit,
                    CHAIN,
                    Ballot(0),
                    Height(1),
                    honest,
                    around.signer,
                );
                let votes = adversary.outgoing(to, Arc::new(Message::Vote(vote)), around);
                assert!(matches!(&*votes[0], Message::Vote(vote) if vote.hash == hash));
                blocks.push(hash);
            }
            blocks.sort();
            blocks.dedup();
            blocks.len()
        };
        assert!((0..20).any(|seed| seen_by(seed) == 2));
        assert!((0..20).all(|seed| seen_by(seed) <= 2));
    });
}

#[test]
fn a_slow_primary_holds_its_proposal_back_and_tells_everyone_at_once() {
    with_surroundings(|around| {
        let mut adversary = Behaviour::SlowPrimary.adversary(1);
        for to in (1..4).map(ReplicaId) {
            assert!(adversary.outgoing(to, proposal(around.signer), around).is_empty());
        }
        let told = (0..64).map(|_| adversary.on_tick(around)).find(|said| !said.is_empty());
        assert_eq!(told.map(|said| said.len()), Some(3));
        assert_eq!(adversary.outgoing(ReplicaId(1), proposal(around.signer), around).len(), 1);
    });
}

#[test]
fn a_silent_replica_says_nothing_and_a_primary_that_stopped_assigning_still_sends_tokens() {
    with_surroundings(|around| {
        let token = Arc::new(Message::Token { counter: 1 });
        let mut silent = Behaviour::Silent.adversary(1);
        assert!(silent.outgoing(ReplicaId(1), Arc::clone(&token), around).is_empty());
        let mut idle = Behaviour::StopAssigning.adversary(1);
        assert_eq!(idle.outgoing(ReplicaId(1), token, around).len(), 1);
        assert!(idle.outgoing(ReplicaId(1), proposal(around.signer), around).is_empty());
    });
}

#[test]
fn a_block_with_a_transaction_twice_is_well_formed() {
    with_surroundings(|around| {
        let spoilt = (0..20).map(|seed| {
            let mut adversary = Behaviour::UsedNonces.adversary(seed);
            adversary.outgoing(ReplicaId(1), proposal(around.signer), around)
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
