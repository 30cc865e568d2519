//! The keys in use: they seal what leaves, and open what comes (RFC 3711).

use super::{Agreed, Keys};
use base::Deadline;
use bytes::BytesMut;
use rtp::srtp::{MasterKey, Opener, Profile, Refused, Sealer};
use serde::Serialize;
use std::time::Instant;

/// Protects the packets of one stream, once keys are agreed on.
///
/// *Feed* it each agreement and each packet; *wake* it at [`poll_timeout`](Self::poll_timeout). The
/// counters of a key of ours live as long as it may come back (forked answers take one offered key
/// several times), so that no packet is ever sealed twice with the same keystream (RFC 4568, 7.3).
#[derive(Debug, Default)]
pub(super) struct Protection {
    /// The one in use is the last.
    sealers: Vec<Sealer>,
    opener: Option<Opener>,
    /// There will be keys: until then nothing is sent, and nothing that comes is played.
    is_awaited: bool,
    discarded: Discarded,
}

/// Packets that encryption kept from being played or sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Discarded {
    /// Whose proof does not fit: forged, damaged, in the clear, or under a key that nobody agreed on.
    pub forged: u64,
    /// That were there before, or are too old to tell.
    pub replayed: u64,
    /// That are no SRTP or SRTCP by their form.
    pub malformed: u64,
    /// Of ours, that no key may protect any more.
    pub unsent: u64,
}

impl Discarded {
    /// Both together.
    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            forged: self.forged + other.forged,
            replayed: self.replayed + other.replayed,
            malformed: self.malformed + other.malformed,
            unsent: self.unsent + other.unsent,
        }
    }
}

impl Protection {
    /// Follows an agreement; `is_new` if it is with another peer.
    pub(super) fn agree(&mut self, now: Instant, agreed: &Agreed, is_new: bool) {
        self.is_awaited = matches!(agreed, Agreed::Dtls(_));
        // Nothing of another peer counts; what is in use with this one stays until a handshake gives more.
        if is_new || *agreed == Agreed::Clear {
            self.opener = None;
        }
        if let Agreed::Sdes(keys) = agreed {
            self.take(now, keys.clone());
        }
    }

    /// Seals and opens with `keys` from now on.
    pub(super) fn take(&mut self, now: Instant, keys: Keys) {
        self.seal_with(keys.local);
        match &mut self.opener {
            Some(opener) => opener.rekey(now, keys.remote),
            opener => *opener = Some(Opener::new(keys.remote)),
        }
    }

    fn seal_with(&mut self, key: MasterKey) {
        let known = self.sealers.iter().position(|sealer| *sealer.key() == key);
        let sealer = match known {
            Some(place) => self.sealers.remove(place),
            None => Sealer::new(key),
        };
        if self.sealers.len() == MAX_SEALERS {
            self.sealers.remove(0);
        }
        self.sealers.push(sealer);
    }

    /// What protects; `None` if nothing does.
    pub(super) fn profile(&self) -> Option<Profile> {
        self.opener.as_ref().map(Opener::profile)
    }

    /// True until there are the keys that were agreed on.
    pub(super) const fn is_waiting(&self) -> bool {
        self.is_awaited && self.opener.is_none()
    }

    pub(super) const fn discarded(&self) -> Discarded {
        self.discarded
    }

    /// Seals an RTP packet in its place; false if it must not leave.
    pub(super) fn seal_rtp(&mut self, packet: &mut BytesMut) -> bool {
        self.seal(packet, |sealer, packet| sealer.seal_rtp(packet).is_ok())
    }

    /// Seals a compound RTCP packet in its place; false if it must not leave.
    pub(super) fn seal_rtcp(&mut self, packet: &mut BytesMut) -> bool {
        self.seal(packet, |sealer, packet| sealer.seal_rtcp(packet).is_ok())
    }

    fn seal(
        &mut self,
        packet: &mut BytesMut,
        seal: impl Fn(&mut Sealer, &mut BytesMut) -> bool,
    ) -> bool {
        let sealer = match &self.opener {
            Some(_) => self.sealers.last_mut(),
            None if self.is_awaited => return false,
            None => None,
        };
        let is_ready = sealer.is_none_or(|sealer| seal(sealer, packet));
        self.discarded.unsent += u64::from(!is_ready);
        is_ready
    }

    /// Opens an RTP packet in its place; false if it must not be played.
    pub(super) fn open_rtp(&mut self, now: Instant, packet: &mut BytesMut) -> bool {
        let opened = self
            .opener
            .as_mut()
            .map(|opener| opener.open_rtp(now, packet));
        self.judge(opened)
    }

    /// Opens a compound RTCP packet in its place; false if it must not be believed.
    pub(super) fn open_rtcp(&mut self, now: Instant, packet: &mut BytesMut) -> bool {
        let opened = self
            .opener
            .as_mut()
            .map(|opener| opener.open_rtcp(now, packet));
        self.judge(opened)
    }

    fn judge(&mut self, opened: Option<Result<(), Refused>>) -> bool {
        let count = match opened {
            None if self.is_awaited => &mut self.discarded.forged,
            None | Some(Ok(())) => return true,
            Some(Err(Refused::Replayed | Refused::TooOld)) => &mut self.discarded.replayed,
            Some(Err(Refused::Malformed)) => &mut self.discarded.malformed,
            Some(Err(_)) => &mut self.discarded.forged,
        };
        *count += 1;
        false
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        self.opener.as_ref()?.poll_timeout()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(opener) = &mut self.opener {
            opener.handle_timeout(now);
        }
    }
}

/// Keys of ours whose counters are kept: all suites of an offer may have been taken by one fork or
/// another, and one more came with an answer.
const MAX_SEALERS: usize = Profile::ALL.len() + 1;
