//! Packets in.

use super::{
    MAX_SOURCES, MasterKey, Profile,
    packet::{RTCP_CLEAR, rtcp, rtp},
    replay::{Stale, Window},
    rollover::{END, index_near},
    seal::ENCRYPTED,
    transform::{Counter, Trailer, Transform},
};
use base::Deadline;
use bytes::BytesMut;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Opens what comes in (RFC 3711, 3.3 and 3.4).
///
/// Feed it every RTP and RTCP packet of the peer: what is opened is genuine and has not been there
/// before. [`Opener::rekey`] takes another master key; until the peer uses it, at most
/// [`Opener::OVERLAP`], packets under the old one are still opened. Wake it when
/// [`Opener::poll_timeout`] says.
#[derive(Debug)]
pub struct Opener {
    current: Context,
    /// The key before, and until when.
    previous: Option<(Context, Instant)>,
}

/// A packet that is not played; it is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is no SRTP or SRTCP packet.
    #[error("no SRTP packet")]
    Malformed,
    /// Its tag does not fit: forged, damaged, or made with another key.
    #[error("not authentic")]
    Forged,
    /// It was there before.
    #[error("replayed")]
    Replayed,
    /// It is so old that nobody knows whether it was there before.
    #[error("too old")]
    TooOld,
    /// It says that it is not encrypted (RFC 3711, 3.4: the E flag), which nobody agreed on.
    #[error("not encrypted")]
    Unencrypted,
    /// The call has more sources than any call should.
    #[error("too many sources")]
    TooManySources,
}

impl Opener {
    /// How long packets under the key before are opened after a change.
    pub const OVERLAP: Duration = Duration::from_secs(3);

    /// Begins with the rollover counter at 0 for each source (RFC 4568, 6.4).
    pub fn new(key: MasterKey) -> Self {
        Self {
            current: Context::new(key),
            previous: None,
        }
    }

    /// The key.
    pub const fn key(&self) -> &MasterKey {
        &self.current.key
    }

    /// What protects.
    pub const fn profile(&self) -> Profile {
        self.current.key.profile()
    }

    /// Goes on with `key`. If it is the one that is in use, counters and windows stay; else those of
    /// `key` begin anew.
    pub fn rekey(&mut self, now: Instant, key: MasterKey) {
        if key == self.current.key {
            return;
        }
        let before = std::mem::replace(&mut self.current, Context::new(key));
        self.previous = now.checked_add(Self::OVERLAP).map(|until| (before, until));
    }

    /// When the old key is forgotten.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let (_, until) = self.previous.as_ref()?;
        Some(Deadline::new(*until, "old SRTP key"))
    }

    /// Forgets the old key if it is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.previous.take_if(|(_, until)| *until <= now);
    }

    /// Opens an RTP packet.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub fn open_rtp(&mut self, now: Instant, packet: &mut BytesMut) -> Result<(), Refused> {
        self.open(now, packet, Context::open_rtp)
    }

    /// Opens a compound RTCP packet.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub fn open_rtcp(&mut self, now: Instant, packet: &mut BytesMut) -> Result<(), Refused> {
        self.open(now, packet, Context::open_rtcp)
    }

    fn open(
        &mut self,
        now: Instant,
        packet: &mut BytesMut,
        open: impl Fn(&mut Context, &mut BytesMut) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        self.handle_timeout(now);
        let outcome = open(&mut self.current, packet);
        match (&mut self.previous, outcome) {
            // The peer uses the key: from here on nothing else is genuine.
            (previous, Ok(())) => {
                *previous = None;
                Ok(())
            }
            (Some((before, _)), Err(Refused::Forged | Refused::TooOld)) => open(before, packet),
            (_, Err(refused)) => Err(refused),
        }
    }
}

/// One key with all that was seen under it.
#[derive(Debug)]
struct Context {
    key: MasterKey,
    rtp: Transform,
    rtcp: Transform,
    rtp_sources: BTreeMap<u32, Window>,
    rtcp_sources: BTreeMap<u32, Window>,
}

impl Context {
    fn new(key: MasterKey) -> Self {
        Self {
            rtp: key.rtp(),
            rtcp: key.rtcp(),
            key,
            rtp_sources: BTreeMap::new(),
            rtcp_sources: BTreeMap::new(),
        }
    }

    fn open_rtp(&mut self, packet: &mut BytesMut) -> Result<(), Refused> {
        let head = rtp(packet).ok_or(Refused::Malformed)?;
        if packet.len() < head.clear + self.rtp.tag_len() {
            return Err(Refused::Malformed);
        }
        let (index, other) = match self.rtp_sources.get(&head.ssrc) {
            // RFC 3711, 3.3.1: the first packet tells the number to begin with; unless all packets
            // before the first rollover were lost, which only the tag can tell.
            None => {
                let first = u64::from(head.sequence);
                (first, Some(first + (1 << 16)))
            }
            Some(window) => {
                let index = index_near(window.highest(), head.sequence);
                (index.ok_or(Refused::TooOld)?, None)
            }
        };
        check(&self.rtp_sources, head.ssrc, index)?;
        if index >= END {
            return Err(Refused::TooOld);
        }
        for index in std::iter::once(index).chain(other) {
            let counter = Counter {
                ssrc: head.ssrc,
                index,
            };
            // The index has 48 bits.
            let trailer = Trailer::Rollover((index >> 16) as u32);
            if self.rtp.open(packet, head.clear, counter, trailer) {
                mark(&mut self.rtp_sources, head.ssrc, index);
                return Ok(());
            }
        }
        Err(Refused::Forged)
    }

    fn open_rtcp(&mut self, packet: &mut BytesMut) -> Result<(), Refused> {
        let ssrc = rtcp(packet).ok_or(Refused::Malformed)?;
        let tag = self.rtcp.tag_len();
        let len = packet
            .len()
            .checked_sub(INDEX)
            .filter(|len| *len >= RTCP_CLEAR + tag)
            .ok_or(Refused::Malformed)?;
        let at = if self.rtcp.is_tag_last() {
            len - tag
        } else {
            len
        };
        let word = word(packet, at).ok_or(Refused::Malformed)?;
        // Whether it would be authentic does not matter: nobody agreed to send in the clear.
        if word & ENCRYPTED == 0 {
            return Err(Refused::Unencrypted);
        }
        let index = u64::from(word & !ENCRYPTED);
        check(&self.rtcp_sources, ssrc, index)?;
        // The index leaves its place, so that the tag ends the packet; a forged one gets it back.
        let end = packet.len();
        packet.copy_within(at + INDEX..end, at);
        packet.truncate(len);
        let counter = Counter { ssrc, index };
        if self
            .rtcp
            .open(packet, RTCP_CLEAR, counter, Trailer::Index(word))
        {
            mark(&mut self.rtcp_sources, ssrc, index);
            return Ok(());
        }
        packet.resize(end, 0);
        packet.copy_within(at..len, at + INDEX);
        packet[at..at + INDEX].copy_from_slice(&word.to_be_bytes());
        Err(Refused::Forged)
    }
}

fn word(packet: &[u8], at: usize) -> Option<u32> {
    let bytes = packet.get(at..)?.first_chunk::<INDEX>()?;
    Some(u32::from_be_bytes(*bytes))
}

/// Whether a packet may be looked at: not whether it is genuine.
fn check(sources: &BTreeMap<u32, Window>, ssrc: u32, index: u64) -> Result<(), Refused> {
    match sources.get(&ssrc) {
        Some(window) => window.check(index).map_err(|stale| match stale {
            Stale::Replayed => Refused::Replayed,
            Stale::TooOld => Refused::TooOld,
        }),
        None if sources.len() >= MAX_SOURCES => Err(Refused::TooManySources),
        None => Ok(()),
    }
}

/// A packet is genuine: only such ones make an entry.
fn mark(sources: &mut BTreeMap<u32, Window>, ssrc: u32, index: u64) {
    sources
        .entry(ssrc)
        .or_insert_with(|| Window::new(index))
        .mark(index);
}

/// Bytes of flag and index.
const INDEX: usize = 4;
