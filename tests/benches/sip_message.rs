//! SIP messages: reading, typed access, printing, framing.

use crate::measure::message::{INVITE, invite, message, typed};
use divan::{Bencher, black_box, counter::BytesCount};
use sip::{
    Message, Response, Status, Uri,
    message::frame::{Frame, Framer},
};

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
