//! What a run is made of.

use daruma_adversary::{Behaviour, Window};
use daruma_engine::{ChainLimits, LocalLimits};
use daruma_types::{Establishment, ReplicaId, Thresholds};
use serde::{Deserialize, Serialize};

use crate::fault::Scheduled;
use crate::text::forms::{ChainLimitsForm, LocalLimitsForm, word, words};
use crate::{
    FaultKinds, LinkSettings, Outcome, Scheme, SnapshotSettings, Start, limits, trace::Sink,
    world::World,
};

/// How clients behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// How many there are.
    pub clients: u16,
    /// Longest pause between two new operations of one client, in microseconds.
    pub pause_us_max: u64,
    /// Unconfirmed operations of one client at once, at most.
    pub in_flight: usize,
    /// Bytes of one operation, at most.
    pub operation_bytes_max: usize,
    /// After this time without confirmation, the same bytes go to another replica.
    pub retry_us: u64,
    /// Operations that go to all replicas at once, per mille.
    pub to_all: u32,
    /// Operations for which the client signs a second, different one with the same nonce, per mille.
    pub two_faced: u32,
}

/// A run: replicas, network, disks, clients, faults. The seed decides everything that is drawn while
/// it runs, so equal plans have equal runs.
///
/// Two phases: in the first, faults are injected; at calm everything heals, Byzantine replicas stay
/// as they are, and from then on progress is required within [`Plan::quiet_ms_max`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Decides what is drawn.
    #[serde(skip)]
    pub seed: u64,
    /// `n` and `f`.
    #[serde(with = "word")]
    pub thresholds: Thresholds,
    /// How the replicas agree on who is primary.
    #[serde(with = "word")]
    pub establishment: Establishment,
    /// The signatures.
    #[serde(with = "word")]
    pub scheme: Scheme,
    /// The chain's bounds.
    #[serde(with = "ChainLimitsForm")]
    pub chain: ChainLimits,
    /// The replicas' own bounds and patience.
    #[serde(with = "LocalLimitsForm")]
    pub local: LocalLimits,
    /// Time between two ticks of a replica.
    pub tick_ms: u64,
    /// The links until calm.
    pub links: LinkSettings,
    /// The faults until calm.
    pub faults: FaultKinds,
    /// Mean time between two faults of one kind, in milliseconds.
    pub fault_every_ms: u64,
    /// Faults that the schedule has at least, if its kinds give any, with each kind among them.
    pub faults_min: usize,
    /// Faults of one kind that are drawn for [`Plan::fault_every_ms`], at most.
    pub faults_each_max: u32,
    /// Virtual time until calm.
    pub fault_phase_ms: u64,
    /// Virtual time from calm to the end of everything that clients asked for, at most.
    pub quiet_ms_max: u64,
    /// The clients.
    pub clients: ClientSettings,
    /// Who is Byzantine, and how: at most `f`.
    #[serde(with = "words")]
    pub byzantine: Vec<(ReplicaId, Behaviour)>,
    /// Who else is Byzantine, each behaviour at its time; together with [`Plan::byzantine`] at most `f`
    /// replicas.
    #[serde(with = "words")]
    pub windows: Vec<Window>,
    /// Phases from the beginning on, in each of which the replicas fall apart in two groups: a bit for
    /// each replica, and behind them for each second twin, in order of id. Each twin talks to its group
    /// only; after the last phase both twins talk to everyone. Without phases the two divide the
    /// others among themselves.
    pub splits: Vec<u64>,
    /// Rounds of such a phase: ticks of a replica.
    pub split_rounds: u64,
    /// Time that a disk takes to make promises durable.
    pub sync_us: u64,
    /// Time that the execution of a block takes.
    pub execute_us: u64,
    /// How often an engine is told where its ledger stands.
    pub ledger_every_ms: u64,
    /// Snapshots, and what is pruned because of them; none makes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<SnapshotSettings>,
    /// What the run begins with.
    pub start: Start,
    /// Rounds from an arbitrary start to service, at most; none for what the protocol promises:
    /// [`convergence_rounds_max`](crate::convergence_rounds_max).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds_max: Option<u32>,
    /// The faults, instead of those that the seed draws: see [`Plan::drawn_schedule`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Vec<Scheduled>>,
}

impl Plan {
    /// A run without faults, with the largest `f` for `replicas`, clamped to
    /// 1..=[`limits::REPLICAS_MAX`].
    #[must_use]
    pub fn calm(seed: u64, replicas: usize) -> Self {
        let replicas = replicas.clamp(1, limits::REPLICAS_MAX);
        let faulty_max = Thresholds::largest_faulty(replicas);
        #[expect(clippy::unwrap_used, reason = "1 <= n <= 16, and f is the largest allowed")]
        let thresholds = Thresholds::new(replicas, faulty_max).unwrap();
        Self {
            seed,
            thresholds,
            establishment: Establishment::Certified,
            scheme: Scheme::Fast,
            chain: ChainLimits {
                operation_bytes_max: 1024,
                block_bytes_max: 64 * 1024,
                block_transactions_max: 64,
                window: 16,
            },
            local: LocalLimits::default(),
            tick_ms: 25,
            links: LinkSettings::QUIET,
            faults: FaultKinds::default(),
            fault_every_ms: 2_000,
            faults_min: 0,
            faults_each_max: u32::MAX,
            fault_phase_ms: 5_000,
            quiet_ms_max: 60_000,
            clients: ClientSettings {
                clients: 3,
                pause_us_max: 200_000,
                in_flight: 1,
                operation_bytes_max: 64,
                retry_us: 1_000_000,
                to_all: 0,
                two_faced: 0,
            },
            byzantine: Vec::new(),
            windows: Vec::new(),
            splits: Vec::new(),
            split_rounds: 8,
            sync_us: 500,
            execute_us: 300,
            ledger_every_ms: 1_000,
            snapshots: None,
            start: Start::Fresh,
            rounds_max: None,
            schedule: None,
        }
    }

    /// Another number of replicas, with the largest `f`; Byzantine replicas beyond it become honest.
    #[must_use]
    pub fn replicas(self, replicas: usize) -> Self {
        let replicas = replicas.clamp(1, limits::REPLICAS_MAX);
        let faulty_max = Thresholds::largest_faulty_with(replicas, self.establishment);
        let thresholds = Thresholds::new(replicas, faulty_max).unwrap_or(self.thresholds);
        let mut plan = Self { thresholds, ..self };
        if let Start::Arbitrary(start) = &mut plan.start {
            start.within(replicas);
        }
        plan.within_budget()
    }

    /// This way to agree on who is primary, with the same `f`, and as many more replicas as it needs
    /// for that. Should they be more than [`limits::REPLICAS_MAX`], `f` becomes smaller.
    #[must_use]
    pub fn establishment(self, establishment: Establishment) -> Self {
        let faulty_max = self.thresholds.faulty_max();
        let least = self.thresholds.replicas();
        let fits = |replicas: &usize| {
            Thresholds::with_establishment(*replicas, faulty_max, establishment).is_ok()
        };
        let replicas = (least..=limits::REPLICAS_MAX).find(fits);
        let plan = Self { establishment, ..self };
        match replicas.map(|replicas| Thresholds::new(replicas, faulty_max)) {
            Some(Ok(thresholds)) => Self { thresholds, ..plan },
            Some(Err(_)) | None => plan.replicas(limits::REPLICAS_MAX),
        }
    }

    /// Exactly these Byzantine replicas; those beyond `f` are left honest.
    #[must_use]
    pub fn byzantine(self, byzantine: &[(ReplicaId, Behaviour)]) -> Self {
        Self { byzantine: byzantine.to_vec(), ..self }.within_budget()
    }

    /// Exactly these behaviours at their times, beside those of [`Plan::byzantine`]; those of replicas
    /// beyond `f` are left out.
    #[must_use]
    pub fn windows(self, windows: &[Window]) -> Self {
        Self { windows: windows.to_vec(), ..self }.within_budget()
    }

    /// As many Byzantine replicas as there may be, placed next in turn to become primary after
    /// `view`, all of them with this behaviour.
    #[must_use]
    pub fn next_in_turn(self, view: u64, behaviour: Behaviour) -> Self {
        let next = 1..=self.thresholds.faulty_max() as u64;
        let chosen: Vec<_> = next.map(|i| (self.thresholds.primary(view + i), behaviour)).collect();
        self.byzantine(&chosen)
    }

    /// Everyone that is Byzantine at any time, ascending.
    #[must_use]
    pub fn byzantine_ids(&self) -> Vec<ReplicaId> {
        let windows = self.windows.iter().map(|window| window.replica);
        let mut ids: Vec<_> = self.byzantine.iter().map(|(id, _)| *id).chain(windows).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Exactly these kinds of faults.
    #[must_use]
    pub fn faults(self, faults: FaultKinds) -> Self {
        Self { faults, ..self }
    }

    /// These links until calm.
    #[must_use]
    pub fn links(self, links: LinkSettings) -> Self {
        Self { links, ..self }
    }

    /// These signatures.
    #[must_use]
    pub fn scheme(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }

    /// This much virtual time until calm.
    #[must_use]
    pub fn heal_after_ms(self, fault_phase_ms: u64) -> Self {
        Self { fault_phase_ms, ..self }
    }

    /// Exactly these faults; the kinds of faults then decide nothing.
    #[must_use]
    pub fn with_schedule(self, schedule: Vec<Scheduled>) -> Self {
        Self { schedule: Some(schedule), ..self }
    }

    pub(crate) fn within_budget(mut self) -> Self {
        let replicas = self.thresholds.replicas();
        self.byzantine.retain(|(id, _)| id.index() < replicas);
        self.byzantine.sort_unstable_by_key(|(id, _)| *id);
        self.byzantine.dedup_by_key(|(id, _)| *id);
        self.byzantine.truncate(self.thresholds.faulty_max());
        self.windows.retain(|w| w.replica.index() < replicas && w.behaviour != Behaviour::Twins);
        let mut allowed: Vec<ReplicaId> = self.byzantine.iter().map(|(id, _)| *id).collect();
        for window in &self.windows {
            if !allowed.contains(&window.replica) && allowed.len() < self.thresholds.faulty_max() {
                allowed.push(window.replica);
            }
        }
        let whole_run = self.byzantine.len();
        self.windows.retain(|window| {
            allowed.iter().skip(whole_run).any(|replica| *replica == window.replica)
        });
        self
    }

    /// Runs to the end, or to the first violation.
    #[must_use]
    pub fn run(&self) -> Outcome {
        World::run(self, None)
    }

    /// The same, with a line for people about each thing that happens.
    #[must_use]
    pub fn run_traced(&self, sink: Sink<'_>) -> Outcome {
        World::run(self, Some(sink))
    }
}

impl core::fmt::Display for Plan {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "seed {} n={} f={}",
            self.seed,
            self.thresholds.replicas(),
            self.thresholds.faulty_max()
        )?;
        match self.establishment {
            Establishment::Certified => {}
            Establishment::Automaton { event_driven_fd: false } => write!(f, " automaton")?,
            Establishment::Automaton { event_driven_fd: true } => {
                write!(f, " automaton with detector")?;
            }
        }
        for (id, behaviour) in &self.byzantine {
            write!(f, " {id}={}", behaviour.name())?;
        }
        for window in &self.windows {
            let Window { replica, behaviour, from_ms, until_ms } = window;
            write!(f, " {replica}={}@{from_ms}..{until_ms}", behaviour.name())?;
        }
        if !self.splits.is_empty() {
            write!(f, " splits={:x?}x{}", self.splits, self.split_rounds)?;
        }
        for kind in self.faults.iter() {
            write!(f, " {}", kind.name())?;
        }
        if let Start::Arbitrary(start) = &self.start {
            write!(f, " {start:?}")?;
        }
        let links = &self.links;
        write!(
            f,
            " delay={}..{}+{}us loss={} dup={} corrupt={}{} window={} block={} clients={}x{}",
            links.delay_us_min,
            links.delay_us_max,
            links.jitter_us,
            links.loss,
            links.duplication,
            links.corruption,
            if links.ordered { "" } else { " unordered" },
            self.chain.window,
            self.chain.block_transactions_max,
            self.clients.clients,
            self.clients.in_flight,
        )
    }
}
