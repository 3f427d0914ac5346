//! What an adversary can make up without anyone's key but its own: certificates whose other
//! signatures do not hold, and denials of what it knows.

use std::sync::Arc;

use daruma_types::{
    Ballot, Block, Certificate, CertifiedBlock, Hash, HeadClaim, Header, Height, Report, Signature,
    SignerSet, StateCertificate, Statement, VoteKind,
};

use crate::Surroundings;

/// A true signature on a report that it never saw a block.
pub(crate) fn denial(ballot: Ballot, around: &Surroundings<'_>) -> Report {
    let chain = around.committee.chain();
    Report::sign(chain, around.own, ballot, HeadClaim::genesis(chain), None, around.signer)
}

/// Everyone's name, and under each name its own signature.
fn signatures(bytes: &[u8], around: &Surroundings<'_>) -> (SignerSet, Vec<Signature>) {
    let signature = around.signer.sign(bytes);
    let signers: SignerSet = around.committee.ids().collect();
    (signers, vec![signature; signers.len()])
}

/// A certificate that everyone voted for `hash`, which only its own signature supports.
pub(crate) fn certificate(
    kind: VoteKind,
    ballot: Ballot,
    height: Height,
    hash: Hash,
    around: &Surroundings<'_>,
) -> Certificate {
    let bytes = kind.signed_bytes(around.committee.chain(), ballot, height, &hash);
    let (signers, signatures) = signatures(&bytes, around);
    Certificate { kind, ballot, height, hash, signers, signatures }
}

/// A certificate that everyone attested `statement`.
pub(crate) fn state_certificate(
    statement: Statement,
    around: &Surroundings<'_>,
) -> StateCertificate {
    let bytes = statement.signed_bytes(around.committee.chain());
    let (signers, signatures) = signatures(&bytes, around);
    StateCertificate { statement, signers, signatures }
}

/// The empty block above `parent`, with a forged certificate.
pub(crate) fn block_above(parent: &Header, around: &Surroundings<'_>) -> CertifiedBlock {
    block_at(parent.height.next(), parent.hash(), around)
}

/// The empty block at `height` on `parent`, with a forged certificate.
pub(crate) fn block_at(height: Height, parent: Hash, around: &Surroundings<'_>) -> CertifiedBlock {
    let chain = around.committee.chain();
    let block = Block::build(chain, height, parent, around.own, around.now_ms, Vec::new());
    let certificate = certificate(VoteKind::Commit, Ballot(0), height, block.hash(), around);
    CertifiedBlock { block: Arc::new(block), certificate }
}
