//! A library that needs another one, which no search path leads to.
#![no_std]

unsafe extern "C" {
    fn needed() -> i32;
}

/// Calls it.
#[unsafe(no_mangle)]
pub extern "C" fn needing() -> i32 {
    // SAFETY: it is always allowed.
    unsafe { needed() }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
