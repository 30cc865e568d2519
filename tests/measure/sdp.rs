//! Descriptions of sessions: reading, printing, answering.

use super::Operation;
use sdp::{Codec, Media, Origin, Preference, Session, negotiate_codecs};
use std::hint::black_box;

/// A telephone's offer of five formats.
const TELEPHONE: &str = "v=0\r\n\
    o=alice 3890844521 3890844521 IN IP4 client.example.com\r\n\
    s=-\r\n\
    c=IN IP4 198.51.100.20\r\n\
    t=0 0\r\n\
    m=audio 40172 RTP/AVP 96 9 0 8 101\r\n\
    a=rtpmap:96 opus/48000/2\r\n\
    a=fmtp:96 useinbandfec=1\r\n\
    a=rtpmap:9 G722/8000\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-15\r\n\
    a=ptime:20\r\n\
    a=sendrecv\r\n";

/// A browser's offer: ICE, DTLS, seven formats.
const BROWSER: &str = "v=0\r\n\
    o=- 5611731400430051337 2 IN IP4 127.0.0.1\r\n\
    s=-\r\n\
    t=0 0\r\n\
    a=group:BUNDLE 0\r\n\
    m=audio 40170 UDP/TLS/RTP/SAVPF 111 9 0 8 13 110 126\r\n\
    c=IN IP4 198.51.100.141\r\n\
    a=rtcp:9 IN IP4 0.0.0.0\r\n\
    a=candidate:1 1 udp 2122260223 192.0.2.11 51000 typ host generation 0\r\n\
    a=candidate:2 1 udp 2122259967 192.0.2.12 51001 typ host generation 0\r\n\
    a=candidate:3 1 udp 2122259711 192.0.2.13 51002 typ host generation 0\r\n\
    a=candidate:4 1 udp 2122259455 192.0.2.14 51003 typ host generation 0\r\n\
    a=candidate:5 1 udp 1686052607 198.51.100.141 61001 typ srflx raddr 192.0.2.11 rport 51000\r\n\
    a=ice-ufrag:7ggX\r\n\
    a=ice-pwd:zxc77fgpdcc666uzjYhagYf01\r\n\
    a=fingerprint:sha-256 C1:A8:20:7E:CE:13:C7:3C:DC:C1:EE:14:8D:9E:5E:A7:23:9D:42:B8:D5:\
    E2:7E:E1:53:04:E9:D7:6E:42:1C:27\r\n\
    a=setup:actpass\r\n\
    a=mid:0\r\n\
    a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
    a=sendrecv\r\n\
    a=rtcp-mux\r\n\
    a=rtpmap:111 opus/48000/2\r\n\
    a=rtcp-fb:111 transport-cc\r\n\
    a=fmtp:111 minptime=10;useinbandfec=1\r\n\
    a=rtpmap:9 G722/8000\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:13 CN/8000\r\n\
    a=rtpmap:110 telephone-event/48000\r\n\
    a=rtpmap:126 telephone-event/8000\r\n\
    a=ssrc:2570614609 cname:3SNj31lRiWBjUHz5\r\n";

const OFFERS: [(&str, &str); 2] = [("telephone", TELEPHONE), ("browser", BROWSER)];

pub(crate) fn text(name: &str) -> &'static str {
    OFFERS
        .into_iter()
        .find(|(other, _)| *other == name)
        .map_or("", |(_, text)| text)
}

pub(crate) fn session(name: &str) -> Session {
    Session::parse(text(name).as_bytes()).expect("a description")
}

/// From the text of an offer to the text of its answer.
pub(crate) fn answer(offer: &[u8]) -> String {
    let ours = [
        Codec::new(0, "PCMU", 8_000),
        Codec::new(8, "PCMA", 8_000),
        Codec::new(101, "telephone-event", 8_000),
    ];
    let offer = Session::parse(offer).expect("a description");
    let agreed = negotiate_codecs(&offer.media[0].codecs(), &ours, Preference::Ours);
    let local: Vec<Codec> = agreed.into_iter().map(|pair| pair.local).collect();
    let media = Media::rtp("audio", 5004, "RTP/AVP", &local);
    let origin = Origin::new(1, std::net::Ipv4Addr::LOCALHOST.into());
    let answer = Session::answer(&offer, origin, vec![Some(media)]);
    answer.expect("a media stream we know").print()
}

pub(crate) fn operations() -> Vec<Operation> {
    OFFERS
        .into_iter()
        .flat_map(|(name, text)| {
            [
                Operation::new(format!("sdp/parse {name}"), 1, move || {
                    move || drop(black_box(Session::parse(black_box(text.as_bytes()))))
                }),
                Operation::new(format!("sdp/print {name}"), 1, move || {
                    let session = session(name);
                    move || drop(black_box(black_box(&session).print()))
                }),
                Operation::new(format!("sdp/answer {name}"), 1, move || {
                    move || drop(black_box(answer(black_box(text.as_bytes()))))
                }),
            ]
        })
        .collect()
}
