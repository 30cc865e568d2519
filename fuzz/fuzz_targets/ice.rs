//! Drives `fuzz::ice`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(ice);
