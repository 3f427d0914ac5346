//! The token channel between two real engines, over a channel that loses, repeats, reorders and lies
//! (thesis appendix B). Some clean exchanges later each is one token.

use arbitrary::{Arbitrary, Unstructured};
use daruma_engine::{Destination, Effect, Input};
use daruma_store::MemoryStore;
use daruma_types::{Message, ReplicaId};

use crate::engine::replica::Replica;

/// Messages in the channel; a full one loses the oldest.
const CHANNEL_MAX: usize = 16;

/// Steps of one run.
const STEPS_MAX: usize = 128;

/// Clean exchanges after which the receiver follows its sender, whatever it took for the last token: a
/// lower counter may be a late copy, so it is believed only when more came than the channel can hold.
const SETTLING: usize = 16;

#[derive(Debug, Arbitrary)]
enum Step {
    Tick { side: bool },
    Deliver { at: u8 },
    Repeat { at: u8 },
    Lose { at: u8 },
    Lie { to: bool, counter: u64, returned: bool },
}

struct Pair {
    sides: [Replica; 2],
    /// To which side, and what.
    channel: Vec<(usize, Message)>,
}

/// Noise, then clean exchanges.
pub(super) fn run(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let mut pair = Pair { sides: [start(0), start(1)], channel: Vec::new() };
    for _ in 0..STEPS_MAX {
        if u.is_empty() {
            break;
        }
        let Ok(step) = Step::arbitrary(&mut u) else { break };
        let count = pair.channel.len();
        let place = |at: u8| usize::from(at).checked_rem(count);
        match step {
            Step::Tick { side } => pair.tick(usize::from(side)),
            Step::Deliver { at } => {
                if let Some(at) = place(at) {
                    let (to, message) = pair.channel.remove(at);
                    pair.deliver(to, message);
                }
            }
            Step::Repeat { at } => {
                if let Some(at) = place(at) {
                    let (to, message) = pair.channel[at].clone();
                    pair.deliver(to, message);
                }
            }
            Step::Lose { at } => {
                if let Some(at) = place(at) {
                    pair.channel.remove(at);
                }
            }
            Step::Lie { to, counter, returned } => {
                let message = if returned {
                    Message::TokenReturn { counter }
                } else {
                    Message::Token { counter }
                };
                pair.deliver(usize::from(to), message);
            }
        }
    }
    pair.settles();
}

fn start(id: u16) -> Replica {
    match Replica::start(ReplicaId(id), &MemoryStore::new(), None, false) {
        Ok((replica, _)) => replica,
        Err(error) => panic!("an empty ledger does not open: {error}"),
    }
}

impl Pair {
    fn tick(&mut self, side: usize) {
        let effects = self.sides[side].engine.step(Input::Tick { now_ms: 1 });
        self.send(side, effects);
    }

    fn deliver(&mut self, to: usize, message: Message) {
        let from = ReplicaId(if to == 0 { 1 } else { 0 });
        let effects = self.sides[to].receive(from, message);
        self.send(to, effects);
    }

    /// Puts tokens into the channel; nothing else is of interest here.
    fn send(&mut self, from: usize, effects: Vec<Effect>) {
        let other = ReplicaId(if from == 0 { 1 } else { 0 });
        for effect in effects {
            let Effect::Send { to: Destination::One(to), message } = effect else { continue };
            if to != other {
                continue;
            }
            if let Message::Token { .. } | Message::TokenReturn { .. } = message {
                if self.channel.len() == CHANNEL_MAX {
                    self.channel.remove(0);
                }
                self.channel.push((other.index(), message));
            }
        }
    }

    fn drain(&mut self) {
        // Each token is answered once and a return by nothing, so this ends.
        while !self.channel.is_empty() {
            let (to, message) = self.channel.remove(0);
            self.deliver(to, message);
        }
    }

    /// What side 0 sends, and what side 1 received of it.
    fn counters(&self) -> (u64, u64) {
        let [a, b] = &self.sides;
        (a.engine.status().links[1].0, b.engine.status().links[0].1)
    }

    fn settles(&mut self) {
        self.drain();
        (0..SETTLING).for_each(|_| self.exchange());
        for _ in 0..4 {
            let (before, _) = self.counters();
            self.exchange();
            let (sending, received) = self.counters();
            assert_eq!(received, before, "the token did not arrive");
            assert_eq!(sending, before.wrapping_add(1) % (1 << 32), "not one step an exchange");
        }
    }

    fn exchange(&mut self) {
        self.tick(1);
        self.tick(0);
        self.drain();
    }
}
