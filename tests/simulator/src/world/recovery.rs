//! The way back to service from an arbitrary state, stage by stage, measured in rounds.

use daruma_engine::laboratory::Standing;
use daruma_types::{Establishment, PublicKey, Statement, View};

use super::{Event, World};
use crate::arbitrary::{Rhythm, Start, convergence_rounds_max, view_rounds_max};
use crate::scheme::{Keys, Role};
use crate::{Invariant, Plan};

/// Rounds through which a cluster that has recovered must stay as it is.
const CLOSURE_ROUNDS: u32 = 100;

/// Rounds through which, under the paper's views, one that lies may keep a primary that serves from voting,
/// each time it tells a higher ballot: the primary takes it, and collects reports anew.
const LAPSE_ROUNDS: u32 = 8;

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
    /// The first round at whose end all were settled in one view.
    common: Option<u32>,
    /// The first at whose end all voted in it as well, its new-view adopted.
    active: Option<u32>,
    /// The keys of the clients that ask.
    clients: Vec<PublicKey>,
    /// The nonce of the requests that must be executed next.
    nonce: u64,
    /// The primary that is away.
    away: Option<usize>,
    /// Whether service was seen.
    trusted: bool,
    /// Whether something was repaired since the last round.
    disturbed: bool,
    /// Rounds in a row at whose ends not all voted.
    lapse: u32,
}

impl Recovery {
    pub(super) fn new(since_us: u64, keys: &Keys) -> Self {
        let key = |client| keys.signer(Role::Client, client).public_key();
        Self {
            stage: Stage::Converging,
            since_us,
            common: None,
            active: None,
            clients: FRESH_CLIENTS.map(key).collect(),
            nonce: 0,
            away: None,
            trusted: false,
            disturbed: false,
            lapse: 0,
        }
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
        for client in FRESH_CLIENTS {
            let transaction = self.sign(client, nonce);
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
        let correct = self.replicas.iter().filter(|replica| replica.correct);
        let mut running = correct.filter_map(|replica| replica.running.as_ref());
        running.all(|running| {
            recovery.clients.iter().all(|client| {
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
        let common = settled_view(&standings);
        let active = common.filter(|_| standings.iter().all(|s| s.active));
        let level = all_equal(standings.iter().map(|s| s.executed));
        if let Some(recovery) = &mut self.recovery {
            recovery.common = recovery.common.or(common.map(|_| done));
            recovery.active = recovery.active.or(active.map(|_| done));
        }
        if self.is_view_late(done) {
            let what = format!("no common view after {done} rounds{}", self.standings_of_all());
            self.broken((Invariant::Convergence, what));
        }
        self.trace.line(self.now_us, || format!("ROUND {done} {stage:?}: {}", brief(&standings)));
        self.trace.round(done + 1);
        // One that suspects the primary for good reason, and a Byzantine one with it, are enough to keep
        // the former from serving it; the others go on.
        let served = !self.plan.byzantine.is_empty() || standings.iter().all(|s| s.serves);
        // Whoever is down, and nobody took away, does not serve either.
        let served = served && self.all_run();
        let healthy = common.filter(|view| self.enough_vote(&standings, *view) && level && served);
        let view = common.filter(|_| served);
        if let (Some(_), Some(recovery)) = (healthy, &mut self.recovery) {
            recovery.lapse = 0;
        }
        match stage {
            Stage::Converging => self.converging(done, healthy),
            Stage::Settled { since, view: settled } => {
                let stays = healthy == Some(settled) || (view == Some(settled) && self.may_lapse());
                self.settled(done, since, settled, stays);
            }
            Stage::Failing { since } => self.failing(done, since, healthy),
        }
        if done.is_multiple_of(REPEAT_ROUNDS) && stage_waits(stage) {
            self.ask_afresh();
        }
    }

    /// Whether there is no common view yet when there should be: under the paper's views a Byzantine replica
    /// may hold the first one up.
    fn is_view_late(&self, done: u32) -> bool {
        let establishment = self.plan.establishment;
        let promised = establishment == Establishment::Certified || self.plan.byzantine.is_empty();
        let never = self.recovery.as_ref().is_some_and(|recovery| recovery.common.is_none());
        promised && never && done >= view_rounds_max(establishment)
    }

    /// Whether all vote. Under the paper's views a Byzantine primary may leave out some, whose ballot is above
    /// its own: it alone can bring them back, and what the others commit is executed by all.
    fn enough_vote(&self, standings: &[Standing], view: View) -> bool {
        let voting = standings.iter().filter(|standing| standing.active).count();
        let thresholds = self.committee.thresholds();
        let led_by_byzantine = !self.replicas[thresholds.primary(view.0).index()].correct
            && matches!(self.plan.establishment, Establishment::Automaton { .. });
        voting == standings.len() || (led_by_byzantine && voting >= thresholds.joining())
    }

    /// Whether the view that stays may be without votes for one round more.
    fn may_lapse(&mut self) -> bool {
        let lies = !self.plan.byzantine.is_empty()
            && matches!(self.plan.establishment, Establishment::Automaton { .. });
        let Some(recovery) = &mut self.recovery else { return false };
        recovery.lapse += 1;
        lies && recovery.lapse <= LAPSE_ROUNDS
    }

    fn rounds_max(&self) -> u32 {
        let Plan { local, thresholds, establishment, .. } = self.plan;
        let promised = convergence_rounds_max(local, *thresholds, *establishment);
        self.plan.rounds_max.unwrap_or(promised)
    }

    fn converging(&mut self, done: u32, healthy: Option<View>) {
        if let (Some(view), true) = (healthy, self.served()) {
            let Some(recovery) = &mut self.recovery else { return };
            recovery.stage = Stage::Settled { since: done, view };
            self.stats.rounds_to_settle = done;
            if !std::mem::replace(&mut recovery.trusted, true) {
                self.stats.rounds_to_view = recovery.common.unwrap_or(done);
                self.stats.rounds_to_active = recovery.active.unwrap_or(done);
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
    fn settled(&mut self, done: u32, since: u32, view: View, stays: bool) {
        let Some(recovery) = &mut self.recovery else { return };
        let disturbed = std::mem::take(&mut recovery.disturbed);
        let undisturbed = stays && !disturbed;
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

/// The view in which all are settled, if there is one. From the end of the first round on a view is a
/// proven one: the iteration of each replica threw out what was not.
fn settled_view(standings: &[Standing]) -> Option<View> {
    let first = standings.first()?;
    let all = standings.iter().all(|s| s.view == first.view && s.phase == 0 && s.settled);
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
