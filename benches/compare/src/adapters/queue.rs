//! FIFO queues for many producers and consumers.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use crossbeam_queue::{ArrayQueue, SegQueue};
use latchfree::reclaim;

use crate::measure::Padded;
use crate::values::Value;

/// A queue that is used through shared references.
///
/// Batches have loops as defaults: what a user would write over a structure that has none.
pub trait Shared<T>: Sync {
    /// `capacity` is what the workload needs at most; unbounded queues ignore it.
    fn new(capacity: usize) -> Self;
    fn push(&self, value: T);
    fn pop(&self) -> Option<T>;

    /// Moves all of `values` in, and leaves it empty.
    fn push_batch(&self, values: &mut Vec<T>) {
        for value in values.drain(..) {
            self.push(value);
        }
    }

    /// Moves up to `max` values out, to the end of `values`.
    fn pop_batch(&self, values: &mut Vec<T>, max: usize) {
        for _ in 0..max {
            match self.pop() {
                Some(value) => values.push(value),
                None => break,
            }
        }
    }
}

/// What a thread holds while it works on a queue.
pub trait Handle<T> {
    fn push(&mut self, value: T);
    fn pop(&mut self) -> Option<T>;
    fn push_batch(&mut self, values: &mut Vec<T>);
    fn pop_batch(&mut self, values: &mut Vec<T>, max: usize);
}

/// A contestant. Most handles are plain references.
pub trait Queue<T>: Sync {
    type Handle<'a>: Handle<T>
    where
        Self: 'a;
    fn new(capacity: usize) -> Self;
    fn handle(&self) -> Self::Handle<'_>;
}

impl<T, Q: Shared<T>> Handle<T> for &Q {
    #[inline(always)]
    fn push(&mut self, value: T) {
        Q::push(self, value);
    }

    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        Q::pop(self)
    }

    #[inline(always)]
    fn push_batch(&mut self, values: &mut Vec<T>) {
        Q::push_batch(self, values);
    }

    #[inline(always)]
    fn pop_batch(&mut self, values: &mut Vec<T>, max: usize) {
        Q::pop_batch(self, values, max);
    }
}

/// The queues whose handles are plain references.
macro_rules! by_reference {
    ($($queue:ident),*) => {$(
        impl<T: Value> Queue<T> for $queue<T> {
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

by_reference!(Ours, OursCrossbeam, Seg, Array, CrossbeamChannel, Concurrent, Sdd, Kanal, Flume);
by_reference!(StdMutex, ParkingLot, FetchAdd, Unshared);

pub struct Ours<T>(latchfree::Queue<T>);

impl<T: Value> Shared<T> for Ours<T> {
    fn new(_: usize) -> Self {
        Ours(latchfree::Queue::new())
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

pub struct OursCrossbeam<T>(latchfree::Queue<T, reclaim::Crossbeam>);

impl<T: Value> Shared<T> for OursCrossbeam<T> {
    fn new(_: usize) -> Self {
        OursCrossbeam(latchfree::Queue::default())
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

pub struct Seg<T>(SegQueue<T>);

impl<T: Value> Shared<T> for Seg<T> {
    fn new(_: usize) -> Self {
        Seg(SegQueue::new())
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

/// Bounded: a full queue makes its producer wait, which an unbounded one never does.
pub struct Array<T>(ArrayQueue<T>);

impl<T: Value> Shared<T> for Array<T> {
    fn new(capacity: usize) -> Self {
        Array(ArrayQueue::new(capacity.max(1)))
    }

    #[inline(always)]
    fn push(&self, value: T) {
        let mut value = value;
        while let Err(back) = self.0.push(value) {
            value = back;
            thread::yield_now();
        }
    }

    #[inline(always)]
    fn pop(&self) -> Option<T> {
        self.0.pop()
    }
}

pub struct CrossbeamChannel<T>(crossbeam_channel::Sender<T>, crossbeam_channel::Receiver<T>);

impl<T: Value> Shared<T> for CrossbeamChannel<T> {
    fn new(_: usize) -> Self {
        let (sender, receiver) = crossbeam_channel::unbounded();
        CrossbeamChannel(sender, receiver)
    }

    #[inline(always)]
    fn push(&self, value: T) {
        // Cannot fail: the receiver is in `self`. The same below.
        let _ = self.0.send(value);
    }

    #[inline(always)]
    fn pop(&self) -> Option<T> {
        self.1.try_recv().ok()
    }
}

pub struct Concurrent<T>(concurrent_queue::ConcurrentQueue<T>);

impl<T: Value> Shared<T> for Concurrent<T> {
    fn new(_: usize) -> Self {
        Concurrent(concurrent_queue::ConcurrentQueue::unbounded())
    }

    #[inline(always)]
    fn push(&self, value: T) {
        let _ = self.0.push(value);
    }

    #[inline(always)]
    fn pop(&self) -> Option<T> {
        self.0.pop().ok()
    }
}

/// Hands out shared entries; the value is copied out of them.
pub struct Sdd<T>(sdd::Queue<T>);

impl<T: Value> Shared<T> for Sdd<T> {
    fn new(_: usize) -> Self {
        Sdd(sdd::Queue::new())
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

pub struct Kanal<T>(kanal::Sender<T>, kanal::Receiver<T>);

impl<T: Value> Shared<T> for Kanal<T> {
    fn new(_: usize) -> Self {
        let (sender, receiver) = kanal::unbounded();
        Kanal(sender, receiver)
    }

    #[inline(always)]
    fn push(&self, value: T) {
        let _ = self.0.send(value);
    }

    #[inline(always)]
    fn pop(&self) -> Option<T> {
        self.1.try_recv().ok().flatten()
    }
}

pub struct Flume<T>(flume::Sender<T>, flume::Receiver<T>);

impl<T: Value> Shared<T> for Flume<T> {
    fn new(_: usize) -> Self {
        let (sender, receiver) = flume::unbounded();
        Flume(sender, receiver)
    }

    #[inline(always)]
    fn push(&self, value: T) {
        let _ = self.0.send(value);
    }

    #[inline(always)]
    fn pop(&self) -> Option<T> {
        self.1.try_recv().ok()
    }
}

/// The baselines: a deque under a lock, which takes a batch under one acquisition.
macro_rules! mutex_baseline {
    ($name:ident, $mutex:ty, $guard:ident => $lock:expr) => {
        pub struct $name<T>($mutex);

        impl<T: Value> $name<T> {
            #[inline(always)]
            fn locked<R>(&self, operation: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
                let $guard = &self.0;
                operation(&mut $lock)
            }
        }

        impl<T: Value> Shared<T> for $name<T> {
            fn new(_: usize) -> Self {
                $name(<$mutex>::new(VecDeque::new()))
            }

            #[inline(always)]
            fn push(&self, value: T) {
                self.locked(|deque| deque.push_back(value));
            }

            #[inline(always)]
            fn pop(&self) -> Option<T> {
                self.locked(|deque| deque.pop_front())
            }

            fn push_batch(&self, values: &mut Vec<T>) {
                self.locked(|deque| deque.extend(values.drain(..)));
            }

            fn pop_batch(&self, values: &mut Vec<T>, max: usize) {
                self.locked(|deque| {
                    let count = max.min(deque.len());
                    values.extend(deque.drain(..count));
                });
            }
        }
    };
}

mutex_baseline!(StdMutex, Mutex<VecDeque<T>>, mutex => mutex.lock().expect("never poisoned"));
mutex_baseline!(ParkingLot, parking_lot::Mutex<VecDeque<T>>, mutex => mutex.lock());

/// A limit: the two atomic additions that a ticket queue cannot do without, and nothing else.
pub struct FetchAdd<T> {
    tail: Padded<AtomicU64>,
    head: Padded<AtomicU64>,
    // `T` is only what the row is asked to carry.
    carried: std::marker::PhantomData<fn(T)>,
}

impl<T: Value> Shared<T> for FetchAdd<T> {
    fn new(_: usize) -> Self {
        FetchAdd { tail: Default::default(), head: Default::default(), carried: std::marker::PhantomData }
    }

    #[inline(always)]
    fn push(&self, value: T) {
        self.tail.0.fetch_add(value.read() | 1, Relaxed);
    }

    #[inline(always)]
    fn pop(&self) -> Option<T> {
        Some(T::make(self.head.0.fetch_add(1, Relaxed)))
    }
}

/// A limit: a deque that nobody shares.
pub struct Unshared<T>(UnsafeCell<VecDeque<T>>);

// SAFETY: rows of this type run in cells with one thread only (`supports` in the workload file), and
// the main thread touches it before that thread starts and after it has been joined.
unsafe impl<T> Sync for Unshared<T> {}

impl<T> Unshared<T> {
    #[expect(clippy::mut_from_ref, reason = "a limit that goes without a lock on purpose")]
    #[inline(always)]
    fn deque(&self) -> &mut VecDeque<T> {
        // SAFETY: one thread only, see `Sync`; no caller in this file keeps the reference.
        unsafe { &mut *self.0.get() }
    }
}

impl<T: Value> Shared<T> for Unshared<T> {
    fn new(_: usize) -> Self {
        Unshared(UnsafeCell::new(VecDeque::new()))
    }

    #[inline(always)]
    fn push(&self, value: T) {
        self.deque().push_back(value);
    }

    #[inline(always)]
    fn pop(&self) -> Option<T> {
        self.deque().pop_front()
    }

    fn push_batch(&self, values: &mut Vec<T>) {
        self.deque().extend(values.drain(..));
    }

    fn pop_batch(&self, values: &mut Vec<T>, max: usize) {
        let deque = self.deque();
        let count = max.min(deque.len());
        values.extend(deque.drain(..count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_fifo<Q: Queue<u64>>() {
        let queue = Q::new(100);
        let mut handle = queue.handle();
        assert_eq!(handle.pop(), None);
        handle.push(1);
        handle.push_batch(&mut vec![2, 3, 4, 5]);
        assert_eq!(handle.pop(), Some(1));
        let mut out = vec![0];
        handle.pop_batch(&mut out, 3);
        assert_eq!(out, [0, 2, 3, 4]);
        handle.pop_batch(&mut out, 3);
        assert_eq!(out, [0, 2, 3, 4, 5]);
        assert_eq!(handle.pop(), None);
    }

    #[test]
    fn every_contestant_is_a_fifo() {
        is_fifo::<Ours<u64>>();
        is_fifo::<OursCrossbeam<u64>>();
        is_fifo::<Seg<u64>>();
        is_fifo::<Array<u64>>();
        is_fifo::<CrossbeamChannel<u64>>();
        is_fifo::<Concurrent<u64>>();
        is_fifo::<Sdd<u64>>();
        is_fifo::<Kanal<u64>>();
        is_fifo::<Flume<u64>>();
        is_fifo::<StdMutex<u64>>();
        is_fifo::<ParkingLot<u64>>();
        is_fifo::<Unshared<u64>>();
    }
}
