use super::{Counter, DAMAGED, OVERFLOW, Operation, UNDERFLOW};
use alloc::vec;
use daruma_automaton_api::{
    At, Case, DynAutomaton, MemoryState, QueryError, State, check,
    serde_json::{Value, json},
};

const AT: At = At { height: 1, index: 0, client: [0; 32] };

fn apply(state: &mut MemoryState, operation: &Value) -> Result<Value, u32> {
    let bytes = Counter.operation_from_json(operation).unwrap();
    let reply = state.transact(|state| Counter.apply(AT, state, &bytes));
    reply.map(|reply| Counter.reply_to_json(&reply).unwrap()).map_err(|abort| abort.code)
}

#[test]
fn it_passes_the_suite_of_all_automata() {
    let operations = vec![
        Operation::Add(0),
        Operation::Subtract(1),
        Operation::Add(u64::MAX),
        Operation::Add(1),
        Operation::Subtract(u64::MAX),
    ];
    let case = Case::new(operations).ask("value", Value::Null);
    assert_eq!(check(&Counter, &[case]), Ok(()));
}

#[test]
fn the_binary_forms_stay_as_documented() {
    let add = Counter.operation_from_json(&json!({ "add": 258 })).unwrap();
    assert_eq!(add, [0, 2, 1, 0, 0, 0, 0, 0, 0]);
    let subtract = Counter.operation_from_json(&json!({ "subtract": 1 })).unwrap();
    assert_eq!(subtract, [1, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Counter.reply_to_json(&[3, 0, 0, 0, 0, 0, 0, 0]), Ok(json!({ "value": 3 })));
    for malformed in [&[][..], &[2, 0, 0, 0, 0, 0, 0, 0, 0], &[0; 8], &[0; 10]] {
        assert!(Counter.check(malformed).is_err());
    }
    for malformed in [json!({ "add": -1 }), json!({ "add": 1.5 }), json!("add"), json!(null)] {
        assert!(Counter.operation_from_json(&malformed).is_err());
    }
}

#[test]
fn a_sum_above_the_highest_value_and_a_difference_below_zero_abort_and_change_nothing() {
    let mut state = MemoryState::new();
    assert_eq!(apply(&mut state, &json!({ "subtract": 1 })), Err(UNDERFLOW));
    assert_eq!(apply(&mut state, &json!({ "add": u64::MAX })), Ok(json!({ "value": u64::MAX })));
    assert_eq!(apply(&mut state, &json!({ "add": 1 })), Err(OVERFLOW));
    let value = Counter.query(&state, "value", &Value::Null);
    assert_eq!(value, Ok(json!({ "value": u64::MAX })));
    assert_eq!(apply(&mut state, &json!({ "subtract": u64::MAX })), Ok(json!({ "value": 0 })));
}

#[test]
fn a_new_counter_reads_zero_and_a_damaged_one_says_so() {
    let mut state = MemoryState::new();
    assert_eq!(Counter.query(&state, "value", &Value::Null), Ok(json!({ "value": 0 })));
    state.put(b"value", vec![1, 2, 3]);
    assert_eq!(apply(&mut state, &json!({ "add": 1 })), Err(DAMAGED));
    let error = Counter.query(&state, "value", &Value::Null).unwrap_err();
    assert!(matches!(error, QueryError::Failed { code: DAMAGED, .. }));
}
