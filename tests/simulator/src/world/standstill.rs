//! Processes that stand still: nothing happens in them, and then they go on with all of their memory.

use super::{Event, World};
use crate::limits;

impl World<'_> {
    /// The event, unless it is one of a replica that stands still: then it comes when that goes on, and
    /// if too many messages wait already, it does not come at all.
    pub(super) fn unless_paused(&mut self, event: Event) -> Option<Event> {
        let (replica, is_message) = match &event {
            Event::Tick { replica, .. }
            | Event::Synced { replica, .. }
            | Event::Execute { replica, .. }
            | Event::Told { replica, .. }
            | Event::TellHead { replica, .. }
            | Event::StartAgain { replica, .. }
            | Event::Nonces { replica, .. }
            | Event::Adoption { replica, .. }
            | Event::Head { replica, .. } => (*replica, false),
            Event::Deliver { to, .. }
            | Event::DeliverCorrupt { to, .. }
            | Event::DeliverRaw { to, .. } => (*to, true),
            Event::Submit { to, .. } => (to.index(), true),
            Event::Fault(_) | Event::Client(_) | Event::EndCheck => return Some(event),
        };
        let paused = &mut self.replicas[replica];
        let until_us = paused.paused_until_us;
        if until_us <= self.now_us {
            return Some(event);
        }
        if is_message {
            if paused.waiting >= limits::PAUSED_MESSAGES_MAX {
                self.stats.count("network: lost at a standstill");
                return None;
            }
            paused.waiting += 1;
        }
        self.queue.push(until_us, event);
        None
    }
}
