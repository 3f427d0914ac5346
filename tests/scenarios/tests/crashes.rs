//! Processes are killed with SIGKILL under load. Nothing that was confirmed is lost, clients only
//! retry, and who starts again catches up by itself.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use daruma_scenarios::clients::{self, Load};
use daruma_scenarios::{Options, checks, one_at_a_time, transactions, with_network};

const DARUMA: &str = env!("CARGO_BIN_EXE_daruma");
const FOUR: Options = Options { nodes: 4, faulty: Some(1) };
const SEVEN: Options = Options { nodes: 7, faulty: Some(2) };

/// The longest that confirmations may stop when the primary is killed: it is suspected after half a
/// second to a second, and the rest is room for slow machines.
const GAP_MAX: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_the_primary_loses_nothing_and_it_catches_up_when_started_again() -> Result<()>
{
    let _turn = one_at_a_time().await;
    let load = Load::of(transactions());
    with_network(Path::new(DARUMA), FOUR, async |network| {
        let mut clients = load.start(network)?;
        clients.confirmed(load.total() / 3).await;
        let primary = network.primary(0).await?;
        network.kill(primary).await?;
        clients.confirmed(load.total() * 2 / 3).await;
        // Still without it; then it returns while the others go on.
        let others = (primary + 1) % FOUR.nodes;
        ensure!(network.primary(others).await? != primary, "the dead replica is primary");
        network.restart(primary).await?;
        let records = clients.finish().await?;
        let status = checks::all_hold(network, &records).await?;
        let gap = clients::longest_gap(&records);
        println!(
            "longest gap between confirmations {} ms, view {}",
            gap.as_millis(),
            status.view.0
        );
        ensure!(gap < GAP_MAX, "no confirmation for {gap:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_deaths_as_the_chain_tolerates_lose_nothing() -> Result<()> {
    let _turn = one_at_a_time().await;
    let load = Load::of(transactions() / 2);
    with_network(Path::new(DARUMA), SEVEN, async |network| {
        let mut clients = load.start(network)?;
        clients.confirmed(load.total() / 4).await;
        // The primary, and the one that would follow it.
        let primary = network.primary(0).await?;
        let next = (primary + 1) % SEVEN.nodes;
        network.kill_all(&[primary, next]).await?;
        clients.confirmed(load.total() / 2).await;
        network.restart(primary).await?;
        network.restart(next).await?;
        let records = clients.finish().await?;
        checks::all_hold(network, &records).await?;
        let gap = clients::longest_gap(&records);
        println!("longest gap between confirmations {} ms", gap.as_millis());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_all_replicas_at_once_loses_nothing_that_was_confirmed() -> Result<()> {
    let _turn = one_at_a_time().await;
    let load = Load::of(transactions());
    with_network(Path::new(DARUMA), FOUR, async |network| {
        let mut clients = load.start(network)?;
        // Several times, since what is on its way at that moment differs from one to the next.
        for part in 1..=4 {
            clients.confirmed(load.total() * part / 6).await;
            network.kill_all(&[0, 1, 2, 3]).await?;
            for index in 0..FOUR.nodes {
                network.restart(index).await?;
            }
        }
        let records = clients.finish().await?;
        let status = checks::all_hold(network, &records).await?;
        // Attestations that were on their way are lost with the processes, and must be made again.
        checks::every_block_can_be_proven(network, status.height.0).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_missed_everything_catches_up_without_new_transactions() -> Result<()> {
    let _turn = one_at_a_time().await;
    let load = Load::of(transactions() / 2);
    with_network(Path::new(DARUMA), FOUR, async |network| {
        network.kill(3).await?;
        std::fs::remove_dir_all(&network.replicas()[3].data)?;
        let records = load.start(network)?.finish().await?;
        network.restart(3).await?;
        checks::all_hold(network, &records).await?;
        Ok(())
    })
    .await
}
