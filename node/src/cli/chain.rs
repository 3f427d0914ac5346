//! `daruma chain`: making and checking chain.toml.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use daruma_automaton_api::DynAutomaton;
use daruma_chainspec::{
    AutomatonSpec, ChainSpec, KnownAutomata, Limits, Parameter, ReplicaSpec, SpecDraft,
    ViewEstablishment, limits,
};
use daruma_host::Registry;
use daruma_types::PublicKey;
use serde_json::json;

use super::{CliError, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Arguments {
    /// Make a chain.toml of the replicas' names, addresses and public keys.
    New(NewArguments),
    /// Check a chain.toml and print what it says.
    Check {
        /// The file.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// How the replicas agree on who is primary.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct EstablishmentArguments {
    /// Agree on who is primary as the paper does, without signatures: needs n >= 5f+1, where the
    /// default, by certificates, needs n >= 3f+1.
    #[arg(long)]
    pub(crate) paper_views: bool,
    /// Let each step of that wait for the event-driven failure detector.
    #[arg(long, requires = "paper_views")]
    pub(crate) event_driven_fd: bool,
}

impl EstablishmentArguments {
    pub(crate) const fn chosen(self) -> ViewEstablishment {
        if self.paper_views {
            ViewEstablishment::Automaton { event_driven_fd: self.event_driven_fd }
        } else {
            ViewEstablishment::Certified
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct NewArguments {
    /// The chain's name.
    #[arg(long)]
    name: String,
    /// What the chain computes.
    #[arg(long, default_value = "append-list")]
    automaton: String,
    /// A parameter of the automaton: `name=value`, the value true, false, a whole number or a text.
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// How many replicas may be faulty [default: the most that their number allows].
    #[arg(long)]
    faulty: Option<u32>,
    #[command(flatten)]
    establishment: EstablishmentArguments,
    /// A replica: `name,host:port,key,transport-key`, the keys as `daruma keys` prints them. Their
    /// order gives their ids.
    #[arg(long = "replica", value_name = "REPLICA", required = true)]
    replicas: Vec<String>,
    /// The file to make.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn execute(self) -> Result<(), CliError> {
        match self {
            Self::New(arguments) => {
                let spec = arguments.spec()?;
                write(&spec, &arguments.out)?;
                show(&spec, arguments.json);
            }
            Self::Check { file, json } => {
                let spec = read_built_in(&file)?;
                check_automaton(&spec)?;
                show(&spec, json);
            }
        }
        Ok(())
    }
}

impl NewArguments {
    fn spec(&self) -> Result<ChainSpec, CliError> {
        let parameters = self.parameters.iter().map(|text| parse_parameter(text));
        let replicas = self.replicas.iter().map(|text| parse_replica(text));
        let draft = SpecDraft {
            name: self.name.clone(),
            faulty: self.faulty,
            view_establishment: self.establishment.chosen(),
            automaton: AutomatonSpec {
                name: self.automaton.clone(),
                parameters: parameters.collect::<Result<BTreeMap<_, _>, _>>()?,
            },
            limits: Limits::default(),
            replicas: replicas.collect::<Result<Vec<_>, _>>()?,
        };
        let known = Registry::built_in().names().into_iter().collect();
        let spec = ChainSpec::generate(draft, &known).map_err(CliError::bad_input)?;
        check_automaton(&spec)?;
        Ok(spec)
    }
}

/// Reads a chain.toml whose automaton is one of `known`.
pub(crate) fn read(path: &Path, known: &KnownAutomata) -> Result<ChainSpec, CliError> {
    let named = |why: String| CliError::bad_input(format!("{}: {why}", path.display()));
    let bytes = std::fs::metadata(path).map_err(|error| named(error.to_string()))?.len();
    if bytes > limits::FILE_BYTES_MAX as u64 {
        return Err(named(format!("{bytes} bytes; at most {} are read", limits::FILE_BYTES_MAX)));
    }
    let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    ChainSpec::parse(&text, known).map_err(|error| named(error.to_string()))
}

/// Reads a chain.toml whose automaton is one that this program has.
pub(crate) fn read_built_in(path: &Path) -> Result<ChainSpec, CliError> {
    read(path, &Registry::built_in().names().into_iter().collect())
}

/// Reads a chain.toml, and makes its automaton.
pub(crate) fn with_automaton(path: &Path) -> Result<(ChainSpec, Arc<dyn DynAutomaton>), CliError> {
    let spec = read_built_in(path)?;
    let automaton = spec.automaton();
    let built = Registry::built_in().build(&automaton.name, &automaton.parameters_json());
    let built = built.map_err(CliError::bad_input)?;
    Ok((spec, built))
}

/// Writes a new chain.toml. An existing one is a chain's identity and is never overwritten.
pub(crate) fn write(spec: &ChainSpec, path: &Path) -> Result<(), CliError> {
    let named = |error| CliError::failed(format!("cannot make {}: {error}", path.display()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(named)?;
    file.write_all(spec.to_toml().as_bytes()).and_then(|()| file.sync_all()).map_err(named)
}

/// Whether the automaton accepts its parameters.
pub(crate) fn check_automaton(spec: &ChainSpec) -> Result<(), CliError> {
    let automaton = spec.automaton();
    let built = Registry::built_in().build(&automaton.name, &automaton.parameters_json());
    built.map(drop).map_err(CliError::bad_input)
}

fn show(spec: &ChainSpec, json: bool) {
    let thresholds = spec.thresholds();
    let (replicas, faulty, quorum) =
        (thresholds.replicas(), thresholds.faulty_max(), thresholds.quorum());
    if json {
        let names: Vec<_> = spec.replicas().iter().map(|replica| &replica.name).collect();
        output::json(&json!({
            "chainId": spec.chain_id().to_string(),
            "name": spec.name(),
            "automaton": spec.automaton().name,
            "replicas": names,
            "faulty": faulty,
            "quorum": quorum,
        }));
        return;
    }
    output::line(format!("chain id   {}", spec.chain_id()));
    output::line(format!("name       {}", spec.name()));
    output::line(format!("automaton  {}", spec.automaton().name));
    output::line(format!("replicas   {replicas}, of which {faulty} may be faulty"));
    output::line(format!("quorum     {quorum}"));
}

fn parse_replica(text: &str) -> Result<ReplicaSpec, CliError> {
    let refused = |why: &str| CliError::bad_input(format!("--replica {text:?}: {why}"));
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let [name, address, key, transport_key] = parts[..] else {
        return Err(refused("expected name,host:port,key,transport-key"));
    };
    let key_of = |text| {
        PublicKey::from_hex(text).ok_or_else(|| refused("a public key is 0x and 64 hex digits"))
    };
    Ok(ReplicaSpec {
        name: name.to_owned(),
        key: key_of(key)?,
        transport_key: key_of(transport_key)?,
        address: address.to_owned(),
    })
}

fn parse_parameter(text: &str) -> Result<(String, Parameter), CliError> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| CliError::bad_input(format!("--parameter {text:?}: expected name=value")))?;
    let parameter = match (value.parse(), value.parse()) {
        (Ok(boolean), _) => Parameter::Boolean(boolean),
        (_, Ok(integer)) => Parameter::Integer(integer),
        (Err(_), Err(_)) => Parameter::Text(value.to_owned()),
    };
    Ok((name.to_owned(), parameter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_a_boolean_a_number_or_else_a_text() {
        let value = |text| parse_parameter(text).unwrap().1;
        assert_eq!(value("a=true"), Parameter::Boolean(true));
        assert_eq!(value("a=-5"), Parameter::Integer(-5));
        assert_eq!(value("a=5 apples"), Parameter::Text("5 apples".into()));
        assert_eq!(value("a=b=c"), Parameter::Text("b=c".into()));
        assert!(parse_parameter("a").is_err());
    }

    #[test]
    fn a_replica_has_four_parts() {
        let key = format!("0x{}", "11".repeat(32));
        let text = format!("r0,host:7000,{key},{}", key.replace('1', "2"));
        let replica = parse_replica(&text).unwrap();
        assert_eq!((replica.name.as_str(), replica.address.as_str()), ("r0", "host:7000"));
        assert_eq!(replica.transport_key, PublicKey([0x22; 32]));
        for bad in ["r0,host:7000", "r0,host:7000,0x11,0x22", &format!("{text},more")] {
            assert!(matches!(parse_replica(bad), Err(CliError::BadInput(_))), "{bad}");
        }
    }
}
