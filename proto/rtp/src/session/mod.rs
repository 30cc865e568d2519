//! One end of an RTP session (RFC 3550).

mod inbound;
mod member;
mod report;

use crate::{
    Header, Packet, ParseError, Statistics,
    schedule::Schedule,
    source::{Counts, Source},
    statistics::RemoteStatistics,
};
use base::{Clock, Deadline, Rng};
use bytes::{Bytes, BytesMut};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// The machine of one RTP session as one of its participants sees it (RFC 3550, 5 to 8).
///
/// *Feed* it each datagram of the RTP port with [`handle_rtp`](Self::handle_rtp) and of the RTCP port
/// with [`handle_rtcp`](Self::handle_rtcp) (on a shared port ask [`Kind::of`](crate::Kind::of)), and
/// each payload to send with [`write`](Self::write). *It says* what an inbound packet is as the answer
/// to that packet, and the rest by [`poll_output`](Self::poll_output): reports to send, sources that
/// come and go. *Wake it* at [`poll_timeout`](Self::poll_timeout): the schedule of its reports (6.3).
///
/// Departures from the RFC: a source is followed when its packets come from another address (8.2 lets
/// one choose), since telephones behind NAT do that; contributing sources are not looked at for
/// collisions, since a conference that sends one mix to all lists each listener as a contributor; and
/// frames are handed over from the first packet of a source on, without the probation of A.1.
#[derive(Clone, Debug)]
pub struct Session {
    clock: Clock,
    rng: Rng,
    payload_types: Vec<PayloadType>,
    cname: String,

    ssrc: u32,
    sequence: u16,
    timeline: Timeline,
    /// Sent with this SSRC: packets and payload bytes.
    packets: u32,
    bytes: u32,
    last_sent: Option<Instant>,
    /// True once anything of this SSRC is on the wire: only then it may say BYE (6.3.7).
    known: bool,

    sources: Vec<Source>,
    /// Where the source of the last packet stood: in a call it is nearly always the next one's.
    recent: usize,
    conflicts: Vec<Conflict>,
    schedule: Schedule,
    /// When the last report was sent, and the one before it.
    reported: [Option<Instant>; 2],
    /// The middle 32 bits of the NTP time in our last sender reports, the latest first.
    sender_reports: [u32; REMEMBERED_REPORTS],
    state: State,

    last_rtp: Option<Instant>,
    last_rtcp: Option<Instant>,
    /// Counts of sources that are gone.
    past: Counts,
    statistics: Statistics,
    out: VecDeque<Output>,
}

/// What a session is made with.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The rate of the clock of outbound timestamps, in Hz.
    pub clock_rate: u32,
    /// What the peer may send; comfort noise is understood without being listed.
    pub payload_types: Vec<PayloadType>,
    /// What all participants together may spend on RTCP, in octets per second. The default is 5 % of
    /// one direction of a call with G.711 (RFC 3551, 2 and RFC 3550, 6.2).
    pub rtcp_bandwidth: f64,
}

impl Config {
    /// Chooses the defaults for everything else.
    pub const fn new(clock_rate: u32, payload_types: Vec<PayloadType>) -> Self {
        Self {
            clock_rate,
            payload_types,
            rtcp_bandwidth: 500.0,
        }
    }
}

/// A payload type that was agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PayloadType {
    /// The number on the wire, 0 to 127 without 64 to 95 (RFC 5761, 4).
    pub number: u8,
    /// The rate of its clock, in Hz.
    pub clock_rate: u32,
}

/// A payload to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outgoing<'a> {
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The marker bit.
    pub marker: bool,
    /// The sampling instant on the application's media clock, in units of the session's clock rate;
    /// the session adds the random offset that RFC 3550, 5.1 asks for.
    pub timestamp: u32,
    /// What to carry; empty for keep-alive.
    pub payload: &'a [u8],
}

/// One inbound RTP payload, in order of arrival: late and doubled ones too, because a
/// [`JitterBuffer`](crate::JitterBuffer) needs all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The payload type.
    pub payload_type: u8,
    /// The marker bit.
    pub marker: bool,
    /// The sequence number, extended so that it never wraps. A restart of the source leaves a gap of
    /// more than a cycle.
    pub sequence: u64,
    /// The timestamp on the wire.
    pub timestamp: u32,
    /// The source.
    pub ssrc: u32,
    /// When it came.
    pub arrived: Instant,
    /// What to play. Empty for a placeholder: its sequence number is accounted for and there is
    /// nothing to play.
    pub payload: Bytes,
}

/// What an inbound datagram of the RTP port turned out to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Received {
    /// Media with a payload type that was agreed on.
    Media(Frame),
    /// Nothing to play (keep-alive, unknown payload type) from a source that is known: a frame with an
    /// empty payload, so that its number does not look like a loss.
    Placeholder(Frame),
    /// Nothing.
    Ignored(Ignored),
}

/// Why an inbound datagram of the RTP port was ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ignored {
    /// It is no RTP.
    Malformed(ParseError),
    /// Its payload type was never agreed on, and its source is not known either.
    UnknownPayloadType(u8),
    /// It is empty, and its source is not known.
    Empty,
    /// It is our own, come back.
    Looped,
    /// The session was left.
    Left,
}

/// What a session has to say.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Output {
    /// A compound packet to send to the peer's RTCP address.
    Rtcp(Bytes),
    /// A source was heard in RTP for the first time.
    SourceJoined {
        /// The source.
        ssrc: u32,
    },
    /// A source is gone.
    SourceLeft {
        /// The source.
        ssrc: u32,
        /// How it went.
        end: SourceEnd,
    },
    /// Our own SSRC changed: another one used it, or the clock rate changed.
    SsrcChanged {
        /// What it was.
        old: u32,
        /// What it is.
        new: u32,
    },
}

/// How a source went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceEnd {
    /// It said BYE.
    Bye,
    /// Nothing was heard of it for five report intervals (RFC 3550, 6.3.5).
    Silent,
}

/// A source address that used our SSRC (RFC 3550, 8.2).
#[derive(Clone, Copy, Debug)]
struct Conflict {
    address: SocketAddr,
    rtcp: bool,
    heard: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Joined,
    /// Waiting to say BYE; how many others said it meanwhile (RFC 3550, 6.3.7).
    Leaving {
        byes: u32,
    },
    Left,
}

/// Where the outbound media clock stands.
#[derive(Clone, Copy, Debug)]
struct Timeline {
    clock_rate: u32,
    /// What is added to the application's timestamps.
    offset: u32,
    /// A moment, and the timestamp on the wire that belongs to it.
    at: Instant,
    timestamp: u32,
}

impl Timeline {
    fn at(&self, now: Instant) -> u32 {
        let elapsed = now.saturating_duration_since(self.at);
        let units = elapsed.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        self.timestamp.wrapping_add(units as u32)
    }

    fn advance(&mut self, now: Instant, timestamp: u32) {
        // Later packets of an event carry the time of its beginning, which is not the time.
        if timestamp.wrapping_sub(self.timestamp) as i32 > 0 {
            self.at = now;
            self.timestamp = timestamp;
        }
    }
}

impl Session {
    /// Joins: SSRC, sequence number, timestamp and canonical name are drawn from `rng` (RFC 3550, 5.1
    /// and RFC 7022, 4.2), and the first report is scheduled.
    pub fn new(now: Instant, config: Config, clock: Clock, mut rng: Rng) -> Self {
        let cname = rng.token(CNAME_LEN);
        let schedule = Schedule::new(now, config.rtcp_bandwidth, FIRST_REPORT, &mut rng);
        let timeline = Timeline {
            clock_rate: config.clock_rate,
            offset: rng.u32(),
            at: now,
            timestamp: rng.u32(),
        };
        Self {
            clock,
            payload_types: config.payload_types,
            cname,
            ssrc: rng.u32(),
            sequence: first_sequence(&mut rng),
            timeline,
            packets: 0,
            bytes: 0,
            last_sent: None,
            known: false,
            sources: Vec::new(),
            recent: 0,
            conflicts: Vec::new(),
            schedule,
            reported: [None; 2],
            sender_reports: [0; REMEMBERED_REPORTS],
            state: State::Joined,
            last_rtp: None,
            last_rtcp: None,
            past: Counts::default(),
            statistics: Statistics::default(),
            out: VecDeque::new(),
            rng,
        }
    }

    /// Writes an RTP packet with the next sequence number behind what `out` has.
    pub fn write(&mut self, now: Instant, outgoing: Outgoing<'_>, out: &mut BytesMut) {
        let timestamp = outgoing.timestamp.wrapping_add(self.timeline.offset);
        self.timeline.advance(now, timestamp);
        let header = Header {
            marker: outgoing.marker,
            payload_type: outgoing.payload_type,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(outgoing.payload.len() as u32);
        self.last_sent = Some(now);
        self.known = true;
        self.statistics.packets_sent += 1;
        self.statistics.bytes_sent += outgoing.payload.len() as u64;
        Packet::new(header, outgoing.payload).write(out);
    }

    /// The application's media time at `now`: what a packet that belongs to no frame of speech (an
    /// event, a keep-alive) takes for its timestamp.
    pub fn media_time(&self, now: Instant) -> u32 {
        self.timeline.at(now).wrapping_sub(self.timeline.offset)
    }

    /// Says that the application's media clock shows `timestamp` at `now`, because it begins or began
    /// anew; the timestamps on the wire go on without a jump.
    pub fn align(&mut self, now: Instant, timestamp: u32) {
        self.timeline.offset = self.timeline.at(now).wrapping_sub(timestamp);
    }

    /// Changes the clock rate of outbound timestamps. Another rate takes another SSRC (RFC 7160, 4.1);
    /// the media time stays what it was.
    pub fn set_clock_rate(&mut self, now: Instant, clock_rate: u32) {
        if clock_rate == self.timeline.clock_rate {
            return;
        }
        let media_time = self.media_time(now);
        self.change_ssrc(now);
        self.timeline.clock_rate = clock_rate;
        self.align(now, media_time);
    }

    /// Replaces what the peer may send.
    pub fn set_payload_types(&mut self, payload_types: Vec<PayloadType>) {
        self.payload_types = payload_types;
    }

    /// Leaves: says BYE if anything was ever sent, at once or in a large group after others had a
    /// chance (RFC 3550, 6.3.7). From then on everything inbound is ignored.
    pub fn leave(&mut self, now: Instant) {
        if self.state != State::Joined {
            return;
        }
        if !self.known {
            self.state = State::Left;
            return;
        }
        if self.group().members > BYE_AT_ONCE {
            self.schedule
                .leave(now, FIRST_REPORT + BYE_LEN, &mut self.rng);
            self.state = State::Leaving { byes: 0 };
        } else {
            self.send_bye(now);
            self.state = State::Left;
        }
    }

    /// Our own SSRC.
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The canonical name, drawn for this session alone (RFC 7022, 4.2).
    pub fn cname(&self) -> &str {
        &self.cname
    }

    /// When media came in last.
    pub const fn last_rtp(&self) -> Option<Instant> {
        self.last_rtp
    }

    /// When a valid compound packet came in last.
    pub const fn last_rtcp(&self) -> Option<Instant> {
        self.last_rtcp
    }

    /// The numbers so far.
    pub fn statistics(&self) -> Statistics {
        let mut counts = self.past;
        self.sources
            .iter()
            .for_each(|source| counts.add(source.counts()));
        let talker = self
            .sources
            .iter()
            .filter(|source| source.sent.is_some())
            .max_by_key(|source| source.sent);
        Statistics {
            packets_received: counts.packets,
            bytes_received: counts.bytes,
            packets_lost: counts.lost,
            duplicates: counts.duplicates,
            reordered: counts.reordered,
            restarts: counts.restarts,
            jitter_ms: talker.map_or(0.0, |source| source.jitter() * 1_000.0),
            ..self.statistics.clone()
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout): the next look at the report schedule.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        (self.state != State::Left).then(|| Deadline::new(self.schedule.next(), "rtcp"))
    }

    /// Sends what is due, and drops the sources that fell silent.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state == State::Left || now < self.schedule.next() {
            return;
        }
        if let State::Leaving { byes } = self.state {
            let group = report::leaving_group(byes);
            if self.schedule.expire(now, group, &mut self.rng) {
                self.send_bye(now);
                self.state = State::Left;
            }
            return;
        }
        self.drop_silent(now);
        let group = self.group();
        if self.schedule.expire(now, group, &mut self.rng) {
            self.send_report(now);
        }
    }

    /// Takes the next thing that the session has to say.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Queues an output; the owner polls after each input, so the limit is met only by one that does not.
    fn say(&mut self, output: Output) {
        if self.out.len() == MAX_OUTPUTS {
            self.out.pop_front();
        }
        self.out.push_back(output);
    }
}

/// Where an SSRC begins: at random (RFC 3550, 5.1), in the lower half, so that whoever misses the first
/// packets still knows how often the number wrapped (RFC 4568, 6.4).
fn first_sequence(rng: &mut Rng) -> u16 {
    rng.u32() as u16 & 0x7fff
}

/// How many sources are kept apart. A call has one, a conference by mixer some more; beyond 50
/// members BYE must be held back (RFC 3550, 6.3.7), which the table has to be able to notice. A flood
/// of invented sources costs 20 KiB at most.
const MAX_SOURCES: usize = 64;
/// "The conflicting address list should be short, usually empty" (RFC 3550, 8.2).
const MAX_CONFLICTS: usize = 4;
/// RFC 3550, 8.2: a conflict is forgotten after ten report intervals.
const CONFLICT_LIFE: Duration = Duration::from_secs(50);
/// Reports of the peer that name an older sender report of ours say nothing about the network now.
const REMEMBERED_REPORTS: usize = 4;
/// One compound packet says at most 31 times BYE; two such inputs fit.
const MAX_OUTPUTS: usize = 64;
/// Above this many members BYE waits (RFC 3550, 6.3.7).
const BYE_AT_ONCE: u32 = 50;
/// 20 characters of 5 bits: RFC 7022, 4.2 asks for at least 96 bits.
const CNAME_LEN: usize = 20;
/// The probable size of the first report (RFC 3550, 6.3.2): SR with one block, and the name.
const FIRST_REPORT: usize = 84;
/// What BYE adds to it.
const BYE_LEN: usize = 8;

#[cfg(test)]
mod tests;
