//! Looks at everything that a replica needs to run, and changes nothing: findings in plain words, each with
//! what to do.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use daruma_chainspec::ChainSpec;
use daruma_driver::now_ms;
use daruma_ledger::{HealRecord, LedgerReader};
use daruma_store::{ReadOnly, RocksStore, Store, StoreError};
use daruma_types::PublicKey;
use rustix::fs::{Access, access, statvfs};

use crate::NodeConfig;
use crate::audit::{LEDGER, beside};
use crate::keys::SecretSeed;

/// Free bytes on the disk below which a replica should not run: RocksDB needs room to merge its files, and a
/// full disk makes a replica mute.
pub const FREE_BYTES_MIN: u64 = 1 << 30;

/// Files that a process may hold open, at least: 256 of the store, 512 connections of clients, and those of
/// the other replicas and of the system.
pub const OPEN_FILES_MIN: u64 = 1024;

/// How far the clock may be behind the time of the last block, in ms. Block times are proposers' clocks.
pub const CLOCK_BEHIND_MAX_MS: u64 = 10_000;

/// The time before which no clock that is right can be: 2025-01-01, in ms since 1970.
pub const CLOCK_MIN_MS: u64 = 1_735_689_600_000;

/// Records of the heal log that are told.
const HEALS_TOLD: usize = 5;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// As it should be.
    Fine,
    /// Good to know.
    Note,
    /// The replica does not run, or not well, or not for long.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// What was looked at.
    pub what: &'static str,
    /// How much it matters.
    pub weight: Weight,
    /// What was found.
    pub found: String,
    /// What to do about it; empty if nothing.
    pub advice: String,
}

impl Diagnosis {
    fn fine(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, weight: Weight::Fine, found: found.into(), advice: String::new() }
    }

    fn note(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what, weight: Weight::Note, found: found.into(), advice: advice.into() }
    }

    fn problem(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what, weight: Weight::Problem, found: found.into(), advice: advice.into() }
    }
}

/// What a look at one replica came to.
#[derive(Debug, Clone, Default)]
pub struct Examination {
    /// What was found, in the order in which it was looked at.
    pub diagnoses: Vec<Diagnosis>,
    /// Whether a node has the data folder open.
    pub running: bool,
    /// The last records of the heal log, the newest first; none if a node runs, which can be asked.
    pub heals: Vec<HealRecord>,
}

/// Looks at the replica of `config` on `spec`'s chain: keys, folder, disk, limits, store, ports and clock.
#[must_use]
pub fn examine(config: &NodeConfig, spec: &ChainSpec) -> Examination {
    let mut examination = Examination::default();
    let found = &mut examination.diagnoses;
    let place = match config.check(spec) {
        Ok(place) => {
            found.push(Diagnosis::fine("configuration", "fits the chain"));
            Some(place)
        }
        Err(error) => {
            let advice = "change node.toml, or use the chain.toml that this replica belongs to";
            found.push(Diagnosis::problem("configuration", error.to_string(), advice));
            None
        }
    };
    let replica = spec.id_of_name(&config.name).and_then(|id| spec.replica(id));
    let keys = [
        ("consensus key", &config.key_file, replica.map(|replica| replica.key)),
        ("transport key", &config.transport_key_file, replica.map(|r| r.transport_key)),
    ];
    found.extend(keys.map(|(what, file, expected)| key(what, file, expected)));
    found.extend(folder(&config.data_dir));
    found.push(open_files());
    examination.store(config, spec);
    if let Some(place) = place
        && !examination.running
    {
        let found = &mut examination.diagnoses;
        found.push(port("port for replicas", place.listen, "listen"));
        found.push(port("port for clients", config.rpc_listen, "rpc_listen"));
    }
    examination
}

fn key(what: &'static str, file: &Path, expected: Option<PublicKey>) -> Diagnosis {
    let key = match SecretSeed::read(file) {
        Ok(key) => key.public_key(),
        Err(error) => {
            let advice = "without it the replica does not start; keep key files mode 600";
            return Diagnosis::problem(what, error.to_string(), advice);
        }
    };
    match expected {
        Some(expected) if expected != key => Diagnosis::problem(
            what,
            format!("{} holds {key}; chain.toml has {expected} for this replica", file.display()),
            "use this replica's own key file, or its name in node.toml",
        ),
        Some(_) => Diagnosis::fine(what, format!("{key}, as chain.toml has it")),
        None => Diagnosis::note(what, format!("{key}"), "no replica to compare it with"),
    }
}

/// The data folder, and the disk it lies on.
fn folder(data: &Path) -> Vec<Diagnosis> {
    let what = "data folder";
    let shown = data.display();
    let metadata = match fs::metadata(data) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let found = format!("{shown} is not there yet");
            return vec![Diagnosis::note(what, found, "the first start makes it")];
        }
        Err(error) => {
            let advice = "let the user that runs the replica reach it";
            return vec![Diagnosis::problem(what, format!("{shown}: {error}"), advice)];
        }
    };
    if !metadata.is_dir() {
        let advice = "name a folder as data_dir in node.toml";
        return vec![Diagnosis::problem(what, format!("{shown} is no folder"), advice)];
    }
    let mut found = Vec::new();
    let mode = metadata.mode() & 0o777;
    found.push(match access(data, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        Err(error) => {
            let owner = metadata.uid();
            let why = format!("{shown} (mode {mode:03o}, user {owner}): {error}");
            Diagnosis::problem(
                what,
                why,
                "run this as the user that runs the replica, and let it write",
            )
        }
        Ok(()) if mode & 0o022 != 0 => Diagnosis::note(
            what,
            format!("{shown} has mode {mode:03o}: others may write to it"),
            format!("chmod go-w {shown}"),
        ),
        Ok(()) => Diagnosis::fine(what, format!("{shown}, mode {mode:03o}")),
    });
    let what = "disk";
    found.push(match statvfs(data) {
        Err(error) => Diagnosis::problem(what, format!("{shown}: {error}"), "check the disk"),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let text = format!("{} MiB are free", free >> 20);
            match free < FREE_BYTES_MIN {
                true => Diagnosis::problem(
                    what,
                    text,
                    "make room: a replica with a full disk neither votes nor executes",
                ),
                false => Diagnosis::fine(what, text),
            }
        }
    });
    found
}

fn open_files() -> Diagnosis {
    let what = "open files";
    let limits = match fs::read_to_string("/proc/self/limits") {
        Ok(limits) => limits,
        Err(error) => return Diagnosis::note(what, format!("/proc/self/limits: {error}"), ""),
    };
    let soft = open_files_in(&limits);
    match soft {
        Some(soft) if soft < OPEN_FILES_MIN => Diagnosis::problem(
            what,
            format!("a process started from here may open {soft} files"),
            format!("raise the limit to {OPEN_FILES_MIN} or more (ulimit -n, or LimitNOFILE)"),
        ),
        Some(soft) => Diagnosis::fine(what, format!("a process started from here may open {soft}")),
        None => Diagnosis::fine(what, "without limit"),
    }
}

/// The soft limit in the text of `/proc/self/limits`; none if there is none.
fn open_files_in(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn port(what: &'static str, address: SocketAddr, field: &str) -> Diagnosis {
    match TcpListener::bind(address) {
        Ok(_) => Diagnosis::fine(what, format!("{address} is free")),
        Err(error) => Diagnosis::problem(
            what,
            format!("cannot listen on {address}: {error}"),
            format!("stop what listens there, or set {field} in node.toml"),
        ),
    }
}

impl Examination {
    /// The store: whether it can be opened, what lies beside it, what was repaired last, and whether the clock
    /// fits its last block.
    fn store(&mut self, config: &NodeConfig, spec: &ChainSpec) {
        let folder = config.data_dir.join(LEDGER);
        for (path, what) in beside(&folder) {
            let found = format!("{} is there: {what}", path.display());
            let advice = "look at it, or remove it once nobody wants to study it";
            self.diagnoses.push(Diagnosis::note("folder kept", found, advice));
        }
        let clock = now_ms();
        let mut time = match clock < CLOCK_MIN_MS {
            true => Diagnosis::problem(
                "clock",
                "it stands before 2025",
                "set it, and keep it set (NTP)",
            ),
            false => Diagnosis::fine("clock", "it can be right"),
        };
        let what = "store";
        self.diagnoses.push(match open(&folder) {
            Ok(None) => Diagnosis::note(what, "there is none yet", "the first start makes it"),
            Ok(Some(ReadOnly::Damaged { why })) => Diagnosis::note(
                what,
                format!("its files do not fit together: {why}"),
                "the next start salvages it by itself; check the disk",
            ),
            Ok(Some(ReadOnly::Opened { store, log_damage })) => {
                let reader =
                    LedgerReader::new(Arc::clone(&store) as Arc<dyn Store>, spec.chain_id());
                let head = reader.head();
                if let Ok(head) = &head
                    && head.timestamp_ms > clock.saturating_add(CLOCK_BEHIND_MAX_MS)
                {
                    let behind = (head.timestamp_ms - clock) / 1000;
                    let found = format!("it is {behind} s behind the time of the last block");
                    time = Diagnosis::problem("clock", found, "set it, and keep it set (NTP)");
                }
                self.heals = store.heals_before(None, HEALS_TOLD).unwrap_or_default();
                let damage = log_damage.or_else(|| store.file_damage().map(str::to_owned));
                match (damage, head) {
                    (Some(why), _) => Diagnosis::note(
                        what,
                        format!("files are damaged: {why}"),
                        "the next start repairs it by itself; check the disk",
                    ),
                    (None, Err(why)) => Diagnosis::note(
                        what,
                        format!("the head cannot be read: {why}"),
                        "the next start repairs it by itself; `daruma verify` says more",
                    ),
                    (None, Ok(head)) => {
                        let height = head.claim.height;
                        Diagnosis::fine(what, format!("can be opened; the last block is {height}"))
                    }
                }
            }
            Err(StoreError::Locked { .. }) => {
                self.running = true;
                Diagnosis::fine(what, "a node has it open")
            }
            Err(error) => Diagnosis::problem(
                what,
                error.to_string(),
                "let the user that runs the replica read and write the folder",
            ),
        });
        self.diagnoses.push(time);
    }
}

/// The store in `folder`; none where there is none yet.
fn open(folder: &Path) -> Result<Option<ReadOnly>, StoreError> {
    let failed =
        |error: io::Error| StoreError::Open { path: folder.into(), why: error.to_string() };
    match fs::read_dir(folder).map(Iterator::count) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(0) => return Ok(None),
        Ok(_) | Err(_) => {}
    }
    let scratch = tempfile::tempdir().map_err(failed)?;
    RocksStore::open_read_only(folder, scratch.path()).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_read_from_what_the_system_says() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             1                    2                    processes \n\
                      Max open files            4096                 524288               files     \n";
        assert_eq!(open_files_in(limits), Some(4096));
        assert_eq!(open_files_in("Max open files            unlimited  unlimited files"), None);
    }

    #[test]
    fn a_port_that_is_taken_is_a_problem_with_advice() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = port("port", taken.local_addr().unwrap(), "listen");
        assert_eq!(found.weight, Weight::Problem);
        assert!(found.advice.contains("listen in node.toml"), "{found:?}");
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_noted() {
        use std::os::unix::fs::PermissionsExt;
        let folder_ = tempfile::tempdir().unwrap();
        fs::set_permissions(folder_.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(folder(folder_.path())[0].weight, Weight::Note);
        fs::set_permissions(folder_.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(folder(folder_.path())[0].weight, Weight::Fine);
        assert_eq!(folder(&folder_.path().join("x"))[0].weight, Weight::Note);
    }
}
