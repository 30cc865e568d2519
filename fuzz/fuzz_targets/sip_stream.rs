//! Drives `fuzz::sip_stream`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(sip_stream);
