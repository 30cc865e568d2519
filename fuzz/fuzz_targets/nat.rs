//! Drives `fuzz::nat`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(nat);
