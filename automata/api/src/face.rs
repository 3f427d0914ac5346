//! The object-safe face of every automaton: bytes and JSON in, bytes and JSON out.

use crate::{Abort, At, Automaton, Malformed, QueryError, State, StateView, automaton::names};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use serde::Deserialize;
use serde_json::Value;

/// An automaton as the ledger and the RPC see it. Implemented for every [`Automaton`], so
/// the author of a native automaton never implements it by hand. Where a concrete type is at hand, import only one of the two traits: some
/// methods have the same name.
pub trait DynAutomaton: Send + Sync + 'static {
    /// The name in the chainspec.
    fn name(&self) -> &str;

    /// See [`Automaton::version`].
    fn version(&self) -> u32;

    /// The queries there are.
    fn query_paths(&self) -> Vec<String>;

    /// Stateless admission, before ordering.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are no operation of this automaton.
    fn check(&self, operation: &[u8]) -> Result<(), Malformed>;

    /// Applies one ordered operation, and returns the reply's bytes. The host rolls back the writes of
    /// an abort.
    ///
    /// # Errors
    /// The automaton's [`Abort`], or one with [`Abort::MALFORMED`] if the bytes are no operation.
    fn apply(&self, at: At, state: &mut dyn State, operation: &[u8]) -> Result<Vec<u8>, Abort>;

    /// Answers a query. `data` is null where the client gave none.
    ///
    /// # Errors
    /// [`QueryError`] says why there is no answer.
    fn query(&self, state: &dyn StateView, path: &str, data: &Value) -> Result<Value, QueryError>;

    /// The JSON form of an operation's bytes.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are no operation.
    fn operation_to_json(&self, operation: &[u8]) -> Result<Value, Malformed>;

    /// The bytes of an operation's JSON form. They pass [`DynAutomaton::check`].
    ///
    /// # Errors
    /// [`Malformed`] if the JSON is no operation, or one that admission refuses.
    fn operation_from_json(&self, operation: &Value) -> Result<Vec<u8>, Malformed>;

    /// The JSON form of a reply's bytes.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are no reply.
    fn reply_to_json(&self, reply: &[u8]) -> Result<Value, Malformed>;
}

impl<A: Automaton> DynAutomaton for A {
    fn name(&self) -> &str {
        Automaton::name(self)
    }

    fn version(&self) -> u32 {
        Automaton::version(self)
    }

    fn query_paths(&self) -> Vec<String> {
        names(Automaton::query_paths(self))
    }

    fn check(&self, operation: &[u8]) -> Result<(), Malformed> {
        self.decode(operation).map(drop)
    }

    fn apply(&self, at: At, state: &mut dyn State, operation: &[u8]) -> Result<Vec<u8>, Abort> {
        let operation = self.decode(operation).map_err(Abort::malformed)?;
        let reply = Automaton::apply(self, at, state, operation)?;
        Ok(self.encode_reply(&reply))
    }

    fn query(&self, state: &dyn StateView, path: &str, data: &Value) -> Result<Value, QueryError> {
        let answer = Automaton::query(self, state, self.parse_query(path, data)?)?;
        serde_json::to_value(answer).map_err(|error| QueryError::Failed {
            code: 0,
            reason: format!("the answer has no JSON form: {error}"),
        })
    }

    fn operation_to_json(&self, operation: &[u8]) -> Result<Value, Malformed> {
        serde_json::to_value(self.decode(operation)?).map_err(no_json_form)
    }

    fn operation_from_json(&self, operation: &Value) -> Result<Vec<u8>, Malformed> {
        let operation = A::Operation::deserialize(operation)
            .map_err(|error| Malformed::new(error.to_string()))?;
        let bytes = self.encode(&operation);
        self.decode(&bytes)?;
        Ok(bytes)
    }

    fn reply_to_json(&self, reply: &[u8]) -> Result<Value, Malformed> {
        serde_json::to_value(self.decode_reply(reply)?).map_err(no_json_form)
    }
}

fn no_json_form(error: serde_json::Error) -> Malformed {
    Malformed::new(format!("no JSON form: {error}"))
}
