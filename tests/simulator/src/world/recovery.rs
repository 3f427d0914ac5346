//! The way back to service from an arbitrary state, stage by stage, measured in rounds.

use daruma_engine::laboratory::Standing;
use daruma_types::{Statement, View};

use super::{Event, World};
use crate::Invariant;
use crate::arbitrary::{Rhythm, Start, convergence_rounds_max};
use crate::scheme::{Keys, Role};

/// Rounds through which a cluster that has recovered must stay as it is.
const CLOSURE_ROUNDS: u32 = 100;

/// Rounds through which a primary is away, if the others cannot serve without it.
const AWAY_ROUNDS: u32 = 3;

/// Rounds after which a client repeats its request.
const REPEAT_ROUNDS: u32 = 10;

/// The first key of the clients that ask after the history, and how many ask.
const FRESH_CLIENTS: std::ops::Range<u16> = 100..103;

/// How far the run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing is promised yet.
    Converging,
    /// All is well since this round, and must stay so.
    Settled { since: u32, view: View },
    /// A primary failed in this round.
    Failing { since: u32 },
}

/// What is known of the way back.
#[derive(Debug)]
pub(super) struct Recovery {
    stage: Stage,
    /// When the arbitrary state was set.
    since_us: u64,
    /// The first round at whose end all were in one view, active.
    common: Option<u32>,
    /// The nonce of the requests that must be executed next.
    nonce: u64,
    /// The primary that is away.
    away: Option<usize>,
    /// Whether service was seen.
    trusted: bool,
    /// Whether something was repaired since the last round.
    disturbed: bool,
}

impl Recovery {
    pub(super) fn new(since_us: u64) -> Self {
        let (stage, common, away) = (Stage::Converging, None, None);
        Self { stage, since_us, common, nonce: 0, away, trusted: false, disturbed: false }
    }

    /// Whether the checks of agreement wait for convergence.
    pub(super) fn is_unstable(&self) -> bool {
        !self.trusted
    }
}

impl World<'_> {
    /// When replicas act, after an arbitrary start.
    pub(super) fn rhythm(&self) -> Option<Rhythm> {
        match &self.plan.start {
            Start::Fresh => self.driven,
            Start::Arbitrary(start) => self.rounds.as_ref().map(|_| start.rhythm),
        }
    }

    /// New clients ask all replicas.
    pub(super) fn ask_afresh(&mut self) {
        let Some(recovery) = &self.recovery else { return };
        let nonce = recovery.nonce;
        let keys = Keys::new(self.plan.scheme, self.plan.seed);
        for client in FRESH_CLIENTS {
            let transaction = self.sign(&keys, client, nonce);
            for to in self.committee.ids().collect::<Vec<_>>() {
                let transaction = Box::new(transaction.clone());
                self.queue.push(self.now_us + 1, Event::Submit { to, transaction });
            }
        }
    }

    /// Whether every correct replica runs but the one that a test took away.
    fn all_run(&self) -> bool {
        let away = self.recovery.as_ref().and_then(|recovery| recovery.away);
        let mut replicas = self.replicas.iter().enumerate();
        replicas.all(|(at, r)| !r.correct || r.running.is_some() || Some(at) == away)
    }

    fn standings(&self) -> Vec<Standing> {
        let correct = self.replicas.iter().filter(|replica| replica.correct);
        correct.filter_map(|r| r.running.as_ref()).map(|r| r.engine.standing()).collect()
    }

    /// Whether every correct replica that runs executed the fresh requests.
    fn served(&self) -> bool {
        let Some(recovery) = &self.recovery else { return false };
        let keys = Keys::new(self.plan.scheme, self.plan.seed);
        let clients: Vec<_> =
            FRESH_CLIENTS.map(|client| keys.signer(Role::Client, client).public_key()).collect();
        let correct = self.replicas.iter().filter(|replica| replica.correct);
        let mut running = correct.filter_map(|replica| replica.running.as_ref());
        running.all(|running| {
            clients.iter().all(|client| {
                running.reader.last_nonce(client).ok().flatten() >= Some(recovery.nonce)
            })
        })
    }

    /// A round is over.
    pub(super) fn round_ended(&mut self) {
        let (Some(rounds), Some(recovery)) = (&self.rounds, &self.recovery) else { return };
        let done = rounds.now - 1;
        let stage = recovery.stage;
        let standings = self.standings();
        let common = common_view(&standings);
        let level = all_equal(standings.iter().map(|s| s.executed));
        if let Some(recovery) = &mut self.recovery {
            recovery.common = recovery.common.or(common.map(|_| done));
        }
        self.trace.line(self.now_us, || format!("ROUND {done} {stage:?}: {}", brief(&standings)));
        self.trace.round(done + 1);
        // One that suspects the primary for good reason, and a Byzantine one with it, are enough to keep
        // the former from serving it; the others go on.
        let served = !self.plan.byzantine.is_empty() || standings.iter().all(|s| s.serves);
        // Whoever is down, and nobody took away, does not serve either.
        let served = served && self.all_run();
        let healthy = common.filter(|_| level && served);
        match stage {
            Stage::Converging => self.converging(done, healthy),
            Stage::Settled { since, view } => self.settled(done, since, view, healthy),
            Stage::Failing { since } => self.failing(done, since, healthy),
        }
        if done.is_multiple_of(REPEAT_ROUNDS) && stage_waits(stage) {
            self.ask_afresh();
        }
    }

    fn rounds_max(&self) -> u32 {
        let promised = convergence_rounds_max(&self.plan.local, self.plan.thresholds);
        self.plan.rounds_max.unwrap_or(promised)
    }

    fn converging(&mut self, done: u32, healthy: Option<View>) {
        if let (Some(view), true) = (healthy, self.served()) {
            let Some(recovery) = &mut self.recovery else { return };
            recovery.stage = Stage::Settled { since: done, view };
            self.stats.rounds_to_settle = done;
            if !std::mem::replace(&mut recovery.trusted, true) {
                self.stats.rounds_to_view = recovery.common.unwrap_or(done);
                self.stats.rounds_to_service = done;
                self.stats.quiet_us = self.now_us - recovery.since_us;
                self.trust();
            }
        } else if done > self.rounds_max() {
            let what = format!("no service after {done} rounds{}", self.standings_of_all());
            self.broken((Invariant::Convergence, what));
        }
    }

    /// From here on everything is promised again. The checks begin with the ledgers as they are.
    fn trust(&mut self) {
        let correct = self.replicas.iter().filter(|replica| replica.correct);
        let heads: Vec<(_, Statement)> = correct
            .filter_map(|replica| Some((replica.id, replica.running.as_ref()?)))
            .map(|(id, running)| (id, running.ledger.head().statement))
            .collect();
        let reader = self.replicas.iter().find(|r| r.correct).and_then(|r| r.running.as_ref());
        let reader = reader.map(|running| running.reader.clone());
        let last = |client: &_| reader.as_ref()?.last_nonce(client).ok().flatten();
        let sound = self.checkers.begin_anew(&heads, last);
        self.check(sound);
        self.judge_survival();
        self.trace.line(self.now_us, || "SERVED".to_owned());
    }

    fn judge_survival(&mut self) {
        if let Some(stood) = self.stood.take() {
            let sound = self.check_survival(&stood);
            self.check(sound);
            self.stood = Some(stood);
        }
    }

    /// Something of a faulty memory was found and repaired.
    pub(super) fn disturbed(&mut self) {
        if let Some(recovery) = &mut self.recovery {
            recovery.disturbed = true;
        }
    }

    /// What a faulty detector still counted may move the view once more, within the bound.
    fn settled(&mut self, done: u32, since: u32, view: View, healthy: Option<View>) {
        let Some(recovery) = &mut self.recovery else { return };
        let disturbed = std::mem::take(&mut recovery.disturbed);
        let undisturbed = healthy == Some(view) && !disturbed;
        if !undisturbed && done <= self.rounds_max() {
            let Some(recovery) = &mut self.recovery else { return };
            recovery.stage = Stage::Converging;
        } else if !undisturbed {
            let what = format!("{} rounds after service{}", done - since, self.standings_of_all());
            self.broken((Invariant::Closure, what));
        } else if done >= since + CLOSURE_ROUNDS {
            for replica in &mut self.replicas {
                replica.transient = false;
            }
            let primary = self.committee.thresholds().primary(view.0).index();
            if self.replicas[primary].correct {
                self.crash(primary);
            }
            let Some(recovery) = &mut self.recovery else { return };
            recovery.stage = Stage::Failing { since: done };
            recovery.away = Some(primary);
            recovery.nonce += 1;
            self.ask_afresh();
        }
    }

    /// The others serve without the primary, unless `f` replicas are Byzantine already; then it comes
    /// back, and is served again.
    fn failing(&mut self, done: u32, since: u32, healthy: Option<View>) {
        let spare = self.plan.byzantine.len() < self.committee.thresholds().faulty_max();
        let back = if spare { self.served() } else { done >= since + AWAY_ROUNDS };
        let away = self.recovery.as_ref().and_then(|recovery| recovery.away);
        if let (Some(primary), true) = (away, back) {
            self.start(primary);
            if let Some(recovery) = &mut self.recovery {
                recovery.away = None;
            }
        } else if away.is_none() && healthy.is_some() && self.served() {
            self.stats.rounds_after_failure = done - since;
            self.judge_survival();
            self.ended = true;
        } else if done > since + self.rounds_max() {
            let what = format!(
                "no service {} rounds after the primary failed{}",
                done - since,
                self.standings_of_all()
            );
            self.broken((Invariant::Progress, what));
        }
    }
}

const fn stage_waits(stage: Stage) -> bool {
    match stage {
        Stage::Converging | Stage::Failing { .. } => true,
        Stage::Settled { .. } => false,
    }
}

/// The view in which all serve, if there is one.
fn common_view(standings: &[Standing]) -> Option<View> {
    let first = standings.first()?;
    let all = standings.iter().all(|s| s.view == first.view && s.phase == 0 && s.active);
    all.then_some(first.view)
}

fn all_equal<T: PartialEq>(mut values: impl Iterator<Item = T>) -> bool {
    values.next().is_none_or(|first| values.all(|value| value == first))
}

fn brief(standings: &[Standing]) -> String {
    let line = |s: &Standing| {
        let (active, serves) = (if s.active { "a" } else { "-" }, if s.serves { "" } else { "!" });
        format!("{}.{}{active}{serves} {}/{}", s.view, s.phase, s.executed.height, s.head)
    };
    standings.iter().map(line).collect::<Vec<_>>().join(" | ")
}
