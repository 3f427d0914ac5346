//! Seeded mutations of inputs, for the slice that runs on a stable toolchain. Without coverage to guide
//! it, it does what libFuzzer's own mutations do blindly.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::limits::INPUT_BYTES_MAX;

/// Numbers at the ends of ranges.
const EXTREMES: [u64; 8] = [0, 1, 0x7f, 0xff, 0xffff, 0xffff_ffff, u64::MAX - 1, u64::MAX];

/// A changed copy of `input`; `other` is another input to take parts from.
pub fn mutate(input: &[u8], other: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..random.random_range(1..=4) {
        once(&mut bytes, other, random);
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn once(bytes: &mut Vec<u8>, other: &[u8], random: &mut ChaCha8Rng) {
    let length = bytes.len();
    let at = random.random_range(0..=length);
    let run = |random: &mut ChaCha8Rng, of: usize, from: usize| {
        random.random_range(0..=(of - from).min(32))
    };
    match random.random_range(0..8_u32) {
        0 if at < length => bytes[at] ^= 1 << random.random_range(0..8_u32),
        1 if at < length => bytes[at] = random.random(),
        2 => bytes.insert(at, random.random()),
        3 => {
            let count = run(random, length, at);
            bytes.drain(at..at + count);
        }
        4 => {
            let count = run(random, length, at);
            let copy = bytes[at..at + count].to_vec();
            let to = random.random_range(0..=length);
            bytes.splice(to..to, copy);
        }
        5 => {
            let from = random.random_range(0..=other.len());
            let count = run(random, other.len(), from);
            bytes.splice(at..at, other[from..from + count].iter().copied());
        }
        6 => {
            let number = EXTREMES[random.random_range(0..EXTREMES.len())].to_le_bytes();
            let width = [1, 2, 4, 8][random.random_range(0..4_usize)];
            for (byte, new) in bytes.iter_mut().skip(at).zip(number.iter().take(width)) {
                *byte = *new;
            }
        }
        _ => {
            // The start of one with the end of the other.
            let from = random.random_range(0..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}
