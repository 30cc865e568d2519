//! Drives `fuzz::offer_answer`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(offer_answer);
