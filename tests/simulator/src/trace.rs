//! What happened in a run: a fingerprint always, lines for people when asked.
//!
//! A line has the time in milliseconds, the round (ticks of a replica since the run began;
//! after an arbitrary start, asynchronous rounds since then), who it is
//! about, and what happened. A message is told when it is sent, once for all who get it, with what
//! becomes of it on the way. Tokens and summaries, which are most of all messages and say little, are
//! counted and told once a round.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use daruma_types::{Message, ReplicaId};

use crate::describe;
use crate::network::Arrival;

/// Takes the lines of a trace.
pub type Sink<'a> = &'a mut dyn FnMut(&str);

/// Who a line is about, if it is no single replica.
const EVERYONE: &str = "*";

/// Fingerprint and lines of a run.
pub(crate) struct Trace<'a> {
    hash: u64,
    lines: Option<Lines<'a>>,
}

/// The lines, for whoever reads them.
struct Lines<'a> {
    sink: Sink<'a>,
    round_us: u64,
    /// The round, where rounds are counted.
    counted: Option<u32>,
    /// A message that is being sent to one after the other.
    sending: Option<Sending>,
    /// Messages of this round that are only counted, by kind, and how many of them do not arrive.
    chatter: BTreeMap<&'static str, (u64, u64)>,
    chatter_us: u64,
}

/// One message, and what becomes of it for each receiver.
struct Sending {
    at_us: u64,
    from: String,
    text: String,
    to: Vec<ReplicaId>,
    lost: Vec<ReplicaId>,
    changed: Vec<ReplicaId>,
    twice: Vec<ReplicaId>,
    /// The first and the last arrival.
    arrives_us: Option<RangeInclusive<u64>>,
}

impl<'a> Trace<'a> {
    /// `round_us`: the time between two ticks of a replica.
    pub(crate) fn new(sink: Option<Sink<'a>>, round_us: u64) -> Self {
        let lines = sink.map(|sink| Lines {
            sink,
            round_us: round_us.max(1),
            counted: None,
            sending: None,
            chatter: BTreeMap::new(),
            chatter_us: 0,
        });
        Self { hash: 0xcbf2_9ce4_8422_2325, lines }
    }

    /// Mixes an event into the fingerprint.
    pub(crate) fn mix(&mut self, words: &[u64]) {
        for word in words {
            // FNV-1a over words, with a rotation so that high bits come down again.
            self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// From now on rounds are counted, and this is the round.
    pub(crate) fn round(&mut self, round: u32) {
        if let Some(lines) = &mut self.lines {
            lines.counted = Some(round);
        }
    }

    /// Writes a line about everyone, which is made only when someone reads it.
    pub(crate) fn line(&mut self, at_us: u64, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.write(at_us, EVERYONE, &text());
        }
    }

    /// Writes a line about one replica.
    pub(crate) fn of(&mut self, at_us: u64, id: ReplicaId, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.write(at_us, &id.to_string(), &text());
        }
    }

    /// A message is put on a link.
    pub(crate) fn sent(
        &mut self,
        at_us: u64,
        (from, is_twin): (ReplicaId, bool),
        to: ReplicaId,
        message: &Message,
        arrivals: [Option<Arrival>; 2],
    ) {
        let Some(lines) = &mut self.lines else { return };
        if is_chatter(message) {
            lines.count(at_us, message.name(), arrivals[0].is_none());
            return;
        }
        let from = format!("{from}{}", if is_twin { "'" } else { "" });
        lines.sent(at_us, from, to, describe::message(message), arrivals);
    }

    /// Writes what has been held back to be told together.
    pub(crate) fn end(&mut self) {
        if let Some(lines) = &mut self.lines {
            lines.tell_sending();
            lines.tell_chatter();
        }
    }
}

impl Lines<'_> {
    fn write(&mut self, at_us: u64, who: &str, text: &str) {
        self.tell_sending();
        self.pass_to(at_us);
        self.put(at_us, who, text);
    }

    fn put(&mut self, at_us: u64, who: &str, text: &str) {
        let round = self.counted.map_or(at_us / self.round_us, u64::from);
        let (ms, us) = (at_us / 1000, at_us % 1000);
        (self.sink)(&format!("{ms:>9}.{us:03}  {round:>6}  {who:<4}  {text}"));
    }

    fn sent(
        &mut self,
        at_us: u64,
        from: String,
        to: ReplicaId,
        text: String,
        arrivals: [Option<Arrival>; 2],
    ) {
        let same = |s: &Sending| s.at_us == at_us && s.from == from && s.text == text;
        if !self.sending.as_ref().is_some_and(same) {
            self.tell_sending();
            self.sending = Some(Sending::new(at_us, from, text));
        }
        if let Some(sending) = &mut self.sending {
            sending.add(to, arrivals);
        }
    }

    fn tell_sending(&mut self) {
        if let Some(sending) = self.sending.take() {
            self.pass_to(sending.at_us);
            self.put(sending.at_us, &sending.from, &sending.told());
        }
    }

    fn count(&mut self, at_us: u64, name: &'static str, lost: bool) {
        if self.sending.as_ref().is_some_and(|sending| sending.at_us < at_us) {
            self.tell_sending();
        }
        self.pass_to(at_us);
        let (sent, not_arriving) = self.chatter.entry(name).or_default();
        *sent += 1;
        *not_arriving += u64::from(lost);
    }

    /// Tells the chatter of the round before, when a new one begins.
    fn pass_to(&mut self, at_us: u64) {
        if at_us / self.round_us != self.chatter_us / self.round_us {
            self.tell_chatter();
            self.chatter_us = at_us;
        }
    }

    fn tell_chatter(&mut self) {
        let told: Vec<String> = core::mem::take(&mut self.chatter)
            .into_iter()
            .map(|(name, (sent, lost))| {
                let lost = if lost > 0 { format!(" ({lost} lost)") } else { String::new() };
                format!("{sent} {name}{lost}")
            })
            .collect();
        if !told.is_empty() {
            let at_us = (self.chatter_us / self.round_us + 1) * self.round_us - 1;
            self.put(at_us, EVERYONE, &format!("in this round also sent: {}", told.join(", ")));
        }
    }
}

impl Sending {
    fn new(at_us: u64, from: String, text: String) -> Self {
        let (to, lost, changed, twice) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { at_us, from, text, to, lost, changed, twice, arrives_us: None }
    }

    fn add(&mut self, to: ReplicaId, [first, second]: [Option<Arrival>; 2]) {
        self.to.push(to);
        match first {
            None => self.lost.push(to),
            Some(Arrival { at_us, corrupt, .. }) => {
                let (from_us, to_us) =
                    self.arrives_us.take().map_or((at_us, at_us), RangeInclusive::into_inner);
                self.arrives_us = Some(from_us.min(at_us)..=to_us.max(at_us));
                if corrupt {
                    self.changed.push(to);
                }
            }
        }
        if second.is_some() {
            self.twice.push(to);
        }
    }

    fn told(&self) -> String {
        let mut text = format!("sends to {}: {}", names(&self.to), self.text);
        if let Some(arrives_us) = &self.arrives_us {
            let after_ms = |us: u64| us.saturating_sub(self.at_us) as f64 / 1000.0;
            let (first, last) = (after_ms(*arrives_us.start()), after_ms(*arrives_us.end()));
            text.push_str(&if first < last {
                format!("; takes {first:.1} to {last:.1} ms")
            } else {
                format!("; takes {first:.1} ms")
            });
        }
        for (what, ids) in [
            ("lost on the way to", &self.lost),
            ("changed on the way to", &self.changed),
            ("arrives twice at", &self.twice),
        ] {
            if !ids.is_empty() {
                text.push_str(&format!("; {what} {}", names(ids)));
            }
        }
        text
    }
}

fn names(ids: &[ReplicaId]) -> String {
    ids.iter().map(ReplicaId::to_string).collect::<Vec<_>>().join(" ")
}

/// Whether a message is sent all the time and says little.
const fn is_chatter(message: &Message) -> bool {
    matches!(message, Message::Token { .. } | Message::TokenReturn { .. } | Message::Summary(_))
}

#[cfg(test)]
mod tests {
    use daruma_types::Height;

    use super::*;

    fn arriving(at_us: u64) -> [Option<Arrival>; 2] {
        [Some(Arrival { at_us, corrupt: false, leaves_us: 0 }), None]
    }

    #[test]
    fn a_message_is_told_once_for_all_and_chatter_once_a_round() {
        let mut told = Vec::new();
        let mut sink = |line: &str| told.push(line.to_owned());
        let mut trace = Trace::new(Some(&mut sink), 25_000);
        let fetch = Message::Fetch { from: Height(3), count: 2 };
        let [r0, r1, r2, r3] = [0, 1, 2, 3].map(ReplicaId);
        trace.sent(1_000, (r0, false), r1, &Message::Token { counter: 1 }, arriving(2_000));
        trace.sent(1_000, (r0, false), r2, &Message::Token { counter: 1 }, [None, None]);
        trace.sent(1_500, (r0, false), r1, &fetch, arriving(2_500));
        trace.sent(1_500, (r0, false), r2, &fetch, [None, None]);
        let corrupt = Some(Arrival { at_us: 3_900, corrupt: true, leaves_us: 0 });
        trace.sent(1_500, (r0, false), r3, &fetch, [corrupt, corrupt]);
        trace.sent(1_500, (r0, true), r3, &fetch, arriving(2_000));
        trace.of(2_500, r1, || "wakes".to_owned());
        trace.sent(3_000, (r0, false), r3, &fetch, arriving(3_500));
        trace.sent(28_000, (r0, false), r1, &Message::Token { counter: 2 }, arriving(29_000));
        trace.line(30_000, || "all is well".to_owned());
        trace.end();
        let expected = [
            "        1.500       0  r0    sends to r1 r2 r3: fetch 2 from 3; takes 1.0 to 2.4 ms; \
             lost on the way to r2; changed on the way to r3; arrives twice at r3",
            "        1.500       0  r0'   sends to r3: fetch 2 from 3; takes 0.5 ms",
            "        2.500       0  r1    wakes",
            "        3.000       0  r0    sends to r3: fetch 2 from 3; takes 0.5 ms",
            "       24.999       0  *     in this round also sent: 2 token (1 lost)",
            "       30.000       1  *     all is well",
            "       49.999       1  *     in this round also sent: 1 token",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn nobody_is_told_what_nobody_asked_for() {
        let mut trace = Trace::new(None, 25_000);
        trace.line(1, || unreachable!("no line is made"));
        trace.end();
        assert_eq!(trace.hash(), Trace::new(None, 1).hash());
    }
}
