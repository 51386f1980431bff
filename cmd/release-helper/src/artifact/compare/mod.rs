//! Whether two files are the same, and if not, where and most likely why.
