//! The target `proofs` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(target) = daruma_fuzz::target("proofs") {
        (target.run)(bytes);
    }
});
