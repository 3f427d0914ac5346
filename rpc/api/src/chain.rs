//! Naming blocks, and following them.

use std::fmt;

use daruma_types::{Hash, Height};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::form::parse_decimal;
use crate::{HeaderJson, Hex, Number};

/// Which block: a height (number or decimal text), `"latest"`, `"earliest"`, or a hash in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockSelector {
    /// By height.
    Height(Height),
    /// The last executed one.
    Latest,
    /// The first that the node still has.
    Earliest,
    /// By hash.
    Hash(Hash),
}

impl Serialize for BlockSelector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Height(height) => Number(height.0).serialize(serializer),
            Self::Latest => serializer.serialize_str("latest"),
            Self::Earliest => serializer.serialize_str("earliest"),
            Self::Hash(hash) => Hex(*hash).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for BlockSelector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = BlockSelector;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a height, \"latest\", \"earliest\" or a hash (0x and 64 hex digits)")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(BlockSelector::Height(Height(number)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let height = || parse_decimal(text).map(|n| BlockSelector::Height(Height(n)));
                match text {
                    "latest" => Ok(BlockSelector::Latest),
                    "earliest" => Ok(BlockSelector::Earliest),
                    _ => Hash::from_hex(text)
                        .map(BlockSelector::Hash)
                        .or_else(height)
                        .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A notification of `chain_subscribeHeads`. Heights come in ascending order; one that is left out is
/// announced by `lagged`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HeadEvent {
    /// The node gave up the blocks above `cursor` for another certified chain, which only more than `f`
    /// faulty replicas can make necessary. The heads that follow are those of the chain it is on now.
    Truncated {
        /// Heights given up that had been told.
        truncated: Number,
        /// The last height that stays.
        cursor: Number,
    },
    /// The subscriber was too slow, or the node no longer has some blocks: heights up to `cursor` were
    /// left out. Subscribing again from an earlier cursor replays what the node still has.
    Lagged {
        /// Heights left out.
        lagged: Number,
        /// The last height left out.
        cursor: Number,
    },
    /// An executed block.
    Head {
        /// The height: pass it as `fromCursor` to go on after this block.
        cursor: Number,
        /// The header.
        header: HeaderJson,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_selector_goes_through_json_and_back() {
        for (selector, json) in [
            (BlockSelector::Height(Height(7)), "7".to_owned()),
            (BlockSelector::Latest, "\"latest\"".to_owned()),
            (BlockSelector::Earliest, "\"earliest\"".to_owned()),
            (BlockSelector::Hash(Hash([9; 32])), format!("\"0x{}\"", "09".repeat(32))),
        ] {
            assert_eq!(serde_json::to_string(&selector).unwrap(), json);
            assert_eq!(serde_json::from_str::<BlockSelector>(&json).unwrap(), selector);
        }
        let text: BlockSelector = serde_json::from_str("\"7\"").unwrap();
        assert_eq!(text, BlockSelector::Height(Height(7)));
        for bad in ["\"last\"", "-1", "null", "\"0x09\"", "\"\""] {
            assert!(serde_json::from_str::<BlockSelector>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn head_events_are_told_apart() {
        let truncated = HeadEvent::Truncated { truncated: Number(2), cursor: Number(7) };
        let text = serde_json::to_string(&truncated).unwrap();
        assert_eq!(text, "{\"truncated\":2,\"cursor\":7}");
        assert_eq!(serde_json::from_str::<HeadEvent>(&text).unwrap(), truncated);
        let lagged = HeadEvent::Lagged { lagged: Number(2), cursor: Number(9) };
        let text = serde_json::to_string(&lagged).unwrap();
        assert_eq!(text, "{\"lagged\":2,\"cursor\":9}");
        assert_eq!(serde_json::from_str::<HeadEvent>(&text).unwrap(), lagged);
    }
}
