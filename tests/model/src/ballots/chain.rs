//! Blocks of a tiny chain, as numbers: the genesis is 1, and the children of `b` are `2b` and
//! `2b+1`. So a block's number tells its height and all of its ancestors, as a hash does.

/// A block: 1 is the genesis, 0 stands for "none".
pub type Block = u8;

/// No block.
pub const NONE: Block = 0;

/// Where every chain begins.
pub const GENESIS: Block = 1;

/// The height of `block`; 0 for the genesis.
#[must_use]
pub const fn height(block: Block) -> u8 {
    block.ilog2() as u8
}

/// The ancestor of `block` at `at`, which is `block` itself at its own height.
#[must_use]
pub const fn ancestor(block: Block, at: u8) -> Block {
    block >> (height(block) - at)
}

/// Whether `above` is `below` or extends it.
#[must_use]
pub const fn extends(above: Block, below: Block) -> bool {
    height(above) >= height(below) && ancestor(above, height(below)) == below
}

/// Whether the two lie on one chain.
#[must_use]
pub const fn on_one_chain(a: Block, b: Block) -> bool {
    extends(a, b) || extends(b, a)
}

/// The ways to rename blocks that keep every parent a parent: each block's children may change
/// places. Rivals of one parent differ in nothing but their name, so states that such a renaming
/// makes equal have equal futures. `contents[h-1]` is how many rivals there are at height `h`, 1 or
/// 2. Each renaming is a table from old number to new.
#[must_use]
pub(super) fn renamings(contents: &[u8]) -> Vec<Vec<Block>> {
    let size = 1_usize << (contents.len() + 1);
    let inner: Vec<usize> = (1..size / 2)
        .filter(|parent| {
            contents[parent.ilog2() as usize] == 2 && exists(*parent as Block, contents)
        })
        .collect();
    (0_u32..1 << inner.len())
        .map(|choice| {
            let mut table = vec![NONE; size];
            table[1] = GENESIS;
            for block in 2..size {
                let parent = block / 2;
                let swapped = inner.iter().position(|p| *p == parent);
                let swap = swapped.is_some_and(|at| choice & (1 << at) != 0);
                let side = if swap { 1 - block % 2 } else { block % 2 };
                table[block] = table[parent] * 2 + side as Block;
            }
            table
        })
        .collect()
}

/// Whether `block` is one of the blocks that `contents` allows.
#[must_use]
pub(super) fn exists(block: Block, contents: &[u8]) -> bool {
    (1..=height(block)).all(|at| ancestor(block, at) % 2 < contents[usize::from(at) - 1])
}

/// The children of `parent` that `contents` allows.
pub(super) fn children(parent: Block, contents: &[u8]) -> impl Iterator<Item = Block> {
    let rivals = contents.get(usize::from(height(parent))).copied().unwrap_or(0);
    (0..rivals).map(move |side| parent * 2 + side)
}
