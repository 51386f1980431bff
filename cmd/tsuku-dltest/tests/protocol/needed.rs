//! A library with one function.
#![no_std]

/// What `needing.rs` calls.
#[unsafe(no_mangle)]
pub extern "C" fn needed() -> i32 {
    1
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
