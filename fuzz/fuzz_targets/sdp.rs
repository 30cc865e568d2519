//! Drives `fuzz::sdp`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(sdp);
