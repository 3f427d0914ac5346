//! Inputs that once broke a property, each under the name of what was wrong.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use daruma_fuzz::{corpus, target};

fn again(target_name: &str, file: &str) {
    let input = std::fs::read(corpus::folder("regressions").join(file)).unwrap();
    (target(target_name).unwrap().run)(&input);
}

#[test]
fn a_few_bytes_that_announce_many_entries_take_little_memory() {
    again("message", "message-many-entries-announced");
    again("rows", "rows-many-entries-announced");
}

#[test]
fn a_damaged_attestation_is_removed_also_when_its_height_is_executed_again() {
    again("disk", "disk-attestation-left-damaged");
}
