//! The folder of a network: chain.toml, and a folder for each replica.
//!
//! ```text
//! chain.toml
//! r0/node.toml  r0/consensus.key  r0/transport.key  r0/data/  r0/log/daruma.log
//! ```

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use daruma_chainspec::{
    AutomatonSpec, ChainSpec, Limits, ReplicaSpec, SpecDraft, ViewEstablishment,
};
use daruma_host::Registry;
use daruma_node::NodeConfig;
use daruma_node::keys::SecretSeed;
use daruma_types::PublicKey;

use super::super::{CliError, chain, keys};
use super::ports::{self, Ports};

/// Replicas of a network if nothing else is asked for: the fewest that tolerate a faulty one.
const NODES_DEFAULT: usize = 4;

/// The automaton if nothing else is asked for.
const AUTOMATON_DEFAULT: &str = "append-list";

const CONSENSUS_KEY: &str = "consensus.key";
const TRANSPORT_KEY: &str = "transport.key";

/// What was asked for; none where nothing was said.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) nodes: Option<usize>,
    pub(super) faulty: Option<u32>,
    pub(super) establishment: ViewEstablishment,
    pub(super) automaton: Option<String>,
    /// 0 for free ports.
    pub(super) base_port: u16,
}

/// A network on disk.
#[derive(Debug)]
pub(super) struct NetworkFolder {
    pub(super) spec: ChainSpec,
    /// chain.toml.
    pub(super) chain: PathBuf,
    pub(super) replicas: Vec<Replica>,
}

/// One replica's files.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) name: String,
    /// node.toml.
    pub(super) config: PathBuf,
    pub(super) data: PathBuf,
    /// What it logs.
    pub(super) log: PathBuf,
    pub(super) rpc: SocketAddr,
}

impl Replica {
    pub(super) fn rpc_url(&self) -> String {
        format!("http://{}", self.rpc)
    }
}

impl NetworkFolder {
    /// Makes a network in `path`, or reads the one that is there.
    pub(super) fn open(path: &Path, wanted: &Wanted) -> Result<Self, CliError> {
        fs::create_dir_all(path).map_err(|error| cannot_make(path, &error))?;
        // Absolute, because it is printed for use elsewhere.
        let path = fs::canonicalize(path).map_err(|error| cannot_make(path, &error))?;
        let chain = path.join("chain.toml");
        if !chain.exists() {
            make(&path, &chain, wanted)?;
        }
        let folder = Self::read(&path, chain)?;
        folder.check(wanted)?;
        folder.check_ports()?;
        Ok(folder)
    }

    /// Whether the replicas can listen. Otherwise those that answer would be another network's, or
    /// those of this very folder, started before.
    fn check_ports(&self) -> Result<(), CliError> {
        let taken = self.replicas.iter().find(|replica| !ports::is_free(replica.rpc.port()));
        match taken {
            Some(replica) => Err(CliError::failed(format!(
                "{} is in use: {} runs already, or another program has its port (rpc_listen in {})",
                replica.rpc,
                replica.name,
                replica.config.display()
            ))),
            None => Ok(()),
        }
    }

    fn read(path: &Path, chain: PathBuf) -> Result<Self, CliError> {
        let spec = chain::read_built_in(&chain)?;
        let replica = |replica: &ReplicaSpec| {
            let folder = path.join(&replica.name);
            let config_path = folder.join("node.toml");
            let refused =
                |error| CliError::bad_input(format!("{}: {error}", config_path.display()));
            let config = NodeConfig::read(&config_path).map_err(refused)?;
            let log = folder.join("log").join("daruma.log");
            Ok(Replica {
                name: config.name,
                config: config_path,
                data: config.data_dir,
                log,
                rpc: config.rpc_listen,
            })
        };
        let replicas = spec.replicas().iter().map(replica).collect::<Result<_, CliError>>()?;
        Ok(Self { spec, chain, replicas })
    }

    /// Whether a network that was there is what was asked for.
    fn check(&self, wanted: &Wanted) -> Result<(), CliError> {
        let differs = |option: &str, found: String| {
            Err(CliError::bad_input(format!(
                "{} is a network with {option} {found}; leave {option} out, or use another folder",
                self.chain.display()
            )))
        };
        let thresholds = self.spec.thresholds();
        if wanted.nodes.is_some_and(|nodes| nodes != thresholds.replicas()) {
            return differs("--nodes", thresholds.replicas().to_string());
        }
        let other = self.spec.view_establishment();
        if wanted.establishment != ViewEstablishment::Certified && wanted.establishment != other {
            return differs("--paper-views", other.name().into());
        }
        if wanted.faulty.is_some_and(|faulty| faulty as usize != thresholds.faulty_max()) {
            return differs("--faulty", thresholds.faulty_max().to_string());
        }
        let automaton = &self.spec.automaton().name;
        if wanted.automaton.as_ref().is_some_and(|wanted| wanted != automaton) {
            return differs("--automaton", automaton.clone());
        }
        if let Some(first) = self.replicas.first()
            && wanted.base_port != 0
            && wanted.base_port != first.rpc.port()
        {
            return differs("--base-port", first.rpc.port().to_string());
        }
        Ok(())
    }

    /// The command that runs `replica` by itself.
    pub(super) fn run_command(&self, replica: &Replica) -> String {
        let (chain, config) = (self.chain.display(), replica.config.display());
        format!("{} run --chain {chain} --config {config}", program_name())
    }
}

/// How this program was called, for commands to copy.
pub(super) fn program_name() -> String {
    std::env::args().next().unwrap_or_else(|| "daruma".into())
}

fn make(path: &Path, chain: &Path, wanted: &Wanted) -> Result<(), CliError> {
    let count = wanted.nodes.unwrap_or(NODES_DEFAULT);
    let automaton = wanted.automaton.as_deref().unwrap_or(AUTOMATON_DEFAULT);
    let ports = ports::choose(count, wanted.base_port)?;
    let draft = |replicas| SpecDraft {
        name: "dev".into(),
        faulty: wanted.faulty,
        view_establishment: wanted.establishment,
        automaton: AutomatonSpec::named(automaton),
        limits: Limits::default(),
        replicas,
    };
    let known = Registry::built_in().names().into_iter().collect();
    // The keys are in memory until the whole network is known to be valid: nothing is left behind by
    // a wrong option.
    let secrets = ports.iter().map(|_| Ok((SecretSeed::generate()?, SecretSeed::generate()?)));
    let secrets: Vec<_> = secrets.collect::<Result<_, _>>().map_err(keys::as_cli_error)?;
    let replicas = ports.iter().zip(&secrets).enumerate();
    let replicas = replicas
        .map(|(index, (ports, (key, transport_key)))| {
            replica_spec(index, *ports, key.public_key(), transport_key.public_key())
        })
        .collect();
    let spec = ChainSpec::generate(draft(replicas), &known).map_err(CliError::bad_input)?;
    chain::check_automaton(&spec)?;
    for ((replica, ports), (key, transport_key)) in spec.replicas().iter().zip(&ports).zip(&secrets)
    {
        let folder = path.join(&replica.name);
        fs::create_dir_all(&folder).map_err(|error| cannot_make(&folder, &error))?;
        key.write_new(&folder.join(CONSENSUS_KEY)).map_err(keys::as_cli_error)?;
        transport_key.write_new(&folder.join(TRANSPORT_KEY)).map_err(keys::as_cli_error)?;
        let config = folder.join("node.toml");
        fs::write(&config, node_toml(&replica.name, *ports))
            .map_err(|error| cannot_make(&config, &error))?;
    }
    // Last: it says that the network is complete.
    chain::write(&spec, chain)
}

fn replica_spec(
    index: usize,
    ports: Ports,
    key: PublicKey,
    transport_key: PublicKey,
) -> ReplicaSpec {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.peers)).to_string();
    ReplicaSpec { name: format!("r{index}"), key, transport_key, address }
}

fn node_toml(name: &str, ports: Ports) -> String {
    format!(
        "# Of this replica only; what all replicas share is in chain.toml.\n\
         name = \"{name}\"\n\
         data_dir = \"data\"\n\
         key_file = \"{CONSENSUS_KEY}\"\n\
         transport_key_file = \"{TRANSPORT_KEY}\"\n\
         rpc_listen = \"127.0.0.1:{}\"\n",
        ports.rpc
    )
}

fn cannot_make(path: &Path, error: &dyn std::fmt::Display) -> CliError {
    CliError::failed(format!("cannot make {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Wanted = Wanted {
        nodes: None,
        faulty: None,
        establishment: ViewEstablishment::Certified,
        automaton: None,
        base_port: 0,
    };

    #[test]
    fn a_network_is_made_once_and_then_read_with_the_same_chain_and_ports() {
        let dir = tempfile::tempdir().unwrap();
        let made = NetworkFolder::open(dir.path(), &NOTHING).unwrap();
        let read = NetworkFolder::open(dir.path(), &NOTHING).unwrap();
        assert_eq!(made.spec, read.spec);
        assert_eq!(made.replicas.len(), 4);
        for (first, read) in made.replicas.iter().zip(&read.replicas) {
            assert_eq!(first.rpc, read.rpc);
            let config = NodeConfig::read(&read.config).unwrap();
            let id = config.check(&made.spec).unwrap().id;
            let key = SecretSeed::read(&config.key_file).unwrap().public_key();
            assert_eq!(made.spec.replica(id).unwrap().key, key);
        }
    }

    #[test]
    fn another_number_of_nodes_than_the_network_has_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        NetworkFolder::open(dir.path(), &Wanted { nodes: Some(7), ..NOTHING }).unwrap();
        let again = NetworkFolder::open(dir.path(), &Wanted { nodes: Some(4), ..NOTHING });
        let error = again.unwrap_err();
        assert!(matches!(&error, CliError::BadInput(why) if why.contains("--nodes 7")), "{error}");
    }

    #[test]
    fn options_that_make_no_chain_leave_nothing_behind() {
        for wanted in [
            Wanted { faulty: Some(2), ..NOTHING },
            Wanted { automaton: Some("nothing".into()), ..NOTHING },
        ] {
            let dir = tempfile::tempdir().unwrap();
            let error = NetworkFolder::open(dir.path(), &wanted).unwrap_err();
            assert!(matches!(error, CliError::BadInput(_)), "{error}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }
}
