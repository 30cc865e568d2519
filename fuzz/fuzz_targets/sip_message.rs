//! Drives `fuzz::sip_message`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(sip_message);
