//! Faults of links.

use daruma_types::ReplicaId;
use rand::Rng;

use super::{Drawing, Fault, Pairs};
use crate::network::Weather;

impl Drawing<'_> {
    fn cut_until(&mut self, at_us: u64, until_us: u64, links: Pairs) {
        self.begin(at_us, Fault::Cut(links.clone()));
        self.then(until_us, Fault::Join(links));
    }

    fn weather(&mut self, at_us: u64, lasts_us: u64, links: Pairs, weather: Weather) {
        let until_us = (at_us + lasts_us).min(self.end_us);
        self.begin(at_us, Fault::Weather { links, weather, until_us });
    }

    /// All links, or those of one replica, or one pair.
    fn some_links(&mut self) -> Pairs {
        let (one, other) = (self.replica(), self.replica());
        match self.random.random_range(0..4) {
            0 => self.links(|a, b| (a, b) == (one, other) || (a, b) == (other, one)),
            1 => self.links(|a, b| a == one || b == one),
            _ => self.links(|_, _| true),
        }
    }

    pub(super) fn partition(&mut self, at_us: u64) {
        let side: u16 = self.random.random();
        let links = self.links(|a, b| (side >> a.0 & 1) != (side >> b.0 & 1));
        let until_us = at_us + self.lasts_us();
        self.cut_until(at_us, until_us, links);
    }

    pub(super) fn partial_partition(&mut self, at_us: u64) {
        let order = self.shuffled();
        let n = order.len();
        let mut place = vec![0; n];
        order.iter().enumerate().for_each(|(i, id)| place[id.index()] = i);
        let of = |id: ReplicaId| place[id.index()];
        let isolated_from = self.random.random_range(1..=n);
        let links = match self.random.random_range(0..6) {
            // One pair, or two.
            0 => self.links(|a, b| of(a).min(of(b)) == 0 && of(a).max(of(b)) == 1),
            1 => self.links(|a, b| of(a).max(of(b)) < 4 && of(a) / 2 == of(b) / 2),
            // One replica from some of the others.
            2 => self.links(|a, b| of(a).min(of(b)) == 0 && of(a).max(of(b)) <= isolated_from),
            // A ring or a chain, a star, and two halves that only one replica joins are left.
            3 => {
                let ring = self.random.random();
                self.links(|a, b| {
                    let apart = of(a).abs_diff(of(b));
                    apart > 1 && !(ring && apart == n - 1)
                })
            }
            4 => self.links(|a, b| of(a) != 0 && of(b) != 0),
            _ => {
                self.links(|a, b| of(a) != 0 && of(b) != 0 && (of(a) <= n / 2) != (of(b) <= n / 2))
            }
        };
        let until_us = at_us + self.lasts_us();
        self.cut_until(at_us, until_us, links);
    }

    pub(super) fn restless_partition(&mut self, at_us: u64) {
        let mut from_us = at_us;
        for change in 0..self.random.random_range(5..30) {
            let side: u16 = self.random.random();
            let links = self.links(|a, b| (side >> a.0 & 1) != (side >> b.0 & 1));
            let until_us = from_us + self.random.random_range(1..=10) * self.tick_us;
            if change == 0 {
                self.begin(from_us, Fault::Cut(links.clone()));
            } else {
                self.then(from_us, Fault::Cut(links.clone()));
            }
            self.then(until_us, Fault::Join(links));
            from_us = until_us;
        }
    }

    pub(super) fn one_way_cut(&mut self, at_us: u64) {
        let count = self.random.random_range(1..=u32::from(self.replicas));
        let links: Vec<_> = (0..count).map(|_| (self.replica(), self.replica())).collect();
        let until_us = at_us + self.lasts_us();
        self.cut_until(at_us, until_us, links);
    }

    /// At most once in a run, and only links of replicas that need not be correct.
    pub(super) fn permanent_cut(&mut self, at_us: u64) {
        if self.entries.iter().any(|entry| matches!(entry.fault, Fault::CutForever { .. })) {
            return;
        }
        let mut frail = self.frail();
        let mut outcasts: Vec<ReplicaId> = frail.clone();
        outcasts.retain(|id| !self.plan.byzantine_ids().contains(id));
        for id in self.shuffled() {
            if frail.len() < self.plan.thresholds.faulty_max() && !frail.contains(&id) {
                frail.push(id);
                outcasts.push(id);
            }
        }
        if frail.is_empty() {
            return;
        }
        let mut links = self.links(|a, b| frail.contains(&a) || frail.contains(&b));
        let kept = self.random.random_range(0..links.len());
        for _ in 0..kept {
            links.swap_remove(self.random.random_range(0..links.len()));
        }
        outcasts.retain(|id| links.iter().any(|(a, b)| a == id || b == id));
        self.begin(at_us, Fault::CutForever { outcasts, links });
    }

    pub(super) fn brief_cut(&mut self, at_us: u64) {
        let link = (self.replica(), self.replica());
        self.cut_until(at_us, at_us + self.tick_us, vec![link]);
    }

    pub(super) fn burst(&mut self, at_us: u64) {
        let (one, other) = (self.replica(), self.replica());
        let links = self.links(|a, b| (a, b) == (one, other) || (a, b) == (other, one));
        let lasts_us = self.span_us(1_000, 30_000);
        self.weather(at_us, lasts_us, links, Weather { loss: 1_000, ..Weather::NONE });
    }

    pub(super) fn losses(&mut self, at_us: u64) {
        let loss = self.random.random_range(10..=300);
        let lasts_us = self.lasts_us();
        let links = self.links(|_, _| true);
        self.weather(at_us, lasts_us, links, Weather { loss, ..Weather::NONE });
    }

    pub(super) fn late_duplicates(&mut self, at_us: u64) {
        let duplication = self.random.random_range(10..=500);
        let duplicate_us = self.span_us(1_000, 60_000);
        let (lasts_us, links) = (self.lasts_us(), self.some_links());
        let weather = Weather { duplication, duplicate_us, ..Weather::NONE };
        self.weather(at_us, lasts_us, links, weather);
    }

    pub(super) fn reordering(&mut self, at_us: u64) {
        let jitter_us = self.span_us(100, 5_000);
        let (lasts_us, links) = (self.lasts_us(), self.some_links());
        self.weather(at_us, lasts_us, links, Weather { jitter_us, ..Weather::NONE });
    }

    pub(super) fn corruption(&mut self, at_us: u64) {
        let (lasts_us, links) = (self.lasts_us(), self.some_links());
        self.weather(at_us, lasts_us, links, Weather { corruption: 100, ..Weather::NONE });
    }

    pub(super) fn mutation(&mut self, at_us: u64) {
        let order = self.shuffled();
        if let [from, to, ..] = order[..] {
            self.begin(at_us, Fault::Mutate { from, to });
        }
    }

    /// Some replicas are clogged one by one, and released one by one in another order.
    pub(super) fn swizzle(&mut self, at_us: u64) {
        let mut chosen = self.shuffled();
        chosen.truncate(self.random.random_range(1..=chosen.len()));
        let step_us = self.span_us(200, 3_000);
        let all_clogged_us = at_us + step_us * chosen.len() as u64;
        let releases = self.shuffled();
        for (i, id) in chosen.iter().enumerate() {
            let from_us = at_us + step_us * i as u64;
            let turn = releases.iter().position(|released| released == id).unwrap_or_default();
            let until_us = (all_clogged_us + step_us * turn as u64).min(self.end_us);
            let links = self.links(|a, b| a == *id || b == *id);
            let weather = Weather { clogged_until_us: Some(until_us), ..Weather::NONE };
            let fault = Fault::Weather { links, weather, until_us };
            if i == 0 {
                self.begin(from_us, fault);
            } else if from_us < until_us {
                self.then(from_us, fault);
            }
        }
    }

    pub(super) fn churn(&mut self, at_us: u64) {
        let severed_every_us = self.span_us(500, 5_000);
        let (lasts_us, links) = (self.lasts_us(), self.some_links());
        self.weather(at_us, lasts_us, links, Weather { severed_every_us, ..Weather::NONE });
    }

    pub(super) fn holding(&mut self, at_us: u64) {
        let delay_us = self.random.random_range(1..=10) * self.tick_us;
        let until_us = (at_us + self.lasts_us()).min(self.end_us);
        self.begin(at_us, Fault::Hold { delay_us, until_us });
    }

    pub(super) fn slow_replicas(&mut self, at_us: u64) {
        let count = match self.random.random_range(0..3) {
            0 => self.plan.thresholds.faulty_max(),
            _ => 1,
        };
        let mut slow = self.shuffled();
        // Where views do not change, the first replica is the primary.
        if self.random.random_ratio(1, 3) {
            slow.insert(0, ReplicaId(0));
        }
        slow.truncate(count);
        let links = self.links(|a, b| slow.contains(&a) || slow.contains(&b));
        let lasts_us = self.lasts_us();
        self.weather(at_us, lasts_us, links, Weather { slowness: 10, ..Weather::NONE });
    }
}
