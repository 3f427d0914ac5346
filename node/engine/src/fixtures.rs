//! What the modules' own tests start from.

use alloc::sync::Arc;
use alloc::vec::Vec;
use std::format;

use daruma_types::{ChainId, Committee, Ed25519, Hash, Replica, ReplicaId, SecretKey, Signer};

use crate::config::{ChainLimits, Context, LocalLimits};

pub(crate) const CHAIN: ChainId = ChainId(Hash([7; 32]));

pub(crate) fn key(replica: u16) -> SecretKey {
    SecretKey::from_bytes(&[replica as u8 + 1; 32])
}

/// Replica 1 of `replicas`, with real keys.
pub(crate) fn context(replicas: u16) -> Context {
    let members: Vec<Replica> = (0..replicas)
        .map(|id| Replica { name: format!("r{id}"), key: key(id).public_key() })
        .collect();
    let faulty_max = daruma_types::Thresholds::largest_faulty(members.len());
    Context {
        committee: Arc::new(Committee::new(CHAIN, faulty_max, members).unwrap()),
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
