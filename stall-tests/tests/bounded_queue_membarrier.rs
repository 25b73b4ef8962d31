//! A stopped thread stops nobody, with `Barrier::Membarrier`: the choice is the process's, so each has a binary of its own.

#[path = "common/bounded.rs"]
mod bounded;
#[path = "common/freeze.rs"]
mod freeze;
#[path = "common/ledger.rs"]
mod ledger;

const BARRIER: latchfree_stall::reclaim::Barrier = latchfree_stall::reclaim::Barrier::Membarrier;
