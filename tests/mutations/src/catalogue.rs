//! The mutations, as data.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::MutationError;

/// A change of the code that some checker must notice.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutation {
    /// Its name.
    pub name: String,
    /// What goes wrong with it.
    pub why: String,
    /// The file, from the root of the workspace.
    pub file: String,
    /// The text that is replaced; it must occur exactly once.
    pub find: String,
    /// What it becomes.
    pub replace: String,
    /// Seeds of the simulator within which it must be noticed; none if the tests notice it.
    #[serde(default)]
    pub seeds: u64,
    /// Names of the invariants of which one must break in the simulator.
    #[serde(default)]
    pub expect: Vec<String>,
    /// Further arguments of the simulator, to bring about what the mutation needs to be seen.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Whether it is tried with every change of the code. The others are a command of their own.
    #[serde(default)]
    pub slice: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    mutation: Vec<Mutation>,
}

impl Mutation {
    /// The text of the file with the change made.
    ///
    /// # Errors
    /// [`MutationError::Occurrences`] if the text to change is not there exactly once.
    pub fn apply(&self, text: &str) -> Result<String, MutationError> {
        match text.matches(&self.find).count() {
            1 => Ok(text.replacen(&self.find, &self.replace, 1)),
            found => Err(MutationError::Occurrences {
                name: self.name.clone(),
                file: self.file.clone(),
                found,
            }),
        }
    }
}

/// Reads a catalogue.
///
/// # Errors
/// [`MutationError::Catalogue`] if it is malformed or two entries have one name.
pub fn parse(text: &str) -> Result<Vec<Mutation>, MutationError> {
    let wrong = |why: String| MutationError::Catalogue { why };
    let Catalogue { mutation } = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let mut names = BTreeSet::new();
    for Mutation { name, seeds, expect, .. } in &mutation {
        if !names.insert(name.clone()) {
            return Err(wrong(format!("two mutations are called {name}")));
        }
        if (*seeds > 0) == expect.is_empty() {
            return Err(wrong(format!("{name}: seeds and expect go together")));
        }
    }
    Ok(mutation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn catalogue() -> Vec<Mutation> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        parse(&std::fs::read_to_string(root.join("mutations.toml")).unwrap()).unwrap()
    }

    #[test]
    fn every_mutation_of_the_catalogue_applies_to_the_code_as_it_is() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for mutation in catalogue() {
            let text = std::fs::read_to_string(root.join(&mutation.file)).unwrap();
            let mutated = mutation.apply(&text).unwrap();
            assert_ne!(text, mutated, "{}", mutation.name);
        }
    }

    #[test]
    fn a_text_that_is_missing_or_there_twice_is_refused() {
        let mutation = catalogue().remove(0);
        let twice = format!("{0}\n{0}", mutation.find);
        for (text, found) in [("", 0), (twice.as_str(), 2)] {
            let error = mutation.apply(text).unwrap_err();
            assert!(matches!(error, MutationError::Occurrences { found: f, .. } if f == found));
        }
    }
}
