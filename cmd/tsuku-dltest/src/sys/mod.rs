//! The operating system: all `unsafe` code, and everything that differs between Linux and macOS. It knows the program by
//! what a process of it begins with, in main.rs: `run`, and `load` in a child.

mod errno;
mod signals;
mod slots;

#[cfg(target_os = "linux")]
mod channel;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(all(target_os = "linux", link_recipe))]
mod memory;
#[cfg(target_os = "linux")]
mod orphans;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod start;
#[cfg(target_os = "linux")]
mod syscall;
#[cfg(target_os = "linux")]
use linux as platform;

#[cfg(target_os = "macos")]
mod darwin;
#[cfg(target_os = "macos")]
use darwin as platform;

#[cfg(all(target_env = "musl", link_recipe))]
mod musl;

/// A path that the loader is going to be asked for. On Linux one with a slash leads to its file, or to none.
#[cfg(target_os = "linux")]
pub(crate) struct Asked;
#[cfg(target_os = "linux")]
impl Asked {
    pub(crate) fn new(_: &CStr) -> Self {
        Self
    }

    pub(crate) fn was_not_loaded(&self) -> Option<&'static str> {
        None
    }
}
#[cfg(target_os = "macos")]
pub(crate) use darwin::Asked;

use core::ffi::{CStr, c_char, c_int, c_void};

use crate::json::Sink;

pub(crate) use errno::Errno;
pub(crate) use signals::signal_name;
pub(crate) use slots::{Phase, Slot};

#[cfg(target_os = "macos")]
pub(crate) use darwin::{
    block_signals_of_writing, exit, head, key, kill, kind, next_ending, now, processor_time_asleep, processors,
    read_stdin, sleep, start, sweep, take_over, write,
};
#[cfg(target_os = "linux")]
pub(crate) use {
    channel::Channel,
    linux::{Pile, block_signals_of_writing, exit, head, key, kind, now, processors, read_stdin, write},
    process::{
        become_supervisor, check_streams, descend, ending_of, go_on, kill, next_ending, processor_time_asleep, sleep,
        start, sweep, wait_for,
    },
};

/// How many libraries a child may serve if it is shared. Only glibc unloads what it has loaded, so that the next library
/// finds the process as it was.
pub(crate) const SHARE: usize = if cfg!(target_env = "gnu") { 16 } else { 1 };

/// Most bytes of a write, which a pipe takes all at once.
pub(crate) const FRAME: usize = 4096;

/// Standard error.
pub(crate) const STDERR: i32 = 2;

/// How a child ended.
#[derive(Clone, Copy)]
pub(crate) enum Ending {
    /// By itself, with this status.
    Exit(u8),
    /// Killed by this signal.
    Signal(u8),
    /// Stopped by this signal: not ended, but it would wait for ever.
    Stopped(u8),
}

/// What stands at a path, as far as it matters before `dlopen`.
pub(crate) enum Kind {
    /// Something whose opening or reading can wait for ever; its name.
    Blocking(&'static str),
    /// A file, a directory, or nothing.
    Other,
}

/// By the `S_IFMT` bits of a mode, which are the same on all systems.
fn kind_of(mode: u32) -> Kind {
    match mode & 0o170_000 {
        0o010_000 => Kind::Blocking("a FIFO"),
        0o020_000 => Kind::Blocking("a character device"),
        0o060_000 => Kind::Blocking("a block device"),
        0o140_000 => Kind::Blocking("a socket"),
        _ => Kind::Other,
    }
}

/// The arguments after the program's name.
#[derive(Clone)]
pub(crate) struct Arguments(*const *const c_char);

impl Arguments {
    /// # Safety
    /// `argv` must be the argument vector of the process, which ends with a null pointer.
    unsafe fn new(argv: *const *const c_char) -> Self {
        // SAFETY: by the caller's promise, a vector that is not empty has a second element.
        Self(if unsafe { (*argv).is_null() } { argv } else { unsafe { argv.add(1) } })
    }
}

impl Iterator for Arguments {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        // SAFETY: the vector ends with a null pointer, behind which `self` never moves.
        let argument = unsafe { *self.0 };
        if argument.is_null() {
            return None;
        }
        // SAFETY: as above; arguments are NUL-terminated and live as long as the process.
        unsafe {
            self.0 = self.0.add(1);
            Some(CStr::from_ptr(argument))
        }
    }
}

/// Paths read from standard input: NUL-terminated strings, one after the other, for as long as the process lives.
#[derive(Clone)]
pub(crate) struct List {
    next: *const u8,
    length: usize,
}

impl List {
    /// # Safety
    /// `next` must lead to `length` bytes and one more that is zero, which nobody changes any more.
    unsafe fn new(next: *const u8, length: usize) -> Self {
        Self { next, length }
    }
}

impl Iterator for List {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        if self.length == 0 {
            return None;
        }
        // SAFETY: by the promise to `new` a NUL ends the bytes, if the last path has none of its own.
        let path = unsafe { CStr::from_ptr(self.next.cast()) };
        let taken = (path.count_bytes() + 1).min(self.length);
        // SAFETY: no more than there are.
        self.next = unsafe { self.next.add(taken) };
        self.length -= taken;
        Some(path)
    }
}

unsafe extern "C" {
    fn dlopen(path: *const c_char, mode: c_int) -> *mut c_void;
    fn dlclose(handle: *mut c_void) -> c_int;
    fn dlerror() -> *const c_char;
}

/// Bind everything now: a missing symbol is an error of loading.
const RTLD_NOW: c_int = 2;
/// 0 on Linux.
#[cfg(target_os = "linux")]
const RTLD_LOCAL: c_int = 0;
#[cfg(target_os = "macos")]
const RTLD_LOCAL: c_int = 4;

/// How the timer ends a child of a driver that does not (macOS).
pub(crate) const SIGALRM: u8 = 14;

/// A loaded library.
pub(crate) struct Library(*mut c_void);

/// Loads a library and runs its constructors.
pub(crate) fn dl_open(path: &CStr) -> Option<Library> {
    // SAFETY: what the library does is its own affair: this is a process made for it alone.
    let handle = unsafe { dlopen(path.as_ptr(), RTLD_NOW | RTLD_LOCAL) };
    if handle.is_null() { None } else { Some(Library(handle)) }
}

impl Library {
    /// Runs its destructors and unloads it; false if the loader reports an error.
    pub(crate) fn close(self) -> bool {
        // SAFETY: the handle comes from dlopen and is used up here.
        unsafe { dlclose(self.0) == 0 }
    }
}

/// How many objects the loader has in this process.
#[cfg(target_env = "gnu")]
fn loaded_objects() -> usize {
    unsafe extern "C" {
        fn dl_iterate_phdr(
            each: unsafe extern "C" fn(*const c_void, usize, *mut usize) -> c_int,
            count: *mut usize,
        ) -> c_int;
    }
    unsafe extern "C" fn count(_: *const c_void, _: usize, count: *mut usize) -> c_int {
        // SAFETY: the pointer given below.
        unsafe { *count += 1 };
        0
    }
    let mut objects = 0;
    // SAFETY: the callback is of the right type and gets the pointer that it takes.
    unsafe { dl_iterate_phdr(count, &raw mut objects) };
    objects
}

/// Takes the loader's last error message and, if `wanted`, puts it into `slot`.
pub(crate) fn dl_error(slot: &mut Slot, wanted: bool) {
    // SAFETY: dlerror gives null or a string that stays until the next call.
    let message = unsafe {
        let message = dlerror();
        if message.is_null() { c"unknown error" } else { CStr::from_ptr(message) }
    };
    if wanted {
        slot.put(message.to_bytes());
    }
}
