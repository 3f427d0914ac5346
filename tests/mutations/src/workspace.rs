//! A copy of what the simulator is built from, to be changed and built apart from the original.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Mutation, MutationError};

/// The crates that the simulator and the tests are made of. A path that is missing here fails the build
/// of the unchanged copy, which comes first.
const CRATES: [&str; 9] = [
    "automata/api",
    "automata/append-list",
    "ledger",
    "ledger/store",
    "ledger/types",
    "node/engine",
    "tests/adversary",
    "tests/conversations",
    "tests/simulator",
];

/// The copy.
#[derive(Debug)]
pub struct Workspace {
    original: PathBuf,
    copy: PathBuf,
}

impl Workspace {
    /// Copies the crates of the workspace at `original` to `copy`, in place of what was there.
    ///
    /// # Errors
    /// [`MutationError::Io`], or [`MutationError::Catalogue`] if the root manifest has no list of
    /// members.
    pub fn copy(original: &Path, copy: &Path) -> Result<Self, MutationError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| MutationError::Io { path, source }
        };
        fs::create_dir_all(copy).map_err(io(copy))?;
        for name in CRATES {
            copy_crate(&original.join(name), &copy.join(name)).map_err(io(&original.join(name)))?;
        }
        let lock = original.join("Cargo.lock");
        update(&copy.join("Cargo.lock"), &fs::read(&lock).map_err(io(&lock))?)
            .map_err(io(&lock))?;
        let manifest = original.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).map_err(io(&manifest))?;
        let text = with_members(&text).ok_or_else(|| MutationError::Catalogue {
            why: format!("{} has no list of members", manifest.display()),
        })?;
        update(&copy.join("Cargo.toml"), text.as_bytes()).map_err(io(&manifest))?;
        Ok(Self { original: original.to_owned(), copy: copy.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.copy
    }

    /// Makes the change in the copy.
    ///
    /// # Errors
    /// See [`Mutation::apply`]; or the file cannot be read or written.
    pub fn apply(&self, mutation: &Mutation) -> Result<(), MutationError> {
        let text = self.read(mutation)?;
        self.write(mutation, &mutation.apply(&text)?)
    }

    /// Undoes the change.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn restore(&self, mutation: &Mutation) -> Result<(), MutationError> {
        let text = self.read(mutation)?;
        self.write(mutation, &text)
    }

    fn read(&self, mutation: &Mutation) -> Result<String, MutationError> {
        let path = self.original.join(&mutation.file);
        fs::read_to_string(&path).map_err(|source| MutationError::Io { path, source })
    }

    fn write(&self, mutation: &Mutation, text: &str) -> Result<(), MutationError> {
        let path = self.copy.join(&mutation.file);
        fs::write(&path, text).map_err(|source| MutationError::Io { path, source })
    }
}

/// Copies manifest and sources of one crate; files that are there already and equal stay untouched,
/// so that they are not built again.
fn copy_crate(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    update(&to.join("Cargo.toml"), &fs::read(from.join("Cargo.toml"))?)?;
    // A manifest may name tests and examples; they must be there, though they are not built.
    for folder in ["src", "tests", "examples", "benches", "files"] {
        if from.join(folder).is_dir() {
            copy_folder(&from.join(folder), &to.join(folder))?;
        }
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !from.join(entry.file_name()).exists() {
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            update(&target, &fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

fn update(path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    fs::write(path, content)
}

/// The root manifest with the crates of the copy as its members.
fn with_members(manifest: &str) -> Option<String> {
    let begin = manifest.find("members = [")?;
    let end = begin + manifest.get(begin..)?.find(']')?;
    let list: Vec<String> = CRATES.iter().map(|name| format!("{name:?}")).collect();
    let members = format!("members = [{}", list.join(", "));
    Some([manifest.get(..begin)?, &members, manifest.get(end..)?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_has_the_simulators_crates_only() {
        let manifest =
            "[workspace]\nresolver = \"3\"\nmembers = [\n \"a\",\n]\n[profile.release]\n";
        let text = with_members(manifest).unwrap();
        assert!(text.starts_with("[workspace]\nresolver = \"3\"\nmembers = [\"automata/api\""));
        assert!(text.ends_with("\"tests/simulator\"]\n[profile.release]\n"));
        assert!(!text.contains("\"a\""));
    }

    #[test]
    fn a_change_is_made_in_the_copy_and_undone_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = tempfile::tempdir().unwrap();
        let copy = Workspace::copy(&root, folder.path()).unwrap();
        let mutation = Mutation {
            name: "none".into(),
            why: "a test".into(),
            file: "ledger/types/src/lib.rs".into(),
            find: "#![no_std]".into(),
            replace: "".into(),
            seeds: 0,
            expect: Vec::new(),
            arguments: Vec::new(),
            slice: false,
        };
        let original = std::fs::read_to_string(root.join(&mutation.file)).unwrap();
        let copied = || std::fs::read_to_string(copy.path().join(&mutation.file)).unwrap();
        assert_eq!(copied(), original);
        copy.apply(&mutation).unwrap();
        assert!(!copied().contains("#![no_std]"));
        copy.restore(&mutation).unwrap();
        assert_eq!(copied(), original);
    }
}
