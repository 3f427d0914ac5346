//! One word for each thing whose type is not the simulator's own, or reads better as a word.

use daruma_engine::laboratory::{Scope, Values};
use daruma_engine::{ChainLimits, LocalLimits};
use daruma_store::Moment;
use daruma_types::{Establishment, ReplicaId, Thresholds};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Behaviour, FaultKind, FaultKinds, Scheme, Window};

/// What is written as one word.
pub(crate) trait Word: Sized {
    /// The word.
    fn word(&self) -> String;
    /// What the word says.
    fn from_word(word: &str) -> Result<Self, String>;
}

/// `#[serde(with = "word")]`: a value as its word.
pub(crate) mod word {
    use super::{Deserialize, Deserializer, Serializer, Word, de};

    pub(crate) fn serialize<T: Word, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&value.word())
    }

    pub(crate) fn deserialize<'de, T: Word, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        T::from_word(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// `#[serde(with = "words")]`: values as a list of their words.
pub(crate) mod words {
    use super::{Deserialize, Deserializer, Serializer, Word, de};

    pub(crate) fn serialize<T: Word, S: Serializer>(
        values: &[T],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(Word::word))
    }

    pub(crate) fn deserialize<'de, T: Word, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<T>, D::Error> {
        let words = Vec::<String>::deserialize(from)?;
        words.iter().map(|word| T::from_word(word).map_err(de::Error::custom)).collect()
    }
}

/// `#[serde(with = "perhaps")]`, with `default` and `skip_serializing_if`: a word or nothing.
pub(crate) mod perhaps {
    use super::{Deserializer, Serializer, Word, word};

    pub(crate) fn serialize<T: Word, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => word::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, T: Word, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        word::deserialize(from).map(Some)
    }
}

fn number<T: core::str::FromStr>(text: &str, whole: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} in {whole:?} is no number of its size"))
}

fn parts<'a>(word: &'a str, between: &str, example: &str) -> Result<(&'a str, &'a str), String> {
    word.split_once(between).ok_or_else(|| format!("{word:?} is not of the form {example}"))
}

impl Word for ReplicaId {
    fn word(&self) -> String {
        format!("r{}", self.0)
    }

    fn from_word(word: &str) -> Result<Self, String> {
        number(word.strip_prefix('r').unwrap_or(word), word).map(Self)
    }
}

impl Word for Moment {
    fn word(&self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn from_word(word: &str) -> Result<Self, String> {
        let named = |moment: &Self| moment.word() == word;
        Self::ALL
            .into_iter()
            .find(named)
            .ok_or_else(|| format!("{word:?} is no moment of a write: before, during or after"))
    }
}

/// A directed link.
impl Word for (ReplicaId, ReplicaId) {
    fn word(&self) -> String {
        format!("{}>{}", self.0.word(), self.1.word())
    }

    fn from_word(word: &str) -> Result<Self, String> {
        let (from, to) = parts(word, ">", "r0>r1")?;
        Ok((ReplicaId::from_word(from)?, ReplicaId::from_word(to)?))
    }
}

impl Word for Behaviour {
    fn word(&self) -> String {
        self.name().to_owned()
    }

    fn from_word(word: &str) -> Result<Self, String> {
        Self::from_name(word).ok_or_else(|| format!("{word:?} is no behaviour"))
    }
}

impl Word for (ReplicaId, Behaviour) {
    fn word(&self) -> String {
        format!("{}={}", self.0.word(), self.1.word())
    }

    fn from_word(word: &str) -> Result<Self, String> {
        let (id, behaviour) = parts(word, "=", "r0=silent")?;
        Ok((ReplicaId::from_word(id)?, Behaviour::from_word(behaviour)?))
    }
}

impl Word for Window {
    fn word(&self) -> String {
        let Self { replica, behaviour, from_ms, until_ms } = self;
        format!("{}@{from_ms}..{until_ms}", (*replica, *behaviour).word())
    }

    fn from_word(word: &str) -> Result<Self, String> {
        let (who, when) = parts(word, "@", "r0=silent@100..200")?;
        let (replica, behaviour) = Word::from_word(who)?;
        let (from, until) = parts(when, "..", "r0=silent@100..200")?;
        let (from_ms, until_ms) = (number(from, word)?, number(until, word)?);
        Ok(Self { replica, behaviour, from_ms, until_ms })
    }
}

impl Word for Thresholds {
    fn word(&self) -> String {
        format!("n={} f={}", self.replicas(), self.faulty_max())
    }

    fn from_word(word: &str) -> Result<Self, String> {
        let (n, f) = parts(word.strip_prefix("n=").unwrap_or(word), " f=", "n=4 f=1")?;
        Self::new(number(n, word)?, number(f, word)?).map_err(|error| error.to_string())
    }
}

impl Word for Establishment {
    fn word(&self) -> String {
        match self {
            Self::Certified => "certified",
            Self::Automaton { event_driven_fd: false } => "automaton",
            Self::Automaton { event_driven_fd: true } => "automaton-fd",
        }
        .to_owned()
    }

    fn from_word(word: &str) -> Result<Self, String> {
        [false, true]
            .map(|event_driven_fd| Self::Automaton { event_driven_fd })
            .into_iter()
            .chain([Self::Certified])
            .find(|establishment| establishment.word() == word)
            .ok_or_else(|| {
                format!(
                    "{word:?} is no establishment; there are certified, automaton, automaton-fd"
                )
            })
    }
}

impl Word for FaultKind {
    fn word(&self) -> String {
        self.name().to_owned()
    }

    fn from_word(word: &str) -> Result<Self, String> {
        Self::from_name(word).ok_or_else(|| format!("{word:?} is no kind of fault"))
    }
}

impl Word for Scheme {
    fn word(&self) -> String {
        match self {
            Self::Fast => "fast",
            Self::Ed25519 => "ed25519",
        }
        .to_owned()
    }

    fn from_word(word: &str) -> Result<Self, String> {
        [Self::Fast, Self::Ed25519]
            .into_iter()
            .find(|scheme| scheme.word() == word)
            .ok_or_else(|| format!("{word:?} is no scheme; there are fast and ed25519"))
    }
}

impl Word for Scope {
    fn word(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Some(per_mille) => format!("{per_mille} per mille"),
            Self::Named(name) => format!("named {name}"),
        }
    }

    fn from_word(word: &str) -> Result<Self, String> {
        if word == "all" {
            return Ok(Self::All);
        }
        if let Some(name) = word.strip_prefix("named ") {
            // Names are static, as variables have them; one is leaked for each plan read.
            return Ok(Self::Named(name.to_owned().leak()));
        }
        let (per_mille, _) = parts(word, " per mille", "all, 500 per mille, or named pool.")?;
        number(per_mille, word).map(Self::Some)
    }
}

impl Word for Values {
    fn word(&self) -> String {
        match self {
            Self::Mixed => "mixed".to_owned(),
            Self::Replayed => "replayed".to_owned(),
            Self::Largest => "largest".to_owned(),
            Self::Zero => "zero".to_owned(),
            Self::Below(less) => format!("largest but {less}"),
        }
    }

    fn from_word(word: &str) -> Result<Self, String> {
        if let Some(less) = word.strip_prefix("largest but ") {
            return number(less, word).map(Self::Below);
        }
        [Self::Mixed, Self::Replayed, Self::Largest, Self::Zero]
            .into_iter()
            .find(|values| values.word() == word)
            .ok_or_else(|| {
                format!(
                    "{word:?} are no values; there are mixed, replayed, largest, largest but 3, zero"
                )
            })
    }
}

impl Serialize for FaultKinds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter().map(FaultKind::name))
    }
}

impl<'de> Deserialize<'de> for FaultKinds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        words::deserialize::<FaultKind, D>(from).map(|kinds| kinds.into_iter().collect())
    }
}

/// The form of [`ChainLimits`]; a field left out does not compile.
#[derive(Serialize, Deserialize)]
#[serde(remote = "ChainLimits", deny_unknown_fields)]
pub(crate) struct ChainLimitsForm {
    operation_bytes_max: usize,
    block_bytes_max: usize,
    block_transactions_max: usize,
    window: usize,
}

/// The form of [`LocalLimits`]; a field left out does not compile.
#[derive(Serialize, Deserialize)]
#[serde(remote = "LocalLimits", deny_unknown_fields)]
pub(crate) struct LocalLimitsForm {
    pending_max: usize,
    pending_per_client_max: usize,
    pending_bytes_max: usize,
    eager_proposals: usize,
    beat_rounds: u32,
    progress_tokens: u32,
    censorship_blocks: u64,
    patience_factor_max: u32,
    summary_ticks: u32,
    full_check_ticks: u32,
}
