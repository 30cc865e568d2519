//! Drives `fuzz::turn`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(turn);
