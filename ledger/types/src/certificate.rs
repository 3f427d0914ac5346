//! Votes and the certificates made of a quorum of them (DESIGN 3).

use alloc::vec::Vec;

use crate::codec::{Decode, Encode};
use crate::{
    Ballot, ChainId, Committee, Hash, Height, Invalid, ReplicaId, Signature, Signer, SignerSet,
    Verifier,
};

/// The two steps that are voted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum VoteKind {
    /// "I accepted this block at this height in this ballot."
    Prepare,
    /// "I hold a prepared certificate for this block, or for one that extends it."
    Commit,
}

impl VoteKind {
    const fn domain(self) -> &'static [u8] {
        match self {
            Self::Prepare => b"daruma prepare v1\n",
            Self::Commit => b"daruma commit v1\n",
        }
    }

    /// For messages to people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Commit => "commit",
        }
    }

    /// The bytes that a vote's signature covers.
    #[must_use]
    pub fn signed_bytes(
        self,
        chain: ChainId,
        ballot: Ballot,
        height: Height,
        hash: &Hash,
    ) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(self.domain());
        bytes.extend_from_slice(&chain.0.0);
        bytes.extend_from_slice(&ballot.0.to_le_bytes());
        bytes.extend_from_slice(&height.0.to_le_bytes());
        bytes.extend_from_slice(&hash.0);
        bytes
    }
}

/// One replica's vote. Who voted is the connection it came over, checked against the signature.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Vote {
    /// Prepare or commit.
    pub kind: VoteKind,
    /// The ballot it is cast in.
    pub ballot: Ballot,
    /// The block's height.
    pub height: Height,
    /// The block.
    pub hash: Hash,
    /// The voter's signature on [`VoteKind::signed_bytes`].
    pub signature: Signature,
}

impl Vote {
    /// Signs a vote.
    #[must_use]
    pub fn sign(
        kind: VoteKind,
        chain: ChainId,
        ballot: Ballot,
        height: Height,
        hash: Hash,
        signer: &dyn Signer,
    ) -> Self {
        let signature = signer.sign(&kind.signed_bytes(chain, ballot, height, &hash));
        Self { kind, ballot, height, hash, signature }
    }

    /// Checks that `voter` made it.
    ///
    /// # Errors
    /// [`Invalid`] for an unknown voter or a wrong signature.
    pub fn verify(
        &self,
        voter: ReplicaId,
        committee: &Committee,
        verifier: &dyn Verifier,
    ) -> Result<(), Invalid> {
        let bytes = self.kind.signed_bytes(committee.chain(), self.ballot, self.height, &self.hash);
        committee.check(voter, self.kind.name(), &bytes, &self.signature, verifier)
    }
}

/// A quorum of equal votes: proof of a step that anyone with the chainspec can check.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Certificate {
    /// Which step. A quorum of prepares is the paper's PREP, of commits its COMMIT.
    pub kind: VoteKind,
    /// The ballot of all the votes.
    pub ballot: Ballot,
    /// The block's height.
    pub height: Height,
    /// The block.
    pub hash: Hash,
    /// Who signed.
    pub signers: SignerSet,
    /// Their signatures, in ascending order of signer.
    pub signatures: Vec<Signature>,
}

impl Certificate {
    /// What prepared certificates are compared by: the later ballot wins, then the higher block.
    #[must_use]
    pub const fn rank(&self) -> (Ballot, Height) {
        (self.ballot, self.height)
    }

    /// Checks number, distinctness and signatures of the signers.
    ///
    /// # Errors
    /// [`Invalid`] says what does not hold.
    pub fn verify(&self, committee: &Committee, verifier: &dyn Verifier) -> Result<(), Invalid> {
        let needed = committee.thresholds().quorum();
        let bytes = self.kind.signed_bytes(committee.chain(), self.ballot, self.height, &self.hash);
        committee.check_set(
            self.kind.name(),
            needed,
            self.signers,
            &self.signatures,
            |_| Some(&bytes),
            verifier,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committee::tests::committee_of;
    use crate::{Ed25519, SecretKey};

    fn certificate(kind: VoteKind, signers: &[u16]) -> (Committee, Certificate) {
        let committee = committee_of(4, 1);
        let (ballot, height, hash) = (Ballot(2), Height(3), Hash([9; 32]));
        let signatures = signers
            .iter()
            .map(|i| {
                let key = SecretKey::from_bytes(&[*i as u8 + 1; 32]);
                Vote::sign(kind, committee.chain(), ballot, height, hash, &key).signature
            })
            .collect();
        let signers = signers.iter().copied().map(ReplicaId).collect();
        (committee, Certificate { kind, ballot, height, hash, signers, signatures })
    }

    #[test]
    fn three_of_four_are_a_certificate_and_two_are_not() {
        let (committee, three) = certificate(VoteKind::Commit, &[0, 2, 3]);
        assert_eq!(three.verify(&committee, &Ed25519), Ok(()));
        let (committee, two) = certificate(VoteKind::Commit, &[0, 2]);
        assert!(matches!(
            two.verify(&committee, &Ed25519),
            Err(Invalid::TooFewSigners { found: 2, needed: 3, .. })
        ));
    }

    #[test]
    fn prepares_never_pass_for_commits_nor_one_ballot_for_another() {
        let (committee, prepared) = certificate(VoteKind::Prepare, &[0, 1, 2]);
        let commit = Certificate { kind: VoteKind::Commit, ..prepared.clone() };
        assert!(commit.verify(&committee, &Ed25519).is_err());
        let later = Certificate { ballot: Ballot(3), ..prepared.clone() };
        assert!(later.verify(&committee, &Ed25519).is_err());
        let elsewhere = Certificate { height: Height(4), ..prepared };
        assert!(elsewhere.verify(&committee, &Ed25519).is_err());
    }

    #[test]
    fn a_signer_outside_the_chainspec_or_a_missing_signature_is_refused() {
        let (committee, good) = certificate(VoteKind::Commit, &[0, 1, 2]);
        let mut stranger = good.clone();
        stranger.signers.insert(ReplicaId(9));
        stranger.signatures.push(good.signatures[0]);
        assert!(stranger.verify(&committee, &Ed25519).is_err());
        let mut short = good;
        short.signatures.pop();
        assert!(short.verify(&committee, &Ed25519).is_err());
    }
}
