//! The memory of a script: counted, limited, and known to have been used up.

#![expect(
    unsafe_code,
    reason = "the engine's allocator is an unsafe trait; every pointer is one of `RustAllocator`, handed through"
)]

use std::cell::Cell;
use std::ptr;
use std::rc::Rc;

use rquickjs::allocator::{Allocator, RustAllocator};

/// A request of at most so many bytes that is refused means that the memory is used up, whatever the script
/// makes of it. A larger one may be a try that the script handles.
const SMALL: usize = 4 << 20;

/// Allocates for one engine, up to a limit.
///
/// `QuickJS` has a limit of its own, but ignores in places that it was reached: a promise whose next job
/// finds no memory is forgotten, and the script seems to have ended well.
pub(super) struct Memory {
    limit: usize,
    used: usize,
    used_up: Rc<Cell<bool>>,
}

impl Memory {
    /// Of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: 0,
            used_up: Rc::default(),
        }
    }

    /// Says whether something small found no room any more.
    pub(super) fn used_up(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.used_up)
    }

    /// Whether `size` bytes more fit.
    fn admits(&self, size: usize) -> bool {
        let fits = size <= self.limit.saturating_sub(self.used);
        if !fits && size <= SMALL.min(self.limit / 16) {
            self.used_up.set(true);
        }
        fits
    }

    /// Counts what `RustAllocator` has just handed out: nothing where `pointer` is null.
    fn counted(&mut self, pointer: *mut u8) -> *mut u8 {
        if !pointer.is_null() {
            // SAFETY: the pointer is one of `RustAllocator`.
            let size = unsafe { RustAllocator::usable_size(pointer) };
            self.used = self.used.saturating_add(size);
        }
        pointer
    }
}

// SAFETY: what is handed out comes from `RustAllocator`, which keeps the contract, or is null.
unsafe impl Allocator for Memory {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        if !self.admits(size) {
            return ptr::null_mut();
        }
        let pointer = RustAllocator.alloc(size);
        self.counted(pointer)
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        if !self.admits(count.saturating_mul(size)) {
            return ptr::null_mut();
        }
        let pointer = RustAllocator.calloc(count, size);
        self.counted(pointer)
    }

    unsafe fn dealloc(&mut self, pointer: *mut u8) {
        // SAFETY: the caller's promise is the same.
        unsafe {
            self.used = self.used.saturating_sub(Self::usable_size(pointer));
            RustAllocator.dealloc(pointer);
        }
    }

    unsafe fn realloc(&mut self, pointer: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise is the same.
        let before = unsafe { Self::usable_size(pointer) };
        if !self.admits(size.saturating_sub(before)) {
            return ptr::null_mut();
        }
        // SAFETY: the caller's promise is the same.
        let moved = unsafe { RustAllocator.realloc(pointer, size) };
        if !moved.is_null() {
            self.used = self.used.saturating_sub(before);
        }
        self.counted(moved)
    }

    unsafe fn usable_size(pointer: *mut u8) -> usize {
        // SAFETY: the caller's promise is the same.
        unsafe { RustAllocator::usable_size(pointer) }
    }
}
