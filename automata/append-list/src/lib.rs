//! A list that only grows: the replicated object of the thesis (2.6), one item per operation.
//!
//! What an append costs does not depend on the list's length. In the state, key `n` holds the length
//! (`u64`, little-endian), and key `i` followed by the index (`u64`, big-endian, so that keys are in
//! order of the list) holds an item.
//!
//! Binary forms: an operation is the item itself, without tag or length, so that an item may be as long
//! as an operation; a reply is the index (`u64`, little-endian). JSON forms: `{"append": "hello"}`,
//! `{"index": 0}`.
#![no_std]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

pub mod queries;
#[cfg(test)]
mod tests;

use alloc::{format, vec::Vec};
use daruma_automaton_api::{
    Abort, At, Automaton, BadParameters, Blob, Malformed, Parameters, QueryError, State, StateRead,
    StateView,
    limits::OPERATION_BYTES_MAX,
    query_data,
    serde_json::Value,
    wire::{Reader, Writer},
};
use queries::{Answer, Query};
use serde::{Deserialize, Serialize};

/// The upper bound of the parameter `item_bytes_max`, and its default: an item is an operation, and a
/// value in the state.
pub const ITEM_BYTES_MAX: u64 = OPERATION_BYTES_MAX as u64;

/// Code of an abort, and of a failed query: the list's length in the state is not 8 bytes, or an item
/// below the length is missing. No execution writes such a state; the ledger's scrubber replaces it.
pub const DAMAGED: u32 = 100;

/// Code of an abort: the length cannot be counted any further.
pub const FULL: u32 = 101;

const LENGTH_KEY: &[u8] = b"n";
const ITEM_PREFIX: u8 = b'i';
const PATHS: &[&str] = &["length", "item", "range"];

/// The automaton.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendList {
    item_bytes_max: usize,
}

/// What clients ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Puts an item at the end of the list.
    Append(Blob),
}

/// Where the item is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// Its position, from 0.
    pub index: u64,
}

impl AppendList {
    /// Takes the chainspec's parameters: `item_bytes_max`, 1 to [`ITEM_BYTES_MAX`], which is also the
    /// default.
    ///
    /// # Errors
    /// An unknown parameter, or one outside its range.
    pub fn from_parameters(parameters: &Value) -> Result<Self, BadParameters> {
        let parameters = Parameters::new(parameters, &["item_bytes_max"])?;
        let max = parameters.integer("item_bytes_max", ITEM_BYTES_MAX, 1..=ITEM_BYTES_MAX)?;
        Ok(Self { item_bytes_max: usize::try_from(max).unwrap_or(OPERATION_BYTES_MAX) })
    }
}

impl Automaton for AppendList {
    type Operation = Operation;
    type Reply = Reply;
    type Query = Query;
    type Answer = Answer;

    fn name(&self) -> &str {
        "append-list"
    }

    fn version(&self) -> u32 {
        1
    }

    fn decode(&self, bytes: &[u8]) -> Result<Operation, Malformed> {
        if bytes.len() > self.item_bytes_max {
            let (found, max) = (bytes.len(), self.item_bytes_max);
            return Err(Malformed::new(format!("the item has {found} bytes; at most {max}")));
        }
        Ok(Operation::Append(Blob(bytes.to_vec())))
    }

    fn encode(&self, operation: &Operation) -> Vec<u8> {
        let Operation::Append(item) = operation;
        item.0.clone()
    }

    fn apply(&self, _: At, state: &mut dyn State, operation: Operation) -> Result<Reply, Abort> {
        let Operation::Append(item) = operation;
        let index = length(state).ok_or_else(|| Abort::new(DAMAGED, "the length is damaged"))?;
        let length = index.checked_add(1).ok_or_else(|| Abort::new(FULL, "the list is full"))?;
        state.put(&item_key(index), item.0);
        state.put(LENGTH_KEY, length.to_le_bytes().to_vec());
        Ok(Reply { index })
    }

    fn encode_reply(&self, reply: &Reply) -> Vec<u8> {
        Writer::new().u64(reply.index).finish()
    }

    fn decode_reply(&self, bytes: &[u8]) -> Result<Reply, Malformed> {
        let mut reader = Reader::new(bytes);
        let index = reader.u64("index")?;
        reader.finish()?;
        Ok(Reply { index })
    }

    fn query_paths(&self) -> &'static [&'static str] {
        PATHS
    }

    fn parse_query(&self, path: &str, data: &Value) -> Result<Query, QueryError> {
        match path {
            "length" => Ok(Query::Length),
            "item" => Ok(Query::Item(query_data(data)?)),
            "range" => Ok(Query::Range(query_data(data)?)),
            _ => Err(self.unknown_path(path)),
        }
    }

    fn query(&self, state: &dyn StateView, query: Query) -> Result<Answer, QueryError> {
        queries::answer(state, query)
    }
}

/// The list's length; `None` if what is stored is no length.
fn length<S: StateRead + ?Sized>(state: &S) -> Option<u64> {
    match state.get(LENGTH_KEY) {
        None => Some(0),
        Some(bytes) => bytes.try_into().ok().map(u64::from_le_bytes),
    }
}

fn item_key(index: u64) -> Vec<u8> {
    [&[ITEM_PREFIX], index.to_be_bytes().as_slice()].concat()
}
