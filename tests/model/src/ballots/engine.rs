//! The model's new-views against a real engine's.

use std::sync::Arc;

use daruma_engine::{Effect, Input, admit};
use daruma_types::{
    Ballot, Block as RealBlock, Certificate, CommitteeError, HeadClaim, Header, Height, Message,
    NewView, PrePrepare, Promise, ReplicaId, Report, SignerSet, Transaction, Vote, VoteKind,
};

use super::chain::{Block, GENESIS, NONE, ancestor, extends, height};
use super::{Ballots, Claim, Replica};
use crate::committee::Replicas;
use crate::views::Proof;

/// The ballot whose new-view is asked about; its primary is the replica of this number.
const BALLOT: u8 = 2;

/// What the comparison came to.
#[derive(Debug, Clone, Default)]
pub struct Compared {
    /// Questions asked.
    pub asked: usize,
    /// Those where something was taken over, where nothing was, and where no adoption was possible.
    pub taken: usize,
    /// Nothing was taken over.
    pub nothing: usize,
    /// Adoption was not possible, or has to wait.
    pub refused: usize,
    /// Where model and engine disagree: head, claims, the model's and the engine's prepares.
    pub differ: Vec<String>,
}

/// Asks a real engine of four replicas, with each of `heads` as its own head, about every set of
/// three reports out of `claims`, and compares what it prepares first with what the model does.
/// Sets with two different blocks of one rank, which no quorums can certify, are left out.
///
/// # Errors
/// [`CommitteeError`] if four replicas were none.
pub fn compare_with_engine(
    model: &Ballots,
    heads: &[(Block, u8)],
    claims: &[Claim],
) -> Result<Compared, CommitteeError> {
    let engines = Engines { replicas: Replicas::new(4)? };
    let mut compared = Compared::default();
    for (a, first) in claims.iter().enumerate() {
        for (b, second) in claims.iter().enumerate().skip(a) {
            for third in claims.iter().skip(b) {
                let set = [*first, *second, *third];
                if contradicts(&set) {
                    continue;
                }
                for (head, head_ballot) in heads {
                    engines.compare(model, (*head, *head_ballot), &set, &mut compared);
                }
            }
        }
    }
    Ok(compared)
}

/// Whether two certificates of one kind and rank name different blocks.
fn contradicts(claims: &[Claim]) -> bool {
    claims.iter().any(|a| {
        claims.iter().any(|b| {
            let heads = height(a.head) == height(b.head) && a.head != b.head;
            let both = a.prepared != NONE && b.prepared != NONE && a.prepared != b.prepared;
            let prepared = both
                && a.prepared_ballot == b.prepared_ballot
                && height(a.prepared) == height(b.prepared);
            heads || prepared
        })
    })
}

struct Engines {
    replicas: Replicas,
}

impl Engines {
    fn compare(
        &self,
        model: &Ballots,
        (head, head_ballot): (Block, u8),
        claims: &[Claim],
        compared: &mut Compared,
    ) {
        let replica = Replica { ballot: BALLOT, head, head_ballot, ..Replica::default() };
        let takes = model.takes_over(&replica, claims);
        let expected = match takes {
            Some(NONE) => Some(head * 2),
            Some(tip) => Some(tip),
            None => None,
        };
        compared.asked += 1;
        match takes {
            Some(NONE) => compared.nothing += 1,
            Some(_) => compared.taken += 1,
            None => compared.refused += 1,
        }
        let prepared = self.first_prepares((head, head_ballot), claims);
        if prepared != Vec::from_iter(expected) {
            compared.differ.push(format!("{head} {claims:?}: {expected:?} {prepared:?}"));
        }
    }

    /// What an engine prepares, given the new-view of `claims`, the bodies, and a proposal above its
    /// head.
    fn first_prepares(&self, head: (Block, u8), claims: &[Claim]) -> Vec<Block> {
        let proof = Proof::Entered(BALLOT).signed(&self.replicas);
        let (mut engine, _) = self.replicas.engine_at(0, proof, self.head(head));
        let key = self.replicas.key(BALLOT.into());
        let chain = self.replicas.chain();
        let ballot = Ballot(BALLOT.into());
        let reports = claims.iter().enumerate().map(|(at, c)| self.report(at + 1, c)).collect();
        let headers = headers_between(claims).map(|block| self.header(block)).collect();
        let mut messages =
            vec![Message::NewView(NewView::sign(chain, ballot, reports, headers, &key))];
        let bodies = headers_between(claims).filter(|block| height(*block) > height(head.0));
        messages.extend(bodies.map(|block| Message::Body(self.block(block))));
        let block = self.block(head.0 * 2);
        let (at, hash) = (block.header.height, block.hash());
        let signature = Vote::sign(VoteKind::Prepare, chain, ballot, at, hash, &key).signature;
        messages.push(Message::PrePrepare(PrePrepare { ballot, block, signature }));
        let from = ReplicaId(BALLOT.into());
        let mut prepared = Vec::new();
        for message in messages {
            let Ok(message) = admit(from, message, &self.replicas) else { continue };
            for effect in engine.step(Input::Received { from, message }) {
                if let Effect::Promise { promise: Promise::Prepare { block, .. }, .. } = effect {
                    prepared.extend((2..16).filter(|b| self.block(*b).hash() == block.hash()));
                }
            }
        }
        prepared
    }

    fn block(&self, block: Block) -> Arc<RealBlock> {
        let (chain, at) = (self.replicas.chain(), height(block));
        let parent = if at == 1 { chain.0 } else { self.block(block / 2).hash() };
        let client = self.replicas.key(100);
        let transaction = Transaction::sign(chain, &client, at.into(), vec![block]);
        let height = Height(at.into());
        Arc::new(RealBlock::build(chain, height, parent, ReplicaId(0), 0, vec![transaction]))
    }

    fn header(&self, block: Block) -> Header {
        self.block(block).header.clone()
    }

    fn certificate(&self, kind: VoteKind, ballot: u8, block: Block) -> Certificate {
        let (chain, real) = (self.replicas.chain(), self.block(block));
        let (ballot, height, hash) = (Ballot(ballot.into()), real.header.height, real.hash());
        let sign =
            |i| Vote::sign(kind, chain, ballot, height, hash, &self.replicas.key(i)).signature;
        let signers: SignerSet = (0..3).map(ReplicaId).collect();
        let signatures = (0..3).map(sign).collect();
        Certificate { kind, ballot, height, hash, signers, signatures }
    }

    fn head(&self, (block, ballot): (Block, u8)) -> HeadClaim {
        if block == GENESIS {
            return HeadClaim::genesis(self.replicas.chain());
        }
        let certificate = self.certificate(VoteKind::Commit, ballot, block);
        let (height, hash) = (certificate.height, certificate.hash);
        HeadClaim { height, hash, certificate: Some(certificate) }
    }

    fn report(&self, index: usize, claim: &Claim) -> Report {
        let prepared = (claim.prepared != NONE)
            .then(|| self.certificate(VoteKind::Prepare, claim.prepared_ballot, claim.prepared));
        Report::sign(
            self.replicas.chain(),
            ReplicaId(index as u16),
            Ballot(BALLOT.into()),
            self.head((claim.head, claim.head_ballot)),
            prepared,
            &self.replicas.key(index),
        )
    }
}

/// The headers that a primary would send, if there are any: from the highest head up to the
/// prepared block of the highest rank.
fn headers_between(claims: &[Claim]) -> impl Iterator<Item = Block> + use<> {
    let base = claims.iter().max_by_key(|claim| (height(claim.head), claim.head_ballot)).copied();
    let base = base.unwrap_or(Claim { head: GENESIS, ..Claim::default() });
    let certified = claims.iter().filter(|claim| claim.prepared != NONE);
    let rank = |claim: &Claim| (claim.prepared_ballot, height(claim.prepared));
    let tip = certified.max_by_key(|claim| rank(claim)).copied();
    let tip = tip.filter(|claim| {
        extends(claim.prepared, base.head) && rank(claim) > (base.head_ballot, height(base.head))
    });
    let above = height(base.head) + 1;
    tip.into_iter().flat_map(move |claim| {
        (above..=height(claim.prepared)).map(move |at| ancestor(claim.prepared, at))
    })
}
