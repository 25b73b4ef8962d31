//! Deliberate faults for the `mutants` tool; exists in the loom build only.
//!
//! One ordering weakened, or one barrier or re-check removed, at the place that `LATCHFREE_MUTANT` names as
//! `file:line:column:change`. The change is an ordering (of the access, of a successful exchange), `failure` (the
//! ordering of a failing exchange becomes Relaxed) or `removed`. With `LATCHFREE_PLACES` set nothing is changed, and each place is
//! printed when it is first met, so that the tool knows which models come where.

use std::collections::HashSet;
use std::io::Write;
use std::panic::Location;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::Ordering;

struct Mutant {
    file: String,
    line: u32,
    column: u32,
    change: String,
}

static PLACES: LazyLock<Option<Mutex<HashSet<&'static Location<'static>>>>> =
    LazyLock::new(|| std::env::var_os("LATCHFREE_PLACES").map(|_| Mutex::default()));

static MUTANT: LazyLock<Option<Mutant>> = LazyLock::new(|| {
    let text = std::env::var("LATCHFREE_MUTANT").ok()?;
    let parts: Vec<_> = text.splitn(4, ':').collect();
    let [file, line, column, change] = parts[..] else { panic!("LATCHFREE_MUTANT: {text}") };
    Some(Mutant {
        file: file.into(),
        line: line.parse().expect("LATCHFREE_MUTANT: line"),
        column: column.parse().expect("LATCHFREE_MUTANT: column"),
        change: change.into(),
    })
});

/// Whether there is a fault.
pub(super) fn is_chosen() -> bool {
    MUTANT.is_some()
}

/// The change to make here, if this is the place.
#[track_caller]
fn here() -> Option<&'static str> {
    let caller = Location::caller();
    if let Some(places) = &*PLACES
        && places.lock().unwrap_or_else(PoisonError::into_inner).insert(caller)
    {
        // Past the capture of test output.
        let _ = writeln!(std::io::stderr(), "PLACE {}:{}:{}", caller.file(), caller.line(), caller.column());
    }
    let mutant = MUTANT.as_ref()?;
    let here = caller.line() == mutant.line
        && caller.column() == mutant.column
        && caller.file().ends_with(&mutant.file);
    here.then_some(&mutant.change)
}

#[track_caller]
pub(crate) fn weaken(order: Ordering) -> Ordering {
    match here() {
        Some("Relaxed") => Ordering::Relaxed,
        Some("Acquire") => Ordering::Acquire,
        Some("Release") => Ordering::Release,
        Some("AcqRel") => Ordering::AcqRel,
        _ => order,
    }
}

#[track_caller]
pub(crate) fn weaken_failure(order: Ordering) -> Ordering {
    if here() == Some("failure") { Ordering::Relaxed } else { order }
}

#[track_caller]
pub(crate) fn removes() -> bool {
    here() == Some("removed")
}
