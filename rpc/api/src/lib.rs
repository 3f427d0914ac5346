//! The JSON-RPC interface of a node: methods, JSON forms and error codes. docs/rpc.md is its manual.
//!
//! Bytes travel as `0x` and hex, 64-bit numbers as JSON numbers below 2^53 and as decimal texts from
//! there on (both forms are accepted). Field names are camelCase. Types whose name ends in `Json` are
//! the JSON form of the type of that name in [`daruma_types`] and convert from and to it.

mod block;
mod chain;
mod error;
mod form;
mod heal;
pub mod limits;
mod methods;
mod node;
mod proof;
mod transaction;

pub use block::{BlockJson, BlockTransaction, CertificateJson, HeaderJson};
pub use chain::{BlockSelector, HeadEvent};
pub use error::{ErrorData, ErrorKind, RpcFailure};
pub use form::{Hex, HexForm, Number};
pub use heal::{Backup, HealLog, HealRecordJson, Scrub};
pub use methods::{
    AppApiClient, AppApiServer, ChainApiClient, ChainApiServer, NodeApiClient, NodeApiServer,
    TxApiClient, TxApiServer,
};
pub use node::{
    AppInfo, ConsensusState, DetectorState, Health, LinkState, MethodList, MonitorState,
    NodeStatus, Peer, PeerStanding, QueryAnswer, SlotState,
};
pub use proof::{MerkleProofJson, ProofJson, StateCertificateJson, StatementJson};
pub use transaction::{
    Confirmation, OutcomeJson, ReceiptJson, Submitted, TransactionJson, TxFound, TxState, TxStatus,
};

/// Why a JSON form has no typed value, although it is well-formed JSON with the right fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct NotTyped {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it, and what is allowed.
    pub why: String,
}
