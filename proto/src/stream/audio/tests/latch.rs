//! Symmetric RTP (RFC 4961): media go where the peer really is.

use super::{encryption::secured, ice::Net, *};

const OUTSIDE: [SocketAddr; 2] = [outside(7_000), outside(7_101)];

const fn outside(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7)), port)
}

/// End 1 sits behind a translator: what it describes is reached by nobody.
fn translated(encryption: Encryption) -> Pair {
    let mut pair = secured([encryption; 2]);
    pair.outside[1] = OUTSIDE.map(Some);
    pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
    pair
}

/// AUS-13, AUS-14: both places are known, and three packets from where the peer is are enough to be heard
/// there.
#[test]
fn aus_14_media_follow_the_peer_behind_a_translator() {
    for encryption in [Encryption::Off, Encryption::SdesMandatory] {
        let mut pair = translated(encryption);
        pair.speak(0, 5);
        assert_eq!(pair.played(1), 0, "nothing reaches it at its own address");
        pair.speak(1, 2);
        pair.speak(0, 5);
        assert_eq!(pair.played(1), 0, "two packets could be anybody's");
        pair.speak(1, 1);
        pair.speak(0, 5);
        assert_eq!((pair.played(0), pair.played(1)), (3, 5));
        let stream = audio(pair.streams[0].as_ref());
        assert_eq!(stream.remote_address_described(), Some(address(1, 0)));
        assert_eq!(stream.remote_address_received(), Some(OUTSIDE[0]));
        assert!(
            pair.events[0]
                .iter()
                .all(|event| !matches!(event, StreamEvent::DidChangeRtpParameters)),
            "nothing was agreed on anew"
        );
    }
}

/// Wire rules, "Symmetric RTP": RTCP is latched apart, by reports that come from elsewhere.
#[test]
fn aus_14_reports_follow_reports_and_not_media() {
    let mut pair = translated(Encryption::SdesMandatory);
    // Its media come from outside, its reports from where it says.
    pair.outside[1][1] = None;
    pair.speak(1, 50);
    pair.speak(0, 500);
    assert_eq!(pair.went[0], [Some(OUTSIDE[0]), Some(address(1, 1))]);
    let heard = |pair: &Pair| {
        let statistics = audio(pair.streams[1].as_ref()).statistics().unwrap();
        statistics.reports_received
    };
    assert!(heard(&pair) > 0);
    // From here on they come from outside, too: three of them, and ours go there.
    pair.outside[1][1] = Some(OUTSIDE[1]);
    pair.run(Duration::from_secs(60));
    let before = heard(&pair);
    pair.run(Duration::from_secs(30));
    assert_eq!(pair.went[0], OUTSIDE.map(Some));
    assert!(heard(&pair) > before);
}

/// Wire rules, "Symmetric RTP": only what is authentic moves a stream that is encrypted, and nothing moves one
/// whose peer is heard.
#[test]
fn aus_14_strangers_move_nothing() {
    let stranger = SocketAddr::from(([198, 51, 100, 66], 6_666));
    let flood = |pair: &mut Pair, packets: u16| {
        for sequence in 0..packets {
            let header = rtp::Header {
                marker: false,
                payload_type: 0,
                sequence,
                timestamp: u32::from(sequence) * 160,
                ssrc: 66,
            };
            let mut payload = BytesMut::new();
            rtp::Packet::new(header, &[1; 176]).write(&mut payload);
            let input = StreamInput::Datagram {
                slot: Slot(0),
                from: stranger,
                payload,
            };
            pair.streams[0].handle_input(pair.now, input);
        }
        pair.deliver();
    };
    let mut pair = secured([Encryption::SdesMandatory; 2]);
    flood(&mut pair, 100);
    pair.speak(0, 5);
    assert_eq!(pair.played(1), 5);
    assert_eq!(pair.went[0][0], Some(address(1, 0)));
    let stream = audio(pair.streams[0].as_ref());
    assert_eq!(stream.remote_address_received(), None);
    assert_eq!(stream.encryption().unwrap().discarded.forged, 100);

    let mut pair = secured([Encryption::Off; 2]);
    pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
    for _ in 0..50 {
        pair.speak(1, 1);
        flood(&mut pair, 5);
    }
    pair.speak(0, 5);
    assert_eq!(pair.played(1), 5);
    assert_eq!(pair.went[0][0], Some(address(1, 0)));
}

/// Wire rules, "Symmetric RTP": never with ICE, whose pair says where packets go.
#[test]
fn aus_14_with_ice_nothing_is_latched() {
    for is_muxed in [false, true] {
        let mut net = Net::with(&[], |_, own| own.rtcp_mux = is_muxed, |_, _| {});
        net.run(Duration::from_secs(2));
        let pair = net.ice(0).rtp.unwrap();
        // Authentic media and reports, from somewhere else.
        net.disguise = Some(outside(7_000));
        for _ in 0..50 {
            net.run(Duration::from_millis(500));
            assert_eq!(net.speak(), [1, 1]);
        }
        let stream = audio(net.streams[0].as_ref());
        assert_eq!(stream.remote_address_received(), Some(outside(7_000)));
        assert_eq!(net.went[0].get(&Slot(0)), Some(&pair.remote));
        let strangers = net.went[0].values().filter(|to| to.ip() == outside(0).ip());
        assert_eq!(strangers.count(), 0, "{:?}", net.went[0]);
    }
}
