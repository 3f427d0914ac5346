//! Tries the mutations of the catalogue, and says which test or seed noticed each.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use daruma_mutations::{
    Bench, Mutation, MutationError, Outcome, Results, Stages, Verdict, Workspace, noticed, parse,
};

/// Puts faults into a copy of the code and requires that a test or the simulator notices each.
#[derive(Debug, Parser)]
struct Arguments {
    /// All mutations, not only the slice that is tried with every change.
    #[arg(long)]
    all: bool,
    /// Only mutations whose name has this in it; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// The folder for the copy and for what is built from it.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// A file to which what came of each mutation is written, a line of JSON each. Given again for the
    /// same code, only mutations that are not noticed in it are tried.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Threads of the simulator [default: as many as there are cores].
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
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
    let list = own.join("mutations.toml");
    let text = std::fs::read_to_string(&list)
        .map_err(|source| MutationError::Io { path: list, source })?;
    let mutations = parse(&text)?;
    let folder =
        arguments.folder.clone().unwrap_or_else(|| std::env::temp_dir().join("daruma-mutations"));
    let jobs = arguments.jobs.map(|jobs| ["--jobs".to_owned(), jobs.to_string()]);
    let arguments_of_runs = jobs.into_iter().flatten().collect();
    // Registry crates that were built there need not be built again.
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(folder.join("target"), PathBuf::from);
    let workspace = Workspace::copy(&own.join("../.."), &folder.join("workspace"))?;
    let mut results = Results::open(arguments.results.clone(), workspace.sources())?;

    let wanted = |mutation: &&Mutation| {
        let only = &arguments.only;
        (arguments.all || mutation.slice || !only.is_empty())
            && (only.is_empty() || only.iter().any(|part| mutation.name.contains(part)))
    };
    let mut wanted: Vec<&Mutation> = mutations.iter().filter(wanted).collect();
    // The tests' first: they need less to be built.
    wanted.sort_by_key(|mutation| mutation.seeds > 0);
    let mut bench = Bench::new(workspace, &target, &wanted, arguments_of_runs)?;

    let mut found = 0;
    let mut numbered: Vec<(u32, &Mutation)> = (1..).zip(wanted.iter().copied()).collect();
    // What is compiled alone takes the place of what was compiled together.
    numbered.sort_by_key(|(_, mutation)| bench.is_alone(mutation));
    // What takes seconds for all, before what takes minutes for the few that are left.
    for stages in [Stages::Protocol, Stages::Networks] {
        let mut left = Vec::new();
        for (number, mutation) in numbered {
            let good = tell(&mut results, &mut bench, mutation, |bench| {
                let verdict = bench.judge(number, mutation, stages)?;
                Ok((noticed(mutation, &verdict), verdict))
            })?;
            found += usize::from(good);
            if !good && mutation.seeds == 0 {
                left.push((number, mutation));
            }
        }
        numbered = left;
    }
    println!("\n{}", results.table(wanted.iter().map(|mutation| mutation.name.as_str())));
    println!("{found} of {} mutations noticed", wanted.len());
    Ok(found == wanted.len())
}

/// Does `judge`, unless an earlier check did for the same code, and tells and keeps what came of it.
fn tell(
    results: &mut Results,
    bench: &mut Bench,
    mutation: &Mutation,
    judge: impl FnOnce(&mut Bench) -> Result<(bool, Verdict), MutationError>,
) -> Result<bool, MutationError> {
    let Mutation { name, why, .. } = mutation;
    if let Some(Outcome { by, .. }) = results.good(name) {
        println!("earlier: {name}: {by}");
        return Ok(true);
    }
    let begin = Instant::now();
    let (good, by) = match judge(bench) {
        Ok((good, verdict)) => (good, verdict.to_string()),
        Err(error) => (false, format!("not tried: {error}")),
    };
    let seconds = begin.elapsed().as_secs();
    let word = if good { "noticed" } else { "NOT YET NOTICED" };
    println!("{word}: {name} ({why}) by {by}, {seconds} s");
    let sources = bench.sources();
    results.add(Outcome { name: name.clone(), good, by, seconds, sources })?;
    Ok(good)
}
