//! Where a child leaves its result: memory shared with the driver. A library cannot close it as it can a pipe, and
//! reporting takes no system call.
//!
//! Who can write to it, and when:
//!
//! - Every library gets memory of its own that no other library had before or gets afterwards. Whatever a library
//!   leaves running, in whatever way it was started, can reach no result but that library's.
//! - Of the driver's children only the library's own inherits it, and that one's children do not (`MADV_DONTFORK`). So
//!   a daemon cannot even spoil the result it came from.
//! - Left are those that share the memory of the library's own process: its threads, and what it made with `CLONE_VM`,
//!   which may live on while the driver reads. So there is never a plain reference to this memory. It is read and written
//!   as atomics, and text is copied before anybody looks at it.
//! - Text that changes while it is copied is wrong text of the library that changes it, and still valid JSON: it becomes
//!   a string after the copy. Phases carry a random key, which memory filled with a value does not.

use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::slice;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::{Errno, platform};
use crate::json::Sink;

/// What a child is doing, or how it finished.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In `dlopen`.
    Loading,
    /// In `dlclose`.
    Unloading,
    /// Loaded and unloaded.
    Loaded,
    /// Refused by the loader: the slot's text says why.
    Failed,
    /// Nothing this program wrote.
    Overwritten,
}

/// Bytes of text: what a loader can have to say (names of symbols can be long). Untouched pages take no memory.
const ROOM: usize = (1 << 16) - 12;

#[repr(C)]
struct Memory {
    /// The phase, hidden by the run's key.
    state: AtomicU64,
    /// Bytes of text.
    length: AtomicU32,
    text: [AtomicU8; ROOM],
}

/// One library's result.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    memory: NonNull<Memory>,
    key: u64,
}

/// Bytes of a slot.
pub(super) const SIZE: usize = size_of::<Memory>();

impl Slot {
    /// New ones, side by side, ready for one child. `key` is random, so that a library that fills memory with a value
    /// forges no answer.
    pub(crate) fn new(key: u64, count: usize) -> Result<impl Iterator<Item = Self>, Errno> {
        let start = platform::shared_memory(SIZE * count)?;
        Ok((0..count).map(move |at| {
            // SAFETY: within the mapping.
            let slot = Self::at(unsafe { start.add(SIZE * at) }, key << 8);
            slot.enter(Phase::Loading);
            slot
        }))
    }

    fn at(memory: NonNull<u8>, key: u64) -> Self {
        Self { memory: memory.cast(), key }
    }

    /// A slot that another process made; its key is what is there.
    #[cfg(target_os = "macos")]
    pub(super) fn armed(memory: NonNull<u8>) -> Self {
        let mut slot = Self::at(memory, 0);
        slot.key = slot.memory().state.load(Ordering::Acquire) & !0xff;
        slot
    }

    fn memory(&self) -> &Memory {
        // SAFETY: SIZE bytes, page-aligned, mapped until `release`; every bit pattern is a Memory, and others may write to
        // it at any time, as all of it is atomic.
        unsafe { self.memory.as_ref() }
    }

    /// Its address.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.memory.cast()
    }

    /// Gives the memory back.
    pub(crate) fn release(self) {
        platform::unmap(self.start(), SIZE);
    }

    /// Where the slot's child is, or was when it ended.
    pub(crate) fn phase(&self) -> Phase {
        match self.memory().state.load(Ordering::Acquire).wrapping_sub(self.key) {
            0 => Phase::Loading,
            1 => Phase::Unloading,
            2 => Phase::Loaded,
            3 => Phase::Failed,
            _ => Phase::Overwritten,
        }
    }

    /// Hands a copy of the text to `reader`.
    pub(crate) fn text(&self, reader: impl FnOnce(&[u8])) {
        let memory = self.memory();
        let length = (memory.length.load(Ordering::Relaxed) as usize).min(ROOM);
        let mut copy = [const { MaybeUninit::<u8>::uninit() }; ROOM];
        for (to, from) in copy[..length].iter_mut().zip(&memory.text) {
            to.write(from.load(Ordering::Relaxed));
        }
        // SAFETY: that many bytes were just written; nobody else has them.
        reader(unsafe { slice::from_raw_parts(ptr::from_ref(&copy).cast(), length) });
    }

    /// Notes that the child is now in `phase`, for whoever looks after its end.
    pub(crate) fn enter(&self, phase: Phase) {
        self.memory().state.store(self.key | phase as u64, Ordering::Release);
    }
}

impl Sink for Slot {
    /// Appends to the slot's text as much of `bytes` as there is room for.
    fn put(&mut self, bytes: &[u8]) {
        let memory = self.memory();
        let used = (memory.length.load(Ordering::Relaxed) as usize).min(ROOM);
        let mut end = used;
        for (to, &byte) in memory.text[used..].iter().zip(bytes) {
            to.store(byte, Ordering::Relaxed);
            end += 1;
        }
        memory.length.store(end as u32, Ordering::Relaxed);
    }
}
