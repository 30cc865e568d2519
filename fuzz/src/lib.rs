//! Fuzz bodies as ordinary functions, and their corpus.
//!
//! Each body takes any bytes and panics when a promise of the library does not hold. libFuzzer drives
//! them by the targets in `fuzz_targets/` (nightly, `--cfg fuzzing`); the test `corpus` replays every
//! file of `corpus/` on stable; a target built without libFuzzer replays the files that it is given:
//! `cargo run -p sipsimple-fuzz --bin sdp -- FILE`.

#![forbid(unsafe_code)]

mod agent_bytes;
mod answers;
mod certificate;
mod digest;
mod dns;
mod dtls;
mod hostile_servers;
mod ice;
mod nat;
mod offer_answer;
mod rtp_rtcp;
mod scenario;
mod sdp;
mod sip_headers;
mod sip_message;
mod sip_stream;
mod srtp;
mod stun;
mod system;
mod turn;
mod uri;
mod websocket;

pub use self::agent_bytes::agent_bytes;
pub use self::certificate::certificate;
pub use self::digest::digest;
pub use self::dns::dns;
pub use self::dtls::dtls;
pub use self::hostile_servers::hostile_servers;
pub use self::ice::ice;
pub use self::nat::nat;
pub use self::offer_answer::offer_answer;
pub use self::rtp_rtcp::rtp_rtcp;
pub use self::scenario::scenario;
pub use self::sdp::sdp;
pub use self::sip_headers::sip_headers;
pub use self::sip_message::sip_message;
pub use self::sip_stream::sip_stream;
pub use self::srtp::srtp;
pub use self::stun::stun;
pub use self::system::system;
pub use self::turn::turn;
pub use self::uri::uri;
pub use self::websocket::websocket;

/// A fuzz body: panics when a promise does not hold.
pub type Body = fn(&[u8]);

/// Every body under the name of its target and its folder in `corpus/`.
pub const BODIES: &[(&str, Body)] = &[
    ("agent_bytes", agent_bytes),
    ("certificate", certificate),
    ("digest", digest),
    ("dns", dns),
    ("dtls", dtls),
    ("hostile_servers", hostile_servers),
    ("ice", ice),
    ("nat", nat),
    ("offer_answer", offer_answer),
    ("rtp_rtcp", rtp_rtcp),
    ("scenario", scenario),
    ("sdp", sdp),
    ("sip_headers", sip_headers),
    ("sip_message", sip_message),
    ("sip_stream", sip_stream),
    ("srtp", srtp),
    ("stun", stun),
    ("system", system),
    ("turn", turn),
    ("uri", uri),
    ("websocket", websocket),
];

/// Runs a body over the files named on the command line.
///
/// # Panics
/// A file cannot be read, or the body panics.
pub fn replay(body: Body) {
    for path in std::env::args_os().skip(1) {
        let data = std::fs::read(&path).expect("a readable file");
        body(&data);
    }
}

/// Makes a program of a body: a libFuzzer target under `cfg(fuzzing)`, else one that replays files.
#[macro_export]
macro_rules! target {
    ($body:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$body(data));

        #[cfg(not(fuzzing))]
        fn main() {
            $crate::replay($crate::$body);
        }
    };
}
