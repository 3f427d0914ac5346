//! The whole engine: bytes drive inputs and faults into one real engine, with the keys of the three
//! other replicas in the fuzzer's hands.
//!
//! Three of four are more than `f`, so the chain may split; what is checked is what one replica owes
//! whatever the others do: it does not panic, contradicts none of its promises, never votes twice,
//! says nothing that its peers would refuse, accuses nobody falsely, and stays within its bounds.

mod forge;
mod oracles;
pub(crate) mod replica;
mod step;
mod world;

use arbitrary::{Arbitrary, Unstructured};

use crate::limits::ENGINE_STEPS_MAX;
use step::Step;
use world::World;

/// The target.
///
/// # Panics
/// If a property is broken.
pub fn run(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let Ok(own) = u8::arbitrary(&mut u) else { return };
    let mut world = World::new(u16::from(own));
    for _ in 0..ENGINE_STEPS_MAX {
        if u.is_empty() {
            break;
        }
        let Ok(step) = Step::arbitrary(&mut u) else { break };
        world.act(step);
    }
    world.finish();
}

/// The steps that `bytes` are and what each came to, for people.
#[must_use]
pub fn describe(bytes: &[u8]) -> Vec<String> {
    let mut u = Unstructured::new(bytes);
    let mut lines = Vec::new();
    let Ok(own) = u8::arbitrary(&mut u) else { return lines };
    lines.push(format!("own: r{}", own % 4));
    while !u.is_empty() && lines.len() <= ENGINE_STEPS_MAX {
        match Step::arbitrary(&mut u) {
            Ok(step) => lines.push(format!("{step:?}")),
            Err(_) => break,
        }
    }
    lines
}
