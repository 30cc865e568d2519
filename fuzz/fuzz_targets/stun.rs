//! Drives `fuzz::stun`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(stun);
