//! LIFO stacks, and what people use as a pool where the order does not matter.

use std::sync::Mutex;

use latchfree::reclaim;

use super::queue::{Queue, Shared};
use crate::values::Value;

/// The stacks whose handles are plain references.
macro_rules! by_reference {
    ($($stack:ident),*) => {$(
        impl<T: Value> Queue<T> for $stack<T> {
            type Handle<'a> = &'a Self;

            fn new(capacity: usize) -> Self {
                <Self as Shared<T>>::new(capacity)
            }

            fn handle(&self) -> &Self {
                self
            }
        }
    )*};
}

by_reference!(Ours, OursCrossbeam, Sdd, SddBag, StdMutex, ParkingLot);

macro_rules! ours {
    ($name:ident, $type:ty, $new:expr) => {
        pub struct $name<T>($type);

        impl<T: Value> Shared<T> for $name<T> {
            fn new(_: usize) -> Self {
                $name($new)
            }

            #[inline(always)]
            fn push(&self, value: T) {
                self.0.push(value);
            }

            #[inline(always)]
            fn pop(&self) -> Option<T> {
                self.0.pop()
            }

            fn push_batch(&self, values: &mut Vec<T>) {
                self.0.push_all(values.drain(..));
            }

            fn pop_batch(&self, values: &mut Vec<T>, max: usize) {
                self.0.pop_many_into(values, max);
            }
        }
    };
}

ours!(Ours, latchfree::Stack<T>, latchfree::Stack::new());
ours!(OursCrossbeam, latchfree::Stack<T, reclaim::Crossbeam>, latchfree::Stack::default());

/// Hands out shared entries; the value is copied out of them.
pub struct Sdd<T: 'static>(sdd::Stack<T>);

impl<T: Value> Shared<T> for Sdd<T> {
    fn new(_: usize) -> Self {
        Sdd(sdd::Stack::new())
    }

    #[inline(always)]
    fn push(&self, value: T) {
        drop(self.0.push(value));
    }

    #[inline(always)]
    fn pop(&self) -> Option<T> {
        self.0.pop().map(|entry| T::clone(&**entry))
    }
}

/// Keeps no order.
pub struct SddBag<T: 'static>(sdd::Bag<T>);

impl<T: Value> Shared<T> for SddBag<T> {
    fn new(_: usize) -> Self {
        SddBag(sdd::Bag::new())
    }

    #[inline(always)]
    fn push(&self, value: T) {
        self.0.push(value);
    }

    #[inline(always)]
    fn pop(&self) -> Option<T> {
        self.0.pop()
    }
}

/// The baselines: a vector under a lock, which takes a batch under one acquisition.
macro_rules! mutex_baseline {
    ($name:ident, $mutex:ty, $guard:ident => $lock:expr) => {
        pub struct $name<T>($mutex);

        impl<T: Value> $name<T> {
            #[inline(always)]
            fn locked<R>(&self, operation: impl FnOnce(&mut Vec<T>) -> R) -> R {
                let $guard = &self.0;
                operation(&mut $lock)
            }
        }

        impl<T: Value> Shared<T> for $name<T> {
            fn new(_: usize) -> Self {
                $name(<$mutex>::new(Vec::new()))
            }

            #[inline(always)]
            fn push(&self, value: T) {
                self.locked(|stack| stack.push(value));
            }

            #[inline(always)]
            fn pop(&self) -> Option<T> {
                self.locked(|stack| stack.pop())
            }

            fn push_batch(&self, values: &mut Vec<T>) {
                self.locked(|stack| stack.append(values));
            }

            fn pop_batch(&self, values: &mut Vec<T>, max: usize) {
                self.locked(|stack| {
                    let left = stack.len() - max.min(stack.len());
                    values.extend(stack.drain(left..).rev());
                });
            }
        }
    };
}

mutex_baseline!(StdMutex, Mutex<Vec<T>>, mutex => mutex.lock().expect("never poisoned"));
mutex_baseline!(ParkingLot, parking_lot::Mutex<Vec<T>>, mutex => mutex.lock());

#[cfg(test)]
mod tests {
    use super::super::queue::Handle;
    use super::*;

    fn is_lifo<Q: Queue<u64>>() {
        let stack = Q::new(100);
        let mut handle = stack.handle();
        assert_eq!(handle.pop(), None);
        handle.push(1);
        handle.push_batch(&mut vec![2, 3, 4, 5]);
        assert_eq!(handle.pop(), Some(5));
        let mut out = vec![0];
        handle.pop_batch(&mut out, 3);
        assert_eq!(out, [0, 4, 3, 2]);
        handle.pop_batch(&mut out, 3);
        assert_eq!(out, [0, 4, 3, 2, 1]);
        assert_eq!(handle.pop(), None);
    }

    #[test]
    fn every_contestant_but_the_pools_is_a_lifo() {
        is_lifo::<Ours<u64>>();
        is_lifo::<OursCrossbeam<u64>>();
        is_lifo::<Sdd<u64>>();
        is_lifo::<StdMutex<u64>>();
        is_lifo::<ParkingLot<u64>>();
    }
}
