//! Running the tests of a copy.

use std::path::Path;
use std::process::Command;

use crate::{MutationError, Verdict};

/// The crates whose tests are run, those of the protocol's rules first: cargo stops at the first that
/// fails. Without RocksDB, which would take minutes to build: the store in memory has the same rules.
pub const TESTED: [&str; 5] =
    ["daruma-types", "daruma-store", "daruma-engine", "daruma-conversations", "daruma-simulator"];

/// Runs the tests of the workspace at `path`, built below `target`.
///
/// # Errors
/// [`MutationError::Build`] if the copy does not compile: then the mutation is none.
pub fn test(path: &Path, target: &Path) -> Result<Verdict, MutationError> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--release", "--offline", "--no-default-features"]);
    for name in TESTED {
        command.args(["--package", name]);
    }
    let output = command
        .current_dir(path)
        .env("CARGO_TARGET_DIR", target)
        .env("RUST_BACKTRACE", "0")
        .output()
        .map_err(|source| MutationError::Io { path: path.to_owned(), source })?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("could not compile") {
        let lines: Vec<&str> = errors.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(30)).copied();
        return Err(MutationError::Build { output: last.collect::<Vec<_>>().join("\n") });
    }
    if output.status.success() {
        return Ok(Verdict::Holds);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let name = failed(&text).unwrap_or_else(|| output.status.to_string());
    Ok(Verdict::Test { name })
}

/// Reads the first `test NAME ... FAILED`.
fn failed(text: &str) -> Option<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("test "));
    let mut failed = lines.filter_map(|line| line.strip_suffix(" ... FAILED"));
    failed.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failing_test_is_read_from_the_output() {
        let text = "running 2 tests\ntest a::holds ... ok\ntest b::breaks ... FAILED\n";
        assert_eq!(failed(text), Some("b::breaks".to_owned()));
        assert_eq!(failed("test a::holds ... ok\n"), None);
    }
}
