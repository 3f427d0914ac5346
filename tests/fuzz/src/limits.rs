//! The bounds that targets hold the code to, and those of the targets themselves, each with its reason.

/// Bytes of memory that decoding may take for each byte of input: values in memory are up to four times
/// as large as encoded (a report without certificates), and a vector may reserve four times what it is
/// filled with before the input is found to be too short.
pub const DECODED_BYTES_PER_BYTE: usize = 20;

/// Bytes that decoding may take whatever the input.
pub const DECODED_BYTES_FREE: usize = 32 * 1024;

/// Bytes of an input that a target looks at; libFuzzer's own default.
pub const INPUT_BYTES_MAX: usize = 4096;

/// Steps of one run of the engine's target: more would make the runs slow, and short runs reach as much.
pub const ENGINE_STEPS_MAX: usize = 256;

/// Effects of one input to an engine with the small window and pool of the target. Largest observed: a
/// new-view with the votes for a full window.
pub const EFFECTS_PER_INPUT_MAX: usize = 128;

/// Files of one corpus.
pub const CORPUS_FILES_MAX: usize = 60;

/// Bytes of one corpus.
pub const CORPUS_BYTES_MAX: u64 = 200 * 1024;
