//! A replica that agrees with everyone: towards each it votes for whatever that one voted for or
//! proposed, in both steps. Together with an equivocating primary it does the most for a fork.

use std::collections::BTreeSet;
use std::sync::Arc;

use daruma_types::{Ballot, Hash, Height, Message, ReplicaId, VoteKind};

use crate::fork::signed_vote;
use crate::{Adversary, Surroundings, limits};

/// What it already agreed to, with whom.
type Agreed = (Ballot, Height, Hash, ReplicaId);

#[derive(Default)]
pub(crate) struct Accomplice {
    agreed: BTreeSet<Agreed>,
    sayings: Vec<(ReplicaId, Arc<Message>)>,
}

impl Adversary for Accomplice {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        _: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        // Its engine's own votes could contradict what it says to please.
        if matches!(*message, Message::Vote(_)) { Vec::new() } else { vec![message] }
    }

    fn incoming(
        &mut self,
        from: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Option<Arc<Message>> {
        let slot = match &*message {
            Message::PrePrepare(theirs) => {
                Some((theirs.ballot, theirs.block.header.height, theirs.block.hash()))
            }
            Message::Vote(vote) => Some((vote.ballot, vote.height, vote.hash)),
            _ => None,
        };
        if let Some((ballot, height, hash)) = slot
            && self.agreed.insert((ballot, height, hash, from))
        {
            if self.agreed.len() > limits::SAYINGS_MAX {
                self.agreed.pop_first();
            }
            for kind in [VoteKind::Prepare, VoteKind::Commit] {
                if self.sayings.len() < limits::SAYINGS_MAX {
                    let vote = signed_vote(kind, ballot, height, hash, around);
                    self.sayings.push((from, Arc::new(vote)));
                }
            }
        }
        Some(message)
    }

    fn on_tick(&mut self, _: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        std::mem::take(&mut self.sayings)
    }
}
