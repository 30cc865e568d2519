//! How audio describes itself, and what it reads out of an agreement (AUS-02, AUS-32, AUS-33).

use super::{AudioFormat, AudioStream, KIND, Role, pairs};
use crate::stream::{
    Agreement, MediaSettings, Refusal,
    rtp::{Agreed as AgreedKeys, Ice, Peer},
};
use rtp::PayloadType;
use sdp::{Agreed, Attribute, Codec, Direction, Media, Rtcp};
use std::time::Duration;

/// What was agreed on: the codec, and the events that go along with it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Format {
    codec: Agreed,
    pub(super) events: Option<Agreed>,
    /// All numbers that the peer may send, with their clocks.
    receives: Vec<PayloadType>,
    packet_time: Duration,
}

impl Format {
    /// Reads both descriptions; `None` if they share no codec.
    pub(super) fn agree(agreed: Agreement<'_>, role: Role) -> Option<Self> {
        let local = agreed.local.media.get(agreed.index)?;
        let remote = agreed.remote.media.get(agreed.index)?;
        let ours = local.codecs();
        let pairs = pairs(&ours, &remote.codecs(), role);
        let codec = pairs
            .iter()
            .find(|pair| !pair.local.is_companion())?
            .clone();
        let goes_along = |pair: &&Agreed| {
            pair.local.is_telephone_event() && pair.local.clock_rate == codec.local.clock_rate
        };
        let events = pairs.iter().find(goes_along).cloned();
        // RFC 3264, 5.1: whatever we list we must be able to receive.
        let receives = ours.iter().map(|codec| PayloadType {
            number: codec.payload_type,
            clock_rate: codec.clock_rate,
        });
        Some(Self {
            receives: receives.collect(),
            packet_time: packet_time(remote),
            codec,
            events,
        })
    }

    pub(super) fn public(&self) -> AudioFormat {
        AudioFormat {
            codec: self.codec.local.name.to_string(),
            sample_rate: self.codec.local.clock_rate,
            channels: self.codec.local.channels,
            send_payload_type: self.codec.send_payload_type(),
            receive_payload_type: self.codec.receive_payload_type(),
            packet_time: self.packet_time,
        }
    }

    /// What the transport needs to know.
    pub(super) fn peer(&self, agreed: Agreement<'_>, keys: AgreedKeys, is_new: bool) -> Peer {
        let (remote, index) = (agreed.remote, agreed.index);
        let is_null = remote.is_connection_null(index);
        let is_muxed = [agreed.local, remote]
            .iter()
            .all(|session| session.media.get(index).is_some_and(Media::has_rtcp_mux));
        Peer {
            rtp: remote.media_address(index).filter(|_| !is_null),
            rtcp: remote.rtcp_address(index).filter(|_| !is_null),
            is_muxed,
            payload_types: self.receives.clone(),
            clock_rate: self.codec.remote.clock_rate,
            keepalive_payload_type: self.codec.send_payload_type(),
            keys,
            is_new,
            is_early: agreed.is_early,
        }
    }

    /// True for the number of the peer's events.
    pub(super) fn is_event(&self, payload_type: u8) -> bool {
        self.events
            .as_ref()
            .is_some_and(|events| events.receive_payload_type() == payload_type)
    }
}

impl AudioStream {
    pub(super) fn describe_offer(&mut self) -> Media {
        // AUS-30: who holds one that holds him says inactive.
        let direction = match self.hold.local_intent && self.hold.by_remote {
            true => Direction::Inactive,
            false => self.wish(),
        };
        // What the peer has agreed to once is what it understands.
        let protocol = match &self.protocol {
            Some(agreed) => agreed.clone(),
            None => self.keys.protocol().into(),
        };
        self.transport.expect_early();
        let keys = self.keys.offer();
        if self.keys.offers_dtls() {
            self.transport.listen();
        }
        let ice = self.transport.ice_mut().map_or_else(Vec::new, Ice::offer);
        // RFC 3264, 8.3.2: no number changes its meaning, whoever gave it.
        let codecs = self.numbers.assign(codecs(&self.settings));
        let may_mux = self.settings.rtcp_mux && !look_like_rtcp(&codecs);
        let mux = match (may_mux, self.transport.is_muxed()) {
            (false, _) => Mux::Off,
            (true, false) => Mux::Offered,
            (true, true) => Mux::Agreed,
        };
        let media = self.describe(&protocol, &codecs, keys, ice, mux, direction);
        self.numbers.learn(&media);
        media
    }

    pub(super) fn describe_answer(
        &mut self,
        remote: &sdp::Session,
        index: usize,
    ) -> Result<Media, Refusal> {
        let offered = remote.media.get(index).ok_or(NOT_ACCEPTABLE)?;
        let agreed = acceptable(&self.settings, remote, index)?;
        let keys = self.keys.answer(remote, index)?;
        let codecs: Vec<Codec> = agreed.into_iter().map(|pair| pair.local).collect();
        let direction = Direction::answer(remote.direction(index), self.wish());
        let ice = self.transport.ice_mut();
        let mux = mux(&self.settings, offered)?;
        let is_relay_only = ice.as_ref().is_some_and(|ice| ice.is_relay_only());
        let ice = ice.map_or_else(Vec::new, |ice| {
            ice.answer(remote, index, mux == Mux::Agreed)
        });
        if is_relay_only && !has_candidates(&ice) {
            return Err(NO_RELAYED_WAY);
        }
        // The offered token is repeated letter by letter.
        let protocol = &offered.protocol;
        Ok(self.describe(protocol, &codecs, keys, ice, mux, direction))
    }

    fn describe(
        &self,
        protocol: &str,
        codecs: &[Codec],
        keys: Vec<Attribute>,
        ice: Vec<Attribute>,
        mux: Mux,
        direction: Direction,
    ) -> Media {
        let agent = self.transport.ice();
        let is_hidden = agent.is_some_and(Ice::is_relay_only);
        let defaults = agent.filter(|_| has_candidates(&ice));
        let local = defaults
            .and_then(|ice| ice.defaults(mux == Mux::Agreed))
            .or_else(|| self.transport.local().filter(|_| !is_hidden));
        // Cut short before the sockets were there: a line without a port is a refused one.
        let port = local.map_or(0, |(rtp, _)| rtp.port());
        let mut media = Media::rtp(KIND, port, protocol.to_owned(), codecs);
        if let Some((rtp, rtcp)) = local {
            media.connections.push(sdp::Connection::new(rtp.ip()));
            if mux != Mux::Agreed {
                // RFC 3605: always said, since not every peer adds one.
                let mut attribute = Rtcp::port(rtcp.port());
                if rtcp.ip() != rtp.ip() {
                    attribute.connection = Some(sdp::Connection::new(rtcp.ip()));
                }
                media.attributes.push(attribute.attribute());
            }
        }
        if mux != Mux::Off {
            media.attributes.push(Attribute::flag("rtcp-mux"));
        }
        for attribute in ice {
            media.attributes.push(attribute);
        }
        media
            .attributes
            .push(Attribute::new("ptime", PACKET_TIME.as_millis()));
        for key in keys {
            media.attributes.push(key);
        }
        media.set_direction(direction);
        media
    }
}

fn has_candidates(ice: &[Attribute]) -> bool {
    ice.iter().any(|attribute| attribute.is("candidate"))
}

/// Tells what an offered line and the settings have in common: one codec and its events.
///
/// # Errors
///
/// The line is none that we can take (AUS-32).
pub(super) fn acceptable(
    settings: &MediaSettings,
    remote: &sdp::Session,
    index: usize,
) -> Result<Vec<Agreed>, Refusal> {
    let offered = remote.media.get(index).ok_or(NOT_ACCEPTABLE)?;
    if offered.rtp_profile().is_none() {
        return Err(Refusal {
            code: 488,
            warning: "transport protocol not available",
        });
    }
    let agreed = sdp::negotiate_codecs(&offered.codecs(), &codecs(settings), sdp::Preference::Ours);
    mux(settings, offered)?;
    let codec = agreed
        .iter()
        .find(|pair| !pair.local.is_companion())
        .ok_or(NOT_ACCEPTABLE)?
        .clone();
    let belongs = |pair: &Agreed| match pair.local.is_companion() {
        true => pair.local.clock_rate == codec.local.clock_rate,
        false => *pair == codec,
    };
    Ok(agreed.into_iter().filter(belongs).collect())
}

/// What a description says of RTCP on the port of RTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mux {
    /// Nothing.
    Off,
    /// It is wished for; RTCP has an address of its own until it is agreed on.
    Offered,
    /// It is so.
    Agreed,
}

/// Whether RTCP goes to the port of RTP if that is how an offered line wants it.
///
/// # Errors
///
/// The line wants nothing else (RFC 8858, 4.3), and we do not.
fn mux(settings: &MediaSettings, offered: &Media) -> Result<Mux, Refusal> {
    let may_mux = settings.rtcp_mux && !look_like_rtcp(&offered.codecs());
    let is_only = offered.attributes.has("rtcp-mux-only");
    match offered.has_rtcp_mux() && may_mux {
        true => Ok(Mux::Agreed),
        false if is_only => Err(NOT_MUXED),
        false => Ok(Mux::Off),
    }
}

/// RFC 5761, 4: packets of these numbers cannot be told from RTCP.
fn look_like_rtcp(codecs: &[Codec]) -> bool {
    let mut numbers = codecs.iter().map(|codec| codec.payload_type);
    numbers.any(|number| (64..=95).contains(&number))
}

/// Our codecs with their payload numbers, and one kind of telephone event for each clock rate.
fn codecs(settings: &MediaSettings) -> Vec<Codec> {
    let mut dynamic = (DYNAMIC..=127).filter(|number| *number != EVENTS);
    let mut codecs = Vec::with_capacity(settings.codecs.len() + 1);
    for known in &settings.codecs {
        // Thirty-one dynamic numbers are more than any list of codecs needs.
        let Some(payload_type) = known.payload_type.or_else(|| dynamic.next()) else {
            break;
        };
        let mut codec = Codec::new(payload_type, known.name.clone(), known.clock_rate);
        codec.channels = u16::from(known.channels);
        codec.parameters = known.fmtp.clone().map(Into::into);
        codecs.push(codec);
    }
    let mut rates: Vec<u32> = codecs.iter().map(|codec| codec.clock_rate).collect();
    rates.sort_unstable();
    rates.dedup();
    let mut number = Some(EVENTS);
    for rate in rates {
        let Some(payload_type) = number.take().or_else(|| dynamic.next()) else {
            break;
        };
        let mut events = Codec::new(payload_type, "telephone-event", rate);
        events.parameters = Some("0-15".into());
        codecs.push(events);
    }
    codecs
}

/// How much sound the peer wants in one packet (RFC 8866, 6.4): ours if it does not say.
fn packet_time(remote: &Media) -> Duration {
    let wished = remote.ptime().unwrap_or(PACKET_TIME);
    let most = remote
        .maxptime()
        .unwrap_or(MAX_PACKET_TIME)
        .min(MAX_PACKET_TIME);
    wished.min(most).max(MIN_PACKET_TIME)
}

const NOT_ACCEPTABLE: Refusal = Refusal {
    code: 488,
    warning: "no common codec",
};
const NOT_MUXED: Refusal = Refusal {
    code: 488,
    warning: "RTCP has a port of its own here",
};
const NO_RELAYED_WAY: Refusal = Refusal {
    code: 488,
    warning: "media go over relays only, which takes ICE",
};
/// The first dynamic payload number (RFC 3551, 6).
const DYNAMIC: u8 = 96;
/// The number that everybody uses for events of 8 kHz codecs.
const EVENTS: u8 = 101;
/// The clock of events until a codec is agreed on.
pub(super) const DTMF_CLOCK_RATE: u32 = 8_000;
/// RFC 3551, 4.2.
const PACKET_TIME: Duration = Duration::from_millis(20);
const MIN_PACKET_TIME: Duration = Duration::from_millis(10);
/// A packet of this much G.711 still fits every path.
const MAX_PACKET_TIME: Duration = Duration::from_millis(120);
