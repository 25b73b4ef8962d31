//! [`Gauge`] for every structure that retires memory.

use crate::ordered_map::Layout;
use crate::reclaim::{Backlog, Gauge, Reclaim};
#[cfg(target_has_atomic = "64")]
use crate::{CopyMap, HashMap, HashSet};
use crate::{OrderedMap, OrderedSet, Queue, Stack};

/// The trait's methods are the structure's own, which win the name against them.
macro_rules! gauge {
    ($([$($parameter:ident),*] $structure:ty $(, $layout:ident of $key:ty, $value:ty)?;)*) => {$(
        impl<$($parameter),*> Gauge for $structure where R: Reclaim, $($layout: Layout<$key, $value>)? {
            fn backlog(&self) -> Backlog {
                <$structure>::backlog(self)
            }
            fn collect(&self) {
                <$structure>::collect(self);
            }
        }
    )*};
}

gauge! {
    [T, R] Queue<T, R>;
    [T, R] Stack<T, R>;
    [K, V, R, L] OrderedMap<K, V, R, L>, L of K, V;
    [T, R, L] OrderedSet<T, R, L>, L of T, ();
}

#[cfg(target_has_atomic = "64")]
gauge! {
    [K, V, S, R] HashMap<K, V, S, R>;
    [T, S, R] HashSet<T, S, R>;
    [K, V, S, R] CopyMap<K, V, S, R>;
}
