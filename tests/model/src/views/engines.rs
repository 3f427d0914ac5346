//! Whole engines, started from every combination of proofs on their disks.

use std::collections::VecDeque;

use daruma_engine::{AdmissionContext, Destination, Effect, Engine, Input, admit};
use daruma_types::{Message, ReplicaId};

use super::proof::{Proof, start};
use super::{Surprise, Table};
use crate::committee::Replicas;

/// Messages that one round may carry: every replica's few answers to every other's summary.
const MESSAGES_PER_ROUND_MAX: usize = 10_000;

/// What came of running all starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Convergence {
    /// Starts run.
    pub starts: usize,
    /// Rounds until the slowest served one view.
    pub rounds_max: u32,
    /// Starts that did not within the bound.
    pub stuck: Vec<Vec<Proof>>,
}

/// Starts the correct replicas of `n`, the faulty ones being silent, from every combination of what
/// disks may hold about views up to `last`, and runs them in lock-step (a tick for each, then all
/// messages) until they serve one view, for `rounds` at most.
///
/// # Errors
/// [`Surprise`] if there can be no such engines.
pub fn converge_from_every_start(n: usize, last: u8, rounds: u32) -> Result<Convergence, Surprise> {
    let replicas = Replicas::new(n).map_err(Surprise::Committee)?;
    let correct = replicas.committee().thresholds().strong();
    let disks: Vec<Proof> = Table::new(n, last)?.starts().keys().copied().collect();
    let mut result = Convergence::default();
    let mut digits = vec![0_usize; correct];
    loop {
        let proofs: Vec<Proof> = digits.iter().map(|digit| disks[*digit]).collect();
        result.starts += 1;
        match run(&replicas, &proofs, rounds) {
            Some(rounds) => result.rounds_max = result.rounds_max.max(rounds),
            None => result.stuck.push(proofs),
        }
        // The next combination, as one counts.
        let Some(at) = digits.iter().position(|digit| digit + 1 < disks.len()) else {
            return Ok(result);
        };
        digits[at] += 1;
        digits[..at].fill(0);
    }
}

/// Rounds until all serve one view.
fn run(replicas: &Replicas, proofs: &[Proof], rounds: u32) -> Option<u32> {
    let mut wire = VecDeque::new();
    let mut engines = Vec::new();
    for (index, proof) in proofs.iter().enumerate() {
        let (engine, effects) = start(replicas, index, *proof);
        engines.push(engine);
        send(index, effects, proofs.len(), &mut wire);
    }
    for round in 0..=rounds {
        deliver(replicas, &mut engines, &mut wire);
        let at = |engine: &Engine| (engine.status().view, engine.status().phase);
        let first = engines.first().map(at);
        if engines.iter().all(|e| Some(at(e)) == first && at(e).1 == 0) {
            return Some(round);
        }
        let count = engines.len();
        for (index, engine) in engines.iter_mut().enumerate() {
            let effects = engine.step(Input::Tick { now_ms: u64::from(round) });
            send(index, effects, count, &mut wire);
        }
    }
    None
}

type Wire = VecDeque<(usize, usize, Message)>;

fn deliver(replicas: &Replicas, engines: &mut [Engine], wire: &mut Wire) {
    let count = engines.len();
    for _ in 0..MESSAGES_PER_ROUND_MAX {
        let Some((from, to, message)) = wire.pop_front() else { return };
        let from_id = ReplicaId(from as u16);
        if let Ok(message) = admit(from_id, message, replicas) {
            let effects = engines[to].step(Input::Received { from: from_id, message });
            send(to, effects, count, wire);
        }
    }
}

fn send(from: usize, effects: Vec<Effect>, count: usize, wire: &mut Wire) {
    let mut messages = Vec::new();
    for effect in effects {
        match effect {
            Effect::Promise { then, .. } => messages.extend(then),
            Effect::Send { to, message } => messages.push((to, message)),
            Effect::Execute(_)
            | Effect::ServeBlocks { .. }
            | Effect::LookUpNonces(_)
            | Effect::Adopt { .. }
            | Effect::Mend(_)
            | Effect::Pooled(_)
            | Effect::Attested(_)
            | Effect::Observed(_) => {}
        }
    }
    for (to, message) in messages {
        for peer in (0..count).filter(|peer| *peer != from) {
            if to == Destination::All || to == Destination::One(ReplicaId(peer as u16)) {
                wire.push_back((from, peer, message.clone()));
            }
        }
    }
}
