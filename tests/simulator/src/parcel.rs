//! A message on its way, checked once for all who get it.

use daruma_engine::{Checked, Refusal};
use daruma_types::{Message, ReplicaId};

use crate::door::Door;

/// A message and what every door of the run makes of it: the check is pure and knows no replica.
#[derive(Debug)]
pub(crate) struct Parcel {
    from: ReplicaId,
    /// The kind's name as a number, for the fingerprint.
    tag: u64,
    /// Whether a memory that was spoiled shortly before may have made it, or it was on a link in the arbitrary
    /// state that a run began with.
    doubtful: bool,
    content: Content,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are sound, and a box costs an allocation"
)]
enum Content {
    Sound(Checked),
    Refused(Box<(Message, Refusal)>),
}

impl Parcel {
    /// Packs what `from` sends.
    pub(crate) fn new(from: ReplicaId, message: Message, door: &Door<'_>) -> Self {
        let tag = tag(message.name());
        let content = match Checked::new(from, message, door) {
            Ok(checked) => Content::Sound(checked),
            Err(refused) => Content::Refused(refused),
        };
        Self { from, tag, doubtful: false, content }
    }

    /// The same, which a spoiled memory may have made: what is wrong with it is not its sender's fault,
    /// however late it arrives.
    pub(crate) const fn doubtful(mut self, doubtful: bool) -> Self {
        self.doubtful = doubtful;
        self
    }

    pub(crate) const fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    pub(crate) const fn from(&self) -> ReplicaId {
        self.from
    }

    pub(crate) const fn tag(&self) -> u64 {
        self.tag
    }

    pub(crate) fn message(&self) -> &Message {
        match &self.content {
            Content::Sound(checked) => checked.message(),
            Content::Refused(refused) => &refused.0,
        }
    }

    /// The checked message, or why it is refused.
    pub(crate) fn checked(&self) -> Result<&Checked, &Refusal> {
        match &self.content {
            Content::Sound(checked) => Ok(checked),
            Content::Refused(refused) => Err(&refused.1),
        }
    }
}

/// A name as a number.
fn tag(name: &str) -> u64 {
    name.bytes().fold(0, |tag, byte| tag.wrapping_mul(31).wrapping_add(u64::from(byte)))
}
