//! Damage far below what a start looks at, found by the scrubber of a replica that serves.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use daruma_rpc_api::NodeApiClient;
use daruma_rpc_client::Connection;
use daruma_scenarios::clients::Load;
use daruma_scenarios::{Options, checks, one_at_a_time, with_network};
use daruma_store::{Batch, Column, RocksStore, Store};

const DARUMA: &str = env!("CARGO_BIN_EXE_daruma");
const FOUR: Options = Options { nodes: 4, faulty: Some(1) };

/// A start looks at 256 blocks; the damage is below them.
const BLOCKS: u64 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_block_damaged_far_below_the_head_is_found_by_the_scrubber_and_had_from_the_others()
-> Result<()> {
    let _turn = one_at_a_time().await;
    with_network(Path::new(DARUMA), FOUR, async |network| {
        while network.status(3).await?.height.0 < BLOCKS {
            Load::of(60).start(network)?.finish().await?;
        }
        checks::all_agree(network).await?;
        network.kill(3).await?;
        let replica = network.replicas().last().context("no replicas")?;
        let (data, rpc) = (replica.data.clone(), replica.rpc.clone());
        let key = 5_u64.to_be_bytes();
        let sound = {
            let store = RocksStore::open(data.join("ledger"))?;
            let sound = store.row(Column::Blocks, &key)?.context("no block")?;
            let mut batch = Batch::default();
            batch.put(Column::Blocks, key, vec![7; 40]);
            store.mend(batch)?;
            sound
        };
        network.restart(3).await?;
        let connection = Connection::open(&rpc).await?;
        let healed = async {
            loop {
                let log = connection.heal_log(None, None).await?;
                let evidence: String = log.records.iter().map(|r| r.evidence.as_str()).collect();
                let had = log.records.iter().any(|r| r.done.contains("had again from another"));
                if had && evidence.contains("found by the scrubber") {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), healed).await.context("not healed")??;
        let scrub = connection.scrub(Some(true)).await?;
        ensure!(scrub.paused && scrub.findings.0 == 1, "{scrub:?}");
        checks::all_agree(network).await?;
        network.kill(3).await?;
        let store = RocksStore::open(data.join("ledger"))?;
        ensure!(store.row(Column::Blocks, &key)?.as_ref() == Some(&sound), "another block");
        drop(store);
        network.restart(3).await?;
        checks::all_agree(network).await?;
        Ok(())
    })
    .await
}
