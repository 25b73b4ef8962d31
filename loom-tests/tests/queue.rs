//! Models of the queue over the eager reclaimer.

mod common;

use std::sync::Arc;

use latchfree_loom::Queue;
use latchfree_loom::model::Barriers;
use loom::sync::atomic::{AtomicUsize, Ordering};

use self::common::eager::Eager;
use self::common::{Item, Large, go};

type Items = Queue<Item, Eager>;

fn empty() -> Arc<Items> {
    Arc::new(Items::default())
}

/// Its segment full of 0 and 1, so that the next push appends.
fn full() -> Arc<Items> {
    let queue = empty();
    queue.push_all([0, 1].map(Item::new));
    queue
}

/// Empty, with a segment, so that the next push takes a ticket.
fn ticket() -> Arc<Items> {
    let queue = empty();
    push(&queue, 0);
    assert_eq!(pop(&queue), Some(0));
    queue
}

fn push(queue: &Items, id: usize) {
    queue.push(Item::new(id));
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

/// See the models of late verdicts; the consumer pops so many times.
fn judged_late(pops: usize) {
    let queue = ticket();
    let late = go(&queue, |queue| push(queue, 1));
    let busy = go(&queue, |queue| {
        let first = pop(queue);
        queue.push_all([2, 3].map(Item::new));
        first
    });
    let consumer = go(&queue, move |queue| (0..pops).filter_map(|_| pop(queue)).collect::<Vec<_>>());
    late.join().unwrap();
    let mut found: Vec<_> = busy.join().unwrap().into_iter().collect();
    found.extend(consumer.join().unwrap());
    found.extend(rest(&queue));
    assert_eq!(sorted(found), [1, 2, 3]);
}

models! {
    /// The first segment is raced for.
    first_pushes(Some(3), 164) {
        let queue = empty();
        let (a, b) = (go(&queue, |queue| push(queue, 1)), go(&queue, |queue| push(queue, 2)));
        a.join().unwrap();
        b.join().unwrap();
        assert_eq!(queue.len(), 2);
        assert_eq!(sorted(rest(&queue)), [1, 2]);
    }

    /// Two producers race for the last free slot; the loser appends.
    pushes_at_segment_end(Some(3), 49) {
        let queue = ticket();
        push(&queue, 1);
        let (a, b) = (go(&queue, |queue| push(queue, 2)), go(&queue, |queue| push(queue, 3)));
        a.join().unwrap();
        b.join().unwrap();
        assert_eq!(sorted(rest(&queue)), [1, 2, 3]);
    }

    /// The first push against a pop; a value that is seen is whole.
    first_push_and_pop(Some(3), 34) {
        let queue = empty();
        let (a, b) = (go(&queue, |queue| push(queue, 1)), go(&queue, pop));
        a.join().unwrap();
        let mut found: Vec<_> = b.join().unwrap().into_iter().collect();
        found.extend(rest(&queue));
        assert_eq!(found, [1]);
    }

    /// A producer with a ticket against an impatient consumer.
    abandonment(Some(4), 350) {
        let queue = ticket();
        let (a, b) = (go(&queue, |queue| push(queue, 1)), go(&queue, pop));
        a.join().unwrap();
        let mut found: Vec<_> = b.join().unwrap().into_iter().collect();
        found.extend(rest(&queue));
        assert_eq!(found, [1]);
    }

    /// The same, with what is behind in a second producer's hands.
    abandonment_of_two(Some(2), 588) {
        let queue = ticket();
        let producers = [1, 2].map(|id| go(&queue, move |queue| push(queue, id)));
        let consumer = go(&queue, pop);
        for producer in producers {
            producer.join().unwrap();
        }
        let mut found: Vec<_> = consumer.join().unwrap().into_iter().collect();
        found.extend(rest(&queue));
        assert_eq!(sorted(found), [1, 2]);
    }

    /// One producer's items come in order.
    order(Some(3), 640) {
        let queue = ticket();
        let producer = go(&queue, |queue| {
            push(queue, 1);
            push(queue, 2);
        });
        let consumer = go(&queue, |queue| [pop(queue), pop(queue)]);
        producer.join().unwrap();
        let mut found: Vec<_> = consumer.join().unwrap().into_iter().flatten().collect();
        found.extend(rest(&queue));
        assert_eq!(found, [1, 2]);
    }

    /// Two consumers get each item once.
    two_consumers(Some(1), 81) {
        let queue = ticket();
        let producer = go(&queue, |queue| {
            push(queue, 1);
            push(queue, 2);
        });
        let consumers = [0, 1].map(|_| go(&queue, pop));
        producer.join().unwrap();
        let mut found: Vec<_> = consumers.map(|consumer| consumer.join().unwrap()).into_iter().flatten().collect();
        found.extend(rest(&queue));
        assert_eq!(sorted(found), [1, 2]);
    }

    /// Two consumers of three items in two segments, one of whom takes several at once; nothing is missed and `None` is right.
    grabs(Some(3), 69) {
        let queue = empty();
        queue.push_all([1, 2, 3].map(Item::new));
        let many = go(&queue, |queue| queue.pop_many(2).iter().map(|item| item.0).collect::<Vec<_>>());
        let one = go(&queue, pop);
        let mut found = many.join().unwrap();
        assert!(!found.is_empty() && found.is_sorted());
        found.push(one.join().unwrap().expect("there are three items"));
        found.extend(rest(&queue));
        assert_eq!(sorted(found), [1, 2, 3]);
    }

    /// A batch with two tickets in one segment, of which the first may be abandoned: the second is retracted.
    retraction(Some(3), 456) {
        let queue = Arc::new(Queue::<Large, Eager>::default());
        queue.push(Large::new(0));
        assert_eq!(queue.pop().map(|item| item.id()), Some(0));
        let producer = go(&queue, |queue| queue.push_all([1, 2, 3].map(Large::new)));
        let consumer = go(&queue, |queue| [0, 1].map(|_| queue.pop().map(|item| item.id())));
        producer.join().unwrap();
        let mut found: Vec<_> = consumer.join().unwrap().into_iter().flatten().collect();
        found.extend(std::iter::from_fn(|| queue.pop()).map(|item| item.id()));
        assert_eq!(found, [1, 2, 3]);
    }

    /// A producer that looks at its slot's verdict a lap late, when the slot's next ticket was given and perhaps challenged: the
    /// verdict is not on its item.
    ///
    /// ```text
    ///   late producer       busy thread              consumer
    ///   FULL(1)
    ///                       pops 1
    ///                       takes tickets 2 and 3,
    ///                       3 in the slot of 1
    ///                                                takes both too: CHALLENGED
    ///   CHALLENGED: not 1
    /// ```
    late_verdict(Some(2), 3000) {
        judged_late(1);
    }

    /// A segment is left, retired and used again while another thread appends.
    reuse(Some(2), 221) {
        let queue = empty();
        queue.push_all([0, 1, 2].map(Item::new));
        assert_eq!([pop(&queue), pop(&queue)], [Some(0), Some(1)]);
        let consumer = go(&queue, |queue| [pop(queue), pop(queue)]);
        let producer = go(&queue, |queue| {
            push(queue, 3);
            push(queue, 4);
        });
        producer.join().unwrap();
        let mut found: Vec<_> = consumer.join().unwrap().into_iter().flatten().collect();
        found.extend(rest(&queue));
        assert_eq!(found, [2, 3, 4]);
    }

    /// A segment that a producer has just appended: one consumer moves on to it, another one is led there by the first.
    leaving(Some(1), 150) {
        let queue = full();
        let producer = go(&queue, |queue| {
            push(queue, 2);
            push(queue, 3);
        });
        let mover = go(&queue, |queue| (0..3).filter_map(|_| pop(queue)).collect::<Vec<_>>());
        let other = go(&queue, pop);
        producer.join().unwrap();
        let mut found = mover.join().unwrap();
        found.extend(other.join().unwrap());
        found.extend(rest(&queue));
        assert_eq!(sorted(found), [0, 1, 2, 3]);
    }

    /// A producer that has appended and not yet moved `tail`, against a consumer that leaves the segment and a second
    /// producer.
    late_tail(Some(3), 2249) {
        let queue = empty();
        queue.push_all([0, 1].map(Item::new));
        assert_eq!([pop(&queue), pop(&queue)], [Some(0), Some(1)]);
        let producer = go(&queue, |queue| push(queue, 2));
        let both = go(&queue, |queue| {
            let first = pop(queue);
            push(queue, 3);
            push(queue, 4);
            push(queue, 5);
            first
        });
        producer.join().unwrap();
        let mut found: Vec<_> = both.join().unwrap().into_iter().collect();
        found.extend(rest(&queue));
        assert_eq!(sorted(found), [2, 3, 4, 5]);
    }

    /// Store buffering: of two threads that push to one queue each and look into the other's, one sees the other's item.
    two_queues(Some(3), 515) {
        let queues = Arc::new([ticket(), ticket()]);
        let threads = [0, 1].map(|mine| go(&queues, move |queues| {
            push(&queues[mine], 1);
            pop(&queues[1 - mine])
        }));
        let found = threads.map(|thread| thread.join().unwrap());
        assert_ne!(found, [None, None]);
    }

    /// The same with queues that have no segment yet.
    two_new_queues(Some(3), 136) {
        let queues = Arc::new([empty(), empty()]);
        let threads = [0, 1].map(|mine| go(&queues, move |queues| {
            push(&queues[mine], 1);
            queues[1 - mine].is_empty()
        }));
        let found = threads.map(|thread| thread.join().unwrap());
        assert_ne!(found, [true, true]);
    }

    /// The same with `is_empty`, which meets a producer that has its ticket and whose value is still on its way:
    ///
    /// ```text
    ///   thread 1                              thread 2
    ///   takes a ticket of queue 1             takes a ticket of queue 2
    ///   FULL into its slot, not out yet       FULL into its slot, not out yet
    ///   queue 2: a ticket given, not FULL     queue 1: a ticket given, not FULL
    ///   "empty"                               "empty"
    /// ```
    two_queues_looked_into(Some(3), 580) {
        let queues = Arc::new([ticket(), ticket()]);
        let threads = [0, 1].map(|mine| go(&queues, move |queues| {
            push(&queues[mine], 1);
            queues[1 - mine].is_empty()
        }));
        let found = threads.map(|thread| thread.join().unwrap());
        assert_ne!(found, [true, true]);
    }

    /// What `is_empty` says there is, the only consumer gets; one's own push is seen.
    looks(Some(3), 536) {
        let queue = ticket();
        let producer = go(&queue, |queue| push(queue, 1));
        let consumer = go(&queue, |queue| {
            let empty = queue.is_empty();
            assert!(queue.len() <= 1);
            let found = pop(queue);
            assert!(empty || found == Some(1));
            found
        });
        producer.join().unwrap();
        let mut found: Vec<_> = consumer.join().unwrap().into_iter().collect();
        found.extend(rest(&queue));
        assert_eq!(found, [1]);
    }

    /// A queue into which one pushes before one pops is never empty, over a change of segments.
    never_empty(Some(3), 177) {
        let queue = full();
        let mover = go(&queue, |queue| {
            push(queue, 2);
            assert_eq!(pop(queue), Some(0));
        });
        let watcher = go(&queue, |queue| {
            assert!(!queue.is_empty());
            assert!(queue.len() <= 3);
        });
        mover.join().unwrap();
        watcher.join().unwrap();
        assert_eq!(rest(&queue), [1, 2]);
    }

    /// The same with two turns within a segment of four: who looks twice is passed twice, and finds an item nevertheless.
    never_empty_twice(Some(3), 280) {
        let queue = Arc::new(Queue::<Large, Eager>::default());
        queue.push(Large::new(0));
        let mover = go(&queue, |queue| {
            for id in 1..3 {
                queue.push(Large::new(id));
                assert!(queue.pop().is_some());
            }
        });
        let other = go(&queue, |queue| assert!(queue.pop().is_some()));
        mover.join().unwrap();
        other.join().unwrap();
        assert!(queue.pop().is_none());
    }

    /// The same with `is_empty`.
    never_empty_to_look_at(Some(3), 140) {
        let queue = Arc::new(Queue::<Large, Eager>::default());
        queue.push(Large::new(0));
        let mover = go(&queue, |queue| {
            for id in 1..3 {
                queue.push(Large::new(id));
                assert_eq!(queue.pop().map(|item| item.id()), Some(id - 1));
            }
        });
        let watcher = go(&queue, |queue| assert!(!queue.is_empty()));
        mover.join().unwrap();
        watcher.join().unwrap();
        assert_eq!(queue.pop().map(|item| item.id()), Some(2));
    }

    /// Whoever counts first meets a queue that has its first segment just now.
    first_push_and_len(Some(3), 80) {
        let queue = empty();
        let producer = go(&queue, |queue| push(queue, 1));
        let watcher = go(&queue, |queue| assert!(queue.len() <= 1));
        producer.join().unwrap();
        watcher.join().unwrap();
        assert_eq!(rest(&queue), [1]);
    }

    /// Causality over pops: who sees the second item taken does not find the queue empty of what was pushed before.
    causality(Some(2), 125) {
        let (queue, other) = (ticket(), ticket());
        let queues = Arc::new([queue, other]);
        let producer = go(&queues, |queues| {
            push(&queues[0], 1);
            push(&queues[1], 2);
        });
        let consumer = go(&queues, |queues| {
            let second = pop(&queues[1]);
            (second, pop(&queues[0]))
        });
        producer.join().unwrap();
        let found = consumer.join().unwrap();
        assert!(matches!(found, (None, _) | (Some(2), Some(1))), "{found:?}");
    }

    /// Pops are ordered: who gets the second item comes after what the popper of the first did before that.
    pops_are_ordered(Some(3), 60) {
        let queue = empty();
        queue.push_all([1, 2].map(Item::new));
        let flag = Arc::new(AtomicUsize::new(0));
        let (raised, seen) = (flag.clone(), flag);
        let first = go(&queue, move |queue| {
            raised.store(1, Ordering::Relaxed);
            pop(queue)
        });
        let second = go(&queue, move |queue| {
            let found = pop(queue);
            assert!(found != Some(2) || seen.load(Ordering::Relaxed) == 1);
            found
        });
        let found = [first.join().unwrap(), second.join().unwrap()];
        assert_eq!(sorted(found.into_iter().flatten().collect()), [1, 2]);
    }

    /// Who finds a taken ticket knows what the taker knew: a third thread that meets an emptied queue must see what its
    /// popper did before.
    causality_of_taking(Some(2), 22) {
        let queues = Arc::new([ticket(), ticket()]);
        push(&queues[0], 1);
        let mover = go(&queues, |queues| {
            push(&queues[1], 2);
            assert_eq!(pop(&queues[0]), Some(1));
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
}

deep_models! {
    /// As `late_verdict`, with a consumer that pops twice: where it pops 2, its first challenge is of 3, and what the late
    /// producer knows of its segment it knows by that challenge alone.
    late_first_verdict(Some(2), 8000) {
        judged_late(2);
    }
}

owned_models! {
    first_pushes(Some(1), 1)
    pushes_at_segment_end(Some(1), 1)
    first_push_and_pop(Some(1), 1)
    abandonment(Some(1), 1)
    abandonment_of_two(Some(1), 1)
    order(Some(1), 1)
    two_consumers(Some(1), 1)
    grabs(Some(1), 1)
    retraction(Some(1), 1)
    late_verdict(Some(1), 1)
    reuse(Some(1), 1)
    leaving(Some(1), 1)
    late_tail(Some(1), 1)
    two_queues(Some(1), 1)
    two_new_queues(Some(1), 1)
    two_queues_looked_into(Some(1), 1)
    looks(Some(1), 1)
    never_empty(Some(1), 1)
    never_empty_twice(Some(1), 1)
    never_empty_to_look_at(Some(1), 1)
    first_push_and_len(Some(1), 1)
    causality(Some(1), 1)
    pops_are_ordered(Some(1), 1)
    causality_of_taking(Some(1), 1)
}
