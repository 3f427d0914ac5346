//! Tries every mutation of the catalogue, and says which seed noticed it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use daruma_mutations::{Mutation, MutationError, Verdict, Workspace, build, noticed, parse, run};

/// Seeds that the unchanged copy must pass first: a simulator that fails anyway shows nothing.
const UNCHANGED_SEEDS: u64 = 100;

/// Puts faults into a copy of the code and requires that the simulator notices each.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only mutations whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// The folder for the copy and for what is built from it.
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    match tried(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn tried(arguments: &Arguments) -> Result<bool, MutationError> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.join("../..");
    let list = own.join("mutations.toml");
    let text = std::fs::read_to_string(&list)
        .map_err(|source| MutationError::Io { path: list, source })?;
    let mutations = parse(&text)?;
    let folder =
        arguments.folder.clone().unwrap_or_else(|| std::env::temp_dir().join("daruma-mutations"));
    let target = folder.join("target");
    let workspace = Workspace::copy(&root, &folder.join("workspace"))?;
    let unchanged = run(&build(workspace.path(), &target)?, 0..UNCHANGED_SEEDS, &[])?;
    println!("unchanged: {unchanged:?} in {UNCHANGED_SEEDS} seeds");
    let mut all = unchanged == Verdict::Holds;
    for mutation in mutations.iter().filter(|m| m.name.contains(&arguments.only)) {
        let begin = Instant::now();
        workspace.apply(mutation)?;
        let verdict =
            build(workspace.path(), &target).and_then(|program| search(&program, mutation));
        workspace.restore(mutation)?;
        all &= report(mutation, verdict, begin);
    }
    Ok(all)
}

/// Searches until a run breaks one of the rules that the mutation must break. A run that breaks another
/// one, which is a consequence too, is told and passed over.
fn search(program: &Path, mutation: &Mutation) -> Result<Verdict, MutationError> {
    let mut from = 0;
    loop {
        let verdict = run(program, from..mutation.seeds, &mutation.arguments)?;
        match &verdict {
            Verdict::Broken { seed, .. } if !noticed(mutation, &verdict) => {
                println!("  also: {verdict:?}");
                from = seed.saturating_add(1);
            }
            Verdict::Holds | Verdict::Broken { .. } | Verdict::Hangs => return Ok(verdict),
        }
    }
}

fn report(mutation: &Mutation, verdict: Result<Verdict, MutationError>, begin: Instant) -> bool {
    let Mutation { name, why, seeds, expect, .. } = mutation;
    let seconds = begin.elapsed().as_secs();
    match verdict {
        Ok(verdict) if noticed(mutation, &verdict) => {
            println!("noticed: {name} ({why}) by {verdict:?} in {seconds} s");
            true
        }
        Ok(verdict) => {
            println!("MISSED: {name} ({why}): {verdict:?} in {seeds} seeds; expected {expect:?}");
            false
        }
        Err(error) => {
            println!("NOT TRIED: {name}: {error}");
            false
        }
    }
}
