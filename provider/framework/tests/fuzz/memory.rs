//! How much memory a piece of work takes at most, counted at the allocator.

#![allow(unsafe_code)] // An allocator cannot be wrapped without.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

/// What `work` returns, and the most bytes that this thread had allocated during
/// it beyond what it had before.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let made = work();
    (made, PEAK.get().saturating_sub(before))
}

/// The system's allocator, with a count for each thread. A thread that frees what
/// another allocated stops at zero.
struct Counting;

impl Counting {
    fn add(bytes: usize) {
        let live = LIVE.get().saturating_add(bytes);
        LIVE.set(live);
        PEAK.set(PEAK.get().max(live));
    }

    fn remove(bytes: usize) {
        LIVE.set(LIVE.get().saturating_sub(bytes));
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::add(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::remove(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new exist side by side while it moves.
        Self::add(size);
        let moved = unsafe { System.realloc(pointer, layout, size) };
        Self::remove(layout.size());
        moved
    }
}

#[test]
fn an_allocation_is_counted_while_it_lasts() {
    let (length, peak) = peak_of(|| {
        drop(vec![0_u8; 1 << 20]);
        vec![0_u8; 1 << 10].len()
    });
    assert_eq!((length, peak), (1 << 10, 1 << 20));
}
