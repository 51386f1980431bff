//! Functions that take any number of arguments. Apple's convention for arm64 passes those that have no name on the stack;
//! a caller that took the function for an ordinary one leaves there whatever was there before.

use std::arch::naked_asm;

use super::files;

macro_rules! variadic {
    ($($name:ident)*) => {
        $(
            #[unsafe(naked)]
            pub(super) unsafe extern "C" fn $name() {
                #[cfg(target_arch = "x86_64")]
                naked_asm!("jmp {}", sym files::$name);
                #[cfg(target_arch = "aarch64")]
                naked_asm!("ldr x2, [sp]", "b {}", sym files::$name);
            }
        )*
    };
}

variadic! { open fcntl shm_open }
