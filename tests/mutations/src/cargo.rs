//! Building in a copy.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::MutationError;
use crate::workspace::PROFILE_NAME;

/// A program that cargo built.
#[derive(Debug)]
pub(crate) struct Built {
    /// Where it is.
    pub(crate) program: PathBuf,
    /// The folder of its crate, where cargo would run its tests.
    pub(crate) folder: PathBuf,
    /// The name of the crate, or of the file of tests.
    pub(crate) name: String,
    /// Nothing that it is made of has changed since it was built last.
    pub(crate) fresh: bool,
}

/// The fields that are used here of a line that cargo prints.
#[derive(Deserialize)]
struct Line {
    reason: String,
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    #[serde(default)]
    fresh: bool,
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
        .args([command, "--profile", PROFILE_NAME, "--offline", "--message-format=json"])
        .args(others)
        .current_dir(path)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .map_err(|source| MutationError::Io { path: path.to_owned(), source })?;
    if !output.status.success() {
        let errors = rendered(&String::from_utf8_lossy(&output.stdout));
        let text = [errors, String::from_utf8_lossy(&output.stderr).into_owned()].concat();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(40)).copied();
        return Err(MutationError::Build { output: last.collect::<Vec<_>>().join("\n") });
    }
    Ok(built(&String::from_utf8_lossy(&output.stdout)))
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
                fresh: line.fresh,
            })
        })
        .collect()
}

/// The compiler's errors among them.
fn rendered(text: &str) -> String {
    let lines =
        text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let messages = lines.filter(|line| line["message"]["level"] == "error");
    messages.filter_map(|line| Some(line["message"]["rendered"].as_str()?.to_owned())).collect()
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
        let Built { program, folder, name, fresh } = door;
        assert_eq!((program, folder), (PathBuf::from("/t/door-1"), PathBuf::from("/w/e")));
        assert_eq!((name.as_str(), fresh), ("door", true));
    }

    #[test]
    fn errors_of_the_compiler_are_read_from_what_cargo_says() {
        let text = r#"{"reason":"compiler-message","message":{"level":"error","rendered":"error: no\n"}}
{"reason":"compiler-message","message":{"level":"warning","rendered":"warning: oh\n"}}
"#;
        assert_eq!(rendered(text), "error: no\n");
    }
}
