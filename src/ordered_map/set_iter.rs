//! Iterators over a set, which are a map's without the values.

use core::fmt;
use core::iter::FusedIterator;
use core::ops::RangeBounds;

use equivalent::Comparable;

use super::{Auto, IntoIter, Iter, Layout, Popped, Range, Snapshot};
use crate::reclaim::{Epoch, Reclaim};

macro_rules! elements {
    ($(#[$doc:meta])* $name:ident<$($generic:ident $(= $default:ty)?),*>($inner:ty) where [$($bound:tt)*]) => {
        $(#[$doc])*
        #[must_use = "iterators are lazy and do nothing unless consumed"]
        pub struct $name<'g, $($generic $(= $default)?),*>(pub(super) $inner) where $($bound)*;

        impl<'g, $($generic),*> Iterator for $name<'g, $($generic),*>
        where
            $inner: Iterator<Item = (&'g T, &'g ())>,
            $($bound)*
        {
            type Item = &'g T;

            #[inline]
            fn next(&mut self) -> Option<&'g T> {
                self.0.next().map(|(element, ())| element)
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                self.0.size_hint()
            }
        }

        impl<'g, $($generic),*> DoubleEndedIterator for $name<'g, $($generic),*>
        where
            $inner: DoubleEndedIterator<Item = (&'g T, &'g ())>,
            $($bound)*
        {
            #[inline]
            fn next_back(&mut self) -> Option<&'g T> {
                self.0.next_back().map(|(element, ())| element)
            }
        }

        impl<'g, $($generic),*> ExactSizeIterator for $name<'g, $($generic),*>
        where
            $inner: ExactSizeIterator<Item = (&'g T, &'g ())>,
            $($bound)*
        {
        }

        impl<'g, $($generic),*> FusedIterator for $name<'g, $($generic),*>
        where
            $inner: FusedIterator<Item = (&'g T, &'g ())>,
            $($bound)*
        {
        }

        impl<$($generic),*> fmt::Debug for $name<'_, $($generic),*>
        where
            $($bound)*
        {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

elements! {
    /// The elements of an [`OrderedSet`](super::OrderedSet), ascending; see its [`iter`](super::OrderedSet::iter).
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([3, 1, 2]);
    /// assert!(set.pin().iter().eq(&[1, 2, 3]));
    /// ```
    SetIter<T, R, L = Auto>(Iter<'g, T, (), R, L>) where [R: Reclaim, L: Layout<T, ()>]
}
elements! {
    /// Elements that were removed in one step; see [`OrderedSet::pop_first_while`](super::OrderedSet::pop_first_while).
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([3, 1, 2]);
    /// let pinned = set.pin();
    /// assert!(pinned.pop_first_while(10, |n| *n < 3).eq(&[1, 2]));
    /// assert_eq!(set.len(), 1);
    /// ```
    SetPopped<T, L = Auto>(Popped<'g, T, (), L>) where [L: Layout<T, ()>]
}
elements! {
    /// The elements of a range as they were at one moment; see
    /// [`OrderedSet::range_snapshot`](super::OrderedSet::range_snapshot).
    ///
    /// # Examples
    ///
    /// ```
    /// let set = latchfree::OrderedSet::from([3, 1, 2]);
    /// let pinned = set.pin();
    /// let then = pinned.range_snapshot(0..);
    /// set.clear();
    /// assert_eq!(then.len(), 3);
    /// ```
    SetSnapshot<T, L = Auto>(Snapshot<'g, T, (), L>) where [L: Layout<T, ()>]
}

/// The elements of an [`OrderedSet`](super::OrderedSet) within bounds; see its [`range`](super::OrderedSet::range).
///
/// # Examples
///
/// ```
/// let set = latchfree::OrderedSet::from([1, 2, 3, 4]);
/// assert!(set.pin().range(2..=3).rev().eq(&[3, 2]));
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct SetRange<'g, Q: ?Sized, B, T, R: Reclaim = Epoch, L: Layout<T, ()> = Auto>(
    pub(super) Range<'g, Q, B, T, (), R, L>,
);

impl<'g, Q: ?Sized + Comparable<T>, B: RangeBounds<Q>, T: Ord, R: Reclaim, L: Layout<T, ()>> Iterator
    for SetRange<'g, Q, B, T, R, L>
{
    type Item = &'g T;

    #[inline]
    fn next(&mut self) -> Option<&'g T> {
        self.0.next().map(|(element, ())| element)
    }
}

impl<Q: ?Sized + Comparable<T>, B: RangeBounds<Q>, T: Ord, R: Reclaim, L: Layout<T, ()>> DoubleEndedIterator
    for SetRange<'_, Q, B, T, R, L>
{
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(element, ())| element)
    }
}

impl<Q: ?Sized + Comparable<T>, B: RangeBounds<Q>, T: Ord, R: Reclaim, L: Layout<T, ()>> FusedIterator
    for SetRange<'_, Q, B, T, R, L>
{
}

impl<Q: ?Sized, B: fmt::Debug, T, R: Reclaim, L: Layout<T, ()>> fmt::Debug for SetRange<'_, Q, B, T, R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SetRange").field(&self.0).finish()
    }
}

/// The elements of a set, by value and ascending.
///
/// # Examples
///
/// ```
/// let set = latchfree::OrderedSet::from(["b".to_string(), "a".to_string()]);
/// assert_eq!(set.into_iter().collect::<String>(), "ab");
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct SetIntoIter<T, L: Layout<T, ()> = Auto>(pub(super) IntoIter<T, (), L>);

impl<T, L: Layout<T, ()>> Iterator for SetIntoIter<T, L> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.next().map(|(element, ())| element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T, L: Layout<T, ()>> DoubleEndedIterator for SetIntoIter<T, L> {
    fn next_back(&mut self) -> Option<T> {
        self.0.next_back().map(|(element, ())| element)
    }
}

impl<T, L: Layout<T, ()>> ExactSizeIterator for SetIntoIter<T, L> {}
impl<T, L: Layout<T, ()>> FusedIterator for SetIntoIter<T, L> {}

impl<T, L: Layout<T, ()>> fmt::Debug for SetIntoIter<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SetIntoIter").field(&self.0).finish()
    }
}
