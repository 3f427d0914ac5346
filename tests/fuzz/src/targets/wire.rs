//! Everything that is decoded from a wire or a disk.

use std::fmt::Debug;

use arbitrary::{Arbitrary, Unstructured};
use daruma_ledger::{StateProof, TransactionProof};
use daruma_store::{Head, Location};
use daruma_types::codec::{self, Decode, Encode};
use daruma_types::{
    Ballot, Block, Certificate, CertifiedBlock, Hash, Header, MerkleProof, Message, Promise,
    Receipt, StateCertificate, Statement, Summary, Transaction, View, ViewProof,
};

use crate::allocation;

/// Decodes all of `bytes`: what decodes encodes to the same bytes, and neither takes memory far beyond
/// the input.
fn canonical<T: Encode + Decode<()> + PartialEq + Debug>(bytes: &[u8]) {
    let what = std::any::type_name::<T>();
    let decoded = allocation::bounded(bytes.len(), what, || codec::decode::<T>(bytes));
    if let Ok(value) = decoded {
        assert_eq!(codec::encode(&value), bytes, "{value:?} has two encodings");
    }
}

/// What is made from `bytes` decodes from its encoding.
fn there_and_back<'a, T: Encode + Decode<()> + PartialEq + Debug + Arbitrary<'a>>(bytes: &'a [u8]) {
    let mut u = Unstructured::new(bytes);
    if let Ok(value) = T::arbitrary(&mut u) {
        let encoded = codec::encode(&value);
        assert_eq!(codec::decode::<T>(&encoded), Ok(value));
        canonical::<T>(&encoded);
    }
}

/// A message from the wire, and one of any form.
pub(super) fn message(bytes: &[u8]) {
    canonical::<Message>(bytes);
    there_and_back::<Message>(bytes);
}

/// A row of the disk, or the part of one. The first byte says of which kind.
pub(super) fn rows(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 20 {
        0 => canonical::<Promise>(bytes),
        1 => canonical::<Block>(bytes),
        2 => canonical::<Certificate>(bytes),
        3 => canonical::<Vec<Receipt>>(bytes),
        4 => canonical::<Statement>(bytes),
        5 => canonical::<StateCertificate>(bytes),
        6 => canonical::<Head>(bytes),
        7 => canonical::<Location>(bytes),
        8 => canonical::<Header>(bytes),
        9 => canonical::<(View, u8, ViewProof)>(bytes),
        10 => canonical::<(Ballot, Hash)>(bytes),
        11 => canonical::<MerkleProof>(bytes),
        12 => canonical::<StateProof>(bytes),
        13 => canonical::<TransactionProof>(bytes),
        14 => canonical::<CertifiedBlock>(bytes),
        15 => canonical::<Transaction>(bytes),
        16 => there_and_back::<Promise>(bytes),
        17 => there_and_back::<CertifiedBlock>(bytes),
        18 => there_and_back::<Vec<Receipt>>(bytes),
        _ => canonical::<Summary>(bytes),
    }
}
