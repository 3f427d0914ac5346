//! A backup whose votes say nothing of what it holds: none at all, the opposite, now one and now the
//! other, or the same in many ballots at once.

use std::sync::Arc;

use daruma_types::{Ballot, Message, ReplicaId, Vote, VoteKind};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::fork::signed_vote;
use crate::{Adversary, Surroundings};

/// How it votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VotingManner {
    /// Votes for nothing.
    Nothing,
    /// Votes for another block, and commits where it should prepare.
    Opposite,
    /// Honest at one tick, the opposite at the next.
    Alternating,
    /// Votes in the ballots around as well.
    EveryBallot,
}

/// The adversary: votes in one manner, whatever its engine holds.
pub struct FickleVoter {
    manner: VotingManner,
    ticks: u64,
}

impl FickleVoter {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        let manner = match random.random_range(0..4) {
            0 => VotingManner::Nothing,
            1 => VotingManner::Opposite,
            2 => VotingManner::Alternating,
            _ => VotingManner::EveryBallot,
        };
        Self { manner, ticks: 0 }
    }

    /// Votes in this manner.
    #[must_use]
    pub const fn with(manner: VotingManner) -> Self {
        Self { manner, ticks: 0 }
    }
}

fn opposite(vote: &Vote, around: &Surroundings<'_>) -> Vec<Arc<Message>> {
    let mut hash = vote.hash;
    hash.0[0] = !hash.0[0];
    [VoteKind::Prepare, VoteKind::Commit]
        .map(|kind| Arc::new(signed_vote(kind, vote.ballot, vote.height, hash, around)))
        .to_vec()
}

impl Adversary for FickleVoter {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        let Message::Vote(vote) = &*message else {
            return vec![message];
        };
        match self.manner {
            VotingManner::Nothing => Vec::new(),
            VotingManner::Opposite => opposite(vote, around),
            VotingManner::Alternating if self.ticks.is_multiple_of(2) => vec![message],
            VotingManner::Alternating => opposite(vote, around),
            VotingManner::EveryBallot => {
                let first = vote.ballot.0.saturating_sub(1);
                (first..=first.saturating_add(4))
                    .map(|ballot| {
                        signed_vote(vote.kind, Ballot(ballot), vote.height, vote.hash, around)
                    })
                    .map(Arc::new)
                    .collect()
            }
        }
    }

    fn on_tick(&mut self, _: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        self.ticks = self.ticks.wrapping_add(1);
        Vec::new()
    }
}
