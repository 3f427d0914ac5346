//! What an earlier, honest history left behind: what a faulty memory may still hold.

use alloc::sync::Arc;
use alloc::vec::Vec;

use daruma_types::{
    Attestation, Block, Certificate, CertifiedBlock, Demand, EnterCertificate, LeaveCertificate,
    Message, NewView, Place, ReplicaId, Report, Statement, Summary, Transaction, ViewProof, Vote,
};

/// Real messages of a history, sorted by what can be made of them. All are truly signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dictionary {
    /// Votes, with their voters.
    pub(crate) votes: Vec<(ReplicaId, Vote)>,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) demands: Vec<(ReplicaId, Demand)>,
    pub(crate) reports: Vec<Report>,
    pub(crate) new_views: Vec<NewView>,
    pub(crate) proofs: Vec<ViewProof>,
    /// Places of the Coordination Automaton; none where views are certified.
    pub(crate) places: Vec<Place>,
    pub(crate) attestations: Vec<Attestation>,
    pub(crate) statements: Vec<Statement>,
    pub(crate) summaries: Vec<Summary>,
    pub(crate) transactions: Vec<Transaction>,
    /// Proposed blocks, committed or not.
    pub(crate) blocks: Vec<Arc<Block>>,
    pub(crate) certified: Vec<CertifiedBlock>,
}

/// Entries kept of each kind: enough for variety, and few enough to look through.
const KEPT_MAX: usize = 512;

fn keep<T: PartialEq>(list: &mut Vec<T>, entry: T) {
    if !list.contains(&entry) {
        if list.len() >= KEPT_MAX {
            list.remove(0);
        }
        list.push(entry);
    }
}

impl Dictionary {
    /// Notes a message that `from` sent.
    pub fn note(&mut self, from: ReplicaId, message: &Message) {
        match message {
            Message::Token { .. }
            | Message::TokenReturn { .. }
            | Message::Want(_)
            | Message::Lacks(_)
            | Message::Fetch { .. }
            | Message::SnapshotOffer(_)
            | Message::SnapshotWant { .. }
            | Message::SnapshotChunk { .. }
            | Message::StateCertificates(_) => {}
            Message::Coordination(said) => {
                keep(&mut self.places, said.own);
                keep(&mut self.places, said.echo);
            }
            Message::Summary(summary) => keep(&mut self.summaries, summary.clone()),
            Message::Demand(demand) => keep(&mut self.demands, (from, demand.clone())),
            Message::Leave(LeaveCertificate { .. }) | Message::Enter(EnterCertificate { .. }) => {
                self.note_proof(message);
            }
            Message::Report(report) => {
                self.note_report(report);
            }
            Message::NewView(new_view) => {
                new_view.reports.iter().for_each(|report| self.note_report(report));
                keep(&mut self.new_views, new_view.clone());
            }
            Message::PrePrepare(proposal) => {
                keep(&mut self.blocks, Arc::clone(&proposal.block));
                let vote = Vote {
                    kind: daruma_types::VoteKind::Prepare,
                    ballot: proposal.ballot,
                    height: proposal.block.header.height,
                    hash: proposal.block.hash(),
                    signature: proposal.signature,
                };
                keep(&mut self.votes, (from, vote));
            }
            Message::Vote(vote) => keep(&mut self.votes, (from, vote.clone())),
            Message::Certificate(certificate) => keep(&mut self.certificates, certificate.clone()),
            Message::Body(block) => keep(&mut self.blocks, Arc::clone(block)),
            Message::Blocks(blocks) => blocks.iter().for_each(|block| self.note_certified(block)),
            Message::Attestation(attestation) => {
                keep(&mut self.attestations, *attestation);
                keep(&mut self.statements, attestation.statement);
            }
            Message::Transactions(transactions) => {
                for transaction in transactions {
                    keep(&mut self.transactions, transaction.clone());
                }
            }
        }
    }

    /// Notes a committed block of a ledger.
    pub fn note_certified(&mut self, block: &CertifiedBlock) {
        keep(&mut self.blocks, Arc::clone(&block.block));
        keep(&mut self.certificates, block.certificate.clone());
        keep(&mut self.certified, block.clone());
        for transaction in &block.block.transactions {
            keep(&mut self.transactions, transaction.clone());
        }
    }

    /// Notes the proof of a view.
    pub fn note_view(&mut self, proof: &ViewProof) {
        keep(&mut self.proofs, proof.clone());
    }

    fn note_proof(&mut self, message: &Message) {
        if let Message::Leave(left) = message {
            keep(&mut self.proofs, ViewProof::Left(left.clone()));
        } else if let Message::Enter(entered) = message {
            keep(&mut self.proofs, ViewProof::Entered(entered.clone()));
        }
    }

    fn note_report(&mut self, report: &Report) {
        if let Some(certificate) = &report.head.certificate {
            keep(&mut self.certificates, certificate.clone());
        }
        if let Some(certificate) = &report.prepared {
            keep(&mut self.certificates, certificate.clone());
        }
        keep(&mut self.reports, report.clone());
    }
}
