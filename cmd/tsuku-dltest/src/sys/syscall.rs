//! Linux system calls. Before a loader has run there is no libc to call, and afterwards no libc is too old for them.

use core::arch::asm;

use super::Errno;

/// Numbers (Linux, `asm/unistd.h`).
#[cfg(target_arch = "x86_64")]
pub(super) mod number {
    pub(crate) const READ: usize = 0;
    pub(crate) const WRITE: usize = 1;
    pub(crate) const CLOSE: usize = 3;
    pub(crate) const MMAP: usize = 9;
    pub(crate) const MUNMAP: usize = 11;
    pub(crate) const RT_SIGACTION: usize = 13;
    pub(crate) const RT_SIGPROCMASK: usize = 14;
    #[cfg(all(target_env = "musl", link_recipe))]
    pub(crate) const PREAD64: usize = 17;
    pub(crate) const MREMAP: usize = 25;
    pub(crate) const MADVISE: usize = 28;
    pub(crate) const GETPID: usize = 39;
    pub(crate) const RECVFROM: usize = 45;
    pub(crate) const SOCKETPAIR: usize = 53;
    pub(crate) const WAIT4: usize = 61;
    pub(crate) const KILL: usize = 62;
    pub(crate) const FCNTL: usize = 72;
    pub(crate) const SETPGID: usize = 109;
    pub(crate) const GETPPID: usize = 110;
    pub(crate) const SETSID: usize = 112;
    pub(crate) const GETPGID: usize = 121;
    pub(crate) const CAPGET: usize = 125;
    pub(crate) const CAPSET: usize = 126;
    pub(crate) const RT_SIGTIMEDWAIT: usize = 128;
    pub(crate) const PRCTL: usize = 157;
    pub(crate) const SETRLIMIT: usize = 160;
    pub(crate) const GETRLIMIT: usize = 97;
    pub(crate) const SCHED_GETAFFINITY: usize = 204;
    pub(crate) const CLOCK_GETTIME: usize = 228;
    pub(crate) const EXIT_GROUP: usize = 231;
    pub(crate) const WAITID: usize = 247;
    pub(crate) const OPENAT: usize = 257;
    pub(crate) const NEWFSTATAT: usize = 262;
    pub(crate) const PPOLL: usize = 271;
    pub(crate) const SIGNALFD4: usize = 289;
    pub(crate) const DUP3: usize = 292;
}
#[cfg(target_arch = "aarch64")]
pub(super) mod number {
    pub(crate) const DUP3: usize = 24;
    pub(crate) const FCNTL: usize = 25;
    pub(crate) const OPENAT: usize = 56;
    pub(crate) const CLOSE: usize = 57;
    pub(crate) const READ: usize = 63;
    pub(crate) const WRITE: usize = 64;
    #[cfg(all(target_env = "musl", link_recipe))]
    pub(crate) const PREAD64: usize = 67;
    pub(crate) const PPOLL: usize = 73;
    pub(crate) const SIGNALFD4: usize = 74;
    pub(crate) const NEWFSTATAT: usize = 79;
    pub(crate) const CAPGET: usize = 90;
    pub(crate) const CAPSET: usize = 91;
    pub(crate) const EXIT_GROUP: usize = 94;
    pub(crate) const WAITID: usize = 95;
    pub(crate) const CLOCK_GETTIME: usize = 113;
    pub(crate) const SCHED_GETAFFINITY: usize = 123;
    pub(crate) const KILL: usize = 129;
    pub(crate) const RT_SIGACTION: usize = 134;
    pub(crate) const RT_SIGPROCMASK: usize = 135;
    pub(crate) const RT_SIGTIMEDWAIT: usize = 137;
    pub(crate) const SETPGID: usize = 154;
    pub(crate) const GETPGID: usize = 155;
    pub(crate) const SETSID: usize = 157;
    pub(crate) const GETRLIMIT: usize = 163;
    pub(crate) const SETRLIMIT: usize = 164;
    pub(crate) const PRCTL: usize = 167;
    pub(crate) const GETPID: usize = 172;
    pub(crate) const GETPPID: usize = 173;
    pub(crate) const SOCKETPAIR: usize = 199;
    pub(crate) const RECVFROM: usize = 207;
    pub(crate) const MUNMAP: usize = 215;
    pub(crate) const MREMAP: usize = 216;
    pub(crate) const MMAP: usize = 222;
    pub(crate) const MADVISE: usize = 233;
    pub(crate) const WAIT4: usize = 260;
}

/// Calls the kernel.
///
/// # Safety
/// The arguments must be right for the call: pointers lead to memory that the kernel may read or write accordingly.
pub(super) unsafe fn call(number: usize, arguments: [usize; 6]) -> Result<usize, Errno> {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: by the caller's promise; the registers are those of the machine's Linux system call convention.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
             in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d, in("x4") e,
             in("x5") f, options(nostack));
    }
    if (-4095..0).contains(&result) { Err(Errno(-result as i32)) } else { Ok(result as usize) }
}

/// [`call`] with up to three arguments, which most have: they travel in registers.
///
/// # Safety
/// As above.
pub(super) unsafe fn call_with_three(number: usize, a: usize, b: usize, c: usize) -> Result<usize, Errno> {
    // SAFETY: by the caller's promise.
    unsafe { call(number, [a, b, c, 0, 0, 0]) }
}

/// [`call`] with as many arguments as the call takes; the others are 0. A macro, and not a function of an array of any
/// length: that would be several functions of one path, whose order in the artifact follows cargo's hash
/// (`tests/recipe`).
macro_rules! syscall {
    ($number:ident) => { $crate::sys::syscall::syscall!($number, 0) };
    ($number:ident, $a:expr) => { $crate::sys::syscall::syscall!($number, $a, 0) };
    ($number:ident, $a:expr, $b:expr) => { $crate::sys::syscall::syscall!($number, $a, $b, 0) };
    ($number:ident, $a:expr, $b:expr, $c:expr) => {
        $crate::sys::syscall::call_with_three(
            $crate::sys::syscall::number::$number, $a as usize, $b as usize, $c as usize
        )
    };
    ($number:ident, $a:expr, $b:expr, $c:expr, $d:expr) => {
        $crate::sys::syscall::syscall!($number, $a, $b, $c, $d, 0)
    };
    ($number:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => {
        $crate::sys::syscall::syscall!($number, $a, $b, $c, $d, $e, 0)
    };
    ($number:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr) => {
        $crate::sys::syscall::call(
            $crate::sys::syscall::number::$number,
            [$a as usize, $b as usize, $c as usize, $d as usize, $e as usize, $f as usize],
        )
    };
}
pub(super) use syscall;
