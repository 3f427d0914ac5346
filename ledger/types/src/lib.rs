//! Everything of Daruma that reaches a wire or a disk: identifiers, transactions, blocks,
//! certificates, attestations, receipts, the replicas' messages, and the one codec for all of them
//! (DESIGN 3).
//!
//! The crate is `no_std`: it has no clock, no I/O and no randomness, so the engine can use all of it.
#![no_std]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;
// The derive of `arbitrary` needs it; nothing of ours does.
#[cfg(any(test, feature = "arbitrary"))]
extern crate std;

mod adoption;
mod attestation;
mod block;
mod certificate;
mod checkpoint;
pub mod codec;
mod committee;
mod coordination;
mod crypto;
#[cfg(feature = "arbitrary")]
mod from_bytes;
mod hash;
mod ids;
pub mod limits;
mod merkle;
mod message;
mod promise;
mod receipt;
mod signers;
mod summary;
mod thresholds;
mod transaction;
mod view_change;

pub use adoption::Adoption;
pub use attestation::{Attestation, StateCertificate, Statement};
pub use block::{Block, CertifiedBlock, Header};
pub use certificate::{Certificate, Vote, VoteKind};
pub use checkpoint::Checkpoint;
pub use committee::{Committee, CommitteeError, Replica};
pub use coordination::{Coordination, Establishment, Place, ViewPair};
pub use crypto::{Ed25519, PublicKey, SecretKey, Signature, Signer, Verifier};
pub use hash::{Hash, HashContext};
pub use ids::{Ballot, ChainId, Height, ReplicaId, View};
pub use merkle::{MerkleProof, merkle_root};
pub use message::{Lacks, Lane, Message, PrePrepare, Want};
pub use promise::{Promise, RecoveredJournal};
pub use receipt::{Outcome, Receipt};
pub use signers::SignerSet;
pub use summary::{MonitorReport, SlotLine, Summary, VStatus};
pub use thresholds::{Thresholds, ThresholdsError};
pub use transaction::{Transaction, TransactionError, supersedes};
pub use view_change::{
    Demand, EnterCertificate, EnterEntry, HeadClaim, LeaveCertificate, NewView, Report, ViewProof,
};

/// Why a decoded value or a signature is not believed. Always the sender's doing, never ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A signature does not fit its key and content.
    #[error("the signature of replica {signer} on a {what} does not verify")]
    Signature {
        /// Which message.
        what: &'static str,
        /// The replica that is claimed to have signed.
        signer: ReplicaId,
    },
    /// An identifier that the chainspec does not have.
    #[error("replica {0} is not in the chainspec")]
    UnknownReplica(ReplicaId),
    /// A certificate with fewer signers than its kind needs.
    #[error("a {what} certificate has {found} signers and needs {needed}")]
    TooFewSigners {
        /// Which certificate.
        what: &'static str,
        /// Signers found.
        found: usize,
        /// Signers needed.
        needed: usize,
    },
    /// Fields that contradict one another.
    #[error("malformed {what}: {why}")]
    Malformed {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A transaction in the value is not valid.
    #[error("a transaction is not valid: {0}")]
    Transaction(#[from] TransactionError),
}
