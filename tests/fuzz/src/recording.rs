//! Messages of a simulated run: four real engines, some blocks, and a primary that falls silent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;

use daruma_engine::{Destination, Effect, Input};
use daruma_store::{MemoryStore, Store};
use daruma_types::{Message, Promise, ReplicaId};

use crate::chain::{CLIENTS, REPLICAS, chain};
use crate::engine::replica::Replica;

/// Messages kept of each kind.
const KEPT_PER_KIND: usize = 6;

/// Rounds of ticks in the run.
const ROUNDS: u32 = 120;

/// What was said and promised.
#[derive(Debug, Default)]
pub struct Recording {
    /// Who sent what; at most some of each kind, the latest last.
    pub messages: Vec<(ReplicaId, Message)>,
    /// Promises, at most some of each kind.
    pub promises: Vec<Promise>,
}

/// The one recording of all targets.
pub fn recording() -> &'static Recording {
    static RECORDING: OnceLock<Recording> = OnceLock::new();
    RECORDING.get_or_init(|| Network::start().run())
}

/// The messages of the recording.
pub fn recorded() -> &'static [(ReplicaId, Message)] {
    &recording().messages
}

struct Network {
    replicas: Vec<Replica>,
    /// From, to, what.
    queue: VecDeque<(ReplicaId, usize, Message)>,
    /// Hears and says nothing.
    silent: Option<usize>,
    kinds: BTreeMap<&'static str, usize>,
    found: Recording,
}

impl Network {
    fn start() -> Self {
        let mut network = Self {
            replicas: Vec::new(),
            queue: VecDeque::new(),
            silent: None,
            kinds: BTreeMap::new(),
            found: Recording::default(),
        };
        let mut first = Vec::new();
        for id in 0..REPLICAS {
            match Replica::start(ReplicaId(id), &MemoryStore::new(), None, false) {
                Ok((replica, effects)) => {
                    network.replicas.push(replica);
                    first.push(effects);
                }
                Err(error) => panic!("an empty ledger does not open: {error}"),
            }
        }
        for (index, effects) in first.into_iter().enumerate() {
            network.perform(index, effects);
        }
        network
    }

    fn run(mut self) -> Recording {
        for round in 0..ROUNDS {
            // The first primary falls silent in the middle, and comes back to catch up.
            self.silent = (40..90).contains(&round).then_some(0);
            if round % 3 == 0 {
                let client = (round % u32::from(CLIENTS)) as u16;
                let transaction = chain().transaction(client, u64::from(round) + 1, false, 1);
                let submitted = Input::Submitted { transactions: vec![transaction] };
                let to = if round % 2 == 0 { 1 } else { 2 };
                let effects = self.replicas[to].engine.step(submitted);
                self.perform(to, effects);
            }
            for index in 0..self.replicas.len() {
                let now_ms = 1_000 + 25 * u64::from(round);
                let effects = self.replicas[index].engine.step(Input::Tick { now_ms });
                self.perform(index, effects);
            }
            self.deliver();
        }
        self.found
    }

    fn deliver(&mut self) {
        while let Some((from, to, message)) = self.queue.pop_front() {
            if self.silent == Some(to) || self.silent == Some(from.index()) {
                continue;
            }
            let effects = self.replicas[to].receive(from, message);
            self.perform(to, effects);
            while !self.replicas[to].decided.is_empty() {
                match self.replicas[to].execute() {
                    Ok(effects) => self.perform(to, effects),
                    Err(error) => panic!("the ledger refuses: {error}"),
                }
            }
        }
    }

    fn perform(&mut self, index: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Promise { promise, then } => {
                    self.keep_promise(&promise);
                    if let Err(error) = self.replicas[index].store.journal(&[promise]) {
                        panic!("the journal refuses: {error}");
                    }
                    then.into_iter().for_each(|(to, message)| self.send(index, to, message));
                }
                Effect::Send { to, message } => self.send(index, to, message),
                Effect::Execute(block) => self.replicas[index].decided.push_back(block),
                Effect::ServeBlocks { to, from, count } => {
                    let reader = &self.replicas[index].reader;
                    let blocks = reader.certified_blocks(from, count as usize, 1 << 20);
                    let blocks = blocks.unwrap_or_default();
                    let attested = blocks.iter().filter_map(|block| {
                        reader.state_certificate(block.certificate.height).ok().flatten()
                    });
                    let attested = Message::StateCertificates(attested.collect());
                    self.send(index, Destination::One(to), attested);
                    self.send(index, Destination::One(to), Message::Blocks(blocks));
                }
                Effect::Attested(certificate) => {
                    // Memory does not fail.
                    let _ = self.replicas[index].store.put_state_certificate(&certificate);
                }
                Effect::LookUpNonces(clients) => {
                    let effects = self.replicas[index].tell_nonces(&clients);
                    self.perform(index, effects);
                }
                Effect::Adopt { .. } => panic!("the chain of four correct replicas has split"),
                Effect::Mend(_) => panic!("no ledger of four correct replicas misses a block"),
                Effect::Pooled(_) | Effect::Observed(_) => {}
            }
        }
    }

    fn send(&mut self, index: usize, to: Destination, message: Message) {
        let from = self.replicas[index].id;
        let kept = self.kinds.entry(message.name()).or_default();
        if *kept < KEPT_PER_KIND && !self.found.messages.contains(&(from, message.clone())) {
            *kept += 1;
            self.found.messages.push((from, message.clone()));
        }
        for receiver in 0..self.replicas.len() {
            let meant = match to {
                Destination::All => true,
                Destination::One(one) => one.index() == receiver,
            };
            if meant && receiver != index {
                self.queue.push_back((from, receiver, message.clone()));
            }
        }
    }

    fn keep_promise(&mut self, promise: &Promise) {
        let kind = match promise {
            Promise::View { .. } => "promise: view",
            Promise::Floor { .. } => "promise: floor",
            Promise::Prepare { .. } => "promise: prepare",
            Promise::Body { .. } => "promise: body",
            Promise::Prepared { .. } => "promise: prepared",
        };
        let kept = self.kinds.entry(kind).or_default();
        if *kept < KEPT_PER_KIND {
            *kept += 1;
            self.found.promises.push(promise.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_run_has_a_view_change_a_catch_up_and_most_kinds_of_message() {
        let kinds: BTreeSet<&str> = recorded().iter().map(|(_, message)| message.name()).collect();
        for kind in
            ["new-view", "report", "demand", "blocks", "fetch", "attestation", "pre-prepare"]
        {
            assert!(kinds.contains(kind), "no {kind} among {kinds:?}");
        }
        assert!(kinds.len() >= 15, "{kinds:?}");
    }
}
