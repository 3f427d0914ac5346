//! node.toml: what may differ from one replica to the next. What all must share is in the chainspec.
//!
//! ```toml
//! name = "r0"                             # this replica's name in chain.toml
//! data_dir = "data"                       # relative paths start at this file's folder
//! key_file = "consensus.key"              # as `daruma keys new` writes it
//! transport_key_file = "transport.key"    # another key
//! listen = "0.0.0.0:7000"                 # optional: the chainspec's address of this replica
//! rpc_listen = "127.0.0.1:8545"           # optional; port 0 lets the system choose
//! rpc_allowed_hosts = []                  # optional: names, beside IP addresses and localhost
//! tick_ms = 25                            # optional, 10..=1000
//! check_whole_ledger = false              # optional: at the start, not only its last blocks
//!
//! [pool]                                  # optional, each with a default
//! pending_max = 16384
//! pending_per_client_max = 4096
//! pending_bytes_max = 33554432
//!
//! [snapshots]                             # optional: without it no state sync, see docs/state-sync.md
//! every = 0                               # blocks from one to the next; 0 makes none
//! keep = 2
//! prune = false                           # remove old blocks' bodies
//! prune_margin = 10000                    # but not of so many below the lowest snapshot
//! [scrub]                                 # optional: see scrub.rs
//! rows_per_second = 1000
//!
//! [log]                                   # optional
//! level = "info"                          # error, warn, info, debug or trace
//! format = "text"                         # or json
//! ```

mod log;
mod snapshots;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use daruma_chainspec::ChainSpec;
use daruma_engine::LocalLimits;
use daruma_types::ReplicaId;
pub use log::{LogConfig, LogFormat, LogLevel};
use serde::Deserialize;
use snapshots::FileSnapshots;
pub use snapshots::{KEEP_MAX, PRUNE_MARGIN_DEFAULT, SnapshotConfig};

pub use crate::scrub::ScrubConfig;

/// Bytes of a node.toml that are read: it has a dozen lines.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where the RPC server listens if the file does not say: not reachable from other machines, because
/// it has no access control of its own.
pub const RPC_LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8545);

/// Time between two ticks of the engine if the file does not say. All patience is counted in ticks.
pub const TICK_MS_DEFAULT: u64 = 25;

/// Shortest and longest time between two ticks: shorter ones cost CPU for nothing, with longer ones a
/// view change takes minutes.
pub const TICK_MS_RANGE: (u64, u64) = (10, 1000);

/// The largest `pending_max`: the RPC server remembers as many names of pending transactions.
pub const PENDING_MAX: usize = 65_536;

/// The largest `pending_bytes_max`.
pub const PENDING_BYTES_MAX: usize = 1 << 30;

/// Host names in `rpc_allowed_hosts`.
pub const ALLOWED_HOSTS_MAX: usize = 64;

/// What one replica is started with. [`NodeConfig::check`] is called before it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// This replica's name in the chainspec.
    pub name: String,
    /// Where the ledger and the journal are. The folder is made if it is not there.
    pub data_dir: PathBuf,
    /// The key that signs votes and attestations.
    pub key_file: PathBuf,
    /// The key that connections are authenticated with.
    pub transport_key_file: PathBuf,
    /// Where to listen for the other replicas; none for the address in the chainspec.
    pub listen: Option<SocketAddr>,
    /// Where clients are served; default [`RPC_LISTEN_DEFAULT`]. Port 0 lets the system choose.
    pub rpc_listen: SocketAddr,
    /// Names under which clients may call the node, beside IP addresses and localhost.
    pub rpc_allowed_hosts: Vec<String>,
    /// Time between two ticks of the engine, in ms: [`TICK_MS_RANGE`], default [`TICK_MS_DEFAULT`].
    pub tick_ms: u64,
    /// Whether the start checks the whole ledger instead of its last blocks: after damage to the disk
    /// is suspected. What is damaged is repaired in both cases.
    pub check_whole_ledger: bool,
    /// Bounds of the pending transactions.
    pub pool: PoolConfig,
    /// Snapshots of the state; without this part none are made, given out or fetched.
    pub snapshots: Option<SnapshotConfig>,
    /// How the ledger is looked through while the node serves.
    pub scrub: ScrubConfig,
    /// What is logged.
    pub log: LogConfig,
}

/// Bounds of the pending transactions of one replica. What is over a bound is refused with an error
/// that says so; what was accepted is never thrown out for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// Transactions in all: 1 to [`PENDING_MAX`], default 16,384. Divided equally among the replicas: this
    /// one takes three quarters of its share from its clients, with four replicas 3,072. The same at all
    /// replicas, or one with a smaller pool is taken for a censor when it is primary.
    pub pending_max: usize,
    /// Transactions of one client: 1 to `pending_max`, default 4,096.
    pub pending_per_client_max: usize,
    /// Bytes of all operations: at least one largest operation of the chain, at most
    /// [`PENDING_BYTES_MAX`], default 32 MiB.
    pub pending_bytes_max: usize,
}

/// This replica's place in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its id.
    pub id: ReplicaId,
    /// Where it listens for the other replicas.
    pub listen: SocketAddr,
}

/// Why a node.toml is refused. Each message names the field, what was found there and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The text is not TOML, or a field is unknown, missing, repeated or of the wrong type.
    #[error("{0}")]
    Syntax(#[source] Box<toml::de::Error>),
    /// A value that is not allowed.
    #[error("{field}: found {found}; allowed: {allowed}")]
    Field {
        /// The field.
        field: &'static str,
        /// What was found.
        found: String,
        /// What is allowed.
        allowed: String,
    },
}

impl Default for PoolConfig {
    fn default() -> Self {
        let LocalLimits { pending_max, pending_per_client_max, pending_bytes_max, .. } =
            LocalLimits::default();
        Self { pending_max, pending_per_client_max, pending_bytes_max }
    }
}

impl PoolConfig {
    /// The engine's bounds and patience, with these for the pool.
    #[must_use]
    pub fn local_limits(&self) -> LocalLimits {
        LocalLimits {
            pending_max: self.pending_max,
            pending_per_client_max: self.pending_per_client_max,
            pending_bytes_max: self.pending_bytes_max,
            ..LocalLimits::default()
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileConfig {
    name: String,
    data_dir: PathBuf,
    key_file: PathBuf,
    transport_key_file: PathBuf,
    listen: Option<SocketAddr>,
    rpc_listen: Option<SocketAddr>,
    #[serde(default)]
    rpc_allowed_hosts: Vec<String>,
    tick_ms: Option<u64>,
    #[serde(default)]
    check_whole_ledger: bool,
    #[serde(default)]
    pool: FilePool,
    snapshots: Option<FileSnapshots>,
    #[serde(default)]
    scrub: ScrubConfig,
    #[serde(default)]
    log: FileLog,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FilePool {
    pending_max: Option<usize>,
    pending_per_client_max: Option<usize>,
    pending_bytes_max: Option<usize>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FileLog {
    #[serde(default)]
    level: LogLevel,
    #[serde(default)]
    format: LogFormat,
}

impl NodeConfig {
    /// A configuration with the default of every field that has one.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        data_dir: impl Into<PathBuf>,
        key_file: impl Into<PathBuf>,
        transport_key_file: impl Into<PathBuf>,
    ) -> Self {
        Self {
            name: name.into(),
            data_dir: data_dir.into(),
            key_file: key_file.into(),
            transport_key_file: transport_key_file.into(),
            listen: None,
            rpc_listen: RPC_LISTEN_DEFAULT,
            rpc_allowed_hosts: Vec::new(),
            tick_ms: TICK_MS_DEFAULT,
            check_whole_ledger: false,
            pool: PoolConfig::default(),
            snapshots: None,
            scrub: ScrubConfig::default(),
            log: LogConfig::default(),
        }
    }

    /// Reads a node.toml. Relative paths in it start at its own folder.
    ///
    /// # Errors
    /// [`ConfigError`] names the first field that is not allowed, and what is.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let refused = |source| ConfigError::Read { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(refused)?.len();
        if bytes > FILE_BYTES_MAX {
            let why = format!("it has {bytes} bytes; at most {FILE_BYTES_MAX} are read");
            return Err(refused(io::Error::other(why)));
        }
        let text = std::fs::read_to_string(path).map_err(refused)?;
        Self::parse(&text, path.parent().unwrap_or_else(|| Path::new("")))
    }

    /// Reads the text of a node.toml; relative paths in it start at `base`.
    ///
    /// # Errors
    /// [`ConfigError`] names the first field that is not allowed, and what is.
    pub fn parse(text: &str, base: &Path) -> Result<Self, ConfigError> {
        let file: FileConfig =
            toml::from_str(text).map_err(|error| ConfigError::Syntax(Box::new(error)))?;
        let pool = PoolConfig::default();
        let per_client = pool.pending_per_client_max;
        let pending_max = file.pool.pending_max.unwrap_or(pool.pending_max);
        let config = Self {
            name: file.name,
            data_dir: base.join(file.data_dir),
            key_file: base.join(file.key_file),
            transport_key_file: base.join(file.transport_key_file),
            listen: file.listen,
            rpc_listen: file.rpc_listen.unwrap_or(RPC_LISTEN_DEFAULT),
            rpc_allowed_hosts: file.rpc_allowed_hosts,
            tick_ms: file.tick_ms.unwrap_or(TICK_MS_DEFAULT),
            check_whole_ledger: file.check_whole_ledger,
            pool: PoolConfig {
                pending_max,
                // A smaller pool needs no second line to stay valid.
                pending_per_client_max: file
                    .pool
                    .pending_per_client_max
                    .unwrap_or(per_client.min(pending_max)),
                pending_bytes_max: file.pool.pending_bytes_max.unwrap_or(pool.pending_bytes_max),
            },
            snapshots: file.snapshots.map(SnapshotConfig::from),
            scrub: file.scrub,
            log: LogConfig { level: file.log.level, format: file.log.format },
        };
        config.check_ranges()?;
        Ok(config)
    }

    /// Checks every field, and that `spec` has this replica.
    ///
    /// # Errors
    /// [`ConfigError`] names the first field that is not allowed, and what is.
    pub fn check(&self, spec: &ChainSpec) -> Result<Place, ConfigError> {
        self.check_ranges()?;
        let least = spec.limits().operation_bytes_max as usize;
        range("pool.pending_bytes_max", self.pool.pending_bytes_max, least, PENDING_BYTES_MAX)?;
        let named = spec.id_of_name(&self.name);
        let Some((id, replica)) = named.and_then(|id| Some((id, spec.replica(id)?))) else {
            let names: Vec<&str> = spec.replicas().iter().map(|r| r.name.as_str()).collect();
            let allowed = format!("a replica of the chain: {}", names.join(", "));
            return Err(field("name", format!("{:?}", self.name), allowed));
        };
        let listen = match self.listen {
            Some(listen) => listen,
            None => listen_address(&replica.address)?,
        };
        Ok(Place { id, listen })
    }

    fn check_ranges(&self) -> Result<(), ConfigError> {
        let (min, max) = TICK_MS_RANGE;
        if !(min..=max).contains(&self.tick_ms) {
            return Err(field("tick_ms", self.tick_ms.to_string(), format!("{min} to {max}")));
        }
        range("pool.pending_max", self.pool.pending_max, 1, PENDING_MAX)?;
        let (per_client, all) = (self.pool.pending_per_client_max, self.pool.pending_max);
        range("pool.pending_per_client_max", per_client, 1, all)?;
        range("pool.pending_bytes_max", self.pool.pending_bytes_max, 1, PENDING_BYTES_MAX)?;
        if let Some(snapshots) = &self.snapshots {
            snapshots.check()?;
        }
        self.scrub.check()?;
        range("rpc_allowed_hosts", self.rpc_allowed_hosts.len(), 0, ALLOWED_HOSTS_MAX)?;
        if self.key_file == self.transport_key_file {
            let found = self.key_file.display().to_string();
            return Err(field("transport_key_file", found, "another file than key_file".into()));
        }
        Ok(())
    }
}

/// Where to listen when only the address is known at which others reach this replica: at that IP
/// address, or, for a name, at all of the machine's IPv4 addresses.
fn listen_address(address: &str) -> Result<SocketAddr, ConfigError> {
    if let Ok(address) = address.parse() {
        return Ok(address);
    }
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let port = port.ok_or_else(|| {
        field("listen", address.to_owned(), "an IP address and a port, such as 0.0.0.0:7000".into())
    })?;
    Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
}

fn range(name: &'static str, found: usize, min: usize, max: usize) -> Result<(), ConfigError> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(field(name, found.to_string(), format!("{min} to {max}")))
}

pub(crate) const fn field(field: &'static str, found: String, allowed: String) -> ConfigError {
    ConfigError::Field { field, found, allowed }
}

#[cfg(test)]
mod tests {
    use daruma_chainspec::{
        AutomatonSpec, KnownAutomata, Limits, ReplicaSpec, SpecDraft, ViewEstablishment,
    };

    use super::*;
    use crate::keys::SecretSeed;

    const LEAST: &str = "name = \"r1\"\ndata_dir = \"data\"\nkey_file = \"a.key\"\n\
                         transport_key_file = \"/keys/b.key\"\n";

    fn spec(address: &str) -> ChainSpec {
        let replica = |index: u16| ReplicaSpec {
            name: format!("r{index}"),
            key: SecretSeed::generate().unwrap().public_key(),
            transport_key: SecretSeed::generate().unwrap().public_key(),
            address: if index == 1 { address.into() } else { format!("a:{}", 7000 + index) },
        };
        let draft = SpecDraft {
            name: "test".into(),
            faulty: None,
            view_establishment: ViewEstablishment::Certified,
            automaton: AutomatonSpec::named("no-op"),
            limits: Limits::default(),
            replicas: (0..4).map(replica).collect(),
        };
        ChainSpec::generate(draft, &KnownAutomata::any()).unwrap()
    }

    fn refusal(text: &str) -> String {
        let parsed = NodeConfig::parse(text, Path::new(""));
        parsed.and_then(|config| config.check(&spec("b:1")).map(drop)).unwrap_err().to_string()
    }

    #[test]
    fn four_lines_are_enough_and_relative_paths_start_at_the_files_folder() {
        let config = NodeConfig::parse(LEAST, Path::new("/etc/daruma")).unwrap();
        let expected =
            NodeConfig::new("r1", "/etc/daruma/data", "/etc/daruma/a.key", "/keys/b.key");
        assert_eq!(config, expected);
        assert_eq!(config.pool.local_limits(), LocalLimits::default());
    }

    #[test]
    fn an_ip_address_of_the_chainspec_is_listened_on_and_a_name_means_all_addresses() {
        let config = NodeConfig::parse(LEAST, Path::new("")).unwrap();
        let listen = |address| config.check(&spec(address)).unwrap().listen.to_string();
        assert_eq!(listen("127.0.0.1:7001"), "127.0.0.1:7001");
        assert_eq!(listen("[::1]:7001"), "[::1]:7001");
        assert_eq!(listen("r1.example.org:7001"), "0.0.0.0:7001");
        let other = format!("{LEAST}listen = \"127.0.0.2:9\"\n");
        let config = NodeConfig::parse(&other, Path::new("")).unwrap();
        let place = config.check(&spec("b:1")).unwrap();
        assert_eq!((place.id, place.listen.to_string()), (ReplicaId(1), "127.0.0.2:9".into()));
    }

    #[test]
    fn values_out_of_range_are_refused_with_what_is_allowed() {
        for (line, expected) in [
            ("tick_ms = 9", "tick_ms: found 9; allowed: 10 to 1000"),
            ("tick_ms = 1001", "tick_ms: found 1001; allowed: 10 to 1000"),
            ("[pool]\npending_max = 0", "pool.pending_max: found 0; allowed: 1 to 65536"),
            (
                "[pool]\npending_max = 5\npending_per_client_max = 6",
                "pool.pending_per_client_max: found 6; allowed: 1 to 5",
            ),
            (
                "[pool]\npending_bytes_max = 16383",
                "pool.pending_bytes_max: found 16383; allowed: 16384 to 1073741824",
            ),
        ] {
            assert_eq!(refusal(&format!("{LEAST}{line}\n")), expected);
        }
        let renamed = LEAST.replace("r1", "r9");
        assert_eq!(
            refusal(&renamed),
            "name: found \"r9\"; allowed: a replica of the chain: r0, r1, r2, r3"
        );
        let one_key = LEAST.replace("/keys/b.key", "a.key");
        assert!(refusal(&one_key).contains("another file than key_file"));
    }

    #[test]
    fn unknown_and_missing_fields_are_refused_by_name() {
        assert!(refusal(&format!("{LEAST}tick = 5\n")).contains("tick_ms"));
        assert!(refusal(&format!("{LEAST}[log]\nlevel = \"loud\"\n")).contains("debug"));
        assert!(refusal("name = \"r1\"\n").contains("data_dir"));
    }

    #[test]
    fn the_documented_example_is_accepted() {
        let example = include_str!("config.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! ").or_else(|| line.strip_prefix("//!")))
            .skip_while(|line| *line != "```toml")
            .skip(1)
            .take_while(|line| *line != "```")
            .collect::<Vec<_>>()
            .join("\n");
        assert!(NodeConfig::parse(&example, Path::new("")).is_ok());
    }
}
