//! What can go wrong for a client.

use daruma_rpc_api::RpcFailure;
use daruma_types::Hash;

/// Why an operation was not confirmed, or a question not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The list of URLs cannot be used.
    #[error("URL {found:?}: {allowed}")]
    Url {
        /// What was found.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The operation is longer than the chain allows. It was not sent.
    #[error("the operation has {found} bytes; this chain accepts at most {max}")]
    TooLarge {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The key has used the last nonce.
    #[error("this key has used nonce {max}, the last there is", max = u64::MAX)]
    NoncesUsedUp,
    /// The chain refuses the transaction: definitely not executed.
    #[error("transaction {hash} is refused: {failure}")]
    Refused {
        /// The transaction.
        hash: Hash,
        /// Why, in the words of the last node that was asked.
        failure: Box<RpcFailure>,
    },
    /// Nodes say that the key's nonce went past this transaction without it, but fewer of them than it
    /// takes to be sure. It was perhaps executed.
    #[error(
        "transaction {hash} is superseded in the word of {said} nodes; {needed} are needed to be \
         sure, so it was not sent again under another nonce"
    )]
    PerhapsSuperseded {
        /// The transaction.
        hash: Hash,
        /// Nodes that said so.
        said: usize,
        /// Nodes needed.
        needed: usize,
    },
    /// The time ran out. The transaction may have been executed or may be later: ask for its hash.
    #[error("transaction {hash} was not confirmed in time; the last problem: {last}")]
    Deadline {
        /// The transaction.
        hash: Hash,
        /// What the last attempt met.
        last: String,
    },
    /// An earlier operation of the same call did not come to an end, so this one was not sent.
    #[error("not sent, because an earlier operation was not confirmed in time")]
    NotSent,
    /// No node answered a question.
    #[error("no node answered: {0}")]
    NoAnswer(String),
    /// A node answered a question with an error.
    #[error(transparent)]
    Answer(Box<RpcFailure>),
}
