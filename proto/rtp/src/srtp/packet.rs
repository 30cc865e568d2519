//! What of a packet stays readable.

/// The part of an RTP packet that is not encrypted (RFC 3711, 3.1): header, contributing sources,
/// extension; with the sequence number and the source. Nothing if it does not fit. The padding may be
/// encrypted, so it is not looked at.
pub(super) fn rtp(packet: &[u8]) -> Option<Rtp> {
    let fixed = packet.first_chunk::<12>()?;
    if fixed[0] >> 6 != 2 {
        return None;
    }
    let mut clear = 12 + usize::from(fixed[0] & 0x0f) * 4;
    if fixed[0] & 0x10 != 0 {
        let head = packet.get(clear..clear + 4)?;
        clear += 4 + usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
    }
    (clear <= packet.len()).then_some(Rtp {
        clear,
        sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
    })
}

/// Of an RTP packet, what its protection needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rtp {
    /// Bytes that are not encrypted.
    pub(super) clear: usize,
    pub(super) sequence: u16,
    pub(super) ssrc: u32,
}

/// The source of an RTCP packet, which stands in the 8 bytes that are not encrypted (RFC 3711, 3.4).
pub(super) fn rtcp(packet: &[u8]) -> Option<u32> {
    let head = packet.first_chunk::<RTCP_CLEAR>()?;
    (head[0] >> 6 == 2).then(|| u32::from_be_bytes([head[4], head[5], head[6], head[7]]))
}

/// Bytes of an RTCP packet that are not encrypted.
pub(super) const RTCP_CLEAR: usize = 8;
