//! The suite must find what it says it finds: one automaton, and one breach at a time.

use super::{Case, check};
use crate::{
    Abort, At, Automaton, Malformed, QueryError, State, StateView,
    limits::{KEY_BYTES_MAX, OPERATION_BYTES_MAX, REPLY_BYTES_MAX, VALUE_BYTES_MAX},
    wire::{Reader, Writer},
};
use alloc::{string::ToString, vec, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breach {
    None,
    ReplyFromMemory,
    WriteFromMemory,
    AnswerFromMemory,
    TrailingBytesAdmitted,
    LossyEncoding,
    LongOperation,
    LongReply,
    LossyReply,
    LongKey,
    LongValue,
    AbortCodeOfTheHost,
    LongReason,
    AnyPathAnswered,
}

/// Stores the last number; aborts on 0.
struct Last {
    breach: Breach,
    /// What an automaton must not have.
    memory: AtomicU64,
}

impl Last {
    fn with(breach: Breach) -> Self {
        Self { breach, memory: AtomicU64::new(0) }
    }

    fn is(&self, breach: Breach) -> bool {
        self.breach == breach
    }

    /// `honest`, or in case of `breach` a number that grows with every call.
    fn remember(&self, breach: Breach, honest: u64) -> u64 {
        if self.is(breach) { self.memory.fetch_add(1, Ordering::Relaxed) } else { honest }
    }
}

impl Automaton for Last {
    type Operation = u64;
    type Reply = u64;
    type Query = ();
    type Answer = u64;

    fn name(&self) -> &str {
        "last"
    }

    fn version(&self) -> u32 {
        1
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, Malformed> {
        let mut reader = Reader::new(bytes);
        let number = reader.u64("number")?;
        if !self.is(Breach::TrailingBytesAdmitted) && !self.is(Breach::LongOperation) {
            reader.finish()?;
        }
        Ok(number)
    }

    fn encode(&self, number: &u64) -> Vec<u8> {
        let number = if self.is(Breach::LossyEncoding) { *number & 0xff } else { *number };
        let mut bytes = Writer::new().u64(number).finish();
        if self.is(Breach::LongOperation) {
            bytes.resize(OPERATION_BYTES_MAX + 1, 0);
        }
        bytes
    }

    fn apply(&self, _: At, state: &mut dyn State, number: u64) -> Result<u64, Abort> {
        let key = vec![0; if self.is(Breach::LongKey) { KEY_BYTES_MAX + 1 } else { 1 }];
        let mut value = self.remember(Breach::WriteFromMemory, number).to_le_bytes().to_vec();
        if self.is(Breach::LongValue) {
            value.resize(VALUE_BYTES_MAX + 1, 0);
        }
        state.put(&key, value);
        match number {
            0 if self.is(Breach::AbortCodeOfTheHost) => {
                Err(Abort { code: 99, reason: "zero".to_string() })
            }
            0 if self.is(Breach::LongReason) => {
                Err(Abort { code: 100, reason: "zero".repeat(1000) })
            }
            0 => Err(Abort::new(100, "zero")),
            _ => Ok(self.remember(Breach::ReplyFromMemory, number)),
        }
    }

    fn encode_reply(&self, reply: &u64) -> Vec<u8> {
        let mut bytes = Writer::new().u64(*reply).finish();
        if self.is(Breach::LongReply) {
            bytes.resize(REPLY_BYTES_MAX + 1, 0);
        }
        bytes
    }

    fn decode_reply(&self, bytes: &[u8]) -> Result<u64, Malformed> {
        let number = Reader::new(bytes).u64("number")?;
        Ok(if self.is(Breach::LossyReply) { number & 0xff } else { number })
    }

    fn query_paths(&self) -> &'static [&'static str] {
        &["last"]
    }

    fn parse_query(&self, path: &str, _: &Value) -> Result<(), QueryError> {
        if path == "last" || self.is(Breach::AnyPathAnswered) {
            return Ok(());
        }
        Err(self.unknown_path(path))
    }

    fn query(&self, _: &dyn StateView, (): ()) -> Result<u64, QueryError> {
        Ok(self.remember(Breach::AnswerFromMemory, 7))
    }
}

fn rule_broken(breach: Breach) -> Option<&'static str> {
    let case = Case::new(vec![0x1234, 1, 0]).ask("last", Value::Null);
    check(&Last::with(breach), &[case]).err().map(|failure| failure.rule)
}

#[test]
fn an_honest_automaton_passes_and_every_breach_is_found_under_its_rule() {
    for (breach, rule) in [
        (Breach::None, None),
        (Breach::ReplyFromMemory, Some("outcomes are deterministic")),
        (Breach::WriteFromMemory, Some("writes are deterministic")),
        (Breach::AnswerFromMemory, Some("queries are deterministic")),
        (Breach::TrailingBytesAdmitted, Some("an operation has one encoding")),
        (Breach::LossyEncoding, Some("decode(encode(operation)) == operation")),
        (Breach::LongOperation, Some("operations are bounded")),
        (Breach::LongReply, Some("replies are bounded")),
        (Breach::LossyReply, Some("replies round-trip")),
        (Breach::LongKey, Some("keys and values are bounded")),
        (Breach::LongValue, Some("keys and values are bounded")),
        (Breach::AbortCodeOfTheHost, Some("codes of aborts")),
        (Breach::LongReason, Some("reasons are bounded")),
        (
            Breach::AnyPathAnswered,
            Some("an unknown query is refused with the list of those there are"),
        ),
    ] {
        assert_eq!(rule_broken(breach), rule, "{breach:?}");
    }
}

#[test]
fn a_suite_without_operations_is_no_check() {
    for cases in [vec![], vec![Case::new(vec![])]] {
        let failure = check(&Last::with(Breach::None), &cases).unwrap_err();
        assert_eq!(failure.to_string(), "cases: there is no operation to check");
    }
}
