//! Messages and submissions on their way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use daruma_adversary::Surroundings;
use daruma_engine::{AdmissionContext, Checked, Destination, Input, PoolRefusal};
use daruma_types::{Message, ReplicaId, Transaction, codec, limits as hard, supersedes};

use super::{Corrupt, Event, Refused, World};
use crate::door::Door;
use crate::parcel::Parcel;
use crate::replica::Replica;
use crate::{Invariant, limits};

/// Between a client and a replica.
const CLIENT_DELAY_US: u64 = 500;

impl World<'_> {
    /// A replica's engine sends a message.
    pub(super) fn send(&mut self, from: usize, to: Destination, message: Message) {
        let id = self.replicas[from].id;
        let unchecked = self.replicas[from].unchecked_ticks > 0;
        let parcel = Rc::new(Parcel::new(id, message, &self.door()).doubtful(unchecked));
        let bytes = self.check_encoding(parcel.message());
        if let Some(history) = &mut self.history {
            history.note(id, parcel.message());
        }
        if let Some(notes) = &mut self.notes {
            notes.hear(id, parcel.message());
        }
        // What every door refuses is no statement: whether it may be sent is judged where it arrives.
        let said = parcel.checked().is_ok() || !unchecked;
        if self.replicas[from].correct && said {
            let sound = self.checkers.sent(id, parcel.message());
            // What a faulty memory says is not this replica's fault, and within the budget not the others'.
            match sound {
                Err((invariant, what)) if self.is_healing(from) => {
                    self.trace.line(self.now_us, || format!("after a fault of memory: {what}"));
                    self.stats.count(invariant.name());
                }
                sound => self.check(sound),
            }
        } else if let Message::Summary(summary) = parcel.message() {
            self.replicas[from].summary = Some(summary.clone());
        }
        // An adversary gets a message that it may keep.
        let own = self.replicas[from].adversary.is_some().then(|| parcel.message().clone());
        let own = own.map(Arc::new);
        let receivers = match to {
            Destination::All => 0..self.committee.thresholds().replicas() as u16,
            Destination::One(to) => to.0..to.0.saturating_add(1),
        };
        for to in receivers.map(ReplicaId).filter(|to| *to != id) {
            if self.crashes_now(from) {
                return;
            }
            let Some(own) = &own else {
                self.stats.bytes += bytes;
                self.route(from, to, Rc::clone(&parcel));
                continue;
            };
            for said in self.twisted(from, to, own) {
                self.stats.bytes += bytes;
                let unchanged = Arc::ptr_eq(&said, own);
                let said = if unchanged { Rc::clone(&parcel) } else { self.packed(id, said) };
                self.route(from, to, said);
            }
        }
    }

    /// The door of every replica.
    pub(super) fn door(&self) -> Door<'_> {
        let verifier = self.verifier.as_ref();
        Door { committee: &self.committee, verifier, limits: self.plan.chain }
    }

    /// What an adversary says or lets through, packed.
    pub(super) fn packed(&self, from: ReplicaId, message: Arc<Message>) -> Rc<Parcel> {
        Rc::new(Parcel::new(from, Arc::unwrap_or_clone(message), &self.door()))
    }

    /// Measures a message, and now and then encodes it and decodes it back again.
    fn check_encoding(&mut self, message: &Message) -> u64 {
        let bytes = codec::encoded_bytes(message);
        if bytes > hard::FRAME_BYTES_MAX {
            let what = format!("a {} of {bytes} bytes", message.name());
            self.broken((Invariant::Bounds, what));
        }
        if self.stats.messages.is_multiple_of(limits::ROUND_TRIP_EVERY) {
            let encoded = codec::encode(message);
            if encoded.len() != bytes || codec::decode::<Message>(&encoded).as_ref() != Ok(message)
            {
                let what = format!("a {} does not decode to itself", message.name());
                self.broken((Invariant::Codec, what));
            }
        }
        bytes as u64
    }

    /// What the adversary of a replica makes of a message of its engine.
    fn twisted(&mut self, from: usize, to: ReplicaId, message: &Arc<Message>) -> Vec<Arc<Message>> {
        let committee = Arc::clone(&self.committee);
        let (now_us, link_per_tick) = (self.now_us, self.links.per_tick());
        let Replica { id, context, adversary, summary, epoch_ms, .. } = &mut self.replicas[from];
        let Some(adversary) = adversary else { return vec![Arc::clone(message)] };
        let around = Surroundings {
            own: *id,
            committee: &committee,
            signer: context.signer.as_ref(),
            now_ms: *epoch_ms + now_us / 1000,
            elapsed_ms: now_us / 1000,
            link_per_tick,
            summary: summary.as_ref(),
        };
        adversary.outgoing(to, Arc::clone(message), &around)
    }

    /// What an adversary says of its own accord.
    pub(super) fn sayings(&mut self, from: usize) {
        let committee = Arc::clone(&self.committee);
        let (now_us, link_per_tick) = (self.now_us, self.links.per_tick());
        let Replica { id, context, adversary, summary, epoch_ms, .. } = &mut self.replicas[from];
        let Some(adversary) = adversary else { return };
        let around = Surroundings {
            own: *id,
            committee: &committee,
            signer: context.signer.as_ref(),
            now_ms: *epoch_ms + now_us / 1000,
            elapsed_ms: now_us / 1000,
            link_per_tick,
            summary: summary.as_ref(),
        };
        let id = *id;
        let (said, raw) = (adversary.on_tick(&around), adversary.raw(&around));
        for (to, message) in said {
            let said = self.packed(id, message);
            self.route(from, to, said);
        }
        for (to, bytes) in raw {
            self.route_raw(from, to, &bytes);
        }
    }

    /// Puts a message on the link.
    fn route(&mut self, from: usize, to: ReplicaId, parcel: Rc<Parcel>) {
        let id = self.replicas[from].id;
        if to == id || to.index() >= self.committee.thresholds().replicas() {
            return;
        }
        if let Message::Attestation(attestation) = parcel.message() {
            match self.checkers.gather(id, attestation) {
                Ok(confirmed) => self.confirmed(&confirmed),
                Err(broken) => self.broken(broken),
            }
        }
        let thresholds = self.committee.thresholds();
        let held_us = self.holding.delay_us(id, to, parcel.message(), thresholds, self.now_us);
        for target in self.instances(from, to) {
            self.stats.messages += 1;
            let both_correct = self.replicas[from].correct && self.replicas[target].correct;
            let lost = self.links.mishaps.over_capacity;
            let arrivals = self.links.send(id, to, self.now_us, held_us);
            if self.links.mishaps.over_capacity > lost {
                self.links.push_out((id, to), self.now_us, target, &parcel);
            }
            let sender = (id, self.replicas[from].side == 1);
            self.trace.sent(self.now_us, sender, to, parcel.message(), arrivals);
            let mut round = match &mut self.rounds {
                Some(rounds) if both_correct && arrivals[0].is_some_and(|a| !a.corrupt) => {
                    rounds.sent(from)
                }
                Some(_) | None => 0,
            };
            for (copy, arrival) in arrivals.into_iter().flatten().enumerate() {
                let mut event = self.arrival(target, to, &parcel, arrival);
                if let Event::Deliver { round: due, berth, .. } = &mut event {
                    *due = std::mem::take(&mut round);
                    let (now_us, leaves_us) = (self.now_us, arrival.leaves_us);
                    if leaves_us > now_us && copy == 0 {
                        *berth =
                            Some(self.links.wait((id, to), now_us, leaves_us, target, &parcel));
                    }
                }
                self.queue.push(arrival.at_us, event);
            }
        }
    }

    /// A message arrives.
    pub(super) fn deliver(&mut self, to: usize, parcel: Rc<Parcel>) {
        let (now_us, from) = (self.now_us, parcel.from());
        self.trace.mix(&[now_us, to as u64, u64::from(from.0), parcel.tag()]);
        if self.replicas[to].running.is_none() {
            return;
        }
        let Some(parcel) = self.heard(to, parcel) else { return };
        match parcel.checked() {
            Ok(checked) if self.hear_sync(to, from, checked.message()) => {}
            Ok(checked) => {
                // A memory store never fails to read; a damaged row is for the ledger to find.
                let Some(running) = &self.replicas[to].running else { return };
                let last_nonce = |client: &_| running.reader.last_nonce(client).ok().flatten();
                let message = checked.admitted(last_nonce);
                self.step(to, Input::Received { from, message });
            }
            Err(refusal) => {
                self.stats.refused += 1;
                let (id, name) = (self.replicas[to].id, parcel.message().name());
                self.trace.of(now_us, id, || format!("refuses a {name} of {from}: {refusal}"));
                if self.replicas[from.index()].correct && !parcel.is_doubtful() {
                    let what =
                        format!("{id} refused a {name} of {from}, which is correct: {refusal}");
                    self.broken((Invariant::Refused, what));
                }
            }
        }
    }

    /// What an adversary lets its engine hear.
    fn heard(&mut self, to: usize, parcel: Rc<Parcel>) -> Option<Rc<Parcel>> {
        let (now_us, link_per_tick) = (self.now_us, self.links.per_tick());
        let Replica { id, context, adversary, summary, epoch_ms, .. } = &mut self.replicas[to];
        let Some(adversary) = adversary else { return Some(parcel) };
        let around = Surroundings {
            own: *id,
            committee: &self.committee,
            signer: context.signer.as_ref(),
            now_ms: *epoch_ms + now_us / 1000,
            elapsed_ms: now_us / 1000,
            link_per_tick,
            summary: summary.as_ref(),
        };
        let message = Arc::new(parcel.message().clone());
        let heard = adversary.incoming(parcel.from(), Arc::clone(&message), &around)?;
        Some(if Arc::ptr_eq(&heard, &message) { parcel } else { self.packed(parcel.from(), heard) })
    }

    /// Changed bytes arrive. The transport would notice, since it authenticates; so that the codec
    /// and the door are tried as well, they see the bytes first. What is signed they must refuse.
    pub(super) fn deliver_corrupt(&mut self, to: usize, corrupt: &Corrupt) {
        let Corrupt { from, bytes, kind } = corrupt;
        let now_us = self.now_us;
        self.trace.mix(&[now_us, to as u64, u64::from(from.0), bytes.len() as u64]);
        if self.replicas[to].running.is_none() {
            return;
        }
        let Ok(message) = codec::decode::<Message>(bytes) else {
            self.stats.count("corrupt: not decoded");
            return;
        };
        if codec::encode(&message) != *bytes {
            let what = format!(
                "changed bytes of a {kind} decode to a {}, and have another form",
                message.name()
            );
            self.broken((Invariant::Codec, what));
        }
        let signed = is_signed(&message);
        match Checked::new(*from, message, &self.door()) {
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
            let event = Event::Submit { to, transaction: Box::new(transaction) };
            self.queue.push(self.now_us + CLIENT_DELAY_US, event);
        }
        self.queue.push(deeds.wake_us, Event::Client(client));
    }

    /// Clients' transactions arrive at a replica together, where the door is the same as for messages,
    /// and the automaton is asked whether they are operations of its own.
    pub(super) fn submit(&mut self, to: ReplicaId, mut transactions: Vec<Transaction>) {
        let to = to.index();
        for transaction in &transactions {
            self.trace.mix(&[self.now_us, to as u64, transaction.nonce]);
        }
        if let Some(adversary) = &mut self.replicas[to].adversary {
            transactions = adversary.submitted(transactions);
        }
        transactions.retain(|transaction| self.lets_in(to, transaction));
        let Replica { id, incarnation, running, .. } = &self.replicas[to];
        let (id, incarnation) = (*id, *incarnation);
        if running.is_none() || transactions.is_empty() {
            self.stats.count("submission: superseded or censored");
            return;
        }
        for Transaction { client, nonce, .. } in &transactions {
            self.trace.of(self.now_us, id, || format!("is given {client:?} nonce {nonce}"));
            if let Some(notes) = &mut self.notes {
                notes.asked(id, incarnation, *client, *nonce);
            }
        }
        self.step(to, Input::Submitted { transactions });
    }

    /// Whether a replica's door lets a client's transaction in.
    fn lets_in(&mut self, to: usize, transaction: &Transaction) -> bool {
        let Replica { id, running, .. } = &self.replicas[to];
        let Some(running) = running else { return false };
        let (id, Transaction { client, nonce, operation, .. }) = (*id, transaction);
        let last = running.reader.last_nonce(client).ok().flatten();
        // A panic in an automaton is its author's mistake, and must not take the replica along.
        let is_operation =
            || catch_unwind(AssertUnwindSafe(|| self.automaton.check(operation).is_ok()));
        let why = match last {
            Some(last) if !supersedes(*nonce, Some(last)) => {
                Refused::Pool(PoolRefusal::Superseded { last })
            }
            Some(_) | None => {
                if self.door().check(transaction).is_ok() && is_operation().unwrap_or(false) {
                    return true;
                }
                Refused::Invalid
            }
        };
        if let Some(notes) = &mut self.notes {
            notes.refused(id, *client, *nonce, why);
        }
        false
    }
}

/// Whether changed bytes of such a message must be noticed by its signatures alone.
const fn is_signed(message: &Message) -> bool {
    match message {
        Message::Token { .. }
        | Message::TokenReturn { .. }
        | Message::Summary(_)
        | Message::Coordination(_)
        | Message::Want(_)
        | Message::Lacks(_)
        | Message::Fetch { .. }
        | Message::SnapshotWant { .. }
        // A chunk proves itself to the ledger that restores its snapshot.
        | Message::SnapshotChunk { .. }
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
        | Message::SnapshotOffer(_)
        | Message::Attestation(_) => true,
    }
}
