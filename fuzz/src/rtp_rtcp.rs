//! RTP and RTCP: packets are printed as they were read, and no train of datagrams breaks a stream.

use bytes::{Bytes, BytesMut};
use rtp::{
    Config, EventReceiver, JitterBuffer, JitterConfig, Latch, Outgoing, Packet, PayloadType,
    Playout, Received, Session, rtcp::Compound,
};
use sipsimple::base::{Clock, Rng};
use std::{
    net::SocketAddr,
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Cuts the input into datagrams, each with a length, a delay and a port before it, and feeds them to
/// all that a stream of speech consists of.
///
/// # Panics
/// A packet is not printed as it was read, a frame is played twice or out of order, a machine does
/// not move on, or one of them panics.
pub fn rtp_rtcp(data: &[u8]) {
    let mut stream = Stream::new();
    let mut rest = data;
    while let [len, delay, port, tail @ ..] = rest {
        let (datagram, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        print_again(datagram);
        stream.step(u64::from(*delay), u16::from(*port % 4), datagram);
    }
}

fn print_again(datagram: &[u8]) {
    if let Ok(packet) = Packet::parse(datagram) {
        let mut out = BytesMut::new();
        packet.write(&mut out);
        assert_eq!(out.len(), datagram.len());
        assert_eq!(Packet::parse(&out), Ok(packet));
        assert_eq!(
            &datagram[packet.payload_offset()..][..packet.payload().len()],
            packet.payload()
        );
    }
    if let Ok(compound) = Compound::parse(datagram) {
        let read: Vec<_> = compound.packets().flatten().collect();
        let mut out = BytesMut::new();
        read.iter().for_each(|packet| packet.write(&mut out));
        assert!(out.len() <= datagram.len());
        // The first packet may be the one that is broken: then what is left is no compound any more.
        if let Ok(again) = Compound::parse(&out) {
            assert_eq!(again.packets().collect::<Result<Vec<_>, _>>(), Ok(read));
        }
    }
}

struct Stream {
    now: Instant,
    session: Session,
    buffer: JitterBuffer,
    events: EventReceiver,
    latch: Latch,
    arena: BytesMut,
    sent: u32,
    /// The number of the frame that was played last.
    played: Option<u64>,
}

impl Stream {
    fn new() -> Self {
        let now = start();
        let types = [0, 101].map(|number| PayloadType {
            number,
            clock_rate: 8_000,
        });
        let config = Config::new(8_000, types.into());
        let clock = Clock::new(now, Duration::from_secs(1_800_000_000));
        Self {
            now,
            session: Session::new(now, config, clock, Rng::from_seed([0; 32])),
            buffer: JitterBuffer::new(JitterConfig::new(8_000)),
            events: EventReceiver::new(),
            latch: Latch::new(address(0)),
            arena: BytesMut::new(),
            sent: 0,
            played: None,
        }
    }

    fn step(&mut self, delay: u64, port: u16, datagram: &[u8]) {
        self.now += Duration::from_millis(delay);
        match self
            .session
            .handle_rtp(self.now, address(port), Bytes::copy_from_slice(datagram))
        {
            Received::Media(frame) => {
                assert!(!frame.payload.is_empty() && frame.payload.len() <= datagram.len());
                self.latch.handle_packet(self.now, address(port));
                self.events.handle_frame(&frame);
                self.buffer.push(frame);
            }
            Received::Placeholder(frame) => {
                assert!(frame.payload.is_empty());
                self.buffer.push(frame);
            }
            Received::Ignored(_) => {}
        }
        self.session.handle_rtcp(self.now, address(port), datagram);
        if self
            .session
            .poll_timeout()
            .is_some_and(|deadline| deadline.at <= self.now)
        {
            self.session.handle_timeout(self.now);
            assert!(
                self.session
                    .poll_timeout()
                    .is_none_or(|deadline| deadline.at > self.now)
            );
        }
        self.send(datagram);
        while self.session.poll_output().is_some() {}
        while self.events.poll_output().is_some() {}
        self.play();
    }

    fn send(&mut self, payload: &[u8]) {
        let outgoing = Outgoing {
            payload_type: 0,
            marker: false,
            timestamp: self.sent.wrapping_mul(160),
            payload,
        };
        self.sent += 1;
        self.session.write(self.now, outgoing, &mut self.arena);
        let packet = self.arena.split();
        assert_eq!(
            Packet::parse(&packet).map(|packet| packet.payload()),
            Ok(payload)
        );
    }

    fn play(&mut self) {
        if let Playout::Play(frame) | Playout::Shorten { frame, .. } = self.buffer.pull(self.now) {
            // After a switch the numbers are another sequence's.
            let first_source = self.buffer.statistics().switches == 0;
            assert!(!first_source || self.played.is_none_or(|played| played < frame.sequence));
            self.played = Some(frame.sequence);
        }
        let statistics = self.session.statistics();
        assert!(statistics.jitter_ms.is_finite() && statistics.jitter_ms >= 0.0);
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 4_000 + port))
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}
