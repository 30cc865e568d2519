//! How far streams and transports are, and what they are made with.

use super::*;
use crate::stream::audio::{AudioState, TransportState};

fn states(stream: &dyn MediaStream) -> (AudioState, TransportState) {
    let stream = audio(stream);
    (stream.state(), stream.transport_state())
}

/// RTP-08, RTP-06, RTP-04, RTP-05, AUT-08, AUT-04, AUS-12: an offerer, from its making to its end.
#[test]
fn rtp_06_rtp_08_and_aut_08_an_offerer_goes_through_its_states() {
    let now = origin();
    let null = &serde_json::Value::Null;
    let mut stream = AudioFactory::new()
        .create(now, env(now, 0, &["PCMU"]), null)
        .unwrap();
    assert_eq!(
        states(stream.as_ref()),
        (AudioState::Null, TransportState::Null)
    );
    assert_eq!(audio(stream.as_ref()).local_address(), None);
    open(&mut stream, now, 0);
    assert_eq!(
        states(stream.as_ref()),
        (AudioState::Initialized, TransportState::Init)
    );
    assert_eq!(audio(stream.as_ref()).local_address(), Some(address(0, 0)));
    stream.offer(now);
    assert_eq!(
        states(stream.as_ref()),
        (AudioState::Initialized, TransportState::Local)
    );
    stream.rollback(now);
    assert_eq!(states(stream.as_ref()).1, TransportState::Init);
    let unknown = audio(stream.as_ref());
    assert!(!unknown.is_active() && !unknown.is_started() && unknown.format().is_none());
    assert_eq!(unknown.remote_address_described(), None);

    let mut pair = Pair::new(BOTH);
    for end in 0..2 {
        assert_eq!(
            states(pair.streams[end].as_ref()),
            (AudioState::Established, TransportState::Established)
        );
        let stream = audio(pair.streams[end].as_ref());
        assert!(stream.is_active() && stream.is_started());
        assert_eq!(stream.direction(), sdp::Direction::SendRecv);
        let format = stream.format().unwrap();
        assert_eq!((format.codec.as_str(), format.sample_rate), ("PCMU", 8_000));
        pair.streams[end].end(pair.now);
        let stream = audio(pair.streams[end].as_ref());
        assert!(!stream.is_active() && stream.is_started());
        assert_eq!(
            states(pair.streams[end].as_ref()),
            (AudioState::Ended, TransportState::Invalid)
        );
    }
}

/// RTP-07, RTP-03: an answerer, and one that waits for servers and for ICE.
#[test]
fn rtp_03_and_rtp_07_an_answerer_goes_through_its_states() {
    let now = origin();
    let offer = Pair::new(BOTH).descriptions[0].clone();
    let factory = AudioFactory::new();
    let Offered::Taken(mut stream) = factory.from_sdp(now, env(now, 1, &["PCMU"]), &offer, 0)
    else {
        panic!("not taken");
    };
    open(&mut stream, now, 1);
    stream.answer(now, &offer, 0).unwrap();
    assert_eq!(
        states(stream.as_ref()),
        (AudioState::Initialized, TransportState::Remote)
    );

    let env = ice::ice_env(now, 0, |own| {
        own.stun_servers = vec!["192.0.2.9:3478".parse().unwrap()];
    });
    let null = &serde_json::Value::Null;
    let mut waits = factory.create(now, env, null).unwrap();
    waits.prepare(now, Purpose::First);
    assert_eq!(
        states(waits.as_ref()),
        (AudioState::Initializing, TransportState::WaitStun)
    );
    let settings = audio(waits.as_ref()).settings();
    assert!(settings.ice && settings.stun_servers.len() == 1);

    let mut net = ice::Net::with(&[], |_, _| {}, |_, _| {});
    for state in [AudioState::WaitIce, AudioState::Established] {
        for stream in &net.streams {
            assert_eq!(
                states(stream.as_ref()),
                (state, TransportState::Established)
            );
            let is_running = state == AudioState::Established;
            assert_eq!(audio(stream.as_ref()).is_active(), is_running);
        }
        net.run(Duration::from_secs(2));
    }
}

/// AUT-02: codecs of a stream override those of the settings, named without case, in their own order.
#[test]
fn aut_02_codecs_of_a_stream_override_the_list() {
    let now = origin();
    let offered = |options: serde_json::Value| {
        let made = AudioFactory::new().create(now, env(now, 0, &["PCMU", "PCMA"]), &options);
        made.map(|mut stream| {
            open(&mut stream, now, 0);
            let formats = stream.offer(now).formats;
            formats.iter().map(|format| format.to_string()).collect()
        })
    };
    let list = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    for (options, formats) in [
        (serde_json::Value::Null, "0 8 101"),
        (serde_json::json!({}), "0 8 101"),
        (serde_json::json!({ "codecs": null }), "0 8 101"),
        (serde_json::json!({ "codecs": ["pcma", "PCMU"] }), "8 0 101"),
        (serde_json::json!({ "codecs": ["Pcma"] }), "8 101"),
    ] {
        assert_eq!(offered(options.clone()), Ok(list(formats)), "{options}");
    }
    for options in [
        serde_json::json!({ "codecs": ["opus"] }),
        serde_json::json!({ "codecs": [] }),
        serde_json::json!({ "rates": [] }),
        serde_json::json!(7),
    ] {
        assert!(
            matches!(offered(options.clone()), Err(StreamError::BadOptions(_))),
            "{options}"
        );
    }
}

/// RTP-11, RTP-13: without servers a transport is initialised as soon as it has its sockets; with one when that
/// has answered, or has not for as long as that is waited for.
#[test]
fn rtp_11_a_transport_is_initialised_when_its_servers_have_answered() {
    for servers in [0, 1] {
        let now = origin();
        let env = ice::ice_env(now, 0, |own| {
            own.stun_servers = vec!["192.0.2.9:3478".parse().unwrap(); servers];
        });
        let mut stream = AudioFactory::new()
            .create(now, env, &serde_json::Value::Null)
            .unwrap();
        stream.prepare(now, Purpose::First);
        let mut prepared = None;
        let mut at = now;
        for _ in 0..1_000 {
            while let Some(output) = stream.poll_output() {
                match output {
                    StreamOutput::Open {
                        slot,
                        how: SlotOpen::Udp { bind, .. },
                    } => {
                        let local = SocketAddr::new(bind.ip(), 40_000 + slot.0);
                        let peer = None;
                        stream.handle_input(at, StreamInput::Opened { slot, local, peer });
                    }
                    StreamOutput::Prepared => prepared = Some(at - now),
                    StreamOutput::Failed(error) => panic!("{error}"),
                    _ => {}
                }
            }
            let next = stream.poll_timeout().filter(|_| prepared.is_none());
            let Some(next) = next else { break };
            at = at.max(next.at);
            stream.handle_input(at, StreamInput::Timeout);
        }
        let prepared = prepared.expect("prepared");
        assert_eq!(prepared.is_zero(), servers == 0, "{prepared:?}");
        assert!(prepared < Duration::from_secs(15));
        assert_eq!(states(stream.as_ref()).1, TransportState::Init);
    }
}
