//! A replica whose store stays closed for writes though its disk is well again begins again by itself: RocksDB
//! takes some errors of a disk for final, and only an opening from anew ends that.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use daruma_rpc_api::NodeApiClient;
use daruma_rpc_client::Connection;
use daruma_scenarios::clients::Load;
use daruma_scenarios::{DevNetwork, Options, checks, one_at_a_time, with_network};
use tokio::time::{sleep, timeout};

const DARUMA: &str = env!("CARGO_BIN_EXE_daruma");
const FOUR: Options = Options { nodes: 4, faulty: Some(1) };

/// Time between two questions.
const POLL: Duration = Duration::from_millis(100);

/// How long the replica may take to see that only its store refuses, and to begin again.
const BEGINS_AGAIN: Duration = Duration::from_secs(60);

/// How long a file of this process may become, in bytes or `unlimited`: what would make it longer fails.
fn limit_files(pid: u32, bytes: &str) -> Result<()> {
    let limit = format!("--fsize={bytes}:");
    let status = Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status()?;
    ensure!(status.success(), "prlimit: {status}");
    Ok(())
}

async fn connection(network: &DevNetwork, index: usize) -> Result<Connection> {
    let replica = network.replicas().get(index).context("no such replica")?;
    Ok(Connection::open(&replica.rpc).await?)
}

/// Waits until a replica says that its journal cannot be written.
async fn does_not_vote(network: &DevNetwork, index: usize) -> Result<()> {
    let connection = connection(network, index).await?;
    while !connection.node_health().await?.reasons.iter().any(|why| why.contains("journal")) {
        sleep(POLL).await;
    }
    Ok(())
}

/// Waits until a replica's heal log says that its node began again.
async fn began_again(network: &DevNetwork, index: usize) -> Result<()> {
    loop {
        // Nobody answers while it does.
        if let Ok(connection) = connection(network, index).await
            && let Ok(log) = connection.heal_log(None, None).await
            && log.records.iter().any(|record| record.component == "node")
        {
            return Ok(());
        }
        sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_store_stays_closed_after_the_disk_is_well_begins_again_by_itself()
-> Result<()> {
    let _turn = one_at_a_time().await;
    let load = Load::of(600);
    with_network(Path::new(DARUMA), FOUR, async |network| {
        let mut clients = load.start(network)?;
        clients.confirmed(load.total() / 3).await;
        let pid = network.replicas().last().context("no replicas")?.pid;
        limit_files(pid, "0")?;
        timeout(BEGINS_AGAIN, does_not_vote(network, 3)).await??;
        clients.confirmed(load.total() * 2 / 3).await;
        limit_files(pid, "unlimited")?;
        timeout(BEGINS_AGAIN, began_again(network, 3))
            .await
            .context("it did not begin again")??;
        ensure!(Path::new(&format!("/proc/{pid}")).exists(), "it is the same process");
        let records = clients.finish().await?;
        checks::all_hold(network, &records).await?;
        Ok(())
    })
    .await
}
