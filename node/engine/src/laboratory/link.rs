//! Arbitrary token channels.

use super::{Link, Links};
use crate::laboratory::{Garbage, Size};

impl Links {
    /// Sets every variable.
    pub(crate) fn scramble(&mut self, garbage: &mut Garbage<'_>) {
        let Self { links } = self;
        garbage.set("links.links", links, |g| {
            g.each(|g, _| Link {
                sending: g.number(&[super::COUNTERS, 0]),
                received: g.number(&[super::COUNTERS, 0]),
                taken: g.flag(),
                behind: g.small_number(&[0]),
            })
        });
    }

    /// What is held.
    pub(crate) fn sizes(&self, replicas: usize, sizes: &mut alloc::vec::Vec<Size>) {
        let Self { links } = self;
        sizes.push(Size::new("links.links", links.len(), replicas));
    }
}
