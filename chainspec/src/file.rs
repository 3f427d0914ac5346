//! Reading chain.toml.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    AutomatonSpec, Limits, Parameter, ReplicaSpec, SpecDraft, SpecError, ViewEstablishment, fields,
    limits,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    faulty: Option<u32>,
    view_establishment: String,
    event_driven_fd: Option<bool>,
    automaton: FileAutomaton,
    #[serde(default)]
    limits: FileLimits,
    replicas: Vec<FileReplica>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAutomaton {
    name: String,
    #[serde(default)]
    parameters: toml::Table,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FileLimits {
    operation_bytes_max: Option<u32>,
    block_bytes_max: Option<u32>,
    block_transactions_max: Option<u32>,
    window: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileReplica {
    name: String,
    key: String,
    transport_key: String,
    address: String,
}

/// Reads the text; only what the file's form decides is checked here.
pub(crate) fn parse(text: &str) -> Result<SpecDraft, SpecError> {
    if text.len() > limits::FILE_BYTES_MAX {
        return Err(SpecError::FileTooLong(text.len()));
    }
    let file: File = toml::from_str(text).map_err(|error| SpecError::Syntax(Box::new(error)))?;
    let default = Limits::default();
    Ok(SpecDraft {
        name: file.name,
        faulty: file.faulty,
        view_establishment: view_establishment(&file.view_establishment, file.event_driven_fd)?,
        automaton: AutomatonSpec {
            name: file.automaton.name,
            parameters: parameters(file.automaton.parameters)?,
        },
        limits: Limits {
            operation_bytes_max: file
                .limits
                .operation_bytes_max
                .unwrap_or(default.operation_bytes_max),
            block_bytes_max: file.limits.block_bytes_max.unwrap_or(default.block_bytes_max),
            block_transactions_max: file
                .limits
                .block_transactions_max
                .unwrap_or(default.block_transactions_max),
            window: file.limits.window.unwrap_or(default.window),
        },
        replicas: replicas(file.replicas)?,
    })
}

fn view_establishment(
    found: &str,
    event_driven_fd: Option<bool>,
) -> Result<ViewEstablishment, SpecError> {
    let automaton =
        ViewEstablishment::Automaton { event_driven_fd: event_driven_fd.unwrap_or_default() };
    if found == automaton.name() {
        return Ok(automaton);
    }
    let certified = ViewEstablishment::Certified;
    if found != certified.name() {
        let allowed = format!("{:?} or {:?}", certified.name(), automaton.name());
        let found = format!("{:?}", fields::shortened(found));
        return Err(SpecError::field("view_establishment", found, allowed));
    }
    match event_driven_fd {
        None => Ok(certified),
        Some(found) => {
            let allowed = format!("nothing, unless view_establishment is {:?}", automaton.name());
            Err(SpecError::field("event_driven_fd", found.to_string(), allowed))
        }
    }
}

fn parameters(table: toml::Table) -> Result<BTreeMap<String, Parameter>, SpecError> {
    let parameter = |(name, value): (String, toml::Value)| {
        let value = match value {
            toml::Value::Boolean(value) => Parameter::Boolean(value),
            toml::Value::Integer(value) => Parameter::Integer(value),
            toml::Value::String(value) => Parameter::Text(value),
            other @ (toml::Value::Float(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_)
            | toml::Value::Table(_)) => {
                return Err(SpecError::field(
                    format!("automaton.parameters.{name}"),
                    other.type_str(),
                    "a boolean, an integer or a string",
                ));
            }
        };
        Ok((name, value))
    };
    table.into_iter().map(parameter).collect()
}

fn replicas(replicas: Vec<FileReplica>) -> Result<Vec<ReplicaSpec>, SpecError> {
    let replica = |(index, replica): (usize, FileReplica)| {
        Ok(ReplicaSpec {
            name: replica.name,
            key: fields::parse_key(&format!("replicas[{index}].key"), &replica.key)?,
            transport_key: fields::parse_key(
                &format!("replicas[{index}].transport_key"),
                &replica.transport_key,
            )?,
            address: replica.address,
        })
    };
    replicas.into_iter().enumerate().map(replica).collect()
}
