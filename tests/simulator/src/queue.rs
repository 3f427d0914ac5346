//! The queue of what happens next, in virtual time.

use std::collections::VecDeque;
use std::mem;

/// Events in order of time; those of one time in the order in which they were put in.
///
/// A radix heap: time only goes on, so an event need not be compared with the others. It lies in a list
/// with all whose time first differs from now in the same bit. When it is the turn of a list, its events
/// move to lists of lower bits, in their order; the first of all then is the time of the earliest.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    /// Not later than any event; the time of the last one that was taken.
    now_us: u64,
    /// Events of `now_us`.
    now: VecDeque<(u64, E)>,
    /// At `i` the events whose time differs from `now_us` in bit `i`, and in no higher one.
    later: [Vec<(u64, E)>; u64::BITS as usize],
    /// Bit `i` says that `later[i]` holds something.
    filled: u64,
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Self {
        let later = std::array::from_fn(|_| Vec::new());
        Self { now_us: 0, now: VecDeque::new(), later, filled: 0 }
    }

    /// Adds an event. One whose time is over happens next.
    pub(crate) fn push(&mut self, at_us: u64, event: E) {
        let at_us = at_us.max(self.now_us);
        match (at_us ^ self.now_us).checked_ilog2() {
            None => self.now.push_back((at_us, event)),
            Some(bit) => {
                self.later[bit as usize].push((at_us, event));
                self.filled |= 1 << bit;
            }
        }
    }

    /// Takes the next event.
    pub(crate) fn pop(&mut self) -> Option<(u64, E)> {
        if self.now.is_empty() {
            let (bit, next_us) = self.next_list()?;
            self.now_us = next_us;
            self.filled &= !(1 << bit);
            let mut list = mem::take(&mut self.later[bit]);
            list.drain(..).for_each(|(at_us, event)| self.push(at_us, event));
            // Its memory is used again.
            self.later[bit] = list;
        }
        self.now.pop_front()
    }

    /// Takes the next event if its time is not after `last_us`. Else it stays, behind others of its time.
    pub(crate) fn pop_until(&mut self, last_us: u64) -> Option<(u64, E)> {
        if self.now.is_empty() {
            let (bit, next_us) = self.next_list()?;
            if next_us > last_us {
                let list = &mut self.later[bit];
                if let Some(first) = list.iter().position(|(at_us, _)| *at_us == next_us) {
                    let event = list.remove(first);
                    list.push(event);
                }
                return None;
            }
        } else if self.now_us > last_us {
            self.now.rotate_left(1);
            return None;
        }
        self.pop()
    }

    /// The list that holds the next event after `now_us`, and the time of that event.
    fn next_list(&self) -> Option<(usize, u64)> {
        let bit = self.filled.trailing_zeros() as usize;
        let next_us = self.later.get(bit)?.iter().map(|(at_us, _)| *at_us).min()?;
        Some((bit, next_us))
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn events_come_in_order_of_time_and_then_of_arrival() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 'a'), (3, 'b'), (5, 'c'), (1, 'd')] {
            queue.push(at, event);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(1, 'd'), (3, 'b'), (5, 'a'), (5, 'c')]);
    }

    #[test]
    fn what_is_not_due_yet_stays_behind_others_of_its_time() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 'a'), (5, 'b'), (9, 'c')] {
            queue.push(at, event);
        }
        assert_eq!(queue.pop_until(4), None);
        queue.push(4, 'd');
        let order: Vec<_> = std::iter::from_fn(|| queue.pop_until(5)).collect();
        assert_eq!(order, [(4, 'd'), (5, 'b'), (5, 'a')]);
        assert_eq!(queue.pop(), Some((9, 'c')));
    }

    /// Compared with a list that is sorted anew each time.
    #[test]
    fn the_order_is_that_of_a_sorted_list_whatever_is_put_in_and_taken() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let (mut queue, mut sorted) = (Queue::new(), Vec::new());
        let mut now = 0;
        for number in 0..20_000 {
            if random.random_bool(0.52) {
                let spread = [1, 10, 3_000, 1 << 40][random.random_range(0..4)];
                let at = now + random.random_range(0..spread);
                queue.push(at, number);
                sorted.push((at, number));
                sorted.sort_unstable();
            } else if !sorted.is_empty() {
                let next = sorted.remove(0);
                now = next.0;
                assert_eq!(queue.pop(), Some(next));
            } else {
                assert_eq!(queue.pop(), None);
            }
        }
    }
}
