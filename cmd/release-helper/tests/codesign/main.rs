//! What `sign`, `unsign` and `signature` promise, on real Mach-O files.

mod forms;
mod programs;
