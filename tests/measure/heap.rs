//! The heap of one thread, counted: what it has allocated, and not given back.

#![allow(
    dead_code,
    reason = "a test wants the peak, a benchmark the number of allocations"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static COUNT: Cell<Count> = const { Cell::new(Count::NONE) };
}

/// What a thread did since it began; the peak since [`begin`].
#[derive(Clone, Copy)]
struct Count {
    live: isize,
    peak: isize,
    allocations: usize,
    bytes: usize,
}

/// What was asked of the allocator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    /// How often: allocations, and allocations that grew or shrank.
    pub(crate) allocations: usize,
    /// How many bytes in sum, whether given back or not.
    pub(crate) bytes: usize,
}

/// The system's allocator, with a count for each thread: tests that run beside this one do not
/// disturb it, as the machines under test never leave their thread.
pub(crate) struct Counting;

#[global_allocator]
static HEAP: Counting = Counting;

/// Bytes that this thread holds now; only differences mean something.
pub(crate) fn live() -> isize {
    COUNT.get().live
}

/// Forgets the peak.
pub(crate) fn begin() {
    let count = COUNT.get();
    COUNT.set(Count {
        peak: count.live,
        ..count
    });
}

/// The most bytes that this thread held since [`begin`].
pub(crate) fn peak() -> isize {
    COUNT.get().peak
}

/// What the allocator was asked while `work` ran on this thread.
pub(crate) fn spent(work: impl FnOnce()) -> Spent {
    let before = COUNT.get();
    work();
    let after = COUNT.get();
    Spent {
        allocations: after.allocations - before.allocations,
        bytes: after.bytes - before.bytes,
    }
}

fn count(taken: usize, given_back: usize) {
    // A thread that is ending has lost its count.
    let _ = COUNT.try_with(|cell| {
        let count = cell.get();
        let live = count.live + taken as isize - given_back as isize;
        cell.set(Count {
            live,
            peak: count.peak.max(live),
            allocations: count.allocations + usize::from(taken > 0),
            bytes: count.bytes + taken,
        });
    });
}

#[expect(unsafe_code, reason = "an allocator cannot be written otherwise")]
// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

impl Count {
    const NONE: Self = Self {
        live: 0,
        peak: 0,
        allocations: 0,
        bytes: 0,
    };
}

#[test]
fn what_is_allocated_is_counted() {
    begin();
    let before = live();
    let mut bytes = Vec::new();
    let spent = spent(|| bytes = vec![0u8; 100_000]);
    assert_eq!((spent.allocations, spent.bytes), (1, 100_000));
    assert!(live() - before >= 100_000);
    drop(bytes);
    assert!(live() - before < 1_000);
    assert!(peak() - before >= 100_000);
}
