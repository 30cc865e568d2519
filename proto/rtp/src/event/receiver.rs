//! Receiving digits (RFC 4733, 2.5.2).

use super::{Digit, Report};
use crate::Frame;
use std::collections::VecDeque;

/// The machine that turns event packets into digits (RFC 4733, 2.5.2).
///
/// *Feed* it the frames with the agreed payload type, in any order. *It says* each digit once by
/// [`poll_output`](Self::poll_output), at the first packet of the event that arrives: whichever
/// packets are lost, one is enough. An event is known by its source and its timestamp, so pressing a
/// key twice is two digits and a packet that comes late or twice is none. It has no timers.
#[derive(Clone, Debug, Default)]
pub struct EventReceiver {
    /// The latest events, newest last.
    known: VecDeque<Known>,
    out: VecDeque<ReceivedDigit>,
}

/// A digit that the peer sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceivedDigit {
    /// The digit.
    pub digit: Digit,
    /// The level of the tone, in dBm0 below zero, 0 to 63; 0 also stands for unknown (2.5.2.2).
    pub volume: u8,
    /// The source.
    pub ssrc: u32,
    /// When it began, on the clock of the source.
    pub timestamp: u32,
    /// How long it had lasted in the packet that made it known, in units of that clock.
    pub duration: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Known {
    ssrc: u32,
    timestamp: u32,
    code: u8,
    end: bool,
}

impl EventReceiver {
    /// Starts without any event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a packet. Several events may stand in one, each where the one before ends (2.5.2.4).
    pub fn handle_frame(&mut self, frame: &Frame) {
        let mut timestamp = frame.timestamp;
        for block in frame.payload.chunks_exact(BLOCK).take(MAX_BLOCKS) {
            let report = Report::parse([block[0], block[1], block[2], block[3]]);
            self.handle_report(frame.ssrc, timestamp, report);
            timestamp = timestamp.wrapping_add(u32::from(report.duration));
        }
    }

    /// Takes the next digit.
    pub fn poll_output(&mut self) -> Option<ReceivedDigit> {
        self.out.pop_front()
    }

    fn handle_report(&mut self, ssrc: u32, timestamp: u32, report: Report) {
        let same = |known: &&mut Known| known.ssrc == ssrc && known.timestamp == timestamp;
        if let Some(known) = self.known.iter_mut().find(same) {
            known.end |= report.end;
            return;
        }
        let Some(digit) = Digit::from_code(report.code) else {
            return;
        };
        let before = timestamp.wrapping_sub(u32::from(u16::MAX));
        // RFC 4733, 2.5.2.3: an event without an end that this one continues without a gap.
        let continued = self.known.iter().any(|known| {
            known.ssrc == ssrc
                && known.timestamp == before
                && known.code == report.code
                && !known.end
        });
        if self.known.len() == MAX_KNOWN {
            self.known.pop_front();
        }
        self.known.push_back(Known {
            ssrc,
            timestamp,
            code: report.code,
            end: report.end,
        });
        if continued {
            return;
        }
        if self.out.len() == MAX_OUT {
            self.out.pop_front();
        }
        let Report {
            volume, duration, ..
        } = report;
        self.out.push_back(ReceivedDigit {
            digit,
            volume,
            ssrc,
            timestamp,
            duration,
        });
    }
}

/// Bytes of one event in a payload.
const BLOCK: usize = 4;
/// Events that one packet may hold: more than redundancy ever sends, and few enough to be cheap.
const MAX_BLOCKS: usize = 8;
/// How many events are remembered so that late packets are recognised: two seconds of the fastest
/// digits, while packets come late by a second at most.
const MAX_KNOWN: usize = 16;
/// The owner polls after each frame; one that does not keeps the latest.
const MAX_OUT: usize = 64;
