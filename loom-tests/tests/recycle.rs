//! Models of the depot in which free memory lies between two threads.

mod common;

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use common::go;
use latchfree_loom::__private::{Block, Depot};
use loom::cell::UnsafeCell;

/// A chain of so many blocks, written to as their owner does.
fn chain(len: usize) -> NonNull<Block> {
    let mut first = ptr::null_mut();
    for _ in 0..len {
        let next = UnsafeCell::new(first);
        first = Box::into_raw(Box::new(Block { next, len: UnsafeCell::new(MaybeUninit::uninit()) }));
    }
    NonNull::new(first).expect("not empty")
}

/// Takes a chain apart and counts; each access is checked by loom.
fn free(first: NonNull<Block>) -> usize {
    let (mut next, mut count) = (first.as_ptr(), 0);
    while !next.is_null() {
        // SAFETY: the caller's, from `chain`.
        let block = unsafe { Box::from_raw(next) };
        // Written, as its next owner would; loom reports it if it races with the last one.
        // SAFETY: in `with_mut`.
        next = block.next.with_mut(|next| unsafe { std::mem::replace(&mut *next, ptr::null_mut()) });
        count += 1;
    }
    count
}

/// Gives a chain, or frees it; returns how many blocks were freed.
fn give(depot: &Depot, len: usize) -> usize {
    let chain = chain(len);
    // SAFETY: ours.
    if unsafe { depot.give(chain, len) } { 0 } else { free(chain) }
}

fn take(depot: &Depot) -> usize {
    depot.take().map_or(0, |(chain, len)| {
        assert_eq!(free(chain), len);
        len
    })
}

models_without_barriers! {
    /// A chain goes from one thread to one other.
    passes_on(None, 10) {
        let depot = Arc::new(Depot::new());
        let giver = go(&depot, |depot| give(depot, 3));
        let takers = [(), ()].map(|()| go(&depot, take));
        let mut blocks = giver.join().unwrap();
        for taker in takers {
            blocks += taker.join().unwrap();
        }
        assert_eq!(blocks + take(&depot), 3);
    }

    /// Two chains and room for one.
    full(None, 10) {
        let depot = Arc::new(Depot::new());
        let givers = [1, 2].map(|len| go(&depot, move |depot| give(depot, len)));
        let mut blocks = take(&depot);
        for giver in givers {
            blocks += giver.join().unwrap();
        }
        assert_eq!(blocks + take(&depot), 3);
    }
}
