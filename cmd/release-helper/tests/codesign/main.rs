//! What `sign`, `unsign` and `signature` promise, on real Mach-O files.

mod corpus;
mod forms;
mod images;
mod mutations;
mod programs;
mod refusals;
