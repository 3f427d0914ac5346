//! Messages and submissions on their way.

use std::sync::Arc;

use daruma_adversary::Surroundings;
use daruma_engine::{Destination, Input, admit};
use daruma_types::{Message, ReplicaId, Transaction, codec, limits as hard, supersedes};

use super::{Event, World};
use crate::door::Door;
use crate::replica::Replica;
use crate::{Invariant, limits};

/// Between a client and a replica.
const CLIENT_DELAY_US: u64 = 500;

impl World<'_> {
    /// A replica's engine sends a message.
    pub(super) fn send(&mut self, from: usize, to: Destination, message: Message) {
        let id = self.replicas[from].id;
        let message = Arc::new(message);
        let bytes = self.check_encoding(&message);
        if self.replicas[from].correct {
            let sound = self.checkers.sent(id, &message);
            self.check(sound);
        } else if let Message::Summary(summary) = &*message {
            self.replicas[from].summary = Some(summary.clone());
        }
        let receivers: Vec<ReplicaId> = match to {
            Destination::All => self.committee.ids().filter(|to| *to != id).collect(),
            Destination::One(to) => vec![to],
        };
        for to in receivers {
            if self.crashes_now(from) {
                return;
            }
            if self.replicas[from].adversary.is_none() {
                self.stats.bytes += bytes;
                self.route(from, to, Arc::clone(&message));
            } else {
                for said in self.twisted(from, to, &message) {
                    self.stats.bytes += bytes;
                    self.route(from, to, said);
                }
            }
        }
    }

    /// Encodes a message for its size, and now and then back again.
    fn check_encoding(&mut self, message: &Message) -> u64 {
        let encoded = codec::encode(message);
        if encoded.len() > hard::FRAME_BYTES_MAX {
            let what = format!("a {} of {} bytes", message.name(), encoded.len());
            self.broken((Invariant::Bounds, what));
        }
        if self.stats.messages.is_multiple_of(limits::ROUND_TRIP_EVERY)
            && codec::decode::<Message>(&encoded).as_ref() != Ok(message)
        {
            let what = format!("a {} does not decode to itself", message.name());
            self.broken((Invariant::Codec, what));
        }
        encoded.len() as u64
    }

    /// What the adversary of a replica makes of a message of its engine.
    fn twisted(&mut self, from: usize, to: ReplicaId, message: &Arc<Message>) -> Vec<Arc<Message>> {
        let committee = Arc::clone(&self.committee);
        let now_us = self.now_us;
        let Replica { id, context, adversary, summary, epoch_ms, .. } = &mut self.replicas[from];
        let Some(adversary) = adversary else { return vec![Arc::clone(message)] };
        let around = Surroundings {
            own: *id,
            committee: &committee,
            signer: context.signer.as_ref(),
            now_ms: *epoch_ms + now_us / 1000,
            summary: summary.as_ref(),
        };
        adversary.outgoing(to, Arc::clone(message), &around)
    }

    /// What an adversary says of its own accord.
    pub(super) fn sayings(&mut self, from: usize) {
        let committee = Arc::clone(&self.committee);
        let now_us = self.now_us;
        let Replica { id, context, adversary, summary, epoch_ms, .. } = &mut self.replicas[from];
        let Some(adversary) = adversary else { return };
        let around = Surroundings {
            own: *id,
            committee: &committee,
            signer: context.signer.as_ref(),
            now_ms: *epoch_ms + now_us / 1000,
            summary: summary.as_ref(),
        };
        for (to, message) in adversary.on_tick(&around) {
            self.route(from, to, message);
        }
    }

    /// Puts a message on the link.
    fn route(&mut self, from: usize, to: ReplicaId, message: Arc<Message>) {
        let (id, side) = (self.replicas[from].id, self.replicas[from].side);
        if to == id || to.index() >= self.committee.thresholds().replicas() {
            return;
        }
        if let Message::Attestation(attestation) = &*message {
            match self.checkers.gather(id, attestation) {
                Ok(confirmed) => self.confirmed(&confirmed),
                Err(broken) => self.broken(broken),
            }
        }
        if self.twins.get(&id).is_some_and(|(twins, _)| twins.heard_by(to) != side) {
            return;
        }
        let target = match self.twins.get(&to) {
            Some((twins, second)) if twins.heard_by(id) == 1 => *second,
            Some(_) | None => to.index(),
        };
        self.stats.messages += 1;
        for arrival in self.links.send(id, to, self.now_us).into_iter().flatten() {
            let event = if arrival.corrupt {
                let mut bytes = codec::encode(&*message);
                self.links.corrupt(&mut bytes);
                if bytes == codec::encode(&*message) {
                    continue;
                }
                Event::DeliverCorrupt { to: target, from: id, bytes, kind: message.name() }
            } else {
                Event::Deliver { to: target, from: id, message: Arc::clone(&message) }
            };
            self.queue.push(arrival.at_us, event);
        }
    }

    /// A message arrives.
    pub(super) fn deliver(&mut self, to: usize, from: ReplicaId, message: Arc<Message>) {
        let (now_us, name) = (self.now_us, message.name());
        self.trace.mix(&[now_us, to as u64, u64::from(from.0), tag(name)]);
        if self.replicas[to].running.is_none() {
            return;
        }
        let Some(message) = self.heard(to, from, message) else { return };
        self.trace_message(to, from, &message);
        match self.admitted(to, from, (*message).clone()) {
            Ok(admitted) => self.step(to, Input::Received { from, message: admitted }),
            Err(refusal) => {
                self.stats.refused += 1;
                let id = self.replicas[to].id;
                self.trace.line(now_us, || format!("{id} refuses a {name} of {from}: {refusal}"));
                if self.replicas[from.index()].correct {
                    let what =
                        format!("{id} refused a {name} of {from}, which is correct: {refusal}");
                    self.broken((Invariant::Refused, what));
                }
            }
        }
    }

    /// What an adversary lets its engine hear.
    fn heard(&mut self, to: usize, from: ReplicaId, message: Arc<Message>) -> Option<Arc<Message>> {
        let committee = Arc::clone(&self.committee);
        let now_us = self.now_us;
        let Replica { id, context, adversary, summary, epoch_ms, .. } = &mut self.replicas[to];
        let Some(adversary) = adversary else { return Some(message) };
        let around = Surroundings {
            own: *id,
            committee: &committee,
            signer: context.signer.as_ref(),
            now_ms: *epoch_ms + now_us / 1000,
            summary: summary.as_ref(),
        };
        adversary.incoming(from, message, &around)
    }

    fn admitted(
        &self,
        to: usize,
        from: ReplicaId,
        message: Message,
    ) -> Result<daruma_engine::Admitted, String> {
        let replica = &self.replicas[to];
        let Some(running) = &replica.running else { return Err("it is down".to_owned()) };
        let door = Door {
            committee: &self.committee,
            verifier: self.verifier.as_ref(),
            limits: self.plan.chain,
            verified: &self.verified,
            reader: &running.reader,
        };
        admit(from, message, &door).map_err(|refusal| refusal.to_string())
    }

    /// Changed bytes arrive. The transport would notice, since it authenticates; so that the codec
    /// and the door are tried as well, they see the bytes first. What is signed they must refuse.
    pub(super) fn deliver_corrupt(
        &mut self,
        to: usize,
        from: ReplicaId,
        bytes: &[u8],
        kind: &'static str,
    ) {
        let now_us = self.now_us;
        self.trace.mix(&[now_us, to as u64, u64::from(from.0), bytes.len() as u64]);
        if self.replicas[to].running.is_none() {
            return;
        }
        let Ok(message) = codec::decode::<Message>(bytes) else {
            self.stats.count("corrupt: not decoded");
            return;
        };
        if codec::encode(&message) != bytes {
            let what = format!(
                "changed bytes of a {kind} decode to a {}, and have another form",
                message.name()
            );
            self.broken((Invariant::Codec, what));
        }
        let signed = is_signed(&message);
        match self.admitted(to, from, message) {
            Err(_) => self.stats.count("corrupt: refused at the door"),
            Ok(_) if !signed => self.stats.count("corrupt: left to the transport"),
            Ok(_) => {
                let what = format!("a {kind} with changed bytes was admitted");
                self.broken((Invariant::Codec, what));
            }
        }
    }

    /// A client acts.
    pub(super) fn wake_client(&mut self, client: usize) {
        let asking = self.asking();
        let deeds = self.clients.wake(client, self.now_us, asking);
        for transaction in &deeds.signed {
            self.checkers.signed(transaction);
        }
        for submission in deeds.sent {
            let (to, transaction) = (submission.to, submission.transaction);
            self.queue.push(self.now_us + CLIENT_DELAY_US, Event::Submit { to, transaction });
        }
        self.queue.push(deeds.wake_us, Event::Client(client));
    }

    /// A client's transaction arrives at a replica, where the door is the same as for messages.
    pub(super) fn submit(&mut self, to: ReplicaId, transaction: Transaction) {
        let to = to.index();
        self.trace.mix(&[self.now_us, to as u64, transaction.nonce]);
        let (client, nonce) = (transaction.client, transaction.nonce);
        let mut transactions = vec![transaction];
        if let Some(adversary) = &mut self.replicas[to].adversary {
            transactions = adversary.submitted(transactions);
        }
        let Some(running) = &self.replicas[to].running else { return };
        let last = running.reader.last_nonce(&client).ok().flatten();
        transactions.retain(|t| supersedes(t.nonce, last));
        if transactions.is_empty() {
            self.stats.count("submission: superseded or censored");
            return;
        }
        let id = self.replicas[to].id;
        self.trace.line(self.now_us, || format!("{id} is given {client:?} nonce {nonce}"));
        self.step(to, Input::Submitted { transactions });
    }

    fn trace_message(&mut self, to: usize, from: ReplicaId, message: &Message) {
        let id = self.replicas[to].id;
        let side = if self.replicas[to].side == 1 { "'" } else { "" };
        self.trace.line(self.now_us, || {
            format!("{from} -> {id}{side} {}", crate::describe::message(message))
        });
    }
}

/// Whether changed bytes of such a message must be noticed by its signatures alone.
const fn is_signed(message: &Message) -> bool {
    match message {
        Message::Token { .. }
        | Message::TokenReturn { .. }
        | Message::Summary(_)
        | Message::Want(_)
        | Message::Fetch { .. }
        // A body is believed for its hash only, by whoever wants it.
        | Message::Body(_) => false,
        Message::Blocks(blocks) => !blocks.is_empty(),
        Message::StateCertificates(certificates) => !certificates.is_empty(),
        Message::Transactions(transactions) => !transactions.is_empty(),
        Message::Demand(_)
        | Message::Leave(_)
        | Message::Report(_)
        | Message::Enter(_)
        | Message::NewView(_)
        | Message::PrePrepare(_)
        | Message::Vote(_)
        | Message::Certificate(_)
        | Message::Attestation(_) => true,
    }
}

/// A name as a number, for the fingerprint.
fn tag(name: &str) -> u64 {
    name.bytes().fold(0, |tag, byte| tag.wrapping_mul(31).wrapping_add(u64::from(byte)))
}
