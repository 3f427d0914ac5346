//! Counts asynchronous rounds while a run goes on.
//!
//! A round is the shortest stretch in which every correct replica completes an iteration of its loops,
//! and every message that was on its way at the beginning, or was sent by such an iteration, arrives
//! or is lost.

/// The round that is going on, and what it waits for.
#[derive(Debug)]
pub(super) struct Rounds {
    pub(super) now: u32,
    /// Who has ticked since it began.
    ticked: Vec<bool>,
    /// Messages that must arrive in this round, and in the next.
    due: [u32; 2],
    /// Whose first iteration of the round is going on.
    acting: Option<usize>,
}

impl Rounds {
    /// Begins with round 1.
    pub(super) fn new(replicas: usize) -> Self {
        Self { now: 1, ticked: vec![false; replicas], due: [0; 2], acting: None }
    }

    /// A replica's iteration begins.
    pub(super) fn begin(&mut self, replica: usize) {
        if let Some(ticked) = self.ticked.get_mut(replica)
            && !std::mem::replace(ticked, true)
        {
            self.acting = Some(replica);
        }
    }

    /// It ends.
    pub(super) fn end(&mut self) {
        self.acting = None;
    }

    /// A correct replica sends a message that will arrive: by which round it does.
    pub(super) fn sent(&mut self, from: usize) -> u32 {
        let later = usize::from(self.acting != Some(from));
        self.due[later] += 1;
        self.now + later as u32
    }

    /// A message with this round arrives.
    pub(super) fn arrived(&mut self, round: u32) {
        if round >= self.now {
            let later = (round - self.now) as usize;
            self.due[later] = self.due[later].saturating_sub(1);
        }
    }

    /// Goes on to the next round if this one is over, given who must take part.
    pub(super) fn over(&mut self, takes_part: impl Fn(usize) -> bool) -> bool {
        let all =
            (0..self.ticked.len()).all(|replica| self.ticked[replica] || !takes_part(replica));
        if !all || self.due[0] > 0 {
            return false;
        }
        self.now += 1;
        self.due = [self.due[1], 0];
        self.ticked.fill(false);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_ends_when_all_have_ticked_and_what_they_said_has_arrived() {
        let mut rounds = Rounds::new(2);
        rounds.begin(0);
        let first = rounds.sent(0);
        rounds.end();
        let answer = rounds.sent(1);
        assert_eq!((first, answer), (1, 2));
        rounds.begin(1);
        rounds.end();
        assert!(!rounds.over(|_| true));
        rounds.arrived(first);
        assert!(rounds.over(|_| true));
        rounds.begin(0);
        rounds.begin(1);
        rounds.end();
        assert!(!rounds.over(|_| true), "the answer is on its way");
        rounds.arrived(answer);
        assert!(rounds.over(|_| true));
        assert_eq!(rounds.now, 3);
    }

    #[test]
    fn only_the_first_iteration_of_a_round_counts_as_its_own() {
        let mut rounds = Rounds::new(2);
        rounds.begin(0);
        rounds.end();
        rounds.begin(0);
        assert_eq!(rounds.sent(0), 2);
    }

    #[test]
    fn a_replica_that_is_down_is_not_waited_for() {
        let mut rounds = Rounds::new(2);
        rounds.begin(0);
        assert!(rounds.over(|replica| replica == 0));
    }
}
