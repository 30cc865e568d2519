//! Drives `fuzz::websocket`.
#![cfg_attr(fuzzing, no_main)]
fuzz::target!(websocket);
