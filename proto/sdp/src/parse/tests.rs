//! Wire rules, "SDP in the wild": each case is written by hand from what peers send.

use proptest::prelude::*;

use super::*;
use crate::{Direction, Fmtp};

const HEAD: &str = "v=0\no=- 1 1 IN IP4 192.0.2.1\n";

fn parse(text: &str) -> Session {
    Session::parse(text.as_bytes()).expect("a description")
}

fn refused(text: &[u8]) -> ParseError {
    Session::parse(text).expect_err("no description")
}

/// SDP-01, SDP-02, SDP-07: lines of every type, of the session and of media, read and written alike.
#[test]
fn every_line_of_a_full_description_is_kept() {
    let text = "v=0\r\n\
        o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\n\
        s=Call to John Smith\r\n\
        i=SDP Offer #1\r\n\
        u=http://www.jdoe.example.com/home.html\r\n\
        e=Jane Doe <jane@jdoe.example.com>\r\n\
        e=j@example.org\r\n\
        p=+1 617 555-6011\r\n\
        c=IN IP4 198.51.100.1\r\n\
        b=X-YZ:128\r\n\
        t=3724394400 3724398000\r\n\
        r=7d 1h 0 25h\r\n\
        r=604800 3600 0 90000\r\n\
        z=3730928400 -1h 3749680800 0\r\n\
        t=0 0\r\n\
        k=prompt\r\n\
        a=tool:none\r\n\
        a=x-unknown\r\n\
        m=audio 49170/2 RTP/AVP 0 97\r\n\
        i=main\r\n\
        c=IN IP6 2001:db8::2\r\n\
        c=IN IP6 2001:db8::3\r\n\
        b=AS:64\r\n\
        b=TIAS:64000\r\n\
        k=clear:x\r\n\
        a=rtpmap:97 iLBC/8000\r\n\
        a=x-other:  with: colons \u{fc}\r\n\
        a=rtpmap:97 iLBC/8000\r\n\
        m=message 2855 TCP/MSRP *\r\n";
    let session = parse(text);
    assert_eq!(session.print(), text);
    assert_eq!(session.emails.len(), 2);
    assert_eq!(session.times.len(), 2);
    assert_eq!(
        session.times[0].repeats,
        ["7d 1h 0 25h", "604800 3600 0 90000"]
    );
    assert_eq!(session.times[0].zone, "3730928400 -1h 3749680800 0");
    assert_eq!(session.media[0].port_count, 2);
    assert_eq!(session.media[0].bandwidth[1].value, "64000");
    assert_eq!(session.media[0].connections.len(), 2);
    assert_eq!(session.media[1].formats, ["*"]);
}

#[test]
fn any_line_end_and_no_last_one() {
    let strict = parse(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=x\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=ptime:20\r\n",
    );
    for end in ["\n", "\r", "\r\n", "\r\r\n", "\n\n", " \t\r\n", "\0"] {
        let lines = "v=0|o=- 1 1 IN IP4 192.0.2.1|s=x|t=0 0|m=audio 9 RTP/AVP 0|a=ptime:20";
        assert_eq!(parse(&lines.replace('|', end)), strict, "{end:?}");
        assert_eq!(
            parse(&(lines.replace('|', end) + end)),
            strict,
            "{end:?} at the end"
        );
        assert_eq!(
            parse(&format!("{end}{}", lines.replace('|', end))),
            strict,
            "{end:?} before"
        );
    }
}

#[test]
fn missing_lines_are_supplied() {
    let session = parse("v=0\no=- 1 1 IN IP4 192.0.2.1\nm=audio 9 RTP/AVP 0\n");
    assert_eq!(session.name, "-");
    assert!(session.times.is_empty());
    assert_eq!(
        session.print(),
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
    );
    assert_eq!(
        parse(&format!("{HEAD}s= \nt=\n")).print(),
        parse(HEAD).print()
    );
}

#[test]
fn order_duplicates_and_unknown_lines() {
    let session = parse(
        "v=0\nt=0 0\ns=one\ns=two\ni=\nx=unknown\nno line at all\na=\na=:value\nb=broken\nr=7d 1h\n\
         o=- 1 1 IN IP4 192.0.2.1\no=- 2 2 IN IP4 192.0.2.2\nc=IN IP4 192.0.2.3\nc=IN IP4 192.0.2.4\n\
         m=audio 9 RTP/AVP 0\ns=late\nt=1 1\no=- 3 3 IN IP4 192.0.2.3\ni=one\ni=two\na=  sendonly\n",
    );
    assert_eq!(session.name, "one");
    assert_eq!(session.origin.id, "1");
    assert_eq!(
        session.connection.as_ref().map(|c| &*c.address),
        Some("192.0.2.3")
    );
    assert_eq!(session.info, "");
    assert!(session.attributes.is_empty() && session.bandwidth.is_empty());
    assert_eq!(session.times[0].repeats, ["7d 1h"]);
    assert_eq!(session.times.len(), 1);
    assert_eq!(session.media[0].info, "one");
    assert_eq!(session.direction(0), Direction::SendOnly);
}

#[test]
fn origins_as_they_come() {
    let origin = |line: &str| parse(&format!("v=0\no={line}\n")).origin;
    let long = origin("- 18446744073709551616 99999999999999999999999 IN IP6 ::1");
    assert_eq!(
        (&*long.id, &*long.version),
        ("18446744073709551616", "99999999999999999999999")
    );
    assert_eq!(
        origin("John  Q. Doe 1 2 IN IP4 192.0.2.1").user,
        "John  Q. Doe"
    );
    assert_eq!(origin(" 1 2 IN IP4 192.0.2.1").user, "-", "an empty name");
    assert_eq!(origin("1 2 IN IP4 192.0.2.1").user, "-", "no name");
    let odd = origin("-  x -1  in ip4 host.example.com");
    assert_eq!((&*odd.id, &*odd.connection.net_type), ("x", "in"));
}

#[test]
fn bytes_that_are_not_utf8() {
    let text = b"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=caf\xe9\nm=audio 9 RTP/AVP 0\na=x:\xff\n";
    let session = Session::parse(text).expect("a wrong byte in a title costs no call");
    assert_eq!(session.name, "caf\u{fffd}");
    assert_eq!(session.media[0].attributes.value("x"), Some("\u{fffd}"));
}

#[test]
fn media_lines_as_they_come() {
    let media = |line: &str| parse(&format!("{HEAD}m={line}\n")).media.remove(0);
    assert!(
        media("audio 0 RTP/AVP").formats.is_empty(),
        "a refused line without formats"
    );
    assert_eq!(media("audio  9  RTP/AVP  0   8 ").formats, ["0", "8"]);
    assert_eq!(media("audio 9/0 RTP/AVP 0").port_count, 1);
    assert_eq!(
        media("AUDIO 9 rtp/Avp 0").protocol,
        "rtp/Avp",
        "letter by letter"
    );
    for bad in [
        "",
        "audio",
        "audio 9",
        "audio x RTP/AVP 0",
        "audio 65536 RTP/AVP 0",
        "audio 9/x RTP/AVP 0",
    ] {
        let text = format!("{HEAD}m={bad}\n");
        let error = refused(text.as_bytes());
        assert_eq!(
            (error.what, error.kind),
            ("m= line", ParseErrorKind::Malformed),
            "{bad}"
        );
        assert_eq!(error.at, HEAD.len(), "{bad}");
    }
}

#[test]
fn attributes_of_any_case_and_number() {
    let session = parse(&format!(
        "{HEAD}m=audio 9 RTP/AVP 0 97\na=RTPMAP:97 ILBC/8000\na=FMTP:97 mode=20\na=fmtp:97 mode=30\n\
         a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\na=candidate:1 1 UDP 1 192.0.2.1 9 typ host\n\
         a=ice-ufrag:abcd\na=ice-ufrag:abcd\n"
    ));
    let media = &session.media[0];
    let codecs = media.codecs();
    assert_eq!((&*codecs[0].name, &*codecs[1].name), ("PCMU", "ILBC"));
    let mode = codecs[1]
        .parameters
        .as_deref()
        .and_then(|all| Fmtp::parameter(all, "mode"));
    assert_eq!(mode, Some("20"), "the first counts");
    assert_eq!(media.attributes.all("candidate").count(), 2);
}

#[test]
fn texts_that_are_no_description() {
    let kind = |text: &[u8]| (refused(text).what, refused(text).kind);
    let missing = ParseErrorKind::Missing;
    for text in [
        &b""[..],
        b"\r\n",
        b"v=1\n",
        b"v=\n",
        b"o=- 1 1 IN IP4 192.0.2.1\nv=0\n",
        b"<html>",
        b"\0\0\0",
    ] {
        assert_eq!(kind(text), ("v= line", missing), "{text:?}");
    }
    assert_eq!(kind(b"v=0\ns=-\nt=0 0\n"), ("o= line", missing));
    let malformed = ParseErrorKind::Malformed;
    assert_eq!(kind(b"v=0\no=1 IN IP4 192.0.2.1\n"), ("o= line", malformed));
    assert_eq!(
        kind(format!("{HEAD}c=IN IP4\n").as_bytes()),
        ("c= line", malformed)
    );
    let shown = refused(format!("{HEAD}c=IN IP4\n").as_bytes()).to_string();
    assert_eq!(shown, "c= line: is malformed (at byte 29)");
}

#[test]
fn limits() {
    let over = |text: String, what| {
        let error = refused(text.as_bytes());
        assert_eq!((error.what, error.kind), (what, ParseErrorKind::TooMany));
    };
    let under = |text: String| assert!(Session::parse(text.as_bytes()).is_ok());
    let media = |count: usize| HEAD.to_owned() + &"m=x 1 y z\n".repeat(count);
    under(media(MAX_MEDIA));
    over(media(MAX_MEDIA + 1), "m= lines");
    let attributes = |count: usize| format!("{HEAD}a=x\nm=x 1 y z\n{}", "a=x\n".repeat(count - 1));
    under(attributes(MAX_ATTRIBUTES));
    over(attributes(MAX_ATTRIBUTES + 1), "a= lines");
    let formats = |count: usize| format!("{HEAD}m=x 1 y{}\n", " z".repeat(count));
    under(formats(MAX_FORMATS));
    over(formats(MAX_FORMATS + 1), "formats");
    let lines = |count: usize| HEAD.to_owned() + &"e=x\n".repeat(count - 2);
    under(lines(MAX_LINES));
    over(lines(MAX_LINES + 1), "lines");
    let text = |length: usize| format!("{HEAD}i={}", "x".repeat(length - HEAD.len() - 2));
    under(text(MAX_TEXT));
    over(text(MAX_TEXT + 1), "text");
}

#[test]
fn nothing_made_by_hand_smuggles_a_line() {
    let mut session = parse(HEAD);
    session.name = Text::from("x\r\na=evil".to_owned());
    session
        .attributes
        .push(Attribute::new("y", "1\nm=audio 9 RTP/AVP 0"));
    let again = parse(&session.print());
    assert_eq!(again, session);
    assert!(again.media.is_empty());
}

fn word() -> impl Strategy<Value = Text> {
    "[!-9;-~]{1,12}".prop_map(Text::from)
}

/// Any text of a line; blanks at its end are not kept.
fn line_text() -> impl Strategy<Value = Text> {
    "[ -~\u{a0}-\u{2ff}\t]{0,20}[!-~]".prop_map(Text::from)
}

fn attribute() -> impl Strategy<Value = Attribute> {
    let with_value = ("[!-9;-~]{1,8}", "[ -~\u{e4}]{0,20}[!-~]");
    prop_oneof![
        with_value.prop_map(|(name, value)| Attribute::new(&name, value)),
        "[!-9;-~]{1,10}".prop_map(|name| Attribute::from(Text::from(name))),
        Just(Attribute::flag("sendonly")),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    prop::collection::vec(attribute(), 0..6).prop_map(Attributes)
}

fn connection() -> impl Strategy<Value = Connection> {
    prop_oneof![
        any::<std::net::IpAddr>().prop_map(Connection::new),
        (word(), word(), word()).prop_map(|(net_type, address_type, address)| Connection {
            net_type,
            address_type,
            address
        }),
    ]
}

fn bandwidths() -> impl Strategy<Value = Vec<Bandwidth>> {
    let one = (word(), word()).prop_map(|(kind, value)| Bandwidth { kind, value });
    prop::collection::vec(one, 0..3)
}

fn maybe<S: Strategy<Value = Text>>(text: S) -> impl Strategy<Value = Text> {
    prop::option::of(text).prop_map(Option::unwrap_or_default)
}

fn media() -> impl Strategy<Value = Media> {
    let head = (
        word(),
        any::<u16>(),
        1..=u16::MAX,
        word(),
        prop::collection::vec(word(), 0..5),
    );
    let connections = prop::collection::vec(connection(), 0..3);
    let tail = (
        maybe(line_text()),
        connections,
        bandwidths(),
        maybe(line_text()),
        attributes(),
    );
    (head, tail).prop_map(|(head, tail)| {
        let (kind, port, port_count, protocol, formats) = head;
        let (info, connections, bandwidth, key, attributes) = tail;
        Media {
            kind,
            port,
            port_count,
            protocol,
            formats,
            info,
            connections,
            bandwidth,
            key,
            attributes,
        }
    })
}

fn times() -> impl Strategy<Value = Vec<Time>> {
    let repeats = prop::collection::vec(line_text(), 0..3);
    let one =
        (word(), word(), repeats, maybe(line_text())).prop_map(|(start, stop, repeats, zone)| {
            Time {
                start,
                stop,
                repeats,
                zone,
            }
        });
    prop::collection::vec(one, 0..3)
}

fn session() -> impl Strategy<Value = Session> {
    let origin =
        (line_text(), word(), word(), connection()).prop_map(|(user, id, version, connection)| {
            Origin {
                user: Text::from(user.trim_matches([' ', '\t']).to_owned()),
                id,
                version,
                connection,
            }
        });
    let texts = (
        line_text(),
        maybe(line_text()),
        maybe(line_text()),
        maybe(line_text()),
    );
    let lists = (
        prop::collection::vec(line_text(), 0..3),
        prop::collection::vec(line_text(), 0..3),
    );
    let rest = (
        prop::option::of(connection()),
        bandwidths(),
        times(),
        attributes(),
    );
    let media = prop::collection::vec(media(), 0..4);
    (origin, texts, lists, rest, media).prop_map(|(origin, texts, lists, rest, media)| {
        let (name, info, uri, key) = texts;
        let (emails, phones) = lists;
        let (connection, bandwidth, times, attributes) = rest;
        Session {
            origin,
            name,
            info,
            uri,
            emails,
            phones,
            connection,
            bandwidth,
            times,
            key,
            attributes,
            media,
        }
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(session in session()) {
        prop_assert_eq!(Session::parse(session.print().as_bytes()).unwrap(), session);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Session::parse(&bytes);
        let mut text = HEAD.as_bytes().to_vec();
        text.extend(bytes);
        if let Ok(session) = Session::parse(&text) {
            let printed = session.print();
            prop_assert_eq!(&Session::parse(printed.as_bytes()).unwrap(), &session);
        }
    }

    #[test]
    fn damaged_lines_are_read_or_refused(
        session in session(), place in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut text = session.print().into_bytes();
        let place = place.index(text.len());
        text[place] = byte;
        if let Ok(session) = Session::parse(&text) {
            prop_assert_eq!(&Session::parse(session.print().as_bytes()).unwrap(), &session);
            for media in &session.media {
                let _ = (media.codecs(), media.ptime(), media.rtcp(), media.rtp_profile());
            }
        }
    }
}
