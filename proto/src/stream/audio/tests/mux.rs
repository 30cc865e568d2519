//! RTCP on the port of RTP (RFC 5761).

use super::{ice::Net, *};
use sdp::Attribute;

/// Two streams of which these want to share a port.
fn pair(wishes: [bool; 2]) -> Pair {
    let now = origin();
    Pair::with(
        now,
        [0, 1].map(|end| {
            let mut env = env(now, end, &["PCMU"]);
            let mut settings = MediaSettings::clone(&env.settings);
            settings.rtcp_mux = wishes[end];
            env.settings = Arc::new(settings);
            env
        }),
    )
}

fn has(pair: &Pair, end: usize, name: &str) -> bool {
    pair.descriptions[end].media[0].attributes.has(name)
}

/// RFC 5761, 5.1.1: offered beside the port that a peer without it needs, answered without one; all
/// packets then go to the one port, and the reports among them are read.
#[test]
fn bug_19_both_share_a_port() {
    let mut pair = pair([true; 2]);
    assert!(has(&pair, 0, "rtcp-mux") && has(&pair, 0, "rtcp"));
    assert!(has(&pair, 1, "rtcp-mux") && !has(&pair, 1, "rtcp"));
    pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
    pair.speak(0, 400);
    pair.speak(1, 400);
    assert_eq!((pair.played(0), pair.played(1)), (400, 400));
    assert_eq!((pair.sent[0][1], pair.sent[1][1]), (0, 0));
    for stream in &pair.streams {
        let stream = audio(stream.as_ref());
        assert!(stream.is_rtcp_muxed());
        let statistics = stream.statistics().unwrap();
        assert!(statistics.reports_received > 0, "{statistics:?}");
    }
    // It stays so over a hold.
    pair.set_hold(1, true);
    pair.exchange(1);
    assert!(has(&pair, 1, "rtcp-mux") && !has(&pair, 1, "rtcp"));
    assert!(audio(pair.streams[0].as_ref()).is_rtcp_muxed());
}

/// RFC 5761, 5.1.1: who does not say it, does not get it.
#[test]
fn a_peer_without_it_keeps_two_ports() {
    for wishes in [[true, false], [false, true]] {
        let mut pair = pair(wishes);
        assert_eq!(has(&pair, 0, "rtcp-mux"), wishes[0]);
        assert!(!has(&pair, 1, "rtcp-mux") && has(&pair, 1, "rtcp"));
        pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
        pair.speak(0, 400);
        assert_eq!(pair.played(1), 400);
        assert!(pair.sent[0][1] > 0);
        assert!(!audio(pair.streams[0].as_ref()).is_rtcp_muxed());
    }
}

fn answer(offer: &str, is_wished: bool) -> Result<String, u16> {
    let now = origin();
    let mut env = env(now, 1, &["PCMU", "PCMA"]);
    let mut settings = MediaSettings::clone(&env.settings);
    settings.rtcp_mux = is_wished;
    env.settings = Arc::new(settings);
    let text =
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{offer}");
    let offer = sdp::Session::parse(text.as_bytes()).unwrap();
    match AudioFactory::new().from_sdp(now, env, &offer, 0) {
        Offered::Taken(mut stream) => {
            open(&mut stream, now, 1);
            let media = stream.answer(now, &offer, 0).unwrap();
            Ok(assemble(1, media).print())
        }
        Offered::Refused(refusal) => Err(refusal.code),
        Offered::NotMine => panic!("not taken"),
    }
}

/// RFC 5761, 4: payload types that look like RTCP are not mixed with it. RFC 8858, 4.3: who insists on
/// one port is refused by who has two.
#[test]
fn what_cannot_be_told_apart_is_kept_apart() {
    let plain = "m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\n";
    assert!(answer(plain, true).unwrap().contains("a=rtcp-mux\r\n"));
    let other = "m=audio 4000 RTP/AVP 72\r\na=rtpmap:72 PCMU/8000\r\na=rtcp-mux\r\n";
    assert!(!answer(other, true).unwrap().contains("a=rtcp-mux"));
    let only = format!("{plain}a=rtcp-mux-only\r\n");
    assert!(!answer(&only, true).unwrap().contains("a=rtcp-mux-only"));
    assert_eq!(answer(&only, false), Err(488));
    let insisting = format!("{other}a=rtcp-mux-only\r\n");
    assert_eq!(answer(&insisting, true), Err(488));
}

/// RFC 5761, 5.1.3: the offer has candidates for two components, the answer for one, and one is checked.
#[test]
fn with_ice_there_is_one_component() {
    let mut net = Net::with(&[], |_, own| own.rtcp_mux = true, |_, _| {});
    let components = |net: &Net, end: usize| {
        let media = &net.descriptions[end].media[0];
        let lines = media.attributes.all("candidate");
        let mut all: Vec<u16> = lines
            .filter_map(sdp::Candidate::read)
            .map(|line| line.component)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    assert_eq!(
        (components(&net, 0), components(&net, 1)),
        (vec![1, 2], vec![1])
    );
    net.run(Duration::from_secs(2));
    for end in 0..2 {
        assert_eq!(net.states(end), ["running", "completed"]);
        let info = net.ice(end);
        assert!(info.rtp.is_some() && info.rtcp.is_none(), "{info:?}");
        assert!(
            info.checked
                .iter()
                .all(|checked| checked.pair.component == 1)
        );
    }
    assert_eq!(net.speak(), [1, 1]);
    net.run(Duration::from_secs(60));
    for stream in &net.streams {
        let statistics = audio(stream.as_ref()).statistics().unwrap();
        assert!(statistics.reports_received > 0);
    }
    // A later offer says what was chosen, and nothing of a port that is not used.
    net.exchange(0);
    let media = &net.descriptions[0].media[0];
    assert_eq!(components(&net, 0), [1]);
    assert!(media.attributes.has("rtcp-mux") && !media.attributes.has("rtcp"));
    net.run(Duration::from_secs(60));
    assert_eq!(net.speak(), [1, 1]);
}

/// A later answer takes it back: RTCP has its own way again.
#[test]
fn it_can_be_taken_back() {
    let mut pair = pair([true; 2]);
    pair.streams[1].handle_input(pair.now, StreamInput::Acknowledged);
    let mut offer = assemble(1, pair.streams[1].offer(pair.now));
    offer.media[0].attributes.remove("rtcp-mux");
    offer.media[0]
        .attributes
        .push(Attribute::new("rtcp", 40_001));
    let answer = pair.streams[0].answer(pair.now, &offer, 0).unwrap();
    pair.descriptions = [assemble(0, answer), offer];
    pair.agree();
    assert!(!has(&pair, 0, "rtcp-mux") && has(&pair, 0, "rtcp"));
    pair.speak(0, 400);
    assert_eq!(pair.played(1), 400);
    assert!(pair.sent[0][1] > 0);
}
