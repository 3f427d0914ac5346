//! How the keys of the state are written.

use daruma_types::{Hash, HashContext, PublicKey};

/// First byte of the automaton's keys.
const AUTOMATON: u8 = b'a';
/// First byte of the keys of nonces.
const NONCE: u8 = b'n';

/// A key of the whole state, with the byte that tells whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateKey(Vec<u8>);

impl StateKey {
    /// The automaton's `key`: `a`, then the key.
    #[must_use]
    pub fn automaton(key: &[u8]) -> Self {
        Self([&[AUTOMATON], key].concat())
    }

    /// The last executed nonce of `client`: `n`, then the public key. The value is the nonce as a
    /// little-endian `u64`.
    #[must_use]
    pub fn nonce(client: &PublicKey) -> Self {
        Self([&[NONCE], client.0.as_slice()].concat())
    }

    /// The key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key's place in the state tree.
    pub(crate) fn hash(&self) -> Hash {
        Self::hash_of(&self.0)
    }

    /// The place of a key that is given by its bytes.
    pub(crate) fn hash_of(bytes: &[u8]) -> Hash {
        Hash::of(HashContext::StateKey, &[bytes])
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The automaton's key in a row of the state.
    pub(crate) fn automaton_part(row: &[u8]) -> Option<&[u8]> {
        row.strip_prefix(&[AUTOMATON])
    }
}
