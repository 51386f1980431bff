//! Preloaded into a build by `vary`: moves the clock that programs see. Not a module of the helper: it is compiled
//! when needed, for the machine at hand. (libfaketime hangs rustc: it also moves the clock that waiting goes by.)
//!
//! `VARY_CLOCK` is `+SECONDS` for a clock that is ahead, or `=SECONDS` for one that stands still at that instant.

#![no_std]

use core::ffi::{CStr, c_char, c_int, c_long, c_void};

/// `CLOCK_REALTIME`, and `CLOCK_REALTIME_COARSE`, in linux/time.h. The others are for waiting: left alone.
const REALTIME: [c_int; 2] = [0, 5];
/// `RTLD_NEXT` in dlfcn.h: the definition after this library's.
const NEXT: *mut c_void = -1_isize as *mut c_void;

/// `struct timespec` of 64-bit Linux; `struct timeval` has the same layout with microseconds.
#[repr(C)]
pub struct Time {
    seconds: i64,
    fraction: c_long,
}

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn getenv(name: *const c_char) -> *const c_char;
    fn abort() -> !;
}

/// What `VARY_CLOCK` makes of the real time.
fn moved(real: Time) -> Time {
    // SAFETY: the name is terminated, and what getenv returns is null or a terminated string nobody changes.
    let setting = unsafe {
        let value = getenv(c"VARY_CLOCK".as_ptr());
        if value.is_null() {
            return real;
        }
        CStr::from_ptr(value).to_bytes()
    };
    let number = |digits: &[u8]| digits.iter().fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    match setting {
        [b'+', ahead @ ..] => Time { seconds: real.seconds + number(ahead), fraction: real.fraction },
        [b'=', instant @ ..] => Time { seconds: number(instant), fraction: 0 },
        _ => real,
    }
}

/// libc's `clock_gettime`, moved.
///
/// # Safety
/// As for libc's: `time` must be valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut Time) -> c_int {
    type Function = unsafe extern "C" fn(c_int, *mut Time) -> c_int;
    // SAFETY: libc defines clock_gettime with this type; `time` is valid by this function's contract.
    unsafe {
        let real = dlsym(NEXT, c"clock_gettime".as_ptr());
        if real.is_null() {
            abort();
        }
        let status = core::mem::transmute::<*mut c_void, Function>(real)(clock, time);
        if status == 0 && REALTIME.contains(&clock) {
            time.write(moved(time.read()));
        }
        status
    }
}

/// libc's `gettimeofday`, moved.
///
/// # Safety
/// As for libc's: `time` must be valid or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(time: *mut Time, _zone: *mut c_void) -> c_int {
    let mut now = Time { seconds: 0, fraction: 0 };
    // SAFETY: `now` is valid, and `time` is so if it is not null.
    unsafe {
        let status = clock_gettime(REALTIME[0], &mut now);
        if !time.is_null() {
            time.write(Time { seconds: now.seconds, fraction: now.fraction / 1000 });
        }
        status
    }
}

/// libc's `time`, moved.
///
/// # Safety
/// As for libc's: `time` must be valid or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(time: *mut i64) -> i64 {
    let mut now = Time { seconds: 0, fraction: 0 };
    // SAFETY: `now` is valid, and `time` is so if it is not null.
    unsafe {
        clock_gettime(REALTIME[0], &mut now);
        if !time.is_null() {
            time.write(now.seconds);
        }
    }
    now.seconds
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: abort has no preconditions.
    unsafe { abort() }
}
