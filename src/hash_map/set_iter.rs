//! Iterators of sets.

use core::iter::FusedIterator;

use super::{HashSet, IntoIter as MapIntoIter, Keys};
use crate::reclaim::{Epoch, Reclaim};

/// The elements of a set, lent; promises what [`super::Iter`] does.
///
/// # Examples
///
/// ```
/// let set: latchfree::HashSet<_> = [1, 2, 3].into();
/// assert_eq!(set.pin().iter().sum::<i32>(), 6);
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
#[derive(Debug)]
pub struct Iter<'g, T>(pub(super) Keys<'g, T, ()>);

impl<'g, T> Iterator for Iter<'g, T> {
    type Item = &'g T;

    #[inline]
    fn next(&mut self) -> Option<&'g T> {
        self.0.next()
    }
}

impl<T> FusedIterator for Iter<'_, T> {}

/// The elements of a set, by value.
///
/// # Examples
///
/// ```
/// let set: latchfree::HashSet<_> = ["one".to_string()].into();
/// assert_eq!(set.into_iter().next(), Some("one".to_string()));
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
#[derive(Debug)]
pub struct IntoIter<T, R: Reclaim = Epoch>(pub(super) MapIntoIter<T, (), R>);

impl<T, R: Reclaim> Iterator for IntoIter<T, R> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.next().map(|(element, ())| element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T, R: Reclaim> FusedIterator for IntoIter<T, R> {}

impl<T, S, R: Reclaim> IntoIterator for HashSet<T, S, R> {
    type Item = T;
    type IntoIter = IntoIter<T, R>;

    fn into_iter(self) -> IntoIter<T, R> {
        IntoIter(self.map.into_iter())
    }
}
