//! What is tested of every store there is.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::cell::RefCell;
use std::sync::Arc;

#[cfg(feature = "rocks")]
use daruma_store::RocksStore;
use daruma_store::{MemoryStore, Store};

/// Runs `story` on both stores. What it gets opens the store anew, as a restart does; the one opened
/// before must be dropped by then.
pub(crate) fn on_both(story: impl Fn(&dyn Fn() -> Arc<dyn Store>)) {
    let memory = RefCell::new(Arc::new(MemoryStore::new()));
    story(&|| {
        let copy = Arc::new(memory.borrow().copy());
        *memory.borrow_mut() = Arc::clone(&copy);
        copy
    });
    #[cfg(feature = "rocks")]
    {
        let folder = tempfile::tempdir().unwrap();
        story(&|| Arc::new(RocksStore::open(folder.path()).unwrap()));
    }
}
