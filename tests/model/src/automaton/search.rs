//! All starts within a scope, each followed until it is healthy or goes round.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use daruma_types::{Thresholds, ThresholdsError};

use super::sight::{Faulty, Node, Place, Rules, World};

/// Which flags vary in the starts beside phase and pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Varied {
    /// None is set.
    Nothing,
    /// Each replica may want a change.
    Change,
    /// Each replica may have been witnessed by all: it acts at once, while others wait for echoes.
    Witness,
}

/// The starts to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// `n`; `f` is the most that `n >= 5f+1` allows.
    pub replicas: usize,
    /// The faulty replica, if any: each other believes it to be where it is itself, or at the reset.
    pub faulty: Faulty,
    /// Views, counted round.
    pub views: u8,
    /// The flags that vary.
    pub varied: Varied,
    /// The rules.
    pub rules: Rules,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Starts followed.
    pub starts: usize,
    /// Rounds computed.
    pub rounds: usize,
    /// Rounds to health from the slowest start that got there.
    pub slowest: usize,
    /// Starts that never got there.
    pub stuck: usize,
    /// The first of them, with the state that it comes back to.
    pub example: Option<(Vec<Node>, Vec<Node>)>,
    /// Wall-clock time.
    pub time: Duration,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { starts, rounds, slowest, stuck, example, time } = self;
        let seconds = time.as_secs_f64();
        writeln!(f, "{starts} starts, {rounds} rounds, {seconds:.1} s, complete")?;
        writeln!(f, "slowest to health: {slowest} rounds; never healthy: {stuck} starts")?;
        if let Some((start, cycle)) = example {
            for (name, nodes) in [("from", start), ("comes back to", cycle)] {
                writeln!(f, "{name}")?;
                for node in nodes {
                    writeln!(f, "  {:?} believes {:?}", node.place, node.believed)?;
                }
            }
        }
        Ok(())
    }
}

/// Follows every start of `scope`.
///
/// # Errors
/// [`ThresholdsError`] if there can be no such replicas.
pub fn search(scope: Scope) -> Result<Found, ThresholdsError> {
    let begun = Instant::now();
    let Scope { replicas, faulty, views, varied, rules } = scope;
    let thresholds = Thresholds::new(replicas, replicas.saturating_sub(1) / 5)?;
    let world = World { thresholds, views, rules, faulty };
    let alone = faulty == Faulty::Nobody;
    let kinds = kinds(views, !alone, varied);
    let correct = if alone { replicas } else { replicas.saturating_sub(1) };
    let mut found =
        Found { starts: 0, rounds: 0, slowest: 0, stuck: 0, example: None, time: Duration::ZERO };
    // Places in ascending order only: one start for each set of starts that differ by names.
    let mut digits = vec![0_usize; correct];
    loop {
        let start: Vec<Node> = digits.iter().map(|digit| kinds[*digit]).collect();
        found.follow(&world, with_witnesses(start));
        let Some(at) = digits.iter().rposition(|digit| digit + 1 < kinds.len()) else {
            found.time = begun.elapsed();
            return Ok(found);
        };
        let digit = digits[at] + 1;
        digits[at..].fill(digit);
    }
}

impl Found {
    fn follow(&mut self, world: &World, start: Vec<Node>) {
        self.starts += 1;
        let mut seen = HashSet::new();
        let mut nodes = start.clone();
        while !World::is_healthy(&nodes) {
            if !seen.insert(nodes.clone()) {
                self.stuck += 1;
                self.example.get_or_insert((start, nodes));
                return;
            }
            nodes = world.round(&nodes);
            self.rounds += 1;
        }
        self.slowest = self.slowest.max(seen.len());
    }
}

/// Every sound place, with the flags and beliefs that vary.
fn kinds(views: u8, faulty: bool, varied: Varied) -> Vec<Node> {
    let mut places = vec![Place::RESET];
    places.extend((0..views).map(Place::settled));
    for next in 0..views {
        places.push(Place::at(1, None, next));
        let others = (0..views).filter(|current| *current != next);
        places.extend(others.map(|current| Place::at(1, Some(current), next)));
    }
    let mut kinds = Vec::new();
    for place in places {
        let beliefs = if faulty { vec![Some(place), Some(Place::RESET)] } else { vec![None] };
        for believed in beliefs {
            kinds.push(Node::at(place, believed));
            match varied {
                Varied::Nothing => {}
                Varied::Change => {
                    kinds.push(Node::at(Place { change: true, ..place }, believed));
                }
                Varied::Witness => {
                    kinds.push(Node::at(Place { witness: true, ..place }, believed));
                }
            }
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// Who is witnessed at the start has heard of all others that are.
fn with_witnesses(mut nodes: Vec<Node>) -> Vec<Node> {
    let witnessed = nodes.iter().enumerate().filter(|(_, node)| node.place.witness);
    let mask = witnessed.fold(0_u8, |mask, (at, _)| mask | 1 << at);
    for node in nodes.iter_mut().filter(|node| node.place.witness) {
        node.witnesses = mask;
    }
    nodes
}
