//! What holds the bindings of translators while nobody speaks (RFC 6263).

use super::{ice::Net, *};
use rtp::{Kind, Packet};

fn silent(encryption: Encryption, is_muxed: bool) -> Pair {
    let now = origin();
    let mut pair = Pair::with(
        now,
        [0, 1].map(|end| {
            let mut env = env(now, end, &["PCMU"]);
            let mut settings = MediaSettings::clone(&env.settings);
            settings.encryption = encryption;
            settings.rtcp_mux = is_muxed;
            env.settings = Arc::new(settings);
            env
        }),
    );
    pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
    pair
}

/// AUS-34 as the wire rules read it; RFC 6263, 4.3 and 5: two empty packets at the start and one every 15 s;
/// none where reports share the port, which come at least as often; sealed where media are.
#[test]
fn aus_34_empty_packets_go_where_nothing_else_keeps_the_way() {
    use Encryption::{Off, SdesMandatory};
    for (encryption, is_muxed, expected) in [
        (Off, false, 5),
        (SdesMandatory, false, 5),
        (Off, true, 0),
        (SdesMandatory, true, 0),
    ] {
        let mut pair = silent(encryption, is_muxed);
        pair.run(Duration::from_secs(50));
        for end in 0..2 {
            let kinds = pair.wire[end].iter().map(|packet| Kind::of(packet));
            let (media, reports): (Vec<Kind>, _) = kinds.partition(|kind| *kind == Kind::Rtp);
            let case = (encryption, is_muxed, end);
            assert_eq!(media.len(), expected, "{case:?}");
            // RFC 6263, 4.3: Tmin is less than Tr, so that the reports do it.
            assert_eq!(reports.len() >= 6, is_muxed, "{case:?} {}", reports.len());
        }
        let seal = if encryption == Off { 0 } else { 16 };
        let is_empty = |packet: &&Bytes| packet.len() == 12 + seal;
        let empty: Vec<&Bytes> = pair.wire[0].iter().filter(is_empty).collect();
        assert_eq!(empty.len(), expected);
        // The negotiated number, and rising sequence numbers.
        let heads: Vec<rtp::Header> = empty
            .iter()
            .map(|packet| Packet::parse(packet).unwrap().header)
            .collect();
        assert!(heads.iter().all(|head| head.payload_type == 0));
        let is_next = |pair: &[rtp::Header]| pair[1].sequence == pair[0].sequence.wrapping_add(1);
        assert!(heads.windows(2).all(is_next));
        // Nobody plays them, and nobody is refused by them.
        assert_eq!(pair.frames[1].len(), 0);
        if let Some(info) = audio(pair.streams[1].as_ref()).encryption() {
            assert_eq!(info.discarded, crate::stream::Discarded::default());
        }
    }
}

/// RFC 7675, 5.1: the checks of ICE keep the way, with RTCP apart as well.
#[test]
fn aus_34_with_ice_nothing_empty_is_sent() {
    for is_muxed in [false, true] {
        let mut net = Net::with(&[], |_, own| own.rtcp_mux = is_muxed, |_, _| {});
        net.run(Duration::from_secs(60));
        for end in 0..2 {
            let stream = audio(net.streams[end].as_ref());
            assert_eq!(stream.statistics().unwrap().packets_sent, 0, "{is_muxed}");
        }
        assert_eq!(net.speak(), [1, 1]);
    }
}

/// A later answer that gives RTCP a port of its own again leaves RTP without reports.
#[test]
fn aus_34_empty_packets_begin_when_sharing_ends() {
    let mut pair = silent(Encryption::Off, true);
    pair.run(Duration::from_secs(20));
    let mut offer = assemble(1, pair.streams[1].offer(pair.now));
    offer.media[0].attributes.remove("rtcp-mux");
    let answer = pair.streams[0].answer(pair.now, &offer, 0).unwrap();
    pair.descriptions = [assemble(0, answer), offer];
    pair.agree();
    pair.wire = Default::default();
    pair.run(Duration::from_secs(20));
    for end in 0..2 {
        let is_media = |packet: &&Bytes| Kind::of(packet) == Kind::Rtp;
        assert!(pair.wire[end].iter().filter(is_media).count() >= 2);
    }
}
