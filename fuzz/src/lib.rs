//! Fuzz bodies as ordinary functions, and their corpus.

#![forbid(unsafe_code)]
