//! What becomes of the items that threads push and pop: each is dropped once, popped at most once, and never hidden.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Producer and number.
pub type Id = (usize, usize);

/// The thread that sets a case up.
pub const MAIN: usize = 9;

/// Outside of what is scheduled: its locks are never held over a step.
#[derive(Default)]
pub struct Ledger {
    /// How often each item was dropped.
    made: Mutex<BTreeMap<Id, usize>>,
    /// Items whose push has returned, and succeeded.
    pushed: Mutex<BTreeSet<Id>>,
    /// Who popped what, in order.
    popped: Mutex<Vec<(usize, Id)>>,
}

/// A value that has to be dropped once.
pub struct Item {
    pub id: Id,
    ledger: Arc<Ledger>,
}

impl Drop for Item {
    fn drop(&mut self) {
        *self.ledger.made.lock().unwrap().get_mut(&self.id).unwrap() += 1;
    }
}

impl Ledger {
    pub fn make(self: &Arc<Self>, id: Id) -> Item {
        assert_eq!(self.made.lock().unwrap().insert(id, 0), None);
        Item { id, ledger: self.clone() }
    }

    pub fn pushed(&self, ids: impl IntoIterator<Item = Id>) {
        self.pushed.lock().unwrap().extend(ids);
    }

    pub fn popped(&self, who: usize, item: Option<Item>) -> Option<Id> {
        let item = item?;
        self.popped.lock().unwrap().push((who, item.id));
        Some(item.id)
    }

    /// How many items were pushed and are nowhere to be had; asked when the structure was drained.
    pub fn missing(&self) -> usize {
        let made = self.made.lock().unwrap();
        self.pushed.lock().unwrap().iter().filter(|&id| made[id] == 0).count()
    }

    /// All items are gone, once each, and were popped once.
    pub fn settle(&self) {
        for (id, &drops) in &*self.made.lock().unwrap() {
            assert_eq!(drops, 1, "drops of {id:?}");
        }
        let mut all = BTreeSet::new();
        for &(_, id) in &*self.popped.lock().unwrap() {
            assert!(all.insert(id), "{id:?} popped twice");
        }
    }

    /// Of a queue: as `settle`, and each consumer saw each producer's items in order.
    #[allow(dead_code, reason = "stacks have another order")]
    pub fn settle_in_order(&self) {
        self.settle();
        let mut last = BTreeMap::new();
        for &(consumer, id) in &*self.popped.lock().unwrap() {
            let before = last.insert((consumer, id.0), id.1);
            assert!(before < Some(id.1), "{consumer} popped {id:?} after {before:?}");
        }
    }
}
