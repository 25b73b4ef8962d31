//! The mailbox's own source, over the library and the atomics of loom.

mod world {
    pub(crate) use latchfree_loom::Queue;
    pub(crate) use loom::sync::atomic::{AtomicBool, Ordering};
}

#[path = "../src/mailbox.rs"]
mod mailbox;

use std::sync::Arc;

use latchfree_loom::model::{Barriers, check};
use loom::thread::spawn;

use self::mailbox::Mailbox;

fn last_letter() {
    let mailbox = Arc::new(Mailbox::default());
    // The model's main thread keeps it, and drops it when the others have ended.
    let (sender, receiver) = (mailbox.clone(), mailbox.clone());
    let sender = spawn(move || {
        sender.send(1);
        sender.close();
    });
    let receiver = spawn(move || assert_ne!(receiver.receive(), Err(true), "closed, and a letter is left"));
    sender.join().unwrap();
    receiver.join().unwrap();
}

#[test]
fn last_letter_with_fences() {
    check(Barriers::Fence, Some(2), 10, last_letter);
}

#[test]
fn last_letter_with_asymmetric_barriers() {
    check(Barriers::Asymmetric, Some(2), 10, last_letter);
}
