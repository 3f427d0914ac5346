//! Where mutations are put into a copy and judged.

use std::path::{Path, PathBuf};

use crate::simulator::{build, run};
use crate::tests_of_copy::{Stages, Tests};
use crate::{Mutation, MutationError, Verdict, Workspace, noticed};

/// Seeds that the copy must pass without a mutation first: a simulator that fails anyway shows nothing.
const UNCHANGED_SEEDS: u64 = 100;

/// A copy with mutations in it, and what was built of it.
#[derive(Debug)]
pub struct Bench {
    workspace: Workspace,
    target: PathBuf,
    tests: Tests,
    simulator: Option<PathBuf>,
    /// Arguments of every run of the simulator.
    arguments: Vec<String>,
    /// Mutations that must be compiled by themselves.
    alone: Vec<String>,
}

impl Bench {
    /// Puts as many of `mutations` as it can into one copy, in the order of their numbers, which begin
    /// with 1. What is built goes below `target`.
    ///
    /// # Errors
    /// A mutation's text is not there exactly once, or the copy does not build for other reasons than
    /// the mutations.
    pub fn new(
        mut workspace: Workspace,
        target: &Path,
        mutations: &[&Mutation],
        arguments: Vec<String>,
    ) -> Result<Self, MutationError> {
        let mut alone: Vec<String> = Vec::new();
        let mut constants = true;
        loop {
            let together: Vec<(u32, &Mutation)> = (1..)
                .zip(mutations.iter().copied())
                .filter(|(_, mutation)| !alone.contains(&mutation.name))
                .collect();
            let left = workspace.switch(&together, constants)?;
            let mut tests = Tests::new(workspace.path(), target);
            match tests.build() {
                Ok(()) => {
                    alone.extend(left);
                    let (target, simulator) = (target.to_owned(), None);
                    return Ok(Self { workspace, target, tests, simulator, arguments, alone });
                }
                Err(MutationError::Build { errors, output }) => {
                    let mut blamed: Vec<String> =
                        errors.iter().filter_map(|error| workspace.blamed(error)).collect();
                    blamed.retain(|name| !alone.contains(name));
                    if blamed.is_empty() && !constants {
                        return Err(MutationError::Build { errors, output });
                    }
                    // Where none is to blame, something that is constant calls what no longer is.
                    constants &= !blamed.is_empty();
                    alone.extend(blamed);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The code of the copy; see [`Workspace::sources`].
    #[must_use]
    pub fn sources(&self) -> u64 {
        self.workspace.sources()
    }

    /// Whether a mutation must be compiled by itself. Such must be judged last: what is built of them takes
    /// the place of what was built of all.
    #[must_use]
    pub fn is_alone(&self, mutation: &Mutation) -> bool {
        self.alone.contains(&mutation.name)
    }

    /// What comes of a mutation that was put in under `number`: by the simulator where the catalogue says
    /// so, else by these tests.
    ///
    /// # Errors
    /// It does not build or run.
    pub fn judge(
        &mut self,
        number: u32,
        mutation: &Mutation,
        stages: Stages,
    ) -> Result<Verdict, MutationError> {
        let Self { workspace, target, arguments, .. } = self;
        let file = &mutation.file;
        if self.alone.contains(&mutation.name) {
            return workspace.with(mutation, |path| match mutation.seeds {
                0 => Tests::of_mutated(path, target).run(0, file, stages),
                _ => search(&build(path, target)?, mutation, 0, arguments),
            });
        }
        if mutation.seeds == 0 {
            return self.tests.run(number, file, stages);
        }
        let program = self.simulator()?;
        search(&program, mutation, number, &self.arguments)
    }

    fn simulator(&mut self) -> Result<PathBuf, MutationError> {
        if let Some(program) = &self.simulator {
            return Ok(program.clone());
        }
        let program = build(self.workspace.path(), &self.target)?;
        let verdict = run(&program, 0..UNCHANGED_SEEDS, &self.arguments, 0)?;
        if verdict != Verdict::Holds {
            return Err(MutationError::Unclean { by: verdict.to_string() });
        }
        self.simulator = Some(program.clone());
        Ok(program)
    }
}

/// Searches until a run breaks one of the rules that the mutation must break. A run that breaks another
/// one, which is a consequence too, is told and passed over.
fn search(
    program: &Path,
    mutation: &Mutation,
    number: u32,
    arguments: &[String],
) -> Result<Verdict, MutationError> {
    let arguments = [arguments, &mutation.arguments].concat();
    let mut from = 0;
    loop {
        let verdict = run(program, from..mutation.seeds, &arguments, number)?;
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
