//! What the replicas say to leave one view and enter the next (DESIGN 4.1 a, 4.2).

use alloc::vec::Vec;

use crate::codec::{Decode, Encode};
use crate::{
    Ballot, Certificate, ChainId, Committee, Hash, HashContext, Header, Height, Invalid, ReplicaId,
    Signature, Signer, SignerSet, Verifier, View, VoteKind, codec, limits,
};

/// "I want to leave this view."
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Demand {
    /// The view to leave.
    pub view: View,
    /// The sender's signature on [`Demand::signed_bytes`].
    pub signature: Signature,
}

impl Demand {
    /// The bytes that a demand's signature covers.
    #[must_use]
    pub fn signed_bytes(chain: ChainId, view: View) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(b"daruma demand v1\n");
        bytes.extend_from_slice(&chain.0.0);
        bytes.extend_from_slice(&view.0.to_le_bytes());
        bytes
    }

    /// Signs a demand.
    #[must_use]
    pub fn sign(chain: ChainId, view: View, signer: &dyn Signer) -> Self {
        Self { view, signature: signer.sign(&Self::signed_bytes(chain, view)) }
    }
}

/// `n-f` demands to leave one view: the proof that the next one may be established.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct LeaveCertificate {
    /// The view left.
    pub view: View,
    /// Who demanded it.
    pub signers: SignerSet,
    /// Their signatures, in ascending order of signer.
    pub signatures: Vec<Signature>,
}

impl LeaveCertificate {
    /// Checks number and signatures of the demands.
    ///
    /// # Errors
    /// [`Invalid`] says what does not hold.
    pub fn verify(&self, committee: &Committee, verifier: &dyn Verifier) -> Result<(), Invalid> {
        let bytes = Demand::signed_bytes(committee.chain(), self.view);
        let needed = committee.thresholds().strong();
        let content = |_| Some(&bytes);
        committee.check_set("leave", needed, self.signers, &self.signatures, content, verifier)
    }
}

/// A replica's committed head: what it executed last, with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct HeadClaim {
    /// The head's height.
    pub height: Height,
    /// The head's hash; of height 0, the chain id's own hash.
    pub hash: Hash,
    /// The certificate that commits it; none for height 0 only.
    pub certificate: Option<Certificate>,
}

impl HeadClaim {
    /// The head of a chain without blocks.
    #[must_use]
    pub const fn genesis(chain: ChainId) -> Self {
        Self { height: Height(0), hash: chain.0, certificate: None }
    }

    /// The ballot in which the head was committed; 0 for the genesis.
    #[must_use]
    pub fn ballot(&self) -> Ballot {
        self.certificate.as_ref().map_or(Ballot(0), |certificate| certificate.ballot)
    }

    /// Checks that the certificate is there, fits, and verifies.
    ///
    /// # Errors
    /// [`Invalid`] says what does not hold.
    pub fn verify(&self, committee: &Committee, verifier: &dyn Verifier) -> Result<(), Invalid> {
        match &self.certificate {
            None if *self == Self::genesis(committee.chain()) => Ok(()),
            Some(certificate)
                if certificate.kind == VoteKind::Commit
                    && certificate.height == self.height
                    && certificate.hash == self.hash
                    && self.height > Height(0) =>
            {
                certificate.verify(committee, verifier)
            }
            None | Some(_) => Err(Invalid::Malformed {
                what: "head",
                why: "its certificate is missing or for another block",
            }),
        }
    }
}

/// "I am in this ballot and vote in no earlier one; this is what I hold" (DESIGN 4.1 a, 4.2). With
/// the certified view establishment, ballot and view are one number.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Report {
    /// Who reports.
    pub replica: ReplicaId,
    /// The ballot entered.
    pub ballot: Ballot,
    /// The committed head.
    pub head: HeadClaim,
    /// The prepared certificate of the highest rank, if it is above the head.
    pub prepared: Option<Certificate>,
    /// The reporter's signature on [`Report::signed_bytes`].
    pub signature: Signature,
}

impl Report {
    fn digest_of(head: &HeadClaim, prepared: &Option<Certificate>) -> Hash {
        let (head, prepared) = (codec::encode(head), codec::encode(prepared));
        let length = (head.len() as u64).to_le_bytes();
        Hash::of(HashContext::Report, &[&length, &head, &prepared])
    }

    /// The bytes that a report's signature covers, for a given digest of its content.
    #[must_use]
    pub fn signed_bytes(chain: ChainId, ballot: Ballot, digest: &Hash) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(96);
        bytes.extend_from_slice(b"daruma report v1\n");
        bytes.extend_from_slice(&chain.0.0);
        bytes.extend_from_slice(&ballot.0.to_le_bytes());
        bytes.extend_from_slice(&digest.0);
        bytes
    }

    /// Signs a report.
    #[must_use]
    pub fn sign(
        chain: ChainId,
        replica: ReplicaId,
        ballot: Ballot,
        head: HeadClaim,
        prepared: Option<Certificate>,
        signer: &dyn Signer,
    ) -> Self {
        let digest = Self::digest_of(&head, &prepared);
        let signature = signer.sign(&Self::signed_bytes(chain, ballot, &digest));
        Self { replica, ballot, head, prepared, signature }
    }

    /// The part of an [`EnterCertificate`] that this report is.
    #[must_use]
    pub fn entry(&self) -> EnterEntry {
        EnterEntry {
            digest: Self::digest_of(&self.head, &self.prepared),
            signature: self.signature,
        }
    }

    /// Checks signature and both certificates.
    ///
    /// # Errors
    /// [`Invalid`] says what does not hold.
    pub fn verify(&self, committee: &Committee, verifier: &dyn Verifier) -> Result<(), Invalid> {
        if verifier.knows_report(committee.chain(), self) {
            return Ok(());
        }
        let digest = Self::digest_of(&self.head, &self.prepared);
        let bytes = Self::signed_bytes(committee.chain(), self.ballot, &digest);
        committee.check(self.replica, "report", &bytes, &self.signature, verifier)?;
        self.head.verify(committee, verifier)?;
        if let Some(prepared) = &self.prepared {
            if prepared.kind != VoteKind::Prepare || prepared.ballot >= self.ballot {
                return Err(Invalid::Malformed {
                    what: "report",
                    why: "its prepared certificate is no prepared one of an earlier ballot",
                });
            }
            prepared.verify(committee, verifier)?;
        }
        verifier.note_report(committee.chain(), self);
        Ok(())
    }
}

/// One report as an [`EnterCertificate`] keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct EnterEntry {
    /// Digest of the report's content.
    pub digest: Hash,
    /// The reporter's signature.
    pub signature: Signature,
}

/// `n-f` reports of one view: the proof that it was entered.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct EnterCertificate {
    /// The view entered.
    pub view: View,
    /// Who reported.
    pub signers: SignerSet,
    /// Their reports' digests and signatures, in ascending order of signer.
    pub entries: Vec<EnterEntry>,
}

impl EnterCertificate {
    /// Checks number and signatures of the reports.
    ///
    /// # Errors
    /// [`Invalid`] says what does not hold.
    pub fn verify(&self, committee: &Committee, verifier: &dyn Verifier) -> Result<(), Invalid> {
        let signatures: Vec<Signature> = self.entries.iter().map(|e| e.signature).collect();
        let content = |position: usize| {
            let entry = self.entries.get(position)?;
            Some(Report::signed_bytes(committee.chain(), Ballot::of_view(self.view), &entry.digest))
        };
        let needed = committee.thresholds().strong();
        committee.check_set("enter", needed, self.signers, &signatures, content, verifier)
    }
}

/// Why a replica is in the view it is in (proof-carrying state, DESIGN 1).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum ViewProof {
    /// View 0, in which every chain begins, needs none.
    Initial,
    /// The view before was left: the replica is in phase 1 of the next.
    Left(LeaveCertificate),
    /// The view was entered: phase 0.
    Entered(EnterCertificate),
    /// A block was committed in the view's ballot, so it must have been entered: phase 0.
    Committed(Certificate),
}

impl ViewProof {
    /// The view and phase that the proof shows.
    #[must_use]
    pub const fn shows(&self) -> (View, u8) {
        match self {
            Self::Initial => (View(0), 0),
            Self::Left(left) => (left.view.next(), 1),
            Self::Entered(entered) => (entered.view, 0),
            Self::Committed(certificate) => (View(certificate.ballot.0), 0),
        }
    }

    /// Checks the signatures.
    ///
    /// # Errors
    /// [`Invalid`] says what does not hold.
    pub fn verify(&self, committee: &Committee, verifier: &dyn Verifier) -> Result<(), Invalid> {
        match self {
            Self::Initial => Ok(()),
            Self::Left(left) => left.verify(committee, verifier),
            Self::Entered(entered) => entered.verify(committee, verifier),
            Self::Committed(certificate) if certificate.kind == VoteKind::Commit => {
                certificate.verify(committee, verifier)
            }
            Self::Committed(_) => {
                Err(Invalid::Malformed { what: "view proof", why: "not a commit certificate" })
            }
        }
    }
}

/// The new primary's proof of where the chain continues (DESIGN 4.2). Base and tip follow from the
/// reports, and each replica works them out for itself.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct NewView {
    /// The ballot that becomes active.
    pub ballot: Ballot,
    /// `n-f` reports of it, in ascending order of replica.
    pub reports: Vec<Report>,
    /// The headers from above the base up to the tip, which are proposed again unchanged.
    pub headers: Vec<Header>,
    /// The primary's signature on [`NewView::signed_bytes`], so that anyone may pass it on.
    pub signature: Signature,
}

impl NewView {
    fn signed_bytes(
        chain: ChainId,
        ballot: Ballot,
        reports: &[Report],
        headers: &[Header],
    ) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(b"daruma new-view v1\n");
        bytes.extend_from_slice(&chain.0.0);
        bytes.extend_from_slice(&ballot.0.to_le_bytes());
        bytes.extend_from_slice(&(reports.len() as u64).to_le_bytes());
        for report in reports {
            bytes.extend_from_slice(&report.replica.0.to_le_bytes());
            bytes.extend_from_slice(&report.signature.0);
        }
        for header in headers {
            bytes.extend_from_slice(&header.hash().0);
        }
        bytes
    }

    /// Signs a new-view.
    #[must_use]
    pub fn sign(
        chain: ChainId,
        ballot: Ballot,
        reports: Vec<Report>,
        headers: Vec<Header>,
        signer: &dyn Signer,
    ) -> Self {
        let bytes = Self::signed_bytes(chain, ballot, &reports, &headers);
        Self { ballot, reports, headers, signature: signer.sign(&bytes) }
    }

    /// Checks the primary's signature and `n-f` distinct valid reports of the ballot. What
    /// they say about base and tip is replication's to work out.
    ///
    /// # Errors
    /// [`Invalid`] says what does not hold.
    pub fn verify(&self, committee: &Committee, verifier: &dyn Verifier) -> Result<(), Invalid> {
        let malformed = |why| Err(Invalid::Malformed { what: "new-view", why });
        let thresholds = committee.thresholds();
        if self.reports.len() < thresholds.strong() {
            return Err(Invalid::TooFewSigners {
                what: "new-view",
                found: self.reports.len(),
                needed: thresholds.strong(),
            });
        }
        if !self.reports.is_sorted_by(|a, b| a.replica < b.replica) {
            return malformed("its reports are not in ascending order of replica");
        }
        if self.reports.iter().any(|report| report.ballot != self.ballot) {
            return malformed("a report is of another ballot");
        }
        if self.headers.len() > limits::WINDOW_MAX {
            return malformed("more headers than a window");
        }
        let primary = thresholds.primary(self.ballot.0);
        let bytes =
            Self::signed_bytes(committee.chain(), self.ballot, &self.reports, &self.headers);
        committee.check(primary, "new-view", &bytes, &self.signature, verifier)?;
        self.reports.iter().try_for_each(|report| report.verify(committee, verifier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ed25519;
    use crate::committee::tests::committee_of;
    use crate::crypto::SecretKey;

    const CHAIN: ChainId = ChainId(Hash([7; 32]));

    fn key(id: u16) -> SecretKey {
        SecretKey::from_bytes(&[id as u8 + 1; 32])
    }

    fn certificate(kind: VoteKind, ballot: u64) -> Certificate {
        let (ballot, height, hash) = (Ballot(ballot), Height(3), Hash([3; 32]));
        let sign = |id| crate::Vote::sign(kind, CHAIN, ballot, height, hash, &key(id)).signature;
        let signers = (0..3).map(ReplicaId).collect();
        Certificate { kind, ballot, height, hash, signers, signatures: (0..3).map(sign).collect() }
    }

    fn head(certificate: Certificate) -> HeadClaim {
        let (height, hash) = (certificate.height, certificate.hash);
        HeadClaim { height, hash, certificate: Some(certificate) }
    }

    fn report(ballot: u64, id: u16, prepared: Option<Certificate>) -> Report {
        let head = HeadClaim::genesis(CHAIN);
        Report::sign(CHAIN, ReplicaId(id), Ballot(ballot), head, prepared, &key(id))
    }

    /// In ballot 5, whose primary is replica 1 of four.
    fn new_view(reports: &[Report], signer: u16) -> NewView {
        NewView::sign(CHAIN, Ballot(5), reports.to_vec(), Vec::new(), &key(signer))
    }

    #[test]
    fn a_report_tells_of_prepared_certificates_of_earlier_ballots_only() {
        let committee = committee_of(4, 1);
        for (kind, ballot, good) in [
            (VoteKind::Prepare, 4, true),
            (VoteKind::Prepare, 5, false),
            (VoteKind::Prepare, 6, false),
            (VoteKind::Commit, 4, false),
        ] {
            let report = report(5, 0, Some(certificate(kind, ballot)));
            assert_eq!(report.verify(&committee, &Ed25519).is_ok(), good, "{kind:?} {ballot}");
        }
    }

    #[test]
    fn a_head_is_claimed_with_its_own_blocks_commit_certificate_only() {
        let committee = committee_of(4, 1);
        let own = head(certificate(VoteKind::Commit, 4));
        assert_eq!(own.verify(&committee, &Ed25519), Ok(()));
        for wrong in [
            HeadClaim { hash: Hash([9; 32]), ..own.clone() },
            HeadClaim { height: Height(2), ..own.clone() },
            HeadClaim { certificate: None, ..own },
            head(certificate(VoteKind::Prepare, 4)),
            HeadClaim { hash: Hash([9; 32]), ..HeadClaim::genesis(CHAIN) },
        ] {
            assert!(wrong.verify(&committee, &Ed25519).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_prepared_certificate_proves_no_view_and_a_commit_does() {
        let committee = committee_of(4, 1);
        for (kind, good) in [(VoteKind::Commit, true), (VoteKind::Prepare, false)] {
            let proof = ViewProof::Committed(certificate(kind, 4));
            assert_eq!(proof.verify(&committee, &Ed25519).is_ok(), good);
        }
    }

    #[test]
    fn a_new_view_is_the_primarys_and_holds_n_minus_f_reports_of_its_ballot_each_of_another() {
        let committee = committee_of(4, 1);
        let good = [0, 2, 3].map(|id| report(5, id, None));
        let [first, second, third] = good.clone();
        let verify = |reports: &[Report], signer| {
            new_view(reports, signer).verify(&committee, &Ed25519).is_ok()
        };
        assert!(verify(&good, 1));
        assert!(!verify(&good, 2), "another signed it");
        assert!(!verify(&good[..2], 1), "too few");
        assert!(!verify(&[first.clone(), second.clone(), second.clone()], 1), "one twice");
        assert!(!verify(&[second.clone(), first.clone(), third], 1), "out of order");
        for ballot in [4, 6] {
            let other = report(ballot, 3, None);
            assert!(!verify(&[first.clone(), second.clone(), other], 1), "of ballot {ballot}");
        }
    }
}
