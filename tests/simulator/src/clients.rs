//! Clients: each asks for appends under its own key, repeats the same bytes at another replica until
//! they are confirmed, and goes on with the next nonce.

use std::collections::BTreeMap;
use std::sync::Arc;

use daruma_types::{ChainId, PublicKey, ReplicaId, Signer, Transaction};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::plan::ClientSettings;
use crate::scheme::{Keys, Role};

/// A transaction on its way to a replica.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    pub(crate) to: ReplicaId,
    pub(crate) transaction: Transaction,
}

/// What a client does when it wakes.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    /// Transactions signed just now.
    pub(crate) signed: Vec<Transaction>,
    /// Transactions sent, new ones and repeated ones.
    pub(crate) sent: Vec<Submission>,
    /// When the client wakes next.
    pub(crate) wake_us: u64,
}

struct Open {
    /// One, or two with one nonce if the client is two-faced about it.
    transactions: Vec<Transaction>,
    target: u16,
    retry_us: u64,
}

struct Client {
    signer: Arc<dyn Signer>,
    next_nonce: u64,
    open: BTreeMap<u64, Open>,
    next_new_us: u64,
}

/// All clients of a run.
pub(crate) struct Clients {
    all: Vec<Client>,
    index: BTreeMap<PublicKey, usize>,
    settings: ClientSettings,
    chain: ChainId,
    replicas: u16,
    random: ChaCha8Rng,
    pub(crate) repeated: u64,
}

impl Clients {
    pub(crate) fn new(
        settings: ClientSettings,
        keys: &Keys,
        chain: ChainId,
        replicas: u16,
        random: ChaCha8Rng,
    ) -> Self {
        let all: Vec<Client> = (0..settings.clients)
            .map(|i| Client {
                signer: keys.signer(Role::Client, i),
                next_nonce: 0,
                open: BTreeMap::new(),
                next_new_us: 0,
            })
            .collect();
        let index = all.iter().enumerate().map(|(i, c)| (c.signer.public_key(), i)).collect();
        Self { all, index, settings, chain, replicas, random, repeated: 0 }
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Transactions neither confirmed nor superseded.
    pub(crate) fn open(&self) -> usize {
        self.all.iter().map(|client| client.open.len()).sum()
    }

    /// Lets a client act. `asking`: whether it may still ask for new operations.
    pub(crate) fn wake(&mut self, client: usize, now_us: u64, asking: bool) -> Deeds {
        let mut deeds = Deeds::default();
        self.repeat(client, now_us, &mut deeds);
        let due = self.all[client].next_new_us <= now_us;
        if asking && due && self.all[client].open.len() < self.settings.in_flight {
            self.ask(client, now_us, &mut deeds);
            let pause_us = self.random.random_range(0..=self.settings.pause_us_max);
            self.all[client].next_new_us = now_us + pause_us;
        }
        let pause_us = self.random.random_range(1_000..=self.settings.pause_us_max.max(2_000));
        deeds.wake_us = now_us + pause_us;
        deeds
    }

    fn repeat(&mut self, client: usize, now_us: u64, deeds: &mut Deeds) {
        for open in self.all[client].open.values_mut() {
            if open.retry_us > now_us {
                continue;
            }
            open.retry_us = now_us + self.settings.retry_us;
            open.target = (open.target + 1) % self.replicas;
            for (offset, transaction) in open.transactions.iter().enumerate() {
                let to = ReplicaId((open.target + offset as u16) % self.replicas);
                deeds.sent.push(Submission { to, transaction: transaction.clone() });
                self.repeated += 1;
            }
        }
    }

    fn ask(&mut self, client: usize, now_us: u64, deeds: &mut Deeds) {
        let random = &mut self.random;
        let happens = |random: &mut ChaCha8Rng, per_mille: u32| {
            per_mille > 0 && random.random_range(0..1000) < per_mille
        };
        let to_all = happens(random, self.settings.to_all);
        let faces = if happens(random, self.settings.two_faced) { 2 } else { 1 };
        let gap = if random.random_bool(0.1) { random.random_range(1..1000) } else { 1 };
        let target = random.random_range(0..self.replicas);
        let own = &mut self.all[client];
        let nonce = own.next_nonce;
        own.next_nonce += gap;
        let mut transactions = Vec::new();
        for face in 0..faces {
            let mut operation = format!("c{client}:{nonce}:{face}").into_bytes();
            let bytes_max = self.settings.operation_bytes_max.max(operation.len());
            operation.resize(random.random_range(operation.len()..=bytes_max), b'.');
            let signer = own.signer.as_ref();
            transactions.push(Transaction::sign(self.chain, signer, nonce, operation));
        }
        for (offset, transaction) in transactions.iter().enumerate() {
            for to in 0..self.replicas {
                if to_all || to == (target + offset as u16) % self.replicas {
                    let transaction = transaction.clone();
                    deeds.sent.push(Submission { to: ReplicaId(to), transaction });
                }
            }
        }
        deeds.signed.extend(transactions.iter().cloned());
        let retry_us = now_us + self.settings.retry_us;
        own.open.insert(nonce, Open { transactions, target, retry_us });
    }

    /// A transaction is confirmed: it is done, and earlier ones of its client can never execute.
    pub(crate) fn confirmed(&mut self, client: &PublicKey, nonce: u64) {
        if let Some(&client) = self.index.get(client) {
            let open = &mut self.all[client].open;
            *open = open.split_off(&nonce.saturating_add(1));
        }
    }

    /// What waits, for people.
    pub(crate) fn waiting(&self) -> String {
        let lines: Vec<String> = self
            .all
            .iter()
            .enumerate()
            .filter(|(_, client)| !client.open.is_empty())
            .map(|(i, client)| {
                format!("client {i} ({:?}): {:?}", client.signer.public_key(), client.open.keys())
            })
            .collect();
        lines.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use crate::{Plan, Scheme};
    use daruma_types::Hash;

    fn clients(settings: ClientSettings) -> Clients {
        let keys = Keys::new(Scheme::Fast, 1);
        Clients::new(settings, &keys, ChainId(Hash([7; 32])), 4, stream(1, Purpose::Clients))
    }

    fn settings() -> ClientSettings {
        ClientSettings { clients: 1, in_flight: 1, ..Plan::calm(1, 4).clients }
    }

    #[test]
    fn the_same_bytes_go_to_the_next_replica_until_they_are_confirmed() {
        let mut clients = clients(settings());
        let first = clients.wake(0, 0, true);
        assert_eq!((first.signed.len(), first.sent.len(), clients.open()), (1, 1, 1));
        assert!(clients.wake(0, 10, true).sent.is_empty());
        let again = clients.wake(0, settings().retry_us, true);
        assert_eq!(again.sent[0].transaction, first.sent[0].transaction);
        assert_eq!(again.sent[0].to, ReplicaId((first.sent[0].to.0 + 1) % 4));
        let key = first.signed[0].client;
        clients.confirmed(&key, first.signed[0].nonce);
        assert_eq!(clients.open(), 0);
        let next = clients.wake(0, 10 * settings().retry_us, true);
        assert!(next.signed[0].nonce > first.signed[0].nonce);
    }

    #[test]
    fn a_confirmed_nonce_ends_the_earlier_ones_too() {
        let mut clients = clients(ClientSettings { in_flight: 3, pause_us_max: 0, ..settings() });
        let signed: Vec<_> = (0..3).flat_map(|i| clients.wake(0, i, true).signed).collect();
        assert_eq!(clients.open(), 3);
        clients.confirmed(&signed[1].client, signed[1].nonce);
        assert_eq!(clients.open(), 1);
    }

    #[test]
    fn a_two_faced_client_signs_two_operations_under_one_nonce() {
        let mut clients = clients(ClientSettings { two_faced: 1000, ..settings() });
        let signed = clients.wake(0, 0, true).signed;
        assert_eq!(signed.len(), 2);
        assert_eq!(signed[0].nonce, signed[1].nonce);
        assert_ne!(signed[0].operation, signed[1].operation);
    }
}
