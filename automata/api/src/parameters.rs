//! The parameters that a chainspec gives an automaton.

use crate::errors::list_or_none;
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::ops::RangeInclusive;
use serde_json::{Map, Value};

/// Why an automaton cannot be built with these parameters. It is the chainspec's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadParameters {
    /// Not a table.
    #[error("the parameters must be a table; found {found}")]
    NotATable {
        /// The type found.
        found: &'static str,
    },
    /// A name that the automaton does not know.
    #[error("unknown parameter {name:?}; allowed: {}", list_or_none(allowed))]
    Unknown {
        /// The name found.
        name: String,
        /// The names there are.
        allowed: Vec<String>,
    },
    /// A value of the wrong type.
    #[error("parameter {name:?} must be {expected}; found {found}")]
    WrongType {
        /// Which parameter.
        name: String,
        /// The type it has.
        expected: &'static str,
        /// The type found.
        found: &'static str,
    },
    /// A number outside its range.
    #[error("parameter {name:?} must be in {min}..={max}; found {found}")]
    OutOfRange {
        /// Which parameter.
        name: String,
        /// The number found.
        found: String,
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
}

/// A table of parameters whose names are all known. Each has a default, so each may be left out.
#[derive(Debug, Clone, Copy)]
pub struct Parameters<'value> {
    table: Option<&'value Map<String, Value>>,
}

impl<'value> Parameters<'value> {
    /// Takes the chainspec's table; null counts as an empty one.
    ///
    /// # Errors
    /// `value` is no table, or has a name that is not in `allowed`.
    pub fn new(value: &'value Value, allowed: &[&str]) -> Result<Self, BadParameters> {
        if value.is_null() {
            return Ok(Self { table: None });
        }
        let Some(table) = value.as_object() else {
            return Err(BadParameters::NotATable { found: type_name(value) });
        };
        match table.keys().find(|name| !allowed.contains(&name.as_str())) {
            None => Ok(Self { table: Some(table) }),
            Some(name) => Err(BadParameters::Unknown {
                name: name.clone(),
                allowed: allowed.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    /// The integer `name`, or `default` if it is absent.
    ///
    /// # Errors
    /// It is no integer, or not in `range`.
    pub fn integer(
        &self,
        name: &str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64, BadParameters> {
        let Some(value) = self.value(name) else {
            return Ok(default);
        };
        match value.as_u64() {
            Some(number) if range.contains(&number) => Ok(number),
            Some(_) => Err(out_of_range(name, value, &range)),
            None if value.is_i64() => Err(out_of_range(name, value, &range)),
            None => Err(wrong_type(name, "an integer", value)),
        }
    }

    /// The boolean `name`, or `default` if it is absent.
    ///
    /// # Errors
    /// It is no boolean.
    pub fn boolean(&self, name: &str, default: bool) -> Result<bool, BadParameters> {
        match self.value(name) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| wrong_type(name, "a boolean", value)),
        }
    }

    /// The string `name`, or `default` if it is absent.
    ///
    /// # Errors
    /// It is no string.
    pub fn string(&self, name: &str, default: &str) -> Result<String, BadParameters> {
        match self.value(name) {
            None => Ok(default.to_string()),
            Some(value) => value
                .as_str()
                .map(ToString::to_string)
                .ok_or_else(|| wrong_type(name, "a string", value)),
        }
    }

    fn value(&self, name: &str) -> Option<&'value Value> {
        self.table?.get(name)
    }
}

fn wrong_type(name: &str, expected: &'static str, value: &Value) -> BadParameters {
    BadParameters::WrongType { name: name.to_string(), expected, found: type_name(value) }
}

fn out_of_range(name: &str, value: &Value, range: &RangeInclusive<u64>) -> BadParameters {
    BadParameters::OutOfRange {
        name: name.to_string(),
        found: value.to_string(),
        min: *range.start(),
        max: *range.end(),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_have_defaults_types_and_ranges() {
        let table = json!({ "size": 5, "open": true, "title": "x" });
        let parameters = Parameters::new(&table, &["size", "open", "title", "other"]).unwrap();
        assert_eq!(parameters.integer("size", 1, 5..=5), Ok(5));
        assert_eq!(parameters.integer("other", 1, 1..=4), Ok(1));
        assert_eq!(parameters.boolean("open", false), Ok(true));
        assert_eq!(parameters.boolean("other", false), Ok(false));
        assert_eq!(parameters.string("title", "y"), Ok("x".into()));
        assert_eq!(parameters.string("other", "y"), Ok("y".into()));
        let refusal = |error: BadParameters| error.to_string();
        assert_eq!(
            parameters.integer("size", 1, 1..=4).map_err(refusal),
            Err("parameter \"size\" must be in 1..=4; found 5".into())
        );
        assert_eq!(
            parameters.integer("title", 1, 1..=4).map_err(refusal),
            Err("parameter \"title\" must be an integer; found a string".into())
        );
        assert!(parameters.boolean("size", false).is_err());
        assert!(parameters.string("size", "").is_err());
    }

    #[test]
    fn no_parameters_are_an_empty_table_and_other_types_or_names_are_refused() {
        assert!(Parameters::new(&Value::Null, &[]).is_ok());
        assert!(Parameters::new(&json!({}), &[]).is_ok());
        let refusal = |value: &Value| Parameters::new(value, &["a", "b"]).unwrap_err().to_string();
        assert_eq!(refusal(&json!([])), "the parameters must be a table; found a list");
        assert_eq!(refusal(&json!({ "c": 1 })), "unknown parameter \"c\"; allowed: a, b");
    }

    #[test]
    fn negative_and_fractional_numbers_are_refused_for_what_they_are() {
        for (value, message) in [
            (json!({ "size": -1 }), "parameter \"size\" must be in 0..=9; found -1"),
            (json!({ "size": 1.0 }), "parameter \"size\" must be an integer; found a fraction"),
        ] {
            let parameters = Parameters::new(&value, &["size"]).unwrap();
            assert_eq!(parameters.integer("size", 0, 0..=9).unwrap_err().to_string(), message);
        }
    }
}
