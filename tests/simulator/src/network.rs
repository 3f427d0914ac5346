//! The network between simulated replicas: what becomes of each message.

use daruma_types::ReplicaId;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// How links behave. Chances are per mille of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkSettings {
    /// Least time on the way, in microseconds; each link gets its own between this and
    /// [`Self::delay_us_max`].
    pub delay_us_min: u64,
    /// The largest such time.
    pub delay_us_max: u64,
    /// Up to this much is added to each message's time.
    pub jitter_us: u64,
    /// Messages lost.
    pub loss: u32,
    /// Messages that arrive twice, the second time up to a second later.
    pub duplication: u32,
    /// Messages some of whose bytes change, go missing or are added.
    pub corruption: u32,
    /// Whether messages of a link keep their order, as on one TCP stream.
    pub ordered: bool,
}

impl LinkSettings {
    /// The links of a quiet local network.
    pub const QUIET: Self = Self {
        delay_us_min: 100,
        delay_us_max: 2_000,
        jitter_us: 500,
        loss: 0,
        duplication: 0,
        corruption: 0,
        ordered: true,
    };
}

/// One arrival of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) at_us: u64,
    pub(crate) corrupt: bool,
}

/// Why a message did not arrive unharmed, or arrived twice: for the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mishaps {
    pub(crate) cut: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) corrupted: u64,
}

/// All links, one for each ordered pair.
pub(crate) struct Links {
    replicas: usize,
    settings: LinkSettings,
    delay_us: Vec<u64>,
    cut: Vec<bool>,
    last_us: Vec<u64>,
    random: ChaCha8Rng,
    pub(crate) mishaps: Mishaps,
}

impl Links {
    pub(crate) fn new(replicas: usize, settings: LinkSettings, mut random: ChaCha8Rng) -> Self {
        let pairs = replicas * replicas;
        let delay_us = (0..pairs).map(|_| delay_of(&settings, &mut random)).collect();
        Self {
            replicas,
            settings,
            delay_us,
            cut: vec![false; pairs],
            last_us: vec![0; pairs],
            random,
            mishaps: Mishaps::default(),
        }
    }

    fn pair(&self, from: ReplicaId, to: ReplicaId) -> usize {
        from.index() * self.replicas + to.index()
    }

    /// Cuts or joins the link in this direction.
    pub(crate) fn set_cut(&mut self, from: ReplicaId, to: ReplicaId, cut: bool) {
        let pair = self.pair(from, to);
        self.cut[pair] = cut;
    }

    /// Ends all faults: every link is whole, timely and orderly from now on.
    pub(crate) fn calm(&mut self) {
        self.settings = LinkSettings::QUIET;
        self.cut.fill(false);
        for delay in &mut self.delay_us {
            *delay = delay_of(&LinkSettings::QUIET, &mut self.random);
        }
    }

    /// The arrivals of a message that is sent now: none, one or two.
    pub(crate) fn send(
        &mut self,
        from: ReplicaId,
        to: ReplicaId,
        now_us: u64,
    ) -> [Option<Arrival>; 2] {
        let pair = self.pair(from, to);
        if self.cut[pair] {
            self.mishaps.cut += 1;
            return [None, None];
        }
        if self.happens(self.settings.loss) {
            self.mishaps.lost += 1;
            return [None, None];
        }
        let jitter_us = self.random.random_range(0..=self.settings.jitter_us);
        let mut at_us = now_us + self.delay_us[pair] + jitter_us;
        if self.settings.ordered {
            at_us = at_us.max(self.last_us[pair]);
            self.last_us[pair] = at_us;
        }
        let corrupt = self.happens(self.settings.corruption);
        if corrupt {
            self.mishaps.corrupted += 1;
        }
        let second = self.happens(self.settings.duplication).then(|| {
            self.mishaps.duplicated += 1;
            Arrival { at_us: at_us + self.random.random_range(0..1_000_000), corrupt: false }
        });
        [Some(Arrival { at_us, corrupt }), second]
    }

    fn happens(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.random.random_range(0..1000) < per_mille
    }

    /// Changes, cuts off or adds bytes, as a corrupt message.
    pub(crate) fn corrupt(&mut self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        match self.random.random_range(0..4) {
            0 => bytes.truncate(self.random.random_range(0..length.max(1))),
            1 => bytes.extend(std::iter::repeat_n(0_u8, self.random.random_range(1..16))),
            _ => {
                for _ in 0..self.random.random_range(1..=8) {
                    let place = self.random.random_range(0..length.max(1));
                    let bit = self.random.random_range(0..8);
                    if let Some(byte) = bytes.get_mut(place) {
                        *byte ^= 1 << bit;
                    }
                }
            }
        }
    }
}

fn delay_of(settings: &LinkSettings, random: &mut ChaCha8Rng) -> u64 {
    random.random_range(settings.delay_us_min..=settings.delay_us_max.max(settings.delay_us_min))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    fn links(settings: LinkSettings) -> Links {
        Links::new(4, settings, stream(1, Purpose::Links))
    }

    #[test]
    fn a_cut_is_one_way_and_ends_with_calm() {
        let (a, b) = (ReplicaId(0), ReplicaId(1));
        let mut links = links(LinkSettings::QUIET);
        links.set_cut(a, b, true);
        assert_eq!(links.send(a, b, 0), [None, None]);
        assert!(links.send(b, a, 0)[0].is_some());
        links.calm();
        assert!(links.send(a, b, 0)[0].is_some());
        assert_eq!(links.mishaps.cut, 1);
    }

    #[test]
    fn an_ordered_link_never_overtakes_and_an_unordered_one_does() {
        let overtakes = |ordered| {
            let settings = LinkSettings { jitter_us: 10_000, ordered, ..LinkSettings::QUIET };
            let mut links = links(settings);
            let mut times = (0..100).map(|now| {
                links.send(ReplicaId(0), ReplicaId(1), now)[0].expect("nothing is lost").at_us
            });
            let mut last = 0;
            times.any(|at| std::mem::replace(&mut last, at) > at)
        };
        assert!(!overtakes(true));
        assert!(overtakes(false));
    }

    #[test]
    fn losses_and_duplicates_come_about_as_often_as_asked_for() {
        let settings = LinkSettings { loss: 200, duplication: 100, ..LinkSettings::QUIET };
        let mut links = links(settings);
        for now in 0..10_000 {
            let _ = links.send(ReplicaId(0), ReplicaId(1), now);
        }
        assert!((1_800..2_200).contains(&links.mishaps.lost), "{:?}", links.mishaps);
        assert!((650..950).contains(&links.mishaps.duplicated), "{:?}", links.mishaps);
    }
}
