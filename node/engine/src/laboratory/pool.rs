//! An arbitrary pool.

use super::{Client, Load, Pending, Pool};
use crate::config::LocalLimits;
use crate::laboratory::{Garbage, Size, Values};

impl Pool {
    /// Sets every variable.
    pub(crate) fn scramble(&mut self, garbage: &mut Garbage<'_>) {
        let Self { clients, loads, settled, places, checked } = self;
        garbage.set("pool.clients", clients, |g| {
            let size = if g.values() == Values::Largest { 3 } else { g.size(4) };
            (0..size).map(|_| client(g)).collect()
        });
        garbage.set("pool.loads", loads, |g| {
            g.each(|g, _| Load {
                count: g.number(&[0, 4_096]) as usize,
                bytes: g.number(&[0, 8 * 1024 * 1024]) as usize,
            })
        });
        garbage.set("pool.settled", settled, |g| g.number(&[0]));
        garbage.set("pool.places", places, |g| g.number(&[0, 4]));
        garbage.set("pool.checked", checked, |g| g.maybe(|g| Some((g.client(), g.nonce()))));
    }

    /// What is held.
    pub(crate) fn sizes(&self, limits: &LocalLimits, sizes: &mut alloc::vec::Vec<Size>) {
        let lines = || self.clients.values().map(|client| client.line.len());
        let held: usize = lines().sum();
        sizes.push(Size::new("pool", held, limits.pending_max));
        let most = lines().max().unwrap_or(0);
        sizes.push(Size::new("pool.client", most, limits.pending_per_client_max));
        sizes.push(Size::new("pool.clients", self.clients.len(), limits.pending_max));
        let lines = self.clients.values().flat_map(|client| client.line.values());
        let bytes = lines.map(|pending| pending.transaction.encoded_bytes()).sum();
        sizes.push(Size::new("pool.bytes", bytes, limits.pending_bytes_max));
    }
}

fn client(g: &mut Garbage<'_>) -> (daruma_types::PublicKey, Client) {
    let mut key = g.client();
    let size = g.size(4);
    let line = (0..size)
        .map(|_| {
            let transaction = g.transaction();
            let nonce = if g.chance(90) { transaction.nonce } else { g.nonce() };
            if g.chance(90) {
                key = transaction.client;
            }
            let (spread, handed) = (g.flag(), g.flag());
            let from = g.replica();
            let ticks = g.small_number(&[2, 10, 40]);
            (nonce, Pending { transaction, from, spread, handed, ticks })
        })
        .collect();
    let (place, ahead) = (g.number(&[0, 4]), g.number(&[0, 16]));
    (key, Client { line, place, first_since: g.height(), ahead })
}
