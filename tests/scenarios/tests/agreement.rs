//! Networks of several sizes execute what concurrent clients submit: each item once, each client's in
//! order, and the same on every replica.

use std::path::Path;

use anyhow::{Result, ensure};
use daruma_scenarios::clients::Load;
use daruma_scenarios::{Options, checks, one_at_a_time, transactions, with_network};

const DARUMA: &str = env!("CARGO_BIN_EXE_daruma");

async fn agree_on(options: Options, load: Load) -> Result<()> {
    let _turn = one_at_a_time().await;
    with_network(Path::new(DARUMA), options, async |network| {
        let thresholds = network.spec().thresholds();
        ensure!(options.faulty.is_none_or(|faulty| faulty == thresholds.faulty_max()));
        let records = load.start(network)?.finish().await?;
        let status = checks::all_hold(network, &records).await?;
        ensure!(status.height.0 > 0 && status.phase == 0, "{status:?}");
        ensure!(status.peers_connected + 1 == options.nodes, "{status:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn four_replicas_execute_what_eight_clients_submit_once_and_in_order() -> Result<()> {
    agree_on(Options { nodes: 4, faulty: None }, Load::of(transactions())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn six_replicas_with_one_fault_agree() -> Result<()> {
    agree_on(Options { nodes: 6, faulty: Some(1) }, Load::of(transactions() / 4)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_replicas_with_two_faults_agree() -> Result<()> {
    agree_on(Options { nodes: 7, faulty: Some(2) }, Load::of(transactions() / 4)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_replica_is_a_chain_too() -> Result<()> {
    agree_on(Options { nodes: 1, faulty: Some(0) }, Load::of(transactions() / 4)).await
}
