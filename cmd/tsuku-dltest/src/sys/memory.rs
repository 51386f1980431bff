//! The memory functions that compiled Rust calls. Before a loader has run there is no libc to take them from; written
//! in assembly, because a compiler may turn a loop that copies into a call of `memcpy`.

use core::arch::naked_asm;
use core::ffi::{c_int, c_void};

/// Copies upwards, byte by byte: right for `memmove` too if the target is below the source.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memcpy(target: *mut c_void, source: *const c_void, length: usize) -> *mut c_void {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("mov rax, rdi", "mov rcx, rdx", "rep movsb", "ret");
    #[cfg(target_arch = "aarch64")]
    naked_asm!(
        "mov x3, x0",
        "2: cbz x2, 3f",
        "ldrb w4, [x1], 1",
        "strb w4, [x3], 1",
        "sub x2, x2, 1",
        "b 2b",
        "3: ret"
    );
}

/// Fills memory with a byte.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memset(target: *mut c_void, value: c_int, length: usize) -> *mut c_void {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("mov r8, rdi", "mov eax, esi", "mov rcx, rdx", "rep stosb", "mov rax, r8", "ret");
    #[cfg(target_arch = "aarch64")]
    naked_asm!("mov x3, x0", "2: cbz x2, 3f", "strb w1, [x3], 1", "sub x2, x2, 1", "b 2b", "3: ret");
}

/// 0 if two pieces of memory are equal.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn bcmp(one: *const c_void, other: *const c_void, length: usize) -> c_int {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("mov rcx, rdx", "xor eax, eax", "cmp eax, eax", "repe cmpsb", "setne al", "ret");
    #[cfg(target_arch = "aarch64")]
    naked_asm!(
        "mov w5, 0",
        "2: cbz x2, 3f",
        "ldrb w3, [x0], 1",
        "ldrb w4, [x1], 1",
        "sub x2, x2, 1",
        "cmp w3, w4",
        "b.eq 2b",
        "mov w5, 1",
        "3: mov w0, w5",
        "ret"
    );
}

/// Bytes before the first zero.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn strlen(text: *const core::ffi::c_char) -> usize {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("lea rax, [rdi - 1]", "2: inc rax", "cmp byte ptr [rax], 0", "jne 2b", "sub rax, rdi", "ret");
    #[cfg(target_arch = "aarch64")]
    naked_asm!("mov x1, x0", "2: ldrb w2, [x1], 1", "cbnz w2, 2b", "sub x0, x1, x0", "sub x0, x0, 1", "ret");
}
