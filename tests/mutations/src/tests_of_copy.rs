//! Running the tests of a copy.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cargo::{Built, cargo};
use crate::running::{End, running};
use crate::{MutationError, Verdict};

/// Time that one program of tests may take: several times what the longest does on a slow machine.
pub const TEST_TIME_MAX: Duration = Duration::from_secs(600);

/// Their packages share what is built in the first two stages.
const PROTOCOL: [&str; 5] = [
    "--package=daruma-types",
    "--package=daruma-store",
    "--package=daruma-ledger",
    "--package=daruma-engine",
    // In the workspace the crate's tests ask for it by themselves.
    "--features=daruma-engine/laboratory",
];

/// Their packages share what is built in the last two.
const NETWORKS: [&str; 4] = [
    "--package=daruma-adversary",
    "--package=daruma-catalogue",
    "--package=daruma-conversations",
    "--package=daruma-simulator",
];

/// The stages of the tests: those beside the rules, those of the protocol's crates from outside, then
/// whole networks. Without RocksDB, which would take minutes to build: the store in memory has the same
/// rules.
const STAGES: [(&[&str], &[&str]); 4] = [
    (&PROTOCOL, &["--lib"]),
    (&PROTOCOL, &["--tests"]),
    (&NETWORKS, &["--lib", "--test=golden"]),
    (&NETWORKS, &["--tests"]),
];

/// Which tests judge: those of the crates with the rules take seconds, those of whole networks minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stages {
    /// Those of the crates with the rules.
    Protocol,
    /// Those of whole networks.
    Networks,
}

impl Stages {
    const fn range(self) -> Range<usize> {
        match self {
            Self::Protocol => 0..2,
            Self::Networks => 2..STAGES.len(),
        }
    }
}

/// Crates of the protocol, by folder, that do not contain those of the second list: their tests cannot
/// notice anything there.
const WITHOUT: [(&str, &[&str]); 4] = [
    ("ledger/types", &["ledger/src", "ledger/store", "node/engine"]),
    ("ledger/store", &["ledger/src", "node/engine"]),
    ("ledger", &["node/engine"]),
    ("node/engine", &["ledger/src", "ledger/store"]),
];

/// The programs of tests of a copy, as far as they were built.
#[derive(Debug)]
pub(crate) struct Tests {
    path: PathBuf,
    target: PathBuf,
    /// Of each stage, those that are in none before.
    built: Vec<Vec<Built>>,
    /// Stages that the copy passes without a mutation.
    clean: usize,
}

impl Tests {
    /// Those of the workspace at `path`, built below `target` when they are needed first. A stage of them
    /// must pass without a mutation before it judges one.
    pub(crate) fn new(path: &Path, target: &Path) -> Self {
        Self { path: path.to_owned(), target: target.to_owned(), built: Vec::new(), clean: 0 }
    }

    /// The same for a copy with one mutation for good, which was clean before.
    pub(crate) fn of_mutated(path: &Path, target: &Path) -> Self {
        Self { clean: STAGES.len(), ..Self::new(path, target) }
    }

    /// Builds what the crates with the rules are tested by.
    ///
    /// # Errors
    /// [`MutationError::Build`] if the copy does not compile.
    pub(crate) fn build(&mut self) -> Result<(), MutationError> {
        self.stage(0).map(|_| ())
    }

    fn stage(&mut self, stage: usize) -> Result<&[Built], MutationError> {
        while let (true, Some((packages, targets))) =
            (self.built.len() <= stage, STAGES.get(self.built.len()))
        {
            let arguments = [&["test", "--no-run", "--no-default-features"], *packages, *targets];
            let mut built = cargo(&self.path, &self.target, &arguments.concat())?;
            // `--tests` names those of the libraries too.
            let known =
                |built: &Built| self.built.iter().flatten().any(|b| b.program == built.program);
            built.retain(|built| !known(built));
            self.built.push(built);
        }
        Ok(self.built.get(stage).map_or(&[], Vec::as_slice))
    }

    /// Runs those of some stages with the mutation of this number on, which is in `file`, until one fails.
    /// Each stage is begun only if the one before noticed nothing.
    ///
    /// # Errors
    /// [`MutationError::Build`] if the copy does not compile; [`MutationError::Unclean`].
    pub(crate) fn run(
        &mut self,
        mutation: u32,
        file: &str,
        stages: Stages,
    ) -> Result<Verdict, MutationError> {
        for stage in stages.range() {
            if self.clean <= stage {
                let verdict = self.run_stage(stage, 0, None)?;
                if verdict != Verdict::Holds {
                    return Err(MutationError::Unclean { by: verdict.to_string() });
                }
                self.clean = stage.saturating_add(1);
            }
            let verdict = self.run_stage(stage, mutation, Some(file))?;
            if verdict != Verdict::Holds {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Holds)
    }

    fn run_stage(
        &mut self,
        stage: usize,
        mutation: u32,
        file: Option<&str>,
    ) -> Result<Verdict, MutationError> {
        let path = self.path.clone();
        let folder =
            |built: &Built| built.folder.strip_prefix(&path).unwrap_or(&built.folder).to_owned();
        let mut programs: Vec<&Built> = self.stage(stage)?.iter().collect();
        if let Some(file) = file {
            programs.retain(|built| contains(&folder(built), file));
            // The crate's own tests are the likeliest to notice.
            programs.sort_by_key(|built| {
                file.strip_prefix(&*folder(built).to_string_lossy())
                    .is_none_or(|rest| !rest.starts_with("/src/"))
            });
        }
        for built in programs {
            if let Some(verdict) = verdict(built, mutation)? {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Holds)
    }
}

/// Whether the crate in `folder` is made of `file` too.
fn contains(folder: &Path, file: &str) -> bool {
    let without =
        WITHOUT.iter().find(|(of, _)| folder == Path::new(of)).map(|(_, without)| *without);
    !without.unwrap_or_default().iter().any(|other| file.starts_with(other))
}

/// What one program of tests notices.
fn verdict(built: &Built, mutation: u32) -> Result<Option<Verdict>, MutationError> {
    let stop = |line: &str| failed(line).is_some();
    let end = running(&built.program, &built.folder, &[], mutation, TEST_TIME_MAX, stop)?;
    let name = &built.name;
    Ok(match end {
        End::Itself(true, _) => None,
        End::Itself(false, text) => {
            let last = text.lines().next_back().unwrap_or("it said nothing");
            Some(Verdict::Test { name: format!("{name}: ended in the middle: {last}") })
        }
        End::Line(line) => {
            Some(Verdict::Test { name: format!("{name}: {}", failed(&line).unwrap_or(&line)) })
        }
        End::Late => Some(Verdict::Hangs { program: name.clone() }),
    })
}

/// Reads the name in `test NAME ... FAILED`.
fn failed(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_test_is_read_from_the_output() {
        assert_eq!(failed("test b::breaks ... FAILED"), Some("b::breaks"));
        assert_eq!(failed("test a::holds ... ok"), None);
        assert_eq!(failed("test result: FAILED. 1 passed"), None);
    }

    #[test]
    fn tests_that_cannot_notice_a_change_are_passed_over() {
        assert!(!contains(Path::new("ledger"), "node/engine/src/pool.rs"));
        assert!(contains(Path::new("ledger"), "ledger/types/src/thresholds.rs"));
        assert!(contains(Path::new("tests/simulator"), "node/engine/src/pool.rs"));
    }
}
