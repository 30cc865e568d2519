//! Drives `fuzz::digest`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(digest);
