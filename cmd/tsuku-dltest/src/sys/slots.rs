//! Where children leave their results: memory shared with the driver. A library cannot close it as it can a pipe, no
//! descendant can hold it open, and reporting takes no system call.

use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

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

#[repr(C)]
struct Header {
    /// The phase, hidden by the run's key.
    state: AtomicU64,
    /// Bytes of text.
    length: AtomicU32,
}

/// Bytes of a slot: its header and what a loader can have to say (names of symbols can be long). Untouched pages of it
/// take no memory.
pub(super) const SIZE: usize = 1 << 16;
const ROOM: usize = SIZE - size_of::<Header>();

/// The slots of one run.
pub(crate) struct Slots {
    base: *mut u8,
    /// Random, so that a library that fills memory with a value does not forge an answer.
    key: u64,
}

impl Slots {
    /// How many there are.
    pub(crate) const COUNT: usize = 64;

    /// Maps them.
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self { base: platform::shared_memory(Self::COUNT * SIZE)?, key: platform::key() << 8 })
    }

    fn header(&self, slot: usize) -> &Header {
        // SAFETY: COUNT slots of SIZE bytes are mapped for good, page-aligned; every bit pattern is a header.
        unsafe { &*self.base.add(slot % Self::COUNT * SIZE).cast() }
    }

    /// Makes the slot ready for a child.
    pub(crate) fn arm(&self, slot: usize) {
        self.header(slot).length.store(0, Ordering::Relaxed);
        self.header(slot).state.store(self.key | Phase::Loading as u64, Ordering::Release);
    }

    /// Where the slot's child is, or was when it ended.
    pub(crate) fn phase(&self, slot: usize) -> Phase {
        match self.header(slot).state.load(Ordering::Acquire).wrapping_sub(self.key) {
            0 => Phase::Loading,
            1 => Phase::Unloading,
            2 => Phase::Loaded,
            3 => Phase::Failed,
            _ => Phase::Overwritten,
        }
    }

    /// Hands the text of a slot, whose child has ended, to `reader`.
    pub(crate) fn text(&self, slot: usize, reader: impl FnOnce(&[u8])) {
        let header = self.header(slot);
        let length = (header.length.load(Ordering::Relaxed) as usize).min(ROOM);
        // SAFETY: ROOM bytes follow each header; the one process that writes to them is gone.
        reader(unsafe { slice::from_raw_parts(ptr::from_ref(header).add(1).cast(), length) });
    }

    #[cfg(target_os = "linux")]
    /// The child's side of a slot. The others are taken out of its reach.
    pub(super) fn only(&self, slot: usize) -> Slot {
        let (before, end) = (slot * SIZE, Self::COUNT * SIZE);
        platform::unmap(self.base, before);
        platform::unmap(self.base.wrapping_add(before + SIZE), end - before - SIZE);
        self.slot(slot)
    }

    #[cfg(target_os = "linux")]
    /// The child's side of a slot.
    pub(super) fn slot(&self, slot: usize) -> Slot {
        Slot { header: ptr::from_ref(self.header(slot)), key: self.key }
    }
}

/// One child's slot.
pub(crate) struct Slot {
    header: *const Header,
    key: u64,
}

impl Slot {
    fn header(&self) -> &Header {
        // SAFETY: the slot stays mapped; every bit pattern is a header.
        unsafe { &*self.header }
    }

    /// Notes that the child is now in `phase`, for whoever looks after its end.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.header().state.store(self.key | phase as u64, Ordering::Release);
    }

    /// A slot in memory that another process armed; its key is what is there.
    #[cfg(target_os = "macos")]
    pub(super) fn armed(memory: *mut u8) -> Self {
        let mut slot = Self { header: memory.cast(), key: 0 };
        slot.key = slot.header().state.load(Ordering::Acquire) & !0xff;
        slot
    }
}

impl Sink for Slot {
    /// Appends to the slot's text as much of `bytes` as there is room for.
    fn put(&mut self, bytes: &[u8]) {
        let used = (self.header().length.load(Ordering::Relaxed) as usize).min(ROOM);
        let bytes = &bytes[..bytes.len().min(ROOM - used)];
        // SAFETY: ROOM bytes follow the header, of which `used` are taken; nobody else looks yet.
        unsafe {
            let text: *mut u8 = self.header.add(1).cast_mut().cast();
            ptr::copy_nonoverlapping(bytes.as_ptr(), text.add(used), bytes.len());
        }
        self.header().length.store((used + bytes.len()) as u32, Ordering::Relaxed);
    }
}
