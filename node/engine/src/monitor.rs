//! Primary monitoring: the failure detector and the decision to demand a change (thesis 2.6.3,
//! algorithms 3 and 4; DESIGN 4.3).
//!
//! The detector counts tokens, not time: tokens of others since the primary's last (its *beat*), and
//! the primary's own tokens since something of what waits was executed (its *count*). Progress means
//! *executed*: a number assigned to a transaction, or a full pool that dropped one, is none.

#[cfg(feature = "laboratory")]
#[path = "laboratory/monitor.rs"]
mod laboratory;

use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{MonitorReport, ReplicaId, SignerSet, Thresholds, VStatus, View};

use crate::config::LocalLimits;
use crate::outbox::Outbox;
use crate::{Observation, Suspicion};

/// What the detector is told about the other modules when a token comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// Pending transactions executed or superseded by execution so far, in all.
    pub(crate) settled: u64,
    /// Whether anything waits.
    pub(crate) waiting: bool,
    /// Whether votes are cast in the view: phase 0 and its new-view adopted.
    pub(crate) active: bool,
    /// For how many executed blocks the transaction that waits longest at the head of its client's
    /// line has been there.
    pub(crate) longest_wait_blocks: u64,
}

/// The detector and its view-change decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Monitor {
    /// The view that the counters are about.
    view: View,
    /// For each replica, tokens of others since its last.
    beat: Vec<u32>,
    /// Tokens of the primary without progress.
    count: u32,
    /// [`Progress::settled`] when the count was last reset.
    settled: u64,
    /// Whether the primary of `view` is suspected. Lasts until the view changes.
    suspects: bool,
    /// The factor on all thresholds: doubles for each view in a row without progress.
    patience: u32,
    /// Whether anything was executed in this view.
    progressed: bool,
    status: VStatus,
}

impl Monitor {
    pub(crate) fn new(replicas: usize) -> Self {
        Self {
            view: View(0),
            beat: vec![0; replicas],
            count: 0,
            settled: 0,
            suspects: false,
            patience: 1,
            progressed: false,
            status: VStatus::Ok,
        }
    }

    /// Starts anew for `view` (algorithm 3, line 9).
    pub(crate) fn enter(&mut self, view: View, limits: &LocalLimits) {
        if view == self.view {
            return;
        }
        self.patience = if self.progressed {
            1
        } else {
            self.patience.saturating_mul(2).min(limits.patience_factor_max)
        };
        self.view = view;
        self.beat.fill(0);
        self.count = 0;
        self.suspects = false;
        self.progressed = false;
        self.status = VStatus::Ok;
    }

    /// Whether the primary of the view is suspected.
    pub(crate) const fn suspects(&self) -> bool {
        self.suspects
    }

    /// There is no primary to watch: nothing is counted, and nobody suspected (B79).
    pub(crate) fn rest(&mut self) {
        self.beat.fill(0);
        self.count = 0;
        self.suspects = false;
    }

    /// A block was executed: the view makes progress.
    pub(crate) const fn executed(&mut self) {
        self.progressed = true;
        self.patience = 1;
    }

    /// A token of `from` came (algorithm 3).
    pub(crate) fn on_token(
        &mut self,
        from: ReplicaId,
        own: ReplicaId,
        primary: ReplicaId,
        progress: Progress,
        limits: &LocalLimits,
        out: &mut Outbox,
    ) {
        for (index, beat) in self.beat.iter_mut().enumerate() {
            *beat = if index == from.index() || index == own.index() {
                0
            } else {
                beat.saturating_add(1)
            };
        }
        if own == primary {
            // Nobody suspects itself; the others judge.
            self.count = 0;
            return;
        }
        if from == primary {
            self.count_token(progress);
        }
        if let Some(reason) = self.judge(primary, progress, limits)
            && !self.suspects
        {
            self.suspects = true;
            out.observe(Observation::Suspected { view: self.view, reason });
        }
    }

    /// Own memory of the view was wrong: this replica asks for the next.
    pub(crate) fn distrust(&mut self, out: &mut Outbox) {
        if !self.suspects {
            self.suspects = true;
            out.observe(Observation::Suspected { view: self.view, reason: Suspicion::Repaired });
        }
    }

    fn count_token(&mut self, progress: Progress) {
        let moved = progress.settled != self.settled;
        self.settled = progress.settled;
        let idle = progress.active && !progress.waiting;
        self.count =
            if progress.active && (moved || idle) { 0 } else { self.count.saturating_add(1) };
    }

    /// The beat and the count above which the primary is suspected.
    pub(crate) fn thresholds(&self, limits: &LocalLimits) -> (u32, u32) {
        // In a round every other replica but the primary sends one token.
        let others = self.beat.len().saturating_sub(2).max(1) as u32;
        let silent = limits.beat_rounds.saturating_mul(others).saturating_mul(self.patience);
        (silent, limits.progress_tokens.saturating_mul(self.patience))
    }

    fn judge(
        &self,
        primary: ReplicaId,
        progress: Progress,
        limits: &LocalLimits,
    ) -> Option<Suspicion> {
        let (silent, stuck) = self.thresholds(limits);
        let unfair = limits.censorship_blocks.saturating_mul(u64::from(self.patience));
        if self.beat.get(primary.index()).is_some_and(|beat| *beat > silent) {
            Some(Suspicion::Unresponsive)
        } else if self.count > stuck {
            Some(Suspicion::NoProgress)
        } else if progress.longest_wait_blocks > unfair {
            Some(Suspicion::Censorship)
        } else {
            None
        }
    }

    /// Whether to demand a change now, given whose demands are held (algorithm 4).
    pub(crate) fn decide(&mut self, demands: SignerSet, thresholds: Thresholds) -> bool {
        self.status = if demands.len() >= thresholds.strong() {
            VStatus::VChange
        } else if demands.len() >= thresholds.joining() {
            VStatus::NoService
        } else {
            VStatus::Ok
        };
        self.suspects || self.status != VStatus::Ok
    }

    /// Whether the primary is served: votes are cast.
    pub(crate) fn serves(&self) -> bool {
        self.status == VStatus::Ok
    }

    pub(crate) const fn report(&self, demands: SignerSet) -> MonitorReport {
        MonitorReport { status: self.status, suspects: self.suspects, demands }
    }

    /// Beats, count and patience, for people.
    pub(crate) fn counters(&self) -> (Vec<u32>, u32, u32) {
        (self.beat.clone(), self.count, self.patience)
    }

    /// Brings every variable into its domain; true if one was out of it.
    pub(crate) fn repair(&mut self, view: View, replicas: usize, limits: &LocalLimits) -> bool {
        let illegal = self.beat.len() != replicas
            || self.patience == 0
            || self.patience > limits.patience_factor_max.max(1)
            || self.view != view;
        if illegal {
            *self = Self { view, settled: self.settled, ..Self::new(replicas) };
        }
        illegal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: ReplicaId = ReplicaId(1);
    const PRIMARY: ReplicaId = ReplicaId(0);
    const LIMITS: fn() -> LocalLimits = LocalLimits::default;

    fn idle() -> Progress {
        Progress { settled: 0, waiting: false, active: true, longest_wait_blocks: 0 }
    }

    fn feed(monitor: &mut Monitor, from: u16, progress: Progress) -> bool {
        let mut out = Outbox::default();
        monitor.on_token(ReplicaId(from), OWN, PRIMARY, progress, &LIMITS(), &mut out);
        monitor.suspects
    }

    #[test]
    fn a_silent_primary_is_suspected_after_the_stated_rounds_of_others_tokens_and_not_before() {
        let mut monitor = Monitor::new(4);
        for _ in 0..LIMITS().beat_rounds {
            assert!(!feed(&mut monitor, 2, idle()));
            assert!(!feed(&mut monitor, 3, idle()));
        }
        assert!(feed(&mut monitor, 2, idle()));
    }

    #[test]
    fn a_primary_whose_tokens_come_is_suspected_only_when_something_waits_and_nothing_is_executed()
    {
        let mut monitor = Monitor::new(4);
        for _ in 0..1000 {
            assert!(!feed(&mut monitor, 0, idle()));
        }
        let waiting = Progress { waiting: true, ..idle() };
        for settled in 1..1000 {
            assert!(!feed(&mut monitor, 0, Progress { settled, ..waiting }));
        }
        let stuck = Progress { settled: 999, ..waiting };
        for _ in 0..LIMITS().progress_tokens {
            assert!(!feed(&mut monitor, 0, stuck));
        }
        assert!(feed(&mut monitor, 0, stuck));
    }

    #[test]
    fn a_view_that_does_not_become_active_makes_no_progress_even_with_nothing_waiting() {
        let mut monitor = Monitor::new(4);
        let inactive = Progress { active: false, ..idle() };
        let suspected = (0..=LIMITS().progress_tokens).any(|_| feed(&mut monitor, 0, inactive));
        assert!(suspected);
    }

    #[test]
    fn a_censored_client_is_noticed_although_blocks_are_executed() {
        let mut monitor = Monitor::new(4);
        let wait = |blocks| Progress {
            settled: blocks,
            waiting: true,
            longest_wait_blocks: blocks,
            ..idle()
        };
        assert!(!feed(&mut monitor, 0, wait(LIMITS().censorship_blocks)));
        assert!(feed(&mut monitor, 0, wait(LIMITS().censorship_blocks + 1)));
    }

    #[test]
    fn patience_doubles_for_each_view_without_progress_up_to_its_bound_and_returns_on_progress() {
        let mut monitor = Monitor::new(4);
        let factors: Vec<u32> = (1..6)
            .map(|view| {
                monitor.enter(View(view), &LIMITS());
                monitor.patience
            })
            .collect();
        assert_eq!(factors, [2, 4, 8, 8, 8]);
        monitor.executed();
        assert_eq!(monitor.patience, 1);
    }

    #[test]
    fn suspicion_lasts_until_the_view_changes() {
        let mut monitor = Monitor::new(4);
        let inactive = Progress { active: false, ..idle() };
        while !feed(&mut monitor, 0, inactive) {}
        assert!(feed(&mut monitor, 0, idle()));
        monitor.enter(View(1), &LIMITS());
        assert!(!monitor.suspects);
    }

    #[test]
    fn counts_of_another_view_are_forgotten() {
        let mut monitor = Monitor::new(4);
        assert!(!monitor.repair(View(0), 4, &LIMITS()));
        (monitor.count, monitor.suspects) = (7, true);
        assert!(monitor.repair(View(3), 4, &LIMITS()));
        assert_eq!((monitor.view, monitor.count, monitor.suspects), (View(3), 0, false));
    }

    #[test]
    fn n_minus_2f_demands_make_a_replica_join_and_n_minus_f_move_the_view() {
        let six = Thresholds::new(6, 1).unwrap();
        let mut monitor = Monitor::new(6);
        let demands = |count: u16| (0..count).map(ReplicaId).collect();
        assert!(!monitor.decide(demands(3), six));
        assert!(monitor.serves());
        assert!(monitor.decide(demands(4), six));
        assert_eq!(monitor.status, VStatus::NoService);
        assert!(monitor.decide(demands(5), six));
        assert_eq!(monitor.status, VStatus::VChange);
    }
}
