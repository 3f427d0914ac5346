//! The three ways in which an automaton says no. None of them is a failure of the node.

use crate::limits::{ABORT_CODE_MIN, REASON_BYTES_MAX};
use alloc::{string::String, vec::Vec};

/// Bytes or JSON that are no operation (or no reply) of this automaton. It is the sender's doing, found
/// before ordering.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed: {reason}")]
pub struct Malformed {
    /// What was found, and what is allowed.
    pub reason: String,
}

impl Malformed {
    /// Says what was found, and what is allowed.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// An ordered operation that does not take effect: its writes are rolled back, and the abort is
/// recorded in the receipt. Code and reason are the same on every replica, so neither may depend on
/// anything but the state and the operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("aborted with code {code}: {reason}")]
pub struct Abort {
    /// For programs. From [`ABORT_CODE_MIN`] up it is the automaton's own; below, the host's.
    pub code: u32,
    /// For people, at most [`REASON_BYTES_MAX`] bytes.
    pub reason: String,
}

impl Abort {
    /// The host's code for an ordered operation that does not decode. Admission refuses such an
    /// operation, so this is seen only where it was bypassed.
    pub const MALFORMED: u32 = 1;

    /// An abort of the automaton's own. A code below [`ABORT_CODE_MIN`] is raised to it, and a reason
    /// that is too long is cut at a character.
    #[must_use]
    pub fn new(code: u32, reason: impl Into<String>) -> Self {
        Self { code: code.max(ABORT_CODE_MIN), reason: cut(reason.into()) }
    }

    /// The abort of an ordered operation that does not decode.
    #[must_use]
    pub fn malformed(malformed: Malformed) -> Self {
        Self { code: Self::MALFORMED, reason: cut(malformed.reason) }
    }
}

/// The names, or `none`.
pub(crate) fn list_or_none(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// `reason`, at most [`REASON_BYTES_MAX`] bytes of it.
fn cut(mut reason: String) -> String {
    let mut end = REASON_BYTES_MAX.min(reason.len());
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The automaton does not have this query.
    #[error("unknown query {path:?}; there are: {}", list_or_none(paths))]
    UnknownPath {
        /// The path asked for.
        path: String,
        /// The paths there are.
        paths: Vec<String>,
    },
    /// The query is known; its data is not what it takes.
    #[error("bad query: {reason}")]
    BadRequest {
        /// What was found, and what is allowed.
        reason: String,
    },
    /// The query is good, but this state has no answer to it.
    #[error("query failed with code {code}: {reason}")]
    Failed {
        /// For programs; the automaton's own.
        code: u32,
        /// For people.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abort_keeps_to_the_bounds_of_its_code_and_reason() {
        assert_eq!(Abort::new(7, "").code, ABORT_CODE_MIN);
        assert_eq!(Abort::new(101, "").code, 101);
        // Three bytes each, and the bound is not a multiple of three.
        let cut = Abort::new(100, "€".repeat(REASON_BYTES_MAX)).reason;
        assert_eq!(cut, "€".repeat(REASON_BYTES_MAX / 3));
        assert_eq!(Abort::malformed(Malformed::new("why")).code, Abort::MALFORMED);
    }
}
