//! The node.toml that a command is given.

use std::error::Error;
use std::path::Path;

use daruma_node::NodeConfig;

use super::CliError;
use super::error::with_causes;

/// Reads a node.toml.
pub(crate) fn read(path: &Path) -> Result<NodeConfig, CliError> {
    NodeConfig::read(path).map_err(|error| refused(path, &error))
}

/// What is wrong with a node.toml, with its name.
pub(crate) fn refused(path: &Path, error: &dyn Error) -> CliError {
    CliError::bad_input(format!("{}: {}", path.display(), with_causes(error)))
}
