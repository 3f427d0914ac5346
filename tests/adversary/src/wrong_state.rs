//! A replica that claims, in every message, a record that never was: a state, blocks, certificates
//! signed by everyone (the thesis's `WRONG_CCSP`).

use std::sync::Arc;

use daruma_types::{
    Attestation, Ballot, Demand, EnterCertificate, EnterEntry, Hash, HeadClaim, Height,
    LeaveCertificate, Message, ReplicaId, Report, SignerSet, Statement, VoteKind,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::forged;
use crate::{Adversary, Surroundings};

/// The number and the state of the thesis's record.
const NUMBER: u8 = 2;
const STATE: Hash = Hash([66; 32]);

pub(crate) struct WrongState {
    /// Blocks that it claims beyond the truth.
    beyond: u64,
    random: ChaCha8Rng,
}

impl WrongState {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        let beyond = [1, u64::from(NUMBER), 666, u64::MAX / 2];
        Self { beyond: beyond[random.random_range(0..beyond.len())], random }
    }

    fn height(&self, true_height: Height) -> Height {
        Height(true_height.0.saturating_add(self.beyond))
    }

    fn statement(&self, height: Height, block: Hash) -> Statement {
        Statement { height, block, state_root: STATE, receipts_root: STATE }
    }

    /// A head that nobody committed.
    fn head(&self, around: &Surroundings<'_>) -> HeadClaim {
        let height = self.height(around.summary.map_or(Height(0), |summary| summary.head)).next();
        let certificate = forged::certificate(VoteKind::Commit, Ballot(0), height, STATE, around);
        HeadClaim { height, hash: STATE, certificate: Some(certificate) }
    }

    fn report(&self, ballot: Ballot, around: &Surroundings<'_>) -> Report {
        let chain = around.committee.chain();
        let head = self.head(around);
        let above = head.height.next();
        let prepared = forged::certificate(VoteKind::Prepare, Ballot(0), above, STATE, around);
        Report::sign(chain, around.own, ballot, head, Some(prepared), around.signer)
    }

    fn everyone(around: &Surroundings<'_>) -> SignerSet {
        around.committee.ids().collect()
    }
}

impl Adversary for WrongState {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        let chain = around.committee.chain();
        let wrong = match &*message {
            Message::Summary(honest) => {
                let mut summary = honest.clone();
                summary.head = self.height(honest.head);
                summary.head_hash = STATE;
                summary.executed = self.height(honest.executed);
                summary.state_root = STATE;
                summary.attested = self.height(honest.attested);
                summary.prepared = Some((summary.ballot, summary.head.next()));
                for line in &mut summary.slots {
                    line.short = STATE.short();
                    line.prepares = Self::everyone(around);
                    line.commits = Self::everyone(around);
                }
                Message::Summary(summary)
            }
            Message::Attestation(honest) => {
                let statement = self.statement(honest.statement.height, honest.statement.block);
                Message::Attestation(Attestation::sign(statement, around.own, chain, around.signer))
            }
            Message::Certificate(c) => {
                Message::Certificate(forged::certificate(c.kind, c.ballot, c.height, STATE, around))
            }
            Message::Blocks(blocks) => {
                let first = blocks.first().map_or(Height(1), |block| block.certificate.height);
                let mut forged = vec![forged::block_at(first, STATE, around)];
                while forged.len() < blocks.len().max(1) {
                    let Some(last) = forged.last() else { break };
                    let next = forged::block_above(&last.block.header, around);
                    forged.push(next);
                }
                Message::Blocks(forged)
            }
            Message::StateCertificates(certificates) => Message::StateCertificates(
                certificates
                    .iter()
                    .map(|c| self.statement(c.statement.height, c.statement.block))
                    .map(|statement| forged::state_certificate(statement, around))
                    .collect(),
            ),
            Message::Report(honest) => Message::Report(self.report(honest.ballot, around)),
            Message::Leave(honest) => {
                let signature = Demand::sign(chain, honest.view, around.signer).signature;
                let signers = Self::everyone(around);
                let signatures = vec![signature; signers.len()];
                Message::Leave(LeaveCertificate { view: honest.view, signers, signatures })
            }
            Message::Enter(honest) => {
                let signers = Self::everyone(around);
                let entry = self.report(Ballot::of_view(honest.view), around).entry();
                let entry = EnterEntry { digest: entry.digest, signature: entry.signature };
                let entries = vec![entry; signers.len()];
                Message::Enter(EnterCertificate { view: honest.view, signers, entries })
            }
            _ => return vec![message],
        };
        vec![Arc::new(wrong)]
    }

    fn on_tick(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        if !self.random.random_bool(0.2) {
            return Vec::new();
        }
        // Its record unasked, and attestations of heights that do not exist.
        let chain = around.committee.chain();
        let head = self.head(around);
        let statement = self.statement(head.height, head.hash);
        let attestation = Attestation::sign(statement, around.own, chain, around.signer);
        let mut said = Vec::new();
        for to in around.others() {
            said.push((to, Arc::new(Message::Attestation(attestation))));
            if let Some(certificate) = &head.certificate {
                said.push((to, Arc::new(Message::Certificate(certificate.clone()))));
            }
        }
        said
    }
}
