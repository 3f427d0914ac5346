//! One number, from 0 to 2^64 - 1, that clients add to and subtract from.
//!
//! In the state, key `value` holds it (`u64`, little-endian); absent means 0.
//!
//! Binary forms: an operation is one byte, 0 to add or 1 to subtract, and the amount (`u64`,
//! little-endian); a reply is the new value (`u64`, little-endian). JSON forms: `{"add": 5}`,
//! `{"subtract": 2}`; `{"value": 3}`. There are no parameters.
#![no_std]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

#[cfg(test)]
mod tests;

use alloc::{format, vec::Vec};
use daruma_automaton_api::{
    Abort, At, Automaton, BadParameters, Malformed, Parameters, QueryError, State, StateRead,
    StateView,
    serde_json::Value,
    wire::{Reader, Writer},
};
use serde::{Deserialize, Serialize};

/// Code of an abort, and of a failed query: the value in the state is not 8 bytes. No execution writes
/// such a state; the ledger's scrubber replaces it.
pub const DAMAGED: u32 = 100;

/// Code of an abort: the sum would be above 2^64 - 1.
pub const OVERFLOW: u32 = 101;

/// Code of an abort: the difference would be below 0.
pub const UNDERFLOW: u32 = 102;

const VALUE_KEY: &[u8] = b"value";
const TAG_ADD: u8 = 0;
const TAG_SUBTRACT: u8 = 1;

/// The automaton.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter;

/// What clients ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Adds this amount, or aborts with [`OVERFLOW`].
    Add(u64),
    /// Subtracts this amount, or aborts with [`UNDERFLOW`].
    Subtract(u64),
}

/// The counter after an operation; also the answer to the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// The counter's value.
    pub value: u64,
}

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// `value`: the counter's value.
    Value,
}

impl Counter {
    /// Takes the chainspec's parameters, of which there are none.
    ///
    /// # Errors
    /// There is a parameter.
    pub fn from_parameters(parameters: &Value) -> Result<Self, BadParameters> {
        Parameters::new(parameters, &[])?;
        Ok(Self)
    }
}

impl Automaton for Counter {
    type Operation = Operation;
    type Reply = Reading;
    type Query = Query;
    type Answer = Reading;

    fn name(&self) -> &str {
        "counter"
    }

    fn version(&self) -> u32 {
        1
    }

    fn decode(&self, bytes: &[u8]) -> Result<Operation, Malformed> {
        let mut reader = Reader::new(bytes);
        let (tag, amount) = (reader.u8("tag")?, reader.u64("amount")?);
        reader.finish()?;
        match tag {
            TAG_ADD => Ok(Operation::Add(amount)),
            TAG_SUBTRACT => Ok(Operation::Subtract(amount)),
            _ => Err(Malformed::new(format!("tag {tag}; 0 (add) or 1 (subtract)"))),
        }
    }

    fn encode(&self, operation: &Operation) -> Vec<u8> {
        let (tag, amount) = match *operation {
            Operation::Add(amount) => (TAG_ADD, amount),
            Operation::Subtract(amount) => (TAG_SUBTRACT, amount),
        };
        Writer::new().u8(tag).u64(amount).finish()
    }

    fn apply(&self, _: At, state: &mut dyn State, operation: Operation) -> Result<Reading, Abort> {
        let old = value(state).ok_or_else(|| Abort::new(DAMAGED, "the value is damaged"))?;
        let value = match operation {
            Operation::Add(amount) => old
                .checked_add(amount)
                .ok_or_else(|| Abort::new(OVERFLOW, format!("{old} + {amount} is too much")))?,
            Operation::Subtract(amount) => old
                .checked_sub(amount)
                .ok_or_else(|| Abort::new(UNDERFLOW, format!("{old} - {amount} is below 0")))?,
        };
        state.put(VALUE_KEY, value.to_le_bytes().to_vec());
        Ok(Reading { value })
    }

    fn encode_reply(&self, reply: &Reading) -> Vec<u8> {
        Writer::new().u64(reply.value).finish()
    }

    fn decode_reply(&self, bytes: &[u8]) -> Result<Reading, Malformed> {
        let mut reader = Reader::new(bytes);
        let value = reader.u64("value")?;
        reader.finish()?;
        Ok(Reading { value })
    }

    fn query_paths(&self) -> &'static [&'static str] {
        &["value"]
    }

    fn parse_query(&self, path: &str, _: &Value) -> Result<Query, QueryError> {
        match path {
            "value" => Ok(Query::Value),
            _ => Err(self.unknown_path(path)),
        }
    }

    fn query(&self, state: &dyn StateView, query: Query) -> Result<Reading, QueryError> {
        match query {
            Query::Value => value(state).map(|value| Reading { value }).ok_or_else(|| {
                QueryError::Failed { code: DAMAGED, reason: "the value is damaged".into() }
            }),
        }
    }
}

/// The counter's value; `None` if what is stored is none.
fn value<S: StateRead + ?Sized>(state: &S) -> Option<u64> {
    match state.get(VALUE_KEY) {
        None => Some(0),
        Some(bytes) => bytes.try_into().ok().map(u64::from_le_bytes),
    }
}
