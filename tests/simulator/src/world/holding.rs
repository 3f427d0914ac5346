//! A scheduler against the replicas: it holds back, up to its bound, whatever would complete a quorum,
//! and lets everything else through (greedy on how many votes are missing).

use std::collections::BTreeMap;

use daruma_types::{
    Coordination, Hash, Message, Place, ReplicaId, SignerSet, Thresholds, VoteKind,
};

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
            Counts::OneOf(watched, needed) => self.unless_it_completes(from, watched, needed),
            Counts::OneOfTwo(watched, needed) => {
                let [one, other] = watched.map(|w| self.unless_it_completes(from, w, needed));
                one.max(other)
            }
        }
    }

    /// Counts this sender, and holds it back if with it enough have said the same.
    fn unless_it_completes(&mut self, from: ReplicaId, watched: Watched, needed: usize) -> u64 {
        if self.heard.len() >= limits::WATCHED_MAX {
            self.heard.clear();
        }
        let heard = self.heard.entry(watched).or_default();
        heard.insert(from);
        // The receiver's own vote is one of those that are needed.
        if heard.len() + 1 >= needed { self.delay_us } else { 0 }
    }
}

/// What a message does for a quorum.
enum Counts {
    Nothing,
    /// It proves a whole one.
    Everything,
    /// It is one of so many votes.
    OneOf(Watched, usize),
    /// It is one of so many for each of the two.
    OneOfTwo([Watched; 2], usize),
}

/// Places of the Coordination Automaton, as said to `to`: those of senders, or what they know of it.
fn place(to: ReplicaId, kind: u8, place: Place) -> Watched {
    let Place { phase, pair, change, witness } = place;
    let current = pair.current.map_or(u64::from(u16::MAX) + 1, u64::from);
    let flags = u64::from(phase) << 2 | u64::from(change) << 1 | u64::from(witness);
    (to, kind, current << 16 | u64::from(pair.next), flags, Hash::default())
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
        // The predicates of the automaton: `n-f` in one place, and `n-f` that know where the receiver is.
        Message::Coordination(Coordination { own, echo }) => {
            Counts::OneOfTwo([place(to, 5, *own), place(to, 6, *echo)], thresholds.strong())
        }
        Message::Certificate(_)
        | Message::Leave(_)
        | Message::Enter(_)
        | Message::NewView(_)
        | Message::SnapshotOffer(_)
        | Message::StateCertificates(_) => Counts::Everything,
        _ => Counts::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keys, Role, Scheme};
    use daruma_types::{Ballot, ChainId, Height, ViewPair, Vote};

    #[test]
    fn the_place_that_would_be_that_of_n_minus_f_is_held_back() {
        let six = Thresholds::new(6, 1).unwrap();
        let mut holding = Holding::default();
        holding.begin(50, 1_000);
        let to = ReplicaId(0);
        let mut delay = |from, next, known| {
            let at = |next| Place { pair: ViewPair { current: Some(1), next }, ..Place::RESET };
            let message = Message::Coordination(Coordination { own: at(next), echo: at(known) });
            holding.delay_us(ReplicaId(from), to, &message, six, 0)
        };
        // Three say that they are in one place, and a fourth would make five with the receiver.
        assert_eq!([1, 2, 3].map(|from| delay(from, 1, from)), [0; 3]);
        assert_eq!(delay(4, 2, 9), 0, "in another place");
        assert_eq!(delay(4, 1, 9), 50);
        // Each is somewhere else, but they know the same of the receiver.
        assert_eq!([1, 2, 3].map(|from| delay(from, 10 + from, 7)), [0; 3]);
        assert_eq!(delay(4, 14, 7), 50);
    }

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
