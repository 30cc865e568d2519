//! Runs a sipsimple user agent on smol.

#![forbid(unsafe_code)]
