//! What comes over single links for a while, on top of how all links are.

use serde::{Deserialize, Serialize};

/// Faults of a link that last for a while. The worst of all that are over a link at once counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weather {
    /// Messages lost, per mille.
    pub loss: u32,
    /// Messages that arrive twice, per mille.
    pub duplication: u32,
    /// The second time up to so much later, in microseconds.
    pub duplicate_us: u64,
    /// Up to this much is added to each message's time, and no order kept.
    pub jitter_us: u64,
    /// Messages some of whose bytes change, per mille.
    pub corruption: u32,
    /// The factor on the link's delay.
    pub slowness: u64,
    /// Nothing arrives before this time; what is sent waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clogged_until_us: Option<u64>,
    /// The connection breaks once in each such time; 0 for never. What is on its way then is lost.
    pub severed_every_us: u64,
    /// Messages that the link takes between two ticks, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_tick: Option<u32>,
}

impl Weather {
    /// None.
    pub const NONE: Self = Self {
        loss: 0,
        duplication: 0,
        duplicate_us: 0,
        jitter_us: 0,
        corruption: 0,
        slowness: 1,
        clogged_until_us: None,
        severed_every_us: 0,
        per_tick: None,
    };

    /// The worst of both.
    pub(crate) fn and(self, other: &Self) -> Self {
        let soonest = |a: u64, b: u64| if a == 0 { b } else { a.min(b.max(1)) };
        Self {
            loss: self.loss.max(other.loss),
            duplication: self.duplication.max(other.duplication),
            duplicate_us: self.duplicate_us.max(other.duplicate_us),
            jitter_us: self.jitter_us.max(other.jitter_us),
            corruption: self.corruption.max(other.corruption),
            slowness: self.slowness.max(other.slowness),
            clogged_until_us: self.clogged_until_us.max(other.clogged_until_us),
            severed_every_us: if other.severed_every_us == 0 {
                self.severed_every_us
            } else {
                soonest(self.severed_every_us, other.severed_every_us)
            },
            per_tick: [self.per_tick, other.per_tick].into_iter().flatten().min(),
        }
    }

    /// Whether the connection breaks between sending and arrival.
    pub(crate) const fn severs(&self, sent_us: u64, at_us: u64) -> bool {
        self.severed_every_us > 0
            && sent_us / self.severed_every_us != at_us / self.severed_every_us
    }
}

/// What differs from no weather at all.
impl core::fmt::Display for Weather {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            loss,
            duplication,
            duplicate_us,
            jitter_us,
            corruption,
            slowness,
            clogged_until_us,
            severed_every_us,
            per_tick,
        } = *self;
        let mut comma = "";
        for (holds, text) in [
            (loss > 0, format!("{loss} per mille lost")),
            (duplication > 0, format!("{duplication} per mille twice within {duplicate_us} us")),
            (jitter_us > 0, format!("up to {jitter_us} us later, unordered")),
            (corruption > 0, format!("{corruption} per mille changed")),
            (slowness > 1, format!("{slowness} times slower")),
            (severed_every_us > 0, format!("broken every {severed_every_us} us")),
            (
                per_tick.is_some(),
                format!("{} messages a tick at most", per_tick.unwrap_or_default()),
            ),
            (clogged_until_us.is_some(), "nothing arrives, all waits".to_owned()),
        ] {
            if holds {
                write!(f, "{comma}{text}")?;
                comma = ", ";
            }
        }
        Ok(())
    }
}
