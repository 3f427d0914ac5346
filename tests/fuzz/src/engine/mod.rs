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
    run_told(bytes, |_| {});
}

/// The target, with every step told before it is taken and, indented, where the engine stands after it.
///
/// # Panics
/// If a property is broken.
pub fn run_told(bytes: &[u8], mut tell: impl FnMut(&dyn Fn() -> String)) {
    let mut u = Unstructured::new(bytes);
    let Ok(own) = u8::arbitrary(&mut u) else { return };
    let mut world = World::new(u16::from(own));
    for _ in 0..ENGINE_STEPS_MAX {
        if u.is_empty() {
            break;
        }
        let Ok(step) = Step::arbitrary(&mut u) else { break };
        tell(&|| format!("{step:?}"));
        world.act(step);
        tell(&|| format!("    {}", world.standing()));
    }
    world.finish();
}
