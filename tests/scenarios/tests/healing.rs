//! Replicas are killed again and again, frozen, wiped, and robbed of what they can make anew. The network
//! goes on or comes back by itself, and nothing that was confirmed is lost.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use daruma_scenarios::clients::{self, Load};
use daruma_scenarios::{
    DevNetwork, Options, checks, kills, one_at_a_time, send_signal, with_network,
};
use daruma_store::{Batch, Class, Column, RocksStore, Store};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DARUMA: &str = env!("CARGO_BIN_EXE_daruma");
const FOUR: Options = Options { nodes: 4, faulty: Some(1) };
const SEVEN: Options = Options { nodes: 7, faulty: Some(2) };

/// Items that are confirmed between two kills, at most: the next kill may find the last victim still on
/// its way back.
const CONFIRMED_BETWEEN_MAX: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn c_r01_kills_at_random_times_under_load_lose_nothing_that_was_confirmed() -> Result<()> {
    let _turn = one_at_a_time().await;
    let load = Load::of(kills() * CONFIRMED_BETWEEN_MAX + CONFIRMED_BETWEEN_MAX);
    with_network(Path::new(DARUMA), FOUR, async |network| {
        let mut random = StdRng::seed_from_u64(1);
        let mut clients = load.start(network)?;
        let (mut confirmed, mut slowest) = (0, 0);
        for _ in 0..kills() {
            confirmed += random.random_range(1..=CONFIRMED_BETWEEN_MAX);
            clients.confirmed(confirmed).await;
            let victim = random.random_range(0..FOUR.nodes);
            network.kill(victim).await?;
            let begin = Instant::now();
            network.restart(victim).await?;
            slowest = slowest.max(begin.elapsed().as_millis());
        }
        let records = clients.finish().await?;
        checks::all_hold(network, &records).await?;
        let gap = clients::longest_gap(&records);
        println!(
            "{} kills, slowest start {slowest} ms, longest gap {} ms",
            kills(),
            gap.as_millis()
        );
        Ok(())
    })
    .await
}

/// In turns, `f` replicas lose everything but their keys and `f` others are frozen, under load.
async fn wiped_and_frozen(options: Options) -> Result<()> {
    let faulty = options.faulty.unwrap_or_default();
    let turns = options.nodes / (2 * faulty);
    let load = Load::of(400 * (turns + 1));
    with_network(Path::new(DARUMA), options, async |network| {
        let mut clients = load.start(network)?;
        for turn in 0..turns {
            clients.confirmed(load.total() * (turn + 1) / (turns + 2)).await;
            let first = 2 * faulty * turn;
            let (wiped, frozen) = (first..first + faulty, first + faulty..first + 2 * faulty);
            network.kill_all(&wiped.clone().collect::<Vec<_>>()).await?;
            for index in frozen.clone() {
                send_signal(pid(network, index)?, "STOP")?;
            }
            for index in wiped {
                wipe(network, index)?;
                network.restart(index).await?;
            }
            // The wiped ones make a quorum again while the others stand still.
            clients.confirmed(load.total() * (2 * turn + 3) / (2 * turns + 4)).await;
            for index in frozen {
                send_signal(pid(network, index)?, "CONT")?;
            }
        }
        let records = clients.finish().await?;
        checks::all_hold(network, &records).await?;
        println!("longest gap {} ms", clients::longest_gap(&records).as_millis());
        Ok(())
    })
    .await
}

fn pid(network: &DevNetwork, index: usize) -> Result<u32> {
    Ok(network.replicas().get(index).context("no such replica")?.pid)
}

fn wipe(network: &DevNetwork, index: usize) -> Result<()> {
    let replica = network.replicas().get(index).context("no such replica")?;
    Ok(std::fs::remove_dir_all(&replica.data)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn heal_sigstop_f_wiped_and_f_frozen_in_turn_of_four() -> Result<()> {
    let _turn = one_at_a_time().await;
    wiped_and_frozen(FOUR).await
}

#[tokio::test(flavor = "multi_thread")]
async fn heal_sigstop_f_wiped_and_f_frozen_in_turn_of_seven() -> Result<()> {
    let _turn = one_at_a_time().await;
    wiped_and_frozen(SEVEN).await
}

/// Stops all replicas, changes rows of all their stores, and starts them again, in the middle of a load.
async fn all_changed(change: impl Fn(&dyn Store, usize) -> Result<()>) -> Result<()> {
    let load = Load::of(800);
    with_network(Path::new(DARUMA), FOUR, async |network| {
        let mut clients = load.start(network)?;
        clients.confirmed(load.total() / 2).await;
        network.kill_all(&[0, 1, 2, 3]).await?;
        for (index, replica) in network.replicas().iter().enumerate() {
            change(&RocksStore::open(replica.data.join("ledger"))?, index)?;
        }
        let begin = Instant::now();
        for index in 0..FOUR.nodes {
            network.restart(index).await?;
        }
        println!("all started after {} ms", begin.elapsed().as_millis());
        let records = clients.finish().await?;
        checks::all_hold(network, &records).await?;
        println!("longest gap {} ms", clients::longest_gap(&records).as_millis());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn heal_state_missing_everywhere_is_executed_anew_by_all() -> Result<()> {
    let _turn = one_at_a_time().await;
    all_changed(|store, _| {
        let mut batch = Batch::default();
        for column in Column::ALL.into_iter().filter(|column| column.class() == Class::Derived) {
            for (key, _) in store.rows(column, b"", usize::MAX)? {
                batch.delete(column, key);
            }
        }
        ensure!(!batch.is_empty(), "nothing to delete");
        Ok(store.mend(batch)?)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn heal_round_counter_arbitrary_control_rows_of_all_are_garbage() -> Result<()> {
    let _turn = one_at_a_time().await;
    all_changed(|store, index| {
        let mut random = StdRng::seed_from_u64(index as u64);
        let mut batch = Batch::default();
        for column in [Column::Journal, Column::Meta] {
            for (key, value) in store.rows(column, b"", usize::MAX)? {
                // Another chain's name is no damage.
                if key != daruma_store::CHAIN {
                    batch.put(column, key, value.iter().map(|_| random.random()).collect());
                }
            }
        }
        ensure!(!batch.is_empty(), "nothing to change");
        Ok(store.mend(batch)?)
    })
    .await
}
