//! Drives `fuzz::sip_headers`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(sip_headers);
