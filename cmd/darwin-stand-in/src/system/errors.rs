//! `errno`.

use std::cell::Cell;
use std::ffi::c_int;

use crate::ending::unknown;

thread_local! {
    static ERRNO: Cell<c_int> = const { Cell::new(0) };
}

/// Numbers that differ: Linux', Darwin's. Below 35 all others are the same.
const DIFFERENT: [(c_int, c_int); 8] = [
    (libc::EAGAIN, 35),
    (libc::EDEADLK, 11),
    (libc::ENAMETOOLONG, 63),
    (libc::ENOSYS, 78),
    (libc::ELOOP, 62),
    (libc::ENOTEMPTY, 66),
    (libc::EOVERFLOW, 84),
    (libc::ENOTSUP, 45),
];

/// Darwin's number for one of Linux'.
pub(crate) fn translate(error: c_int) -> c_int {
    match DIFFERENT.iter().find(|(linux, _)| *linux == error) {
        Some((_, darwin)) => *darwin,
        None if (1..35).contains(&error) => error,
        None => unknown(format_args!("error {error} of Linux")),
    }
}

/// Sets `errno` to what Darwin has for an error of Linux.
pub(super) fn set(error: c_int) {
    ERRNO.set(translate(error));
}

/// The result of a function of Linux' libc, with the program's `errno` set if it failed.
pub(super) fn checked<T: PartialOrd + From<i8>>(result: T) -> T {
    if result < T::from(0) {
        set(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL));
    }
    result
}

pub(super) unsafe extern "C" fn __error() -> *const c_int {
    ERRNO.with(|errno| errno.as_ptr())
}
