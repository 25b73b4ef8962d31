//! Many look-ups, whose lines are on their way while those before them are done.

/// How many look-ups are under way at once, with as many steps from the first request to the second as from that to the look-up.
/// Batches of 32 in a million entries: 39 ns a look-up of a `HashMap` and 30 of a `CopyMap`, 45 and 34 with 16, and 64 gains
/// nothing. With batches that were asked for at once, of 16: 43 and 38.
const DEPTH: usize = 32;

/// Passes each item to `begin`, then to `halfway`, then to `end`, in order, with [`DEPTH`] others in between.
#[inline(always)]
pub(in crate::hash_map) fn ahead<T: Copy>(
    items: impl Iterator<Item = T>,
    mut begin: impl FnMut(T),
    mut halfway: impl FnMut(T),
    mut end: impl FnMut(T),
) {
    let mut under_way = [None; DEPTH];
    let mut count = 0;
    for item in items {
        begin(item);
        if count >= DEPTH / 2 {
            under_way[(count - DEPTH / 2) % DEPTH].into_iter().for_each(&mut halfway);
        }
        under_way[count % DEPTH].replace(item).into_iter().for_each(&mut end);
        count += 1;
    }
    let last = |many| (count.saturating_sub(many)..count).filter_map(|at| under_way[at % DEPTH]);
    last(DEPTH / 2).for_each(halfway);
    last(DEPTH).for_each(end);
}

#[cfg(all(test, not(any(latchfree_loom, latchfree_stall))))]
mod tests {
    use alloc::vec::Vec;
    use core::cell::RefCell;

    use super::*;

    #[test]
    fn each_item_once_in_order() {
        for many in (0..3 * DEPTH).chain([1000]) {
            let steps = RefCell::new([const { Vec::new() }; 3]);
            let step = |which: usize| {
                let steps = &steps;
                move |item: usize| {
                    let mut steps = steps.borrow_mut();
                    assert!(which == 0 || steps[which - 1].contains(&item), "the step before");
                    steps[which].push(item);
                }
            };
            ahead(0..many, step(0), step(1), step(2));
            assert!(steps.into_inner().iter().all(|items| items.iter().copied().eq(0..many)), "{many}");
        }
    }
}
