//! The part `[snapshots]` of node.toml; `docs/state-sync.md` says what it is about.

use serde::Deserialize;

use super::{ConfigError, range};

/// The largest `keep`: each is as large as the state.
pub const KEEP_MAX: usize = 64;

/// Blocks below the lowest snapshot that are kept if the file does not say: a replica that was away for a
/// while gets these instead of the whole state.
pub const PRUNE_MARGIN_DEFAULT: u64 = 10_000;

/// Snapshots of the state, and what is removed because of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotConfig {
    /// One is made each so many blocks; 0, the default, makes none.
    pub every: u64,
    /// The last so many are kept: 1 to [`KEEP_MAX`], default 2.
    pub keep: usize,
    /// Whether the bodies of old blocks are removed. By default everything is kept.
    pub prune: bool,
    /// So many blocks below the lowest snapshot are kept all the same; default
    /// [`PRUNE_MARGIN_DEFAULT`].
    pub prune_margin: u64,
}

impl Default for SnapshotConfig {
    fn default() -> Self {
        Self { every: 0, keep: 2, prune: false, prune_margin: PRUNE_MARGIN_DEFAULT }
    }
}

impl SnapshotConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        range("snapshots.keep", self.keep, 1, KEEP_MAX)
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSnapshots {
    every: Option<u64>,
    keep: Option<usize>,
    prune: Option<bool>,
    prune_margin: Option<u64>,
}

impl From<FileSnapshots> for SnapshotConfig {
    fn from(file: FileSnapshots) -> Self {
        let default = Self::default();
        Self {
            every: file.every.unwrap_or(default.every),
            keep: file.keep.unwrap_or(default.keep),
            prune: file.prune.unwrap_or(default.prune),
            prune_margin: file.prune_margin.unwrap_or(default.prune_margin),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::NodeConfig;

    const LEAST: &str = "name = \"r1\"\ndata_dir = \"data\"\nkey_file = \"a.key\"\n\
                         transport_key_file = \"b.key\"\n";

    fn parse(part: &str) -> Result<Option<SnapshotConfig>, ConfigError> {
        NodeConfig::parse(&format!("{LEAST}{part}"), Path::new("")).map(|config| config.snapshots)
    }

    #[test]
    fn nothing_is_made_or_removed_unless_the_file_says_so() {
        assert_eq!(parse("").unwrap(), None);
        let default = SnapshotConfig::default();
        assert_eq!(parse("[snapshots]\n").unwrap(), Some(default));
        assert!(default.every == 0 && !default.prune);
        let said = parse("[snapshots]\nevery = 500\nkeep = 3\nprune = true\nprune_margin = 0\n");
        let expected = SnapshotConfig { every: 500, keep: 3, prune: true, prune_margin: 0 };
        assert_eq!(said.unwrap(), Some(expected));
    }

    #[test]
    fn a_number_of_snapshots_that_is_none_or_fills_a_disk_is_refused_and_says_what_is_allowed() {
        for keep in [0, KEEP_MAX + 1] {
            let refused = parse(&format!("[snapshots]\nkeep = {keep}\n")).unwrap_err();
            assert_eq!(
                refused.to_string(),
                format!("snapshots.keep: found {keep}; allowed: 1 to 64")
            );
        }
        assert!(parse("[snapshots]\nevry = 1\n").is_err());
    }
}
