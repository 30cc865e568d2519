//! A file over the byte stream, in pieces, with a memory far smaller than the file.
//!
//! The sender writes the size in eight bytes and then the file, and reads the next piece from its
//! disk only when there is room for it. The receiver gives credit only for what its disk has taken,
//! and answers the last byte with one byte.

use bytes::{Bytes, BytesMut};
use sipsimple::{
    agent::{FileDo, FileDone, INITIAL_CREDIT},
    event::StreamEvent,
    stream::{Slot, StreamOutput},
};
use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{ProbeEvent, ProbeOptions};

type Out = VecDeque<StreamOutput>;

#[derive(Debug)]
pub(super) struct Transfer {
    slot: Option<Slot>,
    peer: Option<IpAddr>,
    send: Option<String>,
    stall: Duration,
    stalled_until: Option<Instant>,
    /// Credit that a stalled reader owes.
    owed: u32,
    room: usize,
    state: State,
    leaving: bool,
}

#[derive(Debug)]
enum State {
    Idle,
    /// The file is being opened.
    Opening,
    Sending(Sending),
    Receiving(Receiving),
    Done,
}

#[derive(Debug)]
struct Sending {
    size: u64,
    /// Read from the disk and written to the stream.
    at: u64,
    reading: bool,
    digest: u64,
    peak: usize,
}

#[derive(Debug)]
struct Receiving {
    head: BytesMut,
    size: Option<u64>,
    name: String,
    open: bool,
    /// Given to the disk.
    at: u64,
    written: u64,
    waiting: BytesMut,
    digest: u64,
}

impl Transfer {
    pub(super) fn new(options: &ProbeOptions) -> Self {
        Self {
            slot: None,
            peer: None,
            send: options.send_file.clone(),
            stall: Duration::from_millis(options.stall_ms),
            stalled_until: None,
            owed: 0,
            room: 0,
            state: State::Idle,
            leaving: false,
        }
    }

    pub(super) fn connected(&mut self, slot: Slot, peer: IpAddr, out: &mut Out) {
        self.slot = Some(slot);
        self.peer = Some(peer);
        self.state = match &self.send {
            Some(name) => {
                let name = name.clone();
                push_file(out, FileDo::Open { name });
                State::Opening
            }
            None => State::Receiving(Receiving {
                head: BytesMut::new(),
                size: None,
                name: String::new(),
                open: false,
                at: 0,
                written: 0,
                waiting: BytesMut::new(),
                digest: DIGEST_START,
            }),
        };
    }

    /// Another peer: the stream is made anew, the file begins again.
    pub(super) fn reconnect(&mut self, out: &mut Out) {
        self.discard(out);
        if let Some(slot) = self.slot.take() {
            out.push_back(StreamOutput::Close { slot });
        }
        self.state = State::Idle;
        self.room = 0;
        self.owed = 0;
    }

    /// The other end, if it was ever connected.
    pub(super) const fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    pub(super) const fn leave(&mut self) {
        self.leaving = true;
    }

    pub(super) fn end(&mut self, out: &mut Out) {
        self.discard(out);
        self.state = State::Done;
        self.stalled_until = None;
    }

    pub(super) const fn wake_at(&self) -> Option<Instant> {
        self.stalled_until
    }

    pub(super) fn wake(&mut self, now: Instant, out: &mut Out) {
        if self.stalled_until.is_some_and(|until| until <= now) {
            self.stalled_until = None;
            self.give_credit(out);
        }
    }

    /// True if the slot was ours.
    pub(super) fn closed(&mut self, slot: Slot) -> bool {
        if self.slot != Some(slot) {
            return false;
        }
        self.slot = None;
        true
    }

    pub(super) fn writable(&mut self, slot: Slot, room: usize, out: &mut Out) {
        if self.slot == Some(slot) {
            self.room = room;
            self.read_on(out);
        }
    }

    pub(super) fn bytes(&mut self, now: Instant, slot: Slot, payload: &[u8], out: &mut Out) {
        if self.slot != Some(slot) {
            return;
        }
        match &mut self.state {
            State::Sending(sending) => {
                // The receiver has it all.
                let event = ProbeEvent::Sent {
                    size: sending.size,
                    digest: sending.digest,
                    peak: sending.peak,
                };
                push_event(out, event);
                push_file(out, FileDo::Discard);
                self.state = State::Done;
            }
            State::Receiving(receiving) => {
                if self.stall > Duration::ZERO {
                    self.stalled_until = Some(now + self.stall);
                    self.stall = Duration::ZERO;
                }
                receiving.take(payload, out);
                if receiving.waiting.len() > INITIAL_CREDIT as usize {
                    let what = "more bytes than there was credit for";
                    push_event(out, ProbeEvent::Broken { what });
                }
            }
            State::Idle | State::Opening | State::Done => {}
        }
    }

    pub(super) fn file(&mut self, now: Instant, file: u16, done: FileDone, out: &mut Out) {
        if file != FILE {
            return;
        }
        match (&mut self.state, done) {
            (State::Opening, FileDone::Opened { size, .. }) => {
                self.state = State::Sending(Sending {
                    size,
                    at: 0,
                    reading: false,
                    digest: DIGEST_START,
                    peak: 0,
                });
                let head = Bytes::copy_from_slice(&size.to_be_bytes());
                self.write(head, out);
                self.read_on(out);
            }
            (State::Sending(sending), FileDone::Read { at, data }) => {
                sending.reading = false;
                if at != sending.at {
                    return;
                }
                sending.at += data.len() as u64;
                sending.peak = sending.peak.max(data.len());
                sending.digest = digest(sending.digest, &data);
                self.write(data, out);
                self.read_on(out);
            }
            (State::Receiving(receiving), FileDone::Opened { name, .. }) => {
                receiving.open = true;
                receiving.name = name;
                receiving.write_on(out);
            }
            (State::Receiving(receiving), FileDone::Written { len, .. }) => {
                receiving.written += u64::from(len);
                if Some(receiving.written) == receiving.size {
                    push_file(out, FileDo::Commit);
                }
                self.owed += len;
                if self.stalled_until.is_none_or(|until| until <= now) {
                    self.give_credit(out);
                }
            }
            (State::Receiving(receiving), FileDone::Committed) => {
                let event = ProbeEvent::Received {
                    name: receiving.name.clone(),
                    size: receiving.written,
                    digest: receiving.digest,
                };
                push_event(out, event);
                self.state = State::Done;
                self.write(Bytes::from_static(b"K"), out);
            }
            (State::Opening | State::Sending(_) | State::Receiving(_), FileDone::Failed(_)) => {
                self.state = State::Done;
                let what = "the disk failed";
                push_event(out, ProbeEvent::TransferFailed { what });
            }
            _ => {}
        }
    }

    /// Asks the disk for the next piece if the stream has room for it.
    fn read_on(&mut self, out: &mut Out) {
        let State::Sending(sending) = &mut self.state else {
            return;
        };
        let left = sending.size - sending.at;
        let len = u64::from(PIECE).min(left) as usize;
        if len > 0 && !sending.reading && self.room >= len {
            sending.reading = true;
            let (at, len) = (sending.at, len as u32);
            push_file(out, FileDo::Read { at, len });
        }
    }

    fn write(&mut self, payload: Bytes, out: &mut Out) {
        if let Some(slot) = self.slot {
            self.room = self.room.saturating_sub(payload.len());
            out.push_back(StreamOutput::Write { slot, payload });
        }
    }

    fn give_credit(&mut self, out: &mut Out) {
        let more = std::mem::take(&mut self.owed);
        if let Some(slot) = self.slot.filter(|_| more > 0) {
            out.push_back(StreamOutput::Receive { slot, more });
        }
    }

    fn discard(&self, out: &mut Out) {
        let open = match &self.state {
            State::Idle | State::Done => false,
            State::Opening | State::Sending(_) => true,
            State::Receiving(receiving) => receiving.size.is_some(),
        };
        if open {
            push_file(out, FileDo::Discard);
            if !self.leaving {
                let what = "another peer";
                push_event(out, ProbeEvent::TransferFailed { what });
            }
        }
    }
}

impl Receiving {
    fn take(&mut self, mut payload: &[u8], out: &mut Out) {
        if self.size.is_none() {
            let missing = 8 - self.head.len();
            let (head, rest) = payload.split_at(missing.min(payload.len()));
            self.head.extend_from_slice(head);
            payload = rest;
            let Ok(size) = <[u8; 8]>::try_from(&self.head[..]) else {
                return;
            };
            let size = u64::from_be_bytes(size);
            self.size = Some(size);
            let name = "incoming".to_owned();
            let size = Some(size);
            push_file(out, FileDo::Create { name, size });
        }
        self.waiting.extend_from_slice(payload);
        self.write_on(out);
    }

    fn write_on(&mut self, out: &mut Out) {
        if !self.open || self.waiting.is_empty() {
            return;
        }
        let data = self.waiting.split().freeze();
        self.digest = digest(self.digest, &data);
        let at = self.at;
        self.at += data.len() as u64;
        push_file(out, FileDo::Write { at, data });
    }
}

fn push_file(out: &mut Out, what: FileDo) {
    out.push_back(StreamOutput::File { file: FILE, what });
}

fn push_event(out: &mut Out, event: ProbeEvent) {
    out.push_back(StreamOutput::Event(StreamEvent::Custom(Arc::new(event))));
}

/// FNV-1a, 64 bits.
fn digest(start: u64, data: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    data.iter().fold(start, step)
}

const DIGEST_START: u64 = 0xcbf2_9ce4_8422_2325;
/// The only file of a probe.
const FILE: u16 = 0;
/// All that a sender holds of its file.
const PIECE: u32 = 16 * 1024;
