//! Real engines for the models: a committee with cheap keys, and one engine started from a journal.

use std::sync::Arc;

use daruma_engine::{
    AdmissionContext, ChainLimits, Context, Effect, Engine, EngineHead, LocalLimits,
};
use daruma_types::{
    ChainId, Committee, CommitteeError, Hash, HashContext, HeadClaim, PublicKey, RecoveredJournal,
    Replica, ReplicaId, Signature, Signer, Statement, Transaction, TransactionError, Verifier,
    ViewProof,
};

const CHAIN: ChainId = ChainId(Hash([9; 32]));

/// A key whose signatures are keyed hashes: nobody in a model guesses one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key(u8);

fn seal(key: &PublicKey, content: &[u8]) -> Signature {
    let half = Hash::of(HashContext::StateTree, &[&key.0, content]).0;
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&half);
    bytes[32..].copy_from_slice(&half);
    Signature(bytes)
}

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey([self.0 + 1; 32])
    }

    fn sign(&self, content: &[u8]) -> Signature {
        seal(&self.public_key(), content)
    }
}

struct Seals;

impl Verifier for Seals {
    fn verify(&self, key: &PublicKey, content: &[u8], signature: &Signature) -> bool {
        seal(key, content) == *signature
    }
}

/// The replicas of a model, and what a door needs.
#[derive(Debug, Clone)]
pub(crate) struct Replicas(Arc<Committee>);

impl Replicas {
    /// `n` replicas with the largest `f` that `n` allows.
    ///
    /// # Errors
    /// [`CommitteeError`] if no chain has that many.
    pub(crate) fn new(n: usize) -> Result<Self, CommitteeError> {
        let replica = |i: usize| Replica { name: format!("r{i}"), key: Key(i as u8).public_key() };
        let faulty = daruma_types::Thresholds::largest_faulty(n);
        let committee = Committee::new(CHAIN, faulty, (0..n).map(replica).collect())?;
        Ok(Self(Arc::new(committee)))
    }

    /// The chain's id.
    pub(crate) const fn chain(&self) -> ChainId {
        CHAIN
    }

    /// The key of replica `index`.
    #[must_use]
    pub(crate) const fn key(&self, index: usize) -> Key {
        Key(index as u8)
    }

    /// A real engine of replica `index` without blocks, started from a journal that shows `proof`.
    pub(crate) fn engine(&self, index: usize, proof: ViewProof) -> (Engine, Vec<Effect>) {
        self.engine_at(index, proof, HeadClaim::genesis(CHAIN))
    }

    /// The same with the head `claim`.
    pub(crate) fn engine_at(
        &self,
        index: usize,
        proof: ViewProof,
        claim: HeadClaim,
    ) -> (Engine, Vec<Effect>) {
        let context = Context {
            committee: self.0.clone(),
            own: ReplicaId(index as u16),
            signer: Arc::new(self.key(index)),
            verifier: Arc::new(Seals),
            chain: self.limits(),
            local: LocalLimits::default(),
        };
        let statement = Statement {
            height: claim.height,
            block: claim.hash,
            state_root: Hash::default(),
            receipts_root: Hash::default(),
        };
        let head = EngineHead { claim, timestamp_ms: 0, statement, recent: Vec::new() };
        let (view, phase) = proof.shows();
        let journal =
            RecoveredJournal { view: Some((view, phase, proof)), ..RecoveredJournal::default() };
        Engine::new(context, head, journal)
    }
}

impl AdmissionContext for Replicas {
    fn committee(&self) -> &Committee {
        &self.0
    }

    fn verifier(&self) -> &dyn Verifier {
        &Seals
    }

    fn limits(&self) -> ChainLimits {
        ChainLimits {
            operation_bytes_max: 64,
            block_bytes_max: 1024,
            block_transactions_max: 2,
            window: 2,
        }
    }

    fn check(&self, transaction: &Transaction) -> Result<(), TransactionError> {
        transaction.verify(CHAIN, self.limits().operation_bytes_max, &Seals)
    }

    fn last_nonce(&self, _: &PublicKey) -> Option<u64> {
        None
    }
}
