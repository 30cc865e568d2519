//! `a=rtpmap`: what a payload number means.

use std::fmt;

use super::Attribute;
use crate::Text;

/// One mapping of a payload number to an encoding (RFC 8866, section 6.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpMap {
    /// The payload number, 0 to 127.
    pub payload_type: u8,
    /// The encoding's name in the peer's spelling; compared in any case.
    pub encoding: Text,
    /// The clock rate in hertz, never 0.
    pub clock_rate: u32,
    /// How many channels; 1 where the mapping does not say.
    pub channels: u16,
}

impl RtpMap {
    /// Reads an `a=rtpmap` line; `None` if it is another attribute or makes no sense.
    ///
    /// A mapping without a clock rate is none: the caller falls back to the static table.
    pub fn read(attribute: &Attribute) -> Option<Self> {
        if !attribute.is("rtpmap") {
            return None;
        }
        let text = attribute.value_text()?;
        let (number, mapping) = text.trim().split_once([' ', '\t'])?;
        let mut parts = mapping.split('/').map(str::trim);
        let encoding = parts.next().filter(|name| !name.is_empty())?;
        let clock_rate = parts.next()?.parse().ok().filter(|rate| *rate > 0)?;
        Some(Self {
            payload_type: number.parse().ok().filter(|number| *number < 128)?,
            encoding: text.slice_of(encoding),
            clock_rate,
            channels: parts
                .next()
                .and_then(|count| count.parse().ok())
                .unwrap_or(1)
                .max(1),
        })
    }
}

impl fmt::Display for RtpMap {
    /// Writes the attribute's value: `0 PCMU/8000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}/{}",
            self.payload_type, self.encoding, self.clock_rate
        )?;
        if self.channels > 1 {
            write!(f, "/{}", self.channels)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<RtpMap> {
        RtpMap::read(&Attribute::new("rtpmap", value))
    }

    #[test]
    fn reads_what_peers_send() {
        let opus = read("111 opus/48000/2").expect("a mapping");
        assert_eq!(
            (opus.payload_type, opus.clock_rate, opus.channels),
            (111, 48_000, 2)
        );
        assert_eq!(opus.encoding, "opus");
        assert_eq!(opus.to_string(), "111 opus/48000/2");
        assert_eq!(
            read(" 8  pcma/8000/1 ").expect("a mapping").to_string(),
            "8 pcma/8000"
        );
        for bad in [
            "8",
            "8 PCMA",
            "x PCMA/8000",
            "128 PCMA/8000",
            "256 a/1",
            "8 PCMA/0",
            "8 /8000",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(RtpMap::read(&Attribute::new("fmtp", "8 PCMA/8000")), None);
        assert!(RtpMap::read(&Attribute::new("RTPMAP", "8 PCMA/8000")).is_some());
    }
}
