//! Writing chain.toml.

use std::fmt::Write as _;

use daruma_types::ChainId;

use crate::{Parameter, SpecDraft, ViewEstablishment};

/// The text that parses to `draft`, which has passed its checks: names and addresses need no escapes.
pub(crate) fn to_toml(draft: &SpecDraft, chain: ChainId) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, draft, chain);
    text
}

fn write(text: &mut String, draft: &SpecDraft, chain: ChainId) -> std::fmt::Result {
    writeln!(
        text,
        "# The chain's identity. Every replica and client needs this very file: any other"
    )?;
    writeln!(text, "# value is another chain. (Comments, spaces and order do not count.)")?;
    writeln!(text, "# Chain id: {chain}")?;
    writeln!(text, "name = \"{}\"", draft.name)?;
    if let Some(faulty) = draft.faulty {
        writeln!(text, "# How many replicas may be Byzantine.")?;
        writeln!(text, "faulty = {faulty}")?;
    }
    writeln!(text, "# How the replicas agree on a primary.")?;
    writeln!(text, "view_establishment = \"{}\"", draft.view_establishment.name())?;
    if let ViewEstablishment::Automaton { event_driven_fd } = draft.view_establishment {
        writeln!(text, "# Whether its steps wait for the event-driven failure detector.")?;
        writeln!(text, "event_driven_fd = {event_driven_fd}")?;
    }

    writeln!(text, "\n# What the chain computes.\n[automaton]")?;
    writeln!(text, "name = \"{}\"", draft.automaton.name)?;
    if !draft.automaton.parameters.is_empty() {
        writeln!(text, "\n[automaton.parameters]")?;
    }
    for (name, parameter) in &draft.automaton.parameters {
        let value = match parameter {
            Parameter::Boolean(value) => toml::Value::Boolean(*value),
            Parameter::Integer(value) => toml::Value::Integer(*value),
            Parameter::Text(value) => toml::Value::String(value.clone()),
        };
        // Quoted: a dot in a bare name would make a table of it.
        writeln!(text, "\"{name}\" = {value}")?;
    }

    let limits = draft.limits;
    writeln!(text, "\n# What a valid block is.\n[limits]")?;
    writeln!(text, "operation_bytes_max = {}", limits.operation_bytes_max)?;
    writeln!(text, "block_bytes_max = {}", limits.block_bytes_max)?;
    writeln!(text, "block_transactions_max = {}", limits.block_transactions_max)?;
    writeln!(text, "# Heights in flight above the executed head.")?;
    writeln!(text, "window = {}", limits.window)?;

    for (id, replica) in draft.replicas.iter().enumerate() {
        writeln!(text, "\n# Replica {id}.\n[[replicas]]")?;
        writeln!(text, "name = \"{}\"", replica.name)?;
        writeln!(text, "key = \"{}\"", replica.key)?;
        writeln!(text, "transport_key = \"{}\"", replica.transport_key)?;
        writeln!(text, "address = \"{}\"", replica.address)?;
    }
    Ok(())
}
