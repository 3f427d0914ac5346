//! The suite that every automaton must pass, whoever wrote it.

use crate::{
    Abort, At, Automaton, DynAutomaton, MemoryState, Overlay, QueryError, State, Writes,
    limits::{
        ABORT_CODE_MIN, KEY_BYTES_MAX, OPERATION_BYTES_MAX, REASON_BYTES_MAX, REPLY_BYTES_MAX,
        VALUE_BYTES_MAX,
    },
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use serde::Deserialize;
use serde_json::Value;

/// Bytes at each end of an encoding that are changed, one by one, in search of a panic or of a second
/// encoding. Tags, lengths and numbers sit there; the middle of a long operation is payload.
const MUTATED_BYTES_MAX: usize = 64;

/// A history for [`check()`].
#[derive(Debug, Clone)]
pub struct Case<Operation> {
    /// Applied in this order, to the empty state. Some should abort, if the automaton can.
    pub operations: Vec<Operation>,
    /// Paths and data, asked after the last operation. An error is an answer, too.
    pub queries: Vec<(&'static str, Value)>,
}

impl<Operation> Case<Operation> {
    /// A history without queries.
    #[must_use]
    pub fn new(operations: Vec<Operation>) -> Self {
        Self { operations, queries: Vec::new() }
    }

    /// The same, with one more query.
    #[must_use]
    pub fn ask(mut self, path: &'static str, data: Value) -> Self {
        self.queries.push((path, data));
        self
    }
}

/// A rule that an automaton breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {detail}")]
pub struct Failure {
    /// The rule.
    pub rule: &'static str,
    /// Where, and what was seen.
    pub detail: String,
}

/// Runs an automaton through every rule of [`Automaton`] that can be seen from outside:
///
/// - two runs of a history give the same replies, aborts, writes and answers;
/// - the binary forms of operations and replies are canonical, and their JSON forms round-trip;
/// - truncated, extended and changed bytes are refused or are another canonical operation, and never
///   make the automaton panic;
/// - an abort leaves the state as it was;
/// - operations, replies, keys, values and abort codes keep to [`crate::limits`];
/// - an unknown query is refused with the list of those there are.
///
/// It cannot prove determinism: a clock may read the same twice. A panic of the automaton passes
/// through to the caller.
///
/// # Errors
/// The first [`Failure`].
pub fn check<A: Automaton>(automaton: &A, cases: &[Case<A::Operation>]) -> Result<(), Failure> {
    expect(cases.iter().any(|case| !case.operations.is_empty()), "cases", || {
        "there is no operation to check".to_string()
    })?;
    for case in cases {
        let mut state = MemoryState::new();
        for (index, operation) in case.operations.iter().enumerate() {
            let at =
                At { height: 1, index: u32::try_from(index).unwrap_or(u32::MAX), client: [7; 32] };
            check_operation(automaton, at, &mut state, operation)?;
        }
        for (path, data) in &case.queries {
            let face: &dyn DynAutomaton = automaton;
            let first = face.query(&state, path, data);
            let second = face.query(&state, path, data);
            expect(first == second, "queries are deterministic", || {
                format!("{path} gave {first:?}, then {second:?}")
            })?;
        }
    }
    check_unknown_path(automaton)
}

fn check_operation<A: Automaton>(
    automaton: &A,
    at: At,
    state: &mut MemoryState,
    operation: &A::Operation,
) -> Result<(), Failure> {
    let bytes = automaton.encode(operation);
    expect(bytes.len() <= OPERATION_BYTES_MAX, "operations are bounded", || {
        format!("{operation:?} has {} bytes; at most {OPERATION_BYTES_MAX}", bytes.len())
    })?;
    let decoded = automaton.decode(&bytes);
    expect(decoded.as_ref() == Ok(operation), "decode(encode(operation)) == operation", || {
        format!("{operation:?} became {decoded:?}")
    })?;
    check_json(automaton, operation, &bytes)?;
    for mutated in mutations(&bytes) {
        check_bytes(automaton, at, state, &mutated)?;
    }

    let (outcome, writes) = run(automaton, at, state, &bytes);
    let (outcome_again, writes_again) = run(automaton, at, state, &bytes);
    expect(outcome == outcome_again, "outcomes are deterministic", || {
        format!("{operation:?} gave {outcome:?}, then {outcome_again:?}")
    })?;
    expect(writes == writes_again, "writes are deterministic", || {
        format!("{operation:?} wrote {writes:?}, then {writes_again:?}")
    })?;
    check_outcome(automaton, operation, &outcome)?;
    check_writes(operation, &writes)?;

    let before = state.clone();
    let face: &dyn DynAutomaton = automaton;
    let result = state.transact(|state: &mut dyn State| face.apply(at, state, &bytes));
    expect(result == outcome, "outcomes are deterministic", || {
        format!("{operation:?} gave {outcome:?}, then {result:?}")
    })?;
    expect(result.is_ok() || *state == before, "an abort leaves the state as it was", || {
        format!("{operation:?} aborted and changed the state")
    })
}

/// One application over `state`, which stays as it is: the outcome, and the writes it would make.
fn run(
    automaton: &dyn DynAutomaton,
    at: At,
    state: &MemoryState,
    bytes: &[u8],
) -> (Result<Vec<u8>, Abort>, Writes) {
    let mut overlay = Overlay::new(state);
    let outcome = automaton.apply(at, &mut overlay, bytes);
    (outcome, overlay.into_writes())
}

fn check_json<A: Automaton>(
    automaton: &A,
    operation: &A::Operation,
    bytes: &[u8],
) -> Result<(), Failure> {
    const RULE: &str = "operations round-trip through JSON";
    let face: &dyn DynAutomaton = automaton;
    let json = face.operation_to_json(bytes).map_err(|error| fail(RULE, error.to_string()))?;
    let back = face.operation_from_json(&json);
    expect(back.as_deref() == Ok(bytes), RULE, || {
        format!("{operation:?} became {json}, and that {back:?}")
    })
}

/// Bytes that may or may not be an operation: what decodes must be canonical, and must apply without
/// a panic.
fn check_bytes<A: Automaton>(
    automaton: &A,
    at: At,
    state: &MemoryState,
    bytes: &[u8],
) -> Result<(), Failure> {
    let Ok(operation) = automaton.decode(bytes) else {
        return Ok(());
    };
    let encoded = automaton.encode(&operation);
    expect(encoded == bytes, "an operation has one encoding", || {
        format!("{bytes:?} and {encoded:?} are both {operation:?}")
    })?;
    let (outcome, writes) = run(automaton, at, state, bytes);
    check_outcome(automaton, &operation, &outcome)?;
    check_writes(&operation, &writes)
}

fn check_outcome<A: Automaton>(
    automaton: &A,
    operation: &A::Operation,
    outcome: &Result<Vec<u8>, Abort>,
) -> Result<(), Failure> {
    const ROUND_TRIP: &str = "replies round-trip";
    match outcome {
        Ok(bytes) => {
            expect(bytes.len() <= REPLY_BYTES_MAX, "replies are bounded", || {
                format!("{operation:?} gave {} bytes; at most {REPLY_BYTES_MAX}", bytes.len())
            })?;
            let reply = automaton
                .decode_reply(bytes)
                .map_err(|error| fail(ROUND_TRIP, error.to_string()))?;
            expect(automaton.encode_reply(&reply) == *bytes, ROUND_TRIP, || {
                format!("{bytes:?} is {reply:?}, which encodes to something else")
            })?;
            let json = serde_json::to_value(&reply)
                .map_err(|error| fail(ROUND_TRIP, error.to_string()))?;
            let back = A::Reply::deserialize(&json)
                .map_err(|error| fail(ROUND_TRIP, format!("{json}: {error}")))?;
            expect(back == reply, ROUND_TRIP, || format!("{reply:?} became {json}"))
        }
        Err(abort) => {
            expect(abort.code >= ABORT_CODE_MIN, "codes of aborts", || {
                format!("{operation:?} gave {}; at least {ABORT_CODE_MIN}", abort.code)
            })?;
            expect(abort.reason.len() <= REASON_BYTES_MAX, "reasons are bounded", || {
                format!("{operation:?} gave {} bytes", abort.reason.len())
            })
        }
    }
}

fn check_writes<O: core::fmt::Debug>(operation: &O, writes: &Writes) -> Result<(), Failure> {
    for (key, value) in writes {
        let value_bytes = value.as_ref().map_or(0, Vec::len);
        expect(
            key.len() <= KEY_BYTES_MAX && value_bytes <= VALUE_BYTES_MAX,
            "keys and values are bounded",
            || {
                format!(
                    "{operation:?} wrote a key of {} and a value of {value_bytes} bytes; at most \
                     {KEY_BYTES_MAX} and {VALUE_BYTES_MAX}",
                    key.len()
                )
            },
        )?;
    }
    Ok(())
}

fn check_unknown_path<A: Automaton>(automaton: &A) -> Result<(), Failure> {
    const RULE: &str = "an unknown query is refused with the list of those there are";
    let face: &dyn DynAutomaton = automaton;
    let answer = face.query(&MemoryState::new(), "\u{0}no such query", &Value::Null);
    match answer {
        Err(QueryError::UnknownPath { paths, .. }) if paths == face.query_paths() => Ok(()),
        Ok(_) | Err(_) => Err(fail(RULE, format!("{answer:?}"))),
    }
}

/// Byte strings near `bytes`: each prefix within reach, a byte more, and changed bytes at both ends.
fn mutations(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let near_an_end = |index: &usize| {
        *index < MUTATED_BYTES_MAX || index.saturating_add(MUTATED_BYTES_MAX) >= bytes.len()
    };
    let changed = |index: usize, mask: u8| {
        let mut changed = bytes.to_vec();
        if let Some(byte) = changed.get_mut(index) {
            *byte ^= mask;
        }
        changed
    };
    let near = (0..bytes.len()).filter(near_an_end).flat_map(move |index| {
        let prefix = bytes.iter().take(index).copied().collect();
        [prefix, changed(index, 0x01), changed(index, 0x80), changed(index, 0xff)]
    });
    core::iter::once([bytes, &[0]].concat()).chain(near)
}

fn expect(holds: bool, rule: &'static str, detail: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(fail(rule, detail())) }
}

fn fail(rule: &'static str, detail: String) -> Failure {
    Failure { rule, detail }
}

#[cfg(test)]
mod tests;
