//! Whether what is held is what it says: committed blocks, and nonces that the ledger should know.

use daruma_types::{CertifiedBlock, Height, PublicKey, VoteKind};

use super::{RECENT_HEIGHTS, Replication, Used};
use crate::config::Context;

impl Replication {
    /// Whether the decided blocks are a chain above the executed one, each with its certificate, and
    /// no more than may be in flight.
    pub(super) fn decided_follow(&self, context: &Context) -> bool {
        let mut height = self.executed.height;
        let mut hash = self.executed.block;
        let last = self.window_end(context);
        self.decided.iter().all(|(at, CertifiedBlock { block, certificate })| {
            let follows = *at == height.next()
                && *at <= last
                && block.header.height == *at
                && block.header.parent == hash
                && certificate.kind == VoteKind::Commit
                && certificate.height == *at
                && certificate.hash == block.hash();
            height = *at;
            hash = certificate.hash;
            follows
        })
    }

    /// Whether all decided blocks are truly certified.
    pub(super) fn decided_are_sound(&self, context: &Context) -> bool {
        self.decided.values().all(|decided| is_sound(decided, context))
    }

    /// The clients whose nonces are remembered from blocks executed lately.
    pub(crate) fn recent_clients(&self) -> impl Iterator<Item = PublicKey> {
        self.recent.keys().copied()
    }

    /// The last nonces of clients as the ledger had them at `as_of`: what is remembered of blocks up
    /// to there cannot be higher.
    pub(crate) fn on_nonces(&mut self, as_of: Height, nonces: &[(PublicKey, Option<u64>)]) {
        for (client, last) in nonces {
            let Some(used) = self.recent.get(client).copied() else { continue };
            if used.height > as_of || Some(used.nonce) <= *last {
                continue;
            }
            match last {
                Some(nonce) => {
                    let (nonce, height) = (*nonce, used.height);
                    self.recent.insert(*client, Used { nonce, height });
                }
                None => {
                    self.recent.remove(client);
                }
            }
        }
    }

    /// Nonces remembered of heights that were not executed, or too long ago: true if there were.
    pub(super) fn repair_recent(&mut self) -> bool {
        let executed = self.executed.height;
        let oldest = Height(executed.0.saturating_sub(RECENT_HEIGHTS));
        let before = self.recent.len();
        self.recent.retain(|_, used| used.height <= executed && used.height >= oldest);
        self.recent.len() != before
    }
}

/// Whether certificate and content of a committed block hold.
pub(super) fn is_sound(decided: &CertifiedBlock, context: &Context) -> bool {
    let CertifiedBlock { block, certificate } = decided;
    let (transactions, bytes) =
        (context.chain.block_transactions_max, context.chain.block_bytes_max);
    certificate.kind == VoteKind::Commit
        && certificate.height == block.header.height
        && certificate.hash == block.hash()
        && block.verify_shape(context.committee.chain(), transactions, bytes).is_ok()
        && certificate.verify(&context.committee, context.verifier.as_ref()).is_ok()
}
