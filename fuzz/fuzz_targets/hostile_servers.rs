//! Drives `fuzz::hostile_servers`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(hostile_servers);
