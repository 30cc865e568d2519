//! Speech codecs, and how session descriptions name them.

mod conceal;
pub mod g711;

use std::fmt;

use g711::{G711, Law};

/// Turns samples into payloads and back, one direction of each a value.
///
/// A codec is a pure machine: feed it 16-bit mono samples at [`Description::sample_rate`], or
/// payloads in the order in which they are to be heard. Both directions append to the buffer of
/// the caller, so that a steady stream allocates nothing.
pub trait Codec: fmt::Debug + Send {
    /// Says how the codec is named in a session description.
    fn description(&self) -> &'static Description;

    /// Appends the payload for the given samples.
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>);

    /// Appends the samples of one payload. Any bytes are taken; a payload that means nothing to
    /// the codec yields no samples.
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>);

    /// Appends `count` samples in place of a payload that did not arrive.
    fn conceal(&mut self, count: usize, samples: &mut Vec<i16>);
}

/// Describes a codec in the words of SDP: `name/clock/channels`, payload type, `fmtp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The encoding name of the `rtpmap` attribute; compared without regard to case.
    pub name: &'static str,
    /// The RTP clock in Hz.
    pub clock_rate: u32,
    /// The number of channels.
    pub channels: u16,
    /// The static payload type of RFC 3551, table 4, if the codec has one.
    pub payload_type: Option<u8>,
    /// The parameters for the `fmtp` attribute, if the codec needs any.
    pub fmtp: Option<&'static str>,
    /// Samples a second of the sound itself; differs from the RTP clock for some codecs
    /// (RFC 3551, 4.5.2).
    pub sample_rate: u32,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.name, self.clock_rate, self.channels)
    }
}

/// Lists the codecs of this crate, in the order in which they are best offered.
pub fn supported() -> &'static [Description] {
    &SUPPORTED
}

/// Makes the codec with that encoding name (any case), clock rate and number of channels;
/// `None` if this crate has no such codec.
pub fn open(name: &str, clock_rate: u32, channels: u16) -> Option<Box<dyn Codec>> {
    let place = SUPPORTED.iter().position(|known| {
        known.name.eq_ignore_ascii_case(name)
            && known.clock_rate == clock_rate
            && known.channels == channels
    })?;
    let law = if place == 0 { Law::Mu } else { Law::A };
    Some(Box::new(G711::new(law)))
}

/// Makes the codec that a static payload type stands for (RFC 3551, table 4).
pub fn open_static(payload_type: u8) -> Option<Box<dyn Codec>> {
    let known = SUPPORTED
        .iter()
        .find(|known| known.payload_type == Some(payload_type))?;
    open(known.name, known.clock_rate, known.channels)
}

static SUPPORTED: [Description; 2] = [g711::PCMU, g711::PCMA];

#[cfg(test)]
mod tests {
    use super::*;

    /// ENG-29: the codecs that there are, best first.
    #[test]
    fn names_are_those_of_sdp() {
        let names: Vec<String> = supported().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["PCMU/8000/1", "PCMA/8000/1"]);
    }

    #[test]
    fn every_listed_codec_opens_as_itself() {
        for listed in supported() {
            let name = listed.name.to_lowercase();
            let codec = open(&name, listed.clock_rate, listed.channels).unwrap();
            assert_eq!(codec.description(), listed);
            let codec = open_static(listed.payload_type.unwrap()).unwrap();
            assert_eq!(codec.description(), listed);
        }
    }

    #[test]
    fn unknown_codecs_do_not_open() {
        assert!(open("PCMU", 16_000, 1).is_none());
        assert!(open("PCMU", 8_000, 2).is_none());
        assert!(open("speex", 8_000, 1).is_none());
        assert!(open_static(101).is_none());
    }
}
