//! The paper's view establishment (b) as a finite model (thesis 2.6.1; DESIGN 10).
//!
//! This is a model of the *text* of DESIGN 10, not of the engine's code: whoever changes either
//! compares the two. It is a search of its own, because in lock-step without choices a state has one
//! successor: from each start the run is followed until it is healthy or comes back to a state it was
//! in, and then it goes round for ever.
//!
//! # What is modelled
//!
//! A round: each correct replica iterates once, then all hear what all said: own place, and as echo
//! what was known of the hearer when it spoke. So what a replica knows of the correct ones is what
//! they last said, and their echoes are what it said a round earlier, or a reset if they reset.
//! One replica may be silent; what each believes of it is part of the start, and stays, until a reset
//! makes it the reset pair. Or it is a liar, and tells each the same in every round.
//!
//! Not modelled: a liar that changes what it tells, delays between replicas, and stale own places, which
//! a replica resets in its first iteration.
//!
//! Where the text says "some k", the first in order of replicas is taken; starts are explored up to a
//! permutation.

mod search;
mod sight;

pub use search::{Found, Scope, Varied, search};
pub use sight::{Faulty, Node, Place, Rules, World};
