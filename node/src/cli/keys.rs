//! `daruma keys`: key files.

use std::path::PathBuf;

use clap::Subcommand;
use daruma_node::keys::{KeyError, SecretSeed};
use serde_json::json;

use super::{CliError, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Arguments {
    /// Make a key and write its secret to a new file that only you can read.
    New {
        /// The file to make.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the public key that belongs to a key file.
    Show {
        /// The key file.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Arguments {
    pub(crate) fn execute(self) -> Result<(), CliError> {
        let (key, file, json) = match self {
            Self::New { out, json } => {
                let key = SecretSeed::generate().map_err(CliError::failed)?;
                key.write_new(&out).map_err(as_cli_error)?;
                (key, out, json)
            }
            Self::Show { file, json } => {
                (SecretSeed::read(&file).map_err(as_cli_error)?, file, json)
            }
        };
        let public = key.public_key().to_hex();
        if json {
            output::json(&json!({ "publicKey": public, "file": file }));
        } else {
            output::line(public);
        }
        Ok(())
    }
}

pub(crate) fn as_cli_error(error: KeyError) -> CliError {
    match error {
        KeyError::Write { .. } | KeyError::Random(_) => CliError::failed(error),
        KeyError::Read { .. }
        | KeyError::Permissions { .. }
        | KeyError::Form { .. }
        | KeyError::Exists { .. } => CliError::bad_input(error),
    }
}
