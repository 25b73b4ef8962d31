//! One question to every structure: how much of it waits to be freed?

use super::Backlog;

/// Structures of any kind whose backlog can be asked for, behind one pointer: the hook for metrics and tracing.
///
/// There is no list of all structures, and nobody is called back: a structure costs nothing for being watchable, and whoever
/// watches decides when. Keep what is to be watched in a list, and let the thread that exports metrics walk over it. Asking is
/// wait-free, a few loads; `collect` is as the structure's own.
///
/// A backlog that grows while the structure is in use and does not come down after [`collect`](Self::collect) means that
/// some guard of its domain has not ended since.
///
/// Implemented for everything that retires memory; [`BoundedQueue`](crate::BoundedQueue) has nothing to retire.
///
/// # Examples
///
/// ```
/// use latchfree::{HashMap, Queue, reclaim::Gauge};
///
/// let jobs: Queue<u64> = Queue::new();
/// let users: HashMap<u64, String> = HashMap::new();
/// let watched: [(&str, &dyn Gauge); 2] = [("jobs", &jobs), ("users", &users)];
///
/// users.pin().insert(1, "Ada".into());
/// users.pin().remove(&1);
///
/// for (name, structure) in watched {
///     let before = structure.backlog();
///     structure.collect();
///     let after = structure.backlog();
///     println!("{name}: {} bytes waited, {} still do", before.bytes, after.bytes);
/// }
/// ```
pub trait Gauge {
    /// What was retired and not freed yet.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::{HashMap, reclaim::Gauge};
    ///
    /// let map: HashMap<_, _> = [(1, 1)].into();
    /// let pinned = map.pin();
    /// pinned.remove(&1);
    /// let watched: &dyn Gauge = &map;
    /// assert_eq!(watched.backlog().objects, 1); // `pinned` may have lent it
    /// ```
    fn backlog(&self) -> Backlog;

    /// Frees what no guard protects any more.
    ///
    /// # Examples
    ///
    /// ```
    /// use latchfree::{HashMap, Queue, reclaim::Gauge};
    ///
    /// let (map, queue) = (HashMap::<u8, u8>::new(), Queue::<u8>::new());
    /// for idle in [&map as &dyn Gauge, &queue] {
    ///     idle.collect();
    /// }
    /// ```
    fn collect(&self);
}
