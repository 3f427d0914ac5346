//! What tells a true record from bytes that merely decode.

use std::fmt;
use std::sync::Arc;

use daruma_types::{Certificate, ChainId, Committee, Verifier, VoteKind};

/// The chainspec's replicas and the check of their signatures: what is stored counts only as far as it
/// verifies against these (proof-carrying state, DESIGN 1).
#[derive(Clone)]
pub struct Trust {
    /// The replicas.
    pub committee: Arc<Committee>,
    /// Checks signatures.
    pub verifier: Arc<dyn Verifier>,
}

impl Trust {
    /// The chain.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.committee.chain()
    }

    /// Whether a quorum signed `certificate`, and it is of this kind.
    #[must_use]
    pub fn holds(&self, kind: VoteKind, certificate: &Certificate) -> bool {
        certificate.kind == kind
            && certificate.verify(&self.committee, self.verifier.as_ref()).is_ok()
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("chain", &self.chain()).finish_non_exhaustive()
    }
}
