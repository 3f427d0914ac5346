//! Clients that submit items to an append-list, each its own numbered ones.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use daruma_rpc_client::{Account, Client};
use daruma_types::{Outcome, SecretKey};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::DevNetwork;
use crate::limits::CONFIRM_MAX;

/// What the clients do.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Clients at once.
    pub clients: usize,
    /// Items of each.
    pub each: usize,
    /// Items that one client has in flight at once; its next ones wait until all are confirmed.
    pub in_flight: usize,
}

/// What one client did.
#[derive(Debug)]
pub struct Record {
    /// The client's number.
    pub client: usize,
    /// Its items in the order in which it submitted them, each confirmed.
    pub confirmed: Vec<Confirmed>,
}

/// An item that a client holds as confirmed.
#[derive(Debug, Clone)]
pub struct Confirmed {
    /// The item.
    pub item: String,
    /// When.
    pub at: Instant,
}

/// Clients at work.
#[derive(Debug)]
pub struct Clients {
    tasks: JoinSet<Result<Record>>,
    confirmed: watch::Receiver<usize>,
}

/// A new client's account.
#[must_use]
pub fn account() -> Account {
    Account::new(SecretKey::from_bytes(&rand::random()))
}

/// A client that asks the replicas in another order than others do, by WebSocket or HTTP in turns.
///
/// # Errors
/// Never with the URLs of a network.
pub fn client(network: &DevNetwork, number: usize) -> Result<Client> {
    let mut urls = network.urls();
    let first = number % urls.len().max(1);
    urls.rotate_left(first);
    if number.is_multiple_of(2) {
        for url in &mut urls {
            *url = url.replacen("http://", "ws://", 1);
        }
    }
    Ok(Client::new(network.spec().clone(), urls)?)
}

/// The item that client `client` submits as its `number`-th.
#[must_use]
pub fn item(client: usize, number: usize) -> String {
    format!("client {client} item {number}")
}

impl Load {
    /// A load of at least `transactions` in all, from eight clients.
    #[must_use]
    pub const fn of(transactions: usize) -> Self {
        Self { clients: 8, each: transactions.div_ceil(8), in_flight: 8 }
    }

    /// All items.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.clients * self.each
    }

    /// Starts the clients.
    ///
    /// # Errors
    /// Never with the URLs of a network.
    pub fn start(&self, network: &DevNetwork) -> Result<Clients> {
        let (progress, confirmed) = watch::channel(0);
        let mut tasks = JoinSet::new();
        for number in 0..self.clients {
            let client = client(network, number)?;
            tasks.spawn(work(*self, number, client, progress.clone()));
        }
        Ok(Clients { tasks, confirmed })
    }
}

async fn work(
    load: Load,
    number: usize,
    client: Client,
    progress: watch::Sender<usize>,
) -> Result<Record> {
    let account = account();
    let mut record = Record { client: number, confirmed: Vec::with_capacity(load.each) };
    let mut next = 0;
    while next < load.each {
        let end = load.each.min(next + load.in_flight);
        let items: Vec<String> = (next..end).map(|n| item(number, n)).collect();
        let operations = items.iter().map(|item| item.clone().into_bytes()).collect();
        let results = client.submit_ordered(&account, operations, CONFIRM_MAX).await;
        let at = Instant::now();
        ensure!(results.len() == items.len(), "{} results", results.len());
        for (item, result) in items.into_iter().zip(results) {
            let confirmed = result.with_context(|| item.clone())?;
            let executed = matches!(confirmed.outcome, Outcome::Executed { .. });
            ensure!(executed, "{item}: {:?}", confirmed.outcome);
            record.confirmed.push(Confirmed { item, at });
        }
        progress.send_modify(|count| *count += end - next);
        next = end;
    }
    Ok(record)
}

impl Clients {
    /// Waits until so many items are confirmed. If a client has failed, [`Self::finish`] says why.
    pub async fn confirmed(&mut self, count: usize) {
        // It fails only when all clients have ended.
        let _ = self.confirmed.wait_for(|confirmed| *confirmed >= count).await;
    }

    /// Waits until all clients are done.
    ///
    /// # Errors
    /// The first that a client met.
    pub async fn finish(mut self) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        while let Some(record) = self.tasks.join_next().await {
            records.push(record??);
        }
        records.sort_by_key(|record| record.client);
        Ok(records)
    }
}

/// The longest time between two confirmations, over all clients.
#[must_use]
pub fn longest_gap(records: &[Record]) -> Duration {
    let mut times: Vec<Instant> =
        records.iter().flat_map(|record| &record.confirmed).map(|confirmed| confirmed.at).collect();
    times.sort_unstable();
    let gaps = times.iter().zip(times.iter().skip(1)).map(|(a, b)| b.duration_since(*a));
    gaps.max().unwrap_or_default()
}
