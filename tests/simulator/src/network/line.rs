//! What waits on a link, and who makes room when no more may wait.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// A place on a link, and what leaves from it: something newer, if the oldest was pushed out meanwhile.
pub(crate) type Berth<T> = Rc<RefCell<T>>;

#[derive(Debug, Clone)]
struct Waiting<T> {
    leaves_us: u64,
    /// The instance that hears it: twins are two.
    target: usize,
    berth: Berth<T>,
}

/// What waits to leave, the oldest first.
#[derive(Debug, Clone)]
pub(super) struct Line<T>(VecDeque<Waiting<T>>);

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Line<T> {
    /// Something waits until a time.
    pub(super) fn wait(&mut self, now_us: u64, leaves_us: u64, target: usize, what: T) -> Berth<T> {
        while self.0.front().is_some_and(|oldest| oldest.leaves_us <= now_us) {
            self.0.pop_front();
        }
        let berth = Rc::new(RefCell::new(what));
        self.0.push_back(Waiting { leaves_us, target, berth: Rc::clone(&berth) });
        berth
    }

    /// What found the line full takes the last place in it; the others move up by one, and the oldest is
    /// lost. So does a node's queue: what was said last is worth the most, and what was said before is
    /// said again if it still holds (DESIGN 7). A node's transport does not know what frames mean, so a
    /// state cannot take the place of an older one of its kind; it pushes it out in the end.
    pub(super) fn push_out(&self, now_us: u64, target: usize, what: T) {
        let mut newer = what;
        for waiting in self.0.iter().rev() {
            if waiting.leaves_us > now_us && waiting.target == target {
                newer = waiting.berth.replace(newer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_the_line_full_takes_the_last_place_and_the_oldest_is_lost() {
        let mut line = Line::default();
        let berths: Vec<_> = (0..4).map(|i| line.wait(0, 10 * (i + 1), 7, i)).collect();
        // The first has left.
        line.push_out(10, 7, 100);
        let leaves: Vec<_> = berths.iter().map(|berth| *berth.borrow()).collect();
        assert_eq!(leaves, [0, 2, 3, 100]);
        line.push_out(10, 7, 101);
        let leaves: Vec<_> = berths.iter().map(|berth| *berth.borrow()).collect();
        assert_eq!(leaves, [0, 3, 100, 101]);
    }

    #[test]
    fn twins_do_not_push_out_what_the_other_is_to_hear_and_nothing_is_kept_that_left() {
        let mut line = Line::default();
        let (one, other) = (line.wait(0, 10, 7, 1), line.wait(0, 20, 8, 2));
        line.push_out(0, 8, 3);
        assert_eq!((*one.borrow(), *other.borrow()), (1, 3));
        line.wait(20, 30, 7, 4);
        assert_eq!(line.0.len(), 1);
    }
}
