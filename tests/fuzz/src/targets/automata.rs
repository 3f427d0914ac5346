//! The four automata: any operations, any queries, on any state.

use std::sync::{Arc, OnceLock};

use arbitrary::{Arbitrary, Unstructured};
use daruma_automaton_api::limits::REPLY_BYTES_MAX;
use daruma_automaton_api::serde_json::{self, Value};
use daruma_automaton_api::{Abort, At, DynAutomaton, MemoryState, State};
use daruma_host::Registry;

/// Steps of one run.
const STEPS_MAX: usize = 64;

#[derive(Debug, Arbitrary)]
enum Step {
    /// An operation's bytes.
    Bytes { client: u8, bytes: Vec<u8> },
    /// An operation's JSON form.
    Json { client: u8, text: String },
    /// An operation on one of a few short keys or amounts.
    Short { client: u8, tag: u8, number: u64, key: u8 },
    /// A query.
    Query { path: u8, text: String },
    /// A transient fault: an entry of the state holds something else.
    Damage { key: u8, bytes: Vec<u8> },
}

fn automata() -> &'static [Arc<dyn DynAutomaton>] {
    static AUTOMATA: OnceLock<Vec<Arc<dyn DynAutomaton>>> = OnceLock::new();
    AUTOMATA.get_or_init(|| {
        let registry = Registry::built_in();
        let build = |name: String| registry.build(&name, &Value::Null).ok();
        registry.names().into_iter().filter_map(build).collect()
    })
}

/// The first byte says which automaton.
pub(super) fn run(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let Ok(which) = u8::arbitrary(&mut u) else { return };
    let automaton = automata()[usize::from(which) % automata().len()].as_ref();
    let mut state = MemoryState::new();
    for index in 0..STEPS_MAX {
        if u.is_empty() {
            break;
        }
        let Ok(step) = Step::arbitrary(&mut u) else { break };
        act(automaton, &mut state, index as u32, step);
    }
}

fn act(automaton: &dyn DynAutomaton, state: &mut MemoryState, index: u32, step: Step) {
    let at = |client: u8| At { height: 1, index, client: [client; 32] };
    match step {
        Step::Bytes { client, bytes } => apply(automaton, state, at(client), &bytes),
        Step::Json { client, text } => {
            let Ok(json) = serde_json::from_str::<Value>(&text) else { return };
            if let Ok(bytes) = automaton.operation_from_json(&json) {
                assert!(automaton.check(&bytes).is_ok(), "{json} gives what admission refuses");
                apply(automaton, state, at(client), &bytes);
            }
        }
        Step::Short { client, tag, number, key } => {
            let short = [&[tag % 4], number.to_le_bytes().as_slice()].concat();
            apply(automaton, state, at(client), &short);
            for json in [
                serde_json::json!({ "put": { "key": key.to_string(), "value": "v" } }),
                serde_json::json!({ "delete": { "key": key.to_string() } }),
            ] {
                if let Ok(bytes) = automaton.operation_from_json(&json) {
                    apply(automaton, state, at(client), &bytes);
                }
            }
        }
        Step::Query { path, text } => {
            let paths = automaton.query_paths();
            let path = usize::from(path).checked_rem(paths.len()).map(|at| paths[at].as_str());
            let data = serde_json::from_str::<Value>(&text).unwrap_or(Value::Null);
            let path = path.unwrap_or("nothing");
            let answer = automaton.query(state, path, &data);
            assert_eq!(automaton.query(state, path, &data), answer, "two answers to one question");
        }
        Step::Damage { key, bytes } => {
            let keys: Vec<Vec<u8>> = state.entries().map(|(key, _)| key.to_vec()).collect();
            if let Some(at) = usize::from(key).checked_rem(keys.len()) {
                state.put(&keys[at], bytes);
            }
        }
    }
}

/// One operation has one encoding, one outcome, and none without being admitted.
fn apply(automaton: &dyn DynAutomaton, state: &mut MemoryState, at: At, bytes: &[u8]) {
    let admitted = automaton.check(bytes);
    let json = automaton.operation_to_json(bytes);
    assert_eq!(json.is_ok(), admitted.is_ok(), "admission and reading differ: {json:?}");
    if let Ok(json) = json {
        let again = automaton.operation_from_json(&json);
        assert_eq!(again.as_deref(), Ok(bytes), "two encodings of {json}");
    }
    let before = state.clone();
    let mut twin = state.clone();
    let outcome = state.transact(|state| automaton.apply(at, state, bytes));
    assert_eq!(twin.transact(|state| automaton.apply(at, state, bytes)), outcome, "two outcomes");
    assert_eq!(twin, *state, "two states");
    match &outcome {
        Ok(reply) => {
            assert!(admitted.is_ok(), "what is no operation took effect");
            assert!(reply.len() <= REPLY_BYTES_MAX, "a reply of {} bytes", reply.len());
            assert!(automaton.reply_to_json(reply).is_ok(), "a reply that cannot be read");
        }
        Err(abort) => {
            assert_eq!(before, *state, "an abort left something behind");
            assert_eq!(abort.code == Abort::MALFORMED, admitted.is_err(), "{abort:?}");
        }
    }
    let _ = automaton.reply_to_json(bytes);
}
