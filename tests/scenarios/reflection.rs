//! How much one forged message draws from us, and towards whom: a whole agent with audio, driven by bytes.
//!
//! The forger writes any source address, so every byte that we send before it has shown that it hears us
//! goes to somebody who asked for nothing.

use crate::wire::{INVITE, origin, request, secs};
use simulator::{Habit, Parcel, Phone};
use sipsimple::{
    agent::{Class, Config, Stats},
    event::{Event, SessionEvent},
    stream::audio::AudioFactory,
};
use std::{net::SocketAddr, time::Duration};

/// An agent that listens on the address that the hand-written messages name.
pub(crate) fn config() -> Config {
    let mut config = Config::new([3; 32], secs(1_795_000_000));
    config.addresses = vec!["192.0.2.4".parse().unwrap()];
    config.udp_port = Some(5060);
    config.tcp_port = Some(5060);
    config.factories = vec![Box::new(AudioFactory::new())];
    config
}

pub(crate) fn phone(habit: Habit) -> Phone {
    let mut phone = Phone::new(origin(), config());
    phone.wait(secs(1));
    phone.habit = habit;
    phone
}

/// RFC 3264, 5, with media for a third party.
const VICTIM: &str = "\
v=0\r\n\
o=- 20518 0 IN IP4 203.0.113.66\r\n\
s= \r\n\
t=0 0\r\n\
c=IN IP4 203.0.113.66\r\n\
m=audio 49170 RTP/AVP 0\r\n";

/// The INVITE of the forger, which names one victim for responses, one for requests, one for media.
pub(crate) fn forged(n: usize) -> String {
    let length = format!("Content-Length: {}", VICTIM.len());
    INVITE
        .replace("Content-Length: 5", &length)
        .replace("\r\n\r\noffer", &format!("\r\n\r\n{VICTIM}"))
        .replace(
            "Contact: <sip:alice@192.0.2.9:5062>",
            "Contact: <sip:alice@203.0.113.55>",
        )
        .replace("a84b4c76e66710", &format!("call{n}"))
        .replace("776asdhds", &format!("branch{n}"))
}

fn source() -> SocketAddr {
    crate::wire::PEER.parse().unwrap()
}

/// Count and bytes of what begins so.
fn drawn(parcels: &[Parcel], start: &str) -> (usize, usize) {
    let lines = parcels
        .iter()
        .filter(|parcel| parcel.payload.starts_with(start.as_bytes()));
    lines.fold((0, 0), |(count, bytes), parcel| {
        (count + 1, bytes + parcel.payload.len())
    })
}

fn media(parcels: &[Parcel]) -> Vec<&Parcel> {
    parcels
        .iter()
        .filter(|parcel| parcel.class == Class::Voice)
        .collect()
}

#[test]
fn a_forged_invite_to_an_agent_that_answers_by_itself() {
    let mut phone = phone(Habit::Accept);
    phone.talks = true;
    let invite = forged(0);
    let start = phone.now();
    phone.datagram(source(), invite.as_bytes());
    phone.wait(secs(100));
    let parcels = phone.take_parcels();
    let media = media(&parcels);
    let last = media.iter().map(|parcel| parcel.at - start).max().unwrap();
    let media_bytes: usize = media.iter().map(|parcel| parcel.payload.len()).sum();
    let ok = drawn(&parcels, "SIP/2.0 200 ");
    let bye = drawn(&parcels, "BYE ");
    let total: usize = parcels.iter().map(|parcel| parcel.payload.len()).sum();
    println!(
        "a forged INVITE of {} bytes draws {} times 200 ({} bytes), {} packets of media ({media_bytes} \
         bytes, the last after {last:?}), {} times BYE ({} bytes): {:.0} times its size",
        invite.len(),
        ok.0,
        ok.1,
        media.len(),
        bye.0,
        bye.1,
        total as f64 / invite.len() as f64,
    );
    // RFC 3261, 13.3.1.4: the first one and ten more in 64·T1.
    assert_eq!(ok.0, 11);
    assert!(last <= secs(2), "media stops after two seconds: {last:?}");
    // 50 packets a second, the one at the limit, and reports.
    assert!((50..=105).contains(&media.len()), "{}", media.len());
    // RFC 3261, 17.1.2.2: timer E, and no end before timer F.
    assert_eq!(bye.0, 11);
    let others = parcels.len() - ok.0 - media.len() - bye.0;
    assert_eq!(others, drawn(&parcels, "SIP/2.0 100 ").0);
    assert_eq!(phone.agent().stats(), Stats::default());
    let did_start =
        |event: &Event| matches!(event, Event::Session(_, SessionEvent::DidStart { .. }));
    assert!(!phone.take_events().iter().any(did_start));
}

#[test]
fn media_goes_on_when_the_ack_comes_late() {
    let mut phone = phone(Habit::Accept);
    phone.talks = true;
    phone.datagram(source(), forged(0).as_bytes());
    phone.wait(secs(10));
    let parcels = phone.take_parcels();
    let ok = parcels
        .iter()
        .find(|parcel| parcel.payload.starts_with(b"SIP/2.0 200"));
    let text = String::from_utf8(ok.unwrap().payload.to_vec()).unwrap();
    let tag = text
        .split("\r\nTo: ")
        .nth(1)
        .unwrap()
        .split("tag=")
        .nth(1)
        .unwrap();
    let tag = tag.split("\r\n").next().unwrap();
    let ack = request("ACK", "ack", Some(tag), 314_159).replace("a84b4c76e66710", "call0");
    phone.datagram(source(), ack.as_bytes());
    phone.take_parcels();
    phone.wait(secs(1));
    let parcels = phone.take_parcels();
    let packets = media(&parcels).len();
    assert!((49..=53).contains(&packets), "{packets}");
    let started = |event: &Event| matches!(event, Event::Session(_, SessionEvent::DidStart { .. }));
    assert!(phone.take_events().iter().any(started));
}

#[test]
fn calls_without_ack_are_64_and_the_next_is_refused() {
    let mut phone = phone(Habit::Accept);
    let size = forged(100).len();
    for n in 100..200 {
        phone.datagram(source(), forged(n).as_bytes());
    }
    let parcels = phone.take_parcels();
    assert_eq!(drawn(&parcels, "SIP/2.0 200 ").0, 64);
    let (refused, bytes) = drawn(&parcels, "SIP/2.0 503 ");
    assert_eq!(refused, 36);
    assert!(bytes <= 3 * size * refused);
    assert_eq!(phone.agent().stats().sip.unacknowledged, 64);
    phone.wait(secs(100));
    let total: usize = phone
        .take_parcels()
        .iter()
        .chain(&parcels)
        .map(|parcel| parcel.payload.len())
        .sum();
    println!(
        "100 forged INVITEs draw {:.1} times their size",
        total as f64 / (100 * size) as f64
    );
    assert_eq!(phone.agent().stats(), Stats::default());
    // There is room again.
    phone.datagram(source(), forged(300).as_bytes());
    assert_eq!(drawn(&phone.take_parcels(), "SIP/2.0 200 ").0, 1);
}

#[test]
fn what_a_refused_or_ignored_invite_draws() {
    for (habit, most) in [
        (Habit::Ignore, 15),
        (Habit::Ring, 15),
        (Habit::Reject(486), 11),
    ] {
        let mut phone = phone(habit);
        let invite = forged(0);
        phone.datagram(source(), invite.as_bytes());
        phone.wait(secs(600));
        let parcels = phone.take_parcels();
        let bytes: usize = parcels.iter().map(|parcel| parcel.payload.len()).sum();
        let ratio = bytes as f64 / invite.len() as f64;
        println!(
            "{habit:?}: {} messages in ten minutes, {ratio:.1} times its size",
            parcels.len()
        );
        assert!(parcels.len() <= most, "{habit:?}: {}", parcels.len());
        assert_eq!(media(&parcels).len(), 0);
    }
}

/// The smallest requests that draw an answer without state, each of another kind.
const SMALL: &[(&str, u16)] = &[
    (
        "OPTIONS sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 OPTIONS\nl:0\n\n",
        200,
    ),
    (
        "OPTIONS a:b SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 OPTIONS\n\n",
        416,
    ),
    (
        "F sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 F\n\n",
        405,
    ),
    (
        "F sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 G\n\n",
        400,
    ),
    ("F sip:a SIP/2.0\nv:SIP/2.0/UDP b\n\n", 400),
    ("F sip:a SIP/9.0\nv:SIP/2.0/UDP b\n\n", 505),
    (
        "BYE sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 BYE\n\n",
        481,
    ),
    (
        "CANCEL sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 CANCEL\n\n",
        481,
    ),
    (
        "INVITE sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 INVITE\nRequire:x\n\n",
        420,
    ),
    (
        "INVITE sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 INVITE\nc:x/y\n\n.",
        415,
    ),
    (
        "INVITE sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 INVITE\nAccept:\n\n",
        406,
    ),
    (
        "INVITE sip:a SIP/2.0\nv:SIP/2.0/UDP b\nf:<a:b>\nt:<a:b>\ni:1\nCSeq:1 INVITE\nl:9\n\n",
        400,
    ),
];

#[test]
fn an_answer_without_state_is_at_most_three_times_its_request() {
    let mut worst = 0.0f64;
    for (small, status) in SMALL {
        let mut phone = phone(Habit::Ignore);
        phone.datagram(source(), small.as_bytes());
        let parcels = phone.take_parcels();
        let bytes: usize = parcels.iter().map(|parcel| parcel.payload.len()).sum();
        let ratio = bytes as f64 / small.len() as f64;
        println!(
            "{status}: {} bytes in, {bytes} out, {ratio:.2}",
            small.len()
        );
        assert_eq!(
            drawn(&parcels, &format!("SIP/2.0 {status} ")).0,
            parcels.len(),
            "{small}"
        );
        assert!(parcels.len() <= 1 && ratio <= 3.0, "{small}: {ratio}");
        worst = worst.max(ratio);
        phone.wait(Duration::from_secs(100));
        assert_eq!(phone.take_parcels(), [], "{small}");
        assert_eq!(phone.agent().stats(), Stats::default(), "{small}");
    }
    println!("answers without state: at most {worst:.2} times their request");
}
