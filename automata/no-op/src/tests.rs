use super::{NoOp, Operation};
use alloc::{string::ToString, vec, vec::Vec};
use daruma_automaton_api::{
    At, Blob, Case, DynAutomaton, MemoryState, Overlay, check,
    limits::OPERATION_BYTES_MAX,
    serde_json::{Value, json},
};

const AT: At = At { height: 1, index: 0, client: [0; 32] };

#[test]
fn it_passes_the_suite_of_all_automata() {
    let operations = [vec![], b"anything".to_vec(), vec![0xff; OPERATION_BYTES_MAX]];
    let case = Case::new(operations.into_iter().map(|bytes| Operation(Blob(bytes))).collect());
    assert_eq!(check(&NoOp, &[case]), Ok(()));
}

#[test]
fn an_operation_writes_nothing_and_gives_an_empty_reply() {
    let state = MemoryState::new();
    let mut overlay = Overlay::new(&state);
    assert_eq!(NoOp.apply(AT, &mut overlay, b"anything"), Ok(Vec::new()));
    assert!(overlay.into_writes().is_empty());
}

#[test]
fn the_binary_and_json_forms_stay_as_documented() {
    assert_eq!(NoOp.operation_from_json(&json!("hi")), Ok(b"hi".to_vec()));
    assert_eq!(NoOp.operation_to_json(&[0xff]), Ok(json!("0xff")));
    assert_eq!(NoOp.reply_to_json(&[]), Ok(Value::Null));
    assert!(NoOp.reply_to_json(&[0]).is_err());
    assert!(NoOp.check(&[0; OPERATION_BYTES_MAX + 1]).is_err());
}

#[test]
fn there_is_nothing_to_query() {
    let error = NoOp.query(&MemoryState::new(), "info", &Value::Null).unwrap_err();
    assert_eq!(error.to_string(), "unknown query \"info\"; there are: none");
}
