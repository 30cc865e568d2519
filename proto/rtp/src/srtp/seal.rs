//! Packets out.

use super::{
    MAX_SOURCES, MasterKey, Profile,
    packet::{RTCP_CLEAR, rtcp, rtp},
    rollover::{END, index_near},
    transform::{Counter, Trailer, Transform},
};
use bytes::BytesMut;
use std::collections::BTreeMap;

/// Protects what goes out with one master key (RFC 3711, 3.3 and 3.4).
///
/// Feed it whole RTP and RTCP packets in the order in which they leave, and send what they become. It
/// has no timers. A number never goes out twice under one key: two packets with the same keystream
/// would give both away.
#[derive(Debug)]
pub struct Sealer {
    key: MasterKey,
    rtp: Transform,
    rtcp: Transform,
    sources: BTreeMap<u32, Source>,
}

#[derive(Debug, Default)]
struct Source {
    /// Of the last RTP packet.
    highest: Option<u64>,
    /// Of the next RTCP packet.
    index: u32,
}

/// A packet cannot be protected and must not be sent; it is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CannotSeal {
    /// It is no RTP or RTCP packet.
    #[error("no RTP or RTCP packet")]
    Malformed,
    /// Its sequence number is not behind that of the packet before.
    #[error("sequence number used before")]
    Reused,
    /// The key has protected as many packets as it may (RFC 3711, 9.2: 2^48 RTP, 2^31 RTCP).
    #[error("key exhausted")]
    Exhausted,
    /// More sources than one call has.
    #[error("too many sources")]
    TooManySources,
}

impl Sealer {
    /// Begins with the rollover counter at 0.
    pub fn new(key: MasterKey) -> Self {
        Self {
            rtp: key.rtp(),
            rtcp: key.rtcp(),
            key,
            sources: BTreeMap::new(),
        }
    }

    /// The key.
    pub const fn key(&self) -> &MasterKey {
        &self.key
    }

    /// What protects.
    pub const fn profile(&self) -> Profile {
        self.key.profile()
    }

    /// Protects an RTP packet; allocates only if the buffer has no room for the tag.
    ///
    /// # Errors
    ///
    /// See [`CannotSeal`].
    pub fn seal_rtp(&mut self, packet: &mut BytesMut) -> Result<(), CannotSeal> {
        let head = rtp(packet).ok_or(CannotSeal::Malformed)?;
        let source = source(&mut self.sources, head.ssrc)?;
        let index = match source.highest {
            None => u64::from(head.sequence),
            Some(highest) => index_near(highest, head.sequence)
                .filter(|&index| index > highest)
                .ok_or(CannotSeal::Reused)?,
        };
        if index >= END {
            return Err(CannotSeal::Exhausted);
        }
        source.highest = Some(index);
        let counter = Counter {
            ssrc: head.ssrc,
            index,
        };
        // The index has 48 bits.
        let trailer = Trailer::Rollover((index >> 16) as u32);
        self.rtp.seal(packet, head.clear, counter, trailer);
        Ok(())
    }

    /// Protects a compound RTCP packet; allocates only if the buffer has no room for tag and index.
    ///
    /// # Errors
    ///
    /// See [`CannotSeal`].
    pub fn seal_rtcp(&mut self, packet: &mut BytesMut) -> Result<(), CannotSeal> {
        let ssrc = rtcp(packet).ok_or(CannotSeal::Malformed)?;
        let source = source(&mut self.sources, ssrc)?;
        let index = source.index;
        if index >= ENCRYPTED {
            return Err(CannotSeal::Exhausted);
        }
        source.index += 1;
        let counter = Counter {
            ssrc,
            index: index.into(),
        };
        let trailer = Trailer::Index(ENCRYPTED | index);
        self.rtcp.seal(packet, RTCP_CLEAR, counter, trailer);
        Ok(())
    }

    /// Goes on with another RTCP index.
    #[cfg(test)]
    pub(super) fn set_index(&mut self, ssrc: u32, index: u32) {
        self.sources.entry(ssrc).or_default().index = index;
    }
}

fn source(sources: &mut BTreeMap<u32, Source>, ssrc: u32) -> Result<&mut Source, CannotSeal> {
    // Forgetting one would let its numbers begin anew under the same key.
    if sources.len() >= MAX_SOURCES && !sources.contains_key(&ssrc) {
        return Err(CannotSeal::TooManySources);
    }
    Ok(sources.entry(ssrc).or_default())
}

/// The flag before the index of SRTCP, and the first index that there is not (RFC 3711, 3.4).
pub(super) const ENCRYPTED: u32 = 1 << 31;
