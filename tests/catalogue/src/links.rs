//! Who hears whom, and what comes over links.

use std::collections::BTreeSet;

use daruma_simulator::{Fault, Rig, Weather};
use daruma_types::ReplicaId;

/// A directed link.
pub type Link = (ReplicaId, ReplicaId);

/// The links, in both directions, between replicas of which `apart` says so.
pub fn between(n: usize, apart: impl Fn(usize, usize) -> bool) -> Vec<Link> {
    let all = (0..n).flat_map(|from| (0..n).map(move |to| (from, to)));
    all.filter(|(from, to)| from != to && (apart(*from, *to) || apart(*to, *from)))
        .map(|(from, to)| (ReplicaId(from as u16), ReplicaId(to as u16)))
        .collect()
}

/// Cuts these links, or joins them again.
pub fn set_cut(rig: &mut Rig<'_>, links: &[Link], is_cut: bool) {
    rig.inject(if is_cut { Fault::Cut(links.to_vec()) } else { Fault::Join(links.to_vec()) });
}

/// Lets weather come over these links for so many microseconds.
pub fn set_weather(rig: &mut Rig<'_>, links: &[Link], weather: Weather, lasts_us: u64) {
    let until_us = rig.now_us() + lasts_us;
    rig.inject(Fault::Weather { links: links.to_vec(), weather, until_us });
}

/// For each replica, whom it hears and is heard by, itself among them, when these links are cut.
#[must_use]
pub fn neighbours(n: usize, cut: &[Link]) -> Vec<BTreeSet<usize>> {
    let id = |id: usize| ReplicaId(id as u16);
    let joined = |a, b| a == b || !(cut.contains(&(id(a), id(b))) || cut.contains(&(id(b), id(a))));
    (0..n).map(|a| (0..n).filter(|b| joined(a, *b)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_cut_in_both_directions_and_leave_the_others() {
        let cut = between(3, |a, b| (a, b) == (2, 0));
        assert_eq!(cut, [(ReplicaId(0), ReplicaId(2)), (ReplicaId(2), ReplicaId(0))]);
        let neighbours = neighbours(3, &cut);
        let sets = [vec![0, 1], vec![0, 1, 2], vec![1, 2]].map(BTreeSet::from_iter);
        assert_eq!(neighbours, sets);
    }
}
