use super::*;

fn parse(text: &str) -> Session {
    Session::parse(text.as_bytes()).expect("a description")
}

#[test]
fn versions_rise_at_any_length() {
    let mut origin = Origin::new(41, "192.0.2.1".parse().unwrap());
    origin.bump_version();
    assert_eq!((&*origin.id, &*origin.version), ("41", "42"));
    let cases = [
        ("9", "10"),
        ("18446744073709551615", "18446744073709551616"),
        ("99999999999999999999999999", "100000000000000000000000000"),
        ("129", "130"),
        ("", "1"),
        ("-1", "1"),
        ("x9", "1"),
    ];
    for (before, after) in cases {
        origin.version = Text::from(before);
        origin.bump_version();
        assert_eq!(origin.version, after, "{before}");
    }
}

/// SDP-08: one more for each change.
#[test]
fn the_version_rises_only_with_a_change() {
    // SDP-08; RFC 3264, section 8.
    let address = "192.0.2.1".parse().unwrap();
    let line = || Media::new("audio", 4000, "RTP/AVP");
    let first = Session::assemble(Origin::new(7, address), vec![line()]);
    let mut second = Session::assemble(Origin::new(99, address), vec![line()]);
    second.media[0]
        .connections
        .clone_from(&first.media[0].connections);
    second.continue_from(&first);
    assert_eq!(second, first, "the same text, the same version");
    second.media[0].set_direction(Direction::SendOnly);
    second.continue_from(&first);
    assert_eq!(second.origin.version, "8");
    assert_eq!(second.origin.id, "7");
    assert!(!second.is_same_description(&first));
}

/// SDP-03, SDP-09: direction and addresses stand at the line or at the session, and the default is both ways.
#[test]
fn media_inherits_from_the_session() {
    // RFC 8866, sections 5.7 and 5.13; SDP-03.
    let session = parse(
        "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP6 2001:db8::1\nt=0 0\na=recvonly\na=setup:active\n\
         m=audio 4000 RTP/AVP 0\na=sendonly\na=rtcp:4009\n\
         m=audio 4002 RTP/AVP 0\nc=IN IP4 192.0.2.9\na=setup:passive\na=rtcp:4009 IN IP4 192.0.2.10\n\
         m=audio 65535 RTP/AVP 0\nc=IN IP4 host.example.com\n",
    );
    assert_eq!(session.direction(0), Direction::SendOnly);
    assert_eq!(session.direction(1), Direction::RecvOnly);
    assert_eq!(session.direction(9), Direction::RecvOnly);
    assert_eq!(session.inherited(0, "setup"), Some("active"));
    assert_eq!(session.inherited(1, "SETUP"), Some("passive"));
    assert_eq!(session.inherited(9, "setup"), None);
    let address = |text: &str| text.parse().ok();
    assert_eq!(session.media_address(0), address("[2001:db8::1]:4000"));
    assert_eq!(session.rtcp_address(0), address("[2001:db8::1]:4009"));
    assert_eq!(session.media_address(1), address("192.0.2.9:4002"));
    assert_eq!(session.rtcp_address(1), address("192.0.2.10:4009"));
    assert_eq!(session.media_address(2), None, "a name is for the resolver");
    let default =
        parse("v=0\no=- 1 1 IN IP4 192.0.2.1\nm=audio 65535 RTP/AVP 0\nc=IN IP4 192.0.2.1\n");
    assert_eq!(default.direction(0), Direction::SendRecv);
    assert_eq!(default.media_address(0), address("192.0.2.1:65535"));
    assert_eq!(default.rtcp_address(0), None, "there is no port 65536");
}

#[test]
fn the_null_address_holds() {
    // RFC 3264, section 8.4 and RFC 6337, section 5.4, in both families.
    for null in ["IP4 0.0.0.0", "IP6 ::"] {
        let head = format!("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN {null}\nt=0 0\n");
        let session = parse(&format!("{head}m=audio 4000 RTP/AVP 0\n"));
        assert!(session.is_connection_null(0) && session.is_held(0));
        assert_eq!(session.media_address(0), None);
        assert_eq!(
            session.direction(0),
            Direction::SendRecv,
            "the answer follows the attribute"
        );
        // RFC 8839, section 4.2.5: beside ICE it is the default destination of a trickled offer.
        for ice in [
            "a=ice-ufrag:abcd",
            "a=candidate:1 1 UDP 1 192.0.2.1 9 typ host",
        ] {
            assert!(!parse(&format!("{head}m=audio 9 RTP/AVP 0\n{ice}\n")).is_connection_null(0));
            assert!(!parse(&format!("{head}{ice}\nm=audio 9 RTP/AVP 0\n")).is_connection_null(0));
        }
        assert!(
            !parse(&format!("{head}m=audio 0 RTP/AVP 0\n")).is_held(0),
            "removed, not held"
        );
    }
}

#[test]
fn a_peer_holds_when_it_does_not_receive() {
    let held = |direction: Direction| {
        let mut session = parse("v=0\no=- 1 1 IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\n");
        session.media[0].set_direction(direction);
        session.is_held(0)
    };
    assert!(held(Direction::SendOnly) && held(Direction::Inactive));
    assert!(!held(Direction::SendRecv) && !held(Direction::RecvOnly));
}

#[test]
fn a_dead_line_is_used_again() {
    // SES-23; RFC 3264, section 8.1.
    let head = "v=0\no=- 1 1 IN IP4 192.0.2.1\n";
    let lines = "m=audio 4000 RTP/AVP 0\nm=message 0 TCP/MSRP *\nm=audio 0 RTP/AVP 0\n";
    assert_eq!(parse(&format!("{head}{lines}")).slot_for_new_media(), 1);
    assert_eq!(
        parse(&format!("{head}m=audio 4000 RTP/AVP 0\n")).slot_for_new_media(),
        1
    );
    assert_eq!(parse(head).slot_for_new_media(), 0);
}

#[test]
fn assembled_sessions_have_nothing_at_session_level() {
    let mut own = Media::new("message", 2855, "TCP/MSRP");
    own.connections
        .push(Connection::new("192.0.2.3".parse().unwrap()));
    let bare = Media::new("audio", 4000, "RTP/AVP");
    let session = Session::assemble(
        Origin::new(1, "2001:db8::7".parse().unwrap()),
        vec![own, bare],
    );
    assert_eq!(
        session.print(),
        "v=0\r\no=- 1 1 IN IP6 2001:db8::7\r\ns=-\r\nt=0 0\r\n\
         m=message 2855 TCP/MSRP\r\nc=IN IP4 192.0.2.3\r\n\
         m=audio 4000 RTP/AVP\r\nc=IN IP6 2001:db8::7\r\n"
    );
}

/// SDP-04, SDP-09: a connection of either family.
#[test]
fn addresses_of_all_kinds() {
    let connection = |address: &'static str| Connection {
        address: Text::from(address),
        ..Connection::new("192.0.2.1".parse().unwrap())
    };
    assert_eq!(
        connection("233.252.0.1/127/3").ip(),
        "233.252.0.1".parse().ok()
    );
    assert!(connection("233.252.0.1/127").is_multicast());
    assert!(
        connection("ff1e::7").is_multicast(),
        "peers write IP4 before IPv6 addresses"
    );
    assert!(!connection("host.example.com").is_null());
    let null = |like: &str| Connection::null(like.parse().unwrap());
    assert_eq!(&*null("2001:db8::1").address, "::");
    assert_eq!(&*null("192.0.2.1").address, "0.0.0.0");
}
