//! Tries the mutations of the catalogue, and says which test or seed noticed each.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use daruma_mutations::{
    Mutation, MutationError, Verdict, Workspace, build, noticed, parse, run, test,
};

/// Seeds that the unchanged copy must pass first: a simulator that fails anyway shows nothing.
const UNCHANGED_SEEDS: u64 = 100;

/// Puts faults into a copy of the code and requires that a test or the simulator notices each.
#[derive(Debug, Parser)]
struct Arguments {
    /// All mutations, not only the slice that is tried with every change.
    #[arg(long)]
    all: bool,
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
    let mut unchanged = run(&build(workspace.path(), &target)?, 0..UNCHANGED_SEEDS, &[])?;
    if arguments.all && unchanged == Verdict::Holds {
        unchanged = test(workspace.path(), &target)?;
    }
    println!("unchanged: {unchanged:?} in {UNCHANGED_SEEDS} seeds");
    let mut all = unchanged == Verdict::Holds;
    let wanted = |mutation: &&Mutation| {
        (arguments.all || mutation.slice) && mutation.name.contains(&arguments.only)
    };
    let (mut tried, mut found) = (0, 0);
    for mutation in mutations.iter().filter(wanted) {
        let begin = Instant::now();
        workspace.apply(mutation)?;
        let verdict = judge(&workspace, &target, mutation);
        workspace.restore(mutation)?;
        tried += 1;
        found += usize::from(report(mutation, verdict, begin));
    }
    all &= tried == found;
    println!("{found} of {tried} mutations noticed");
    Ok(all)
}

/// By the simulator where the catalogue says so, else by the tests.
fn judge(
    workspace: &Workspace,
    target: &Path,
    mutation: &Mutation,
) -> Result<Verdict, MutationError> {
    if mutation.seeds > 0 {
        return search(&build(workspace.path(), target)?, mutation);
    }
    test(workspace.path(), target)
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
            Verdict::Holds | Verdict::Broken { .. } | Verdict::Hangs | Verdict::Test { .. } => {
                return Ok(verdict);
            }
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
