//! What a library on Linux can do to the process that made its own, to the results of others, and to outlive them.

use core::ffi::{CStr, c_char, c_int, c_long, c_void};
use core::ptr;

use super::{
    _exit, abort, beside, close, dlopen, fill_shared_memory, fork, has_written, malloc, open, setsid, sleep, write,
    write_number,
};

unsafe extern "C" {
    fn getppid() -> c_int;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn prctl(option: c_int, ...) -> c_int;
    fn ptrace(request: c_long, ...) -> c_long;
    fn usleep(microseconds: u32) -> c_int;
    fn clock() -> c_long;
    fn unlink(path: *const c_char) -> c_int;
    fn clone(run: extern "C" fn(*mut c_void) -> c_int, stack: *mut c_void, flags: c_int, argument: *mut c_void, ...)
    -> c_int;
}

const SIGKILL: c_int = 9;
const SIGTERM: c_int = 15;
const SIGSTOP: c_int = 19;
const PR_SET_PDEATHSIG: c_int = 1;
const PTRACE_ATTACH: c_long = 16;
const CLONE_VM: c_int = 0x100;
const RTLD_NOW_NODELETE: c_int = 0x1002;
/// Longer than any test takes.
const LONG: u32 = 600;

/// Does what `name` says; false if it is none of these.
pub(crate) unsafe fn act(name: &[u8], path: &CStr) -> bool {
    unsafe {
        match name {
            b"kill-parent" => hit(SIGKILL),
            b"terminate-parent" => hit(SIGTERM),
            b"stop-parent" => hit(SIGSTOP),
            b"signal-parent" => (1..65).filter(|&signal| signal != SIGKILL).for_each(|signal| hit(signal)),
            b"trace-parent" => {
                ptrace(PTRACE_ATTACH, getppid(), 0_usize, 0_usize);
            }
            b"escape" => {
                in_a_daemon(|| write_number(path));
                while !has_written(path) {}
            }
            b"daemon-kill-parent" => {
                let parent = getppid();
                in_a_daemon(move || loop {
                    kill(parent, SIGKILL);
                    usleep(1000);
                });
            }
            b"print-to-parent" => print_to_parent(),
            b"forget-parent" => {
                prctl(PR_SET_PDEATHSIG, 0);
                sleep(LONG);
            }
            b"daemon-scribble" => in_a_daemon(|| loop {
                fill_shared_memory(0);
                usleep(100);
            }),
            b"thread-of-no-process" => {
                // It shares the memory, and lives on. What it runs must not be unloaded under it.
                dlopen(path.as_ptr(), RTLD_NOW_NODELETE);
                let stack = malloc(1 << 18).add(1 << 18);
                clone(scribble_for_ever, stack.cast(), CLONE_VM, ptr::null_mut());
            }
            b"family" => in_a_daemon(|| {
                // Each has a child and goes, for as long as nobody stops them.
                for _ in 0..100_000 {
                    if fork() > 0 {
                        _exit(0);
                    }
                }
            }),
            _ if name.starts_with(b"meet-") => meet(path),
            _ if name.starts_with(b"crowd-") => crowd(path),
            _ => return false,
        }
        true
    }
}

unsafe fn hit(signal: c_int) {
    unsafe { kill(getppid(), signal) };
}

/// Two forks away, and in a session that none of its parents is in.
unsafe fn in_a_daemon(run: impl FnOnce()) {
    unsafe {
        if fork() > 0 {
            return;
        }
        if fork() == 0 {
            setsid();
            run();
            sleep(LONG);
        }
        _exit(0);
    }
}

extern "C" fn scribble_for_ever(_: *mut c_void) -> c_int {
    loop {
        // SAFETY: misbehaving is the point.
        unsafe {
            usleep(50_000);
            fill_shared_memory(0);
        }
    }
}

/// Into whatever the parent has open.
unsafe fn print_to_parent() {
    unsafe {
        let parent = getppid();
        for fd in 0..10_u8 {
            let mut name = *b"/proc/0000000000/fd/0\0";
            let (mut rest, mut at) = (parent, 16);
            while at > 6 {
                at -= 1;
                name[at] = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            // The kernel knows no leading zeros.
            let zeros = name[6..15].iter().take_while(|&&digit| digit == b'0').count();
            let mut path = [0_u8; 32];
            path[..6].copy_from_slice(&name[..6]);
            path[6..22 - zeros].copy_from_slice(&name[6 + zeros..]);
            path[20 - zeros] = b'0' + fd;
            let file = open(path.as_ptr().cast::<c_char>(), 1);
            write(file, b"garbage".as_ptr(), 7);
            close(file);
        }
    }
}

/// True if the library whose name has this last digit in place of its own is being loaded.
unsafe fn is_loading(digit: u8, path: &CStr) -> bool {
    let mut buffer = [0_u8; 4096];
    let length = path.to_bytes().len();
    beside(path, &mut buffer);
    buffer[length - b"1.so".len()] = digit;
    unsafe {
        let fd = open(buffer.as_ptr().cast(), 0);
        close(fd);
        fd >= 0
    }
}

unsafe fn note(path: &CStr) -> [u8; 4096] {
    let mut buffer = [0_u8; 4096];
    unsafe { close(open(beside(path, &mut buffer), super::O_WRONLY_CREATE, 0o644 as c_int)) };
    buffer
}

/// Waits until all five are there.
unsafe fn meet(path: &CStr) {
    unsafe {
        note(path);
        while !(b'1'..=b'5').all(|digit| is_loading(digit, path)) {
            usleep(1000);
        }
    }
}

/// Computes for a third of a second, and bears no other of the five meanwhile.
unsafe fn crowd(path: &CStr) {
    unsafe {
        let own = note(path);
        let bytes = path.to_bytes();
        let digit = bytes[bytes.len() - b"1.so".len()];
        while clock() < 300_000 {
            if (b'1'..=b'5').any(|other| other != digit && is_loading(other, path)) {
                abort();
            }
        }
        unlink(own.as_ptr().cast());
    }
}
