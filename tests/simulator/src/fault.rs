//! What can be done to replicas and links, and when.

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
    /// The factor on the disk's time.
    Disk {
        /// Who.
        #[serde(with = "word")]
        replica: ReplicaId,
        /// How many times as long as usual.
        factor: u64,
    },
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
            | Self::Start(replica)
            | Self::Pause { replica, .. }
            | Self::ClockJump { replica, .. }
            | Self::TickLength { replica, .. }
            | Self::Disk { replica, .. } => vec![*replica],
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
            Self::Start(_) => "start",
            Self::PowerLoss => "power-loss",
            Self::Pause { .. } => "pause",
            Self::ClockJump { .. } => "clock jump",
            Self::TickLength { .. } => "tick length",
            Self::Disk { .. } => "disk",
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
