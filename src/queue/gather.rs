//! Runs a user's iterator before any place in a queue is taken for what it yields: it may panic, re-enter and be slow.

use alloc::vec::Vec;
use core::mem::MaybeUninit;
use core::ptr;

use super::unbounded::Source;

/// Items gathered before places are taken for them, in one grab where the segment has room for them.
const MANY: usize = 256;
/// ... and their size, in bytes: what a segment has room for, so that large items are still in the cache when they are moved.
const MANY_BYTES: usize = 16 << 10;
/// Up to so many items are gathered on the stack: a batch of 32 words took 4.8 ns an item with a vector and 3.9 without.
const FEW: usize = 32;
/// ... if they take no more than 2 KiB there.
const FEW_BYTES: usize = 2 << 10;

/// Passes on what the iterator yields, a buffer at a time. If it panics, what was not passed on is dropped.
///
/// `push` must not panic: the items are its own.
pub(super) fn gather<T>(items: impl IntoIterator<Item = T>, mut push: impl FnMut(Source<T>)) {
    let mut items = items.into_iter();
    let mut many = Vec::new();
    if const { FEW * size_of::<T>() <= FEW_BYTES } {
        let mut few = Few::new();
        if few.fill(&mut items) < FEW {
            return push(few.give_away());
        }
        let Some(next) = items.next() else { return push(few.give_away()) };
        many.reserve_exact(MANY);
        few.append_to(&mut many);
        many.push(next);
    }
    let most = const {
        let fit = MANY_BYTES / if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
        if fit < 4 {
            4
        } else if fit > MANY {
            MANY
        } else {
            fit
        }
    };
    loop {
        let room = most - many.len();
        many.extend(items.by_ref().take(room));
        let count = many.len();
        // SAFETY: shortens the vector: the items are given away from here on.
        unsafe { many.set_len(0) };
        push(Source::new(many.as_ptr(), count));
        if count < most {
            return;
        }
    }
}

/// A vector of FEW items in place.
struct Few<T> {
    items: [MaybeUninit<T>; FEW],
    len: usize,
}

impl<T> Few<T> {
    fn new() -> Self {
        Self { items: [const { MaybeUninit::uninit() }; FEW], len: 0 }
    }

    /// Takes items until there are FEW or no more, and tells how many.
    #[inline]
    fn fill(&mut self, items: &mut impl Iterator<Item = T>) -> usize {
        /// Counts in a register, and tells even if the iterator panics.
        struct Count<'a>(&'a mut usize, usize);
        impl Drop for Count<'_> {
            fn drop(&mut self) {
                *self.0 = self.1;
            }
        }
        let mut count = Count(&mut self.len, 0);
        items.take(FEW).for_each(|item| {
            // `take` yields no more than FEW.
            self.items[count.1].write(item);
            count.1 += 1;
        });
        count.1
    }

    /// Forgets the items, which are whoever's who gets the source. It is valid while `self` stays where it is.
    fn give_away(&mut self) -> Source<T> {
        let len = core::mem::take(&mut self.len);
        Source::new(self.items.as_ptr().cast(), len)
    }

    fn append_to(mut self, many: &mut Vec<T>) {
        many.reserve(self.len);
        // SAFETY: the first `len` items are initialised, are moved to the room behind the vector's end, and forgotten here.
        unsafe {
            ptr::copy_nonoverlapping(
                self.items.as_ptr().cast::<T>(),
                many.as_mut_ptr().add(many.len()),
                self.len,
            );
            many.set_len(many.len() + self.len);
        }
        self.len = 0;
    }
}

impl<T> Drop for Few<T> {
    fn drop(&mut self) {
        // SAFETY: the first `len` items are initialised and were not given away.
        unsafe {
            ptr::slice_from_raw_parts_mut(self.items.as_mut_ptr().cast::<T>(), self.len).drop_in_place()
        }
    }
}
