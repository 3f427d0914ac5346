//! A map from keys to values, with compare-and-swap.
//!
//! A client's key is the state's key, unchanged, so that a proof of the state is a proof of the map.
//! [`forms`] has the operations, replies and queries, with their binary and JSON forms.
#![no_std]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

pub mod forms;
#[cfg(test)]
mod tests;

use alloc::{format, vec::Vec};
use daruma_automaton_api::{
    Abort, At, Automaton, BadParameters, Blob, Malformed, Parameters, QueryError, State, StateView,
    limits::{KEY_BYTES_MAX as STATE_KEY_BYTES_MAX, LISTING_BYTES_MAX, OPERATION_BYTES_MAX},
    query_data,
    serde_json::Value,
};
use forms::{Answer, ListQuery, Operation, Query, Reply, read_operation, write_operation};

/// The upper bound of the parameter `key_bytes_max`: what the state allows.
pub const KEY_BYTES_MAX: u64 = STATE_KEY_BYTES_MAX as u64;

/// The default of `key_bytes_max`.
pub const KEY_BYTES_DEFAULT: u64 = 256;

/// The upper bound of the parameter `value_bytes_max`: a compare-and-swap carries two values and a
/// key.
pub const VALUE_BYTES_MAX: u64 = 32_000;

/// The default of `value_bytes_max`.
pub const VALUE_BYTES_DEFAULT: u64 = 16_384;

const _: () = assert!(
    2 * VALUE_BYTES_MAX + KEY_BYTES_MAX + forms::OVERHEAD_BYTES <= OPERATION_BYTES_MAX as u64,
    "the largest compare-and-swap must be an operation"
);

/// Entries in the answer to one `list` query.
pub const LIST_ENTRIES_MAX: usize = 1000;

/// Entries read from the state at once while listing, so that what is loaded beyond
/// [`LISTING_BYTES_MAX`] stays small.
const PAGE_ENTRIES: usize = 16;

/// The automaton.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    sizes: forms::Sizes,
}

impl KeyValue {
    /// Takes the chainspec's parameters: `key_bytes_max` (1 to [`KEY_BYTES_MAX`]; if absent,
    /// [`KEY_BYTES_DEFAULT`]) and `value_bytes_max` (1 to [`VALUE_BYTES_MAX`]; if absent,
    /// [`VALUE_BYTES_DEFAULT`]).
    ///
    /// # Errors
    /// An unknown parameter, or one outside its range.
    pub fn from_parameters(parameters: &Value) -> Result<Self, BadParameters> {
        let parameters = Parameters::new(parameters, &["key_bytes_max", "value_bytes_max"])?;
        let size = |name, default, max| {
            let bytes = parameters.integer(name, default, 1..=max)?;
            Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
        };
        Ok(Self {
            sizes: forms::Sizes {
                key_bytes_max: size("key_bytes_max", KEY_BYTES_DEFAULT, KEY_BYTES_MAX)?,
                value_bytes_max: size("value_bytes_max", VALUE_BYTES_DEFAULT, VALUE_BYTES_MAX)?,
            },
        })
    }
}

impl Automaton for KeyValue {
    type Operation = Operation;
    type Reply = Reply;
    type Query = Query;
    type Answer = Answer;

    fn name(&self) -> &str {
        "key-value"
    }

    fn version(&self) -> u32 {
        1
    }

    fn decode(&self, bytes: &[u8]) -> Result<Operation, Malformed> {
        read_operation(bytes, self.sizes)
    }

    fn encode(&self, operation: &Operation) -> Vec<u8> {
        write_operation(operation)
    }

    fn apply(&self, _: At, state: &mut dyn State, operation: Operation) -> Result<Reply, Abort> {
        match operation {
            Operation::Put { key, value } => {
                let existed = state.get(&key.0).is_some();
                state.put(&key.0, value.0);
                Ok(Reply::Put { existed })
            }
            Operation::Delete { key } => {
                let existed = state.get(&key.0).is_some();
                state.remove(&key.0);
                Ok(Reply::Delete { existed })
            }
            Operation::CompareAndSwap { key, expected, value } => {
                let swapped = state.get(&key.0) == expected.map(|expected| expected.0);
                match value {
                    Some(value) if swapped => state.put(&key.0, value.0),
                    None if swapped => state.remove(&key.0),
                    Some(_) | None => {}
                }
                Ok(Reply::CompareAndSwap { swapped })
            }
        }
    }

    fn encode_reply(&self, reply: &Reply) -> Vec<u8> {
        forms::write_reply(*reply)
    }

    fn decode_reply(&self, bytes: &[u8]) -> Result<Reply, Malformed> {
        forms::read_reply(bytes)
    }

    fn query_paths(&self) -> &'static [&'static str] {
        &["get", "list"]
    }

    fn parse_query(&self, path: &str, data: &Value) -> Result<Query, QueryError> {
        match path {
            "get" => Ok(Query::Get(query_data(data)?)),
            "list" => Ok(Query::List(query_data(data)?)),
            _ => Err(self.unknown_path(path)),
        }
    }

    fn query(&self, state: &dyn StateView, query: Query) -> Result<Answer, QueryError> {
        match query {
            Query::Get(forms::GetQuery { key }) => {
                let value = state.get(&key.0).map(Blob);
                Ok(Answer::Get { key, value })
            }
            Query::List(list) => answer_list(state, list),
        }
    }
}

fn answer_list(state: &dyn StateView, query: ListQuery) -> Result<Answer, QueryError> {
    let ListQuery { prefix, after, limit } = query;
    if !(1..=LIST_ENTRIES_MAX).contains(&limit) {
        let reason = format!("limit must be in 1..={LIST_ENTRIES_MAX}; found {limit}");
        return Err(QueryError::BadRequest { reason });
    }
    let mut from = after.map_or_else(Vec::new, |after| just_after(&after.0));
    let (mut entries, mut bytes) = (Vec::<forms::Entry>::new(), 0);
    loop {
        // One more than is wanted, to know whether there is more.
        let page_entries = (limit + 1 - entries.len()).min(PAGE_ENTRIES);
        let page = state.scan(&prefix.0, &from, page_entries);
        let last_page = page.len() < page_entries;
        for (key, value) in page {
            if entries.len() == limit || bytes >= LISTING_BYTES_MAX {
                let next = entries.last().map(|entry| entry.key.clone());
                return Ok(Answer::List { entries, next });
            }
            bytes += key.len() + value.len();
            from = just_after(&key);
            entries.push(forms::Entry { key: Blob(key), value: Blob(value) });
        }
        if last_page {
            return Ok(Answer::List { entries, next: None });
        }
    }
}

/// The least key above `key`.
fn just_after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}
