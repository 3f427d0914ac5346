//! The chainspec: everything on which all replicas of a chain must agree before the first block.
//!
//! `chain.toml` is parsed once, into a checked [`ChainSpec`]. The chain id is the hash of the parsed
//! values in one canonical encoding (see [`ChainSpec::canonical_bytes`]), so comments, spaces and the
//! order of fields in the file do not matter, and every value does. What may differ from one replica
//! to the next belongs in the node's own configuration, not here.
//!
//! ```toml
//! name = "demo"
//! faulty = 1                           # optional: the most that the replicas allow
//! view_establishment = "certified"      # n >= 3f+1; or "automaton", the paper's: n >= 5f+1
//! # event_driven_fd = true             # optional, with "automaton" only: default false
//!
//! [automaton]
//! name = "key-value"
//! parameters = {}                      # optional
//!
//! [limits]                             # optional, each with a default
//! operation_bytes_max = 16384
//! block_bytes_max = 524288
//! block_transactions_max = 1024
//! window = 32
//!
//! [[replicas]]                         # their order gives their ids, from 0
//! name = "r0"
//! key = "0x…"                          # Ed25519, verifies votes
//! transport_key = "0x…"                # Ed25519, identifies the connection
//! address = "r0.example.org:7000"
//! ```

mod automaton;
mod canonical;
mod error;
mod fields;
mod file;
pub mod limits;
mod spec;
mod write;

pub use automaton::{AutomatonSpec, KnownAutomata, Parameter};
pub use daruma_types::Establishment as ViewEstablishment;
pub use error::SpecError;
pub use limits::Limits;
pub use spec::{ChainSpec, ReplicaSpec, SpecDraft};
