//! The other side of these tests is bytes, put together from RFC 1035, 4 by hand.

use super::*;
use proptest::prelude::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn question(text: &str, kind: Kind) -> Question {
    Question::new(name(text), kind)
}

/// A header: id 0x1234, these flags, these counts.
fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let words = [0x1234, flags].into_iter().chain(counts);
    words.flat_map(u16::to_be_bytes).collect()
}

fn labels(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut bytes: Vec<u8> = labels
        .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
        .collect();
    bytes.push(0);
    bytes
}

fn asked(text: &str, kind: u16) -> Vec<u8> {
    [labels(text), vec![0, kind as u8, 0, 1]].concat()
}

fn record(owner: &str, kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16).to_be_bytes();
    let head = [labels(owner), vec![0, kind as u8, 0, 1]].concat();
    [&head[..], &ttl.to_be_bytes(), &length, data].concat()
}

fn soa(owner: &str, ttl: u32, minimum: u32) -> Vec<u8> {
    let numbers = [1, 2, 3, 4, minimum].map(u32::to_be_bytes).concat();
    let data = [labels("ns.test"), labels("admin.test"), numbers].concat();
    record(owner, 6, ttl, &data)
}

/// A reply to a question about `text` with these sections.
fn reply(flags: u16, text: &str, kind: u16, answers: &[Vec<u8>], authority: &[Vec<u8>]) -> Reply {
    let counts = [1, answers.len() as u16, authority.len() as u16, 0];
    let sections = [answers.concat(), authority.concat()].concat();
    let bytes = [header(flags, counts), asked(text, kind), sections].concat();
    Reply::parse(&bytes).unwrap()
}

const A: u16 = 1;
const CNAME: u16 = 5;
const SRV: u16 = 33;
const NAPTR: u16 = 35;
const NOERROR: u16 = 0x8180;
const NXDOMAIN: u16 = 0x8183;

#[test]
fn a_query_is_these_bytes() {
    let bytes = query(0x1234, &question("_sip._udp.example.com", Kind::Srv));
    let expected = [
        header(0x0100, [1, 0, 0, 0]),
        b"\x04_sip\x04_udp\x07example\x03com\x00\x00\x21\x00\x01".to_vec(),
    ];
    assert_eq!(bytes[..], expected.concat());
}

#[test]
fn records_are_read() {
    let srv = [&[0, 10, 0, 60, 0x13, 0xc4][..], &labels("SIP.example.com")].concat();
    let found = reply(
        NOERROR,
        "_sip._udp.example.com",
        SRV,
        &[record("_SIP._udp.example.com", SRV, 300, &srv)],
        &[],
    );
    let Said::Records(data, 300) = found.says(&question("_sip._udp.example.com", Kind::Srv)) else {
        panic!("{found:?}");
    };
    assert_eq!(data[0].to_string(), "10 60 5060 sip.example.com");

    let naptr = [
        &[0, 50, 0, 51][..],
        b"\x01S\x08sips+d2t\x00",
        &labels("_sips._tcp.example.com"),
    ];
    let found = reply(
        NOERROR,
        "example.com",
        NAPTR,
        &[record("example.com", NAPTR, 60, &naptr.concat())],
        &[],
    );
    let Said::Records(data, 60) = found.says(&question("example.com", Kind::Naptr)) else {
        panic!("{found:?}");
    };
    assert_eq!(
        data[0].to_string(),
        r#"50 51 "s" "SIPS+D2T" "" _sips._tcp.example.com"#
    );

    let texts = b"\x05http:\x0b//xcap.test";
    let found = reply(
        NOERROR,
        "xcap.test",
        16,
        &[record("xcap.test", 16, 9, texts)],
        &[],
    );
    assert_eq!(
        found.says(&question("xcap.test", Kind::Txt)),
        Said::Records(vec![Data::Txt("http://xcap.test".to_owned())], 9)
    );
}

#[test]
fn only_what_the_question_leads_to_is_believed() {
    let address = |owner: &str, last| record(owner, A, 60, &[192, 0, 2, last]);
    let alias = |owner: &str, to: &str, ttl| record(owner, CNAME, ttl, &labels(to));
    let answers = [
        address("evil.test", 66),
        alias("www.example.com", "a.example.net", 30),
        alias("a.example.net", "b.example.net", 90),
        address("b.example.net", 1),
        address("www.example.com.evil.test", 67),
    ];
    let found = reply(NOERROR, "www.example.com", A, &answers, &[]);
    assert_eq!(
        found.says(&question("www.example.com", Kind::A)),
        Said::Records(vec![Data::A([192, 0, 2, 1].into())], 30)
    );
    // An alias that leads out of the reply is to be followed by a query of its own.
    let found = reply(NOERROR, "www.example.com", A, &answers[..2], &[]);
    assert_eq!(
        found.says(&question("www.example.com", Kind::A)),
        Said::Alias(name("a.example.net"), 30)
    );
    // In a circle it leads nowhere.
    let circle = [alias("a.test", "b.test", 9), alias("b.test", "a.test", 9)];
    let found = reply(NOERROR, "a.test", A, &circle, &[]);
    assert_eq!(found.says(&question("a.test", Kind::A)), Said::Failure);
}

/// RFC 2308: how long it may be remembered that there is nothing, and what only looks like it.
#[test]
fn nothing_is_told_from_failure() {
    let question = question("a.example.com", Kind::A);
    let says = |flags, authority: &[Vec<u8>]| {
        reply(flags, "a.example.com", A, &[], authority).says(&question)
    };
    let zone = soa("example.com", 3_600, 300);
    let zone = std::slice::from_ref(&zone);
    assert_eq!(says(NXDOMAIN, zone), Said::NoName(Some(300)));
    assert_eq!(says(NOERROR, zone), Said::NoRecords(Some(300)));
    assert_eq!(
        says(NOERROR, &[soa("example.com", 5, 300)]),
        Said::NoRecords(Some(5))
    );
    assert_eq!(says(NXDOMAIN, &[]), Said::NoName(None));
    // Somebody else's zone says nothing about this name.
    assert_eq!(
        says(NXDOMAIN, &[soa("evil.test", 9, 9)]),
        Said::NoName(None)
    );
    // A referral: the server is lame (RFC 2308, 2.2.1).
    let referral = record("example.com", 2, 60, &labels("ns.example.com"));
    assert_eq!(says(0x8100, &[referral]), Said::Failure);
    for (code, expected) in [
        (1, Said::Failure),
        (2, Said::Failure),
        (4, Said::Failure),
        (5, Said::Refusal),
    ] {
        assert_eq!(says(0x8180 | code, &[]), expected, "{code}");
    }
}

#[test]
fn truncated_replies_are_not_read_beyond_the_question() {
    // TC: cut in the middle of a record.
    let bytes = [
        header(0x8380, [1, 2, 0, 0]),
        asked("a.test", A),
        vec![1, b'x'],
    ]
    .concat();
    let reply = Reply::parse(&bytes).unwrap();
    assert!(reply.is_truncated);
    assert_eq!(reply.question, Some(question("a.test", Kind::A)));
}

#[test]
fn what_is_no_reply_is_refused() {
    for bytes in [
        Vec::new(),
        vec![0; 11],
        // A query.
        [header(0x0100, [1, 0, 0, 0]), asked("a.test", A)].concat(),
        // A notification.
        [header(0xa400, [1, 0, 0, 0]), asked("a.test", A)].concat(),
        // Two questions.
        [
            header(NOERROR, [2, 0, 0, 0]),
            asked("a.test", A),
            asked("a.test", A),
        ]
        .concat(),
        // Counts of what is not there.
        [header(NOERROR, [1, 1, 0, 0]), asked("a.test", A)].concat(),
        // A name that points at itself.
        [header(NOERROR, [1, 0, 0, 0]), vec![0xc0, 12, 0, 1, 0, 1]].concat(),
    ] {
        assert_eq!(Reply::parse(&bytes), Err(Malformed), "{bytes:?}");
    }
}

#[test]
fn rfc_2181_8_a_time_with_the_highest_bit_is_none() {
    let answer = record("a.test", A, 0x8000_0001, &[192, 0, 2, 1]);
    let found = reply(NOERROR, "a.test", A, &[answer], &[]);
    assert_eq!(
        found.says(&question("a.test", Kind::A)),
        Said::Records(vec![Data::A([192, 0, 2, 1].into())], 0)
    );
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), flags in any::<u16>()) {
        let _ = Reply::parse(&bytes);
        let framed = [header(flags | 0x8000, [1, 3, 2, 1]), asked("a.test", A), bytes].concat();
        if let Ok(reply) = Reply::parse(&framed) {
            let _ = reply.says(&question("a.test", Kind::A));
        }
    }

    #[test]
    fn a_question_comes_back(labels in "[a-z0-9_-]{1,20}(\\.[a-z0-9_-]{1,20}){0,5}", id in any::<u16>()) {
        for kind in KINDS {
            let asked = question(&labels, kind);
            let mut bytes = query(id, &asked).to_vec();
            bytes[2] |= 0x80;
            let reply = Reply::parse(&bytes).unwrap();
            prop_assert_eq!((reply.id, reply.question), (id, Some(asked)));
        }
    }
}
