//! The entry of an ELF program, in place of crt1.o: from the kernel's stack to `main`. (A development build without the
//! link recipe is linked by the system's C compiler, crt1.o and all: there only `main` counts.)

#[cfg(link_recipe)]
use core::arch::naked_asm;
use core::ffi::{c_char, c_int};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use super::{Arguments, exit};

#[cfg(not(link_recipe))]
#[link(name = "c")]
#[link(name = "dl")]
unsafe extern "C" {}

/// Sixteen random bytes from the kernel (`AT_RANDOM`).
static RANDOM: AtomicPtr<u64> = AtomicPtr::new(ptr::null_mut());
const AT_RANDOM: usize = 25;

#[cfg(link_recipe)]
type Main = unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char) -> c_int;

#[cfg(link_recipe)]
unsafe extern "C" {
    fn __libc_start_main(
        main: Main,
        argc: c_int,
        argv: *const *const c_char,
        init: *const (),
        fini: *const (),
        loader_fini: *const (),
        stack: *const usize,
    ) -> c_int;
}

/// Where the kernel or the loader begins: the stack pointer leads to argc, argv, the environment and the auxiliary
/// vector; one register holds what the loader wants to be called at exit.
#[cfg(link_recipe)]
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start() -> ! {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("xor ebp, ebp", "mov rdi, rsp", "mov rsi, rdx", "and rsp, -16", "call {}", "ud2", sym begin);
    #[cfg(target_arch = "aarch64")]
    naked_asm!("mov x29, 0", "mov x30, 0", "mov x1, x0", "mov x0, sp", "b {}", sym begin);
}

#[cfg(link_recipe)]
unsafe extern "C" fn begin(stack: *mut usize, loader_fini: *const ()) -> ! {
    // SAFETY: the layout of a new process's stack (System V ABI).
    unsafe {
        let argv = stack.add(1).cast();
        #[cfg(target_env = "musl")]
        if !super::musl::is_linked() {
            super::musl::begin_alone(stack, Arguments::new(argv));
        }
        __libc_start_main(main, *stack as c_int, argv, ptr::null(), ptr::null(), loader_fini, stack);
    }
    exit(crate::NO_ANSWER)
}

#[cfg_attr(not(link_recipe), unsafe(no_mangle))]
unsafe extern "C" fn main(_: c_int, argv: *const *const c_char, environment: *const *const c_char) -> c_int {
    // SAFETY: the environment ends with a null pointer; the auxiliary vector follows and ends with a zero type.
    unsafe {
        let mut end = environment;
        while !(*end).is_null() {
            end = end.add(1);
        }
        let mut entry: *const [usize; 2] = end.add(1).cast();
        while (*entry)[0] != 0 {
            if (*entry)[0] == AT_RANDOM {
                RANDOM.store((*entry)[1] as *mut u64, Ordering::Relaxed);
            }
            entry = entry.add(1);
        }
        exit(crate::run(Arguments::new(argv)))
    }
}

/// Some of the kernel's random bytes; 0 if it gave none.
pub(super) fn random() -> u64 {
    let bytes = RANDOM.load(Ordering::Relaxed);
    // SAFETY: null, or AT_RANDOM's sixteen bytes, which stay.
    if bytes.is_null() { 0 } else { unsafe { bytes.read_unaligned() } }
}
