//! Running the tests of a copy.

use std::path::Path;
use std::time::Duration;

use crate::cargo::cargo;
use crate::running::{End, running};
use crate::{MutationError, Verdict};

/// Time that one program of tests may take. The longest takes half a minute on a slow machine.
pub const TEST_TIME_MAX: Duration = Duration::from_secs(300);

/// The stages of the tests, each built and run only if the one before noticed nothing: the tests beside
/// the rules, those of the protocol's crates from outside, then whole networks. Without RocksDB, which
/// would take minutes to build: the store in memory has the same rules.
///
/// The first two stages name the same crates and so share what is built, as do the last two.
pub const STAGES: [&[&str]; 4] = [
    &[
        "--package=daruma-types",
        "--package=daruma-store",
        "--package=daruma-ledger",
        "--package=daruma-engine",
        "--features=daruma-engine/laboratory",
        "--lib",
    ],
    &[
        "--package=daruma-types",
        "--package=daruma-store",
        "--package=daruma-ledger",
        "--package=daruma-engine",
        "--features=daruma-engine/laboratory",
        "--test=*",
    ],
    &[
        "--package=daruma-adversary",
        "--package=daruma-catalogue",
        "--package=daruma-conversations",
        "--package=daruma-simulator",
        "--lib",
        "--test=golden",
    ],
    &[
        "--package=daruma-adversary",
        "--package=daruma-catalogue",
        "--package=daruma-conversations",
        "--package=daruma-simulator",
        "--test=*",
    ],
];

/// Which of the programs of tests are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those that were built anew: the others do not contain what was changed last.
    Changed,
}

/// Runs the tests of the workspace at `path`, built below `target`, until one fails.
///
/// # Errors
/// [`MutationError::Build`] if the copy does not compile: then the mutation is none.
pub fn test(path: &Path, target: &Path, which: Which) -> Result<Verdict, MutationError> {
    for stage in STAGES {
        let arguments = [&["test", "--no-run", "--no-default-features"], stage].concat();
        for built in cargo(path, target, &arguments)? {
            if which == Which::Changed && built.fresh {
                continue;
            }
            let stop = |line: &str| failed(line).is_some();
            match running(&built.program, &built.folder, &[], TEST_TIME_MAX, stop)? {
                End::Itself(true, _) => {}
                End::Itself(false, text) => {
                    let last = text.lines().next_back().unwrap_or("it said nothing");
                    let name = format!("{}: ended in the middle: {last}", built.name);
                    return Ok(Verdict::Test { name });
                }
                End::Line(line) => {
                    let name = format!("{}: {}", built.name, failed(&line).unwrap_or(&line));
                    return Ok(Verdict::Test { name });
                }
                End::Late => return Ok(Verdict::Hangs { program: built.name }),
            }
        }
    }
    Ok(Verdict::Holds)
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
}
