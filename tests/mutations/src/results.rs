//! What came of each mutation, in a file, so that a check that was interrupted goes on where it was.

use core::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::MutationError;

/// What came of one mutation: a line of the file, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The mutation's name.
    pub name: String,
    /// Whether it was noticed.
    pub good: bool,
    /// Which test or seed noticed it, or why it could not be tried.
    pub by: String,
    /// How long it took, in seconds, with building.
    pub seconds: u64,
    /// The code that it was tried with; see [`crate::Workspace::sources`].
    pub sources: u64,
}

/// The outcomes so far.
#[derive(Debug, Default)]
pub struct Results {
    file: Option<PathBuf>,
    outcomes: Vec<Outcome>,
}

impl Results {
    /// Begins with what `file` says of the same `sources`, if there is such a file.
    ///
    /// # Errors
    /// It is there, and cannot be read.
    pub fn open(file: Option<PathBuf>, sources: u64) -> Result<Self, MutationError> {
        let Some(path) = file else { return Ok(Self::default()) };
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|source| MutationError::Io { path: path.clone(), source })?,
        };
        // A line may be half written: its mutation is tried again.
        let outcomes = text.lines().filter_map(|line| serde_json::from_str::<Outcome>(line).ok());
        let outcomes = outcomes.filter(|outcome| outcome.sources == sources).collect();
        Ok(Self { file: Some(path), outcomes })
    }

    /// The outcome of the mutation called `name`, if it is there and need not be tried again: one that
    /// was not noticed is, since its entry may have been mended.
    #[must_use]
    pub fn good(&self, name: &str) -> Option<&Outcome> {
        self.outcomes.iter().rev().find(|outcome| outcome.name == name && outcome.good)
    }

    /// Adds an outcome, and writes it to the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, outcome: Outcome) -> Result<(), MutationError> {
        if let Some(path) = &self.file {
            let line = serde_json::to_string(&outcome).map_err(|error| {
                MutationError::Catalogue { why: format!("{}: {error}", outcome.name) }
            })?;
            let io = |source| MutationError::Io { path: path.clone(), source };
            let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(io)?;
            file.write_all(format!("{line}\n").as_bytes()).map_err(io)?;
        }
        self.outcomes.push(outcome);
        Ok(())
    }

    /// A table of the mutations called `names`: which was noticed, how long that took, and by what.
    #[must_use]
    pub fn table<'a>(&self, names: impl Iterator<Item = &'a str>) -> String {
        let mut table = String::from("| mutation | noticed | seconds | by |\n|---|---|---|---|\n");
        for name in names {
            let last = self.outcomes.iter().rev().find(|outcome| outcome.name == name);
            let Some(Outcome { good, by, seconds, .. }) = last else { continue };
            let noticed = if *good { "yes" } else { "NO" };
            let by = by.lines().next().unwrap_or_default().replace('|', "/");
            let _ = writeln!(table, "| {name} | {noticed} | {seconds} | {by} |");
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &str, good: bool, sources: u64) -> Outcome {
        let (name, by) = (name.to_owned(), "a test".to_owned());
        Outcome { name, good, by, seconds: 7, sources }
    }

    #[test]
    fn a_check_of_the_same_code_goes_on_and_tries_again_what_was_missed() {
        let folder = tempfile::tempdir().unwrap();
        let file = Some(folder.path().join("results"));
        let mut first = Results::open(file.clone(), 1).unwrap();
        first.add(outcome("a", true, 1)).unwrap();
        first.add(outcome("b", false, 1)).unwrap();

        let second = Results::open(file.clone(), 1).unwrap();
        assert_eq!(second.good("a"), Some(&outcome("a", true, 1)));
        assert_eq!(second.good("b"), None);
        assert_eq!(Results::open(file, 2).unwrap().good("a"), None);
    }

    #[test]
    fn a_line_that_was_half_written_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results");
        let mut first = Results::open(Some(file.clone()), 1).unwrap();
        first.add(outcome("a", true, 1)).unwrap();
        let whole = fs::read_to_string(&file).unwrap();
        fs::write(&file, [whole.as_str(), whole.get(..9).unwrap()].concat()).unwrap();
        assert!(Results::open(Some(file), 1).unwrap().good("a").is_some());
    }

    #[test]
    fn the_table_has_the_last_outcome_of_each() {
        let mut results = Results::default();
        results.add(outcome("a", false, 1)).unwrap();
        results.add(outcome("a", true, 1)).unwrap();
        let table = results.table(["a", "b"].into_iter());
        assert!(table.ends_with("|---|\n| a | yes | 7 | a test |\n"), "{table}");
    }
}
