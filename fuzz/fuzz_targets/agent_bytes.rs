//! Drives `fuzz::agent_bytes`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(agent_bytes);
