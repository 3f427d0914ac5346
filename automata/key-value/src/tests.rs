use super::{KEY_BYTES_MAX, KeyValue, VALUE_BYTES_MAX, forms::Operation};
use alloc::{format, string::String, vec, vec::Vec};
use daruma_automaton_api::{
    At, Blob, Case, DynAutomaton, MemoryState, QueryError, State, check,
    limits::LISTING_BYTES_MAX,
    serde_json::{Value, json},
};

const AT: At = At { height: 1, index: 0, client: [0; 32] };

fn map(parameters: Value) -> KeyValue {
    KeyValue::from_parameters(&parameters).unwrap()
}

fn largest() -> KeyValue {
    map(json!({ "key_bytes_max": KEY_BYTES_MAX, "value_bytes_max": VALUE_BYTES_MAX }))
}

fn apply(state: &mut MemoryState, operation: &Value) -> Value {
    let map = map(Value::Null);
    let bytes = map.operation_from_json(operation).unwrap();
    map.reply_to_json(&map.apply(AT, state, &bytes).unwrap()).unwrap()
}

fn ask(state: &MemoryState, path: &str, data: Value) -> Result<Value, QueryError> {
    map(Value::Null).query(state, path, &data)
}

fn keys_of(answer: &Value) -> Vec<String> {
    let entries = answer["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["key"].as_str().unwrap().into()).collect()
}

#[test]
fn it_passes_the_suite_of_all_automata() {
    let key = || Blob::from("key");
    let value = |text: &str| Blob::from(text);
    let longest = |length: u64| Blob(vec![b'x'; usize::try_from(length).unwrap()]);
    let swap = |expected, value| Operation::CompareAndSwap { key: key(), expected, value };
    let operations = vec![
        Operation::Put { key: key(), value: value("1") },
        swap(Some(value("1")), Some(value(""))),
        swap(Some(value("1")), None),
        swap(Some(value("")), None),
        swap(None, Some(Blob(vec![0xff]))),
        Operation::Delete { key: key() },
        Operation::Delete { key: key() },
        Operation::CompareAndSwap {
            key: longest(KEY_BYTES_MAX),
            expected: Some(longest(VALUE_BYTES_MAX)),
            value: Some(longest(VALUE_BYTES_MAX)),
        },
        Operation::Put { key: longest(KEY_BYTES_MAX), value: longest(VALUE_BYTES_MAX) },
    ];
    let case = Case::new(operations)
        .ask("get", json!({ "key": "key" }))
        .ask("list", Value::Null)
        .ask("list", json!({ "limit": 0 }));
    assert_eq!(check(&largest(), &[case]), Ok(()));
}

#[test]
fn the_binary_forms_stay_as_documented() {
    let map = map(Value::Null);
    let bytes = |json: Value| map.operation_from_json(&json).unwrap();
    assert_eq!(
        bytes(json!({ "put": { "key": "a", "value": "12" } })),
        [&[0, 1, 0, 0, 0][..], b"a", &[2, 0, 0, 0], b"12"].concat()
    );
    assert_eq!(bytes(json!({ "delete": { "key": "a" } })), [&[1, 1, 0, 0, 0][..], b"a"].concat());
    assert_eq!(
        bytes(json!({ "compare-and-swap": { "key": "a", "expected": "1", "value": null } })),
        [&[2, 1, 0, 0, 0][..], b"a", &[1, 1, 0, 0, 0], b"1", &[0]].concat()
    );
    assert_eq!(map.reply_to_json(&[0, 1]), Ok(json!({ "put": { "existed": true } })));
    assert_eq!(map.reply_to_json(&[1, 0]), Ok(json!({ "delete": { "existed": false } })));
    assert_eq!(map.reply_to_json(&[2, 1]), Ok(json!({ "compare-and-swap": { "swapped": true } })));
    assert!(map.reply_to_json(&[2, 2]).is_err());
    assert!(map.reply_to_json(&[3, 0]).is_err());
}

#[test]
fn replies_say_what_was_there() {
    let mut state = MemoryState::new();
    let put = json!({ "put": { "key": "a", "value": "1" } });
    let delete = json!({ "delete": { "key": "a" } });
    assert_eq!(apply(&mut state, &put), json!({ "put": { "existed": false } }));
    assert_eq!(apply(&mut state, &put), json!({ "put": { "existed": true } }));
    assert_eq!(apply(&mut state, &delete), json!({ "delete": { "existed": true } }));
    assert_eq!(apply(&mut state, &delete), json!({ "delete": { "existed": false } }));
    assert_eq!(state, MemoryState::new());
}

#[test]
fn a_swap_happens_only_when_the_key_is_as_expected() {
    let mut state = MemoryState::new();
    let mut swap = |expected: Value, value: Value| {
        let fields = json!({ "key": "a", "expected": expected, "value": value });
        let reply = apply(&mut state, &json!({ "compare-and-swap": fields }));
        let now = ask(&state, "get", json!({ "key": "a" })).unwrap();
        (reply["compare-and-swap"]["swapped"].as_bool().unwrap(), now["value"].clone())
    };
    assert_eq!(swap(json!("1"), json!("2")), (false, json!(null)));
    assert_eq!(swap(json!(null), json!("")), (true, json!("")), "absent is not empty");
    assert_eq!(swap(json!(null), json!("1")), (false, json!("")));
    assert_eq!(swap(json!(""), json!("1")), (true, json!("1")));
    assert_eq!(swap(json!("2"), json!(null)), (false, json!("1")));
    assert_eq!(swap(json!("1"), json!(null)), (true, json!(null)));
}

#[test]
fn sizes_are_admitted_up_to_their_bounds_and_not_beyond() {
    let map = map(json!({ "key_bytes_max": 2, "value_bytes_max": 3 }));
    let put = |key: &str, value: &str| {
        map.operation_from_json(&json!({ "put": { "key": key, "value": value } })).is_ok()
    };
    assert!(put("ab", "abc") && put("a", ""));
    assert!(!put("", "a") && !put("abc", "a") && !put("a", "abcd"));
    let expected = json!({ "key": "a", "expected": "abcd", "value": null });
    assert!(map.operation_from_json(&json!({ "compare-and-swap": expected })).is_err());
    for (name, max) in [("key_bytes_max", KEY_BYTES_MAX), ("value_bytes_max", VALUE_BYTES_MAX)] {
        assert!(KeyValue::from_parameters(&json!({ name: max })).is_ok());
        assert!(KeyValue::from_parameters(&json!({ name: max + 1 })).is_err());
        assert!(KeyValue::from_parameters(&json!({ name: 0 })).is_err());
    }
}

#[test]
fn pages_of_a_list_hold_every_key_with_the_prefix_once_and_in_order() {
    let mut state = MemoryState::new();
    let keys: Vec<_> = (0..100).map(|number| format!("k{number:03}")).collect();
    for key in &keys {
        state.put(key.as_bytes(), b"value".to_vec());
    }
    state.put(b"a", Vec::new());
    state.put(b"l", Vec::new());
    for limit in [1, 7, 16, 17, 99, 100, 101] {
        let (mut listed, mut after) = (Vec::new(), json!(null));
        loop {
            let page = json!({ "prefix": "k", "after": after, "limit": limit });
            let answer = ask(&state, "list", page).unwrap();
            let page_keys = keys_of(&answer);
            assert!(page_keys.len() <= limit);
            listed.extend(page_keys);
            after = answer["next"].clone();
            if after.is_null() {
                break;
            }
        }
        assert_eq!(listed, keys, "limit {limit}");
    }
}

#[test]
fn a_list_of_long_values_stops_at_the_listing_bound_and_says_where_to_go_on() {
    let mut state = MemoryState::new();
    let value = vec![b'x'; LISTING_BYTES_MAX / 32];
    for number in 0..40 {
        state.put(format!("{number:02}").as_bytes(), value.clone());
    }
    let answer = ask(&state, "list", Value::Null).unwrap();
    assert_eq!(keys_of(&answer).len(), 32);
    assert_eq!(answer["next"], json!("31"));
    let rest = ask(&state, "list", json!({ "after": "31" })).unwrap();
    assert_eq!(keys_of(&rest).len(), 8);
    assert_eq!(rest["next"], json!(null));
}

#[test]
fn bad_queries_are_refused() {
    let state = MemoryState::new();
    for (path, data) in [
        ("get", Value::Null),
        ("get", json!({ "key": "0xzz" })),
        ("list", json!({ "limit": 0 })),
        ("list", json!({ "limit": 1001 })),
        ("list", json!({ "from": "a" })),
    ] {
        let error = ask(&state, path, data.clone()).unwrap_err();
        assert!(matches!(error, QueryError::BadRequest { .. }), "{path} {data}: {error}");
    }
    assert!(matches!(ask(&state, "put", Value::Null), Err(QueryError::UnknownPath { .. })));
}
