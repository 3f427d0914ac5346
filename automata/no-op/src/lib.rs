//! Does nothing: for measuring everything around an automaton.
//!
//! An operation is any bytes, up to the limit of all operations; its JSON form is a string (see
//! [`Blob`]). It reads and writes nothing. The reply is empty; its JSON form is null. There is nothing
//! to query, and there are no parameters.
#![no_std]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

#[cfg(test)]
mod tests;

use alloc::{format, vec::Vec};
use core::convert::Infallible;
use daruma_automaton_api::{
    Abort, At, Automaton, BadParameters, Blob, Malformed, Parameters, QueryError, State, StateView,
    limits::OPERATION_BYTES_MAX, serde_json::Value, wire::Reader,
};
use serde::{Deserialize, Serialize};

/// The automaton.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoOp;

/// Any bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Operation(pub Blob);

/// Says only that the operation was executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply;

impl NoOp {
    /// Takes the chainspec's parameters, of which there are none.
    ///
    /// # Errors
    /// There is a parameter.
    pub fn from_parameters(parameters: &Value) -> Result<Self, BadParameters> {
        Parameters::new(parameters, &[])?;
        Ok(Self)
    }
}

impl Automaton for NoOp {
    type Operation = Operation;
    type Reply = Reply;
    type Query = Infallible;
    type Answer = ();

    fn name(&self) -> &str {
        "no-op"
    }

    fn version(&self) -> u32 {
        1
    }

    fn decode(&self, bytes: &[u8]) -> Result<Operation, Malformed> {
        if bytes.len() > OPERATION_BYTES_MAX {
            let found = bytes.len();
            let reason = format!("the operation has {found} bytes; at most {OPERATION_BYTES_MAX}");
            return Err(Malformed::new(reason));
        }
        Ok(Operation(Blob(bytes.to_vec())))
    }

    fn encode(&self, operation: &Operation) -> Vec<u8> {
        operation.0.0.clone()
    }

    fn apply(&self, _: At, _: &mut dyn State, _: Operation) -> Result<Reply, Abort> {
        Ok(Reply)
    }

    fn encode_reply(&self, _: &Reply) -> Vec<u8> {
        Vec::new()
    }

    fn decode_reply(&self, bytes: &[u8]) -> Result<Reply, Malformed> {
        Reader::new(bytes).finish()?;
        Ok(Reply)
    }

    fn query_paths(&self) -> &'static [&'static str] {
        &[]
    }

    fn parse_query(&self, path: &str, _: &Value) -> Result<Infallible, QueryError> {
        Err(self.unknown_path(path))
    }

    fn query(&self, _: &dyn StateView, query: Infallible) -> Result<(), QueryError> {
        match query {}
    }
}
