//! Clients that submit for a while.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use daruma_rpc_client::{Account, Client, limits::WINDOW_TRANSACTIONS_MAX};
use daruma_scenarios::clients::{account, client};
use daruma_scenarios::{DevNetwork, limits::CONFIRM_MAX};
use daruma_types::Outcome;
use tokio::task::JoinSet;

use crate::Arguments;

/// Clients that fill the list before the measurement.
const FILLERS: usize = 8;

/// When a client submits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// As soon as all before is confirmed.
    Closed,
    /// So many operations fall due in each second.
    Rate(f64),
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Samples {
    /// One for each confirmed operation, ascending.
    pub(crate) latencies: Vec<Duration>,
    /// From the start to the last confirmation.
    pub(crate) seconds: f64,
}

impl Samples {
    /// The latency below which so many percent are.
    pub(crate) fn percentile_ms(&self, percent: usize) -> f64 {
        let index = (self.latencies.len() * percent / 100).min(self.latencies.len() - 1);
        self.latencies.get(index).copied().unwrap_or_default().as_secs_f64() * 1000.0
    }
}

/// One client's part of the load.
#[derive(Clone, Copy)]
struct Part {
    number: usize,
    pace: Pace,
    in_flight: usize,
    payload: usize,
    /// No operation is sent, or falls due, from then on.
    end: Instant,
    /// Operations at most.
    count_max: usize,
}

/// Puts `count` items in the list.
pub(crate) async fn prefill(network: &DevNetwork, count: usize, payload: usize) -> Result<()> {
    let mut tasks = JoinSet::new();
    for number in 0..FILLERS {
        let part = Part {
            number: number + 1000,
            pace: Pace::Closed,
            in_flight: WINDOW_TRANSACTIONS_MAX,
            payload,
            end: Instant::now() + Duration::from_secs(24 * 3600),
            count_max: count / FILLERS + usize::from(number < count % FILLERS),
        };
        tasks.spawn(part.work(client(network, number)?));
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    Ok(())
}

/// Runs all clients for `duration`.
pub(crate) async fn run(
    network: &DevNetwork,
    arguments: &Arguments,
    pace: Pace,
    duration: Duration,
) -> Result<Samples> {
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..arguments.clients {
        let part = Part {
            number,
            pace,
            in_flight: arguments.in_flight,
            payload: arguments.payload,
            end: begin + duration,
            count_max: usize::MAX,
        };
        tasks.spawn(part.work(client(network, number)?));
    }
    let mut latencies = Vec::new();
    while let Some(result) = tasks.join_next().await {
        latencies.extend(result??);
    }
    let seconds = begin.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Ok(Samples { latencies, seconds })
}

impl Part {
    async fn work(self, client: Client) -> Result<Vec<Duration>> {
        let account = account();
        let begin = Instant::now();
        let mut latencies = Vec::new();
        while latencies.len() < self.count_max {
            let now = Instant::now();
            if now >= self.end {
                break;
            }
            let done = latencies.len();
            let room = self.in_flight.min(self.count_max - done);
            let due: Vec<Instant> = match self.pace {
                Pace::Closed => vec![now; room],
                Pace::Rate(rate) => {
                    let at = |n: usize| begin + Duration::from_secs_f64(n as f64 / rate);
                    let first = at(done);
                    if first > now {
                        tokio::time::sleep_until(first.into()).await;
                        continue;
                    }
                    (done..done + room).map(at).take_while(|at| *at <= now).collect()
                }
            };
            self.submit(&client, &account, done, &due, &mut latencies).await?;
        }
        Ok(latencies)
    }

    async fn submit(
        &self,
        client: &Client,
        account: &Account,
        first: usize,
        due: &[Instant],
        latencies: &mut Vec<Duration>,
    ) -> Result<()> {
        let operations = (first..).zip(due).map(|(number, _)| self.operation(number)).collect();
        let results = client.submit_ordered(account, operations, CONFIRM_MAX).await;
        let now = Instant::now();
        for (due, result) in due.iter().zip(results) {
            let outcome = result.context("not confirmed")?.outcome;
            ensure!(matches!(outcome, Outcome::Executed { .. }), "{outcome:?}");
            latencies.push(now.duration_since(*due));
        }
        Ok(())
    }

    /// Different for each operation, and as long as asked for.
    fn operation(&self, number: usize) -> Vec<u8> {
        let mut item = format!("client {} item {number} ", self.number).into_bytes();
        item.resize(self.payload, b'.');
        item
    }
}
