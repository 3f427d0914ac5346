//! How a command ends when it does not succeed.

use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what it was asked to: one line for people.
#[derive(Debug)]
pub(crate) enum CliError {
    /// It was tried and did not work.
    Failed(String),
    /// What was asked for makes no sense.
    BadInput(String),
    /// It did not work, and the output says how already.
    Told,
}

impl CliError {
    pub(crate) fn failed(why: impl fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }

    pub(crate) fn bad_input(why: impl fmt::Display) -> Self {
        Self::BadInput(why.to_string())
    }

    /// Whether there is nothing left to say.
    pub(crate) const fn is_silent(&self) -> bool {
        matches!(self, Self::Told)
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(_) | Self::Told => ExitCode::from(1),
            Self::BadInput(_) => ExitCode::from(2),
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) | Self::BadInput(why) => f.write_str(why.trim_end()),
            Self::Told => Ok(()),
        }
    }
}

/// An error with all of its causes, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some messages quote their cause already.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
