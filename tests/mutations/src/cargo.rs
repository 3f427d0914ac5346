//! Building in a copy.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::MutationError;

/// A program that cargo built.
#[derive(Debug)]
pub(crate) struct Built {
    /// Where it is.
    pub(crate) program: PathBuf,
    /// The folder of its crate, where cargo would run its tests.
    pub(crate) folder: PathBuf,
    /// The name of the crate, or of the file of tests.
    pub(crate) name: String,
}

/// The fields that are used here of a line that cargo prints.
#[derive(Deserialize)]
struct Line {
    reason: String,
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Runs cargo in the workspace at `path` with `arguments`, building below `target`.
///
/// # Errors
/// [`MutationError::Build`] with the compiler's last lines.
pub(crate) fn cargo(
    path: &Path,
    target: &Path,
    arguments: &[&str],
) -> Result<Vec<Built>, MutationError> {
    let (command, others) = arguments.split_first().unwrap_or((&"build", &[]));
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([command, "--release", "--offline", "--message-format=json"])
        .args(others)
        .current_dir(path)
        .env("CARGO_TARGET_DIR", target)
        // Everything is built once.
        .env("CARGO_INCREMENTAL", "0")
        .output()
        .map_err(|source| MutationError::Io { path: path.to_owned(), source })?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let (errors, rendered) = errors(&stdout);
        let text = [rendered, String::from_utf8_lossy(&output.stderr).into_owned()].concat();
        let lines: Vec<&str> = text.lines().take(ERROR_LINES_MAX).collect();
        return Err(MutationError::Build { errors, output: lines.join("\n") });
    }
    Ok(built(&stdout))
}

/// Lines of the compiler that are told.
const ERROR_LINES_MAX: usize = 60;

/// Where in the copy an error of the compiler is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    /// The file, from the root of the copy.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

/// The programs among the lines that cargo printed.
fn built(text: &str) -> Vec<Built> {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines
        .filter(|line| line.reason == "compiler-artifact")
        .filter_map(|line| {
            Some(Built {
                program: line.executable?,
                folder: line.manifest_path?.parent()?.to_owned(),
                name: line.target?.name,
            })
        })
        .collect()
}

/// The compiler's errors among them, and what it said of them.
fn errors(text: &str) -> (Vec<CompileError>, String) {
    let lines =
        text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let messages: Vec<_> = lines.filter(|line| line["message"]["level"] == "error").collect();
    let spans = messages.iter().filter_map(|line| line["message"]["spans"].as_array()).flatten();
    let places = spans.filter_map(|span| {
        let line = usize::try_from(span["line_start"].as_u64()?).ok()?;
        Some(CompileError { file: span["file_name"].as_str()?.to_owned(), line })
    });
    let rendered = messages.iter().filter_map(|line| line["message"]["rendered"].as_str());
    (places.collect(), rendered.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_from_what_cargo_says() {
        let text = r#"{"reason":"compiler-artifact","manifest_path":"/w/e/Cargo.toml","target":{"name":"door"},"executable":"/t/door-1","fresh":true}
{"reason":"compiler-artifact","manifest_path":"/w/t/Cargo.toml","target":{"name":"types"},"executable":null,"fresh":false}
{"reason":"build-finished","success":true}
"#;
        let [door] = built(text).try_into().unwrap();
        let Built { program, folder, name } = door;
        assert_eq!((program, folder), (PathBuf::from("/t/door-1"), PathBuf::from("/w/e")));
        assert_eq!(name, "door");
    }

    #[test]
    fn errors_of_the_compiler_are_read_from_what_cargo_says() {
        let text = r#"{"reason":"compiler-message","message":{"level":"error","rendered":"error: no\n","spans":[{"file_name":"a/src/lib.rs","line_start":7}]}}
{"reason":"compiler-message","message":{"level":"warning","rendered":"warning: oh\n","spans":[]}}
"#;
        let place = CompileError { file: "a/src/lib.rs".to_owned(), line: 7 };
        assert_eq!(errors(text), (vec![place], "error: no\n".to_owned()));
    }
}
