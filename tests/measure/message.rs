//! A SIP message: reading, typed access, printing.

use super::Operation;
use bytes::Bytes;
use sip::{HeaderName, Message, header::NameAddr};
use std::hint::black_box;

/// A call through one proxy: 15 headers and a description of 337 bytes.
pub(crate) const INVITE: &str = "INVITE sip:carol@chicago.example.net SIP/2.0\r\n\
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
pub(crate) fn invite() -> Bytes {
    let bytes = Bytes::from(INVITE.as_bytes().to_vec());
    drop(bytes.clone());
    bytes
}

pub(crate) fn message() -> Message {
    Message::parse(invite()).expect("a message")
}

/// Looks at the eight headers that every transaction and dialog looks at.
pub(crate) fn typed(message: &Message) {
    let headers = message.headers();
    let _ = black_box((headers.via(), headers.from(), headers.to()));
    let _ = black_box((headers.call_id(), headers.cseq(), headers.contact()));
    let _ = black_box(headers.max_forwards());
    let _ = black_box(headers.require::<NameAddr<'_>>(HeaderName::RecordRoute));
}

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("sip/parse", 1, || {
            let bytes = invite();
            move || drop(black_box(Message::parse(black_box(bytes.clone()))))
        }),
        Operation::new("sip/parse, 8 headers typed", 1, || {
            let bytes = invite();
            move || typed(&Message::parse(black_box(bytes.clone())).expect("a message"))
        }),
        Operation::new("sip/print", 1, || {
            let message = message();
            move || drop(black_box(black_box(&message).to_bytes()))
        }),
    ]
}
