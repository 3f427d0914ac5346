//! Reads the workspace as cargo and git see it, so that tests can hold it to its rules.

pub mod invariants;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// The crates of this workspace: for each, what it depends on outside of tests.
pub type Dependencies = BTreeMap<String, BTreeSet<String>>;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

/// The folder of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    // Asked when it runs: a test built in one checkout and found unchanged in another must look at the
    // other.
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    let here = here.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.ancestors().nth(2).map_or_else(|| here.clone(), Path::to_owned)
}

/// What each crate of the workspace depends on, build and test dependencies left out.
///
/// # Panics
/// If cargo cannot be run or answers something else than its metadata.
#[must_use]
pub fn dependencies() -> Dependencies {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output();
    #[expect(clippy::unwrap_used, reason = "without metadata there is nothing to hold to rules")]
    let metadata: Metadata = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let normal = |package: &Package| {
        let dependencies = package.dependencies.iter().filter(|d| d.kind.is_none());
        dependencies.map(|d| d.name.clone()).collect()
    };
    metadata.packages.iter().map(|package| (package.name.clone(), normal(package))).collect()
}

/// Our Rust files with their contents.
///
/// # Panics
/// If a file of the tree cannot be read.
#[must_use]
pub fn sources() -> Vec<(PathBuf, String)> {
    let mut sources = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        #[expect(clippy::unwrap_used, reason = "the tree that is being built can be read")]
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && name != ".git" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                sources.push((path, text));
            }
        }
    }
    sources
}
