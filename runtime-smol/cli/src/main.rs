//! The `sipsimple` command.

#![forbid(unsafe_code)]

fn main() {}
