//! The kept inputs: one folder for each target, and one for what once broke a property.

use std::io;
use std::path::PathBuf;

/// The folder of a target's corpus.
#[must_use]
pub fn folder(target: &str) -> PathBuf {
    // Asked when it runs, as a test may be built in another checkout.
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    let here = here.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.join("corpora").join(target)
}

/// A target's inputs with their names, in order of name.
///
/// # Errors
/// What the system said.
pub fn load(target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(folder(target))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        inputs.push((name, std::fs::read(entry.path())?));
    }
    inputs.sort_unstable();
    Ok(inputs)
}
