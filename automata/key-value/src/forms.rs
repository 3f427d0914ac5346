//! Operations, replies and queries, and how they look as bytes and as JSON.
//!
//! | operation | bytes | JSON |
//! |---|---|---|
//! | put | 0, key, value | `{"put": {"key": "a", "value": "1"}}` |
//! | delete | 1, key | `{"delete": {"key": "a"}}` |
//! | compare-and-swap | 2, key, expected, value | `{"compare-and-swap": {"key": "a", "expected": "1", "value": null}}` |
//!
//! A key or value is its length (`u32`, little-endian) and its bytes. `expected` and `value` of a
//! compare-and-swap are optional: 0 for none, or 1 and then the value. None (in JSON: null, or left
//! out) means that the key is absent. A key has at least one byte.
//!
//! | reply to | bytes | JSON |
//! |---|---|---|
//! | put | 0, flag | `{"put": {"existed": true}}` |
//! | delete | 1, flag | `{"delete": {"existed": true}}` |
//! | compare-and-swap | 2, flag | `{"compare-and-swap": {"swapped": true}}` |
//!
//! A flag is one byte, 0 or 1.

use alloc::{format, vec::Vec};
use daruma_automaton_api::{
    Blob, Malformed,
    wire::{Reader, Writer},
};
use serde::{Deserialize, Serialize};

/// Bytes of the longest operation beside its key and values: the tag, three lengths, two flags.
pub(crate) const OVERHEAD_BYTES: u64 = 1 + 3 * 4 + 2;

/// Entries in an answer to `list` if the query does not say.
pub const LIST_ENTRIES_DEFAULT: usize = 100;

const TAG_PUT: u8 = 0;
const TAG_DELETE: u8 = 1;
const TAG_COMPARE_AND_SWAP: u8 = 2;

/// What clients ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Sets a key.
    Put {
        /// The key.
        key: Blob,
        /// Its new value.
        value: Blob,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: Blob,
    },
    /// Sets or removes a key if it is as expected. If it is not, nothing changes, and the reply says
    /// so: that is no abort.
    CompareAndSwap {
        /// The key.
        key: Blob,
        /// The value that it must have; none: it must be absent.
        expected: Option<Blob>,
        /// The value that it gets; none: it is removed.
        value: Option<Blob>,
    },
}

/// What they get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// To a put.
    Put {
        /// The key had a value before.
        existed: bool,
    },
    /// To a delete.
    Delete {
        /// The key had a value before.
        existed: bool,
    },
    /// To a compare-and-swap.
    CompareAndSwap {
        /// The key was as expected, and is now as asked for.
        swapped: bool,
    },
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// `get`: the value of a key.
    Get(GetQuery),
    /// `list`: entries in order of their keys.
    List(ListQuery),
}

/// The data of `get`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetQuery {
    /// The key.
    pub key: Blob,
}

/// The data of `list`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListQuery {
    /// What the keys start with; empty if absent: all keys.
    pub prefix: Blob,
    /// Only keys above this one, if given: the `next` of an earlier answer.
    pub after: Option<Blob>,
    /// Entries at most, 1 to [`crate::LIST_ENTRIES_MAX`]; [`LIST_ENTRIES_DEFAULT`] if absent.
    pub limit: usize,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self { prefix: Blob::default(), after: None, limit: LIST_ENTRIES_DEFAULT }
    }
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The key.
    pub key: Blob,
    /// Its value.
    pub value: Blob,
}

/// The answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To `get`.
    Get {
        /// The key.
        key: Blob,
        /// Its value; null if it has none.
        value: Option<Blob>,
    },
    /// To `list`.
    List {
        /// In order of the keys' bytes. Fewer than the limit at the end of the map, or where they are
        /// [`daruma_automaton_api::limits::LISTING_BYTES_MAX`] bytes together.
        entries: Vec<Entry>,
        /// The `after` of the query that goes on; null at the end of the map.
        next: Option<Blob>,
    },
}

/// How long keys and values may be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) key_bytes_max: usize,
    pub(crate) value_bytes_max: usize,
}

pub(crate) fn write_operation(operation: &Operation) -> Vec<u8> {
    match operation {
        Operation::Put { key, value } => {
            Writer::new().u8(TAG_PUT).bytes(&key.0).bytes(&value.0).finish()
        }
        Operation::Delete { key } => Writer::new().u8(TAG_DELETE).bytes(&key.0).finish(),
        Operation::CompareAndSwap { key, expected, value } => {
            let writer = Writer::new().u8(TAG_COMPARE_AND_SWAP).bytes(&key.0);
            write_optional(write_optional(writer, expected.as_ref()), value.as_ref()).finish()
        }
    }
}

fn write_optional(writer: Writer, value: Option<&Blob>) -> Writer {
    match value {
        None => writer.u8(0),
        Some(value) => writer.u8(1).bytes(&value.0),
    }
}

pub(crate) fn read_operation(bytes: &[u8], sizes: Sizes) -> Result<Operation, Malformed> {
    let mut reader = Reader::new(bytes);
    let tag = reader.u8("tag")?;
    if tag > TAG_COMPARE_AND_SWAP {
        let reason = format!("tag {tag}; 0 (put), 1 (delete) or 2 (compare-and-swap)");
        return Err(Malformed::new(reason));
    }
    let key = Blob(reader.bytes("key", sizes.key_bytes_max)?.to_vec());
    if key.0.is_empty() {
        return Err(Malformed::new("the key is empty; at least 1 byte"));
    }
    let operation = match tag {
        TAG_PUT => Operation::Put { key, value: read_value(&mut reader, "value", sizes)? },
        TAG_DELETE => Operation::Delete { key },
        _ => Operation::CompareAndSwap {
            key,
            expected: read_optional(&mut reader, "expected", sizes)?,
            value: read_optional(&mut reader, "value", sizes)?,
        },
    };
    reader.finish()?;
    Ok(operation)
}

fn read_value(reader: &mut Reader<'_>, what: &str, sizes: Sizes) -> Result<Blob, Malformed> {
    Ok(Blob(reader.bytes(what, sizes.value_bytes_max)?.to_vec()))
}

fn read_optional(
    reader: &mut Reader<'_>,
    what: &str,
    sizes: Sizes,
) -> Result<Option<Blob>, Malformed> {
    match read_flag(reader, what)? {
        false => Ok(None),
        true => read_value(reader, what, sizes).map(Some),
    }
}

fn read_flag(reader: &mut Reader<'_>, what: &str) -> Result<bool, Malformed> {
    match reader.u8(what)? {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(Malformed::new(format!("the flag of {what} is {found}; 0 or 1"))),
    }
}

pub(crate) fn write_reply(reply: Reply) -> Vec<u8> {
    let (tag, flag) = match reply {
        Reply::Put { existed } => (TAG_PUT, existed),
        Reply::Delete { existed } => (TAG_DELETE, existed),
        Reply::CompareAndSwap { swapped } => (TAG_COMPARE_AND_SWAP, swapped),
    };
    Writer::new().u8(tag).u8(u8::from(flag)).finish()
}

pub(crate) fn read_reply(bytes: &[u8]) -> Result<Reply, Malformed> {
    let mut reader = Reader::new(bytes);
    let (tag, flag) = (reader.u8("tag")?, read_flag(&mut reader, "the reply")?);
    reader.finish()?;
    match tag {
        TAG_PUT => Ok(Reply::Put { existed: flag }),
        TAG_DELETE => Ok(Reply::Delete { existed: flag }),
        TAG_COMPARE_AND_SWAP => Ok(Reply::CompareAndSwap { swapped: flag }),
        _ => Err(Malformed::new(format!("tag {tag}; 0, 1 or 2"))),
    }
}
