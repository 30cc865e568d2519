//! Cutting messages out of streams, and telling them from noise in datagrams.
