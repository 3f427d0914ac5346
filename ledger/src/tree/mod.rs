//! The authenticated state: see the crate's documentation.

mod growing;
mod hashes;
mod page;
mod proof;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests;
mod update;

pub(crate) use growing::{Grown, grow};
pub use hashes::TreeHashes;
pub(crate) use hashes::{Hashing, value_hash};
pub use page::empty_state_root;
pub(crate) use page::{DEPTH_MAX, Page, Path, SLOTS, Slot};
pub(crate) use proof::prove;
pub use proof::{StateLeaf, StateProof, verify_state_proof};
pub(crate) use update::{Changes, Pages, StateTree};

use daruma_types::Height;

use crate::LedgerError;

/// A page that should be there is not, or is none.
fn damaged(path: &Path, why: &str) -> LedgerError {
    let what = format!("page {path} of the state tree {why}");
    // The tree does not know the head; whoever reports this does.
    LedgerError::Damaged { height: Height(0), what }
}
