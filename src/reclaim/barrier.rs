//! Asymmetric barriers: a light side that costs nothing and a heavy side that pays for both.
//!
//! A thread that announces something with a plain store and then reads shared memory needs a store-load barrier,
//! the one kind that even x86 does not give for free. If somebody else looks for the announcement, and does so
//! rarely, the one who looks can pay: Linux's `membarrier` makes every running thread of the process execute a
//! full barrier ([`membarrier(2)`](https://man7.org/linux/man-pages/man2/membarrier.2.html)). The light side is
//! then only a promise that the compiler keeps the order.
//!
//! ```text
//!   light side              heavy side
//!   store  announcement     store  what the other must see
//!   light()                 heavy()
//!   load   what may be      load   the announcement
//! ```
//! At least one of the two loads sees the other's store. Light against light orders nothing.
//!
//! Which barriers are in force is decided once for the process and never changes: a reader that relied on
//! somebody else's heavy barrier cannot be told later. Where `membarrier` is missing (another system, an old
//! kernel, a seccomp filter, Miri) both sides are `fence(SeqCst)`. If a heavy barrier fails after it was chosen,
//! [`heavy`] says so for ever after: nothing is reclaimed and no slot is abandoned from then on.
//!
//! Formally a compiler fence is not an inter-thread barrier in the language's memory model; what `membarrier`
//! promises is outside of it. folly, liburcu and the JVM rest on the same argument.

use crate::sync::fence;
#[cfg(not(latchfree_loom))]
use crate::sync::{Ordering, ProcessByte, compiler_fence};
#[cfg(latchfree_loom)]
use crate::sync::{Ordering, model, mutant};

/// How a thread's announcements are ordered against the threads that look for them.
///
/// # Examples
///
/// ```
/// use latchfree::reclaim::{Barrier, barrier};
///
/// match barrier() {
///     Barrier::Membarrier => println!("a guard costs a plain store"),
///     Barrier::Fence => println!("a guard costs a fence"),
///     Barrier::Broken => panic!("membarrier was taken away: memory is not freed any more"),
///     _ => {}
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Barrier {
    /// The announcing thread pays nothing; the one that looks issues a `membarrier` system call.
    Membarrier,
    /// Both sides issue a sequentially consistent fence.
    Fence,
    /// `membarrier` was in force and the system has refused it since: nothing is reclaimed any more, and a consumer waits
    /// for a stalled producer instead of passing over its slot. Cannot be chosen.
    Broken,
}

/// Another kind of barriers is in force than the one that was asked for.
///
/// # Examples
///
/// ```
/// use latchfree::reclaim::{Barrier, BarrierChosen, barrier, choose_barrier};
///
/// match choose_barrier(Barrier::Fence) {
///     Ok(()) => assert_eq!(barrier(), Barrier::Fence),
///     Err(BarrierChosen(other)) => assert_eq!(barrier(), other), // something used them before
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierChosen(
    /// What is in force.
    pub Barrier,
);

impl core::fmt::Display for BarrierChosen {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "choose_barrier: {:?} is in force", self.0)
    }
}

impl core::error::Error for BarrierChosen {}

#[cfg(not(latchfree_loom))]
mod choice {
    pub(super) const UNDECIDED: u8 = 0;
    pub(super) const MEMBARRIER: u8 = 1;
    pub(super) const FENCE: u8 = 2;
    /// `membarrier` was chosen and failed later.
    pub(super) const BROKEN: u8 = 3;
}

#[cfg(not(latchfree_loom))]
static CHOICE: ProcessByte = ProcessByte::new(choice::UNDECIDED);

/// The barriers in force, decided now if they were not before.
///
/// # Examples
///
/// ```
/// println!("guards are entered with {:?}", latchfree::reclaim::barrier());
/// ```
#[must_use]
pub fn barrier() -> Barrier {
    if !is_asymmetric() {
        return Barrier::Fence;
    }
    #[cfg(not(latchfree_loom))]
    // Relaxed: once broken it stays so.
    if CHOICE.load(Ordering::Relaxed) == choice::BROKEN {
        return Barrier::Broken;
    }
    Barrier::Membarrier
}

/// Chooses the barriers before their first use: for a sandbox whose filter kills a process that tries
/// `membarrier`, for an emulator that accepts the call and does nothing, or to test both.
///
/// Choosing [`Barrier::Membarrier`] where the system lacks it puts [`Barrier::Fence`] in force.
///
/// # Errors
///
/// If the wanted kind is not in force after this call; the error says which is.
///
/// # Examples
///
/// ```standalone_crate
/// use latchfree::reclaim::{Barrier, barrier, choose_barrier};
///
/// choose_barrier(Barrier::Fence)?;
/// assert_eq!(barrier(), Barrier::Fence);
/// assert!(choose_barrier(Barrier::Membarrier).is_err());
/// # Ok::<(), latchfree::reclaim::BarrierChosen>(())
/// ```
pub fn choose_barrier(wanted: Barrier) -> Result<(), BarrierChosen> {
    #[cfg(not(latchfree_loom))]
    decide(wanted);
    let chosen = barrier();
    if chosen == wanted { Ok(()) } else { Err(BarrierChosen(chosen)) }
}

/// True while the light side is free and the heavy side pays.
#[inline]
pub(crate) fn is_asymmetric() -> bool {
    #[cfg(latchfree_loom)]
    return model::asymmetric();
    #[cfg(not(latchfree_loom))]
    {
        // Relaxed: the byte says which instructions to use and publishes nothing else; it is decided once.
        let chosen = CHOICE.load(Ordering::Relaxed);
        // In this order, so that the common case takes one comparison.
        chosen == choice::MEMBARRIER
            || (chosen != choice::FENCE && decide(Barrier::Membarrier) != choice::FENCE)
    }
}

/// The light side: orders the caller's earlier stores before its later loads, as seen by a heavy side.
#[inline(always)]
#[cfg_attr(latchfree_loom, track_caller)]
pub(crate) fn light(asymmetric: bool) {
    #[cfg(latchfree_loom)]
    if mutant::removes() {
        return;
    }
    if asymmetric {
        // SeqCst: the compiler moves nothing over it; what the processor does is the heavy side's business.
        #[cfg(not(latchfree_loom))]
        compiler_fence(Ordering::SeqCst);
        #[cfg(latchfree_loom)]
        model::light();
    } else {
        // SeqCst: joins the total order of the fences in `heavy`. If this one is first, the other side's loads see
        // our store; if the other is, our loads see its stores.
        fence(Ordering::SeqCst);
    }
}

/// The heavy side. False if the system refused: then nothing may be concluded from what is loaded next.
#[cold]
#[must_use]
#[cfg_attr(latchfree_loom, track_caller)]
pub(crate) fn heavy() -> bool {
    #[cfg(latchfree_loom)]
    if mutant::removes() {
        return true;
    }
    // SeqCst: the pair of the fence in `light`; with `membarrier` it also keeps the compiler from moving accesses
    // over the system call.
    fence(Ordering::SeqCst);
    #[cfg(latchfree_loom)]
    if model::asymmetric() {
        model::heavy();
    }
    #[cfg(not(latchfree_loom))]
    if is_asymmetric() {
        // Relaxed: once broken it stays so; a stale value only costs another failing call.
        if CHOICE.load(Ordering::Relaxed) == choice::BROKEN {
            return false;
        }
        if !system::membarrier() {
            // Relaxed: as above.
            CHOICE.store(choice::BROKEN, Ordering::Relaxed);
            return false;
        }
    }
    // SeqCst: as above, for what is loaded after the call.
    fence(Ordering::SeqCst);
    true
}

/// Decides once: whoever exchanges first wins, and nobody waits for a racer.
#[cfg(not(latchfree_loom))]
#[cold]
fn decide(wanted: Barrier) -> u8 {
    // Relaxed: as below.
    let found = CHOICE.load(Ordering::Relaxed);
    if found != choice::UNDECIDED {
        return found;
    }
    let mine = match wanted {
        Barrier::Membarrier if system::register() => choice::MEMBARRIER,
        _ => choice::FENCE,
    };
    // Relaxed: the registration is a state of the process, made by the kernel before it returned. Losing means
    // that another thread decided, which we obey.
    match CHOICE.compare_exchange(choice::UNDECIDED, mine, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => mine,
        Err(theirs) => theirs,
    }
}

#[cfg(all(target_os = "linux", not(any(miri, latchfree_loom, latchfree_stall))))]
mod system {
    const PRIVATE_EXPEDITED: libc::c_long = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: libc::c_long = 1 << 4;

    /// Announces to the kernel that this process will use `membarrier`; survives fork.
    pub(super) fn register() -> bool {
        call(REGISTER_PRIVATE_EXPEDITED)
    }

    /// A full barrier on every running thread of the process.
    pub(super) fn membarrier() -> bool {
        call(PRIVATE_EXPEDITED)
    }

    fn call(command: libc::c_long) -> bool {
        // SAFETY: `membarrier` takes three integers, touches no memory of ours and fails with an error code.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0 as libc::c_long, 0 as libc::c_long) == 0 }
    }
}

/// Shuttle is sequentially consistent, so both modes can be explored there without a system call.
#[cfg(latchfree_stall)]
mod system {
    pub(super) fn register() -> bool {
        true
    }
    pub(super) fn membarrier() -> bool {
        true
    }
}

#[cfg(all(not(latchfree_loom), not(latchfree_stall), any(not(target_os = "linux"), miri)))]
mod system {
    pub(super) fn register() -> bool {
        false
    }
    pub(super) fn membarrier() -> bool {
        false
    }
}
