//! A prepared certificate whose chain is lost (`docs/repair.md`, what survives).
//!
//! Whoever formed a prepared certificate has journalled its block, and with it every block between there and
//! its head (R2). Where one is missing all the same, it was committed and is not executed here yet, as
//! after a crash, or the journal was damaged. So a replica asks the others for the highest missing one, and
//! they send it, or say that they lack it. If nobody has it any more, no new-view can take the certificate
//! over, and reports with it keep every new-view from being made unless `n-f` others are there.
//!
//! # The rule
//!
//! A replica *lacks* a block above its head whose body it does not hold. It says so together with the highest
//! ballot in which its journal has a vote above its head. A replica gives up its prepared certificate, of
//! ballot `b`, once `n-f` replicas, itself among them, lack one and the same block of the chain below it,
//! and have no vote in a ballot above `b`.
//!
//! # Why at most f faulty replicas lose nothing by it
//!
//! Then it does not happen; a damaged disk is a fault here. Let M be the missing block and Q the quorum
//! that prepared the certificate. `n-f` replicas share a correct one with Q, since two of that size share
//! `f+1`; when it prepared, M was above its head, or it was not.
//!
//! If M was above, its body was in the journal before that vote. Only bodies of its height that are accepted
//! later displace it there, with votes in ballots above `b`; or the ledger has passed its height. Without
//! such votes its last vote is one of ballot `b` for X or a block above X, and in memory the chain below the
//! last vote is never dropped ([`Replication::drop_loose_bodies`]). So it has M, or its answer does not count.
//!
//! If M was not above, it was committed by then. All that cast these commit votes had journalled it, and one
//! of them that is correct is among the `n-f` as well. Whatever that one accepted later extends M (see the
//! top of `replication/mod.rs`), its last vote too, so that nothing displaces M in its journal or memory
//! before its ledger has it. So it has M.
//!
//! The later vote of a damaged replica makes its answer not count, too. Then a certificate that nobody can
//! follow stays until something is prepared in a later ballot, or one replica more is there.

#[cfg(feature = "laboratory")]
#[path = "../laboratory/lost.rs"]
mod laboratory;

use daruma_types::{Ballot, Certificate, Hash, Height, Lacks, ReplicaId, SignerSet};

use super::Replication;
use crate::Observation;
use crate::config::Context;
use crate::outbox::Outbox;

/// Who lacks the highest missing block below the prepared certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// The block,
    block: Hash,
    /// and who lacks it.
    by: SignerSet,
}

impl Replication {
    /// The highest block missing between a certificate's and the head.
    pub(super) fn gap_below(&self, certificate: &Certificate) -> Option<(Height, Hash)> {
        let chain = self.chain_below(Some(certificate.hash));
        let lowest = chain.last().filter(|lowest| !self.bodies.contains_key(lowest))?;
        let above = chain.len().saturating_sub(1) as u64;
        Some((Height(certificate.height.0.saturating_sub(above)), *lowest))
    }

    /// The last vote above the head that the journal holds: in the highest ballot, the highest.
    pub(super) fn last_vote(&self) -> Option<(Ballot, Height, Hash)> {
        self.promised.iter().map(|(height, (ballot, hash))| (*ballot, *height, *hash)).max()
    }

    /// What to say of blocks that a peer wants and that are not held.
    pub(super) fn lacks(&self, mut blocks: alloc::vec::Vec<(Height, Hash)>) -> Option<Lacks> {
        blocks.retain(|(height, _)| *height > self.head.height);
        let voted = self.last_vote().map(|(ballot, ..)| ballot);
        (!blocks.is_empty()).then_some(Lacks { blocks, voted })
    }

    /// A peer lacks blocks that this replica wanted.
    pub(crate) fn on_lacks(
        &mut self,
        from: ReplicaId,
        lacks: &Lacks,
        context: &Context,
        out: &mut Outbox,
    ) {
        let Some(prepared) = &self.prepared else { return };
        let Some(gap) = self.gap_below(prepared) else { return };
        let (ballot, height) = prepared.rank();
        if !lacks.blocks.contains(&gap) || lacks.voted > Some(ballot) {
            return;
        }
        if self.lost.block != gap.1 {
            self.lost = Lost { block: gap.1, by: SignerSet::EMPTY };
        }
        self.lost.by.insert(from);
        let mut by = self.lost.by;
        if self.last_vote().is_none_or(|(voted, ..)| voted <= ballot) {
            by.insert(context.own);
        }
        if by.len() >= context.thresholds().strong() {
            out.observe(Observation::GivenUp { ballot, height });
            self.prepared = None;
            self.lost = Lost::default();
        }
    }
}

#[cfg(test)]
mod tests;
