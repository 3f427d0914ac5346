//! The network between simulated replicas: what becomes of each message.

mod line;
mod weather;

use std::rc::Rc;

use daruma_types::ReplicaId;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::parcel::Parcel;
use line::Line;
pub use weather::Weather;

/// The place of a message on a link.
pub(crate) type Berth = line::Berth<Rc<Parcel>>;

/// How links behave. Chances are per mille of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Messages that a link takes between two ticks. More wait for their turn, and what finds
    /// [`limits::LINK_QUEUE_MAX`] waiting pushes the oldest out.
    pub per_tick: u32,
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
        per_tick: 2_048,
    };
}

/// One arrival of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) at_us: u64,
    pub(crate) corrupt: bool,
    /// When it leaves the link's queue; until then the newest message may push it out.
    pub(crate) leaves_us: u64,
}

/// Why messages did not arrive unharmed and at once, or arrived twice: for the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mishaps {
    pub(crate) cut: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) corrupted: u64,
    pub(crate) over_capacity: u64,
    pub(crate) clogged: u64,
    pub(crate) severed: u64,
    pub(crate) held_back: u64,
    pub(crate) mutated: u64,
}

/// One direction between two replicas.
#[derive(Debug, Clone, Default)]
struct Link {
    delay_us: u64,
    /// Cuts that overlap, and one for ever if `forever`.
    cuts: u32,
    forever: bool,
    /// Arrival of the last message, where order is kept.
    last_us: u64,
    /// When the link is free for the next message.
    free_us: u64,
    /// What comes on top of the settings, each with its end.
    weather: Vec<(u64, Weather)>,
    /// Messages that wait for the end of a clog.
    clogged: usize,
    /// Messages from now on that are changed by a small step.
    mutations: u32,
    /// What waits for its turn.
    line: Line<Rc<Parcel>>,
}

/// All links, one for each ordered pair.
pub(crate) struct Links {
    replicas: usize,
    settings: LinkSettings,
    tick_us: u64,
    links: Vec<Link>,
    random: ChaCha8Rng,
    pub(crate) mishaps: Mishaps,
}

impl Links {
    pub(crate) fn new(
        replicas: usize,
        settings: LinkSettings,
        tick_us: u64,
        mut random: ChaCha8Rng,
    ) -> Self {
        let links = (0..replicas * replicas)
            .map(|_| Link { delay_us: delay_of(&settings, &mut random), ..Link::default() })
            .collect();
        Self { replicas, settings, tick_us, links, random, mishaps: Mishaps::default() }
    }

    fn link(&mut self, from: ReplicaId, to: ReplicaId) -> &mut Link {
        &mut self.links[from.index() * self.replicas + to.index()]
    }

    /// Cuts the link in this direction, or ends one cut of it.
    pub(crate) fn set_cut(&mut self, from: ReplicaId, to: ReplicaId, cut: bool) {
        let link = self.link(from, to);
        link.cuts = if cut { link.cuts + 1 } else { link.cuts.saturating_sub(1) };
    }

    /// Cuts the link for ever.
    pub(crate) fn cut_forever(&mut self, from: ReplicaId, to: ReplicaId) {
        self.link(from, to).forever = true;
    }

    /// Lets `weather` come over the link until a time.
    pub(crate) fn set_weather(
        &mut self,
        from: ReplicaId,
        to: ReplicaId,
        weather: Weather,
        until_us: u64,
    ) {
        self.link(from, to).weather.push((until_us, weather));
    }

    /// One more message of the link will be changed by a small step.
    pub(crate) fn add_mutation(&mut self, from: ReplicaId, to: ReplicaId) {
        self.link(from, to).mutations += 1;
    }

    /// Whether this message is one to be changed by a small step.
    pub(crate) fn take_mutation(&mut self, from: ReplicaId, to: ReplicaId) -> bool {
        let link = self.link(from, to);
        let taken = link.mutations > 0;
        link.mutations -= u32::from(taken);
        taken
    }

    /// The source of randomness for what happens to messages.
    pub(crate) fn random(&mut self) -> &mut ChaCha8Rng {
        &mut self.random
    }

    /// Messages that a link takes between two ticks.
    pub(crate) const fn per_tick(&self) -> u32 {
        self.settings.per_tick
    }

    /// Other settings from now on.
    pub(crate) fn set(&mut self, settings: LinkSettings) {
        self.settings = settings;
        for link in &mut self.links {
            link.delay_us = delay_of(&settings, &mut self.random);
        }
    }

    /// Ends all faults but those that are for ever: every link is whole, timely and orderly from now on.
    pub(crate) fn calm(&mut self) {
        let per_tick = self.settings.per_tick;
        self.settings = LinkSettings { per_tick, ..LinkSettings::QUIET };
        for link in &mut self.links {
            let delay_us = delay_of(&LinkSettings::QUIET, &mut self.random);
            *link = Link { delay_us, forever: link.forever, ..Link::default() };
        }
    }

    /// A message waits on a link until a time.
    pub(crate) fn wait(
        &mut self,
        (from, to): (ReplicaId, ReplicaId),
        now_us: u64,
        leaves_us: u64,
        target: usize,
        parcel: &Rc<Parcel>,
    ) -> Berth {
        self.link(from, to).line.wait(now_us, leaves_us, target, Rc::clone(parcel))
    }

    /// A message that had no arrival since too many wait takes the place of the last one, and the oldest
    /// is lost.
    pub(crate) fn push_out(
        &mut self,
        (from, to): (ReplicaId, ReplicaId),
        now_us: u64,
        target: usize,
        parcel: &Rc<Parcel>,
    ) {
        self.link(from, to).line.push_out(now_us, target, Rc::clone(parcel));
    }

    /// The arrivals of a message that is sent now: none, one or two. It is held back by `held_us`
    /// beyond what the link takes.
    pub(crate) fn send(
        &mut self,
        from: ReplicaId,
        to: ReplicaId,
        now_us: u64,
        held_us: u64,
    ) -> [Option<Arrival>; 2] {
        let index = from.index() * self.replicas + to.index();
        let settings = self.settings;
        let link = &mut self.links[index];
        if link.cuts > 0 || link.forever {
            self.mishaps.cut += 1;
            return [None, None];
        }
        let weather = link.weather_at(now_us);
        let per_tick = weather.per_tick.map_or(settings.per_tick, |n| n.min(settings.per_tick));
        let interval_us = (self.tick_us / u64::from(per_tick.max(1))).max(1);
        let turn_us = link.free_us.max(now_us);
        if (turn_us - now_us) / interval_us >= limits::LINK_QUEUE_MAX {
            self.mishaps.over_capacity += 1;
            return [None, None];
        }
        link.free_us = turn_us + interval_us;
        if happens(&mut self.random, settings.loss.max(weather.loss)) {
            self.mishaps.lost += 1;
            return [None, None];
        }
        let jitter_us = self.random.random_range(0..=settings.jitter_us.max(weather.jitter_us));
        let mut leaves_us = turn_us;
        let mut at_us = turn_us + link.delay_us * weather.slowness.max(1) + jitter_us + held_us;
        if let Some(until_us) = weather.clogged_until_us {
            if link.clogged as u64 >= limits::LINK_QUEUE_MAX {
                self.mishaps.over_capacity += 1;
                return [None, None];
            }
            link.clogged += 1;
            self.mishaps.clogged += 1;
            at_us = at_us.max(until_us);
            leaves_us = leaves_us.max(until_us);
        } else {
            link.clogged = 0;
        }
        // What is held back on an orderly link holds up what comes behind it, as on one TCP stream.
        if settings.ordered && weather.jitter_us == 0 {
            at_us = at_us.max(link.last_us);
            link.last_us = at_us;
        }
        if weather.severs(now_us, at_us) {
            self.mishaps.severed += 1;
            return [None, None];
        }
        self.mishaps.held_back += u64::from(held_us > 0);
        let corrupt = happens(&mut self.random, settings.corruption.max(weather.corruption));
        self.mishaps.corrupted += u64::from(corrupt);
        let again = happens(&mut self.random, settings.duplication.max(weather.duplication));
        let second = again.then(|| {
            self.mishaps.duplicated += 1;
            let later_us = weather.duplicate_us.max(limits::DUPLICATE_US);
            let at_us = at_us + self.random.random_range(0..later_us);
            Arrival { at_us, corrupt: false, leaves_us }
        });
        [Some(Arrival { at_us, corrupt, leaves_us }), second]
    }

    /// Changes, cuts off or adds bytes, as a corrupt message.
    pub(crate) fn corrupt(&mut self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        match self.random.random_range(0..4) {
            0 => bytes.truncate(self.random.random_range(0..length.max(1))),
            1 => bytes.extend(std::iter::repeat_n(0_u8, self.random.random_range(1..16))),
            _ => {
                for _ in 0..self.random.random_range(1..=limits::CORRUPT_BITS_MAX) {
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

impl Link {
    /// All the weather of this moment together; what is over is forgotten.
    fn weather_at(&mut self, now_us: u64) -> Weather {
        if self.weather.is_empty() {
            return Weather::NONE;
        }
        self.weather.retain(|(until_us, _)| *until_us > now_us);
        self.weather.iter().fold(Weather::NONE, |all, (_, weather)| all.and(weather))
    }
}

fn happens(random: &mut ChaCha8Rng, per_mille: u32) -> bool {
    per_mille > 0 && random.random_range(0..1000) < per_mille
}

fn delay_of(settings: &LinkSettings, random: &mut ChaCha8Rng) -> u64 {
    random.random_range(settings.delay_us_min..=settings.delay_us_max.max(settings.delay_us_min))
}

#[cfg(test)]
mod tests;
