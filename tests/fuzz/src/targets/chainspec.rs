//! The text of chain.toml.

use daruma_chainspec::{ChainSpec, KnownAutomata};
use daruma_types::{Hash, HashContext};

/// What parses is written as a text that parses to the same chain; the id is the hash of its canonical
/// bytes.
pub(super) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let known = KnownAutomata::any();
    let spec = match ChainSpec::parse(text, &known) {
        Ok(spec) => spec,
        Err(error) => {
            // A text for people, whatever was in the file.
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let id = Hash::of(HashContext::ChainSpec, &[&spec.canonical_bytes()]);
    assert_eq!(spec.chain_id().0, id);
    let written = spec.to_toml();
    match ChainSpec::parse(&written, &known) {
        Ok(again) => assert_eq!(again, spec, "another chain after writing: {written}"),
        Err(error) => panic!("what was written does not parse: {error}\n{written}"),
    }
}
