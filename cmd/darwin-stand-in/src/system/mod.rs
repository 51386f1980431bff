//! libSystem, as far as the program and the libraries of its tests import it. Every number that goes in or out is
//! Darwin's; what none of the tables here has ends the run.

mod errors;
mod files;
mod libraries;
mod memory;
mod processes;
mod signals;
mod spawn;
mod variadic;

use std::ffi::{c_char, c_int};

use crate::ending::unknown;
use crate::image;

/// Bytes of a path with its NUL (`sys/syslimits.h`); no more is taken.
pub(crate) const PATH_MAX: usize = 1024;
/// Descriptors are below this (`OPEN_MAX`).
const OPEN_MAX: c_int = 10240;

/// Calls a function of Linux' libc with what the program passed to Darwin's of the same name.
macro_rules! host {
    ($call:expr) => {
        // SAFETY: pointers and sizes are the program's, which promises of them what it would promise on macOS.
        unsafe { $call }
    };
}
use host;

/// Notes what this process began with.
pub(crate) fn prepare() {
    image::prepare();
    signals::prepare();
}

/// Seconds that no process of a test computes. One that outlives its test, as on macOS it may, ends then at the latest.
const PROCESSOR_TIME: u64 = 60;

/// Ends this process, and each that it makes, some time after all tests.
pub(crate) fn limit_processor_time() {
    let limit = libc::rlimit { rlim_cur: PROCESSOR_TIME, rlim_max: PROCESSOR_TIME };
    host!(libc::setrlimit(libc::RLIMIT_CPU, &raw const limit));
}

/// Ends the process as libSystem's `exit` does.
pub(crate) fn exit(status: c_int) -> ! {
    host!(libc::exit(status))
}

/// libc's `environ`.
pub(crate) fn environ() -> *const *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    &raw const environ
}

/// Translates a set of flags bit by bit; one that `table` has not ends the run.
fn flags(what: &str, mut given: c_int, table: &[(c_int, c_int)]) -> c_int {
    let mut host = 0;
    for (darwin, linux) in table {
        if given & darwin == *darwin {
            given &= !darwin;
            host |= linux;
        }
    }
    if given != 0 {
        unknown(format_args!("{what} with flags {given:#x}"));
    }
    host
}

/// True if a path is one that the kernel takes; sets the error.
fn is_short(path: *const c_char) -> bool {
    let short = host!(libc::strnlen(path, PATH_MAX)) < PATH_MAX;
    if !short {
        errors::set(libc::ENAMETOOLONG);
    }
    short
}

/// The address of a symbol of libSystem.
pub(crate) fn symbol(name: &[u8]) -> Option<u64> {
    macro_rules! table {
        ($($module:ident: $($name:ident)*;)*) => {
            match name {
                $($(
                    [b'_', rest @ ..] if rest == stringify!($name).as_bytes() => $module::$name as *const () as u64,
                )*)*
                b"dyld_stub_binder" => image::dyld_stub_binder as *const () as u64,
                b"_stat$INODE64" if cfg!(target_arch = "x86_64") => files::stat as *const () as u64,
                b"___bzero" if cfg!(target_arch = "x86_64") => memory::bzero as *const () as u64,
                b"_stat" if cfg!(target_arch = "aarch64") => files::stat as *const () as u64,
                _ => return None,
            }
        };
    }
    Some(table! {
        errors: __error;
        files: close read write dup2 ftruncate shm_unlink poll lseek chdir;
        variadic: open fcntl shm_open;
        memory: mmap munmap malloc memcpy memmove memset memcmp bzero memset_pattern16 strlen;
        libraries: dlopen dlclose dlerror dladdr _dyld_image_count _dyld_get_image_name _dyld_get_image_header
            _dyld_shared_cache_contains_path;
        signals: sigaction sigprocmask signal raise kill setitimer kqueue kevent;
        processes: _exit exit abort getpid getppid fork setsid wait4 waitid getrlimit setrlimit sysconf sleep pause
            clock_gettime_nsec_np pthread_create setenv _NSGetEnviron _NSGetExecutablePath;
        spawn: posix_spawn posix_spawn_file_actions_init posix_spawn_file_actions_adddup2 posix_spawnattr_init
            posix_spawnattr_setflags posix_spawnattr_setpgroup posix_spawnattr_setsigmask posix_spawnattr_setsigdefault;
    })
}
