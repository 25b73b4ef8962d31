//! Models of the counter that gives out tickets: each is given once, whoever owns the counter.

mod common;

use std::sync::Arc;

use common::go;
use latchfree_loom::__private::{Ticket, Tickets};
use latchfree_loom::model::{Barriers, adopt};
use loom::sync::atomic::{self, AtomicUsize, Ordering};

/// A mark, of which no ticket has any.
const MARK: Ticket = 1;
const STEP: Ticket = 2;

/// Takes a ticket, or none if there is a mark.
fn take(tickets: &Tickets) -> Option<Ticket> {
    loop {
        let turn = tickets.read();
        if turn.ticket & MARK != 0 {
            return None;
        }
        if tickets.take(turn, turn.ticket + STEP) {
            return Some(turn.ticket / STEP);
        }
    }
}

/// A counter of which the calling thread has taken ticket 0, and which it owns where there are owners.
fn owned() -> Arc<Tickets> {
    adopt();
    let tickets = Arc::new(Tickets::new(0));
    assert_eq!(take(&tickets), Some(0));
    tickets
}

/// Each ticket from 0 on was taken once, and the counter stands behind them.
fn complete(tickets: &mut Arc<Tickets>, mut taken: Vec<Ticket>) {
    taken.sort_unstable();
    let count = taken.len() as Ticket;
    assert_eq!(taken, (0..count).collect::<Vec<_>>());
    assert_eq!(tickets.read().ticket, count * STEP);
    let tickets = Arc::get_mut(tickets).expect("all threads have ended");
    tickets.with_mut(|ticket| assert_eq!(*ticket, count * STEP));
}

models! {
    /// An owner's claims against a stranger's, who becomes the owner, against which the first one is a stranger.
    owner_and_stranger(Some(3), 50) {
        let mut tickets = owned();
        let stranger = go(&tickets, |tickets| [take(tickets), take(tickets)]);
        let mut taken = vec![0];
        taken.extend([take(&tickets), take(&tickets)].into_iter().flatten());
        taken.extend(stranger.join().unwrap().into_iter().flatten());
        complete(&mut tickets, taken);
    }

    /// Two strangers that want it back at once: the owner's claim is in the end that both go by.
    two_strangers(Some(2), 100) {
        let mut tickets = owned();
        let strangers = [0, 1].map(|_| go(&tickets, take));
        let mut taken = vec![0];
        taken.extend(take(&tickets));
        taken.extend(strangers.into_iter().flat_map(|stranger| stranger.join().unwrap()));
        complete(&mut tickets, taken);
    }

    /// The same, of whom one takes another ticket, so that it may own the counter before the old owner is back.
    owner_comes_late(Some(2), 150) {
        let mut tickets = owned();
        let busy = go(&tickets, |tickets| [take(tickets), take(tickets), take(tickets)]);
        let other = go(&tickets, take);
        let mut taken = vec![0];
        taken.extend(take(&tickets));
        taken.extend(busy.join().unwrap().into_iter().flatten());
        taken.extend(other.join().unwrap());
        complete(&mut tickets, taken);
    }

    /// A counter that nobody has ever owned, and three who would like to.
    adoptions(Some(2), 40) {
        adopt();
        let mut tickets = Arc::new(Tickets::new(0));
        let others = [0, 1].map(|_| go(&tickets, take));
        let mut taken: Vec<_> = [take(&tickets), take(&tickets)].into_iter().flatten().collect();
        taken.extend(others.into_iter().flat_map(|other| other.join().unwrap()));
        complete(&mut tickets, taken);
    }

    /// Who looks sees only claims that hold: what comes next is not before it.
    looks(Some(2), 50) {
        let mut tickets = owned();
        let looker = go(&tickets, |tickets| {
            let first = tickets.read().ticket / STEP;
            let second = tickets.read().ticket / STEP;
            assert!((1..=second).contains(&first));
            second
        });
        let stranger = go(&tickets, take);
        let mut taken = vec![0];
        taken.extend(take(&tickets));
        let seen = looker.join().unwrap();
        taken.extend(stranger.join().unwrap());
        assert!(seen <= taken.len() as Ticket, "a claim was seen that did not hold");
        complete(&mut tickets, taken);
    }

    /// The same where the looker itself takes the next.
    looks_and_takes(Some(3), 40) {
        let mut tickets = owned();
        let looker = go(&tickets, |tickets| {
            let seen = tickets.read().ticket / STEP;
            let ticket = take(tickets);
            assert!(ticket.is_some_and(|ticket| ticket >= seen));
            ticket
        });
        let mut taken = vec![0];
        taken.extend([take(&tickets), take(&tickets)].into_iter().flatten());
        taken.extend(looker.join().unwrap());
        complete(&mut tickets, taken);
    }

    /// A stranger closes it: the tickets end where its mark is.
    marked(Some(3), 25) {
        let tickets = owned();
        let stranger = go(&tickets, |tickets| {
            tickets.mark(MARK);
            tickets.read().ticket
        });
        let mut taken = 1;
        while taken < 3 && take(&tickets).is_some() {
            taken += 1;
        }
        let end = stranger.join().unwrap();
        assert_eq!((end, tickets.read().ticket), ((taken * STEP) | MARK, end));
    }

    /// Its owner closes it, while a stranger would like a ticket.
    closed(Some(3), 7) {
        let tickets = owned();
        let stranger = go(&tickets, take);
        let closed = loop {
            let turn = tickets.read();
            if tickets.close(turn, MARK) {
                break turn.ticket / STEP;
            }
        };
        let taken = 1 + stranger.join().unwrap().iter().count() as Ticket;
        assert_eq!(closed, taken);
        assert_eq!(tickets.read().ticket, (taken * STEP) | MARK);
        assert_eq!(take(&tickets), None);
    }

    /// Who takes a later ticket, or sees that one was taken, sees what its taker saw before.
    causality(Some(3), 6) {
        let tickets = owned();
        let flag = Arc::new(AtomicUsize::new(0));
        let seen = flag.clone();
        let stranger = go(&tickets, move |tickets| {
            if tickets.read().ticket > STEP {
                assert_eq!(seen.load(Ordering::Relaxed), 1);
            }
            if take(tickets) == Some(2) {
                assert_eq!(seen.load(Ordering::Relaxed), 1);
            }
        });
        flag.store(1, Ordering::Relaxed);
        take(&tickets);
        stranger.join().unwrap();
    }

    /// The same with an end that somebody else decided.
    causality_of_an_end(Some(2), 200) {
        let tickets = owned();
        let flag = Arc::new(AtomicUsize::new(0));
        let strangers = [0, 1].map(|_| {
            let seen = flag.clone();
            go(&tickets, move |tickets| {
                let seen_before = tickets.read().ticket > STEP;
                let first = take(tickets);
                // 1 is the owner's unless a stranger has it: then nothing follows for who has 2.
                (seen_before, first, seen.load(Ordering::Relaxed))
            })
        });
        flag.store(1, Ordering::Relaxed);
        let mine = take(&tickets).expect("there is no mark");
        for stranger in strangers {
            let (_, ticket, seen) = stranger.join().unwrap();
            assert!(ticket < Some(mine) || seen == 1);
        }
    }

    /// The same with the end that the owner made by closing it.
    causality_of_closing(Some(3), 5) {
        let tickets = owned();
        let flag = Arc::new(AtomicUsize::new(0));
        let seen = flag.clone();
        let stranger = go(&tickets, move |tickets| {
            if tickets.read().ticket & MARK != 0 {
                assert_eq!(seen.load(Ordering::Relaxed), 1);
            }
        });
        flag.store(1, Ordering::Relaxed);
        let turn = tickets.read();
        assert!(tickets.close(turn, MARK));
        stranger.join().unwrap();
    }

    /// The same with a bias that began after the looker saw the one before, where a stranger's ticket is between the two.
    causality_of_a_later_bias(Some(2), 50) {
        let tickets = owned();
        let flag = Arc::new(AtomicUsize::new(0));
        let (raised, seen) = (flag.clone(), flag);
        let stranger = go(&tickets, move |tickets| {
            raised.store(1, Ordering::Relaxed);
            take(tickets)
        });
        let looker = go(&tickets, move |tickets| {
            let ticket = tickets.read().ticket / STEP;
            (ticket, seen.load(Ordering::Relaxed))
        });
        take(&tickets);
        let theirs = stranger.join().unwrap().expect("there is no mark");
        let (ticket, seen) = looker.join().unwrap();
        assert!(ticket <= theirs || seen == 1);
    }

    /// Store buffering: of two owners that claim and look at the other's counter, one sees the other's claim.
    two_counters(Some(3), 70) {
        adopt();
        let both = Arc::new([Tickets::new(0), Tickets::new(0)]);
        let threads = [0, 1].map(|mine| go(&both, move |both| {
            take(&both[mine]);
            take(&both[mine]);
            atomic::fence(Ordering::SeqCst);
            both[1 - mine].read().ticket
        }));
        let seen = threads.map(|thread| thread.join().unwrap());
        assert!(seen.contains(&(2 * STEP)), "{seen:?}");
    }

    /// Who adopts the next counter sees what the takers of its tickets saw.
    causality_of_following(Some(3), 5) {
        let tickets = owned();
        let next = Arc::new(Tickets::new(0));
        let flag = Arc::new(AtomicUsize::new(0));
        let raised = flag.clone();
        let other = go(&next, move |next| {
            raised.store(1, Ordering::Relaxed);
            let turn = next.read();
            turn.ticket == 0 && next.take(turn, STEP)
        });
        next.follow(&tickets);
        let mine = take(&next);
        assert!(mine != Some(1) || flag.load(Ordering::Relaxed) == 1);
        other.join().unwrap();
    }

    /// A counter goes on where its owner closed another.
    follows(Some(2), 7) {
        let tickets = owned();
        let turn = tickets.read();
        assert!(tickets.close(turn, MARK));
        let mut next = Arc::new(Tickets::new(0));
        next.follow(&tickets);
        let stranger = go(&next, take);
        let mut taken: Vec<_> = take(&next).into_iter().collect();
        taken.extend(stranger.join().unwrap());
        complete(&mut next, taken);
    }
}

/// With asymmetric barriers there are owners in these models, and with fences there are none.
#[test]
fn there_are_owners() {
    for barriers in [Barriers::Asymmetric, Barriers::Fence] {
        latchfree_loom::model::check(barriers, None, 1, move || {
            let tickets = owned();
            assert_eq!(tickets.is_owned(), barriers == Barriers::Asymmetric);
            let stranger = go(&tickets, |tickets| {
                take(tickets);
                tickets.is_owned()
            });
            // The old owner is not back yet.
            assert!(!stranger.join().unwrap());
            take(&tickets);
            assert_eq!(tickets.is_owned(), barriers == Barriers::Asymmetric);
        });
    }
}
