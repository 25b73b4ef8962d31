//! FIFO queues of fixed capacity. A producer that finds its queue full yields and tries again.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::thread;

use super::queue::{Queue, Shared};
use crate::values::Value;

pub struct Ours<T>(latchfree::BoundedQueue<T>);

impl<T: Value> Shared<T> for Ours<T> {
    fn new(capacity: usize) -> Self {
        Ours(latchfree::BoundedQueue::new(capacity.max(1)))
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

    fn push_batch(&self, values: &mut Vec<T>) {
        let mut result = self.0.push_all(values.drain(..)).map_err(Iterator::collect::<Vec<_>>);
        while let Err(rest) = result {
            thread::yield_now();
            result = self.0.push_all(rest).map_err(Iterator::collect);
        }
    }

    fn pop_batch(&self, values: &mut Vec<T>, max: usize) {
        self.0.pop_many_into(values, max);
    }
}

/// The peers without batches: how one is made, pushed to (the value comes back when it is full), and popped from.
macro_rules! peer {
    ($name:ident, $inner:ty, $new:expr, $push:expr, $pop:expr) => {
        pub struct $name<T>($inner);

        impl<T: Value> Shared<T> for $name<T> {
            fn new(capacity: usize) -> Self {
                $name($new(capacity.max(1)))
            }

            #[inline(always)]
            fn push(&self, value: T) {
                let mut value = value;
                while let Some(back) = $push(&self.0, value) {
                    value = back;
                    thread::yield_now();
                }
            }

            #[inline(always)]
            fn pop(&self) -> Option<T> {
                $pop(&self.0)
            }
        }
    };
}

peer!(
    Array,
    crossbeam_queue::ArrayQueue<T>,
    crossbeam_queue::ArrayQueue::new,
    |queue: &crossbeam_queue::ArrayQueue<T>, value| queue.push(value).err(),
    |queue: &crossbeam_queue::ArrayQueue<T>| queue.pop()
);
peer!(
    Concurrent,
    concurrent_queue::ConcurrentQueue<T>,
    concurrent_queue::ConcurrentQueue::bounded,
    |queue: &concurrent_queue::ConcurrentQueue<T>, value| queue.push(value).err().map(|e| e.into_inner()),
    |queue: &concurrent_queue::ConcurrentQueue<T>| queue.pop().ok()
);
peer!(
    CrossbeamChannel,
    (crossbeam_channel::Sender<T>, crossbeam_channel::Receiver<T>),
    crossbeam_channel::bounded,
    |queue: &(crossbeam_channel::Sender<T>, _), value| queue.0.try_send(value).err().map(|e| e.into_inner()),
    |queue: &(_, crossbeam_channel::Receiver<T>)| queue.1.try_recv().ok()
);
peer!(
    Flume,
    (flume::Sender<T>, flume::Receiver<T>),
    flume::bounded,
    |queue: &(flume::Sender<T>, _), value| queue.0.try_send(value).err().map(|e| e.into_inner()),
    |queue: &(_, flume::Receiver<T>)| queue.1.try_recv().ok()
);
peer!(
    Kanal,
    (kanal::Sender<T>, kanal::Receiver<T>),
    kanal::bounded,
    |queue: &(kanal::Sender<T>, _), value| {
        let mut value = Some(value);
        // Leaves the value in its place when there is no room; the receiver is alive.
        let _ = queue.0.try_send_option(&mut value);
        value
    },
    |queue: &(_, kanal::Receiver<T>)| queue.1.try_recv().ok().flatten()
);

/// The baselines: a deque under a lock, which takes a batch under one acquisition.
macro_rules! mutex_baseline {
    ($name:ident, $mutex:ty, $guard:ident => $lock:expr) => {
        pub struct $name<T>($mutex, usize);

        impl<T: Value> $name<T> {
            #[inline(always)]
            fn locked<R>(&self, operation: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
                let $guard = &self.0;
                operation(&mut $lock)
            }
        }

        impl<T: Value> Shared<T> for $name<T> {
            fn new(capacity: usize) -> Self {
                $name(<$mutex>::new(VecDeque::with_capacity(capacity)), capacity)
            }

            #[inline(always)]
            fn push(&self, value: T) {
                let mut value = Some(value);
                loop {
                    self.locked(|deque| {
                        if deque.len() < self.1 {
                            deque.extend(value.take());
                        }
                    });
                    if value.is_none() {
                        return;
                    }
                    thread::yield_now();
                }
            }

            #[inline(always)]
            fn pop(&self) -> Option<T> {
                self.locked(|deque| deque.pop_front())
            }

            fn push_batch(&self, values: &mut Vec<T>) {
                while !values.is_empty() {
                    self.locked(|deque| {
                        let room = values.len().min(self.1 - deque.len());
                        deque.extend(values.drain(..room));
                    });
                }
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

by_reference!(Ours, Array, Concurrent, CrossbeamChannel, Flume, Kanal, StdMutex, ParkingLot);

#[cfg(test)]
mod tests {
    use super::super::queue::Handle as _;
    use super::*;

    fn is_fifo<Q: Queue<u64>>() {
        let queue = Q::new(5);
        for round in 0..5 {
            let mut handle = queue.handle();
            assert_eq!(handle.pop(), None);
            handle.push(round);
            handle.push_batch(&mut vec![2, 3, 4, 5]);
            assert_eq!(handle.pop(), Some(round));
            let mut out = vec![0];
            while out.len() < 5 {
                handle.pop_batch(&mut out, 3);
            }
            assert_eq!(out, [0, 2, 3, 4, 5]);
            assert_eq!(handle.pop(), None);
        }
    }

    #[test]
    fn every_contestant_is_a_fifo() {
        is_fifo::<Ours<u64>>();
        is_fifo::<Array<u64>>();
        is_fifo::<Concurrent<u64>>();
        is_fifo::<CrossbeamChannel<u64>>();
        is_fifo::<Flume<u64>>();
        is_fifo::<Kanal<u64>>();
        is_fifo::<StdMutex<u64>>();
        is_fifo::<ParkingLot<u64>>();
    }
}
