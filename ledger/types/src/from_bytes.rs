//! Values of every type from any bytes, for fuzzing (feature `arbitrary`).
//!
//! Most types derive it. Here are the leaves, so that what is compared meets: numbers are mostly
//! small and so near each other, sometimes extreme, sometimes anything; hashes, keys and signatures
//! are mostly one of a few.

use alloc::vec::Vec;

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::{Ballot, Hash, Height, PublicKey, ReplicaId, Signature, SignerSet, View, limits};

/// A byte string is at most so long: enough for every operation of the built-in automata, and input
/// is better spent on another message.
const BYTES_MAX: usize = 48;

/// The largest of the small numbers: two windows of the usual size above the genesis.
const SMALL_MAX: u64 = 31;

/// A number as it is met in a protocol: small (five of eight), near a power of two, near its type's
/// largest, or anything.
pub(crate) fn number<T: TryFrom<u64> + Bounded>(u: &mut Unstructured<'_>) -> Result<T> {
    let selector = u8::arbitrary(u)?;
    let offset = u64::from(selector >> 3) & SMALL_MAX;
    let wide = match selector & 7 {
        0..=4 => offset,
        5 => (1_u64 << (u8::arbitrary(u)? & 63)).wrapping_add(offset & 3).wrapping_sub(2),
        6 => T::LARGEST.wrapping_sub(offset),
        _ => u64::arbitrary(u)?,
    };
    // What does not fit is cut as its type cuts it.
    T::try_from(wide & T::LARGEST).map_err(|_| arbitrary::Error::IncorrectFormat)
}

/// The largest value of an unsigned type, all of whose bits are set.
pub(crate) trait Bounded {
    /// As the widest number.
    const LARGEST: u64;
}

impl Bounded for u32 {
    const LARGEST: u64 = Self::MAX as u64;
}

impl Bounded for u64 {
    const LARGEST: Self = Self::MAX;
}

/// 0 or 1, or now and then a phase that there is not.
pub(crate) fn phase(u: &mut Unstructured<'_>) -> Result<u8> {
    let byte = u8::arbitrary(u)?;
    Ok(if byte < 240 { byte & 1 } else { byte })
}

/// A view of a chain of a few replicas, or now and then one that there is not.
pub(crate) fn view(u: &mut Unstructured<'_>) -> Result<u16> {
    let byte = u8::arbitrary(u)?;
    if byte < 240 { Ok(u16::from(byte & 7)) } else { u16::arbitrary(u) }
}

/// The same, or none.
pub(crate) fn optional_view(u: &mut Unstructured<'_>) -> Result<Option<u16>> {
    if bool::arbitrary(u)? { view(u).map(Some) } else { Ok(None) }
}

/// A short byte string.
pub(crate) fn bytes(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let length = u.int_in_range(0..=BYTES_MAX)?.min(u.len());
    Ok(u.bytes(length)?.to_vec())
}

/// One of sixteen values (seven of eight), or any.
fn filled<const N: usize>(u: &mut Unstructured<'_>) -> Result<[u8; N]> {
    let selector = u8::arbitrary(u)?;
    if selector & 7 != 7 {
        return Ok([selector >> 4; N]);
    }
    let mut bytes = [0; N];
    u.fill_buffer(&mut bytes)?;
    Ok(bytes)
}

/// Writes `Arbitrary` for a type around one value that a function of this file makes.
macro_rules! leaf {
    ($($name:ident: $make:path),*) => {$(
        impl<'a> Arbitrary<'a> for $name {
            fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
                $make(u).map(Self)
            }

            fn size_hint(_: usize) -> (usize, Option<usize>) {
                (1, None)
            }
        }
    )*};
}

leaf!(
    Height: number,
    View: number,
    Ballot: number,
    ReplicaId: replica,
    SignerSet: signers,
    Hash: filled,
    PublicKey: filled,
    Signature: filled
);

/// A replica of a small chain (seven of eight), or any number.
fn replica(u: &mut Unstructured<'_>) -> Result<u16> {
    let selector = u8::arbitrary(u)?;
    let small = u16::from(selector >> 3) % 8;
    Ok(if selector & 7 == 7 { u16::arbitrary(u)? } else { small })
}

/// Signers of a small chain (seven of eight), or any.
fn signers(u: &mut Unstructured<'_>) -> Result<u64> {
    let selector = u8::arbitrary(u)?;
    let small = u64::from(selector >> 3);
    Ok(if selector & 7 == 7 { u64::arbitrary(u)? } else { small })
}

const _: () = assert!(limits::REPLICAS_MAX == 64, "a signer set is made as 64 bits");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Promise, codec};
    use alloc::collections::BTreeSet;

    /// Bytes that look random, the same in every run.
    fn noise(seed: u8, length: usize) -> Vec<u8> {
        let seed = Hash::of(crate::HashContext::StateKey, &[&[seed]]);
        let block = |i: u32| Hash::of(crate::HashContext::StateKey, &[&seed.0, &i.to_le_bytes()]).0;
        (0_u32..).flat_map(block).take(length).collect()
    }

    #[test]
    fn numbers_are_mostly_small_and_reach_both_ends() {
        let bytes = noise(1, 20_000);
        let mut u = Unstructured::new(&bytes);
        let heights: Vec<u64> = (0..2_000).map(|_| Height::arbitrary(&mut u).unwrap().0).collect();
        let small = heights.iter().filter(|height| **height <= SMALL_MAX).count();
        assert!((1_000..1_600).contains(&small), "{small} of 2000 are small");
        assert!(heights.contains(&0) && heights.contains(&u64::MAX));
        assert!(heights.iter().any(|h| (SMALL_MAX + 1..u64::MAX - SMALL_MAX).contains(h)));
    }

    #[test]
    fn every_kind_of_message_and_promise_is_made_and_its_encoding_decodes_to_it() {
        let mut kinds = BTreeSet::new();
        for seed in 0..=255 {
            let bytes = noise(seed, 4_000);
            let mut u = Unstructured::new(&bytes);
            for _ in 0..8 {
                let message = Message::arbitrary(&mut u).unwrap();
                kinds.insert(message.name());
                assert_eq!(codec::decode::<Message>(&codec::encode(&message)), Ok(message));
            }
            let promise = Promise::arbitrary(&mut u).unwrap();
            assert_eq!(codec::decode::<Promise>(&codec::encode(&promise)), Ok(promise));
        }
        assert!(kinds.len() >= 18, "{kinds:?}");
    }

    #[test]
    fn no_bytes_at_all_still_give_a_value() {
        assert!(Message::arbitrary(&mut Unstructured::new(&[])).is_ok());
    }
}
