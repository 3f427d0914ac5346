//! A network of processes.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use daruma_chainspec::{ChainSpec, KnownAutomata};
use daruma_rpc_api::{NodeApiClient, NodeStatus, Peer};
use daruma_rpc_client::Connection;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::limits::{POLL, REPLICA_START_MAX, START_MAX, STOP_MAX};
use crate::process::{gone, send_signal};

/// What a network is started with.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Replicas.
    pub nodes: usize,
    /// How many may be faulty; none for the most.
    pub faulty: Option<usize>,
}

/// One replica, as `daruma dev --json` describes it.
#[derive(Debug, Clone, Deserialize)]
pub struct Replica {
    /// Its name.
    pub name: String,
    /// Its process; another one after [`DevNetwork::restart`].
    pub pid: u32,
    /// Its URL.
    pub rpc: String,
    /// Its data.
    pub data: PathBuf,
    /// What it logs.
    pub log: PathBuf,
    /// Its node.toml.
    pub config: PathBuf,
    /// The chain.toml.
    pub chain: PathBuf,
}

/// A network that was started with `daruma dev`. When it is dropped, all its processes end.
#[derive(Debug)]
pub struct DevNetwork {
    program: PathBuf,
    dev: Child,
    folder: PathBuf,
    spec: Arc<ChainSpec>,
    replicas: Vec<Replica>,
    /// Replicas that were started again, by `daruma run`.
    alone: BTreeMap<usize, Child>,
}

/// Runs `scenario` on a new network, and stops it. If the scenario fails, what the replicas logged is
/// kept, and the error says where.
///
/// # Errors
/// The scenario's own, or that the network did not start or stop.
pub async fn with_network<T>(
    program: &Path,
    options: Options,
    scenario: impl AsyncFnOnce(&mut DevNetwork) -> Result<T>,
) -> Result<T> {
    let folder = TempDir::with_prefix("daruma-scenario-")?;
    let result = async {
        let mut network = DevNetwork::start(program, options, folder.path()).await?;
        let result = scenario(&mut network).await?;
        network.stop().await?;
        Ok(result)
    };
    match Box::pin(result).await {
        Ok(result) => Ok(result),
        Err(error) => Err(keep(folder, error)),
    }
}

fn keep(folder: TempDir, error: anyhow::Error) -> anyhow::Error {
    let folder = folder.keep();
    error.context(format!("the replicas' logs are kept in {}/*/log", folder.display()))
}

impl DevNetwork {
    /// Starts a network in `folder`, or the one that is there, and waits until all its replicas are
    /// healthy.
    ///
    /// # Errors
    /// If they are not in time.
    pub async fn start(program: &Path, options: Options, folder: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["dev", "--json", "--nodes", &options.nodes.to_string()]);
        if let Some(faulty) = options.faulty {
            command.args(["--faulty", &faulty.to_string()]);
        }
        let mut dev = command
            .arg("--persist")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut lines = lines(&mut dev)?;
        let mut replicas = Vec::new();
        while replicas.len() < options.nodes {
            let line = timeout(START_MAX, lines.next_line()).await.context("no replicas")??;
            let Some(line) = line else { bail!("daruma dev has ended: {}", dev.wait().await?) };
            replicas.push(serde_json::from_str::<Replica>(&line)?);
        }
        let first = replicas.first().context("a network without replicas")?;
        let text = fs::read_to_string(&first.chain)?;
        let spec = Arc::new(ChainSpec::parse(&text, &KnownAutomata::any())?);
        let (program, folder) = (program.to_owned(), folder.to_owned());
        Ok(Self { program, dev, folder, spec, replicas, alone: BTreeMap::new() })
    }

    /// The chain.
    #[must_use]
    pub const fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// The replicas, by id.
    #[must_use]
    pub fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    /// The process that started the replicas.
    #[must_use]
    pub fn dev_pid(&self) -> Option<u32> {
        self.dev.id()
    }

    /// The URLs of all replicas.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.replicas.iter().map(|replica| replica.rpc.clone()).collect()
    }

    fn replica(&self, index: usize) -> Result<&Replica> {
        self.replicas.get(index).context("no such replica")
    }

    /// Kills a replica's process with SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn kill(&mut self, index: usize) -> Result<()> {
        self.kill_all(&[index]).await
    }

    /// Kills several replicas' processes, all before one of them can be noticed to be gone.
    ///
    /// # Errors
    /// If one of them does not run.
    pub async fn kill_all(&mut self, indices: &[usize]) -> Result<()> {
        let pids = indices.iter().map(|index| Ok(self.replica(*index)?.pid));
        let pids: Vec<u32> = pids.collect::<Result<_>>()?;
        let list = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        let status = Command::new("sh").args(["-c", &format!("kill -9 {list}")]).status().await?;
        ensure!(status.success(), "cannot kill {list}");
        for (index, pid) in indices.iter().zip(pids) {
            match self.alone.remove(index) {
                Some(mut child) => drop(child.wait().await?),
                None => gone(pid, STOP_MAX).await?,
            }
        }
        Ok(())
    }

    /// Starts a replica that was killed again, with `daruma run` on its data.
    ///
    /// # Errors
    /// If it does not start in time.
    pub async fn restart(&mut self, index: usize) -> Result<()> {
        let replica = self.replica(index)?;
        let log = OpenOptions::new().append(true).open(&replica.log)?;
        let mut child = Command::new(&self.program)
            .args(["run", "--json", "--exit-with-parent", "--chain"])
            .arg(&replica.chain)
            .arg("--config")
            .arg(&replica.config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let name = replica.name.clone();
        let line = timeout(REPLICA_START_MAX, lines(&mut child)?.next_line()).await;
        let line = line.with_context(|| format!("{name} did not start"))??;
        line.with_context(|| format!("{name} has ended at once"))?;
        if let (Some(replica), Some(pid)) = (self.replicas.get_mut(index), child.id()) {
            replica.pid = pid;
        }
        self.alone.insert(index, child);
        Ok(())
    }

    /// What a replica says of itself.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn status(&self, index: usize) -> Result<NodeStatus> {
        let connection = Connection::open(&self.replica(index)?.rpc).await?;
        Ok(connection.node_status().await?)
    }

    /// What a replica says of the others.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn peers(&self, index: usize) -> Result<Vec<Peer>> {
        let connection = Connection::open(&self.replica(index)?.rpc).await?;
        Ok(connection.net_peers().await?)
    }

    /// The primary in the word of replica `asked`.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn primary(&self, asked: usize) -> Result<usize> {
        let name = self.status(asked).await?.primary;
        let index = self.replicas.iter().position(|replica| replica.name == name);
        index.with_context(|| format!("{name} is no replica"))
    }

    /// Stops all processes, and waits until they are gone.
    ///
    /// # Errors
    /// If they are not in time.
    pub async fn stop(mut self) -> Result<()> {
        for child in self.alone.values_mut() {
            // The end of its input tells a replica to stop.
            drop(child.stdin.take());
        }
        for child in self.alone.values_mut() {
            timeout(STOP_MAX, child.wait()).await.context("a replica does not stop")??;
        }
        if let Some(pid) = self.dev.id() {
            send_signal(pid, "TERM")?;
        }
        let status = timeout(STOP_MAX, self.dev.wait()).await.context("dev does not stop")??;
        ensure!(status.success(), "daruma dev ended with {status}");
        Ok(())
    }

    /// Where the network's files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until no replica that `dev` started answers any more.
    ///
    /// # Errors
    /// If one still does after a while.
    pub async fn all_gone(&self) -> Result<()> {
        let deadline = Instant::now() + STOP_MAX;
        for replica in &self.replicas {
            let address = replica.rpc.trim_start_matches("http://");
            while tokio::net::TcpStream::connect(address).await.is_ok() {
                ensure!(Instant::now() < deadline, "{} still runs", replica.name);
                sleep(POLL).await;
            }
        }
        Ok(())
    }
}

fn lines(child: &mut Child) -> Result<Lines<BufReader<ChildStdout>>> {
    let stdout = child.stdout.take().context("the process has no output")?;
    Ok(BufReader::new(stdout).lines())
}
