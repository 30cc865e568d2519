//! Every scenario, vector and house rule, in one binary.

mod codecs;
mod digest;
mod hygiene;
