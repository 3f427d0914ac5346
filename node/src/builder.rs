//! Puts a node together.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use daruma_automaton_api::{BadParameters, DynAutomaton, serde_json::Value};
use daruma_chainspec::ChainSpec;
use daruma_driver::{Driver, DriverError, DriverParts, Snapshots};
use daruma_engine::{ChainLimits, Context};
use daruma_host::{Registry, RegistryError};
use daruma_ledger::{Depth, FolderShelf, Ledger, LedgerError, SnapshotShelf};
use daruma_network::{Network, NetworkConfig, NetworkError, NetworkSettings, PeerConfig};
use daruma_rpc_server::{Backend, NodeIdentity, Server, ServerError};
use daruma_store::{RocksStore, StoreError, Trust};
use daruma_types::{Ed25519, Height, PublicKey, ReplicaId};
use tokio::sync::{broadcast, mpsc, watch};
use tracing::info;

use crate::NodeConfig;
use crate::audit::LEDGER;
use crate::bridge::{self, Health};
use crate::config::{ConfigError, Place, SnapshotConfig};
use crate::keys::{KeyError, SecretSeed};
use crate::watch::watch;
use crate::{opening, snapshots};

/// Clients' transactions on their way from the RPC server to the driver.
const SUBMISSIONS_MAX: usize = 1024;

/// How long a shutdown waits for calls that are being answered.
const CALLS_WAIT: Duration = Duration::from_secs(2);

/// Events kept for the RPC server when it is slow; it reads the ledger for what it misses.
const EVENTS_MAX: usize = 1024;

/// Why a node cannot be built from its parts. Nothing was opened.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The configuration does not fit the chainspec, or is out of its ranges.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key file cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key is not the one that the chainspec has for this replica.
    #[error(
        "the {which} key in {file} is {found}; the chainspec has {expected} for replica {name:?}: \
         use that replica's key file, or its name"
    )]
    WrongKey {
        /// `consensus` or `transport`.
        which: &'static str,
        /// The key file.
        file: String,
        /// The public key found.
        found: Box<PublicKey>,
        /// The public key expected.
        expected: Box<PublicKey>,
        /// The replica.
        name: String,
    },
    /// The chainspec's automaton is not there, or refuses its parameters.
    #[error(transparent)]
    Automaton(#[from] RegistryError),
}

/// Why a node did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made.
    #[error("cannot make the data folder {path}: {source}")]
    DataFolder {
        /// The folder.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The network cannot be started.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The RPC server cannot be started.
    #[error(transparent)]
    Rpc(#[from] ServerError),
    /// The driver did not start, or stopped.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// A task of this program failed: a bug.
    #[error("a task failed: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// A thread does not come back from its work.
    #[error("the {thread} thread does not come back from its work: the node must be started again")]
    Stuck {
        /// The thread.
        thread: &'static str,
    },
    /// The store refuses all writes though the disk takes them again.
    #[error(
        "the store refuses writes though its disk takes them again: it must be opened again, by a new \
         start of the node"
    )]
    Closed,
}

impl StartError {
    /// Whether a node that stopped for this is well again, as far as one can know, once it is started again
    /// from the same files: in a new process if a thread was stuck, since nobody can take it from its work.
    #[must_use]
    pub const fn begins_again(&self) -> bool {
        match self {
            Self::Stuck { .. } | Self::Closed | Self::Driver(_) | Self::Task(_) => true,
            Self::DataFolder { .. }
            | Self::Store(_)
            | Self::Ledger(_)
            | Self::Network(_)
            | Self::Rpc(_) => false,
        }
    }
}

/// An opened ledger with its store and its snapshots.
type Opened = (Arc<RocksStore>, Ledger, Arc<dyn SnapshotShelf>);

/// A node in the making.
pub struct NodeBuilder {
    spec: ChainSpec,
    config: NodeConfig,
    registry: Registry,
    refused: Option<RegistryError>,
    began_again: Option<String>,
}

impl NodeBuilder {
    /// Says that this node is started again because it stopped by itself, and why: it is kept in the heal log.
    #[must_use]
    pub fn began_again(mut self, why: String) -> Self {
        self.began_again = Some(why);
        self
    }

    /// Adds an automaton of one's own, under the name that the chainspec gives it. `make` gets the
    /// chainspec's parameters for it.
    #[must_use]
    pub fn automaton<A: DynAutomaton>(
        mut self,
        name: &str,
        make: impl Fn(&Value) -> Result<A, BadParameters> + Send + Sync + 'static,
    ) -> Self {
        if let Err(refused) = self.registry.register(name, make) {
            self.refused.get_or_insert(refused);
        }
        self
    }

    /// Checks everything that can be checked without opening anything but the key files.
    ///
    /// # Errors
    /// [`BuildError`] says what does not fit, and what would.
    pub fn build(self) -> Result<Node, BuildError> {
        let Self { spec, config, registry, refused, began_again } = self;
        if let Some(refused) = refused {
            return Err(refused.into());
        }
        let place = config.check(&spec)?;
        let automaton_spec = spec.automaton();
        let automaton = registry.build(&automaton_spec.name, &automaton_spec.parameters_json())?;
        let key = SecretSeed::read(&config.key_file)?;
        let transport_key = SecretSeed::read(&config.transport_key_file)?;
        if let Some(replica) = spec.replica(place.id) {
            let keys = [
                ("consensus", &config.key_file, key.public_key(), replica.key),
                (
                    "transport",
                    &config.transport_key_file,
                    transport_key.public_key(),
                    replica.transport_key,
                ),
            ];
            for (which, file, found, expected) in keys {
                if found != expected {
                    let (file, name) = (file.display().to_string(), config.name);
                    let (found, expected) = (Box::new(found), Box::new(expected));
                    return Err(BuildError::WrongKey { which, file, found, expected, name });
                }
            }
        }
        let spec = Arc::new(spec);
        Ok(Node { spec, config, place, automaton, key, transport_key, began_again })
    }
}

/// A node whose parts fit together, ready to start.
pub struct Node {
    spec: Arc<ChainSpec>,
    config: NodeConfig,
    place: Place,
    automaton: Arc<dyn DynAutomaton>,
    key: SecretSeed,
    transport_key: SecretSeed,
    began_again: Option<String>,
}

impl Node {
    /// Starts to put a node of `spec`'s chain together, with the built-in automata.
    #[must_use]
    pub fn builder(spec: ChainSpec, config: NodeConfig) -> NodeBuilder {
        let registry = Registry::built_in();
        NodeBuilder { spec, config, registry, refused: None, began_again: None }
    }

    /// Opens store and sockets, and takes part in the chain from then on.
    ///
    /// # Errors
    /// [`StartError`] says what could not be opened.
    pub async fn start(self) -> Result<Running, StartError> {
        let (store, ledger, shelf) = self.open_ledger().await?;
        if let Some(why) = &self.began_again {
            opening::note_beginning(store.as_ref(), why);
        }
        let (network, events) = Network::start(self.network_config()).await?;
        let listen = network.listen_address();
        let reader = ledger.reader();
        let backed_up = reader.clone();
        let snapshots = self.snapshots(&ledger, shelf);
        let driver = Driver::start(DriverParts {
            context: self.context(),
            store: store.clone(),
            ledger,
            automaton: self.automaton.clone(),
            network: network.clone(),
            events,
            tick: Duration::from_millis(self.config.tick_ms),
            snapshots,
            scrub: self.config.scrub.settings(),
        })?;

        let (submissions, submitted) = mpsc::channel(SUBMISSIONS_MAX);
        let (ledger_events, _) = broadcast::channel(EVENTS_MAX);
        let health = Health {
            spec: self.spec.clone(),
            network: network.clone(),
            counters: driver.counters(),
            supervisor: driver.supervisor(),
        };
        let scrub = driver.scrub();
        let first = health.snapshot(&driver.status().borrow().clone());
        let (status_sender, status) = watch::channel(Arc::new(first));
        let per_client = self.config.pool.pending_per_client_max;
        tokio::spawn(bridge::submissions(submitted, driver.submissions(), per_client));
        tokio::spawn(bridge::events(driver.subscribe(), ledger_events.clone()));
        tokio::spawn(bridge::status(driver.status(), status_sender, health));

        let started = Server::start(
            daruma_rpc_server::Config {
                listen: self.config.rpc_listen,
                allowed_hosts: self.config.rpc_allowed_hosts.clone(),
                ..daruma_rpc_server::Config::default()
            },
            Backend {
                spec: self.spec.clone(),
                node: NodeIdentity {
                    name: self.config.name.clone(),
                    replica: self.place.id,
                    version: env!("CARGO_PKG_VERSION").into(),
                },
                ledger: reader,
                automaton: self.automaton.clone(),
                submissions,
                status,
                events: ledger_events,
                peers: Arc::new(move || bridge::peers(&network)),
                backup: bridge::backups(&self.config, store, backed_up),
                scrub: Arc::new(move |pause| crate::scrub::state(&scrub, pause)),
            },
        )
        .await;
        let server = match started {
            Ok(server) => server,
            Err(error) => {
                // A node that nobody can ask must not go on voting unseen.
                driver.shutdown().await?;
                return Err(error.into());
            }
        };
        let watch = watch(self.config.data_dir.clone(), driver.counters(), driver.supervisor());
        info!(name = self.config.name, rpc = %server.address(), %listen, "started");
        Ok(Running { server, driver, listen, watch: Box::pin(watch) })
    }

    /// How this node keeps its snapshots; none if its file says nothing of them and its ledger does without.
    fn snapshots(&self, ledger: &Ledger, shelf: Arc<dyn SnapshotShelf>) -> Option<Snapshots> {
        // A ledger without its first blocks cannot be made again but from a snapshot.
        let needed = ledger.restoring().is_some() || ledger.base() > Height(0);
        let config = self.config.snapshots.or_else(|| needed.then(SnapshotConfig::default))?;
        let SnapshotConfig { every, keep, prune, prune_margin } = config;
        Some(Snapshots { shelf, every, keep, prune_margin: prune.then_some(prune_margin) })
    }

    pub(crate) async fn open_ledger(&self) -> Result<Opened, StartError> {
        let data_dir = &self.config.data_dir;
        std::fs::create_dir_all(data_dir).map_err(|source| StartError::DataFolder {
            path: data_dir.display().to_string(),
            source,
        })?;
        let folder = data_dir.join(LEDGER);
        let snapshots = data_dir.join(snapshots::FOLDER);
        let automaton = self.automaton.clone();
        let committee = Arc::new(self.spec.committee());
        let trust = Trust { committee, verifier: Arc::new(Ed25519) };
        let depth = if self.config.check_whole_ledger { Depth::Whole } else { Depth::Recent };
        tokio::task::spawn_blocking(move || {
            let shelf: Arc<dyn SnapshotShelf> = Arc::new(FolderShelf::open(snapshots)?);
            let (store, ledger) = opening::open_ledger(&folder, &automaton, &trust, depth, &shelf)?;
            Ok((store, ledger, shelf))
        })
        .await?
    }

    fn network_config(&self) -> NetworkConfig {
        let peers = self.spec.replicas().iter().enumerate();
        NetworkConfig {
            chain: self.spec.chain_id().0.0,
            own: self.place.id,
            key_seed: self.transport_key.bytes().clone(),
            listen: self.place.listen,
            peers: peers
                .map(|(index, replica)| PeerConfig {
                    id: ReplicaId(index as u16),
                    transport_key: replica.transport_key.0,
                    address: replica.address.clone(),
                })
                .filter(|peer| peer.id != self.place.id)
                .collect(),
            settings: NetworkSettings::default(),
        }
    }

    fn context(&self) -> Context {
        let limits = self.spec.limits();
        Context {
            committee: Arc::new(self.spec.committee()),
            own: self.place.id,
            signer: Arc::new(self.key.secret_key()),
            verifier: Arc::new(Ed25519),
            chain: ChainLimits {
                operation_bytes_max: limits.operation_bytes_max as usize,
                block_bytes_max: limits.block_bytes_max as usize,
                block_transactions_max: limits.block_transactions_max as usize,
                window: limits.window as usize,
            },
            local: self.config.pool.local_limits(),
        }
    }
}

/// A node that takes part in its chain.
pub struct Running {
    server: Server,
    driver: Driver,
    listen: SocketAddr,
    /// Ends when the node must begin again.
    watch: Pin<Box<dyn Future<Output = StartError> + Send>>,
}

impl Running {
    /// Where JSON-RPC is served.
    #[must_use]
    pub const fn rpc(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where the other replicas connect to.
    #[must_use]
    pub const fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Waits until the node stops by itself, which it does only when it cannot go on, or must begin again.
    /// Nothing looks whether it must while nobody waits here.
    ///
    /// # Errors
    /// Why it stopped; [`StartError::begins_again`] says whether to start it again.
    pub async fn stopped(&mut self) -> Result<(), StartError> {
        tokio::select! {
            ended = self.driver.ended() => Ok(ended?),
            why = &mut self.watch => Err(why),
        }
    }

    /// Stops: no more calls, then no more votes, then the ledger is closed.
    ///
    /// # Errors
    /// What failed on the way.
    pub async fn shutdown(self) -> Result<(), StartError> {
        // Calls that wait for a confirmation may take long; they are answered by asking again elsewhere.
        let _still_waiting = tokio::time::timeout(CALLS_WAIT, self.server.stop()).await;
        Ok(self.driver.shutdown().await?)
    }
}
