//! Drives `fuzz::system`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(system);
