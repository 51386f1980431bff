//! What dyld loaded. A path is a proposal to it: `DYLD_LIBRARY_PATH` comes first, whatever path was asked for, and some
//! versions look in `/usr/local/lib` and `/usr/lib`, or for a framework in `/Library/Frameworks`, for what is not there.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use super::libsystem as c;

/// A path that dyld is going to be asked for, and the file that stands there.
pub(crate) struct Asked<'a> {
    path: &'a CStr,
    /// Its device and inode, if there is a file: most of the system's libraries are in dyld's cache alone.
    file: Option<(i32, u64)>,
}

impl<'a> Asked<'a> {
    /// Notes which file it is, before it can change that or the working directory.
    pub(crate) fn new(path: &'a CStr) -> Self {
        Self { path, file: stat(path).map(|stat| (stat.device, stat.inode)) }
    }

    /// Why what was loaded is no answer about that file; `None` if it is one.
    pub(crate) fn was_not_loaded(&self) -> Option<&'static str> {
        // SAFETY: always allowed.
        let count = unsafe { c::_dyld_image_count() };
        // The newest are last.
        let found = (0..count).rev().find(|&image| name(image).is_some_and(|name| self.is(name)));
        if let Some(image) = found {
            // SAFETY: null, or the header of an image that stays as long as its handle.
            let header = unsafe { c::_dyld_get_image_header(image).as_ref() };
            let program = header.is_some_and(|header| header.file_type == c::MH_EXECUTE);
            return if program { Some(": is a program, not a library") } else { None };
        }
        // A path may be an alias in the cache. If something was taken in place of the cache's, it has the same name.
        let other = |image| name(image).is_some_and(|name| leaf(name) == leaf(self.path) && !is_cached(name));
        if is_cached(self.path) && !(0..count).any(other) {
            return None;
        }
        Some(": the loader took another file of that name")
    }

    /// True if the image called `name` came from here.
    fn is(&self, name: &CStr) -> bool {
        name == self.path || self.file.is_some() && stat(name).map(|stat| (stat.device, stat.inode)) == self.file
    }
}

fn name(image: u32) -> Option<&'static CStr> {
    // SAFETY: null, or a string that stays as long as the image.
    unsafe {
        let name = c::_dyld_get_image_name(image);
        if name.is_null() { None } else { Some(CStr::from_ptr(name)) }
    }
}

fn is_cached(path: &CStr) -> bool {
    // SAFETY: a NUL-terminated path.
    unsafe { c::_dyld_shared_cache_contains_path(path.as_ptr()) }
}

/// What stands behind the last slash.
fn leaf(path: &CStr) -> &[u8] {
    let bytes = path.to_bytes();
    bytes.iter().rposition(|&byte| byte == b'/').map_or(bytes, |slash| &bytes[slash + 1..])
}

/// What the system says of the file at `path`.
pub(super) fn stat(path: &CStr) -> Option<c::Stat> {
    let mut stat = MaybeUninit::uninit();
    // SAFETY: room for what is filled in when the answer is 0.
    unsafe { if c::stat(path.as_ptr(), stat.as_mut_ptr()) == 0 { Some(stat.assume_init()) } else { None } }
}
