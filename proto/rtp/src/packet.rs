//! RTP packets on the wire (RFC 3550, 5.1).

use crate::{ErrorKind, ParseError};
use bytes::{BufMut, BytesMut};

/// The fixed header of an RTP packet without its counts and flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The marker bit: for speech, the first packet after silence (RFC 3551, 4.1).
    pub marker: bool,
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The sequence number, rising by one a packet.
    pub sequence: u16,
    /// The sampling instant of the first octet of the payload, in units of the payload's clock.
    pub timestamp: u32,
    /// The source.
    pub ssrc: u32,
}

/// A header extension (RFC 3550, 5.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extension<'a> {
    /// The 16 bits that the profile defines (0xBEDE for RFC 8285's one-byte form).
    pub profile: u16,
    /// The content; its length is a multiple of 4.
    pub data: &'a [u8],
}

/// A parsed RTP packet that borrows from the datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// The fixed header.
    pub header: Header,
    csrcs: &'a [u8],
    extension: Option<Extension<'a>>,
    payload: &'a [u8],
    payload_at: usize,
    padding: u8,
}

impl<'a> Packet<'a> {
    /// Makes a packet without contributing sources, extension and padding.
    pub const fn new(header: Header, payload: &'a [u8]) -> Self {
        Self {
            header,
            csrcs: &[],
            extension: None,
            payload,
            payload_at: FIXED_HEADER,
            padding: 0,
        }
    }

    /// Reads a datagram, checking version, counts and all lengths (RFC 3550, A.1).
    ///
    /// # Errors
    ///
    /// If the version is not 2, or if the contributing sources, the extension or the padding do not
    /// fit into the datagram.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let Some((fixed, rest)) = datagram.split_first_chunk::<FIXED_HEADER>() else {
            return Err(ParseError::truncated("fixed header", 0));
        };
        if fixed[0] >> 6 != VERSION {
            return Err(ParseError::new("fixed header", 0, ErrorKind::Version));
        }
        let header = Header {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        };
        let csrc_bytes = usize::from(fixed[0] & 0x0f) * 4;
        let Some((csrcs, mut rest)) = rest.split_at_checked(csrc_bytes) else {
            return Err(ParseError::truncated("CSRC list", FIXED_HEADER));
        };
        let mut payload_at = FIXED_HEADER + csrc_bytes;
        let mut extension = None;
        if fixed[0] & 0x10 != 0 {
            let truncated = ParseError::truncated("header extension", payload_at);
            let (head, tail) = rest.split_first_chunk::<4>().ok_or(truncated)?;
            let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (data, tail) = tail.split_at_checked(words * 4).ok_or(truncated)?;
            let profile = u16::from_be_bytes([head[0], head[1]]);
            extension = Some(Extension { profile, data });
            rest = tail;
            payload_at += 4 + data.len();
        }
        let mut padding = 0;
        if fixed[0] & 0x20 != 0 {
            let at = datagram.len() - 1;
            // The count includes itself, so zero is as wrong as too much.
            let wrong = ParseError::new("padding", at, ErrorKind::Length);
            padding = *rest.last().ok_or(wrong)?;
            if padding == 0 || usize::from(padding) > rest.len() {
                return Err(wrong);
            }
        }
        let payload = &rest[..rest.len() - usize::from(padding)];
        Ok(Self {
            header,
            csrcs,
            extension,
            payload,
            payload_at,
            padding,
        })
    }

    /// The contributing sources, at most 15.
    pub fn csrcs(&self) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        self.csrcs
            .chunks_exact(4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// The header extension, if there is one.
    pub const fn extension(&self) -> Option<Extension<'a>> {
        self.extension
    }

    /// What is carried, without padding.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Where the payload begins in the datagram, in bytes.
    pub const fn payload_offset(&self) -> usize {
        self.payload_at
    }

    /// How many bytes of padding follow the payload, the count itself included.
    pub const fn padding(&self) -> u8 {
        self.padding
    }

    /// Appends the packet as it stands on the wire; allocates only if `out` has no room.
    pub fn write(&self, out: &mut BytesMut) {
        let extension_len = self
            .extension
            .map_or(0, |extension| 4 + extension.data.len());
        let len = FIXED_HEADER
            + self.csrcs.len()
            + extension_len
            + self.payload.len()
            + usize::from(self.padding);
        out.reserve(len);
        // At most 15 sources came in.
        let count = (self.csrcs.len() / 4) as u8;
        let flags = u8::from(self.padding > 0) << 5 | u8::from(self.extension.is_some()) << 4;
        let header = &self.header;
        let mut fixed = [0; FIXED_HEADER];
        fixed[0] = VERSION << 6 | flags | count;
        fixed[1] = u8::from(header.marker) << 7 | header.payload_type & 0x7f;
        fixed[2..4].copy_from_slice(&header.sequence.to_be_bytes());
        fixed[4..8].copy_from_slice(&header.timestamp.to_be_bytes());
        fixed[8..].copy_from_slice(&header.ssrc.to_be_bytes());
        out.put_slice(&fixed);
        out.put_slice(self.csrcs);
        if let Some(extension) = self.extension {
            out.put_u16(extension.profile);
            // A parsed extension has at most 2^16 - 1 words.
            out.put_u16((extension.data.len() / 4) as u16);
            out.put_slice(extension.data);
        }
        out.put_slice(self.payload);
        if self.padding > 0 {
            out.put_bytes(0, usize::from(self.padding) - 1);
            out.put_u8(self.padding);
        }
    }
}

/// What a datagram on a media socket is, by its first two bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// RTP.
    Rtp,
    /// RTCP.
    Rtcp,
    /// Neither: STUN, DTLS, or noise.
    Other,
}

impl Kind {
    /// Looks at a datagram, so that RTP and RTCP may share a port (RFC 5761, 4) beside others (RFC 7983, 7).
    pub fn of(datagram: &[u8]) -> Self {
        match datagram {
            // RTCP packet types 192 to 223 are RTP payload types 64 to 95 with the marker set, which
            // is why nobody may negotiate those.
            [128..=191, 192..=223, ..] => Self::Rtcp,
            [128..=191, _, ..] => Self::Rtp,
            _ => Self::Other,
        }
    }
}

/// Bytes of the fixed header.
const FIXED_HEADER: usize = 12;
/// The only version there ever was on the wire (RFC 3550, 5.1).
const VERSION: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(payload_type: u8, sequence: u16) -> Header {
        Header {
            marker: false,
            payload_type,
            sequence,
            timestamp: 160,
            ssrc: 0xdead_beef,
        }
    }

    #[test]
    fn a_plain_packet_as_printed_in_section_5_1() {
        let bytes = [
            0x80, 0, 0, 1, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef, 0xff, 0xfe,
        ];
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet, Packet::new(header(0, 1), &[0xff, 0xfe]));
        let mut out = BytesMut::new();
        packet.write(&mut out);
        assert_eq!(out, bytes[..]);
    }

    #[test]
    fn every_part_has_its_place() {
        let bytes = [
            0xb2,
            0x80 | 96,
            0xff,
            0xff,
            0,
            0,
            0,
            160,
            0xde,
            0xad,
            0xbe,
            0xef, // two sources, X and P
            0,
            0,
            0,
            1,
            0,
            0,
            0,
            2, // CSRC
            0xbe,
            0xde,
            0,
            1,
            1,
            2,
            3,
            4, // extension of one word
            9,
            9,
            9,
            0,
            0,
            3, // three bytes and three of padding
        ];
        let packet = Packet::parse(&bytes).unwrap();
        assert!(packet.header.marker);
        assert_eq!(packet.header.payload_type, 96);
        assert_eq!(packet.csrcs().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(
            packet.extension(),
            Some(Extension {
                profile: 0xbede,
                data: &[1, 2, 3, 4]
            })
        );
        assert_eq!(packet.payload(), [9, 9, 9]);
        assert_eq!(packet.padding(), 3);
        assert_eq!(&bytes[packet.payload_offset()..][..3], packet.payload());
        let mut out = BytesMut::new();
        packet.write(&mut out);
        assert_eq!(out, bytes[..]);
    }

    #[test]
    fn wrong_lengths_are_errors() {
        let error = |bytes: &[u8]| Packet::parse(bytes).map(|_| ()).unwrap_err();
        let truncated = |what, at| ParseError::new(what, at, ErrorKind::Truncated);
        assert_eq!(error(&[0x80; 11]), truncated("fixed header", 0));
        assert_eq!(
            error(&[0x40; 12]),
            ParseError::new("fixed header", 0, ErrorKind::Version)
        );
        assert_eq!(error(&[0x81; 15]), truncated("CSRC list", 12));
        let mut extended = [0; 19];
        extended[0] = 0x90;
        extended[15] = 1;
        assert_eq!(error(&extended), truncated("header extension", 12));
        assert_eq!(error(&extended[..14]), truncated("header extension", 12));
        for count in [0, 3] {
            let mut padded = [0; 14];
            padded[0] = 0xa0;
            padded[13] = count;
            assert_eq!(
                error(&padded),
                ParseError::new("padding", 13, ErrorKind::Length)
            );
        }
        assert_eq!(error(&[0xa0; 12]).what, "padding");
    }

    #[test]
    fn rtp_and_rtcp_share_a_port() {
        for (bytes, kind) in [
            (&[0x80, 0][..], Kind::Rtp),
            (&[0x80, 0x80 | 63], Kind::Rtp),
            (&[0x80, 200], Kind::Rtcp),
            (&[0x81, 223], Kind::Rtcp),
            (&[0x80, 224], Kind::Rtp),
            (&[0, 1], Kind::Other),
            (&[20, 254], Kind::Other),
            (&[0x80], Kind::Other),
            (&[], Kind::Other),
        ] {
            assert_eq!(Kind::of(bytes), kind, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
            first in prop_oneof![Just(0x80u8), Just(0x82), Just(0x90), Just(0xa0), Just(0xb3), any::<u8>()],
        ) {
            let mut bytes = bytes;
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            if let Ok(packet) = Packet::parse(&bytes) {
                let mut out = BytesMut::new();
                packet.write(&mut out);
                prop_assert_eq!(out.len(), bytes.len());
                // The content of padding is arbitrary on the wire and zero in ours.
                let meaningful = bytes.len() - usize::from(packet.padding());
                prop_assert_eq!(&out[..meaningful], &bytes[..meaningful]);
                prop_assert_eq!(Packet::parse(&out), Ok(packet));
            }
        }
    }
}
