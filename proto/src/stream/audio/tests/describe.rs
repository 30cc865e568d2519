//! How a stream describes itself (AUS-02, AUS-33), and what it cannot do with its peer (AUS-10).

use super::*;
use crate::stream::{Codec, SrtpProfile};

fn codec(name: &str, clock_rate: u32, payload_type: Option<u8>) -> Codec {
    Codec {
        name: name.to_owned(),
        clock_rate,
        channels: 1,
        payload_type,
        fmtp: None,
    }
}

fn offer(env: StreamEnv) -> sdp::Session {
    let now = origin();
    let mut stream = AudioFactory::new()
        .create(now, env, &serde_json::Value::Null)
        .unwrap();
    ice::open(&mut stream, now, Purpose::First);
    ice::assemble(0, stream.offer(now))
}

/// AUS-02, RTP-09, SDP-07: the example of the documents, of the stream's own making: codecs, RTCP, keys, candidates
/// and direction.
#[test]
fn aus_02_and_rtp_09_the_description_of_the_documents() {
    let env = ice::ice_env(origin(), 0, |own| {
        own.codecs = vec![
            codec("speex", 32_000, None),
            codec("speex", 16_000, None),
            codec("speex", 8_000, None),
            codec("GSM", 8_000, Some(3)),
            codec("G722", 8_000, Some(9)),
            codec("PCMU", 8_000, Some(0)),
            codec("PCMA", 8_000, Some(8)),
        ];
        own.srtp_suites = vec![
            SrtpProfile::AesCm128HmacSha1_80,
            SrtpProfile::AesCm128HmacSha1_32,
        ];
    });
    let session = offer(env);
    let media = &session.media[0];
    assert_eq!(
        (&*media.kind, media.port, &*media.protocol),
        ("audio", 40_000, "RTP/AVP")
    );
    let said: Vec<String> = media
        .codecs()
        .iter()
        .map(|codec| format!("{} {}/{}", codec.payload_type, codec.name, codec.clock_rate))
        .collect();
    assert_eq!(
        said,
        [
            "96 speex/32000",
            "97 speex/16000",
            "98 speex/8000",
            "3 GSM/8000",
            "9 G722/8000",
            "0 PCMU/8000",
            "8 PCMA/8000",
            "101 telephone-event/8000",
            "99 telephone-event/16000",
            "100 telephone-event/32000",
        ]
    );
    let all = |name: &str| -> Vec<&str> {
        let lines = media.attributes.all(name);
        lines.filter_map(sdp::Attribute::value).collect()
    };
    assert!(all("fmtp").contains(&"101 0-15"));
    assert_eq!(all("rtcp"), ["40001"]);
    let suites: Vec<_> = media
        .attributes
        .all("crypto")
        .filter_map(sdp::Crypto::read)
        .map(|line| (line.tag, line.suite.to_string()))
        .collect();
    assert_eq!(
        suites,
        [
            (1, "AES_CM_128_HMAC_SHA1_80".to_owned()),
            (2, "AES_CM_128_HMAC_SHA1_32".to_owned())
        ]
    );
    assert!(all("ice-ufrag")[0].len() >= 4 && all("ice-pwd")[0].len() >= 22);
    let components: Vec<u16> = media
        .attributes
        .all("candidate")
        .filter_map(sdp::Candidate::read)
        .map(|line| line.component)
        .collect();
    assert!(components.contains(&1) && components.contains(&2));
    assert_eq!(media.direction(), Some(sdp::Direction::SendRecv));
    let text = session.print();
    assert_eq!(sdp::Session::parse(text.as_bytes()).unwrap().print(), text);
}

/// AUS-03: the candidates of the example, with their small priorities and one foundation, are read.
#[test]
fn aus_03_candidates_of_an_older_habit_are_read() {
    for (component, priority, rest) in [
        (1, 31, "192.0.2.1 50000 typ host"),
        (
            1,
            23,
            "198.51.100.1 50000 typ srflx raddr 192.0.2.1 rport 50000",
        ),
        (2, 30, "192.0.2.1 50001 typ host"),
        (
            2,
            22,
            "198.51.100.1 50001 typ srflx raddr 192.0.2.1 rport 50001",
        ),
    ] {
        let line = sdp::Attribute::new("candidate", format!("1 {component} UDP {priority} {rest}"));
        let read = sdp::Candidate::read(&line).unwrap();
        assert_eq!((read.component, read.priority), (component, priority));
    }
}

/// AUS-33: the answer has the first of *our* codecs that the peer has, too.
#[test]
fn aus_33_an_answer_takes_our_first_shared_codec() {
    let now = origin();
    let own = |end: usize, codecs: Vec<Codec>| {
        let mut env = env(now, end, &[]);
        let mut settings = MediaSettings::clone(&env.settings);
        settings.codecs = codecs;
        env.settings = Arc::new(settings);
        env
    };
    let [mu, a] = [codec("PCMU", 8_000, Some(0)), codec("PCMA", 8_000, Some(8))];
    let other = codec("GSM", 8_000, Some(3));
    let theirs = vec![other, a.clone(), mu.clone()];
    let pair = Pair::with(now, [own(0, vec![mu, a]), own(1, theirs)]);
    assert_eq!(pair.descriptions[0].media[0].formats, ["0", "8", "101"]);
    assert_eq!(pair.descriptions[1].media[0].formats, ["8", "101"]);
    for stream in &pair.streams {
        assert_eq!(audio(stream.as_ref()).format().unwrap().codec, "PCMA");
    }
}

/// AUS-10: digits to a peer that takes none are refused, and so are more than wait.
#[test]
fn aus_10_digits_that_cannot_be_sent_are_refused() {
    let now = origin();
    let without_events = |_: usize, session: &mut sdp::Session| {
        session.media[0].formats.retain(|format| *format != *"101");
    };
    let envs = [0, 1].map(|end| env(now, end, &["PCMU"]));
    let mut silent = Pair::altered(now, envs, without_events);
    let send = |pair: &mut Pair| {
        let stream = (pair.streams[0].as_mut() as &mut dyn std::any::Any)
            .downcast_mut::<AudioStream>()
            .unwrap();
        SendDtmf::new(Digit::try_from('5').unwrap()).apply(stream, now)
    };
    assert!(!audio(silent.streams[0].as_ref()).takes_digits());
    assert_eq!(send(&mut silent), Err(SendDtmfError::NotNegotiated));
    let mut pair = Pair::new(BOTH);
    let accepted = (0..1_000).take_while(|_| send(&mut pair).is_ok()).count();
    assert!((8..1_000).contains(&accepted), "{accepted}");
    assert_eq!(send(&mut pair), Err(SendDtmfError::QueueFull));
}
