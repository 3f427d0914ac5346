//! A scheduler against the replicas: it holds back, up to its bound, whatever would complete a quorum,
//! and lets everything else through (greedy on how many votes are missing).

use std::collections::BTreeMap;

use daruma_types::{Hash, Message, ReplicaId, SignerSet, Thresholds, VoteKind};

use crate::limits;

/// Who said what to whom, as far as it counts votes.
type Watched = (ReplicaId, u8, u64, u64, Hash);

/// What is held back now.
#[derive(Debug, Default)]
pub(super) struct Holding {
    until_us: u64,
    delay_us: u64,
    heard: BTreeMap<Watched, SignerSet>,
}

impl Holding {
    /// Begins to hold back by `delay_us`.
    pub(super) fn begin(&mut self, delay_us: u64, until_us: u64) {
        (self.delay_us, self.until_us) = (delay_us, until_us);
        self.heard.clear();
    }

    /// Ends.
    pub(super) fn end(&mut self) {
        self.until_us = 0;
        self.heard.clear();
    }

    /// By how much this message is held back.
    pub(super) fn delay_us(
        &mut self,
        from: ReplicaId,
        to: ReplicaId,
        message: &Message,
        thresholds: Thresholds,
        now_us: u64,
    ) -> u64 {
        if now_us >= self.until_us {
            return 0;
        }
        match watched(to, message, thresholds) {
            Counts::Nothing => 0,
            Counts::Everything => self.delay_us,
            Counts::OneOf(watched, needed) => {
                if self.heard.len() >= limits::WATCHED_MAX {
                    self.heard.clear();
                }
                let heard = self.heard.entry(watched).or_default();
                heard.insert(from);
                // The receiver's own vote is one of those that are needed.
                if heard.len() + 1 >= needed { self.delay_us } else { 0 }
            }
        }
    }
}

/// What a message does for a quorum.
enum Counts {
    Nothing,
    /// It proves a whole one.
    Everything,
    /// It is one of so many votes.
    OneOf(Watched, usize),
}

const fn kind(kind: VoteKind) -> u8 {
    match kind {
        VoteKind::Prepare => 0,
        VoteKind::Commit => 1,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others bring no quorum nearer")]
fn watched(to: ReplicaId, message: &Message, thresholds: Thresholds) -> Counts {
    match message {
        Message::Vote(vote) => Counts::OneOf(
            (to, kind(vote.kind), vote.ballot.0, vote.height.0, vote.hash),
            thresholds.quorum(),
        ),
        Message::PrePrepare(proposal) => {
            let (ballot, height) = (proposal.ballot.0, proposal.block.header.height.0);
            let watched = (to, kind(VoteKind::Prepare), ballot, height, proposal.block.hash());
            Counts::OneOf(watched, thresholds.quorum())
        }
        Message::Demand(demand) => {
            Counts::OneOf((to, 2, demand.view.0, 0, Hash::default()), thresholds.strong())
        }
        Message::Report(report) => {
            Counts::OneOf((to, 3, report.ballot.0, 0, Hash::default()), thresholds.strong())
        }
        Message::Attestation(attestation) => {
            let statement = &attestation.statement;
            let watched = (to, 4, 0, statement.height.0, statement.block);
            Counts::OneOf(watched, thresholds.weak())
        }
        Message::Certificate(_)
        | Message::Leave(_)
        | Message::Enter(_)
        | Message::NewView(_)
        | Message::StateCertificates(_) => Counts::Everything,
        _ => Counts::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keys, Role, Scheme};
    use daruma_types::{Ballot, ChainId, Height, Vote};

    #[test]
    fn the_vote_that_completes_a_quorum_is_held_back_and_those_before_it_are_not() {
        let thresholds = Thresholds::new(4, 1).unwrap();
        let signer = Keys::new(Scheme::Fast, 1).signer(Role::Replica, 0);
        let vote = |hash| {
            let chain = ChainId(Hash([7; 32]));
            let (ballot, height) = (Ballot(0), Height(1));
            let kind = VoteKind::Prepare;
            Message::Vote(Vote::sign(
                kind,
                chain,
                ballot,
                height,
                Hash([hash; 32]),
                signer.as_ref(),
            ))
        };
        let mut holding = Holding::default();
        let to = ReplicaId(0);
        let delay = |holding: &mut Holding, from, hash, now_us| {
            holding.delay_us(ReplicaId(from), to, &vote(hash), thresholds, now_us)
        };
        assert_eq!(delay(&mut holding, 1, 1, 0), 0);
        holding.begin(50, 1_000);
        assert_eq!(delay(&mut holding, 1, 1, 0), 0);
        // The same again, and one for another block, bring it no nearer.
        assert_eq!(delay(&mut holding, 1, 1, 0), 0);
        assert_eq!(delay(&mut holding, 2, 2, 0), 0);
        assert_eq!(delay(&mut holding, 2, 1, 0), 50);
        assert_eq!(delay(&mut holding, 2, 1, 1_000), 0);
    }
}
