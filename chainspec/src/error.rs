//! Why a chainspec is refused.

use daruma_types::ThresholdsError;

use crate::limits;

/// Why a text or a draft is no chainspec. Each message names the field, what was found there and what
/// is allowed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// The text is longer than any chainspec needs.
    #[error("the file has {0} bytes; at most {max} are read", max = limits::FILE_BYTES_MAX)]
    FileTooLong(usize),
    /// The text is not TOML, or a field is unknown, missing, repeated or of the wrong type.
    #[error("{0}")]
    Syntax(#[source] Box<toml::de::Error>),
    /// A value that is not allowed.
    #[error("{field}: found {found}; allowed: {allowed}")]
    Field {
        /// The field, with its path in the file.
        field: String,
        /// What was found.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// Two fields that must differ are equal.
    #[error("{second}: {value:?} is {first} already; it must be another")]
    Duplicate {
        /// The field that has the value first.
        first: String,
        /// The field that has it again.
        second: String,
        /// The value.
        value: String,
    },
    /// `faulty` and the number of replicas do not go together.
    #[error("faulty, replicas: {0}")]
    Thresholds(#[from] ThresholdsError),
}

impl SpecError {
    pub(crate) fn field(
        field: impl Into<String>,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Self {
        Self::Field { field: field.into(), found: found.into(), allowed: allowed.into() }
    }
}
