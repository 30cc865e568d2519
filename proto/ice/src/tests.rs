//! What was computed elsewhere.

mod vectors;
