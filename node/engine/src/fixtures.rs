//! What the modules' own tests start from.

use alloc::sync::Arc;
use alloc::vec::Vec;
use std::format;

use daruma_types::{
    ChainId, Committee, Ed25519, Establishment, Hash, HeadClaim, Replica, ReplicaId, SecretKey,
    Signer, Thresholds,
};

use crate::config::{ChainLimits, Context, LocalLimits};
use crate::view::{Claims, Voting};

pub(crate) const CHAIN: ChainId = ChainId(Hash([7; 32]));

pub(crate) fn key(replica: u16) -> SecretKey {
    SecretKey::from_bytes(&[replica as u8 + 1; 32])
}

/// Replica 1 of `replicas`, with real keys, under the certified view establishment.
pub(crate) fn context(replicas: u16) -> Context {
    context_with(replicas, Establishment::Certified)
}

/// The same under another view establishment.
pub(crate) fn context_with(replicas: u16, establishment: Establishment) -> Context {
    let members: Vec<Replica> = (0..replicas)
        .map(|id| Replica { name: format!("r{id}"), key: key(id).public_key() })
        .collect();
    let faulty_max = Thresholds::largest_faulty_with(members.len(), establishment);
    let committee = Committee::new(CHAIN, faulty_max, members).unwrap();
    Context {
        committee: Arc::new(committee.with_establishment(establishment).unwrap()),
        own: ReplicaId(1),
        signer: Arc::new(key(1)),
        verifier: Arc::new(Ed25519),
        chain: ChainLimits {
            operation_bytes_max: 100,
            block_bytes_max: 100_000,
            block_transactions_max: 4,
            window: 8,
        },
        local: LocalLimits::default(),
    }
}

/// A replication without blocks, which votes in no ballot.
pub(crate) struct NoBlocks(pub(crate) HeadClaim);

impl Voting for NoBlocks {
    fn claims(&self) -> Claims {
        Claims { head: self.0.clone(), prepared: None }
    }
    fn is_active(&self) -> bool {
        false
    }
    fn has_new_view(&self) -> bool {
        false
    }
    fn head(&self) -> &HeadClaim {
        &self.0
    }
}
