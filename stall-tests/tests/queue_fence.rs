//! A stopped thread stops nobody, with `Barrier::Fence`: the choice is the process's, so each has a binary of its own.

#[path = "common/freeze.rs"]
mod freeze;
#[path = "common/ledger.rs"]
mod ledger;
#[path = "common/operations.rs"]
mod operations;

const BARRIER: latchfree_stall::reclaim::Barrier = latchfree_stall::reclaim::Barrier::Fence;
