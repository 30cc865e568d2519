//! What is known of one inbound source: sequence, loss and jitter (RFC 3550, A.1, A.3 and A.8).

use crate::rtcp::ReportBlock;
use std::time::{Duration, Instant};

/// One source of the session, heard in RTP or in RTCP only.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) ssrc: u32,
    /// When anything was heard of it.
    pub(crate) heard: Instant,
    /// When RTP was heard of it; `None` for those that only report.
    pub(crate) sent: Option<Instant>,
    /// True once two packets stood in sequence or RTCP came (RFC 3550, 6.2.1): only then it is a member
    /// of the session that is reported on. Playing does not wait for it.
    pub(crate) valid: bool,
    /// True from its BYE until it is heard again.
    pub(crate) left: bool,
    /// Packets came in since the last report of ours.
    pub(crate) unreported: bool,
    /// Everything that RTP brings; boxed because most members of a large session only report.
    stream: Option<Box<Stream>>,
    report: Option<Report>,
}

/// The last sender report of a source.
#[derive(Clone, Copy, Debug)]
struct Report {
    /// The middle 32 bits of its NTP time.
    ntp: u32,
    arrived: Instant,
}

/// The RTP packets of a source.
#[derive(Clone, Debug)]
struct Stream {
    /// The first sequence number since the last restart, and the highest: extended by cycles.
    base: u64,
    highest: u64,
    /// The cycle that reports call the first: the one of the first packet since the restart.
    origin: u64,
    /// Where a restart would stand if the next packet confirms it.
    restart: Option<Restart>,
    /// Which of the 64 sequence numbers up to the highest came; bit 0 is the highest.
    seen: u64,
    /// Packets since the restart, doubled ones too (A.3), and what they were at the last report.
    received: u64,
    prior: Prior,
    /// What was counted before restarts.
    earlier: Counts,
    counts: Counts,
    transit: Option<Transit>,
    /// In units of `clock_rate`.
    jitter: f64,
    clock_rate: u32,
}

#[derive(Clone, Copy, Debug)]
struct Restart {
    base: u64,
    highest: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Prior {
    expected: u64,
    received: u64,
}

/// Totals over the life of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) lost: u64,
    pub(crate) duplicates: u64,
    pub(crate) reordered: u64,
    pub(crate) restarts: u64,
}

#[derive(Clone, Copy, Debug)]
struct Transit {
    arrived: Instant,
    timestamp: u32,
    clock_rate: u32,
}

/// What the next packet of a source has to say about sequence and time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) now: Instant,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) clock_rate: u32,
    pub(crate) bytes: usize,
}

impl Source {
    /// A source that RTCP told of.
    pub(crate) fn new(now: Instant, ssrc: u32) -> Self {
        Self {
            ssrc,
            heard: now,
            sent: None,
            valid: false,
            left: false,
            unreported: false,
            stream: None,
            report: None,
        }
    }

    /// Takes a packet with media into account and returns its extended sequence number.
    pub(crate) fn handle_media(&mut self, arrival: Arrival) -> u64 {
        self.heard = arrival.now;
        self.sent = Some(arrival.now);
        self.left = false;
        self.unreported = true;
        let stream = self
            .stream
            .get_or_insert_with(|| Box::new(Stream::new(arrival.sequence, arrival.clock_rate)));
        let (extended, place) = stream.place(arrival.sequence);
        stream.count(place);
        stream.counts.packets += 1;
        stream.counts.bytes += arrival.bytes as u64;
        stream.received += 1;
        // RFC 3550, 6.2.1 and A.1: two in sequence make a member.
        self.valid |= place == Place::Next;
        stream.follow_jitter(arrival);
        extended
    }

    /// Takes a packet without media into account, whose sequence number must not count as a loss.
    /// It restarts nothing; `None` if its number is out of the expected range.
    pub(crate) fn handle_placeholder(&mut self, now: Instant, sequence: u16) -> Option<u64> {
        let stream = self.stream.as_mut()?;
        if !stream.expects(sequence) {
            return None;
        }
        self.heard = now;
        let (extended, place) = stream.place(sequence);
        stream.count(place);
        stream.received += 1;
        Some(extended)
    }

    /// Takes a sender report into account.
    pub(crate) fn handle_sender_report(&mut self, now: Instant, ntp: u64) {
        self.report = Some(Report {
            ntp: (ntp >> 16) as u32,
            arrived: now,
        });
    }

    /// The block that reports on this source; the fraction of loss starts anew.
    pub(crate) fn report_block(&mut self, now: Instant) -> Option<ReportBlock> {
        let stream = self.stream.as_mut()?;
        self.unreported = false;
        let expected = stream.expected();
        // RFC 3550, A.3.
        let expected_interval = expected - stream.prior.expected;
        let received_interval = stream.received - stream.prior.received;
        stream.prior = Prior {
            expected,
            received: stream.received,
        };
        let lost_interval = expected_interval.saturating_sub(received_interval);
        let fraction = (lost_interval * 256)
            .checked_div(expected_interval)
            .unwrap_or(0);
        let lost = expected as i64 - stream.received as i64;
        let delay = self.report.map_or(0, |report| {
            in_65536ths(now.saturating_duration_since(report.arrived))
        });
        Some(ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: fraction.min(255) as u8,
            cumulative_lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            // The cycles have 16 bits on the wire.
            highest_sequence: (stream.highest - stream.origin) as u32,
            jitter: stream.jitter as u32,
            last_sender_report: self.report.map_or(0, |report| report.ntp),
            delay,
        })
    }

    /// What was counted since the source was first heard.
    pub(crate) fn counts(&self) -> Counts {
        let Some(stream) = &self.stream else {
            return Counts::default();
        };
        Counts {
            lost: stream.earlier.lost + stream.lost(),
            ..stream.counts
        }
    }

    /// The jitter in seconds.
    pub(crate) fn jitter(&self) -> f64 {
        self.stream
            .as_ref()
            .map_or(0.0, |stream| stream.jitter / f64::from(stream.clock_rate))
    }
}

/// Where a packet stands in the sequence of its source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    First,
    /// Directly behind the highest.
    Next,
    /// Ahead, with a gap.
    Ahead,
    /// Behind the highest, not seen before.
    Behind,
    Duplicate,
    /// Far from everything: a restart if the next packet agrees.
    Astray,
    /// The second packet of a restart.
    Restarted,
}

impl Stream {
    fn new(sequence: u16, clock_rate: u32) -> Self {
        // One cycle up, so that a packet from before the first one has a number, too.
        let first = CYCLE + u64::from(sequence);
        Self {
            base: first,
            highest: first,
            origin: CYCLE,
            restart: None,
            seen: 0,
            received: 0,
            prior: Prior::default(),
            earlier: Counts::default(),
            counts: Counts::default(),
            transit: None,
            jitter: 0.0,
            clock_rate,
        }
    }

    /// How many packets there should have been since the restart.
    fn expected(&self) -> u64 {
        self.highest - self.base + 1
    }

    fn lost(&self) -> u64 {
        (self.expected() + self.counts.duplicates - self.earlier.duplicates)
            .saturating_sub(self.received)
    }

    /// True if the number is neither far ahead nor far behind.
    fn expects(&self, sequence: u16) -> bool {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        !(MAX_DROPOUT..=u16::MAX - MAX_MISORDER).contains(&ahead)
    }

    /// Extends a sequence number and moves the highest (RFC 3550, A.1).
    fn place(&mut self, sequence: u16) -> (u64, Place) {
        if self.seen == 0 {
            self.seen = 1;
            return (self.highest, Place::First);
        }
        let ahead = sequence.wrapping_sub(self.highest as u16);
        if ahead == 0 {
            return (self.highest, Place::Duplicate);
        }
        if ahead < MAX_DROPOUT {
            self.restart = None;
            self.advance(u64::from(ahead));
            return (
                self.highest,
                if ahead == 1 {
                    Place::Next
                } else {
                    Place::Ahead
                },
            );
        }
        let behind = u64::from((self.highest as u16).wrapping_sub(sequence));
        if behind <= u64::from(MAX_MISORDER) {
            let extended = self.highest - behind;
            // Further back than the window reaches, late and doubled cannot be told apart.
            let bit = 1u64.checked_shl(behind as u32).unwrap_or(0);
            let place = if self.seen & bit != 0 {
                Place::Duplicate
            } else {
                Place::Behind
            };
            self.seen |= bit;
            // A packet from before the first one was expected as well.
            self.base = self.base.min(extended);
            return (extended, place);
        }
        self.place_astray(sequence)
    }

    /// A very large jump: either a stray packet, or the sender started again (RFC 3550, A.1). The first
    /// such packet gets a number in a later cycle at once, so that it is not lost if the second agrees.
    fn place_astray(&mut self, sequence: u16) -> (u64, Place) {
        let Some(mut restart) = self.restart else {
            let first = (self.highest / CYCLE + 2) * CYCLE + u64::from(sequence);
            self.restart = Some(Restart {
                base: first,
                highest: first,
            });
            return (first, Place::Astray);
        };
        let ahead = u64::from(sequence.wrapping_sub(restart.highest as u16));
        let behind = u64::from((restart.highest as u16).wrapping_sub(sequence));
        if (1..=RESTART_WINDOW).contains(&ahead) || (1..=RESTART_WINDOW).contains(&behind) {
            // A.1 wants the very next number; a loss or a swap in between must not cost the first packet.
            let extended = if ahead <= RESTART_WINDOW {
                restart.highest + ahead
            } else {
                restart.highest - behind
            };
            restart.base = restart.base.min(extended);
            restart.highest = restart.highest.max(extended);
            self.resynchronise(restart);
            return (extended, Place::Restarted);
        }
        // Another stray one: it stands behind the former, so that numbers never meet.
        let first = (restart.highest / CYCLE + 1) * CYCLE + u64::from(sequence);
        self.restart = Some(Restart {
            base: first,
            highest: first,
        });
        (first, Place::Astray)
    }

    fn resynchronise(&mut self, restart: Restart) {
        self.earlier.lost += self.lost();
        self.earlier.duplicates = self.counts.duplicates;
        self.base = restart.base;
        self.highest = restart.highest;
        self.origin = restart.base / CYCLE * CYCLE;
        self.restart = None;
        self.seen = 1 | 1u64
            .checked_shl((restart.highest - restart.base) as u32)
            .unwrap_or(0);
        // The packet that led here is counted by the caller, the one before it here.
        self.received = 1;
        self.prior = Prior::default();
        self.counts.restarts += 1;
        self.transit = None;
    }

    fn advance(&mut self, by: u64) {
        self.highest += by;
        self.seen = self.seen.checked_shl(by as u32).unwrap_or(0) | 1;
    }

    fn count(&mut self, place: Place) {
        match place {
            Place::Duplicate => self.counts.duplicates += 1,
            Place::Behind => self.counts.reordered += 1,
            // Not received as far as the loss is concerned, until a second packet confirms it.
            Place::Astray => self.received = self.received.saturating_sub(1),
            Place::First | Place::Next | Place::Ahead | Place::Restarted => {}
        }
    }

    /// RFC 3550, A.8, with the clock rate of the earlier packet (RFC 7160, 4.3).
    fn follow_jitter(&mut self, arrival: Arrival) {
        let this = Transit {
            arrived: arrival.now,
            timestamp: arrival.timestamp,
            clock_rate: arrival.clock_rate,
        };
        let Some(last) = self.transit.replace(this) else {
            return;
        };
        let rate = f64::from(last.clock_rate);
        let elapsed = arrival
            .now
            .saturating_duration_since(last.arrived)
            .as_secs_f64()
            * rate;
        let advanced = f64::from(arrival.timestamp.wrapping_sub(last.timestamp) as i32);
        let difference = (elapsed - advanced).abs();
        // A new timeline (transfer, music on hold) says nothing about the network.
        if difference < rate * TIMELINE_JUMP.as_secs_f64() {
            self.jitter += (difference - self.jitter) / 16.0;
        }
        if arrival.clock_rate != self.clock_rate {
            self.jitter *= f64::from(arrival.clock_rate) / f64::from(self.clock_rate);
            self.clock_rate = arrival.clock_rate;
        }
    }
}

/// A duration as report blocks write it; saturates after 18 hours.
fn in_65536ths(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos() * 65_536 / 1_000_000_000).unwrap_or(u32::MAX)
}

/// One cycle of the 16 bits on the wire.
const CYCLE: u64 = 1 << 16;
/// RFC 3550, A.1: a minute at 50 packets a second.
const MAX_DROPOUT: u16 = 3_000;
/// RFC 3550, A.1: two seconds at 50 packets a second.
const MAX_MISORDER: u16 = 100;
/// How near to each other two packets after a jump must be to prove a restart; a stray packet meets
/// another one this closely once in 2,000 times.
const RESTART_WINDOW: u64 = 16;
/// A difference beyond this is no jitter of any network that speech is worth sending over.
const TIMELINE_JUMP: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
