//! What a transient fault does to one replica.

use daruma_store::{Column, Store, StoreError};
use daruma_types::{HeadClaim, Height, ReplicaId};

use super::World;

impl World {
    /// The row of the block at `height` is lost from the disk.
    pub(super) fn erase(&mut self, id: ReplicaId, height: Height) -> Result<(), String> {
        let node = self.node(id)?;
        let key = height.0.to_be_bytes();
        if !node.store.keys(Column::Blocks).contains(&key.to_vec()) {
            return Err("its ledger has no such block".into());
        }
        node.store.damage(Column::Blocks, &key, None);
        Ok(())
    }

    /// Memory goes back to `height`.
    pub(super) fn forget(&mut self, id: ReplicaId, height: Height) -> Result<(), String> {
        let node = self.node(id)?;
        let read = |error: StoreError| error.to_string();
        let statement = node.store.statement(height).map_err(read)?;
        let certificate = node.store.certificate(height).map_err(read)?;
        let statement = statement.ok_or("its ledger has no such block")?;
        let claim = HeadClaim { height, hash: statement.block, certificate };
        node.engine.set_head(claim, statement);
        Ok(())
    }
}
