//! dyld's interface.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use super::host;
use crate::ending::unknown;
use crate::image::{self, Image, Provider};

/// RTLD_LAZY, RTLD_NOW, RTLD_LOCAL, RTLD_GLOBAL (`dlfcn.h`).
const MODES: c_int = 0x1 | 0x2 | 0x4 | 0x8;
/// The handle of libSystem.
const SYSTEM: *mut c_void = ptr::without_provenance_mut(1);

thread_local! {
    static ERROR: RefCell<Option<CString>> = const { RefCell::new(None) };
}

fn fail(text: String) {
    ERROR.set(Some(CString::new(text.replace('\0', "?")).expect("no NUL is left")));
}

pub(super) unsafe extern "C" fn dlopen(path: *const c_char, mode: c_int) -> *mut c_void {
    if path.is_null() || mode & !MODES != 0 || mode & 3 == 0 {
        unknown(format_args!("dlopen of {path:?} with mode {mode:#x}"));
    }
    let path = host!(CStr::from_ptr(path));
    match image::load(path) {
        Ok(Provider::System) => SYSTEM,
        Ok(Provider::Image(image)) => {
            image.initialize();
            ptr::from_ref(image).cast_mut().cast()
        }
        Err(why) => {
            fail(format!("dlopen({}, {mode:#06x}): {why}", path.to_string_lossy()));
            ptr::null_mut()
        }
    }
}

pub(super) unsafe extern "C" fn dlclose(handle: *mut c_void) -> c_int {
    if handle != SYSTEM {
        let image: &'static Image = host!(&*handle.cast());
        image.release();
    }
    0
}

pub(super) unsafe extern "C" fn dlerror() -> *const c_char {
    thread_local! {
        static TOLD: RefCell<CString> = RefCell::default();
    }
    let Some(text) = ERROR.take() else { return ptr::null() };
    TOLD.set(text);
    TOLD.with_borrow(|text| text.as_ptr())
}

#[repr(C)]
pub(super) struct DlInfo {
    file: *const c_char,
    base: *const c_void,
    symbol: *const c_char,
    address: *const c_void,
}

pub(super) unsafe extern "C" fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int {
    let Some(image) = image::at(address as usize) else { return 0 };
    let (file, base) = (image.path.as_ptr(), image.header().cast());
    host!(info.write(DlInfo { file, base, symbol: ptr::null(), address: ptr::null() }));
    1
}

pub(super) unsafe extern "C" fn _dyld_image_count() -> u32 {
    image::count()
}

pub(super) unsafe extern "C" fn _dyld_get_image_name(index: u32) -> *const c_char {
    image::nth(index).map_or(ptr::null(), |(name, _)| name.as_ptr())
}

pub(super) unsafe extern "C" fn _dyld_get_image_header(index: u32) -> *const u8 {
    image::nth(index).map_or(ptr::null(), |(_, header)| header)
}

pub(super) unsafe extern "C" fn _dyld_shared_cache_contains_path(path: *const c_char) -> c_int {
    image::matches_system(host!(CStr::from_ptr(path))).into()
}
