//! Shows that the tests and the simulator's checkers bite: puts a fault into a copy of the code, and
//! requires that a test of the copy fails, or that a seed of the simulator built from it does.
//!
//! `mutations.toml` lists the faults. A fault that nothing notices is a failure, and so is one whose
//! text is no longer in the code exactly once.

mod bench;
mod cargo;
mod catalogue;
mod results;
mod running;
mod simulator;
mod switched;
mod tests_of_copy;
mod verdict;
mod workspace;

use std::io;
use std::path::PathBuf;

pub use bench::Bench;
pub use cargo::CompileError;
pub use catalogue::{Mutation, parse};
pub use results::{Outcome, Results};
pub use simulator::RUN_TIME_MAX;
pub use tests_of_copy::{Stages, TEST_TIME_MAX};
pub use verdict::{Verdict, noticed};
pub use workspace::Workspace;

/// Why a mutation could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum MutationError {
    /// The catalogue, or what it relies on, is malformed.
    #[error("{why}")]
    Catalogue {
        /// What is wrong.
        why: String,
    },
    /// The text to change is not there exactly once.
    #[error("{name}: the text to change occurs {found} times in {file}, not once")]
    Occurrences {
        /// The mutation.
        name: String,
        /// The file.
        file: String,
        /// How often the text occurs.
        found: usize,
    },
    /// A file or a program.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The copy does not build.
    #[error("the copy does not build:\n{output}")]
    Build {
        /// Where its errors are.
        errors: Vec<CompileError>,
        /// The compiler's last lines.
        output: String,
    },
    /// The copy fails without a mutation, which says nothing of any.
    #[error("the copy fails as it is, by {by}")]
    Unclean {
        /// A test or a seed.
        by: String,
    },
    /// The simulator said something that is not understood.
    #[error("the simulator ended with success: {success}, and said:\n{text}")]
    Output {
        /// Whether it ended with success.
        success: bool,
        /// What it said.
        text: String,
    },
}
