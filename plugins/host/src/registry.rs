//! From a chainspec's name and parameters to an automaton.

use daruma_append_list::AppendList;
use daruma_automaton_api::{BadParameters, DynAutomaton, serde_json::Value};
use daruma_counter::Counter;
use daruma_key_value::KeyValue;
use daruma_no_op::NoOp;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    sync::Arc,
};

type Factory = Box<dyn Fn(&Value) -> Result<Arc<dyn DynAutomaton>, BadParameters> + Send + Sync>;

/// Why there is no such automaton.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Nothing has this name.
    #[error("no automaton is named {name:?}; there are: {}", names.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        names: Vec<String>,
    },
    /// The automaton refuses its parameters.
    #[error("automaton {name:?}: {source}")]
    BadParameters {
        /// Which automaton.
        name: String,
        /// What is wrong, and what is allowed.
        #[source]
        source: BadParameters,
    },
    /// Two automata of one name.
    #[error("an automaton named {name:?} is registered already; there are: {}", names.join(", "))]
    Taken {
        /// The name asked for.
        name: String,
        /// The names there are.
        names: Vec<String>,
    },
}

/// Automata by name. It grows only by the program's own calls.
#[derive(Default)]
pub struct Registry {
    factories: BTreeMap<String, Factory>,
}

impl Registry {
    /// No automaton.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The four that come with Daruma: `append-list`, `counter`, `key-value` and `no-op`.
    #[must_use]
    pub fn built_in() -> Self {
        let factories = [
            ("append-list", factory(AppendList::from_parameters)),
            ("counter", factory(Counter::from_parameters)),
            ("key-value", factory(KeyValue::from_parameters)),
            ("no-op", factory(NoOp::from_parameters)),
        ];
        Self { factories: factories.map(|(name, factory)| (name.to_owned(), factory)).into() }
    }

    /// Adds an automaton under the name that chainspecs will use. `make` gets the chainspec's
    /// parameters, null if there are none.
    ///
    /// # Errors
    /// [`RegistryError::Taken`]: replacing an automaton under a running chain's name would split the
    /// chain.
    pub fn register<A: DynAutomaton>(
        &mut self,
        name: &str,
        make: impl Fn(&Value) -> Result<A, BadParameters> + Send + Sync + 'static,
    ) -> Result<(), RegistryError> {
        let names = self.names();
        match self.factories.entry(name.to_owned()) {
            Entry::Vacant(vacant) => {
                vacant.insert(factory(make));
                Ok(())
            }
            Entry::Occupied(_) => Err(RegistryError::Taken { name: name.to_owned(), names }),
        }
    }

    /// Makes the automaton `name` with a chainspec's parameters, null if there are none.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], or [`RegistryError::BadParameters`].
    pub fn build(
        &self,
        name: &str,
        parameters: &Value,
    ) -> Result<Arc<dyn DynAutomaton>, RegistryError> {
        let Some(make) = self.factories.get(name) else {
            return Err(RegistryError::Unknown { name: name.to_owned(), names: self.names() });
        };
        make(parameters)
            .map_err(|source| RegistryError::BadParameters { name: name.to_owned(), source })
    }

    /// The names there are, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.factories.keys().cloned().collect()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.factories.keys()).finish()
    }
}

fn factory<A: DynAutomaton>(
    make: impl Fn(&Value) -> Result<A, BadParameters> + Send + Sync + 'static,
) -> Factory {
    Box::new(move |parameters| Ok(Arc::new(make(parameters)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daruma_automaton_api::serde_json::{Value, json};

    #[test]
    fn the_built_in_automata_bear_the_names_they_are_registered_under() {
        let registry = Registry::built_in();
        assert_eq!(registry.names(), ["append-list", "counter", "key-value", "no-op"]);
        for name in registry.names() {
            for none in [Value::Null, json!({})] {
                assert_eq!(registry.build(&name, &none).unwrap().name(), name);
            }
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_there_are() {
        let error = Registry::built_in().build("list", &Value::Null).map(drop).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no automaton is named \"list\"; there are: append-list, counter, key-value, no-op"
        );
    }

    #[test]
    fn bad_parameters_are_refused_with_the_automaton_and_what_is_allowed() {
        let registry = Registry::built_in();
        let refusal = |name: &str, parameters: Value| {
            registry.build(name, &parameters).map(drop).unwrap_err().to_string()
        };
        assert_eq!(
            refusal("append-list", json!({ "item_max": 1 })),
            "automaton \"append-list\": unknown parameter \"item_max\"; allowed: item_bytes_max"
        );
        assert_eq!(
            refusal("append-list", json!({ "item_bytes_max": 65_537 })),
            "automaton \"append-list\": parameter \"item_bytes_max\" must be in 1..=65536; \
             found 65537"
        );
        assert_eq!(
            refusal("no-op", json!({ "a": 1 })),
            "automaton \"no-op\": unknown parameter \"a\"; allowed: none"
        );
    }

    #[test]
    fn a_program_can_add_an_automaton_but_not_replace_one() {
        let mut registry = Registry::built_in();
        assert_eq!(registry.register("votes", Counter::from_parameters), Ok(()));
        assert!(registry.build("votes", &Value::Null).is_ok());
        let taken = registry.register("no-op", Counter::from_parameters).unwrap_err();
        assert!(matches!(taken, RegistryError::Taken { .. }));
        assert_eq!(registry.build("no-op", &Value::Null).unwrap().name(), "no-op");
    }
}
