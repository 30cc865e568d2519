use super::*;
use crate::rtcp::{
    Compound, Packet as Rtcp, ReportBlock, SenderInfo, write_bye, write_cname, write_report,
};

mod group;

#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin for a virtual clock"
)]
fn start() -> Instant {
    Instant::now()
}

const PCMU: PayloadType = PayloadType {
    number: 0,
    clock_rate: 8_000,
};
const EVENT: PayloadType = PayloadType {
    number: 101,
    clock_rate: 8_000,
};

struct End {
    now: Instant,
    session: Session,
    arena: BytesMut,
    time: u32,
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

impl End {
    fn new(seed: u8) -> Self {
        let now = start();
        Self::at(now, seed)
    }

    fn at(now: Instant, seed: u8) -> Self {
        let clock = Clock::new(now, Duration::from_secs(1_800_000_000));
        let config = Config::new(8_000, vec![PCMU, EVENT]);
        let session = Session::new(now, config, clock, Rng::from_seed([seed; 32]));
        Self {
            now,
            session,
            arena: BytesMut::new(),
            time: 0,
        }
    }

    fn speak(&mut self) -> Bytes {
        let outgoing = Outgoing {
            payload_type: 0,
            marker: false,
            timestamp: self.time,
            payload: &[0xff; 160],
        };
        self.time += 160;
        self.session.write(self.now, outgoing, &mut self.arena);
        self.arena.split().freeze()
    }

    fn hear(&mut self, datagram: &[u8]) -> Received {
        self.session
            .handle_rtp(self.now, address(5_000), Bytes::copy_from_slice(datagram))
    }

    fn report(&mut self, datagram: &[u8]) -> bool {
        self.session.handle_rtcp(self.now, address(5_001), datagram)
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll_output()).collect()
    }

    /// Goes to the next deadline and says what came of it.
    fn wake(&mut self) -> Vec<Output> {
        self.now = self.now.max(self.session.poll_timeout().unwrap().at);
        self.session.handle_timeout(self.now);
        self.outputs()
    }

    fn next_compound(&mut self) -> Bytes {
        loop {
            let compound = compounds(self.wake()).next();
            if let Some(compound) = compound {
                return compound;
            }
        }
    }
}

fn compounds(outputs: Vec<Output>) -> impl Iterator<Item = Bytes> {
    outputs.into_iter().filter_map(|output| match output {
        Output::Rtcp(compound) => Some(compound),
        Output::SourceJoined { .. } | Output::SourceLeft { .. } | Output::SsrcChanged { .. } => {
            None
        }
    })
}

/// A packet by hand.
fn rtp(ssrc: u32, payload_type: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, payload_type];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn media(received: Received) -> Frame {
    let Received::Media(frame) = received else {
        panic!("{received:?}")
    };
    frame
}

/// RFC 3550, 5.1: everything random, the sequence rises by one, the timestamp with the media.
/// RFC 4585: what a peer with the AVPF profile says beside its reports is for nobody here, and does no harm.
#[test]
fn feedback_is_tolerated() {
    let mut end = End::new(1);
    let mut compound = BytesMut::new();
    write_report(&mut compound, 77, None, std::iter::empty());
    compound.extend_from_slice(&[0x81, 205, 0, 3, 0, 0, 0, 77]);
    compound.extend_from_slice(&end.session.ssrc().to_be_bytes());
    compound.extend_from_slice(&[0, 5, 0xff, 0xff]);
    compound.extend_from_slice(&[0x81, 206, 0, 2, 0, 0, 0, 77, 0, 0, 0, 1]);
    assert!(end.session.handle_rtcp(end.now, address(1), &compound));
    let statistics = end.session.statistics();
    assert_eq!((statistics.reports_received, statistics.malformed), (1, 0));
    assert_eq!(end.session.poll_output(), None);
    // Alone it is no compound packet (RFC 5506 was not agreed on).
    assert!(!end.session.handle_rtcp(end.now, address(1), &compound[8..]));
}

#[test]
fn what_is_written_is_numbered() {
    let mut end = End::new(1);
    let packets: Vec<Bytes> = (0..3).map(|_| end.speak()).collect();
    let headers: Vec<Header> = packets
        .iter()
        .map(|packet| Packet::parse(packet).unwrap().header)
        .collect();
    for pair in headers.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
        assert_eq!(
            (pair[1].ssrc, pair[1].payload_type),
            (end.session.ssrc(), 0)
        );
    }
    let other = Packet::parse(&End::new(2).speak()).unwrap().header;
    assert!(other.ssrc != headers[0].ssrc && other.sequence != headers[0].sequence);
    assert_ne!(other.timestamp, headers[0].timestamp);
    assert_eq!(end.session.statistics().packets_sent, 3);
    assert_eq!(end.session.statistics().bytes_sent, 480);
}

#[test]
fn media_time_goes_on_between_frames_and_through_events() {
    let mut end = End::new(1);
    end.session.align(end.now, 1_000);
    assert_eq!(
        end.session.media_time(end.now + Duration::from_millis(20)),
        1_160
    );
    end.time = 1_000;
    end.speak();
    end.now += Duration::from_millis(40);
    let began = end.session.media_time(end.now);
    assert_eq!(began, 1_320);
    // Later packets of an event carry the time of its beginning, and do not set the clock back.
    for _ in 0..3 {
        let outgoing = Outgoing {
            payload_type: 101,
            marker: false,
            timestamp: began,
            payload: &[1, 10, 0, 160],
        };
        end.session.write(end.now, outgoing, &mut BytesMut::new());
        end.now += Duration::from_millis(20);
    }
    assert_eq!(end.session.media_time(end.now), 1_320 + 480);
    end.time = 1_320 + 480;
    // The application's clock begins anew: the wire does not jump.
    let before = Packet::parse(&end.speak()).unwrap().header.timestamp;
    end.now += Duration::from_millis(20);
    end.session.align(end.now, 0);
    end.time = 0;
    let after = Packet::parse(&end.speak()).unwrap().header.timestamp;
    assert_eq!(after.wrapping_sub(before), 160);
}

#[test]
fn a_payload_is_a_slice_of_its_datagram() {
    let mut end = End::new(1);
    let mut bytes = rtp(9, 0, 1, 0, b"speech");
    bytes[0] |= 0x20;
    bytes.extend([0, 0, 3]);
    let datagram = Bytes::from(bytes);
    let frame = media(
        end.session
            .handle_rtp(end.now, address(1), datagram.clone()),
    );
    assert_eq!(frame.payload, "speech");
    assert_eq!(frame.payload.as_ptr(), datagram[12..].as_ptr());
    assert_eq!(end.outputs(), [Output::SourceJoined { ssrc: 9 }]);
}

#[test]
fn only_agreed_payload_types_are_media() {
    let mut end = End::new(1);
    let unknown = end.hear(&rtp(9, 96, 1, 0, b"x"));
    assert_eq!(unknown, Received::Ignored(Ignored::UnknownPayloadType(96)));
    assert_eq!(
        end.hear(&rtp(9, 0, 2, 0, b"")),
        Received::Ignored(Ignored::Empty)
    );
    assert!(matches!(
        end.hear(&[0; 20]),
        Received::Ignored(Ignored::Malformed(_))
    ));
    assert_eq!(end.session.last_rtp(), None);
    let first = media(end.hear(&rtp(9, 0, 3, 0, b"x"))).sequence;
    // From a source that is known, both keep their place in the sequence.
    for (payload_type, sequence, payload) in [(96, 4, &b"x"[..]), (0, 5, b"")] {
        let Received::Placeholder(frame) = end.hear(&rtp(9, payload_type, sequence, 0, payload))
        else {
            panic!("{payload_type}");
        };
        assert_eq!(
            (frame.sequence, frame.payload),
            (first + u64::from(sequence) - 3, Bytes::new())
        );
    }
    // Comfort noise needs no agreement (wire rules, media).
    assert_eq!(
        media(end.hear(&rtp(9, 13, 6, 480, b"x"))).sequence,
        first + 3
    );
    let statistics = end.session.statistics();
    assert_eq!(
        (statistics.unknown_payload_types, statistics.malformed),
        (2, 1)
    );
    assert_eq!(
        (statistics.packets_received, statistics.packets_lost),
        (2, 0)
    );
}

/// RFC 3550, 6.4.1: loss, jitter and round trip as the other side tells them.
#[test]
fn two_ends_report_to_each_other() {
    let (mut a, mut b) = (End::new(1), End::new(2));
    b.now = a.now;
    let mut reports = [0; 2];
    for tick in 0..1_500u32 {
        for (sender, receiver) in [(0, 1), (1, 0)] {
            let ends = [&mut a, &mut b];
            let packet = ends[sender].speak();
            // B misses every tenth packet.
            if receiver == 0 || tick % 10 != 5 {
                ends[receiver].hear(&packet);
            }
            if ends[sender]
                .session
                .poll_timeout()
                .is_some_and(|deadline| deadline.at <= ends[sender].now)
            {
                let now = ends[sender].now;
                ends[sender].session.handle_timeout(now);
                for compound in compounds(ends[sender].outputs()) {
                    reports[sender] += 1;
                    let now = ends[receiver].now + Duration::from_millis(50);
                    assert!(
                        ends[receiver]
                            .session
                            .handle_rtcp(now, address(1), &compound)
                    );
                }
            }
        }
        a.now += Duration::from_millis(20);
        b.now += Duration::from_millis(20);
    }
    assert!(
        reports.iter().all(|&count| (4..=10).contains(&count)),
        "{reports:?}"
    );
    let statistics = a.session.statistics();
    let remote = statistics.remote.unwrap();
    assert!((0.08..0.12).contains(&remote.fraction_lost), "{remote:?}");
    assert!((80..=150).contains(&remote.packets_lost), "{remote:?}");
    let round_trip = statistics.round_trip_ms.unwrap();
    assert!((99.0..101.0).contains(&round_trip), "{round_trip}");
    assert_eq!(b.session.statistics().packets_lost, 150);
    assert_eq!(b.session.statistics().remote.unwrap().packets_lost, 0);
}

#[test]
fn a_report_has_the_form_of_6_1() {
    let mut end = End::new(1);
    let compound = end.next_compound();
    let packets: Vec<_> = Compound::parse(&compound)
        .unwrap()
        .packets()
        .map(Result::unwrap)
        .collect();
    let [Rtcp::ReceiverReport(report), Rtcp::Sdes(sdes)] = packets[..] else {
        panic!("{packets:?}")
    };
    assert_eq!(
        (report.ssrc, report.blocks.iter().len()),
        (end.session.ssrc(), 0)
    );
    let cname = sdes.chunks().next().unwrap().cname().unwrap();
    assert_eq!(cname, end.session.cname().as_bytes());
    // RFC 7022, 4.2: 96 bits at least.
    assert!(cname.len() * 5 >= 96);

    let speech = end.speak();
    end.hear(&rtp(9, 0, 7, 0, b"x"));
    end.hear(&rtp(9, 0, 8, 160, b"x"));
    end.now += Duration::from_millis(500);
    let compound = end.next_compound();
    let Rtcp::SenderReport(report) = Compound::parse(&compound)
        .unwrap()
        .packets()
        .next()
        .unwrap()
        .unwrap()
    else {
        panic!("a sender reports what it sent")
    };
    assert_eq!((report.info.packets, report.info.bytes), (1, 160));
    assert_eq!(
        report
            .blocks
            .iter()
            .map(|block| block.ssrc)
            .collect::<Vec<_>>(),
        [9]
    );
    let sent = Packet::parse(&speech).unwrap().header.timestamp;
    assert!(report.info.timestamp.wrapping_sub(sent) >= 4_000);
    // Two reports without speech later it is a receiver again (6.3.8).
    end.next_compound();
    end.next_compound();
    let compound = end.next_compound();
    assert_eq!(compound[1], 201);
}

#[test]
fn a_round_trip_out_of_the_air_is_not_believed() {
    let mut end = End::new(1);
    end.speak();
    let compound = end.next_compound();
    let Rtcp::SenderReport(report) = Compound::parse(&compound)
        .unwrap()
        .packets()
        .next()
        .unwrap()
        .unwrap()
    else {
        panic!("a sender reports")
    };
    let named = (report.info.ntp >> 16) as u32;
    let block = |last_sender_report, delay| ReportBlock {
        ssrc: report.ssrc,
        last_sender_report,
        delay,
        ..ReportBlock::default()
    };
    end.now += Duration::from_millis(250);
    for (block, expected) in [
        (block(named.wrapping_add(1), 0), None),
        (block(named, 0x2000), Some(125)),
        (block(named, 0x8000), Some(0)),
    ] {
        let mut compound = BytesMut::new();
        let info = SenderInfo::default();
        write_report(&mut compound, 9, Some(info), [block].into_iter());
        assert!(end.report(&compound));
        let round_trip = end
            .session
            .statistics()
            .round_trip_ms
            .map(|ms| ms.round() as i32);
        assert_eq!(round_trip, expected);
    }
}

#[test]
fn no_bytes_break_a_session() {
    let mut rng = Rng::from_seed([5; 32]);
    let mut end = End::new(1);
    for round in 0..20_000u32 {
        let mut bytes = vec![0; rng.below(64) as usize];
        rng.fill(&mut bytes);
        if let [first, second, ..] = &mut bytes[..] {
            *first = 0x80 | *first & 0x3f;
            if round % 2 == 0 {
                *second = 200 + (*second & 7);
            }
        }
        end.hear(&bytes);
        end.report(&bytes);
        end.now += Duration::from_millis(u64::from(rng.below(30)));
        if end.session.poll_timeout().unwrap().at <= end.now {
            end.session.handle_timeout(end.now);
            assert!(end.session.poll_timeout().unwrap().at > end.now, "progress");
        }
        end.outputs();
    }
    assert!(end.session.sources.len() <= MAX_SOURCES);
}
