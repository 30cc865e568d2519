//! The table of sources, and what happens when two of them are one (RFC 3550, 6.2.1 and 8.2).

use super::{CONFLICT_LIFE, Conflict, MAX_CONFLICTS, MAX_SOURCES, Output, Session, SourceEnd};
use crate::{
    schedule::Group,
    source::{Counts, Source},
};
use std::{net::SocketAddr, time::Instant};

impl Session {
    /// The source with this SSRC.
    pub(super) fn find(&mut self, ssrc: u32) -> Option<&mut Source> {
        let place = self.place_of(ssrc)?;
        Some(&mut self.sources[place])
    }

    /// The source with this SSRC, made if it is not known.
    pub(super) fn find_or_insert(&mut self, now: Instant, ssrc: u32) -> &mut Source {
        let place = match self.place_of(ssrc) {
            Some(place) => place,
            None if self.sources.len() < MAX_SOURCES => {
                self.sources.push(Source::new(now, ssrc));
                self.sources.len() - 1
            }
            None => {
                // Whoever proved to be there stays before whoever did not, then the one heard last.
                let worth = |source: &Source| (source.valid, source.heard);
                let place = (0..self.sources.len())
                    .min_by_key(|&place| worth(&self.sources[place]))
                    .unwrap_or(0);
                self.past.add(self.sources[place].counts());
                self.sources[place] = Source::new(now, ssrc);
                place
            }
        };
        self.recent = place;
        &mut self.sources[place]
    }

    fn place_of(&mut self, ssrc: u32) -> Option<usize> {
        if self
            .sources
            .get(self.recent)
            .is_some_and(|source| source.ssrc == ssrc)
        {
            return Some(self.recent);
        }
        let place = self.sources.iter().position(|source| source.ssrc == ssrc)?;
        self.recent = place;
        Some(place)
    }

    /// How large the session is, for the schedule.
    pub(super) fn group(&self) -> Group {
        let members = self
            .sources
            .iter()
            .filter(|source| source.valid && !source.left);
        let senders = members
            .clone()
            .filter(|source| self.is_recent(source.sent))
            .count() as u32;
        let we_sent = self.is_recent(self.last_sent);
        Group {
            members: members.count() as u32 + 1,
            senders: senders + u32::from(we_sent),
            we_sent,
        }
    }

    /// True for RTP since the second previous report (RFC 3550, 6.3.8).
    pub(super) fn is_recent(&self, sent: Option<Instant>) -> bool {
        sent.is_some_and(|sent| self.reported[1].is_none_or(|report| sent >= report))
    }

    /// Drops who was not heard for five intervals (RFC 3550, 6.3.5).
    pub(super) fn drop_silent(&mut self, now: Instant) {
        let life = self.schedule.receiver_interval(self.group()) * 5;
        let mut place = 0;
        while let Some(source) = self.sources.get(place) {
            if now.saturating_duration_since(source.heard) <= life {
                place += 1;
                continue;
            }
            let source = self.sources.remove(place);
            self.past.add(source.counts());
            if source.sent.is_some() && !source.left {
                self.say(Output::SourceLeft {
                    ssrc: source.ssrc,
                    end: SourceEnd::Silent,
                });
            }
        }
        self.conflicts
            .retain(|conflict| now.saturating_duration_since(conflict.heard) <= CONFLICT_LIFE);
        let members = self.group().members;
        self.schedule.reconsider(now, members);
    }

    /// Handles a packet with our own SSRC that came from `from` (RFC 3550, 8.2): the first time we
    /// choose another SSRC and the packet is somebody else's (true), after that it is ours, come back
    /// in a loop (false).
    pub(super) fn resolve_collision(&mut self, now: Instant, from: SocketAddr, rtcp: bool) -> bool {
        let known = self
            .conflicts
            .iter_mut()
            .find(|known| known.address == from && known.rtcp == rtcp);
        if let Some(conflict) = known {
            conflict.heard = now;
            self.statistics.looped += 1;
            return false;
        }
        if self.conflicts.len() == MAX_CONFLICTS {
            self.conflicts.remove(0);
        }
        self.conflicts.push(Conflict {
            address: from,
            rtcp,
            heard: now,
        });
        self.change_ssrc(now);
        true
    }

    /// Takes another SSRC, and with it another sequence and other timestamps.
    pub(super) fn change_ssrc(&mut self, now: Instant) {
        let old = self.ssrc;
        if self.known {
            self.send_bye(now);
        }
        // One in four billion draws finds a number that is in use.
        self.ssrc = loop {
            let ssrc = self.rng.u32();
            if ssrc != old && self.place_of(ssrc).is_none() {
                break ssrc;
            }
        };
        self.sequence = super::first_sequence(&mut self.rng);
        let media_time = self.media_time(now);
        self.timeline.at = now;
        self.timeline.timestamp = self.rng.u32();
        self.align(now, media_time);
        self.packets = 0;
        self.bytes = 0;
        self.last_sent = None;
        self.known = false;
        self.say(Output::SsrcChanged {
            old,
            new: self.ssrc,
        });
    }
}

impl Counts {
    pub(super) fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
        self.restarts += other.restarts;
    }
}
