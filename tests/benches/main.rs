//! What things cost.
//!
//! `cargo bench -p sipsimple-simulator` measures time; a word after `--` picks what contains it, as in
//! `-- transaction`.
//!
//! `cargo bench -p sipsimple-simulator -- --costs [WORD]` counts what is free of noise: instructions,
//! allocations and bytes allocated for each operation of `tests/measure`. Instructions are counted by
//! `valgrind`, which this command alone needs; without it their column is empty.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "time is what is measured, and a table is the result"
)]

mod audio;
mod call;
mod costs;
mod dtls;
mod ice;
#[path = "../measure/mod.rs"]
mod measure;
mod rtp;
mod sdp;
mod sip_message;
mod srtp;
mod stun;
mod transaction;

fn main() {
    // Cargo adds `--bench` to what the user wrote.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--costs"] => costs::print(""),
        ["--costs", word] => costs::print(word),
        ["--repeat", name, rounds] => costs::repeat(name, rounds.parse().expect("a count")),
        _ => divan::main(),
    }
}
