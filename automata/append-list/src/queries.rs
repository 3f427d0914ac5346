//! What can be asked about the list.

use crate::{DAMAGED, item_key, length};
use alloc::{format, vec::Vec};
use daruma_automaton_api::{Blob, QueryError, StateView, limits::LISTING_BYTES_MAX};
use serde::{Deserialize, Serialize};

/// Items in the answer to one `range` query.
pub const RANGE_ITEMS_MAX: u64 = 1000;

/// Items in that answer if the query does not say.
pub const RANGE_ITEMS_DEFAULT: u64 = 100;

/// Code of a failed query: no item has this index yet.
pub const NO_SUCH_ITEM: u32 = 102;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// `length`: how many items there are.
    Length,
    /// `item`: one item.
    Item(ItemQuery),
    /// `range`: items in order.
    Range(RangeQuery),
}

/// The data of `item`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemQuery {
    /// Position, from 0.
    pub index: u64,
}

/// The data of `range`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RangeQuery {
    /// Position of the first item; 0 if absent.
    pub from: u64,
    /// Items at most, 1 to [`RANGE_ITEMS_MAX`]; [`RANGE_ITEMS_DEFAULT`] if absent.
    pub limit: u64,
}

impl Default for RangeQuery {
    fn default() -> Self {
        Self { from: 0, limit: RANGE_ITEMS_DEFAULT }
    }
}

/// The answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To `length`.
    Length {
        /// How many items there are.
        length: u64,
    },
    /// To `item`.
    Item {
        /// Its position.
        index: u64,
        /// The item.
        item: Blob,
    },
    /// To `range`.
    Range {
        /// Position of the first item of the answer.
        from: u64,
        /// The items: fewer than the limit at the end of the list, or where they are
        /// [`LISTING_BYTES_MAX`] bytes together.
        items: Vec<Blob>,
        /// Where to go on; null at the end of the list.
        next: Option<u64>,
    },
}

pub(crate) fn answer(state: &dyn StateView, query: Query) -> Result<Answer, QueryError> {
    let length = length(state).ok_or_else(|| failed(DAMAGED, "the length is damaged"))?;
    match query {
        Query::Length => Ok(Answer::Length { length }),
        Query::Item(ItemQuery { index }) if index < length => {
            Ok(Answer::Item { index, item: item(state, index)? })
        }
        Query::Item(ItemQuery { index }) => {
            Err(failed(NO_SUCH_ITEM, &format!("no item {index}; the length is {length}")))
        }
        Query::Range(range) => answer_range(state, length, &range),
    }
}

fn answer_range(
    state: &dyn StateView,
    length: u64,
    &RangeQuery { from, limit }: &RangeQuery,
) -> Result<Answer, QueryError> {
    if !(1..=RANGE_ITEMS_MAX).contains(&limit) {
        let reason = format!("limit must be in 1..={RANGE_ITEMS_MAX}; found {limit}");
        return Err(QueryError::BadRequest { reason });
    }
    let end = length.min(from.saturating_add(limit));
    let (mut items, mut bytes, mut next) = (Vec::new(), 0, from);
    while next < end && bytes < LISTING_BYTES_MAX {
        let item = item(state, next)?;
        bytes += item.0.len();
        items.push(item);
        next += 1;
    }
    Ok(Answer::Range { from, items, next: (next < length).then_some(next) })
}

fn item(state: &dyn StateView, index: u64) -> Result<Blob, QueryError> {
    let item = state.get(&item_key(index));
    item.map(Blob).ok_or_else(|| failed(DAMAGED, &format!("item {index} is missing")))
}

fn failed(code: u32, reason: &str) -> QueryError {
    QueryError::Failed { code, reason: reason.into() }
}
