//! A replica that claims more voices than there are: in one kind of set it names all sixty-four that a
//! set can hold, itself, the silent and those that do not exist among them, or it speaks for every view
//! at once.

use std::sync::Arc;

use daruma_types::{
    Ballot, Coordination, Demand, Hash, LeaveCertificate, Message, Place, ReplicaId, SignerSet,
    StateCertificate, Summary, View, ViewPair, limits as hard,
};

use crate::fork::signed_vote;
use crate::{Adversary, Surroundings};

/// Everyone, and everyone who is not.
const EVERYONE: SignerSet = SignerSet(u64::MAX);

/// Views around its own that it speaks for at once, at most.
const VIEWS: u64 = 8;

/// What is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// All demand to leave the view, and all reported for the next: in summaries.
    Demands,
    /// All prepared and committed whatever is in flight: in summaries.
    Votes,
    /// A certificate that all demand to leave, under which only its own signature holds.
    LeaveCertificate,
    /// Certificates of votes, and of states, that name all as signers.
    Signers,
    /// It demands to leave every view around its own, and votes in all their ballots.
    EveryView,
    /// Its place in the paper's automaton witnesses everything, and wants another view.
    Witness,
    /// It echoes to each what would let that one go on: in the paper's automaton, as if it were on its
    /// way to the next view.
    Echo,
}

impl Claim {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Demands,
        Self::Votes,
        Self::LeaveCertificate,
        Self::Signers,
        Self::EveryView,
        Self::Witness,
        Self::Echo,
    ];
}

/// The adversary.
pub struct Overclaiming {
    claim: Claim,
}

impl Overclaiming {
    /// Makes this claim, at every opportunity.
    #[must_use]
    pub const fn with(claim: Claim) -> Self {
        Self { claim }
    }

    fn summary(&self, honest: &Summary) -> Summary {
        let mut summary = honest.clone();
        match self.claim {
            Claim::Demands => {
                summary.reports = EVERYONE;
                summary.monitor.demands = EVERYONE;
                summary.monitor.suspects = true;
                summary.monitor.status = daruma_types::VStatus::VChange;
            }
            Claim::Votes => {
                for line in &mut summary.slots {
                    (line.prepares, line.commits) = (EVERYONE, EVERYONE);
                }
            }
            Claim::LeaveCertificate
            | Claim::Signers
            | Claim::EveryView
            | Claim::Witness
            | Claim::Echo => {}
        }
        summary
    }
}

impl Adversary for Overclaiming {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        match (&*message, self.claim) {
            (Message::Summary(honest), _) => vec![Arc::new(Message::Summary(self.summary(honest)))],
            (Message::Coordination(honest), Claim::Witness) => {
                let own = Place { change: true, witness: true, ..honest.own };
                vec![Arc::new(Message::Coordination(Coordination { own, ..*honest }))]
            }
            (Message::Coordination(honest), Claim::Echo) => {
                let replicas = around.committee.thresholds().replicas() as u16;
                let current = honest.echo.pair.next;
                let pair = ViewPair { current: Some(current), next: (current + 1) % replicas };
                let echo = Place { phase: 1, pair, change: true, witness: true };
                let own = Place { witness: true, ..honest.own };
                vec![Arc::new(Message::Coordination(Coordination { own, echo }))]
            }
            (Message::Certificate(honest), Claim::Signers) => {
                let mut forged = honest.clone();
                let first = forged.signatures.first().copied();
                forged.signers = EVERYONE;
                forged.signatures = first.into_iter().cycle().take(EVERYONE.len()).collect();
                vec![Arc::new(Message::Certificate(forged))]
            }
            (Message::StateCertificates(honest), Claim::Signers) => {
                let forged = honest.iter().map(|honest| {
                    let first = honest.signatures.first().copied();
                    let signatures = first.into_iter().cycle().take(EVERYONE.len()).collect();
                    StateCertificate { signers: EVERYONE, signatures, ..honest.clone() }
                });
                vec![Arc::new(Message::StateCertificates(forged.collect()))]
            }
            (Message::Vote(vote), Claim::EveryView) => {
                let first = vote.ballot.0.saturating_sub(1);
                let ballots = (first..first.saturating_add(VIEWS)).map(Ballot);
                ballots
                    .map(|ballot| signed_vote(vote.kind, ballot, vote.height, vote.hash, around))
                    .map(Arc::new)
                    .collect()
            }
            _ => vec![message],
        }
    }

    fn on_tick(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        let Some(summary) = around.summary else { return Vec::new() };
        let (chain, view) = (around.committee.chain(), summary.view);
        let mut said = Vec::new();
        match self.claim {
            Claim::Demands => said.push(Message::Demand(Demand::sign(chain, view, around.signer))),
            Claim::LeaveCertificate => {
                let signature = Demand::sign(chain, view, around.signer).signature;
                for signers in [EVERYONE, around.committee.ids().collect()] {
                    let signatures = vec![signature; signers.len()];
                    said.push(Message::Leave(LeaveCertificate { view, signers, signatures }));
                }
            }
            Claim::EveryView => {
                let first = view.0.saturating_sub(1);
                let views = (first..first.saturating_add(VIEWS)).chain([u64::MAX]).map(View);
                said.extend(
                    views.map(|view| Message::Demand(Demand::sign(chain, view, around.signer))),
                );
            }
            Claim::Signers => {
                let height = summary.head.next();
                let mut forged = crate::forged::certificate(
                    daruma_types::VoteKind::Commit,
                    summary.ballot,
                    height,
                    Hash::default(),
                    around,
                );
                said.push(Message::Certificate(forged.clone()));
                let signature = forged.signatures.first().copied();
                forged.signers = EVERYONE;
                forged.signatures =
                    signature.into_iter().cycle().take(hard::REPLICAS_MAX).collect();
                said.push(Message::Certificate(forged));
            }
            Claim::Votes | Claim::Witness | Claim::Echo => {}
        }
        let said: Vec<_> = said.into_iter().map(Arc::new).collect();
        around
            .others()
            .flat_map(|to| said.iter().map(move |message| (to, Arc::clone(message))))
            .collect()
    }
}
