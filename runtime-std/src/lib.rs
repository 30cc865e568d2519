//! Runs a sipsimple user agent on one thread of the standard library.

#![forbid(unsafe_code)]
