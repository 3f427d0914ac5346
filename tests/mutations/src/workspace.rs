//! A copy of what the simulator is built from, to be changed and built apart from the original.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use crate::cargo::CompileError;
use crate::switched::{IS_ON, mutation_at, switched};
use crate::{Mutation, MutationError};

/// The crates that the simulator and the tests are made of. A path that is missing here fails the build
/// of the unchanged copy, which comes first.
const CRATES: [&str; 10] = [
    "automata/api",
    "automata/append-list",
    "ledger",
    "ledger/store",
    "ledger/types",
    "node/engine",
    "tests/adversary",
    "tests/catalogue",
    "tests/conversations",
    "tests/simulator",
];

/// The copy.
#[derive(Debug)]
pub struct Workspace {
    copy: PathBuf,
    sources: u64,
    /// Files of the copy that were changed, as they were.
    pristine: BTreeMap<String, String>,
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
        let mut hasher = DefaultHasher::new();
        for name in CRATES {
            copy_crate(&original.join(name), &copy.join(name), &mut hasher)
                .map_err(io(&original.join(name)))?;
        }
        let lock = original.join("Cargo.lock");
        update(&copy.join("Cargo.lock"), &fs::read(&lock).map_err(io(&lock))?, &mut hasher)
            .map_err(io(&lock))?;
        let manifest = original.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).map_err(io(&manifest))?;
        let text = with_members(&text).ok_or_else(|| MutationError::Catalogue {
            why: format!("{} has no list of members", manifest.display()),
        })?;
        update(&copy.join("Cargo.toml"), text.as_bytes(), &mut hasher).map_err(io(&manifest))?;
        let (copy, pristine) = (copy.to_owned(), BTreeMap::new());
        Ok(Self { copy, sources: hasher.finish(), pristine })
    }

    /// A number that is another one if any file of the copy is, as it was made. To tell whether a verdict
    /// of an earlier run was about the same code.
    #[must_use]
    pub fn sources(&self) -> u64 {
        self.sources
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.copy
    }

    /// Puts `mutations`, each under its number, into the copy, to be switched on when a program runs.
    /// Gives the names of those that cannot be put in. Those of a `const fn` can only if `constants`.
    ///
    /// The original is not read again: it may be edited while a long check runs.
    ///
    /// # Errors
    /// A file of the copy cannot be read or written, or a mutation's text is not there exactly once.
    pub(crate) fn switch(
        &mut self,
        mutations: &[(u32, &Mutation)],
        constants: bool,
    ) -> Result<Vec<String>, MutationError> {
        let mut files: BTreeMap<&str, Vec<(u32, &Mutation)>> = BTreeMap::new();
        let mut libraries = BTreeSet::new();
        for (number, mutation) in mutations {
            files.entry(&mutation.file).or_default().push((*number, *mutation));
            libraries.insert(library(&mutation.file));
        }
        let mut left = Vec::new();
        let touched: BTreeSet<String> =
            files.keys().map(|file| (*file).to_owned()).chain(libraries.iter().cloned()).collect();
        for file in touched {
            let pristine = self.pristine(&file)?;
            let of_file = files.get(file.as_str()).map_or(&[][..], Vec::as_slice);
            for (_, mutation) in of_file {
                let _applies = mutation.apply(&pristine)?;
            }
            let (mut text, without) = switched(&pristine, of_file, constants);
            left.extend(without);
            if libraries.contains(&file) {
                text.push_str(IS_ON);
            }
            self.write(&file, &text)?;
        }
        Ok(left)
    }

    /// The name of the mutation in the code that an error of the compiler is about.
    pub(crate) fn blamed(&self, error: &CompileError) -> Option<String> {
        let text = fs::read_to_string(self.copy.join(&error.file)).ok()?;
        mutation_at(&text, error.line).map(str::to_owned)
    }

    /// Makes one change in the copy for good, runs `judge`, and undoes it.
    ///
    /// # Errors
    /// See [`Mutation::apply`]; or the file cannot be read or written; or what `judge` gives.
    pub(crate) fn with<T>(
        &mut self,
        mutation: &Mutation,
        judge: impl FnOnce(&Path) -> Result<T, MutationError>,
    ) -> Result<T, MutationError> {
        let mut changed = mutation.apply(&self.pristine(&mutation.file)?)?;
        let before = self.read(&mutation.file)?;
        if before.ends_with(IS_ON) {
            changed.push_str(IS_ON);
        }
        self.write(&mutation.file, &changed)?;
        let judged = judge(&self.copy);
        self.write(&mutation.file, &before)?;
        judged
    }

    /// A file of the copy as it was at first.
    fn pristine(&mut self, file: &str) -> Result<String, MutationError> {
        if let Some(text) = self.pristine.get(file) {
            return Ok(text.clone());
        }
        let text = self.read(file)?;
        self.pristine.insert(file.to_owned(), text.clone());
        Ok(text)
    }

    fn read(&self, file: &str) -> Result<String, MutationError> {
        let path = self.copy.join(file);
        fs::read_to_string(&path).map_err(|source| MutationError::Io { path, source })
    }

    fn write(&self, file: &str, text: &str) -> Result<(), MutationError> {
        let path = self.copy.join(file);
        update(&path, text.as_bytes(), &mut DefaultHasher::new())
            .map_err(|source| MutationError::Io { path, source })
    }
}

/// The `lib.rs` of the crate that `file` is in.
fn library(file: &str) -> String {
    let folder = file.split_once("/src/").map_or(file, |(folder, _)| folder);
    format!("{folder}/src/lib.rs")
}

/// Copies manifest and sources of one crate; files that are there already and equal stay untouched,
/// so that they are not built again.
fn copy_crate(from: &Path, to: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
    update(&to.join("Cargo.toml"), without_self(&manifest).as_bytes(), hasher)?;
    // A manifest may name tests and examples; they must be there, though they are not built.
    for folder in ["src", "tests", "examples", "benches", "files"] {
        if from.join(folder).is_dir() {
            copy_folder(&from.join(folder), &to.join(folder), hasher)?;
        }
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
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
    let mut entries = fs::read_dir(from)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target, hasher)?;
        } else {
            update(&target, &fs::read(entry.path())?, hasher)?;
        }
    }
    Ok(())
}

fn update(path: &Path, content: &[u8], hasher: &mut DefaultHasher) -> io::Result<()> {
    (path, content).hash(hasher);
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    fs::write(path, content)
}

/// A crate's manifest without the crate's dependency on itself, by which its own tests get a feature: the
/// feature is asked for in the command here, so that a change is compiled once, not twice.
fn without_self(manifest: &str) -> String {
    let lines = manifest.lines().filter(|line| !line.contains("{ path = \".\","));
    lines.flat_map(|line| [line, "\n"]).collect()
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
    fn a_crate_of_the_copy_does_not_depend_on_itself() {
        let manifest = "[dependencies]\na.workspace = true\n[dev-dependencies]\n\
                        e = { path = \".\", features = [\"x\"] }\nb.workspace = true\n";
        let text = "[dependencies]\na.workspace = true\n[dev-dependencies]\nb.workspace = true\n";
        assert_eq!(without_self(manifest), text);
    }

    #[test]
    fn a_change_is_made_in_the_copy_and_undone_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = tempfile::tempdir().unwrap();
        let mut copy = Workspace::copy(&root, folder.path()).unwrap();
        let path = copy.path().to_owned();
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
        let copied = || std::fs::read_to_string(path.join(&mutation.file)).unwrap();
        assert_eq!(copied(), original);
        let changed = copy.with(&mutation, |_| Ok(copied())).unwrap();
        assert!(!changed.contains("#![no_std]"));
        assert_eq!(copied(), original);
    }
}
