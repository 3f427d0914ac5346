//! `daruma dev`: a network on this machine, each replica in a process of its own.

mod folder;
mod ports;
mod replicas;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use daruma_types::limits::REPLICAS_MAX;
use serde_json::json;
use tempfile::TempDir;

use self::folder::{NetworkFolder, Wanted};
use self::replicas::{Event, Replicas};
use super::chain::EstablishmentArguments;
use super::stop::Stop;
use super::{CliError, block_on, output};

/// How long all replicas together may take until they are healthy. On an idle machine it takes a
/// second; a machine that is compiling something is slower.
const HEALTHY_MAX: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Replicas [default: 4].
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// How many of them may be faulty [default: the most that their number allows].
    #[arg(long, value_name = "F")]
    faulty: Option<u32>,
    #[command(flatten)]
    establishment: EstablishmentArguments,
    /// What the chain computes [default: append-list].
    #[arg(long, value_name = "NAME")]
    automaton: Option<String>,
    /// Keep everything in this folder. If there is a network in it, that one is started again.
    /// Otherwise a temporary folder is used, and removed at the end.
    #[arg(long, value_name = "DIR")]
    persist: Option<PathBuf>,
    /// JSON-RPC on this port and those after it, the replicas' own connections on the ports from 100
    /// above; 0 for free ports.
    #[arg(long, value_name = "P", default_value_t = 0)]
    base_port: u16,
    /// Stop after so many seconds [default: at Ctrl-C].
    #[arg(long, value_name = "S")]
    duration_s: Option<u64>,
    /// Start a replica that has ended again.
    #[arg(long)]
    respawn: bool,
    /// Print one JSON object for each replica when all are healthy.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn execute(self) -> Result<(), CliError> {
        if let Some(nodes) = self.nodes
            && !(1..=REPLICAS_MAX).contains(&nodes)
        {
            return Err(CliError::bad_input(format!("--nodes {nodes}: 1 to {REPLICAS_MAX}")));
        }
        let wanted = Wanted {
            nodes: self.nodes,
            faulty: self.faulty,
            establishment: self.establishment.chosen(),
            automaton: self.automaton.clone(),
            base_port: self.base_port,
        };
        // Removed when it is dropped, which is after all replicas have ended.
        let temporary = if self.persist.is_none() { Some(temporary_folder()?) } else { None };
        let path = match (&self.persist, &temporary) {
            (Some(path), _) => path.as_path(),
            (None, Some(folder)) => folder.path(),
            (None, None) => Path::new("."),
        };
        let folder = NetworkFolder::open(path, &wanted)?;
        block_on(self.network(folder))
    }

    async fn network(&self, folder: NetworkFolder) -> Result<(), CliError> {
        let begin = Instant::now();
        let mut stop = Stop::new(false)?;
        let mut replicas = Replicas::start(&folder, self.respawn)?;
        if !self.json {
            self.introduce(&folder, &replicas);
        }
        let healthy = tokio::select! {
            healthy = replicas.healthy(HEALTHY_MAX) => healthy,
            _ = stop.requested() => {
                replicas.stop().await;
                return Ok(());
            }
        };
        if let Err(error) = healthy {
            replicas.stop().await;
            return Err(error);
        }
        if self.json {
            for index in 0..folder.replicas.len() {
                show_json(&folder, &replicas, index);
            }
        } else {
            let seconds = begin.elapsed().as_secs_f64();
            let count = folder.replicas.len();
            output::line(format!("All {count} replicas are healthy after {seconds:.1} s.\n"));
            advise(&folder);
        }
        self.watch(&folder, &mut replicas, &mut stop, begin).await;
        replicas.stop().await;
        Ok(())
    }

    /// Tells of replicas that end, until it is time to stop.
    async fn watch(
        &self,
        folder: &NetworkFolder,
        replicas: &mut Replicas,
        stop: &mut Stop,
        begin: Instant,
    ) {
        let left = self.duration_s.map(|s| Duration::from_secs(s).saturating_sub(begin.elapsed()));
        let end = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        loop {
            let event = tokio::select! {
                () = &mut end => return,
                _ = stop.requested() => return,
                event = replicas.next() => event,
            };
            match event {
                Event::Ended { index, how } => {
                    if let Some(replica) = folder.replicas.get(index) {
                        let name = &replica.name;
                        eprintln!("{name} has ended ({how}); its log: {}", replica.log.display());
                        if !self.respawn {
                            eprintln!("  start it again: {}", folder.run_command(replica));
                        }
                    }
                }
                Event::Started { index } if self.json => show_json(folder, replicas, index),
                Event::Started { index } => {
                    if let (Some(replica), Some(pid)) =
                        (folder.replicas.get(index), replicas.pid(index))
                    {
                        output::line(format!("{} runs again, pid {pid}", replica.name));
                    }
                }
            }
        }
    }

    fn introduce(&self, folder: &NetworkFolder, replicas: &Replicas) {
        let spec = &folder.spec;
        output::line(format!(
            "{} replicas of which {} may be faulty, automaton {}, chain {}\n",
            spec.replicas().len(),
            spec.thresholds().faulty_max(),
            spec.automaton().name,
            spec.chain_id(),
        ));
        let heading = ["name", "pid", "RPC", "data"].map(str::to_owned).to_vec();
        let mut rows = vec![heading];
        for (index, replica) in folder.replicas.iter().enumerate() {
            rows.push(vec![
                replica.name.clone(),
                replicas.pid(index).map(|pid| pid.to_string()).unwrap_or_default(),
                replica.rpc_url(),
                replica.data.display().to_string(),
            ]);
        }
        output::table(&rows);
        output::line("");
    }
}

fn temporary_folder() -> Result<TempDir, CliError> {
    tempfile::Builder::new()
        .prefix("daruma-dev-")
        .tempdir()
        .map_err(|error| CliError::failed(format!("cannot make a temporary folder: {error}")))
}

fn show_json(folder: &NetworkFolder, replicas: &Replicas, index: usize) {
    let Some(replica) = folder.replicas.get(index) else { return };
    output::json(&json!({
        "name": replica.name,
        "pid": replicas.pid(index),
        "rpc": replica.rpc_url(),
        "data": replica.data,
        "log": replica.log,
        "config": replica.config,
        "chain": folder.chain,
    }));
}

fn advise(folder: &NetworkFolder) {
    let program = folder::program_name();
    let urls: Vec<String> =
        folder.replicas.iter().map(|replica| format!("--rpc {}", replica.rpc_url())).collect();
    let urls = urls.join(" ");
    let first = folder.replicas.first().map(folder::Replica::rpc_url).unwrap_or_default();
    output::line("In another terminal:");
    output::line(format!("  export DARUMA_CHAIN={}", folder.chain.display()));
    if folder.spec.automaton().name == "append-list" {
        output::line(format!("  {program} tx submit {urls} --wait hello"));
        output::line(format!("  {program} query --rpc {first} range"));
    }
    output::line(format!("  {program} status {urls}"));
    if let Some(replica) = folder.replicas.first() {
        output::line(format!("\nTo start {} again after `kill -9`:", replica.name));
        output::line(format!("  {}", folder.run_command(replica)));
    }
    output::line("\nCtrl-C stops the network.");
}
