//! The heap of one test, counted: what a thread has allocated and not given back.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    /// Bytes that are alive, and the most there ever were since [`begin`].
    static LIVE: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// The system's allocator, with a count for each thread: tests that run beside this one do not
/// disturb it, as the machines under test never leave their thread.
pub(crate) struct Counting;

#[global_allocator]
static HEAP: Counting = Counting;

/// Bytes that this thread holds now; only differences mean something.
pub(crate) fn live() -> isize {
    LIVE.with(|live| live.get().0)
}

/// Forgets the peak.
pub(crate) fn begin() {
    LIVE.with(|live| live.set((live.get().0, live.get().0)));
}

/// The most bytes that this thread held since [`begin`].
pub(crate) fn peak() -> isize {
    LIVE.with(|live| live.get().1)
}

fn count(change: isize) {
    // A thread that is ending has lost its count.
    let _ = LIVE.try_with(|live| {
        let (now, peak) = live.get();
        live.set((now + change, peak.max(now + change)));
    });
}

#[expect(unsafe_code, reason = "an allocator cannot be written otherwise")]
// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[test]
fn what_is_allocated_is_counted() {
    begin();
    let before = live();
    let bytes = vec![0u8; 100_000];
    assert!(live() - before >= 100_000);
    drop(bytes);
    assert!(live() - before < 1_000);
    assert!(peak() - before >= 100_000);
}
