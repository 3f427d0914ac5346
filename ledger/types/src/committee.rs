//! The replicas of a chain with their keys, and the checks that need them.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{
    ChainId, Establishment, Invalid, PublicKey, ReplicaId, Signature, SignerSet, Thresholds,
    ThresholdsError, Verifier,
};

/// One replica as the chainspec knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its name, for people.
    pub name: String,
    /// The key that its votes are verified with.
    pub key: PublicKey,
}

/// The replicas of one chain: who may vote, and how many votes count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committee {
    chain: ChainId,
    thresholds: Thresholds,
    establishment: Establishment,
    replicas: Vec<Replica>,
}

/// Why a list of replicas is no committee.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitteeError {
    /// `n` and `f` do not go together.
    #[error(transparent)]
    Thresholds(#[from] ThresholdsError),
    /// Two replicas with one key would have two votes.
    #[error("replicas {0:?} and {1:?} have the same key")]
    SameKey(String, String),
}

impl Committee {
    /// Checks sizes and that keys are distinct. They agree on views by certificates, unless
    /// [`Self::with_establishment`] says otherwise.
    ///
    /// # Errors
    /// [`CommitteeError`].
    pub fn new(
        chain: ChainId,
        faulty_max: usize,
        replicas: Vec<Replica>,
    ) -> Result<Self, CommitteeError> {
        let thresholds = Thresholds::new(replicas.len(), faulty_max)?;
        for (i, a) in replicas.iter().enumerate() {
            if let Some(b) = replicas.iter().skip(i + 1).find(|b| b.key == a.key) {
                return Err(CommitteeError::SameKey(a.name.clone(), b.name.clone()));
            }
        }
        Ok(Self { chain, thresholds, establishment: Establishment::Certified, replicas })
    }

    /// The same replicas, agreeing on views in this way.
    ///
    /// # Errors
    /// [`ThresholdsError`] if `n` and `f` do not go together with it.
    pub fn with_establishment(self, establishment: Establishment) -> Result<Self, ThresholdsError> {
        let (replicas, faulty_max) = (self.thresholds.replicas(), self.thresholds.faulty_max());
        let thresholds = Thresholds::with_establishment(replicas, faulty_max, establishment)?;
        Ok(Self { thresholds, establishment, ..self })
    }

    /// How they agree on who is primary.
    #[must_use]
    pub const fn establishment(&self) -> Establishment {
        self.establishment
    }

    /// The chain that all signatures cover.
    #[inline]
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The vote counts.
    #[inline]
    #[must_use]
    pub const fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// All replicas, by id.
    #[must_use]
    pub fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    /// All ids.
    pub fn ids(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..self.thresholds.replicas()).map(|i| ReplicaId(i as u16))
    }

    /// The replica `id`, if the chainspec has it.
    #[inline]
    #[must_use]
    pub fn replica(&self, id: ReplicaId) -> Option<&Replica> {
        self.replicas.get(id.index())
    }

    /// The id of the replica whose key is `key`.
    #[must_use]
    pub fn id_of(&self, key: &PublicKey) -> Option<ReplicaId> {
        self.replicas.iter().position(|r| r.key == *key).map(|i| ReplicaId(i as u16))
    }

    /// Checks that `signature` is `signer`'s on `content`.
    ///
    /// # Errors
    /// [`Invalid::UnknownReplica`] or [`Invalid::Signature`].
    pub fn check(
        &self,
        signer: ReplicaId,
        what: &'static str,
        content: &[u8],
        signature: &Signature,
        verifier: &dyn Verifier,
    ) -> Result<(), Invalid> {
        let replica = self.replica(signer).ok_or(Invalid::UnknownReplica(signer))?;
        if verifier.verify(&replica.key, content, signature) {
            Ok(())
        } else {
            Err(Invalid::Signature { what, signer })
        }
    }

    /// Checks that at least `needed` distinct replicas signed, each what `content` gives for its
    /// position among the signers.
    ///
    /// # Errors
    /// [`Invalid`] says what does not hold.
    pub fn check_set<C: AsRef<[u8]>>(
        &self,
        what: &'static str,
        needed: usize,
        signers: SignerSet,
        signatures: &[Signature],
        content: impl Fn(usize) -> Option<C>,
        verifier: &dyn Verifier,
    ) -> Result<(), Invalid> {
        if signers.len() < needed {
            return Err(Invalid::TooFewSigners { what, found: signers.len(), needed });
        }
        if signers.len() != signatures.len() {
            return Err(Invalid::Malformed { what, why: "not one signature for each signer" });
        }
        for (position, (signer, signature)) in signers.iter().zip(signatures).enumerate() {
            let content = content(position)
                .ok_or(Invalid::Malformed { what, why: "not one content for each signer" })?;
            self.check(signer, what, content.as_ref(), signature, verifier)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Hash, SecretKey, Signer};
    use alloc::format;

    /// `n` replicas whose keys are made from the seeds 1, 2, 3, ...
    pub(crate) fn committee_of(n: u8, f: usize) -> Committee {
        let replicas = (0..n)
            .map(|i| Replica {
                name: format!("r{i}"),
                key: SecretKey::from_bytes(&[i + 1; 32]).public_key(),
            })
            .collect();
        Committee::new(ChainId(Hash([7; 32])), f, replicas).unwrap()
    }

    #[test]
    fn two_replicas_with_one_key_are_refused() {
        let key = SecretKey::from_bytes(&[1; 32]).public_key();
        let replica = |name: &str| Replica { name: name.into(), key };
        let result = Committee::new(ChainId::default(), 0, [replica("a"), replica("b")].into());
        assert_eq!(result, Err(CommitteeError::SameKey("a".into(), "b".into())));
    }
}
