//! The engine's part in a conflict of chains: see `conflict.rs`.

use daruma_types::{Adoption, CertifiedBlock, ReplicaId};

use super::{Engine, Peer};
use crate::conflict::Summaries;
use crate::outbox::Outbox;

/// The latest summaries of all replicas but `own`.
fn summaries(peers: &[Peer], own: ReplicaId) -> Summaries<'_> {
    peers
        .iter()
        .enumerate()
        .map(|(index, peer)| (ReplicaId(index as u16), peer.summary.as_ref()))
        .filter(|(id, _)| *id != own)
        .collect()
}

impl Engine {
    pub(super) fn conflict_tick(&mut self, out: &mut Outbox) {
        let own = self.replication.own_chain();
        let summaries = summaries(&self.peers, self.context.own);
        self.conflict.tick(own, &summaries, &self.context, out);
    }

    /// Compares blocks that came with our own chain.
    pub(super) fn look_for_conflict(
        &mut self,
        from: ReplicaId,
        blocks: &[CertifiedBlock],
        out: &mut Outbox,
    ) {
        let own = self.replication.own_chain();
        let summaries = summaries(&self.peers, self.context.own);
        self.conflict.on_blocks(from, blocks, own, &summaries, &self.context, out);
    }

    /// What the ledger found of blocks that were taken for another chain's.
    pub(super) fn on_adoption(&mut self, adoption: Adoption) {
        let own = self.replication.own_chain();
        let summaries = summaries(&self.peers, self.context.own);
        if self.conflict.on_adoption(adoption, own, &summaries) {
            self.replication.forget_trail();
        }
    }
}
