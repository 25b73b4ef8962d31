//! Models of the stack over the eager reclaimer. In the loom build a chunk has two slots and two generations.

mod common;

use std::sync::Arc;

use latchfree_loom::Stack;
use latchfree_loom::model::Barriers;

use self::common::eager::Eager;
use self::common::{Item, go};

type Items = Stack<Item, Eager>;

fn filled(ids: impl IntoIterator<Item = usize>) -> Arc<Items> {
    let stack = Items::default();
    stack.push_all(ids.into_iter().map(Item::new));
    Arc::new(stack)
}

fn push(stack: &Items, id: usize) {
    stack.push(Item::new(id));
}

fn pop(stack: &Items) -> Option<usize> {
    stack.pop().map(|item| item.0)
}

fn rest(stack: &Items) -> Vec<usize> {
    std::iter::from_fn(|| pop(stack)).collect()
}

fn sorted(mut ids: Vec<usize>) -> Vec<usize> {
    ids.sort_unstable();
    ids
}

models! {
    /// Two first pushes, with the places of both threads.
    pushes(Some(3), 1000) {
        let stack = filled([]);
        let threads = [1, 2].map(|id| go(&stack, move |stack| push(stack, id)));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(stack.len(), 2);
        assert_eq!(sorted(rest(&stack)), [1, 2]);
        assert_eq!(stack.len(), 0);
    }

    /// A push against a pop; a value that is seen is whole.
    push_and_pop(Some(3), 190) {
        let stack = filled([]);
        let producer = go(&stack, |stack| push(stack, 1));
        let consumer = go(&stack, pop);
        producer.join().unwrap();
        let mut found: Vec<_> = consumer.join().unwrap().into_iter().collect();
        found.extend(rest(&stack));
        assert_eq!(found, [1]);
    }

    /// Two pops get each item once.
    pops(Some(3), 460) {
        let stack = filled([1, 2]);
        let threads = [0, 1].map(|_| go(&stack, pop));
        let found = threads.map(|thread| thread.join().unwrap().expect("there are two items"));
        assert_eq!(sorted(found.to_vec()), [1, 2]);
        assert!(stack.is_empty());
    }

    /// ABA: while one pop lies still, its chunk's owner takes the item out, and those below, and puts the chunk back above something
    /// else. What was below is in its hands, so that a late pop that put it back would show.
    chunk_reuse(Some(2), 160) {
        let stack = filled([1, 2, 3]);
        let late = go(&stack, pop);
        let mut found: Vec<_> = pop(&stack).into_iter().collect();
        let below = stack.pop_all();
        push(&stack, 4);
        found.extend(below.map(|item| item.0));
        found.extend(late.join().unwrap());
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [1, 2, 3, 4]);
    }

    /// The same once more around: the chunk's generations are used up meanwhile, and it must not begin anew before the late pop's
    /// guard ends.
    worn_chunk(Some(2), 300) {
        let stack = filled([1, 2, 3]);
        let late = go(&stack, pop);
        let mut found: Vec<_> = pop(&stack).into_iter().collect();
        let below = stack.pop_all();
        push(&stack, 4);
        found.extend(pop(&stack));
        stack.push_all([5, 6].map(Item::new));
        found.extend(pop(&stack));
        found.extend(below.map(|item| item.0));
        found.extend(late.join().unwrap());
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [1, 2, 3, 4, 5, 6]);
    }

    /// As `chunk_reuse`, put back by a batch in one chunk, above what its iterator pushed ...
    batch_reuse(Some(2), 50) {
        let stack = filled([]);
        push(&stack, 1);
        let late = go(&stack, pop);
        let mut found: Vec<_> = pop(&stack).into_iter().collect();
        stack.push_all([3].into_iter().map(|id| {
            push(&stack, 2);
            Item::new(id)
        }));
        found.extend(late.join().unwrap());
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [1, 2, 3]);
    }

    /// ... and in two, where it is the lower one.
    batch_reuse_below(Some(2), 100) {
        let stack = filled([]);
        push(&stack, 1);
        let late = go(&stack, pop);
        let mut found: Vec<_> = pop(&stack).into_iter().collect();
        stack.push_all([3, 4, 5].into_iter().map(|id| {
            if id == 3 {
                push(&stack, 2);
            }
            Item::new(id)
        }));
        found.extend([pop(&stack), pop(&stack)].into_iter().flatten());
        found.extend(late.join().unwrap());
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [1, 2, 3, 4, 5]);
    }

    /// The owner of the chunk at the top takes its lowest item out without a guard, while another takes that, and one from below, and puts
    /// something else there.
    lowest_of_ones_own(Some(2), 160) {
        let stack = filled([1, 2]);
        let other = go(&stack, |stack| {
            let found = [pop(stack), pop(stack)];
            push(stack, 4);
            found
        });
        push(&stack, 3);
        let mut found: Vec<_> = pop(&stack).into_iter().collect();
        found.extend(other.join().unwrap().into_iter().flatten());
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [1, 2, 3, 4]);
    }

    /// An owner goes on in a slot only when who took the item is done with it.
    slot_reuse(Some(3), 80) {
        let stack = filled([1]);
        let other = go(&stack, pop);
        push(&stack, 2);
        let mut found: Vec<_> = pop(&stack).into_iter().collect();
        push(&stack, 3);
        found.extend(other.join().unwrap());
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [1, 2, 3]);
    }

    /// The same in the chunk before the last one, by a push ...
    slot_below(Some(3), 20) {
        let stack = filled([1, 2, 3]);
        assert_eq!(pop(&stack), Some(3));
        let other = go(&stack, pop);
        push(&stack, 4);
        let mut found: Vec<_> = other.join().unwrap().into_iter().collect();
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [1, 2, 4]);
    }

    /// ... and by a batch.
    slot_below_batch(Some(3), 12) {
        let stack = filled([1, 2, 3]);
        assert_eq!(pop(&stack), Some(3));
        let other = go(&stack, pop);
        stack.push_all([Item::new(4)]);
        let mut found: Vec<_> = other.join().unwrap().into_iter().collect();
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [1, 2, 4]);
    }

    /// What the user's iterator pushes goes into chunks that nobody owns.
    push_while_building(Some(3), 720) {
        let stack = filled([]);
        let producer = go(&stack, |stack| {
            stack.push_all([2].into_iter().map(|id| {
                push(stack, 1);
                Item::new(id)
            }));
        });
        let consumer = go(&stack, pop);
        producer.join().unwrap();
        let mut found: Vec<_> = consumer.join().unwrap().into_iter().collect();
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [1, 2]);
        assert_eq!(stack.len(), 0);
    }

    /// A push and a pop that both lose to a third may meet; nothing is handed over twice, or lost.
    elimination(Some(1), 130) {
        let stack = filled([0]);
        let producers = [1, 2].map(|id| go(&stack, move |stack| push(stack, id)));
        let consumer = go(&stack, pop);
        producers.into_iter().for_each(|thread| thread.join().unwrap());
        let mut found = vec![consumer.join().unwrap().expect("never empty")];
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [0, 1, 2]);
    }

    /// The same with a producer that pops: whose own item is there, or was taken.
    elimination_of_two(Some(2), 340) {
        let stack = filled([]);
        let both = [1, 2].map(|id| go(&stack, move |stack| {
            push(stack, id);
            pop(stack)
        }));
        let found = both.map(|thread| thread.join().unwrap());
        assert!(found.iter().all(Option::is_some), "each pushed before it popped");
        assert_eq!(sorted(found.into_iter().flatten().collect()), [1, 2]);
    }

    /// A batch is there as a whole, or not at all, and comes out as a whole.
    batches(Some(3), 70) {
        let stack = filled([]);
        let producer = go(&stack, |stack| stack.push_all([1, 2, 3].map(Item::new)));
        let consumer = go(&stack, |stack| stack.pop_all().map(|item| item.0).collect::<Vec<_>>());
        producer.join().unwrap();
        let found = consumer.join().unwrap();
        assert!(found.is_empty() || found == [3, 2, 1], "{found:?}");
        assert_eq!(found.len() + rest(&stack).len(), 3);
    }

    /// A batch of one goes above the item of its own chunk that is at the top, if that is still so.
    batch_above(Some(3), 970) {
        let stack = filled([]);
        let producer = go(&stack, |stack| {
            push(stack, 1);
            stack.push_all([Item::new(2)]);
            push(stack, 3);
        });
        let consumer = go(&stack, pop);
        producer.join().unwrap();
        let mut found: Vec<_> = consumer.join().unwrap().into_iter().collect();
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [1, 2, 3]);
        assert_eq!(stack.len(), 0);
    }

    /// What the owner retires, others may still be reading: a chunk goes only when its last item was read.
    chunk_retired(Some(3), 160) {
        let stack = filled([1, 2]);
        let other = go(&stack, pop);
        let mut found: Vec<_> = pop(&stack).into_iter().collect();
        stack.collect();
        stack.push_all([3, 4].map(Item::new));
        found.extend(other.join().unwrap());
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [1, 2, 3, 4]);
    }

    /// Takes two in one step while another takes them, what is below too, and pushes again: what a walk reads of a chunk that
    /// was taken out must not be followed.
    pop_many_and_reuse(Some(2), 330) {
        let stack = filled([1, 2, 3]);
        let many = go(&stack, |stack| stack.pop_many(2).into_iter().map(|item| item.0).collect::<Vec<_>>());
        let other = go(&stack, |stack| {
            let mut found: Vec<_> = pop(stack).into_iter().collect();
            let below = stack.pop_all();
            push(stack, 4);
            found.extend(below.map(|item| item.0));
            found
        });
        let mut found = many.join().unwrap();
        assert!([&[3, 2][..], &[2, 1], &[4], &[]].contains(&&found[..]), "{found:?}");
        found.extend(other.join().unwrap());
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [1, 2, 3, 4]);
    }

    /// The same where what is below is a new chunk of another thread, that the walk has not acquired.
    pop_many_and_new(Some(2), 132) {
        let stack = filled([]);
        push(&stack, 1);
        let many = go(&stack, |stack| stack.pop_many(3).into_iter().map(|item| item.0).collect::<Vec<_>>());
        let mut found: Vec<_> = pop(&stack).into_iter().collect();
        go(&stack, |stack| push(stack, 2)).join().unwrap();
        push(&stack, 3);
        found.extend(many.join().unwrap());
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [1, 2, 3]);
    }

    /// Takes all while another takes one and puts it back.
    pop_all_and_reuse(Some(3), 17) {
        let stack = filled([1, 2]);
        let one = go(&stack, |stack| {
            let found = pop(stack);
            push(stack, 3);
            found
        });
        let mut found: Vec<_> = stack.pop_all().map(|item| item.0).collect();
        found.extend(one.join().unwrap());
        found.extend(rest(&stack));
        assert_eq!(sorted(found), [1, 2, 3]);
    }

    /// A value is copied while its slot is given back and would be used again.
    peek(Some(3), 175) {
        let stack = Arc::new(Stack::<usize, Eager>::default());
        stack.push(1);
        let other = go(&stack, |stack| {
            assert_eq!(stack.pop(), Some(1));
            stack.push(2);
            assert_eq!(stack.pop(), Some(2));
            stack.push(3);
        });
        let seen = stack.peek();
        assert!(seen.is_none_or(|seen| (1..=3).contains(&seen)), "{seen:?}");
        other.join().unwrap();
        assert_eq!(stack.peek(), Some(3));
    }

    /// The same in the chunk before the last one.
    peek_below(Some(3), 45) {
        let stack = Arc::new(Stack::<usize, Eager>::default());
        stack.push_all([1, 2, 3]);
        assert_eq!(stack.pop(), Some(3));
        let reader = go(&stack, Stack::peek);
        assert_eq!(stack.pop(), Some(2));
        stack.push(4);
        let seen = reader.join().unwrap();
        assert!([1, 2, 4].map(Some).contains(&seen), "{seen:?}");
    }

    /// The same further down, where items were taken out after the snapshot began.
    snapshot(Some(2), 60) {
        let stack = Arc::new(Stack::<usize, Eager>::default());
        stack.push_all([1, 2]);
        let other = go(&stack, |stack| {
            assert_eq!([stack.pop(), stack.pop()], [Some(2), Some(1)]);
            stack.push(3);
            stack.push(4);
        });
        let seen: Vec<_> = stack.iter().collect();
        assert!([&[2, 1][..], &[1], &[], &[3], &[4, 3]].contains(&&seen[..]), "{seen:?}");
        other.join().unwrap();
    }

    /// Store buffering: of two threads that push to one stack each and look into the other's, one sees the other's item.
    two_stacks(Some(3), 690) {
        let stacks = Arc::new([Items::default(), Items::default()]);
        let threads = [0, 1].map(|mine| go(&stacks, move |stacks| {
            push(&stacks[mine], 1);
            if mine == 0 { pop(&stacks[1]).is_none() } else { stacks[0].is_empty() }
        }));
        let empty = threads.map(|thread| thread.join().unwrap());
        assert_ne!(empty, [true, true]);
    }

    /// Who finds the stack empty knows what who emptied it did before.
    causality_of_taking(Some(2), 13) {
        let stacks = Arc::new([Items::default(), Items::default()]);
        push(&stacks[0], 1);
        let mover = go(&stacks, |stacks| {
            push(&stacks[1], 2);
            assert_eq!(pop(&stacks[0]), Some(1));
        });
        let watcher = go(&stacks, |stacks| {
            if stacks[0].is_empty() {
                assert!(!stacks[1].is_empty(), "moved before it was popped");
            }
        });
        mover.join().unwrap();
        watcher.join().unwrap();
        assert_eq!(rest(&stacks[1]), [2]);
    }

    /// The same of who took many ...
    causality_of_taking_many(Some(2), 10) {
        let stacks = Arc::new([Items::default(), Items::default()]);
        push(&stacks[0], 1);
        let mover = go(&stacks, |stacks| {
            push(&stacks[1], 2);
            assert_eq!(stacks[0].pop_many(2).len(), 1);
        });
        let watcher = go(&stacks, |stacks| {
            if stacks[0].is_empty() {
                assert!(!stacks[1].is_empty(), "moved before it was popped");
            }
        });
        mover.join().unwrap();
        watcher.join().unwrap();
        assert_eq!(rest(&stacks[1]), [2]);
    }

    /// ... and all.
    causality_of_taking_all(Some(2), 10) {
        let stacks = Arc::new([Items::default(), Items::default()]);
        push(&stacks[0], 1);
        let mover = go(&stacks, |stacks| {
            push(&stacks[1], 2);
            assert_eq!(stacks[0].pop_all().count(), 1);
        });
        let watcher = go(&stacks, |stacks| {
            if stacks[0].is_empty() {
                assert!(!stacks[1].is_empty(), "moved before it was popped");
            }
        });
        mover.join().unwrap();
        watcher.join().unwrap();
        assert_eq!(rest(&stacks[1]), [2]);
    }

    /// A thread that comes takes over the place, the count and the chunks of one that went.
    places_pass_on(Some(1), 50) {
        let stack = filled([]);
        let first = go(&stack, |stack| {
            push(stack, 1);
            pop(stack)
        });
        let second = go(&stack, |stack| push(stack, 2));
        assert!(first.join().unwrap().is_some());
        let third = go(&stack, |stack| push(stack, 3));
        second.join().unwrap();
        third.join().unwrap();
        assert_eq!(stack.len(), 2);
        stack.collect();
        assert_eq!(rest(&stack).len(), 2);
        assert_eq!(stack.len(), 0);
    }
}
