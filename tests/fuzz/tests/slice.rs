//! A bounded slice of every target on a stable toolchain: the kept corpus, and seeded mutations of it.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use daruma_fuzz::limits::{CORPUS_BYTES_MAX, CORPUS_FILES_MAX, INPUT_BYTES_MAX};
use daruma_fuzz::{Target, corpus, mutate::mutate, target};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The longest that one run may take, on the busiest machine; usual are milliseconds.
const RUN_MAX: Duration = Duration::from_secs(20);

/// How many times as many mutations are run as usual: `DARUMA_FUZZ_FACTOR`.
fn factor() -> u32 {
    std::env::var("DARUMA_FUZZ_FACTOR").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn slice(name: &'static str) {
    let Target { run, executions, .. } = target(name).unwrap();
    let corpus = corpus::load(name).unwrap();
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for (file, input) in &corpus {
        eprintln!("{name}: {file}");
        run(input);
    }
    // The same inputs in every run: a failure here is found again.
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let watched = watch(name);
    let mut last = Vec::new();
    for execution in 0..executions.saturating_mul(factor()) {
        let (_, input) = &corpus[random.random_range(0..corpus.len())];
        let (_, other) = &corpus[random.random_range(0..corpus.len())];
        // Now and then a mutation of a mutation.
        let from = if execution % 4 == 3 { &last } else { input };
        let mutated = mutate(from, other, &mut random);
        *watched.lock().unwrap() = Some((Instant::now(), mutated.clone()));
        let result = std::panic::catch_unwind(|| run(&mutated));
        *watched.lock().unwrap() = None;
        if let Err(panic) = result {
            eprintln!("{name}: execution {execution}: {}", hex(&mutated));
            std::panic::resume_unwind(panic);
        }
        last = mutated;
    }
}

/// Since when which input runs.
type Watched = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// A run that does not end breaks a property too, and no panic tells of it.
fn watch(name: &'static str) -> Watched {
    let watched = Watched::default();
    let running = Arc::downgrade(&watched);
    std::thread::spawn(move || {
        while let Some(running) = running.upgrade() {
            if let Some((since, input)) = running.lock().unwrap().as_ref()
                && since.elapsed() > RUN_MAX
            {
                eprintln!("{name}: a run does not end: {}", hex(input));
                std::process::abort();
            }
            drop(running);
            std::thread::park_timeout(RUN_MAX / 10);
        }
    });
    watched
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

macro_rules! slices {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                slice($name);
            }
        )*

        #[test]
        fn every_target_has_a_slice_and_a_program() {
            let sliced = [$($name),*];
            for target in daruma_fuzz::targets() {
                assert!(sliced.contains(&target.name), "{} has no slice", target.name);
                let programs = corpus::folder("").join("../fuzz/fuzz_targets");
                let program = programs.join(format!("{}.rs", target.name));
                assert!(program.is_file(), "{} is missing", program.display());
            }
        }
    };
}

slices! {
    any_message_decodes_canonically_and_in_bounds: "message",
    any_row_decodes_canonically_and_in_bounds: "rows",
    frames_do_not_depend_on_how_a_stream_is_cut: "frames",
    the_journal_keeps_its_rules: "journal",
    a_damaged_disk_never_panics_nor_proves_what_is_false: "disk",
    a_chainspec_is_written_as_it_was_read: "chainspec",
    json_is_written_as_it_was_read: "rpc",
    automata_are_deterministic_and_canonical_on_any_bytes: "automata",
    tampered_proofs_prove_nothing_false: "proofs",
    links_settle_after_any_noise: "links",
    tampered_messages_do_not_pass_the_door: "door",
    one_engine_keeps_its_promises_whatever_the_others_do: "engine",
}

#[test]
fn corpora_stay_small() {
    for target in daruma_fuzz::targets() {
        let corpus = corpus::load(target.name).unwrap();
        let bytes: u64 = corpus.iter().map(|(_, input)| input.len() as u64).sum();
        assert!(corpus.len() <= CORPUS_FILES_MAX, "{}: {} files", target.name, corpus.len());
        assert!(bytes <= CORPUS_BYTES_MAX, "{}: {bytes} bytes", target.name);
        let longest = corpus.iter().map(|(_, input)| input.len()).max();
        assert!(longest <= Some(INPUT_BYTES_MAX), "{}: {longest:?}", target.name);
    }
}
