//! Which instance hears which, and in what form a message gets there.

use std::rc::Rc;
use std::sync::Arc;

use daruma_adversary::small_step;
use daruma_types::{Message, ReplicaId, codec};

use super::{Corrupt, Event, World};
use crate::Invariant;
use crate::network::Arrival;
use crate::parcel::Parcel;
use crate::replica::Replica;

impl World<'_> {
    /// What arrives of a message: itself, or its changed bytes.
    pub(super) fn arrival(
        &mut self,
        target: usize,
        to: ReplicaId,
        parcel: &Rc<Parcel>,
        arrival: Arrival,
    ) -> Event {
        let from = parcel.from();
        let mutated = self.links.take_mutation(from, to);
        if !arrival.corrupt && !mutated {
            let parcel = Rc::clone(parcel);
            return Event::Deliver { to: target, parcel, berth: None, round: 0 };
        }
        let message = parcel.message();
        let whole = codec::encode(message);
        let mut bytes = whole.clone();
        if mutated {
            bytes = codec::encode(&small_step(message, &[], self.links.random()));
            self.links.mishaps.mutated += u64::from(bytes != whole);
        }
        if arrival.corrupt {
            self.links.corrupt(&mut bytes);
        }
        if bytes == whole {
            let parcel = Rc::clone(parcel);
            return Event::Deliver { to: target, parcel, berth: None, round: 0 };
        }
        let corrupt = Corrupt { from, bytes, kind: message.name() };
        Event::DeliverCorrupt { to: target, corrupt: Box::new(corrupt) }
    }

    /// The running instances of `to` that hear the instance `from`: twins are two.
    pub(super) fn instances(
        &self,
        from: usize,
        to: ReplicaId,
    ) -> impl Iterator<Item = usize> + use<> {
        let Replica { id, side, .. } = &self.replicas[from];
        let second = self.twins.get(&to).map(|(_, second)| *second);
        let found = if !self.plan.splits.is_empty() {
            let phase = self.now_us / (self.plan.split_rounds * self.plan.tick_ms * 1000).max(1);
            let split = self.plan.splits.get(phase as usize).copied().unwrap_or_default();
            let together = |instance: &usize| split >> from & 1 == split >> instance & 1;
            [Some(to.index()).filter(together), second.filter(together)]
        } else if self.twins.get(id).is_some_and(|(twins, _)| twins.heard_by(to) != *side) {
            [None, None]
        } else {
            let hears_second =
                self.twins.get(&to).is_some_and(|(twins, _)| twins.heard_by(*id) == 1);
            [Some(to.index()).filter(|_| !hears_second), second.filter(|_| hears_second)]
        };
        found.into_iter().flatten()
    }

    /// Puts an adversary's bytes on the link.
    pub(super) fn route_raw(&mut self, from: usize, to: ReplicaId, bytes: &[u8]) {
        let id = self.replicas[from].id;
        if to == id || to.index() >= self.committee.thresholds().replicas() {
            return;
        }
        self.stats.messages += 1;
        self.stats.bytes += bytes.len() as u64;
        for arrival in self.links.send(id, to, self.now_us, 0).into_iter().flatten() {
            let raw = Corrupt { from: id, bytes: bytes.to_vec(), kind: "raw bytes" };
            let event = Event::DeliverRaw { to: to.index(), raw: Box::new(raw) };
            self.queue.push(arrival.at_us, event);
        }
    }

    /// Bytes of an adversary arrive: mostly no message, and if they are one, a message like any other.
    pub(super) fn deliver_raw(&mut self, to: usize, raw: &Corrupt) {
        match codec::decode::<Message>(&raw.bytes) {
            Err(_) => self.stats.count("garbage: not decoded"),
            Ok(message) if codec::encode(&message) != raw.bytes => {
                let what = format!("bytes decode to a {} of another form", message.name());
                self.broken((Invariant::Codec, what));
            }
            Ok(message) => {
                self.stats.count("garbage: decoded");
                let parcel = self.packed(raw.from, Arc::new(message));
                self.deliver(to, parcel);
            }
        }
    }
}
