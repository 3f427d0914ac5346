//! The canonical encoding, whose hash is the chain id.

use std::collections::BTreeMap;

use bincode::Encode;
use daruma_types::codec;

use crate::{Limits, Parameter, SpecDraft, ViewEstablishment};

/// Raised when the encoding changes, so that no two formats give one chain id.
const FORMAT: u32 = 1;

#[derive(Encode)]
struct Canonical<'a> {
    format: u32,
    name: &'a str,
    faulty: u32,
    view_establishment: ViewEstablishment,
    automaton: &'a str,
    parameters: &'a BTreeMap<String, Parameter>,
    limits: Limits,
    replicas: Vec<CanonicalReplica<'a>>,
}

#[derive(Encode)]
struct CanonicalReplica<'a> {
    name: &'a str,
    key: [u8; 32],
    transport_key: [u8; 32],
    address: &'a str,
}

/// The bytes of a checked draft with the `faulty` that holds for it.
pub(crate) fn bytes(draft: &SpecDraft, faulty: u32) -> Vec<u8> {
    let replicas = draft.replicas.iter().map(|replica| CanonicalReplica {
        name: &replica.name,
        key: replica.key.0,
        transport_key: replica.transport_key.0,
        address: &replica.address,
    });
    codec::encode(&Canonical {
        format: FORMAT,
        name: &draft.name,
        faulty,
        view_establishment: draft.view_establishment,
        automaton: &draft.automaton.name,
        parameters: &draft.automaton.parameters,
        limits: draft.limits,
        replicas: replicas.collect(),
    })
}
