//! What a dependent does with each structure, with whichever features it chose.

use latchfree::Queue;
use latchfree::reclaim::Participant;

static JOBS: Queue<u32> = Queue::new();

fn main() {
    let participant: Participant = Participant::register();
    JOBS.push_all(0..1000);
    JOBS.push_with(1000, &participant.pin());
    let sum: u32 = std::iter::from_fn(|| JOBS.pop_with(&participant.pin())).sum();
    assert_eq!(sum, 500_500);
    println!("ok");
}
