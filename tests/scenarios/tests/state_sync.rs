//! A replica that lost everything comes back from a snapshot, because the others pruned the blocks.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use daruma_rpc_api::{BlockJson, ErrorKind, RpcFailure};
use daruma_rpc_client::Connection;
use daruma_scenarios::clients::Load;
use daruma_scenarios::{DevNetwork, Options, checks, one_at_a_time, with_network};
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::rpc_params;
use tokio::time::{Duration, Instant, sleep};

const DARUMA: &str = env!("CARGO_BIN_EXE_daruma");
const FOUR: Options = Options { nodes: 4, faulty: Some(1) };

/// Snapshots every 20 blocks; of the blocks, those below the second last but five go.
const SNAPSHOTS: &str = "\n[snapshots]\nevery = 20\nkeep = 2\nprune = true\nprune_margin = 5\n";

/// Enough for several snapshots, whatever the blocks hold.
const HEIGHT: u64 = 110;

/// How long the restoring of a small state may take.
const RESTORED_MAX: Duration = Duration::from_secs(30);

/// Loads after which there are that many blocks, at most.
const LOADS_MAX: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lost_everything_restores_a_snapshot_where_blocks_were_pruned() -> Result<()>
{
    let _turn = one_at_a_time().await;
    with_network(Path::new(DARUMA), FOUR, async |network| {
        for index in 0..FOUR.nodes {
            network.kill(index).await?;
            let config = network.replicas()[index].config.clone();
            OpenOptions::new().append(true).open(config)?.write_all(SNAPSHOTS.as_bytes())?;
            network.restart(index).await?;
        }
        let mut records = Vec::new();
        for _ in 0..LOADS_MAX {
            // One at a time, so that there are blocks.
            let load = Load { clients: 1, each: 20, in_flight: 1 };
            records.extend(load.start(network)?.finish().await?);
            if network.status(0).await?.height.0 >= HEIGHT {
                break;
            }
        }
        let height = checks::all_agree(network).await?.height.0;
        ensure!(height >= HEIGHT, "only {height} blocks");
        for index in 0..FOUR.nodes {
            ensure!(first_block(network, index).await? > 1, "replica {index} has pruned nothing");
        }

        network.kill(3).await?;
        let lost = network.replicas()[3].clone();
        let listed = snapshot(&["list", "--json", "--config"], &[&lost.config])?;
        let heights: Vec<serde_json::Value> = serde_json::from_str(&listed)?;
        ensure!(heights.len() == 2, "{listed}");
        let verify = ["verify", "--json", "--chain"];
        let files = [lost.chain.as_path(), Path::new("--config"), lost.config.as_path()];
        let verified = snapshot(&verify, &files)?;
        ensure!(verified.lines().filter(|line| line.contains("\"sound\":true")).count() == 2);
        fs::remove_dir_all(&lost.data)?;
        network.restart(3).await?;
        let again = checks::all_agree(network).await?;
        ensure!(again.height.0 >= height, "it is at {}", again.height.0);
        let first = first_block(network, 3).await?;
        ensure!(first > 1, "it executed everything, from block {first}");
        // It stands on the snapshot's checkpoint before it has the state.
        let deadline = Instant::now() + RESTORED_MAX;
        while !fs::read_to_string(&lost.log)?.contains("the state was restored from a snapshot") {
            ensure!(Instant::now() < deadline, "it has not restored a snapshot");
            sleep(Duration::from_millis(50)).await;
        }

        let load = Load { clients: 4, each: 10, in_flight: 2 };
        records.extend(load.start(network)?.finish().await?);
        checks::all_agree(network).await?;
        let mut lists = Vec::new();
        for replica in network.replicas() {
            lists.push(checks::read_list(&replica.rpc).await?);
        }
        ensure!(lists.iter().all(|list| list == &lists[0]), "the replicas' lists differ");
        let confirmed = records.iter().flat_map(|record| &record.confirmed);
        for confirmed in confirmed {
            ensure!(lists[0].contains(&confirmed.item), "{} is missing", confirmed.item);
        }
        Ok(())
    })
    .await
}

/// The first block that a replica keeps, as its refusal of block 1 says; 1 if it has that.
async fn first_block(network: &DevNetwork, index: usize) -> Result<u64> {
    let connection = Connection::open(&network.replicas()[index].rpc).await?;
    let asked = connection.request::<BlockJson, _>("chain_getBlock", rpc_params![1]).await;
    let error = match asked {
        Ok(_) => return Ok(1),
        Err(ClientError::Call(error)) => error,
        Err(other) => bail!(other),
    };
    let failure = RpcFailure::read(&error).context("an error of another interface")?;
    ensure!(failure.data.kind == ErrorKind::Pruned, "{failure}");
    failure.data.earliest.context("the first block is not told")
}

fn snapshot(arguments: &[&str], files: &[&Path]) -> Result<String> {
    let run = Command::new(DARUMA).arg("snapshot").args(arguments).args(files).output()?;
    ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Ok(String::from_utf8(run.stdout)?)
}
