//! Tries the mutations of the catalogue, and says which test or seed noticed each.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use daruma_mutations::{
    Mutation, MutationError, Outcome, Results, UNCHANGED, Verdict, Which, Workspace, build,
    noticed, parse, run, test,
};

/// Seeds that the unchanged copy must pass first: a simulator that fails anyway shows nothing.
const UNCHANGED_SEEDS: u64 = 100;

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

/// Where the faults are put.
struct Bench {
    workspace: Workspace,
    target: PathBuf,
    /// Arguments of every run of the simulator.
    arguments: Vec<String>,
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
    let bench = Bench {
        workspace: Workspace::copy(&own.join("../.."), &folder.join("workspace"))?,
        target: folder.join("target"),
        arguments: jobs.into_iter().flatten().collect(),
    };
    let mut results = Results::open(arguments.results.clone(), bench.workspace.sources())?;

    let wanted = |mutation: &&Mutation| {
        let only = &arguments.only;
        (arguments.all || mutation.slice || !only.is_empty())
            && (only.is_empty() || only.iter().any(|part| mutation.name.contains(part)))
    };
    let wanted: Vec<&Mutation> = mutations.iter().filter(wanted).collect();
    let by_tests = wanted.iter().any(|mutation| mutation.seeds == 0);

    let clean = tell(&mut results, &bench, UNCHANGED, || {
        let verdict = bench.unchanged(by_tests)?;
        Ok((verdict == Verdict::Holds, verdict))
    })?;
    if !clean {
        println!("The copy fails as it is, which says nothing of a fault.");
        return Ok(false);
    }
    let mut found = 0;
    for mutation in &wanted {
        let good = tell(&mut results, &bench, &mutation.name, || {
            let verdict = bench.workspace.with(mutation, || bench.judge(mutation))?;
            Ok((noticed(mutation, &verdict), verdict))
        })?;
        found += usize::from(good);
        if !good {
            println!("  {}; expected {:?} in {}", mutation.why, mutation.expect, mutation.seeds);
        }
    }
    println!("\n{}", results.table(wanted.iter().map(|mutation| mutation.name.as_str())));
    println!("{found} of {} mutations noticed", wanted.len());
    Ok(found == wanted.len())
}

/// Does `judge`, unless an earlier check did for the same code, and tells and keeps what came of it.
fn tell(
    results: &mut Results,
    bench: &Bench,
    name: &str,
    judge: impl FnOnce() -> Result<(bool, Verdict), MutationError>,
) -> Result<bool, MutationError> {
    if let Some(Outcome { by, .. }) = results.good(name) {
        println!("earlier: {name}: {by}");
        return Ok(true);
    }
    let begin = Instant::now();
    let (good, by) = match judge() {
        Ok((good, verdict)) => (good, verdict.to_string()),
        Err(error) => (false, format!("not tried: {error}")),
    };
    let seconds = begin.elapsed().as_secs();
    println!("{}: {name}: {by}, {seconds} s", if good { "good" } else { "MISSED" });
    let sources = bench.workspace.sources();
    results.add(Outcome { name: name.to_owned(), good, by, seconds, sources })?;
    Ok(good)
}

impl Bench {
    /// What comes of the copy as it is.
    fn unchanged(&self, by_tests: bool) -> Result<Verdict, MutationError> {
        let program = build(self.workspace.path(), &self.target)?;
        match run(&program, 0..UNCHANGED_SEEDS, &self.arguments)? {
            Verdict::Holds if by_tests => test(self.workspace.path(), &self.target, Which::All),
            verdict => Ok(verdict),
        }
    }

    /// By the simulator where the catalogue says so, else by the tests.
    fn judge(&self, mutation: &Mutation) -> Result<Verdict, MutationError> {
        if mutation.seeds > 0 {
            return self.search(&build(self.workspace.path(), &self.target)?, mutation);
        }
        test(self.workspace.path(), &self.target, Which::Changed)
    }

    /// Searches until a run breaks one of the rules that the mutation must break. A run that breaks
    /// another one, which is a consequence too, is told and passed over.
    fn search(&self, program: &Path, mutation: &Mutation) -> Result<Verdict, MutationError> {
        let arguments = [self.arguments.as_slice(), &mutation.arguments].concat();
        let mut from = 0;
        loop {
            let verdict = run(program, from..mutation.seeds, &arguments)?;
            match &verdict {
                Verdict::Broken { seed, .. } if !noticed(mutation, &verdict) => {
                    println!("  also: {verdict}");
                    from = seed.saturating_add(1);
                }
                Verdict::Holds
                | Verdict::Broken { .. }
                | Verdict::Hangs { .. }
                | Verdict::Test { .. } => return Ok(verdict),
            }
        }
    }
}
