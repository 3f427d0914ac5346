//! What the tests, or a search, came to.

use core::fmt;

use crate::Mutation;

/// What the tests, or a search, came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No test failed, or no run broke a rule.
    Holds,
    /// A run broke one.
    Broken {
        /// Its seed.
        seed: u64,
        /// The line that says which rule.
        rule: String,
    },
    /// A test failed.
    Test {
        /// The program of tests and the test's name.
        name: String,
    },
    /// A program did not come to an end in the time that it may take.
    Hangs {
        /// Which.
        program: String,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("nothing"),
            Self::Broken { seed, rule } => write!(f, "seed {seed}: {rule}"),
            Self::Test { name } => f.write_str(name),
            Self::Hangs { program } => write!(f, "{program} does not come to an end"),
        }
    }
}

/// Whether `verdict` is what `mutation` must come to: a failed test, or a broken rule of those that are
/// expected.
#[must_use]
pub fn noticed(mutation: &Mutation, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Holds => false,
        Verdict::Hangs { .. } | Verdict::Test { .. } => true,
        Verdict::Broken { rule, .. } => {
            mutation.expect.iter().any(|name| rule.starts_with(name.as_str()))
        }
    }
}
