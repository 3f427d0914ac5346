//! The checked chainspec.

use std::collections::BTreeMap;

use daruma_types::{
    ChainId, Committee, Hash, HashContext, PublicKey, Replica, ReplicaId, Thresholds,
};

use crate::{
    AutomatonSpec, KnownAutomata, Limits, SpecError, ViewEstablishment, canonical, fields, file,
    write,
};

/// One replica of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSpec {
    /// Its name, for people.
    pub name: String,
    /// The Ed25519 key that its votes and attestations are verified with.
    pub key: PublicKey,
    /// The Ed25519 key that its connections are authenticated with; never equal to `key`
    /// (DESIGN 11).
    pub transport_key: PublicKey,
    /// Where it listens for the other replicas: `host:port`.
    pub address: String,
}

/// The values of a chainspec before they are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecDraft {
    /// The chain's name.
    pub name: String,
    /// How many replicas may be Byzantine; nothing for the most that the number of replicas allows.
    pub faulty: Option<u32>,
    /// How the replicas agree on who is primary.
    pub view_establishment: ViewEstablishment,
    /// The automaton.
    pub automaton: AutomatonSpec,
    /// The bounds.
    pub limits: Limits,
    /// The replicas; their order gives their ids.
    pub replicas: Vec<ReplicaSpec>,
}

/// A chainspec that passed every check. It cannot be changed: another value is another chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSpec {
    draft: SpecDraft,
    committee: Committee,
}

impl ChainSpec {
    /// Reads and checks the text of a chain.toml.
    ///
    /// # Errors
    /// [`SpecError`] names the first field that is not allowed, and what is.
    pub fn parse(text: &str, known: &KnownAutomata) -> Result<Self, SpecError> {
        Self::generate(file::parse(text)?, known)
    }

    /// Checks `draft`: what `chain new` and `dev` make a chain from.
    ///
    /// # Errors
    /// [`SpecError`] names the first field that is not allowed, and what is.
    pub fn generate(draft: SpecDraft, known: &KnownAutomata) -> Result<Self, SpecError> {
        fields::check_name("name", &draft.name)?;
        let (count, establishment) = (draft.replicas.len(), draft.view_establishment);
        let most = Thresholds::largest_faulty_with(count, establishment);
        let faulty_max = draft.faulty.map_or(most, |faulty| faulty as usize);
        Thresholds::with_establishment(count, faulty_max, establishment)?;
        draft.automaton.check(known)?;
        draft.limits.check()?;
        check_replicas(&draft.replicas)?;
        // Checked against 64 replicas above, so it fits.
        let faulty = u32::try_from(faulty_max).unwrap_or(u32::MAX);
        let canonical = canonical::bytes(&draft, faulty);
        let chain = ChainId(Hash::of(HashContext::ChainSpec, &[&canonical]));
        let replicas = draft.replicas.iter();
        let replicas = replicas.map(|r| Replica { name: r.name.clone(), key: r.key }).collect();
        let committee = Committee::new(chain, faulty_max, replicas)
            .map_err(|error| SpecError::field("replicas", error.to_string(), "a committee"))?
            .with_establishment(establishment)?;
        Ok(Self { draft: SpecDraft { faulty: Some(faulty), ..draft }, committee })
    }

    /// The file that parses to this chainspec, with comments for people.
    #[must_use]
    pub fn to_toml(&self) -> String {
        write::to_toml(&self.draft, self.chain_id())
    }

    /// The bytes whose hash, in the context [`HashContext::ChainSpec`], is the chain id.
    ///
    /// They are written by [`daruma_types::codec`] (integers little-endian; texts and lists after
    /// their length as `u64`), in this order: format number 1 (`u32`); name; faulty (`u32`); view
    /// establishment (`u32`: 0 certified; 1 automaton, and then one byte: whether the event-driven
    /// failure detector is on); the automaton's name; its parameters, their number
    /// (`u64`) and then, in ascending order of name, name, kind (`u32`: 0 boolean, 1 integer,
    /// 2 text) and value (one byte, `i64`, text); operation_bytes_max, block_bytes_max,
    /// block_transactions_max and window (`u32` each); the replicas in order, each with name, key
    /// (32 bytes), transport key (32 bytes) and address. Defaults are filled in before.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        canonical::bytes(&self.draft, self.draft.faulty.unwrap_or_default())
    }

    /// The chain id.
    #[must_use]
    pub const fn chain_id(&self) -> ChainId {
        self.committee.chain()
    }

    /// The chain's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.draft.name
    }

    /// `n`, `f` and the vote counts.
    #[must_use]
    pub const fn thresholds(&self) -> Thresholds {
        self.committee.thresholds()
    }

    /// How the replicas agree on who is primary.
    #[must_use]
    pub const fn view_establishment(&self) -> ViewEstablishment {
        self.draft.view_establishment
    }

    /// The automaton.
    #[must_use]
    pub const fn automaton(&self) -> &AutomatonSpec {
        &self.draft.automaton
    }

    /// The bounds.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.draft.limits
    }

    /// The replicas, by id.
    #[must_use]
    pub fn replicas(&self) -> &[ReplicaSpec] {
        &self.draft.replicas
    }

    /// The replica `id`, if there is one.
    #[must_use]
    pub fn replica(&self, id: ReplicaId) -> Option<&ReplicaSpec> {
        self.draft.replicas.get(id.index())
    }

    /// The id of the replica called `name`.
    #[must_use]
    pub fn id_of_name(&self, name: &str) -> Option<ReplicaId> {
        self.committee.ids().find(|id| self.replica(*id).is_some_and(|r| r.name == name))
    }

    /// The id of the replica whose connections are authenticated with `key`.
    #[must_use]
    pub fn id_of_transport_key(&self, key: &PublicKey) -> Option<ReplicaId> {
        self.committee.ids().find(|id| self.replica(*id).is_some_and(|r| r.transport_key == *key))
    }

    /// The replicas with their keys and vote counts, for checking signatures.
    #[must_use]
    pub fn committee(&self) -> Committee {
        self.committee.clone()
    }
}

/// Each field by itself, then that names, addresses and all keys are distinct.
fn check_replicas(replicas: &[ReplicaSpec]) -> Result<(), SpecError> {
    let mut names = BTreeMap::new();
    let mut keys = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for (index, replica) in replicas.iter().enumerate() {
        let field = |name| format!("replicas[{index}].{name}");
        fields::check_name(&field("name"), &replica.name)?;
        fields::check_key(&field("key"), &replica.key)?;
        fields::check_key(&field("transport_key"), &replica.transport_key)?;
        fields::check_address(&field("address"), &replica.address)?;
        // Host names do not distinguish case.
        let address = replica.address.to_ascii_lowercase();
        distinct(&mut names, field("name"), replica.name.clone())?;
        distinct(&mut keys, field("key"), replica.key.to_hex())?;
        distinct(&mut keys, field("transport_key"), replica.transport_key.to_hex())?;
        distinct(&mut addresses, field("address"), address)?;
    }
    Ok(())
}

fn distinct(
    seen: &mut BTreeMap<String, String>,
    field: String,
    value: String,
) -> Result<(), SpecError> {
    match seen.get(&value) {
        Some(first) => Err(SpecError::Duplicate { first: first.clone(), second: field, value }),
        None => {
            seen.insert(value, field);
            Ok(())
        }
    }
}
