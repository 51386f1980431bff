//! Mach-O files in memory: the program, and what it loads. Index 0 is the program, 1 is libSystem, as dyld counts.

mod bind;
mod file;
mod lazy;
mod map;
mod search;
mod signature;

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use object::macho;

use crate::start;
use file::File;
pub(crate) use lazy::dyld_stub_binder;
pub(crate) use search::{load, matches_system, prepare};

/// A file that is mapped.
pub(crate) struct Image {
    /// As dyld tells it: the path that it was found at.
    pub(crate) path: CString,
    /// Device and inode.
    identity: (u64, u64),
    file: File,
    /// What is added to every address in the file.
    slide: u64,
    /// `dlopen` without `dlclose`, and images that need it.
    references: AtomicU32,
    initialized: AtomicBool,
    needed: OnceLock<Vec<Provider>>,
}

/// Who has the symbols of a library.
#[derive(Clone, Copy)]
pub(crate) enum Provider {
    /// libSystem: this program.
    System,
    /// A library that was loaded.
    Image(&'static Image),
}

/// Every image but libSystem, the program first.
static IMAGES: Mutex<Vec<&'static Image>> = Mutex::new(Vec::new());

fn images() -> Vec<&'static Image> {
    IMAGES.lock().expect("nothing panics with the list").clone()
}

/// How many images there are.
pub(crate) fn count() -> u32 {
    images().len() as u32 + 1
}

/// The path and the header of an image.
pub(crate) fn nth(index: u32) -> Option<(&'static CStr, *const u8)> {
    let images = images();
    match index {
        0 => images.first().map(|image| (image.path.as_c_str(), image.header())),
        1 => Some((c"/usr/lib/libSystem.B.dylib", (&raw const SYSTEM_HEADER).cast())),
        _ => images.get(index as usize - 1).map(|image| (image.path.as_c_str(), image.header())),
    }
}

/// libSystem's: magic, machine, and that it is a library.
static SYSTEM_HEADER: [u32; 8] = [0xfeed_facf, 0, 0, macho::MH_DYLIB.0, 0, 0, 0, 0];

/// The image that holds an address.
pub(crate) fn at(address: usize) -> Option<&'static Image> {
    images().into_iter().find(|image| image.range().contains(&(address as u64)))
}

/// Maps the program, runs it, and comes back with its status.
pub(crate) fn start(path: &CStr) -> Result<c_int, String> {
    let program = search::program(path)?;
    program.file.check_program(program.file.flags())?;
    if program.file.signature.is_none() {
        return Err("code signature absent".to_owned());
    }
    let entry = program.file.entry.unwrap_or(0);
    program.bind()?;
    program.initialize();
    // SAFETY: LC_MAIN leads into __TEXT, which was checked; a program's entry is such a function.
    let main = unsafe { mem::transmute::<u64, Main>(program.file.segments[0].address + program.slide + entry) };
    let vectors = start::vectors();
    // SAFETY: as dyld calls it. The environment is the process's.
    Ok(unsafe { main(vectors.argc, vectors.argv, environment(), vectors.apple) })
}

type Main = unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char, *const *const c_char) -> c_int;
/// A constructor gets what `main` gets, and a pointer to variables of the program that nobody here reads.
type Constructor =
    unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char, *const *const c_char, *const u8);

/// The environment, as it is now.
pub(crate) fn environment() -> *const *const c_char {
    // SAFETY: the pointer is read, nothing else; who changes it while another thread runs does that on macOS, too.
    unsafe { *crate::system::environ() }
}

impl Image {
    /// Where its header is.
    pub(crate) fn header(&self) -> *const u8 {
        (self.file.segments[0].address + self.slide) as *const u8
    }

    fn range(&self) -> std::ops::Range<u64> {
        let last = self.file.segments.last().expect("a file without segments is refused");
        self.file.segments[0].address + self.slide..last.address + last.size + self.slide
    }

    fn needed(&self) -> &[Provider] {
        self.needed.get().map_or(&[], Vec::as_slice)
    }

    /// Counts a use; a use of what it needs was counted when it was loaded.
    pub(crate) fn retain(&self) {
        self.references.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs constructors, of what it needs first.
    pub(crate) fn initialize(&self) {
        if self.initialized.swap(true, Ordering::Relaxed) {
            return;
        }
        for needed in self.needed() {
            if let Provider::Image(image) = needed {
                image.initialize();
            }
        }
        let vectors = start::vectors();
        for function in self.functions(&self.file.constructors) {
            // SAFETY: a pointer from a section of constructors, rebased: the library says that it is one.
            let constructor = unsafe { mem::transmute::<u64, Constructor>(function) };
            // SAFETY: as dyld calls it.
            unsafe { constructor(vectors.argc, vectors.argv, environment(), vectors.apple, std::ptr::null()) };
        }
    }

    /// Takes back a use; after the last one it runs destructors and is no more.
    pub(crate) fn release(&'static self) {
        if self.references.fetch_sub(1, Ordering::Relaxed) > 1 {
            return;
        }
        for function in self.functions(&self.file.destructors).into_iter().rev() {
            // SAFETY: a pointer from a section of destructors, rebased.
            let destructor = unsafe { mem::transmute::<u64, extern "C" fn()>(function) };
            destructor();
        }
        self.forget();
        for needed in self.needed() {
            if let Provider::Image(image) = needed {
                image.release();
            }
        }
    }

    /// Takes it out of the list and out of memory.
    fn forget(&'static self) {
        IMAGES.lock().expect("nothing panics with the list").retain(|image| !std::ptr::eq(*image, self));
        map::unmap(self.range());
    }

    fn functions(&self, vectors: &[(u64, u64)]) -> Vec<u64> {
        let at = |address: u64| (address + self.slide) as *const u64;
        let pointers = vectors.iter().flat_map(|&(address, size)| (address..address + size / 8 * 8).step_by(8));
        // SAFETY: sections lie within their segments, which are mapped.
        pointers.map(|address| unsafe { at(address).read_unaligned() }).collect()
    }
}
