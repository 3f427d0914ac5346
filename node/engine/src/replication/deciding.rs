//! From a commit certificate to an executed block.

use alloc::sync::Arc;

use daruma_types::{
    Block, Certificate, CertifiedBlock, HeadClaim, Height, PublicKey, Statement, VoteKind,
};

use super::{RECENT_HEIGHTS, Replication, Used};
use crate::Effect;
use crate::config::Context;
use crate::outbox::Outbox;
use crate::pool::Pool;

impl Replication {
    /// Makes `block`, which `certificate` commits, the head. False, and nothing is done, unless it
    /// extends the head and the window has room: decided blocks wait in memory for the ledger.
    pub(super) fn decide(
        &mut self,
        certificate: Certificate,
        block: Arc<Block>,
        context: &Context,
        out: &mut Outbox,
    ) -> bool {
        let height = certificate.height;
        let extends = height == self.head.height.next()
            && block.header.height == height
            && block.header.parent == self.head.hash
            && certificate.kind == VoteKind::Commit;
        if !extends || height > self.window_end(context) {
            return false;
        }
        let hash = certificate.hash;
        let was_accepted = self.slots.get(&height).is_some_and(|slot| slot.accepted == Some(hash));
        self.head = HeadClaim { height, hash, certificate: Some(certificate.clone()) };
        self.head_timestamp_ms = block.header.timestamp_ms;
        self.leave_trail();
        if !was_accepted || self.tip.height < height {
            // What was accepted above another block can never be committed; the chain goes on here.
            self.tip = self.head_tip();
        }
        self.note_in_flight(&block);
        self.slots = self.slots.split_off(&height.next());
        self.bodies.retain(|_, block| block.header.height > height);
        if self.prepared.as_ref().is_some_and(|prepared| prepared.height <= height) {
            self.prepared = None;
        }
        let certified = CertifiedBlock { block, certificate };
        self.decided.insert(height, certified.clone());
        out.push(Effect::Execute(certified));
        true
    }

    /// A valid commit certificate decides the block above the head, if the body is held.
    pub(crate) fn on_commit_certificate(
        &mut self,
        certificate: Certificate,
        context: &Context,
        out: &mut Outbox,
    ) -> bool {
        let slot = self.slots.get(&certificate.height);
        let candidate = slot.and_then(|slot| slot.candidate.as_ref());
        let block = self
            .bodies
            .get(&certificate.hash)
            .or_else(|| candidate.filter(|c| c.hash == certificate.hash).map(|c| &c.block))
            .cloned();
        let Some(block) = block else { return false };
        let certified = CertifiedBlock { block, certificate };
        if !super::soundness::is_sound(&certified, context) {
            self.repair_bodies(true, context, out);
            return false;
        }
        let CertifiedBlock { block, certificate } = certified;
        self.decide(certificate, block, context, out)
    }

    /// The ledger executed a block and made it durable.
    pub(crate) fn on_executed(
        &mut self,
        statement: Statement,
        nonces: &[(PublicKey, u64)],
        pool: &mut Pool,
    ) {
        let height = statement.height;
        if height <= self.executed.height {
            return;
        }
        self.executed = statement;
        self.decided = self.decided.split_off(&height.next());
        self.promised = self.promised.split_off(&height.next());
        self.in_flight.retain(|_, used| used.height > height);
        let oldest = Height(height.0.saturating_sub(RECENT_HEIGHTS));
        self.recent.retain(|_, used| used.height > oldest);
        for (client, nonce) in nonces {
            self.recent.insert(*client, Used { nonce: *nonce, height });
        }
        pool.executed(nonces, height);
    }
}
