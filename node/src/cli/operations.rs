//! From what people write to an operation's bytes.

use std::sync::Arc;

use daruma_automaton_api::DynAutomaton;
use daruma_chainspec::ChainSpec;
use daruma_host::Registry;
use serde_json::Value;

use super::CliError;

/// The automaton whose operations may be written as plain text: an item is any text.
const PLAIN_TEXT: &str = "append-list";

/// Reads the operations of one chain.
pub(crate) struct Operations {
    /// None for an automaton that this program does not have: its operations are given in hex.
    automaton: Option<Arc<dyn DynAutomaton>>,
    name: String,
    hex: bool,
    bytes_max: usize,
}

impl Operations {
    /// Of the chain `spec`; in hex if `hex`.
    pub(crate) fn of(spec: &ChainSpec, hex: bool) -> Self {
        let automaton = spec.automaton();
        let built = Registry::built_in().build(&automaton.name, &automaton.parameters_json());
        Self {
            automaton: built.ok(),
            name: automaton.name.clone(),
            hex,
            bytes_max: spec.limits().operation_bytes_max as usize,
        }
    }

    /// The bytes of an operation: of hex digits if asked so, else of the automaton's JSON form; and of
    /// append-list, of the text itself if it is not that.
    pub(crate) fn parse(&self, text: &str) -> Result<Vec<u8>, String> {
        let bytes = self.bytes(text)?;
        let max = self.bytes_max;
        if bytes.len() > max {
            return Err(format!("it has {} bytes; this chain accepts at most {max}", bytes.len()));
        }
        if let Some(automaton) = &self.automaton {
            automaton.check(&bytes).map_err(|error| error.to_string())?;
        }
        Ok(bytes)
    }

    fn bytes(&self, text: &str) -> Result<Vec<u8>, String> {
        if self.hex {
            let digits = text.strip_prefix("0x").unwrap_or(text);
            return hex::decode(digits).map_err(|error| format!("it is not hex: {error}"));
        }
        let Some(automaton) = &self.automaton else {
            let name = &self.name;
            return Err(format!("this program does not know {name:?}: give the bytes with --hex"));
        };
        let json = serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
        let parsed = json.and_then(|json| {
            automaton.operation_from_json(&json).map_err(|error| error.to_string())
        });
        match parsed {
            Err(_) if self.name == PLAIN_TEXT => Ok(text.as_bytes().to_vec()),
            other => other.map_err(|error| format!("it is no operation of {}: {error}", self.name)),
        }
    }

    /// A reply for people: the automaton's JSON form, or else hex digits.
    pub(crate) fn reply(&self, reply: &[u8]) -> Value {
        let json = self.automaton.as_ref().and_then(|a| a.reply_to_json(reply).ok());
        json.unwrap_or_else(|| Value::from(format!("0x{}", hex::encode(reply))))
    }
}

impl Operations {
    /// [`Self::parse`] for an argument of the command line.
    pub(crate) fn parse_argument(&self, text: &str) -> Result<Vec<u8>, CliError> {
        self.parse(text).map_err(|why| CliError::bad_input(format!("operation {text:?}: {why}")))
    }
}
