//! `dyld_stub_binder`: where the first call of a function goes while it is not bound. It finds on the stack what the
//! linker's `__stub_helper` left there: the image, by an address in it, and the place of the bind.

use std::arch::naked_asm;

use super::at;
use crate::ending::refused;

/// Binds the function, and goes on to it as if nothing had been between: all registers that may hold arguments are kept.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn dyld_stub_binder() {
    #[cfg(target_arch = "x86_64")]
    naked_asm!(
        "push rdi", "push rsi", "push rdx", "push rcx", "push r8", "push r9", "push rax",
        "sub rsp, 128",
        "movups [rsp], xmm0", "movups [rsp + 16], xmm1", "movups [rsp + 32], xmm2", "movups [rsp + 48], xmm3",
        "movups [rsp + 64], xmm4", "movups [rsp + 80], xmm5", "movups [rsp + 96], xmm6", "movups [rsp + 112], xmm7",
        "mov rdi, [rsp + 184]",
        "mov rsi, [rsp + 192]",
        "call {bind}",
        "mov r11, rax",
        "movups xmm0, [rsp]", "movups xmm1, [rsp + 16]", "movups xmm2, [rsp + 32]", "movups xmm3, [rsp + 48]",
        "movups xmm4, [rsp + 64]", "movups xmm5, [rsp + 80]", "movups xmm6, [rsp + 96]", "movups xmm7, [rsp + 112]",
        "add rsp, 128",
        "pop rax", "pop r9", "pop r8", "pop rcx", "pop rdx", "pop rsi", "pop rdi",
        "add rsp, 16",
        "jmp r11",
        bind = sym bind,
    );
    #[cfg(target_arch = "aarch64")]
    naked_asm!(
        "stp x29, x30, [sp, #-16]!",
        "stp x0, x1, [sp, #-16]!", "stp x2, x3, [sp, #-16]!", "stp x4, x5, [sp, #-16]!", "stp x6, x7, [sp, #-16]!",
        "stp x8, x9, [sp, #-16]!",
        "stp q0, q1, [sp, #-32]!", "stp q2, q3, [sp, #-32]!", "stp q4, q5, [sp, #-32]!", "stp q6, q7, [sp, #-32]!",
        "ldr x0, [sp, #232]",
        "ldr x1, [sp, #224]",
        "bl {bind}",
        "mov x16, x0",
        "ldp q6, q7, [sp], #32", "ldp q4, q5, [sp], #32", "ldp q2, q3, [sp], #32", "ldp q0, q1, [sp], #32",
        "ldp x8, x9, [sp], #16",
        "ldp x6, x7, [sp], #16", "ldp x4, x5, [sp], #16", "ldp x2, x3, [sp], #16", "ldp x0, x1, [sp], #16",
        "ldp x29, x30, [sp], #16",
        "add sp, sp, #16",
        "br x16",
        bind = sym bind,
    );
}

/// The function to go on to.
extern "C" fn bind(cache: usize, offset: u32) -> u64 {
    let bound = match at(cache) {
        Some(image) => image.bind_lazily(offset),
        None => Err("bound for no image".to_owned()),
    };
    bound.unwrap_or_else(|why| refused(format_args!("dyld_stub_binder: {why}")))
}
