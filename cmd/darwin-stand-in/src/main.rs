//! A stand-in for macOS: `darwin-stand-in [OPTION]... PROGRAM [ARGUMENT]...` runs a Mach-O program on Linux, as far as
//! `tsuku-dltest` and the libraries of its tests need it. It loads them as kernel and dyld do ([`image`]) and is their
//! libSystem ([`system`]), with Darwin's numbers, structures and calling convention.
//!
//! It is a second reading of Apple's headers and sources, no measurement: what is right here may be wrong on a Mac. What
//! it does not know ends the run ([`ending`]); being that strict is what makes it worth anything.

//!
//! It begins as a C program does: Rust's own runtime opens closed streams and ignores SIGPIPE, and a program would notice.
#![cfg_attr(target_os = "linux", no_main)]

#[cfg(target_os = "linux")]
mod ending;
#[cfg(target_os = "linux")]
mod image;
#[cfg(target_os = "linux")]
mod start;
#[cfg(target_os = "linux")]
mod system;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("darwin-stand-in: runs on Linux only");
    std::process::exit(2)
}
