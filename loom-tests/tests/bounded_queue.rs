//! Models of the bounded queue.

mod common;

use std::sync::Arc;

use latchfree_loom::BoundedQueue;
use latchfree_loom::model::Barriers;

use self::common::{Item, go};

type Items = BoundedQueue<Item>;

fn empty(capacity: usize) -> Arc<Items> {
    Arc::new(Items::new(capacity))
}

/// With so many items in it, from 100 on.
fn filled(capacity: usize, count: usize) -> Arc<Items> {
    let mut queue = Items::new(capacity);
    for id in 0..count {
        queue.push_mut(Item::new(100 + id)).unwrap();
    }
    Arc::new(queue)
}

fn push(queue: &Items, id: usize) -> bool {
    queue.push(Item::new(id)).is_ok()
}

fn pop(queue: &Items) -> Option<usize> {
    queue.pop().map(|item| item.0)
}

fn rest(queue: &Items) -> Vec<usize> {
    std::iter::from_fn(|| pop(queue)).collect()
}

fn sorted(mut ids: Vec<usize>) -> Vec<usize> {
    ids.sort_unstable();
    ids
}

/// Nobody is in flight: there is room for as many items as the capacity, and all slots work.
fn settle(queue: &Items) {
    assert_eq!(pop(queue), None);
    assert!(queue.is_empty());
    assert_eq!(queue.len(), 0);
    for round in 0..2 {
        for id in 0..queue.capacity() {
            assert!(!queue.is_full());
            assert!(push(queue, 200 + id), "room is lost in round {round}");
        }
        assert_eq!(queue.len(), queue.capacity());
        assert!(queue.is_full() && !push(queue, 300));
        assert_eq!(rest(queue), (200..200 + queue.capacity()).collect::<Vec<_>>());
    }
}

/// One thread adds to a queue of its own, looks into the other's, and moves its own on, which always has an item; the other one does
/// the same, but for moving on. Not both find nothing.
fn moves_on(is_empty: impl Fn(&Items) -> bool + 'static) {
    let queues = Arc::new([Items::new(2), Items::new(1)]);
    let mover = go(&queues, |queues| {
        assert!(push(&queues[0], 1));
        let missed = queues[1].is_empty();
        let moved = push(&queues[0], 2);
        pop(&queues[0]);
        missed && moved
    });
    let other = go(&queues, move |queues| {
        assert!(push(&queues[1], 1));
        is_empty(&queues[0])
    });
    let missed = mover.join().unwrap();
    assert!(!(other.join().unwrap() && missed), "neither finds the other's item");
}

/// The same of room, in queues that were full.
fn room_moves_on(is_full: impl Fn(&Items) -> bool + 'static) {
    let queues =
        Arc::new([(2, 2), (1, 1)].map(|(capacity, count)| Arc::into_inner(filled(capacity, count)).unwrap()));
    let mover = go(&queues, |queues| {
        assert_eq!(pop(&queues[0]), Some(100));
        let missed = queues[1].is_full();
        pop(&queues[0]);
        push(&queues[0], 1);
        missed
    });
    let other = go(&queues, move |queues| {
        assert_eq!(pop(&queues[1]), Some(100));
        is_full(&queues[0])
    });
    let missed = mover.join().unwrap();
    assert!(!(other.join().unwrap() && missed), "neither finds the other's room");
}

models! {
    /// One slot: a value that is seen is whole, and the slot is free again afterwards.
    push_and_pop_of_one(Some(3), 98) {
        let queue = empty(1);
        let (a, b) = (go(&queue, |queue| push(queue, 1)), go(&queue, pop));
        assert!(a.join().unwrap());
        let mut found: Vec<_> = b.join().unwrap().into_iter().collect();
        found.extend(rest(&queue));
        assert_eq!(found, [1]);
        settle(&queue);
    }

    /// A push into a full ring of one slot against a pop: it fails, or the slot's value was moved out before it is overwritten.
    full_of_one(Some(3), 70) {
        let queue = filled(1, 1);
        let (a, b) = (go(&queue, |queue| push(queue, 1)), go(&queue, pop));
        let pushed = a.join().unwrap();
        assert_eq!(b.join().unwrap(), Some(100));
        assert_eq!(rest(&queue), if pushed { vec![1] } else { vec![] });
        settle(&queue);
    }

    /// Two producers: neither is told that the ring is full.
    two_pushes(Some(3), 26) {
        let queue = empty(2);
        let (a, b) = (go(&queue, |queue| push(queue, 1)), go(&queue, |queue| push(queue, 2)));
        assert!(a.join().unwrap() && b.join().unwrap());
        assert_eq!(queue.len(), 2);
        assert_eq!(sorted(rest(&queue)), [1, 2]);
        settle(&queue);
    }

    /// The producer of the first ticket is on its way while what is behind is published: the consumer goes on without it, and the
    /// producer pushes elsewhere.
    abandonment(Some(2), 228) {
        let queue = empty(3);
        let a = go(&queue, |queue| push(queue, 1));
        let b = go(&queue, |queue| push(queue, 2));
        let c = go(&queue, pop);
        assert!(a.join().unwrap() && b.join().unwrap());
        let mut found: Vec<_> = c.join().unwrap().into_iter().collect();
        found.extend(rest(&queue));
        assert_eq!(sorted(found), [1, 2]);
        settle(&queue);
    }

    /// The same in a ring of two, where the abandoned slot is wanted again at once.
    abandonment_in_two(Some(2), 82) {
        let queue = empty(2);
        let a = go(&queue, |queue| push(queue, 1));
        let b = go(&queue, |queue| {
            assert!(push(queue, 2));
            let found = pop(queue);
            (push(queue, 3), found)
        });
        let pushed_a = a.join().unwrap();
        let (pushed, found) = b.join().unwrap();
        let mut found: Vec<_> = found.into_iter().collect();
        found.extend(rest(&queue));
        let mut expected = vec![2];
        expected.extend(pushed_a.then_some(1));
        expected.extend(pushed.then_some(3));
        assert_eq!(sorted(found), sorted(expected));
        settle(&queue);
    }

    /// A consumer is on its way while another slot is free: the producer passes over it.
    passing_over(Some(3), 185) {
        let queue = filled(2, 2);
        let a = go(&queue, pop);
        let b = go(&queue, |queue| {
            let first = pop(queue);
            (first, push(queue, 1))
        });
        let mut found: Vec<_> = a.join().unwrap().into_iter().collect();
        let (first, pushed) = b.join().unwrap();
        found.extend(first);
        assert!(pushed, "its own slot is free");
        assert_eq!(sorted(found), [100, 101]);
        assert_eq!(rest(&queue), [1]);
        settle(&queue);
    }

    /// The same, and the producer comes round to the passed slot again, while it is held or when it was returned.
    passing_over_twice(Some(2), 144) {
        let queue = filled(2, 2);
        let a = go(&queue, pop);
        let b = go(&queue, |queue| {
            let mut found = vec![];
            found.extend(pop(queue));
            for id in 1..3 {
                assert!(push(queue, id), "its own slot is free");
                found.extend(pop(queue));
            }
            found
        });
        let mut found: Vec<_> = a.join().unwrap().into_iter().collect();
        found.extend(b.join().unwrap());
        found.extend(rest(&queue));
        assert_eq!(sorted(found), [1, 2, 100, 101]);
        settle(&queue);
    }

    /// A slot comes back out of turn to a ring that is full but for it: the producer passes over a stretch of tickets, of which
    /// a slot may become free in time. With 1 preemption it does not notice that only the first ticket is asked about.
    passing_over_a_stretch(Some(2), 1500) {
        let queue = filled(4, 4);
        let a = go(&queue, pop);
        let b = go(&queue, |queue| {
            let first = pop(queue);
            assert!(push(queue, 1), "its own slot is free");
            (first, push(queue, 2))
        });
        let c = go(&queue, pop);
        let mut found: Vec<_> = a.join().unwrap().into_iter().collect();
        let (first, pushed) = b.join().unwrap();
        found.extend(first);
        found.extend(c.join().unwrap());
        assert_eq!(sorted(found), [100, 101, 102]);
        let mut expected = vec![103, 1];
        expected.extend(pushed.then_some(2));
        assert_eq!(rest(&queue), expected);
        settle(&queue);
    }

    /// Two producers meet a consumer on its way.
    passing_over_by_two(Some(2), 772) {
        let queue = filled(3, 3);
        assert_eq!(pop(&queue), Some(100));
        let a = go(&queue, pop);
        let b = go(&queue, |queue| push(queue, 1));
        let c = go(&queue, |queue| push(queue, 2));
        assert_eq!(a.join().unwrap(), Some(101));
        let pushed = [b.join().unwrap(), c.join().unwrap()];
        assert!(pushed[0] || pushed[1]);
        let found = rest(&queue);
        assert_eq!(found[0], 102);
        assert_eq!(found.len(), 1 + pushed.iter().filter(|&&pushed| pushed).count());
        settle(&queue);
    }

    /// One producer's items come in order, round a ring of two.
    order(Some(2), 214) {
        let queue = empty(2);
        let producer = go(&queue, |queue| (1..4).filter(|&id| push(queue, id)).collect::<Vec<_>>());
        let consumer = go(&queue, |queue| [pop(queue), pop(queue)]);
        let pushed = producer.join().unwrap();
        let mut found: Vec<_> = consumer.join().unwrap().into_iter().flatten().collect();
        found.extend(rest(&queue));
        assert_eq!(found, pushed);
        assert!(pushed.starts_with(&[1, 2]));
        settle(&queue);
    }

    /// Two consumers get each item once, and none is missed.
    two_consumers(Some(2), 22) {
        let queue = filled(2, 2);
        let consumers = [0, 1].map(|_| go(&queue, pop));
        let found: Vec<_> = consumers.map(|consumer| consumer.join().unwrap()).into_iter().flatten().collect();
        assert_eq!(sorted(found), [100, 101]);
        settle(&queue);
    }

    /// A batch of which the first ticket may be abandoned: the others are given back, and the order is kept.
    retraction(Some(3), 42) {
        let queue = empty(4);
        let producer = go(&queue, |queue| queue.push_all([1, 2].map(Item::new)).is_ok());
        let other = go(&queue, |queue| {
            assert!(push(queue, 9));
            pop(queue)
        });
        assert!(producer.join().unwrap());
        let mut found: Vec<_> = other.join().unwrap().into_iter().collect();
        found.extend(rest(&queue));
        assert_eq!(found.iter().filter(|&&id| id != 9).collect::<Vec<_>>(), [&1, &2]);
        assert_eq!(found.len(), 3);
        settle(&queue);
    }

    /// Two consumers of three items, one of whom takes several at once.
    grabs(Some(3), 30) {
        let queue = filled(3, 3);
        let many = go(&queue, |queue| queue.pop_many(2).iter().map(|item| item.0).collect::<Vec<_>>());
        let one = go(&queue, pop);
        let mut found = many.join().unwrap();
        assert!(!found.is_empty() && found.is_sorted());
        found.push(one.join().unwrap().expect("there are three items"));
        found.extend(rest(&queue));
        assert_eq!(sorted(found), [100, 101, 102]);
        settle(&queue);
    }

    /// Displacing against a pop, with one slot: at most one item goes, and the new one stays or comes back.
    displacing(Some(3), 974) {
        let queue = filled(1, 1);
        let a = go(&queue, |queue| match queue.force_push(Item::new(1)) {
            Ok(displaced) => (true, displaced.map(|item| item.0)),
            Err(back) => {
                assert_eq!(back.0, 1);
                (false, None)
            }
        });
        let b = go(&queue, pop);
        let (stays, displaced) = a.join().unwrap();
        let mut found: Vec<_> = b.join().unwrap().into_iter().chain(displaced).collect();
        found.extend(rest(&queue));
        assert_eq!(sorted(found), if stays { vec![1, 100] } else { vec![100] });
        settle(&queue);
    }

    /// Two displacers in a ring of two that is full: both succeed.
    two_displacers(Some(2), 794) {
        let queue = filled(2, 2);
        let threads = [1, 2].map(|id| go(&queue, move |queue| {
            queue.force_push(Item::new(id)).map(|displaced| displaced.map(|item| item.0)).map_err(|item| item.0)
        }));
        let mut found: Vec<_> = threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap().expect("each holds one slot at most"))
            .collect();
        found.extend(rest(&queue));
        assert_eq!(sorted(found), [1, 2, 100, 101]);
        settle(&queue);
    }

    /// A displacer whose slot may be passed over by a producer, since a pop frees another one.
    displacer_passed_over(Some(2), 293) {
        let queue = filled(2, 2);
        let displacer = go(&queue, |queue| {
            queue.force_push(Item::new(1)).map(|displaced| displaced.map(|item| item.0)).map_err(|item| item.0)
        });
        let other = go(&queue, |queue| {
            let found = pop(queue);
            (found, push(queue, 2))
        });
        let displaced = displacer.join().unwrap();
        let (found, pushed) = other.join().unwrap();
        let mut all: Vec<_> = displaced.ok().flatten().into_iter().chain(found).collect();
        all.extend(rest(&queue));
        let mut expected = vec![100, 101];
        expected.extend(displaced.is_ok().then_some(1));
        expected.extend(pushed.then_some(2));
        assert_eq!(sorted(all), sorted(expected));
        settle(&queue);
    }

    /// Store buffering: of two threads that push to one queue each and look into the other's, one sees the other's item.
    two_queues(Some(3), 330) {
        let queues = Arc::new([Items::new(1), Items::new(1)]);
        let threads = [0, 1].map(|mine| go(&queues, move |queues| {
            assert!(push(&queues[mine], 1));
            pop(&queues[1 - mine])
        }));
        let found = threads.map(|thread| thread.join().unwrap());
        assert_ne!(found, [None, None]);
    }

    /// The same with `is_empty`.
    two_looks(Some(3), 132) {
        let queues = Arc::new([Items::new(2), Items::new(2)]);
        let threads = [0, 1].map(|mine| go(&queues, move |queues| {
            assert!(push(&queues[mine], 1));
            queues[1 - mine].is_empty()
        }));
        let found = threads.map(|thread| thread.join().unwrap());
        assert_ne!(found, [true, true]);
    }

    /// Store buffering of room: of two threads that pop from one full queue each and push to the other's, one finds room.
    two_full_queues(Some(3), 720) {
        let queues = Arc::new([0, 1].map(|_| Arc::into_inner(filled(1, 1)).unwrap()));
        let threads = [0, 1].map(|mine| go(&queues, move |queues| {
            assert_eq!(pop(&queues[mine]), Some(100));
            push(&queues[1 - mine], 1)
        }));
        let found = threads.map(|thread| thread.join().unwrap());
        assert_ne!(found, [false, false]);
    }

    /// The same with `is_full`.
    two_looks_for_room(Some(3), 770) {
        let queues = Arc::new([0, 1].map(|_| Arc::into_inner(filled(1, 1)).unwrap()));
        let threads = [0, 1].map(|mine| go(&queues, move |queues| {
            assert_eq!(pop(&queues[mine]), Some(100));
            queues[1 - mine].is_full()
        }));
        let found = threads.map(|thread| thread.join().unwrap());
        assert_ne!(found, [true, true]);
    }

    /// Store buffering, and one of the queues moves on and is never empty: who sees that the head moved sees what was pushed before.
    moved_on(Some(2), 92) {
        moves_on(|queue| pop(queue).is_none());
    }

    /// The same with `is_empty`.
    moved_on_and_looked_at(Some(2), 70) {
        moves_on(Items::is_empty);
    }

    /// The same of room: who sees that the tail moved sees what was popped before.
    room_moved_on(Some(2), 322) {
        room_moves_on(|queue| !push(queue, 3));
    }

    /// The same with a batch.
    room_moved_on_for_all(Some(2), 345) {
        room_moves_on(|queue| queue.push_all([Item::new(3)]).is_err());
    }

    /// The same with `is_full`.
    room_moved_on_and_looked_at(Some(2), 262) {
        room_moves_on(Items::is_full);
    }

    /// A consumer on its way is passed over, and another consumer comes to the ticket that is nobody's.
    passed_over_and_popped(Some(1), 58) {
        let queue = filled(2, 2);
        let a = go(&queue, pop);
        let b = go(&queue, |queue| {
            let first = pop(queue);
            (first, push(queue, 1))
        });
        let c = go(&queue, pop);
        let mut found: Vec<_> = a.join().unwrap().into_iter().collect();
        let (first, pushed) = b.join().unwrap();
        found.extend(first);
        found.extend(c.join().unwrap());
        found.extend(rest(&queue));
        let mut expected = vec![100, 101];
        expected.extend(pushed.then_some(1));
        assert_eq!(sorted(found), sorted(expected));
        settle(&queue);
    }

    /// A push that succeeded is popped by whoever pops next: each thread's pop finds something.
    pushed_is_popped(Some(2), 85) {
        let queue = empty(2);
        let threads = [1, 2].map(|id| go(&queue, move |queue| {
            assert!(push(queue, id), "the others hold one slot at most");
            pop(queue).expect("as many pushes as pops")
        }));
        let found = threads.map(|thread| thread.join().unwrap());
        assert_eq!(sorted(found.into()), [1, 2]);
        settle(&queue);
    }

    /// Causality over pops: who sees the second item taken does not find the queue empty of what was pushed before.
    causality(Some(2), 77) {
        let queues = Arc::new([Items::new(1), Items::new(1)]);
        let producer = go(&queues, |queues| push(&queues[0], 1) && push(&queues[1], 2));
        let consumer = go(&queues, |queues| {
            let second = pop(&queues[1]);
            (second, pop(&queues[0]))
        });
        assert!(producer.join().unwrap());
        let found = consumer.join().unwrap();
        assert!(matches!(found, (None, _) | (Some(2), Some(1))), "{found:?}");
    }

    /// Who finds an emptied queue knows what its popper did before.
    causality_of_taking(Some(2), 19) {
        let queues = Arc::new([Arc::into_inner(filled(1, 1)).unwrap(), Items::new(1)]);
        let mover = go(&queues, |queues| {
            assert!(push(&queues[1], 2));
            assert_eq!(pop(&queues[0]), Some(100));
        });
        let watcher = go(&queues, |queues| {
            if queues[0].is_empty() {
                assert!(!queues[1].is_empty(), "moved before it was popped");
            }
        });
        mover.join().unwrap();
        watcher.join().unwrap();
        assert_eq!(rest(&queues[1]), [2]);
    }

    /// Who finds a queue full knows what its pusher did before.
    causality_of_filling(Some(2), 26) {
        let queues = Arc::new([Items::new(1), Items::new(1)]);
        let mover = go(&queues, |queues| {
            assert!(push(&queues[1], 2));
            assert!(push(&queues[0], 1));
        });
        let watcher = go(&queues, |queues| {
            if queues[0].is_full() {
                assert!(queues[1].is_full());
            }
        });
        mover.join().unwrap();
        watcher.join().unwrap();
    }

    /// The counters, and the laps in the slots, wrap around meanwhile.
    laps_wrap_around(Some(2), 108) {
        let queue = Arc::new(Items::with_first_lap(1, (1 << 59) - 1));
        let producer = go(&queue, |queue| (1..4).filter(|&id| push(queue, id)).collect::<Vec<_>>());
        let consumer = go(&queue, |queue| [pop(queue), pop(queue)]);
        let pushed = producer.join().unwrap();
        let mut found: Vec<_> = consumer.join().unwrap().into_iter().flatten().collect();
        found.extend(rest(&queue));
        assert_eq!(found, pushed);
        settle(&queue);
    }
}

// Without `passing_over_a_stretch` and `passed_over_and_popped`, which take minutes.
owned_models! {
    push_and_pop_of_one(Some(2), 55)
    full_of_one(Some(2), 116)
    two_pushes(Some(2), 124)
    abandonment(Some(1), 38)
    abandonment_in_two(Some(2), 527)
    passing_over(Some(2), 316)
    passing_over_twice(Some(1), 50)
    passing_over_by_two(Some(1), 170)
    order(Some(2), 431)
    two_consumers(Some(2), 172)
    retraction(Some(1), 17)
    grabs(Some(2), 172)
    displacing(Some(2), 250)
    two_displacers(Some(1), 68)
    displacer_passed_over(Some(1), 50)
    two_queues(Some(2), 140)
    two_looks(Some(2), 57)
    two_full_queues(Some(2), 298)
    two_looks_for_room(Some(2), 222)
    moved_on(Some(2), 270)
    moved_on_and_looked_at(Some(2), 145)
    room_moved_on(Some(2), 722)
    room_moved_on_for_all(Some(2), 749)
    room_moved_on_and_looked_at(Some(2), 394)
    pushed_is_popped(Some(1), 25)
    causality(Some(2), 141)
    causality_of_taking(Some(2), 45)
    causality_of_filling(Some(2), 43)
    laps_wrap_around(Some(2), 909)
}
