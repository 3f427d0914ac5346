//! The trait that an automaton's author implements.

use crate::{Abort, Malformed, QueryError, State, StateView};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::Debug;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Where in the chain an operation is applied, and for whom. There is no clock: replicas do not share
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Height of the block, from 1: block 0 is the genesis and has no transactions.
    pub height: u64,
    /// Position of the transaction in its block, from 0.
    pub index: u32,
    /// Public key of the client that signed the transaction.
    pub client: [u8; 32],
}

/// A replicated state machine (DESIGN 6). All methods take `&self`: what an automaton remembers goes
/// through [`State`], and from there into the root, the snapshots and the proofs.
///
/// Deterministic: the same state, [`At`] and operation give the same reply or abort, and the same
/// writes, on every replica and for ever. So no clock, randomness, I/O, threads, floats, globals, and
/// no iteration over maps without an order. No method may panic, whatever it is given.
/// [`crate::check()`] looks for breaches.
///
/// Operations and replies have two forms: bytes, which are signed, ordered and stored; and JSON, for
/// people, which is their `serde` form. Bytes are canonical: a value has exactly one encoding, and
/// [`crate::wire`] helps with that.
pub trait Automaton: Send + Sync + 'static {
    /// What clients ask for.
    type Operation: Serialize + DeserializeOwned + PartialEq + Debug;
    /// What they get when it takes effect.
    type Reply: Serialize + DeserializeOwned + PartialEq + Debug;
    /// A question about the state; see [`Automaton::parse_query`] for its JSON form.
    type Query;
    /// The answer to it. Answers exist only as JSON.
    type Answer: Serialize;

    /// The name in the chainspec, for instance `append-list`.
    fn name(&self) -> &str;

    /// Raised when the same operations would give different replies, writes or encodings.
    fn version(&self) -> u32;

    /// Parses an operation, and refuses one that can never succeed. It is called before ordering, so a
    /// refused operation costs no place in a block; it does not see the state. One encoding per
    /// operation: `encode(decode(bytes)) == bytes`.
    ///
    /// # Errors
    /// [`Malformed`] says what is wrong with the bytes.
    fn decode(&self, bytes: &[u8]) -> Result<Self::Operation, Malformed>;

    /// The bytes of an operation. The inverse of [`Automaton::decode`] for every operation that `decode`
    /// admits; other operations may have an encoding that `decode` refuses.
    fn encode(&self, operation: &Self::Operation) -> Vec<u8>;

    /// Applies one ordered operation.
    ///
    /// # Errors
    /// An [`Abort`] rolls back this operation's writes and is recorded in its receipt: an outcome, not
    /// a failure.
    fn apply(
        &self,
        at: At,
        state: &mut dyn State,
        operation: Self::Operation,
    ) -> Result<Self::Reply, Abort>;

    /// The bytes of a reply, as they go into the receipt; at most
    /// [`crate::limits::REPLY_BYTES_MAX`].
    fn encode_reply(&self, reply: &Self::Reply) -> Vec<u8>;

    /// Parses a reply: the inverse of [`Automaton::encode_reply`].
    ///
    /// # Errors
    /// [`Malformed`] if these bytes are no reply of this automaton.
    fn decode_reply(&self, bytes: &[u8]) -> Result<Self::Reply, Malformed>;

    /// The queries there are, in the order in which people should read them.
    fn query_paths(&self) -> &'static [&'static str];

    /// Parses a query from its path and its JSON data, which is null where the client gave none.
    ///
    /// # Errors
    /// [`QueryError::UnknownPath`] (see [`Automaton::unknown_path`]) or [`QueryError::BadRequest`] (see
    /// [`query_data`]).
    fn parse_query(&self, path: &str, data: &Value) -> Result<Self::Query, QueryError>;

    /// Answers a query from the state after an executed block. Reads must be bounded: see
    /// [`crate::limits`].
    ///
    /// # Errors
    /// [`QueryError::Failed`] if this state has no answer.
    fn query(&self, state: &dyn StateView, query: Self::Query) -> Result<Self::Answer, QueryError>;

    /// The error for a path that is none of [`Automaton::query_paths`].
    fn unknown_path(&self, path: &str) -> QueryError {
        QueryError::UnknownPath { path: path.to_string(), paths: names(self.query_paths()) }
    }
}

/// Owned names, for those who may have to make theirs up at run time.
pub(crate) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// Parses the data of a query; null counts as an empty object, so that a query whose fields are all
/// optional needs no data.
///
/// # Errors
/// [`QueryError::BadRequest`] says what is wrong with the data.
pub fn query_data<T: DeserializeOwned>(data: &Value) -> Result<T, QueryError> {
    let parsed = if data.is_null() {
        T::deserialize(Value::Object(serde_json::Map::new()))
    } else {
        T::deserialize(data)
    };
    parsed.map_err(|error| QueryError::BadRequest { reason: error.to_string() })
}
