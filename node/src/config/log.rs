//! The part `[log]` of node.toml.

use serde::Deserialize;

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogConfig {
    /// The least important messages that are logged.
    pub level: LogLevel,
    /// How they are written.
    pub format: LogFormat,
}

/// Importance of a message, the most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What needs someone to act.
    Error,
    /// What was unexpected, and dealt with.
    Warn,
    /// Starts, stops, view changes, connections.
    #[default]
    Info,
    /// Each decision.
    Debug,
    /// Each message.
    Trace,
}

impl LogLevel {
    /// Its name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How log messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object in each line.
    Json,
}
