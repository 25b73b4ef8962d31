//! What the maps' `compute` takes and returns.

/// What a computation wants done about an entry.
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
