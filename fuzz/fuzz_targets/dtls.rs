//! Drives `fuzz::dtls`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(dtls);
