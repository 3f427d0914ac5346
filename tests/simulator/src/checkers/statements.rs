//! What a correct replica signs, across restarts: never two things that contradict each other.

use std::collections::BTreeMap;

use daruma_types::{Ballot, Hash, Height, Message, ReplicaId, Report, Statement, Vote, VoteKind};

use super::{Broken, Checkers};
use crate::Invariant;

/// What one replica signed and sent.
#[derive(Debug, Default)]
pub(super) struct Statements {
    votes: BTreeMap<(VoteKind, Ballot, Height), Hash>,
    attested: BTreeMap<Height, Statement>,
    /// Its report of the highest view.
    report: Option<Reported>,
}

/// A report in short.
#[derive(Debug, Clone, Copy)]
struct Reported {
    ballot: Ballot,
    prepared: Option<(Ballot, Height)>,
    head: Height,
}

impl Checkers {
    /// A correct replica sends a message.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others bear no signature to compare")]
    pub(crate) fn sent(&mut self, replica: ReplicaId, message: &Message) -> Result<(), Broken> {
        let primary = |ballot: Ballot| self.committee.thresholds().primary(ballot.0);
        match message {
            Message::Vote(Vote { kind, ballot, height, hash, .. }) => {
                self.voted(replica, *kind, *ballot, *height, *hash)
            }
            Message::PrePrepare(own) if primary(own.ballot) == replica => {
                let height = own.block.header.height;
                self.voted(replica, VoteKind::Prepare, own.ballot, height, own.block.hash())
            }
            Message::Report(report) if report.replica == replica => {
                self.reported(replica, report);
                Ok(())
            }
            Message::Attestation(own) if own.replica == replica => {
                self.attested(replica, own.statement)
            }
            _ => Ok(()),
        }
    }

    fn voted(
        &mut self,
        replica: ReplicaId,
        kind: VoteKind,
        ballot: Ballot,
        height: Height,
        hash: Hash,
    ) -> Result<(), Broken> {
        let own = &mut self.statements[replica.index()];
        match own.votes.insert((kind, ballot, height), hash) {
            Some(before) if before != hash => {
                let what = format!(
                    "{replica} cast two {} votes in ballot {ballot} at {height}: {before:?}, then \
                     {hash:?}",
                    kind.name()
                );
                Err((Invariant::OneVote, what))
            }
            Some(_) => Ok(()),
            None => own.commit_after_report(replica, kind, ballot, height),
        }
    }

    fn reported(&mut self, replica: ReplicaId, report: &Report) {
        let own = &mut self.statements[replica.index()];
        if own.report.is_none_or(|last| report.ballot > last.ballot) {
            own.report = Some(Reported {
                ballot: report.ballot,
                prepared: report.prepared.as_ref().map(|prepared| prepared.rank()),
                head: report.head.height,
            });
        }
    }

    fn attested(&mut self, replica: ReplicaId, statement: Statement) -> Result<(), Broken> {
        let own = &mut self.statements[replica.index()];
        match own.attested.insert(statement.height, statement) {
            Some(before) if before != statement => {
                let what = format!("{replica} attested {before:?}, then {statement:?}");
                return Err((Invariant::OneVote, what));
            }
            Some(_) | None => {}
        }
        if statement.height > self.executed_at(replica) {
            let what = format!("{replica} attested {statement:?} before it was durable");
            return Err((Invariant::Durability, what));
        }
        Ok(())
    }
}

impl Statements {
    /// "I vote in no ballot below": what a report promises of commits. A commit that its report
    /// already covered may still come out afterwards.
    fn commit_after_report(
        &self,
        replica: ReplicaId,
        kind: VoteKind,
        ballot: Ballot,
        height: Height,
    ) -> Result<(), Broken> {
        let Some(report) = self.report else { return Ok(()) };
        let covered = report.prepared >= Some((ballot, height)) || report.head >= height;
        if kind == VoteKind::Prepare || ballot >= report.ballot || covered {
            return Ok(());
        }
        let what = format!(
            "{replica} cast a commit vote in ballot {ballot} at {height} after its report for ballot \
             {} with head {} and prepared {:?}",
            report.ballot, report.head, report.prepared
        );
        Err((Invariant::OneVote, what))
    }
}
