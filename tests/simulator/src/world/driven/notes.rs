//! What a driven run notes beside what the replicas hold, for its test to look at.

use std::collections::{BTreeMap, VecDeque};

use daruma_engine::PoolRefusal;
use daruma_types::{Ballot, Height, Message, PublicKey, ReplicaId};

/// Messages kept at most: some rounds of a small cluster.
const SAID_MAX: usize = 4_096;

/// A correct replica found that another one contradicted itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Accusation {
    /// Who found it.
    pub by: ReplicaId,
    /// Who signed two things.
    pub accused: ReplicaId,
    /// In which ballot.
    pub ballot: Ballot,
    /// At which height.
    pub height: Height,
}

/// Why a client's transaction was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The door did not let it in: size, signature, or not an operation of the automaton.
    Invalid,
    /// The pool had an answer of its own, or the ledger has a later nonce of the client.
    Pool(PoolRefusal),
}

/// A transaction of a client at one replica.
type Submission = (ReplicaId, PublicKey, u64);

/// The notes.
#[derive(Debug, Default)]
pub(in crate::world) struct Notes {
    pub(in crate::world) accusations: Vec<Accusation>,
    /// Transactions that an engine was given and has not answered, with its incarnation then.
    asked: BTreeMap<ReplicaId, VecDeque<(u32, PublicKey, u64)>>,
    /// The last answer to each.
    answers: BTreeMap<Submission, Result<(), Refused>>,
    /// What was said, while it is noted.
    pub(in crate::world) said: Option<Vec<(ReplicaId, Message)>>,
}

impl Notes {
    /// An engine is given a transaction.
    pub(in crate::world) fn asked(
        &mut self,
        to: ReplicaId,
        incarnation: u32,
        client: PublicKey,
        nonce: u64,
    ) {
        self.asked.entry(to).or_default().push_back((incarnation, client, nonce));
    }

    /// A replica answers for the engine.
    pub(in crate::world) fn refused(
        &mut self,
        by: ReplicaId,
        client: PublicKey,
        nonce: u64,
        why: Refused,
    ) {
        self.answers.insert((by, client, nonce), Err(why));
    }

    /// An engine answers the first that it was given and has not answered.
    pub(in crate::world) fn answered(
        &mut self,
        by: ReplicaId,
        incarnation: u32,
        outcome: Result<(), PoolRefusal>,
    ) {
        let asked = self.asked.entry(by).or_default();
        while let Some((then, client, nonce)) = asked.pop_front() {
            // What an engine before it was given is lost.
            if then == incarnation {
                self.answers.insert((by, client, nonce), outcome.map_err(Refused::Pool));
                return;
            }
        }
    }

    /// The last answer to a transaction.
    pub(super) fn answer(&self, submission: &Submission) -> Option<Result<(), Refused>> {
        self.answers.get(submission).copied()
    }

    /// A replica says something.
    pub(in crate::world) fn hear(&mut self, from: ReplicaId, message: &Message) {
        if let Some(said) = &mut self.said
            && said.len() < SAID_MAX
        {
            said.push((from, message.clone()));
        }
    }
}
