//! What the maps' `compute` takes and returns.

/// What a computation wants done about an entry.
///
/// # Examples
///
/// ```
/// use latchfree::hash_map::{Compute, HashMap, Operation};
///
/// let stock: HashMap<_, u32> = [("apples", 2)].into();
/// let pinned = stock.pin();
/// let take = |entry: Option<(&_, &u32)>| match entry {
///     Some((_, 0)) => Operation::Abort("none left"),
///     Some((_, 1)) => Operation::Remove,
///     Some((_, n)) => Operation::Insert(n - 1),
///     None => Operation::Abort("never had any"),
/// };
/// assert!(matches!(pinned.compute("apples", take), Compute::Updated { new: (_, 1), .. }));
/// assert!(matches!(pinned.compute("apples", take), Compute::Removed(_, 1)));
/// assert_eq!(pinned.compute("apples", take), Compute::Aborted("never had any"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<V, T = ()> {
    /// Sets the key's value.
    Insert(V),
    /// Removes the entry; nothing, if there is none.
    Remove,
    /// Changes nothing, and returns this.
    Abort(T),
}

/// What a computation did.
///
/// # Examples
///
/// ```
/// use latchfree::OrderedMap;
/// use latchfree::ordered_map::{Compute, Operation};
///
/// let map = OrderedMap::new();
/// let pinned = map.pin();
/// let what = pinned.compute(1, |_| Operation::<_>::Insert("one"));
/// assert_eq!(what, Compute::Inserted(&1, &"one"));
/// assert_eq!(pinned.compute(2, |_| Operation::<_>::Remove), Compute::Absent);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compute<'g, K, V, T = ()> {
    /// There was no entry, and this is it.
    Inserted(&'g K, &'g V),
    /// An entry was replaced.
    Updated {
        /// The one before.
        old: (&'g K, &'g V),
        /// The one that is there now.
        new: (&'g K, &'g V),
    },
    /// This entry was removed.
    Removed(&'g K, &'g V),
    /// There was nothing to remove.
    Absent,
    /// Nothing was changed, as the closure wished.
    Aborted(T),
}
