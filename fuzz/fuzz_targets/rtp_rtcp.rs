//! Drives `fuzz::rtp_rtcp`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(rtp_rtcp);
