//! A deterministic world of hosts, links and servers to test sipsimple applications in.

#![forbid(unsafe_code)]
