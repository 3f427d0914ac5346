//! What replaces a part of the scenario's plans.

use clap::Args;
use daruma_types::{Establishment, ReplicaId, Thresholds};

use super::CommandError;
use crate::text::forms::Word;
use crate::{Behaviour, Plan, Start, limits};

/// The word for no Byzantine replica.
const NONE: &str = "none";

/// Arguments that change the plan of every seed.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Changes {
    /// Replicas of each run [default: what the scenario says].
    #[arg(long, value_name = "N")]
    replicas: Option<usize>,
    /// How many replicas are Byzantine; who, and how if --adversary does not say, is the seed's
    /// choice [default: what the scenario says]. Without --replicas, runs that have too few get more.
    #[arg(long, value_name = "F")]
    faulty: Option<usize>,
    /// How Byzantine replicas behave: names, of which they take turns, or ID=NAME for certain
    /// replicas, or `none` [default: what the scenario says].
    #[arg(long, value_name = "[ID=]NAME", value_delimiter = ',', value_parser = parse_choice)]
    #[arg(alias = "byzantine")]
    adversary: Vec<Choice>,
    /// How the replicas agree on who is primary: certified, automaton (the paper's) or automaton-fd (with
    /// its event-driven detector) [default: what the scenario says]. Without --replicas, runs that have
    /// too few for it get more.
    #[arg(long, value_name = "NAME", value_parser = Establishment::from_word)]
    establishment: Option<Establishment>,
    /// Begin in an arbitrary state: any values in the variables of correct replicas. Then there are no
    /// faults of a schedule besides.
    #[arg(long)]
    arbitrary_start: bool,
    /// After an arbitrary start, service must be back within so many rounds; other runs have faults for
    /// so many ticks of a replica [default: what the scenario says].
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Virtual time with faults, in milliseconds [default: what the scenario says].
    #[arg(long, value_name = "MS", conflicts_with_all = ["rounds", "arbitrary_start"])]
    fault_phase_ms: Option<u64>,
}

/// One Byzantine replica, or what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    None,
    Any(Behaviour),
    At(ReplicaId, Behaviour),
}

/// Who is Byzantine, taken from all arguments that say something about it.
#[derive(Debug, PartialEq, Eq)]
enum Byzantine {
    /// As the scenario has it.
    Unchanged,
    /// So many, with these behaviours in turn; with none, the seed chooses.
    Some(usize, Vec<Behaviour>),
    Exactly(Vec<(ReplicaId, Behaviour)>),
}

impl Changes {
    /// Whether the changes make sense together.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        let most = limits::REPLICAS_MAX;
        if let Some(replicas) = self.replicas
            && !(1..=most).contains(&replicas)
        {
            return Err(CommandError::BadInput(format!(
                "--replicas {replicas}: a simulated chain has 1 to {most}"
            )));
        }
        let needed = self.needed_for(&self.byzantine()?);
        if let Some(replicas) = self.replicas
            && replicas < needed
        {
            return Err(CommandError::BadInput(format!(
                "--replicas {replicas} tolerates {} Byzantine ones, and has no r{}: for what is \
                 asked give --replicas {needed} or more",
                self.tolerated(replicas),
                replicas,
            )));
        }
        if needed > most {
            return Err(CommandError::BadInput(format!(
                "so many Byzantine replicas, or such ids, need more replicas than the {most} that a \
                 simulated chain has at most: ask for {} or fewer, with ids below {most}",
                self.tolerated(most)
            )));
        }
        if self.rounds.is_some_and(|rounds| !(1..=limits::ROUNDS_MAX).contains(&rounds)) {
            return Err(CommandError::BadInput(format!("--rounds: 1 to {}", limits::ROUNDS_MAX)));
        }
        if self.fault_phase_ms.is_some_and(|ms| ms > limits::FAULT_PHASE_MS_MAX) {
            return Err(CommandError::BadInput(format!(
                "--fault-phase-ms: at most {}",
                limits::FAULT_PHASE_MS_MAX
            )));
        }
        Ok(())
    }

    /// How many Byzantine replicas are tolerated by so many.
    fn tolerated(&self, replicas: usize) -> usize {
        Thresholds::largest_faulty_with(replicas, self.establishment.unwrap_or_default())
    }

    /// The fewest replicas with which these can be Byzantine.
    fn needed_for(&self, byzantine: &Byzantine) -> usize {
        let (count, last) = match byzantine {
            Byzantine::Unchanged => (0, None),
            Byzantine::Some(count, _) => (*count, None),
            Byzantine::Exactly(all) => (all.len(), all.iter().map(|(id, _)| id.index()).max()),
        };
        let enough = (1..=limits::REPLICAS_MAX).find(|n| self.tolerated(*n) >= count);
        let for_count = enough.unwrap_or(usize::MAX);
        for_count.max(last.map_or(1, |last| last.saturating_add(1)))
    }

    /// Whether the length of the fault phase is asked for.
    pub(super) const fn has_fault_phase(&self) -> bool {
        self.fault_phase_ms.is_some()
    }

    fn byzantine(&self) -> Result<Byzantine, CommandError> {
        let bad = |text: &str| Err(CommandError::BadInput(text.to_owned()));
        let mut named = Vec::new();
        let mut exactly: Vec<(ReplicaId, Behaviour)> = Vec::new();
        let mut none = false;
        for choice in &self.adversary {
            match *choice {
                Choice::None => none = true,
                Choice::Any(behaviour) => named.push(behaviour),
                Choice::At(id, behaviour) => {
                    if exactly.iter().any(|(other, _)| *other == id) {
                        return bad(&format!("--adversary names {id} twice: name each once"));
                    }
                    exactly.push((id, behaviour));
                }
            }
        }
        match (self.faulty, none, named.is_empty(), exactly.is_empty()) {
            (None, false, true, true) => Ok(Byzantine::Unchanged),
            (None | Some(0), true, true, true) | (Some(0), false, true, true) => {
                Ok(Byzantine::Exactly(Vec::new()))
            }
            (None, false, true, false) => Ok(Byzantine::Exactly(exactly)),
            (Some(_), _, _, false) => {
                bad("--adversary ID=NAME says who is Byzantine already: leave --faulty out")
            }
            (_, true, _, _) => bad("--adversary none stands alone, and with --faulty 0 at most"),
            (None, false, false, false) => {
                bad("--adversary takes either names or ID=NAME, not both: give every name an id")
            }
            (Some(0), false, false, true) => {
                bad("--faulty 0 leaves nobody to be the --adversary: leave one of them out")
            }
            (faulty, false, _, true) => Ok(Byzantine::Some(faulty.unwrap_or(named.len()), named)),
        }
    }

    /// The plan with these changes; a change that makes no sense is left out, see [`Self::check`].
    pub(super) fn apply(&self, mut plan: Plan) -> Plan {
        let byzantine = self.byzantine().unwrap_or(Byzantine::Unchanged);
        let before = plan.establishment;
        if let Some(establishment) = self.establishment {
            plan = plan.establishment(establishment);
        }
        let drawn = self.replicas.unwrap_or(plan.thresholds.replicas());
        if self.arbitrary_start {
            let (byzantine, chain) = (plan.byzantine, plan.chain);
            let arbitrary = Plan::arbitrary_under(plan.seed, drawn, plan.establishment);
            plan = Plan { byzantine, chain, ..arbitrary }.within_budget();
        } else if let Start::Arbitrary(start) = &plan.start
            && plan.establishment != before
        {
            // What is drawn depends on what memories there are; the disks do not, and stay.
            let anew = Plan::arbitrary_under(plan.seed, drawn, plan.establishment);
            plan = anew.or_with_disks(start.disks);
        }
        let replicas = self.replicas.unwrap_or(plan.thresholds.replicas());
        let replicas = replicas.max(self.needed_for(&byzantine));
        if replicas != plan.thresholds.replicas() {
            plan = plan.replicas(replicas);
        }
        if let Some(fault_phase_ms) = self.fault_phase_ms {
            plan = plan.heal_after_ms(fault_phase_ms);
        }
        match (self.rounds, &plan.start) {
            (None, _) => {}
            (rounds @ Some(_), Start::Arbitrary(_)) => plan.rounds_max = rounds,
            (Some(rounds), Start::Fresh) => plan.fault_phase_ms = plan.tick_ms * u64::from(rounds),
        }
        match byzantine {
            Byzantine::Unchanged => plan,
            Byzantine::Some(count, behaviours) => plan.windows(&[]).faulty(count, &behaviours),
            Byzantine::Exactly(byzantine) => plan.windows(&[]).byzantine(&byzantine),
        }
    }

    /// The same changes as arguments, each with a space before it.
    pub(super) fn arguments(&self) -> String {
        let Self {
            replicas,
            faulty,
            adversary,
            establishment,
            arbitrary_start,
            rounds,
            fault_phase_ms,
        } = self;
        let mut text = String::new();
        if let Some(replicas) = replicas {
            text.push_str(&format!(" --replicas {replicas}"));
        }
        if let Some(faulty) = faulty {
            text.push_str(&format!(" --faulty {faulty}"));
        }
        if !adversary.is_empty() {
            let names: Vec<String> = adversary.iter().map(|choice| choice.text()).collect();
            text.push_str(&format!(" --adversary {}", names.join(",")));
        }
        if let Some(establishment) = establishment {
            text.push_str(&format!(" --establishment {}", establishment.word()));
        }
        if *arbitrary_start {
            text.push_str(" --arbitrary-start");
        }
        if let Some(rounds) = rounds {
            text.push_str(&format!(" --rounds {rounds}"));
        }
        if let Some(ms) = fault_phase_ms {
            text.push_str(&format!(" --fault-phase-ms {ms}"));
        }
        text
    }
}

impl Choice {
    fn text(self) -> String {
        match self {
            Self::None => NONE.to_owned(),
            Self::Any(behaviour) => behaviour.name().to_owned(),
            Self::At(id, behaviour) => format!("{}={}", id.0, behaviour.name()),
        }
    }
}

fn parse_choice(text: &str) -> Result<Choice, String> {
    let behaviour = |name: &str| {
        let names: Vec<&str> = Behaviour::ALL.iter().map(|behaviour| behaviour.name()).collect();
        let wrong = || format!("{name:?} is no adversary; there are: {}", names.join(", "));
        Behaviour::from_name(name).ok_or_else(wrong)
    };
    match text.split_once('=') {
        None if text == NONE => Ok(Choice::None),
        None => behaviour(text).map(Choice::Any),
        Some((id, name)) => {
            let digits = id.strip_prefix('r').unwrap_or(id);
            let wrong = |_| format!("{id:?} is no replica; write an id as in 0={name}");
            Ok(Choice::At(ReplicaId(digits.parse().map_err(wrong)?), behaviour(name)?))
        }
    }
}
