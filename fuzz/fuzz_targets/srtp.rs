//! Drives `fuzz::srtp`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(srtp);
