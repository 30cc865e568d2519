//! Drives `fuzz::certificate`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(certificate);
