//! Which automaton a chain runs, and with which parameters.

use std::collections::{BTreeMap, BTreeSet};

use bincode::Encode;
use serde_json::{Map, Value};

use crate::{SpecError, fields, limits};

/// A parameter of an automaton. There are no fractions, dates or tables: one value has one form.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub enum Parameter {
    /// `true` or `false`.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A text, at most [`limits::PARAMETER_BYTES_MAX`] bytes.
    Text(String),
}

/// The automaton that a chain runs.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct AutomatonSpec {
    /// Its name in the host's registry.
    pub name: String,
    /// Its parameters. What they mean, and their defaults, is the automaton's to say; a parameter
    /// left out is not part of the chain id.
    pub parameters: BTreeMap<String, Parameter>,
}

impl AutomatonSpec {
    /// The automaton `name` without parameters.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), parameters: BTreeMap::new() }
    }

    /// The parameters as the JSON table that automata are built from.
    #[must_use]
    pub fn parameters_json(&self) -> Value {
        let json = |parameter: &Parameter| match parameter {
            Parameter::Boolean(value) => Value::from(*value),
            Parameter::Integer(value) => Value::from(*value),
            Parameter::Text(value) => Value::from(value.as_str()),
        };
        let entries = self.parameters.iter().map(|(name, value)| (name.clone(), json(value)));
        Value::Object(entries.collect::<Map<_, _>>())
    }

    pub(crate) fn check(&self, known: &KnownAutomata) -> Result<(), SpecError> {
        fields::check_name("automaton.name", &self.name)?;
        if let Some(names) = &known.0
            && !names.contains(&self.name)
        {
            let allowed = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed };
            return Err(SpecError::field("automaton.name", format!("{:?}", self.name), allowed));
        }
        if self.parameters.len() > limits::PARAMETERS_MAX {
            return Err(SpecError::field(
                "automaton.parameters",
                format!("{} parameters", self.parameters.len()),
                format!("at most {}", limits::PARAMETERS_MAX),
            ));
        }
        for (name, parameter) in &self.parameters {
            fields::check_name("automaton.parameters", name)?;
            if let Parameter::Text(text) = parameter
                && text.len() > limits::PARAMETER_BYTES_MAX
            {
                return Err(SpecError::field(
                    format!("automaton.parameters.{name}"),
                    format!("{} bytes", text.len()),
                    format!("at most {} bytes", limits::PARAMETER_BYTES_MAX),
                ));
            }
        }
        Ok(())
    }
}

/// The automata that the caller can run. The chainspec knows none by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAutomata(Option<BTreeSet<String>>);

impl KnownAutomata {
    /// Any name passes: for a client, which runs no automaton.
    #[must_use]
    pub const fn any() -> Self {
        Self(None)
    }
}

impl<S: Into<String>> FromIterator<S> for KnownAutomata {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(Some(names.into_iter().map(Into::into).collect()))
    }
}
