//! A library that does what its file name says while it is loaded, or, if the name begins with `unload-`, while it is
//! unloaded. Compiled by the tests with rustc alone, for any platform: one file under many names.
#![no_std]

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

#[cfg(target_os = "linux")]
mod hostile;

#[repr(C)]
struct DlInfo {
    file: *const c_char,
    rest: [*const c_void; 3],
}

unsafe extern "C" {
    fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int;
    fn dlopen(path: *const c_char, mode: c_int) -> *mut c_void;
    fn raise(signal: c_int) -> c_int;
    fn abort() -> !;
    fn exit(status: c_int) -> !;
    fn _exit(status: c_int) -> !;
    fn fork() -> c_int;
    fn setsid() -> c_int;
    fn getpid() -> c_int;
    fn sleep(seconds: u32) -> u32;
    fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    fn read(fd: c_int, bytes: *mut u8, length: usize) -> isize;
    fn write(fd: c_int, bytes: *const u8, length: usize) -> isize;
    fn close(fd: c_int) -> c_int;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn lseek(fd: c_int, offset: i64, whence: c_int) -> i64;
    fn chdir(path: *const c_char) -> c_int;
    fn getrlimit(resource: c_int, limit: *mut [u64; 2]) -> c_int;
    fn setrlimit(resource: c_int, limit: *const [u64; 2]) -> c_int;
    fn signal(signal: c_int, handler: *const c_void) -> *const c_void;
    fn sigprocmask(how: c_int, new: *const [u64; 16], old: *mut [u64; 16]) -> c_int;
    fn pthread_create(thread: *mut usize, a: *const c_void, f: unsafe extern "C" fn(*mut c_void), b: *mut c_void) -> c_int;
    fn pause(_: *mut c_void);
    fn malloc(size: usize) -> *mut u8;
    fn setenv(name: *const c_char, value: *const c_char, overwrite: c_int) -> c_int;
    #[cfg(target_os = "linux")]
    fn clearenv() -> c_int;
}

const F_GETFD: c_int = 1;
const O_WRONLY_CREATE: c_int = if cfg!(target_os = "macos") { 0x201 } else { 0o101 };

extern "C" fn loaded() {
    act(false);
}

extern "C" fn unloaded() {
    act(true);
}

#[used]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".init_array"))]
static LOADED: extern "C" fn() = loaded;

#[used]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_term_func"))]
#[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".fini_array"))]
static UNLOADED: extern "C" fn() = unloaded;

fn act(unloading: bool) {
    let mut info = DlInfo { file: ptr::null(), rest: [ptr::null(); 3] };
    // SAFETY: room for the answer; this function's file has a name.
    let path = unsafe {
        dladdr(act as *const c_void, &raw mut info);
        CStr::from_ptr(info.file)
    };
    let bytes = path.to_bytes();
    let start = bytes.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
    let name = bytes[start..].strip_suffix(b".so").unwrap_or(&bytes[start..]);
    let (name, when) = match name.strip_prefix(b"unload-") {
        Some(name) => (name, true),
        None => (name, false),
    };
    if when == unloading {
        // SAFETY: misbehaving is the point.
        unsafe { misbehave(name, path) }
    }
}

unsafe fn misbehave(name: &[u8], path: &CStr) {
    unsafe {
        match name {
            b"segfault" => ptr::without_provenance_mut::<u8>(16).write_volatile(1),
            b"abort" => abort(),
            b"exit-0" => exit(0),
            b"exit-3" => exit(3),
            b"bare-exit-0" => _exit(0),
            b"loop" => loop {
                core::hint::spin_loop();
            },
            b"sleep" => {
                sleep(600);
            }
            b"orphan" => orphan(path, false),
            b"daemon" => orphan(path, true),
            b"close-all" => (0..1024).for_each(|fd| {
                close(fd);
            }),
            b"print" => print(),
            b"change-directory" => {
                chdir(c"/".as_ptr());
            }
            b"limit-everything" => (0..10).for_each(|resource| {
                setrlimit(resource, &[1, 1]);
            }),
            b"handle-signals" => (1..32).for_each(|number| {
                signal(number, handler as *const c_void);
            }),
            b"mask-signals" => {
                sigprocmask(if cfg!(target_os = "macos") { 3 } else { 2 }, &[u64::MAX; 16], ptr::null_mut());
            }
            b"threads" => (0..8).for_each(|_| {
                let mut thread = 0;
                pthread_create(&raw mut thread, ptr::null(), pause, ptr::null_mut());
            }),
            b"threads-of-its-own" => {
                let mut thread = 0;
                pthread_create(&raw mut thread, ptr::null(), forever, ptr::null_mut());
            }
            b"load-more" => {
                // Without its directory, the library is found by nobody; with it, it stays loaded.
                let mut buffer = [0_u8; 4096];
                let bytes = path.to_bytes();
                let end = bytes.len() - b"load-more.so".len();
                buffer[..end].copy_from_slice(&bytes[..end]);
                buffer[end..end + 10].copy_from_slice(b"healthy.so");
                if dlopen(buffer.as_ptr().cast(), 2).is_null() {
                    abort();
                }
            }
            b"overwrite-environment" => {
                setenv(c"LD_LIBRARY_PATH".as_ptr(), c"/nowhere".as_ptr(), 1);
                setenv(c"PATH".as_ptr(), c"".as_ptr(), 1);
                #[cfg(target_os = "linux")]
                clearenv();
            }
            b"read-input" => {
                let mut byte = 0;
                // Nothing comes, and at once.
                if read(0, &raw mut byte, 1) != 0 {
                    abort();
                }
            }
            b"allocate" => loop {
                let block = malloc(1 << 20);
                (0..1 << 20).step_by(4096).for_each(|at| block.add(at).write_volatile(1));
            },
            b"scribble" => {
                fill_shared_memory(0xaa);
                // And leaves before the truth can be written over it.
                _exit(0);
            }
            b"check-streams" => {
                // The lowest free descriptors, where a driver may have put its streams. Higher ones may be the caller's.
                for fd in 0..3 {
                    if fcntl(fd, F_GETFD) < 0 {
                        _exit(92);
                    }
                }
                for fd in 3..10 {
                    if write(fd, b"forged".as_ptr(), 6) > 0 {
                        _exit(90);
                    }
                }
            }
            b"check-signals" => {
                let mut mask = [0; 16];
                sigprocmask(0, ptr::null(), &raw mut mask);
                if mask[0] != 0 {
                    _exit(91);
                }
            }
            b"check-core-limit" => {
                let mut limit = [1; 2];
                getrlimit(4, &raw mut limit);
                if limit[0] != 0 {
                    _exit(93);
                }
            }
            #[cfg(target_os = "linux")]
            name if hostile::act(name, path) => {}
            _ => {
                if let Some(number) = name.strip_prefix(b"raise-") {
                    raise(number.iter().fold(0, |number, digit| number * 10 + c_int::from(digit - b'0')));
                }
            }
        }
    }
}

extern "C" fn handler(_: c_int) {}

extern "C" fn forever(_: *mut c_void) {
    loop {
        // SAFETY: always allowed.
        unsafe { sleep(1) };
    }
}

/// Leaves a process behind that writes its number beside the library.
unsafe fn orphan(path: &CStr, leave_session: bool) {
    unsafe {
        if fork() > 0 {
            // It has written its number when its file has a byte.
            return while !has_written(path) {};
        }
        if leave_session {
            setsid();
            if fork() > 0 {
                _exit(0);
            }
        }
        write_number(path);
        sleep(600);
        _exit(0);
    }
}

unsafe fn write_number(path: &CStr) {
    unsafe {
        let mut buffer = [0_u8; 4096];
        let fd = open(beside(path, &mut buffer), O_WRONLY_CREATE, 0o644 as c_int);
        let (mut digits, mut at, mut number) = ([0_u8; 12], 12, getpid());
        while number > 0 {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        write(fd, digits.as_ptr().add(at), 12 - at);
    }
}

unsafe fn has_written(path: &CStr) -> bool {
    let mut buffer = [0_u8; 4096];
    unsafe {
        let fd = open(beside(path, &mut buffer), 0);
        let written = fd >= 0 && lseek(fd, 0, 2) > 0;
        close(fd);
        written
    }
}

/// The path with `.pid` behind it.
fn beside(path: &CStr, buffer: &mut [u8; 4096]) -> *const c_char {
    let bytes = path.to_bytes();
    buffer[..bytes.len()].copy_from_slice(bytes);
    buffer[bytes.len()..bytes.len() + 4].copy_from_slice(b".pid");
    buffer.as_ptr().cast()
}

/// Ten megabytes of what looks like an answer, to standard output and to standard error.
unsafe fn print() {
    let line = b"]{\"path\":\"forged\",\"ok\":true}\n";
    let mut block = [b' '; 10_000];
    block[..line.len()].copy_from_slice(line);
    for _ in 0..1000 {
        unsafe {
            write(1, block.as_ptr(), block.len());
            write(2, block.as_ptr(), block.len());
        }
    }
}

/// Fills every piece of shared memory it can find.
unsafe fn fill_shared_memory(value: u8) {
    let mut text = [0_u8; 1 << 16];
    let mut length = 0;
    unsafe {
        let fd = open(c"/proc/self/maps".as_ptr(), 0);
        loop {
            let read = read(fd, text.as_mut_ptr().add(length), text.len() - length);
            if read <= 0 {
                break;
            }
            length += read as usize;
        }
        close(fd);
        for line in text[..length].split(|&b| b == b'\n') {
            if let Some(at) = line.windows(6).position(|part| part == b" rw-s ") {
                let number = |hexadecimal: &[u8]| {
                    hexadecimal.iter().fold(0_usize, |number, &digit| number * 16 + (digit as char).to_digit(16).unwrap_or(0) as usize)
                };
                let dash = line.iter().position(|&b| b == b'-').unwrap_or(0);
                let (start, end) = (number(&line[..dash]), number(&line[dash + 1..at]));
                ptr::write_bytes(start as *mut u8, value, end - start);
            }
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

