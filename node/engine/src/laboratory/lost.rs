//! Arbitrary memory of who lacks a block.

use super::Lost;
use crate::laboratory::Garbage;

impl Lost {
    pub(crate) fn scrambled(garbage: &mut Garbage<'_>) -> Self {
        Self { block: garbage.hash(), by: garbage.signers() }
    }
}
