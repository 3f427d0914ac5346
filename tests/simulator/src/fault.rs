//! What can be done to replicas and links, and when.

use daruma_store::Moment;
use daruma_types::ReplicaId;
use serde::{Deserialize, Serialize};

use crate::text::forms::{perhaps, word, words};
use crate::{FaultKind, Weather};

/// Directed links.
pub type Pairs = Vec<(ReplicaId, ReplicaId)>;

/// Something that is done to the replicas or to the links between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Cut these links, each in this direction.
    Cut(#[serde(with = "words")] Pairs),
    /// Join these links again.
    Join(#[serde(with = "words")] Pairs),
    /// Cut these links for ever. The outcasts take the place of Byzantine replicas.
    CutForever {
        /// Who is as a Byzantine replica from then on.
        #[serde(with = "words")]
        outcasts: Vec<ReplicaId>,
        /// Which links.
        #[serde(with = "words")]
        links: Pairs,
    },
    /// Let this come over these links until then.
    Weather {
        /// Which links.
        #[serde(with = "words")]
        links: Pairs,
        /// What comes over them.
        weather: Weather,
        /// The end, in microseconds since the run began.
        until_us: u64,
    },
    /// Change the next message of this link by a small step.
    Mutate {
        /// The sender.
        #[serde(with = "word")]
        from: ReplicaId,
        /// The receiver.
        #[serde(with = "word")]
        to: ReplicaId,
    },
    /// Hold back what would complete a quorum, each message by so much, until then.
    Hold {
        /// For how long a message is held back, in microseconds.
        delay_us: u64,
        /// The end, in microseconds since the run began.
        until_us: u64,
    },
    /// Crash: at once, or after so many more messages.
    Crash {
        /// Who.
        #[serde(with = "word")]
        replica: ReplicaId,
        /// How many; none for at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_messages: Option<u32>,
    },
    /// Lose the power at a write to the disk, and start again after a while.
    CutPower {
        /// Who.
        #[serde(with = "word")]
        replica: ReplicaId,
        /// So many writes, from now on, are done before it.
        after_writes: u64,
        /// When in the write that follows.
        #[serde(with = "word")]
        moment: Moment,
        /// For so long it is down, in microseconds.
        down_us: u64,
    },
    /// Start, unless it runs.
    Start(#[serde(with = "word")] ReplicaId),
    /// Crash all at once.
    PowerLoss,
    /// Stand still until then.
    Pause {
        /// Who.
        #[serde(with = "word")]
        replica: ReplicaId,
        /// The end, in microseconds since the run began.
        until_us: u64,
    },
    /// The wall clock jumps by so many ms.
    ClockJump {
        /// Who.
        #[serde(with = "word")]
        replica: ReplicaId,
        /// How far, forth or back.
        by_ms: i64,
    },
    /// The time between two ticks, per mille of what it was.
    TickLength {
        /// Who.
        #[serde(with = "word")]
        replica: ReplicaId,
        /// The new length.
        per_mille: u64,
    },
    /// Until then each timer, when it fires, is late, early by a rounding, does what it is for twice or
    /// not at all, or is as it should be, by chance.
    Timers {
        /// Whose.
        #[serde(with = "word")]
        replica: ReplicaId,
        /// The end, in microseconds since the run began.
        until_us: u64,
    },
    /// The factor on the disk's time.
    Disk {
        /// Who.
        #[serde(with = "word")]
        replica: ReplicaId,
        /// How many times as long as usual.
        factor: u64,
    },
    /// All variables get arbitrary values, while it runs.
    Memory {
        /// Who.
        #[serde(with = "word")]
        replica: ReplicaId,
        /// Decides the values.
        values: u32,
    },
    /// Its disk is lost, with what is in memory: it starts again with nothing. No schedule draws it.
    LoseDisk(#[serde(with = "word")] ReplicaId),
    /// Everything heals.
    Calm,
}

impl Fault {
    /// Every replica that it names.
    pub(crate) fn replicas(&self) -> Vec<ReplicaId> {
        let ends = |links: &Pairs| links.iter().flat_map(|(a, b)| [*a, *b]).collect::<Vec<_>>();
        match self {
            Self::Cut(links) | Self::Join(links) | Self::Weather { links, .. } => ends(links),
            Self::CutForever { outcasts, links } => [ends(links), outcasts.clone()].concat(),
            Self::Mutate { from, to } => vec![*from, *to],
            Self::Crash { replica, .. }
            | Self::CutPower { replica, .. }
            | Self::Start(replica)
            | Self::LoseDisk(replica)
            | Self::Pause { replica, .. }
            | Self::ClockJump { replica, .. }
            | Self::TickLength { replica, .. }
            | Self::Timers { replica, .. }
            | Self::Disk { replica, .. }
            | Self::Memory { replica, .. } => vec![*replica],
            Self::Hold { .. } | Self::PowerLoss | Self::Calm => Vec::new(),
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Cut(_) => "cut",
            Self::Join(_) => "join",
            Self::CutForever { .. } => "cut for ever",
            Self::Weather { .. } => "weather",
            Self::Mutate { .. } => "mutate",
            Self::Hold { .. } => "hold",
            Self::Crash { .. } => "crash",
            Self::CutPower { .. } => "cut power",
            Self::Start(_) => "start",
            Self::PowerLoss => "power-loss",
            Self::Pause { .. } => "pause",
            Self::ClockJump { .. } => "clock jump",
            Self::TickLength { .. } => "tick length",
            Self::Timers { .. } => "timers",
            Self::Disk { .. } => "disk",
            Self::Memory { .. } => "memory",
            Self::LoseDisk(_) => "lose disk",
            Self::Calm => "calm",
        }
    }
}

/// One entry of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduled {
    /// When, in microseconds since the run began.
    pub at_us: u64,
    /// The fault that begins with this; none if this goes on with one, ends it or is none.
    #[serde(with = "perhaps", default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<FaultKind>,
    /// What is done.
    pub fault: Fault,
}

/// The fault in words, for traces.
impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Cut(links) => write!(f, "cut {}", Named(links)),
            Self::Join(links) => write!(f, "join {}", Named(links)),
            Self::CutForever { outcasts, links } => {
                write!(f, "cut for ever {}; outcasts: {outcasts:?}", Named(links))
            }
            Self::Weather { links, weather, until_us } => {
                write!(f, "until {} ms over {}: {weather}", until_us / 1000, Named(links))
            }
            Self::Mutate { from, to } => {
                write!(f, "change a field of {from}'s next message to {to}")
            }
            Self::Hold { delay_us, until_us } => write!(
                f,
                "until {} ms hold back for {} ms what would complete a quorum",
                until_us / 1000,
                delay_us / 1000
            ),
            Self::Crash { replica, after_messages: None } => write!(f, "crash {replica}"),
            Self::Crash { replica, after_messages: Some(messages) } => {
                write!(f, "crash {replica} after {messages} more messages")
            }
            Self::CutPower { replica, after_writes, moment, .. } => {
                write!(f, "cut {replica}'s power after {after_writes} more writes: {moment:?}")
            }
            Self::Start(replica) => write!(f, "start {replica}, unless it runs"),
            Self::PowerLoss => f.write_str("power loss: all crash at once"),
            Self::Pause { replica, until_us } => {
                write!(f, "{replica} stands still until {} ms", until_us / 1000)
            }
            Self::ClockJump { replica, by_ms } => {
                write!(f, "{replica}'s clock jumps by {by_ms} ms")
            }
            Self::TickLength { replica, per_mille } => {
                write!(f, "{replica}'s ticks take {per_mille} per mille of their time")
            }
            Self::Timers { replica, until_us } => write!(
                f,
                "until {} ms {replica}'s timers are late, early, double or left out",
                until_us / 1000
            ),
            Self::Disk { replica, factor } => {
                write!(f, "{replica}'s disk takes {factor} times as long")
            }
            Self::Memory { replica, .. } => {
                write!(f, "{replica}'s memory gets arbitrary values")
            }
            Self::LoseDisk(replica) => write!(f, "{replica} loses its disk"),
            Self::Calm => f.write_str("calm: everything heals"),
        }
    }
}

/// Links in words, those of both directions once.
struct Named<'a>(&'a [(ReplicaId, ReplicaId)]);

impl core::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut space = "";
        for (from, to) in self.0 {
            let both = self.0.contains(&(*to, *from));
            if both && from > to {
                continue;
            }
            write!(f, "{space}{from}{}{to}", if both { "-" } else { ">" })?;
            space = " ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_both_directions_are_named_once() {
        let [r0, r1, r2] = [0, 1, 2].map(ReplicaId);
        let fault = Fault::Cut(vec![(r0, r1), (r1, r0), (r2, r0)]);
        assert_eq!(fault.to_string(), "cut r0-r1 r2>r0");
    }
}
