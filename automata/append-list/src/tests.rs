use super::{AppendList, DAMAGED, Operation, queries::NO_SUCH_ITEM};
use alloc::{string::ToString, vec, vec::Vec};
use daruma_automaton_api::{
    Abort, At, Blob, Case, DynAutomaton, MemoryState, Overlay, QueryError, State, StateRead, check,
    limits::{LISTING_BYTES_MAX, OPERATION_BYTES_MAX},
    serde_json::{Value, json},
};

const AT: At = At { height: 1, index: 0, client: [0; 32] };

fn list(parameters: Value) -> AppendList {
    AppendList::from_parameters(&parameters).unwrap()
}

fn append(item: &[u8]) -> Operation {
    Operation::Append(Blob(item.to_vec()))
}

fn holding(items: &[&[u8]]) -> MemoryState {
    let mut state = MemoryState::new();
    for item in items {
        list(Value::Null).apply(AT, &mut state, item).unwrap();
    }
    state
}

fn ask(state: &MemoryState, path: &str, data: Value) -> Result<Value, QueryError> {
    list(Value::Null).query(state, path, &data)
}

#[test]
fn it_passes_the_suite_of_all_automata() {
    let long = vec![b'x'; OPERATION_BYTES_MAX];
    let history = ["", "hello", "hello", "0xhello"].map(|item| append(item.as_bytes()));
    let case = Case::new(history.into_iter().chain([append(&[0xff, 0]), append(&long)]).collect())
        .ask("length", Value::Null)
        .ask("item", json!({ "index": 1 }))
        .ask("item", json!({ "index": 100 }))
        .ask("range", json!({ "from": 1, "limit": 2 }));
    assert_eq!(check(&list(Value::Null), &[case]), Ok(()));
}

#[test]
fn the_binary_and_json_forms_stay_as_documented() {
    let list = list(Value::Null);
    assert_eq!(list.operation_from_json(&json!({ "append": "hi" })), Ok(b"hi".to_vec()));
    assert_eq!(list.operation_from_json(&json!({ "append": "0x00ff" })), Ok(vec![0, 0xff]));
    assert_eq!(list.operation_to_json(&[0, 0xff]), Ok(json!({ "append": "0x00ff" })));
    let mut state = holding(&[b"a", b"b"]);
    let reply = list.apply(AT, &mut state, b"c").unwrap();
    assert_eq!(reply, [2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(list.reply_to_json(&reply), Ok(json!({ "index": 2 })));
    let keys: Vec<_> = state.entries().map(|(key, _)| key.to_vec()).collect();
    assert_eq!(
        keys,
        [
            b"i\0\0\0\0\0\0\0\0".to_vec(),
            b"i\0\0\0\0\0\0\0\x01".to_vec(),
            b"i\0\0\0\0\0\0\0\x02".to_vec(),
            b"n".to_vec(),
        ]
    );
    assert_eq!(state.get(b"n"), Some(vec![3, 0, 0, 0, 0, 0, 0, 0]));
}

#[test]
fn an_append_writes_two_keys_whatever_the_length() {
    for length in [0, 1, 300] {
        let state = holding(&vec![b"item".as_slice(); length]);
        let mut overlay = Overlay::new(&state);
        list(Value::Null).apply(AT, &mut overlay, b"item").unwrap();
        assert_eq!(overlay.into_writes().len(), 2);
    }
}

#[test]
fn an_item_of_item_bytes_max_is_admitted_and_one_byte_more_is_not() {
    let list = list(json!({ "item_bytes_max": 3 }));
    assert_eq!(list.check(b"abc"), Ok(()));
    let refusal = list.check(b"abcd").unwrap_err();
    assert_eq!(refusal.to_string(), "malformed: the item has 4 bytes; at most 3");
    assert!(list.operation_from_json(&json!({ "append": "abcd" })).is_err());
    for refused in [json!(0), json!(65_537), json!(-1), json!("3"), json!(1.5)] {
        assert!(AppendList::from_parameters(&json!({ "item_bytes_max": refused })).is_err());
    }
}

#[test]
fn queries_read_the_length_one_item_and_a_range() {
    let state = holding(&[b"a", b"b", b"c"]);
    assert_eq!(ask(&state, "length", Value::Null), Ok(json!({ "length": 3 })));
    assert_eq!(ask(&state, "item", json!({ "index": 2 })), Ok(json!({ "index": 2, "item": "c" })));
    let none = ask(&state, "item", json!({ "index": 3 })).unwrap_err();
    assert!(matches!(none, QueryError::Failed { code: NO_SUCH_ITEM, .. }));
    assert_eq!(
        ask(&state, "range", Value::Null),
        Ok(json!({ "from": 0, "items": ["a", "b", "c"], "next": null }))
    );
    assert_eq!(
        ask(&state, "range", json!({ "from": 1, "limit": 1 })),
        Ok(json!({ "from": 1, "items": ["b"], "next": 2 }))
    );
    assert_eq!(
        ask(&state, "range", json!({ "from": u64::MAX, "limit": 1000 })),
        Ok(json!({ "from": u64::MAX, "items": [], "next": null }))
    );
}

#[test]
fn bad_queries_are_refused() {
    let state = holding(&[]);
    for (path, data) in [
        ("range", json!({ "limit": 0 })),
        ("range", json!({ "limit": 1001 })),
        ("range", json!({ "first": 0 })),
        ("item", Value::Null),
        ("item", json!({ "index": -1 })),
    ] {
        let error = ask(&state, path, data.clone()).unwrap_err();
        assert!(matches!(error, QueryError::BadRequest { .. }), "{path} {data}: {error}");
    }
    assert_eq!(
        ask(&state, "head", Value::Null).unwrap_err().to_string(),
        "unknown query \"head\"; there are: length, item, range"
    );
}

#[test]
fn a_range_of_long_items_stops_at_the_listing_bound_and_says_where_to_go_on() {
    let long = vec![b'x'; OPERATION_BYTES_MAX];
    let fit = LISTING_BYTES_MAX / OPERATION_BYTES_MAX;
    let state = holding(&vec![long.as_slice(); fit + 1]);
    let answer = ask(&state, "range", Value::Null).unwrap();
    assert_eq!(answer["items"].as_array().map(Vec::len), Some(fit));
    assert_eq!(answer["next"], json!(fit));
}

#[test]
fn a_damaged_length_aborts_appends_and_overwrites_nothing() {
    let mut state = holding(&[b"a"]);
    state.put(b"n", vec![1]);
    let before = state.clone();
    let abort = list(Value::Null).apply(AT, &mut state, b"b");
    assert_eq!(abort, Err(Abort::new(DAMAGED, "the length is damaged")));
    assert_eq!(state, before);
    assert!(matches!(
        ask(&state, "length", Value::Null),
        Err(QueryError::Failed { code: DAMAGED, .. })
    ));
}
