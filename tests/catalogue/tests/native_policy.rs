//! What an automaton may do wrong, and what the ledger makes of it (the catalogue's C-C09). Automata are
//! native code here: there is no bytecode, so nothing counts instructions, and an operation that never
//! ends stops its replicas until the program is another; they all stop at one height. Memory outside the
//! state is the automaton's own. What goes into the state, and panics, are bounded and caught.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::BTreeSet;
use std::sync::Arc;

use daruma_automaton_api::limits::REPLY_BYTES_MAX;
use daruma_automaton_api::serde_json::Value;
use daruma_automaton_api::{Abort, At, DynAutomaton, Malformed, QueryError, State, StateView};
use daruma_catalogue::{REQUEST_ROUNDS_MAX, RHYTHMS, begin, consistent, healthy, plan};
use daruma_simulator::{Refused, Rig};
use daruma_types::Outcome;

/// Does what it is told, which is mostly wrong.
struct Hostile;

impl DynAutomaton for Hostile {
    fn name(&self) -> &str {
        "hostile"
    }

    fn version(&self) -> u32 {
        1
    }

    fn query_paths(&self) -> Vec<String> {
        Vec::new()
    }

    fn check(&self, operation: &[u8]) -> Result<(), Malformed> {
        assert_ne!(operation, b"panic at the door");
        if operation == b"malformed" { Err(Malformed::new("as told")) } else { Ok(()) }
    }

    fn apply(&self, _: At, state: &mut dyn State, operation: &[u8]) -> Result<Vec<u8>, Abort> {
        match operation {
            b"panic" => panic!("as told"),
            b"write and panic" => {
                state.put(b"half", b"done".to_vec());
                panic!("as told");
            }
            b"write and abort" => {
                state.put(b"half", b"done".to_vec());
                Err(Abort::new(107, "as told"))
            }
            b"overflow" => {
                let one = operation.len() as u64;
                Ok((u64::MAX / one * (one + 1)).to_le_bytes().to_vec())
            }
            b"huge value" => {
                state.put(b"huge", vec![7; 1 << 20]);
                Ok(Vec::new())
            }
            b"huge key" => {
                state.put(&[7; 1 << 16], Vec::new());
                Ok(Vec::new())
            }
            b"many writes" => {
                for i in 0..5_000_u32 {
                    state.put(&i.to_be_bytes(), vec![7; 64]);
                }
                Ok(Vec::new())
            }
            b"huge reply" => Ok(vec![7; 1 << 20]),
            b"half" => Ok(state.get(b"half").unwrap_or_default()),
            _ => {
                state.put(b"last", operation.to_vec());
                Ok(operation.to_vec())
            }
        }
    }

    fn query(&self, _: &dyn StateView, path: &str, _: &Value) -> Result<Value, QueryError> {
        Err(QueryError::UnknownPath { path: path.into(), paths: Vec::new() })
    }

    fn operation_to_json(&self, _: &[u8]) -> Result<Value, Malformed> {
        Err(Malformed::new("no JSON"))
    }

    fn operation_from_json(&self, _: &Value) -> Result<Vec<u8>, Malformed> {
        Err(Malformed::new("no JSON"))
    }

    fn reply_to_json(&self, _: &[u8]) -> Result<Value, Malformed> {
        Err(Malformed::new("no JSON"))
    }
}

/// All replicas executed `count` operations with one outcome each, and have one state.
fn agreed(rig: &Rig<'_>, count: usize) -> Option<Vec<Outcome>> {
    let outcomes: BTreeSet<_> =
        rig.correct().into_iter().map(|id| format!("{:?}", rig.outcomes(id))).collect();
    let first = rig.outcomes(rig.correct()[0]);
    (outcomes.len() == 1 && first.len() == count && healthy(rig)).then_some(first)
}

#[test]
fn c_c09_an_operation_that_fails_in_any_way_is_executed_with_one_recorded_outcome_everywhere() {
    const FAILING: [&str; 6] =
        ["panic", "write and panic", "write and abort", "overflow", "huge value", "huge key"];
    for rhythm in RHYTHMS {
        plan(4, 1).drive_on(Arc::new(Hostile), rhythm, |rig| {
            begin(rig);
            let all = rig.correct();
            for (nonce, operation) in (1..).zip(FAILING) {
                rig.submit(&all, 0, nonce, operation);
                let count = nonce as usize;
                let done = rig.until(2 * REQUEST_ROUNDS_MAX, |rig| agreed(rig, count).is_some());
                assert!(done.is_some(), "{operation}");
                let outcomes = agreed(rig, count).unwrap();
                let last = outcomes.last();
                assert!(matches!(last, Some(Outcome::Aborted { .. })), "{operation}: {last:?}");
                // It was executed: its nonce is used.
                assert_eq!(rig.last_nonce(all[3], 0), Some(nonce), "{operation}");
            }
            // Nothing of what was rolled back is left, and service goes on.
            rig.submit(&all, 0, 100, "half");
            rig.submit(&all, 1, 1, "sound");
            // How many entries an operation writes is nobody's business but the automaton's.
            rig.submit(&all, 2, 1, "many writes");
            rig.submit(&all, 3, 1, "huge reply");
            let count = FAILING.len() + 4;
            let done = rig.until(REQUEST_ROUNDS_MAX, |rig| agreed(rig, count).is_some());
            assert!(done.is_some());
            let outcomes = agreed(rig, count).unwrap();
            let replies: BTreeSet<Vec<u8>> = outcomes[FAILING.len()..]
                .iter()
                .map(|outcome| match outcome {
                    Outcome::Executed { reply } => reply.clone(),
                    other @ (Outcome::Aborted { .. } | Outcome::Superseded { .. }) => {
                        panic!("{other:?}")
                    }
                })
                .collect();
            // A reply that is too long is cut.
            let cut = vec![7; REPLY_BYTES_MAX];
            assert_eq!(replies, BTreeSet::from([Vec::new(), b"sound".to_vec(), cut]));
            // A replica that executes all of it again comes to the same.
            rig.wipe(all[2]);
            let again = rig.until(100, |rig| agreed(rig, count).is_some());
            assert!(again.is_some());
            assert_eq!(consistent(rig), None);
        });
    }
}

#[test]
fn c_c09_an_operation_at_which_the_automatons_check_panics_is_refused_at_every_door() {
    plan(4, 2).drive_on(Arc::new(Hostile), RHYTHMS[0], |rig| {
        begin(rig);
        let all = rig.correct();
        rig.submit(&all, 0, 1, "panic at the door");
        rig.submit(&all, 1, 1, "malformed");
        rig.submit(&all, 2, 1, "sound");
        for id in &all {
            assert_eq!(rig.answer(*id, 0, 1), Some(Err(Refused::Invalid)));
            assert_eq!(rig.answer(*id, 1, 1), Some(Err(Refused::Invalid)));
        }
        assert!(rig.until(REQUEST_ROUNDS_MAX, |rig| agreed(rig, 1).is_some()).is_some());
    });
}
