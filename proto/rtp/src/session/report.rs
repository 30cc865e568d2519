//! RTCP both ways (RFC 3550, 6).

use super::{Output, RemoteStatistics, Session, SourceEnd, State};
use crate::{
    rtcp::{
        Bye, Compound, Packet, ReportBlock, Sdes, SenderInfo, write_bye, write_cname, write_report,
    },
    schedule::Group,
    source::Source,
};
use bytes::{Bytes, BytesMut};
use std::{net::SocketAddr, time::Instant};

impl Session {
    /// Takes a datagram of the RTCP port; true if it is a valid compound packet of somebody else, and
    /// may count for a [`Latch`](crate::Latch). Packets of unknown type are ignored (6.1).
    pub fn handle_rtcp(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        let Ok(compound) = Compound::parse(datagram) else {
            self.statistics.malformed += 1;
            return false;
        };
        match &mut self.state {
            State::Joined => self.schedule.observe(datagram.len()),
            State::Leaving { byes } => {
                let count = compound
                    .packets()
                    .filter(|packet| matches!(packet, Ok(Packet::Bye(_))))
                    .count();
                *byes = byes.saturating_add(count as u32);
                if count > 0 {
                    self.schedule.observe(datagram.len());
                }
                return true;
            }
            State::Left => return true,
        }
        for packet in compound.packets().flatten() {
            match packet {
                Packet::SenderReport(report) => {
                    let Some(source) = self.reporter(now, from, report.ssrc) else {
                        return false;
                    };
                    source.handle_sender_report(now, report.info.ntp);
                    report
                        .blocks
                        .iter()
                        .for_each(|block| self.handle_block(now, block));
                }
                Packet::ReceiverReport(report) => {
                    if self.reporter(now, from, report.ssrc).is_none() {
                        return false;
                    }
                    report
                        .blocks
                        .iter()
                        .for_each(|block| self.handle_block(now, block));
                }
                Packet::Sdes(sdes) => self.handle_description(now, from, sdes),
                Packet::Bye(bye) => self.handle_bye(now, bye),
                Packet::App(_) | Packet::Feedback(_) | Packet::Unknown { .. } => {}
            }
        }
        self.statistics.reports_received += 1;
        self.last_rtcp = Some(now);
        true
    }

    /// The source that reports; `None` if it is ourselves, come back.
    fn reporter(&mut self, now: Instant, from: SocketAddr, ssrc: u32) -> Option<&mut Source> {
        if ssrc == self.ssrc && !self.resolve_collision(now, from, true) {
            return None;
        }
        let source = self.find_or_insert(now, ssrc);
        source.heard = now;
        source.left = false;
        // RFC 3550, 6.2.1: the form of RTCP is proof enough.
        source.valid = true;
        Some(source)
    }

    fn handle_block(&mut self, now: Instant, block: ReportBlock) {
        if block.ssrc != self.ssrc {
            return;
        }
        let clock_rate = f64::from(self.timeline.clock_rate.max(1));
        self.statistics.remote = Some(RemoteStatistics {
            packets_lost: block.cumulative_lost,
            fraction_lost: f64::from(block.fraction_lost) / 256.0,
            jitter_ms: f64::from(block.jitter) * 1_000.0 / clock_rate,
        });
        // RFC 3550, 6.4.1. A report that names none of our own would be a time out of the air.
        let named = block.last_sender_report;
        if named == 0 || !self.sender_reports.contains(&named) {
            return;
        }
        let arrived = (self.clock.ntp(now) >> 16) as u32;
        let round_trip = arrived.wrapping_sub(named).wrapping_sub(block.delay) as i32;
        // A peer may round its delay up.
        self.statistics.round_trip_ms = Some(f64::from(round_trip.max(0)) * 1_000.0 / 65_536.0);
    }

    fn handle_description(&mut self, now: Instant, from: SocketAddr, sdes: Sdes<'_>) {
        for chunk in sdes.chunks() {
            if chunk.ssrc == self.ssrc {
                // RFC 3550, 8.2: with our own name it is only our own description, come back.
                let foreign = chunk
                    .cname()
                    .is_some_and(|name| name != self.cname.as_bytes());
                if !foreign || !self.resolve_collision(now, from, true) {
                    continue;
                }
            }
            let source = self.find_or_insert(now, chunk.ssrc);
            source.heard = now;
            source.valid = true;
        }
    }

    fn handle_bye(&mut self, now: Instant, bye: Bye<'_>) {
        for ssrc in bye.ssrcs() {
            let Some(source) = self.find(ssrc) else {
                continue;
            };
            // What is known of its sequence stays: some peers say BYE for hold and go on afterwards.
            if !std::mem::replace(&mut source.left, true) && source.sent.is_some() {
                self.say(Output::SourceLeft {
                    ssrc,
                    end: SourceEnd::Bye,
                });
            }
        }
        let members = self.group().members;
        self.schedule.reconsider(now, members);
    }

    pub(super) fn send_report(&mut self, now: Instant) {
        let compound = self.compound(now, false);
        self.schedule.observe(compound.len());
        self.reported = [Some(now), self.reported[0]];
        self.send(compound);
    }

    pub(super) fn send_bye(&mut self, now: Instant) {
        let compound = self.compound(now, true);
        self.send(compound);
    }

    fn send(&mut self, compound: Bytes) {
        self.known = true;
        self.statistics.reports_sent += 1;
        self.say(Output::Rtcp(compound));
    }

    /// Writes report, canonical name and perhaps BYE (RFC 3550, 6.1).
    pub(super) fn compound(&mut self, now: Instant, bye: bool) -> Bytes {
        let info = self.is_recent(self.last_sent).then(|| {
            let ntp = self.clock.ntp(now);
            self.sender_reports.rotate_right(1);
            self.sender_reports[0] = (ntp >> 16) as u32;
            SenderInfo {
                ntp,
                timestamp: self.timeline.at(now),
                packets: self.packets,
                bytes: self.bytes,
            }
        });
        let mut out = BytesMut::with_capacity(COMPOUND);
        let reported = self
            .sources
            .iter_mut()
            .filter(|source| source.valid && source.unreported);
        let blocks = reported.filter_map(|source| source.report_block(now));
        write_report(&mut out, self.ssrc, info, blocks);
        write_cname(&mut out, self.ssrc, &self.cname);
        if bye {
            write_bye(&mut out, self.ssrc);
        }
        out.freeze()
    }
}

/// While leaving, the group is who says BYE (RFC 3550, 6.3.7).
pub(super) const fn leaving_group(byes: u32) -> Group {
    Group {
        members: byes.saturating_add(1),
        senders: 0,
        we_sent: false,
    }
}

/// Room for a report with two blocks, name and BYE; more allocates.
const COMPOUND: usize = 128;
