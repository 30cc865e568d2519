//! SIP messages: reading, typed access, printing, framing.
//!
//! Instruction counts, free of noise:
//! `valgrind --tool=callgrind target/release/deps/sip_message-… --ir parse_typed 1000`, twice with different
//! counts; the difference of the totals over that of the counts is the price of one.

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, black_box, counter::BytesCount};
use sip::{
    HeaderName, Message, Response, Status, Uri,
    header::NameAddr,
    message::frame::{Frame, Framer},
};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|argument| argument == "--ir") {
        Some(at) => repeat(
            &arguments[at + 1],
            arguments[at + 2].parse().expect("a count"),
        ),
        None => divan::main(),
    }
}

/// Runs one operation `count` times and nothing else.
fn repeat(name: &str, count: usize) {
    let (bytes, message) = (invite(), message());
    for _ in 0..count {
        match name {
            "parse" => drop(black_box(Message::parse(black_box(bytes.clone())))),
            "parse_typed" => typed(&black_box(
                Message::parse(black_box(bytes.clone())).expect("a message"),
            )),
            "print" => drop(black_box(black_box(&message).to_bytes())),
            _ => panic!("parse, parse_typed or print"),
        }
    }
}

/// A call through one proxy: 15 headers and a description of 337 bytes.
const INVITE: &str = "INVITE sip:carol@chicago.example.net SIP/2.0\r\n\
    Via: SIP/2.0/UDP edge7.denver.example.net:5060;branch=z9hG4bK4e1f0937a.1\r\n\
    Via: SIP/2.0/UDP phone3.denver.example.net:5060;branch=z9hG4bK81c5e;received=198.51.100.7;rport=5060\r\n\
    Max-Forwards: 69\r\n\
    Record-Route: <sip:edge7.denver.example.net;lr>\r\n\
    From: \"Dave\" <sip:dave@denver.example.net>;tag=7ab02cd41e\r\n\
    To: \"Carol\" <sip:carol@chicago.example.net>\r\n\
    Call-ID: 8sK2mQ0fTz61LwXp@denver.example.net\r\n\
    CSeq: 1 INVITE\r\n\
    Contact: <sip:dave@phone3.denver.example.net:5060;transport=udp>\r\n\
    Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, REFER, MESSAGE\r\n\
    Supported: 100rel, replaces, timer\r\n\
    User-Agent: bench-phone/1.0\r\n\
    Date: Sat, 21 Nov 2026 09:00:00 GMT\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 337\r\n\
    \r\n\
    v=0\r\n\
    o=dave 3890844526 38908445260 IN IP4 phone3.denver.example.net\r\n\
    s=-\r\n\
    c=IN IP4 198.51.100.7\r\n\
    t=0 0\r\n\
    m=audio 49172 RTP/AVP 111 9 0 8 101\r\n\
    a=rtpmap:111 opus/48000/2\r\n\
    a=fmtp:111 useinbandfec=1\r\n\
    a=rtpmap:9 G722/8000\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-15\r\n\
    a=ptime:20\r\n\
    a=sendrecv\r\n";

/// The INVITE in a buffer that is shared already, as a runtime hands it in.
fn invite() -> Bytes {
    let bytes = Bytes::from(INVITE.as_bytes().to_vec());
    drop(bytes.clone());
    bytes
}

fn message() -> Message {
    Message::parse(invite()).expect("a message")
}

/// Looks at the eight headers that every transaction and dialog looks at.
fn typed(message: &Message) {
    let headers = message.headers();
    let _ = black_box((headers.via(), headers.from(), headers.to()));
    let _ = black_box((headers.call_id(), headers.cseq(), headers.contact()));
    let _ = black_box(headers.max_forwards());
    let _ = black_box(headers.require::<NameAddr<'_>>(HeaderName::RecordRoute));
}

#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let bytes = invite();
    bencher
        .counter(BytesCount::of_str(INVITE))
        .bench_local(|| Message::parse(black_box(bytes.clone())));
}

#[divan::bench]
fn parse_typed(bencher: Bencher<'_, '_>) {
    let bytes = invite();
    bencher.counter(BytesCount::of_str(INVITE)).bench_local(|| {
        let message = Message::parse(black_box(bytes.clone())).expect("a message");
        typed(&message);
        message
    });
}

#[divan::bench]
fn print(bencher: Bencher<'_, '_>) {
    let message = message();
    bencher
        .counter(BytesCount::of_str(INVITE))
        .bench_local(|| black_box(&message).to_bytes());
}

/// A 200 made of the request, printed.
#[divan::bench]
fn answer(bencher: Bencher<'_, '_>) {
    let Message::Request(request) = message() else {
        panic!("a request");
    };
    bencher.bench_local(|| {
        Response::to_request(black_box(&request), Status::OK, Some("4fc1")).to_bytes()
    });
}

/// Ten messages cut out of a stream that came in pieces of 1,460 bytes.
#[divan::bench]
fn frame(bencher: Bencher<'_, '_>) {
    let stream = INVITE.repeat(10);
    bencher
        .counter(BytesCount::of_str(&stream))
        .bench_local(|| {
            let mut framer = Framer::new();
            let mut messages = 0;
            for piece in black_box(stream.as_bytes()).chunks(1_460) {
                framer.push(piece);
                while let Ok(Some(Frame::Message(message))) = framer.poll() {
                    messages += usize::from(!black_box(message).is_empty());
                }
            }
            assert_eq!(messages, 10);
        });
}

#[divan::bench]
fn compare_uris(bencher: Bencher<'_, '_>) {
    let uri = |text: &str| text.parse::<Uri>().expect("a URI");
    let (a, b) = (
        uri("sip:%61lice@atlanta.com;transport=TCP"),
        uri("sip:alice@AtLanTa.CoM;Transport=tcp"),
    );
    bencher.bench_local(|| assert!(black_box(&a).equivalent(black_box(&b))));
}
