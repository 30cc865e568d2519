//! SDP and the offer/answer model (RFC 8866, RFC 3264, RFC 6337) as plain data and pure functions.
//!
//! A [`Session`] is parsed leniently and printed strictly; it is an ordinary value: its fields are
//! public, it compares by value, unknown attributes keep their place and their text. What two
//! descriptions say together is answered by functions: [`check_offer`] and [`check_answer`] look at
//! what a peer sent, [`audit_offer`] and [`audit_answer`] hold our own descriptions to the letter,
//! [`negotiate_codecs`] finds what both sides speak, [`PayloadNumbers`] keeps numbers what they are,
//! [`Direction`] is an algebra.
//!
//! ```
//! use sdp::{Codec, Connection, Media, Origin, Session, negotiate_codecs, Preference};
//!
//! let offer = Session::parse(
//!     b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n\
//!       m=audio 4000 RTP/AVP 8 0 101\r\nc=IN IP4 192.0.2.1\r\n\
//!       a=rtpmap:101 telephone-event/8000\r\n",
//! )?;
//! let ours = [Codec::new(0, "PCMU", 8000), Codec::new(96, "telephone-event", 8000)];
//! let agreed = negotiate_codecs(&offer.media[0].codecs(), &ours, Preference::Ours);
//! let local: Vec<Codec> = agreed.iter().map(|pair| pair.local.clone()).collect();
//!
//! let address = "192.0.2.2".parse().expect("an address");
//! let media = Media::rtp("audio", 5000, "RTP/AVP", &local);
//! let answer = Session::answer(&offer, Origin::new(7, address), vec![Some(media)])?;
//! sdp::audit_answer(&offer, &answer)?;
//! assert_eq!(answer.media[0].formats, ["0", "101"]);
//! assert_eq!(answer.connection(0), Some(&Connection::new(address)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
// Enums of our own: a new variant must be looked at wherever they are matched.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod attribute;
mod bandwidth;
mod codec;
mod connection;
mod fragment;
mod media;
mod negotiate;
mod numbers;
mod parse;
mod print;
mod session;
mod text;

pub use attribute::{
    Attribute, Attributes, Candidate, Crypto, Direction, Fingerprint, Fmtp, InlineKey,
    RemoteCandidates, Rtcp, RtpMap, Setup,
};
pub use bandwidth::Bandwidth;
pub use codec::{Agreed, Answerer, Codec, Preference, match_codecs, negotiate_codecs};
pub use connection::Connection;
pub use fragment::Fragment;
pub use media::{Media, RtpProfile};
pub use negotiate::{
    NegotiationError, audit_answer, audit_offer, check_answer, check_offer, negotiated_direction,
};
pub use numbers::PayloadNumbers;
pub use parse::{
    MAX_ATTRIBUTES, MAX_FORMATS, MAX_LINES, MAX_MEDIA, MAX_TEXT, ParseError, ParseErrorKind,
};
pub use session::{Origin, Session, Time};
pub use text::Text;
