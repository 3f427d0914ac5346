//! Checkpoints: where a chain may be begun by someone who has nothing below (DESIGN 5, sync).

use crate::codec::{Decode, Encode};
use crate::{
    Certificate, Committee, Header, Height, Invalid, StateCertificate, Statement, Verifier,
    VoteKind,
};

/// A committed block's header with who committed it and who attests the state after it. The chainspec
/// alone tells whether it is true: a quorum committed the block, and of the `f+1` replicas that attest
/// the state one at least is correct.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Checkpoint {
    /// The block's header.
    pub header: Header,
    /// The certificate that commits the block.
    pub certificate: Certificate,
    /// Who attests what executing it came to.
    pub state: StateCertificate,
}

impl Checkpoint {
    /// The block's height.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.header.height
    }

    /// What executing the block came to.
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        &self.state.statement
    }

    /// Checks that the parts belong together, and that enough replicas of `committee` signed them.
    ///
    /// # Errors
    /// [`Invalid`] says what does not hold.
    pub fn verify(&self, committee: &Committee, verifier: &dyn Verifier) -> Result<(), Invalid> {
        let malformed = |why| Err(Invalid::Malformed { what: "checkpoint", why });
        let Self { header, certificate, state } = self;
        if header.chain != committee.chain() {
            return malformed("the header belongs to another chain");
        }
        if header.height == Height(0) {
            return malformed("the genesis needs none");
        }
        let hash = header.hash();
        if certificate.kind != VoteKind::Commit
            || certificate.height != header.height
            || certificate.hash != hash
        {
            return malformed("the certificate does not commit the header");
        }
        if state.statement.height != header.height || state.statement.block != hash {
            return malformed("the attestations are about another block");
        }
        certificate.verify(committee, verifier)?;
        state.verify(committee.thresholds().weak(), committee, verifier)
    }
}
