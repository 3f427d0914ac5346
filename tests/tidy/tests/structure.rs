//! The rules of ARCHITECTURE.md that a machine can check.

use std::collections::BTreeSet;

use daruma_tidy::{dependencies, root, sources};

/// The crates of the workspace, and which other crates of it each may depend on. Data flows one
/// way: rpc and network, engine, effects, ledger and automaton. A new edge is a change of the
/// design: change ARCHITECTURE.md with it.
const ALLOWED: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("automaton-api", &[]),
    ("append-list", &["automaton-api"]),
    ("counter", &["automaton-api"]),
    ("key-value", &["automaton-api"]),
    ("no-op", &["automaton-api"]),
    ("engine", &["types"]),
    ("chainspec", &["types"]),
    ("store", &["types"]),
    ("ledger", &["types", "store", "automaton-api"]),
    ("host", &["automaton-api", "append-list", "counter", "key-value", "no-op"]),
    ("network", &["types"]),
    ("driver", &["types", "engine", "ledger", "store", "network", "automaton-api"]),
    ("rpc-api", &["types"]),
    ("rpc-server", &["types", "rpc-api", "chainspec", "ledger", "automaton-api"]),
    ("rpc-client", &["types", "rpc-api", "chainspec"]),
    ("adversary", &["types"]),
    ("catalogue", &["types", "engine", "simulator"]),
    ("conversations", &["types", "engine", "ledger", "store", "automaton-api", "append-list"]),
    (
        "simulator",
        &["types", "engine", "ledger", "store", "automaton-api", "append-list", "adversary"],
    ),
    (
        "node",
        &[
            "types",
            "automaton-api",
            "chainspec",
            "driver",
            "engine",
            "host",
            "ledger",
            "network",
            "rpc-api",
            "rpc-client",
            "rpc-server",
            "simulator",
            "store",
        ],
    ),
    (
        "fuzz",
        &[
            "types",
            "automaton-api",
            "chainspec",
            "engine",
            "host",
            "ledger",
            "network",
            "rpc-api",
            "simulator",
            "store",
        ],
    ),
    ("scenarios", &["types", "automaton-api", "chainspec", "rpc-api", "rpc-client"]),
    ("model", &["types", "engine"]),
    ("mutations", &[]),
    ("tidy", &[]),
];

/// What the engine may use beside our own types: nothing with a clock, a file or a socket.
const ENGINE_DEPENDENCIES: &[&str] = &["daruma-types", "thiserror"];

/// Lines of a file, past which it has a second subject.
const LINES_MAX: usize = 500;

#[test]
fn every_edge_between_crates_is_an_allowed_one() {
    let found = dependencies();
    let mut wrong = Vec::new();
    for (name, dependencies) in &found {
        let short = name.trim_start_matches("daruma-");
        let Some((_, allowed)) = ALLOWED.iter().find(|(crate_name, _)| *crate_name == short) else {
            wrong.push(format!("{name} is not in the list of crates"));
            continue;
        };
        let ours = dependencies.iter().filter_map(|d| d.strip_prefix("daruma-"));
        for other in ours.filter(|other| !allowed.contains(other)) {
            wrong.push(format!("{short} may not depend on {other}; it may on {allowed:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let listed: BTreeSet<String> = ALLOWED.iter().map(|(n, _)| format!("daruma-{n}")).collect();
    assert_eq!(listed, found.into_keys().collect(), "the list of crates is out of date");
}

#[test]
fn the_engine_depends_on_nothing_that_could_do_io_or_tell_the_time() {
    let found = dependencies();
    let engine: Vec<&str> = found["daruma-engine"].iter().map(String::as_str).collect();
    assert_eq!(engine, ENGINE_DEPENDENCIES);
    let text = std::fs::read_to_string(root().join("node/engine/src/lib.rs")).unwrap();
    assert!(text.contains("#![no_std]"), "the engine must stay no_std");
}

#[test]
fn every_file_has_one_subject_and_no_room_is_called_utils() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{} has {lines} lines; at most {LINES_MAX}", path.display()));
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if ["utils", "util", "common", "helpers", "misc"].contains(&stem.as_ref()) {
            wrong.push(format!("{}: name it by its subject", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_undone_or_ignored() {
    // Written in two parts so that this file does not find itself.
    let marks = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[ig", "nore")];
    let found: Vec<String> = sources()
        .iter()
        .flat_map(|(path, text)| {
            let hits = marks.iter().filter(|mark| text.contains(**mark));
            hits.map(move |mark| format!("{}: {mark}", path.display()))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
