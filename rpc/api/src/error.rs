//! Error codes and what goes with them: `error.data = {kind, definite, retryable, …}`.

use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use serde::{Deserialize, Serialize};

/// What went wrong. Codes are stable; the message is for people only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorKind {
    /// 1001: the operation is none of this chain's automaton.
    TxMalformed,
    /// 1002: the signature does not verify for this client, nonce, operation and chain.
    TxBadSignature,
    /// 1003: the automaton's admission refuses the operation.
    TxRejected,
    /// 1006: too many transactions are pending, of this client or in all.
    PoolFull,
    /// 1007: the operation has more bytes than the chain allows.
    TxTooLarge,
    /// 1008: the client has executed a transaction with this or a larger nonce, and not this one.
    TxExpired,
    /// 2001: the node knows no such block or transaction.
    NotFound,
    /// 2002: the height is above the last executed one.
    HeightInFuture,
    /// 2003: the node no longer has that height.
    Pruned,
    /// 2004: the node holds too few attestations of that block.
    ProofUnavailable,
    /// 3001: the node does not take transactions now.
    Stabilizing,
    /// 4029: too many calls at once.
    RateLimited,
    /// 5001: the query has no answer.
    QueryFailed,
    /// 5002: the automaton has no such query.
    UnknownPath,
    /// -32603: the node itself failed, for instance to read its disk.
    Internal,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::TxMalformed,
        Self::TxBadSignature,
        Self::TxRejected,
        Self::PoolFull,
        Self::TxTooLarge,
        Self::TxExpired,
        Self::NotFound,
        Self::HeightInFuture,
        Self::Pruned,
        Self::ProofUnavailable,
        Self::Stabilizing,
        Self::RateLimited,
        Self::QueryFailed,
        Self::UnknownPath,
        Self::Internal,
    ];

    /// The JSON-RPC error code.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::TxMalformed => 1001,
            Self::TxBadSignature => 1002,
            Self::TxRejected => 1003,
            Self::PoolFull => 1006,
            Self::TxTooLarge => 1007,
            Self::TxExpired => 1008,
            Self::NotFound => 2001,
            Self::HeightInFuture => 2002,
            Self::Pruned => 2003,
            Self::ProofUnavailable => 2004,
            Self::Stabilizing => 3001,
            Self::RateLimited => 4029,
            Self::QueryFailed => 5001,
            Self::UnknownPath => 5002,
            Self::Internal => -32603,
        }
    }

    /// Whether what was asked for did not happen and will not happen *because of this call*. An
    /// earlier call with the same transaction may still succeed.
    #[must_use]
    pub const fn definite(self) -> bool {
        match self {
            Self::TxMalformed
            | Self::TxBadSignature
            | Self::TxRejected
            | Self::PoolFull
            | Self::TxTooLarge
            | Self::TxExpired
            | Self::NotFound
            | Self::HeightInFuture
            | Self::Pruned
            | Self::ProofUnavailable
            | Self::Stabilizing
            | Self::RateLimited
            | Self::QueryFailed
            | Self::UnknownPath => true,
            Self::Internal => false,
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retryable(self) -> bool {
        match self {
            Self::PoolFull
            | Self::HeightInFuture
            | Self::ProofUnavailable
            | Self::Stabilizing
            | Self::RateLimited
            | Self::Internal => true,
            Self::TxMalformed
            | Self::TxBadSignature
            | Self::TxRejected
            | Self::TxTooLarge
            | Self::TxExpired
            | Self::NotFound
            | Self::Pruned
            | Self::QueryFailed
            | Self::UnknownPath => false,
        }
    }
}

/// `error.data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorData {
    /// The kind's name; it says the same as the code.
    pub kind: ErrorKind,
    /// See [`ErrorKind::definite`].
    pub definite: bool,
    /// See [`ErrorKind::retryable`].
    pub retryable: bool,
    /// When to try again, in ms from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The bound that was exceeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// The client's last executed nonce, as decimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_nonce: Option<String>,
    /// The automaton's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// The automaton's own message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The last executed height.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<u64>,
    /// The first height that the node has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest: Option<u64>,
    /// The queries there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
}

/// An error of this interface, as a node makes it and as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (code {})", data.kind.code())]
pub struct RpcFailure {
    /// For people.
    pub message: String,
    /// For programs; boxed, so that results stay small.
    pub data: Box<ErrorData>,
}

impl RpcFailure {
    /// A failure of `kind`; further data is set on the result.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: Box::new(ErrorData {
                kind,
                definite: kind.definite(),
                retryable: kind.retryable(),
                retry_after_ms: None,
                max: None,
                last_nonce: None,
                code: None,
                log: None,
                latest: None,
                earliest: None,
                paths: None,
            }),
        }
    }

    /// Reads an error object; nothing if it is not one of this interface's.
    #[must_use]
    pub fn read(object: &ErrorObject<'_>) -> Option<Self> {
        let data: Box<ErrorData> = serde_json::from_str(object.data()?.get()).ok()?;
        (data.kind.code() == object.code())
            .then(|| Self { message: object.message().to_owned(), data })
    }
}

impl From<RpcFailure> for ErrorObjectOwned {
    fn from(failure: RpcFailure) -> Self {
        Self::owned(failure.data.kind.code(), failure.message, Some(failure.data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_each_kind_goes_through_an_error_object_and_back() {
        for kind in ErrorKind::ALL {
            let mut failure = RpcFailure::new(kind, "what happened");
            failure.data.retry_after_ms = Some(5);
            let object = ErrorObjectOwned::from(failure.clone());
            assert_eq!(object.code(), kind.code());
            assert_eq!(RpcFailure::read(&object), Some(failure));
        }
    }

    #[test]
    fn codes_are_distinct_and_a_code_that_contradicts_its_kind_is_not_read() {
        let mut codes: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        let data = RpcFailure::new(ErrorKind::NotFound, "").data;
        assert_eq!(RpcFailure::read(&ErrorObjectOwned::owned(1001, "", Some(data))), None);
        let plain = ErrorObjectOwned::owned(-32602, "Invalid params", None::<()>);
        assert_eq!(RpcFailure::read(&plain), None);
    }
}
