//! Candidates that come between descriptions (RFC 8838, 8840): a peer tells none in its description, and then
//! what it likes by INFO.

use crate::{
    call::{label, wait},
    ice::count,
    ice_peer::{Peer, described, description},
    line::{PATIENCE, act, answered, call_line, sent, told},
    names::ip,
    runs::{play, seeds},
};
use simulator::{HostId, Line, Setup, Stage};
use sip::{
    Description, HeaderName, Headers, InfoRequest, Message, Method, Status,
    usage::invitation::InvitationEvent,
};
use sipsimple::{
    agent::{SessionId, UserAgent},
    event::{Event, SessionEvent, StreamEvent},
    ice::Role,
    stream::{IceInfo, audio::AudioStream},
};
use std::{rc::Rc, time::Duration};

const PACKAGE: &str = "trickle-ice";
const MEDIA_TYPE: &str = "application/trickle-ice-sdpfrag";
const END: &str = "a=end-of-candidates\r\n";

/// What the peer says of its one line: no candidate, as who will tell them later (RFC 8840, 4.1.1).
fn candidates_later(keys: &str) -> Description {
    description(&format!(
        "a=ice-options:trickle\r\n{keys}m=audio 9 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=mid:voice\r\n\
         a=rtcp-mux\r\n"
    ))
}

/// A call that stands in signalling, whose peer has told no candidate.
struct Begun {
    call: SessionId,
    host: HostId,
    peer: HostId,
    keys: String,
}

fn setup(seed: u64) -> Setup {
    let mut setup = Setup::new(seed);
    setup.lines = 1;
    setup.path.latency = Duration::from_millis(seed % 5 * 20);
    setup.configure = Rc::new(|_, config| {
        config.media.ice = true;
        config.media.rtcp_mux = true;
    });
    setup.configure_line = |_, config| config.info.packages = Some(vec![PACKAGE.to_owned()]);
    setup
}

fn begin(stage: &mut Stage, we_call: bool) -> Begun {
    let role = match we_call {
        true => Role::Controlled,
        false => Role::Controlling,
    };
    let peer = Peer::new(&[(role, 7)], false);
    let keys = peer.keys(0);
    let peer = stage.world.add_host("media", &[ip(50)], peer);
    let description = candidates_later(&keys);
    let host = match we_call {
        true => stage.alice,
        false => stage.bob(),
    };
    let mut called = None;
    if we_call {
        stage.line(0, "accepts", move |line, _| {
            line.set_habit(move |endpoint, now, id, event| {
                if let InvitationEvent::Incoming(_) = event
                    && let Some(mut call) = endpoint.invitation(id)
                {
                    call.accept(now, description.clone(), Headers::new())
                        .unwrap();
                }
            });
        });
        called = Some(call_line(stage, 0));
    } else {
        stage.answer(host, Duration::ZERO, Duration::ZERO);
        let to = stage.bob_uri();
        stage
            .line(0, "call", |line, now| line.call(now, to, Some(description)))
            .unwrap();
    }
    stage.world.run_for(Duration::from_secs(3));
    let mut heard = stage.world.host(host).inbox().notifications.iter();
    let incoming = |event: &Event| match event {
        Event::Session(id, SessionEvent::NewIncoming { .. }) => Some(*id),
        _ => None,
    };
    let call = called.or_else(|| heard.find_map(|heard| incoming(&heard.event)));
    let call = call.expect("a session");
    Begun {
        call,
        host,
        peer,
        keys,
    }
}

/// The peer says something by INFO.
fn inform(stage: &mut Stage, package: &str, body: String) {
    let info = InfoRequest::of_package(package, MEDIA_TYPE, body);
    act(stage, 0, "inform", |call, now| call.inform(now, info))
        .expect("a call")
        .unwrap();
    stage.world.run_for(Duration::from_millis(500));
}

/// A line of the peer's media.
fn host_line(port: u16) -> String {
    format!("a=candidate:1 1 UDP 2130706431 10.0.0.50 {port} typ host\r\n")
}

fn fragment(keys: &str, mid: &str, lines: &str) -> String {
    format!("{keys}m=audio 9 RTP/AVP 0\r\na=mid:{mid}\r\n{lines}")
}

/// The stream of the call.
fn ice(stage: &Stage, begun: &Begun) -> IceInfo {
    let agent = stage.world.node::<UserAgent>(begun.host);
    let stream = agent.session(begun.call).unwrap().streams[0];
    agent.stream::<AudioStream>(stream).unwrap().ice().unwrap()
}

/// What the peer's INFO requests were answered, in order.
fn codes(stage: &Stage) -> Vec<u16> {
    let line = stage.world.node::<Line>(stage.lines[0]);
    let events = line.events().iter();
    let code = |event: &InvitationEvent| match event {
        InvitationEvent::Transaction { method, code, .. } if *method == Method::Info => {
            Some(code.code())
        }
        _ => None,
    };
    events.filter_map(|(_, event)| code(event)).collect()
}

/// Hangs up and waits until all is quiet.
fn finish(stage: &mut Stage, begun: &Begun) {
    let _ = stage.agent(begun.host, "end", |agent, now| agent.end(now, begun.call));
    stage.world.run_for(PATIENCE);
}

/// Issue 4, RFC 8840: candidates trickle in, whoever called, after everything that they are not: of another line,
/// of another generation, malformed. The call goes over them.
#[test]
fn rfc_8840_a_call_goes_over_candidates_that_trickle_in() {
    for seed in 0..seeds().min(10) * 2 {
        play(&setup(seed), |stage| {
            let begun = begin(stage, seed % 2 == 0);
            let said = described(stage, begun.host);
            let attributes = &said.media[0].attributes;
            assert_eq!(attributes.value("ice-options"), Some("ice2 trickle"));
            assert!(attributes.has("end-of-candidates"));
            // RFC 5888, 9.1: the tag of an offer is that of its answer.
            let mid = said.media[0].mid().unwrap().to_owned();
            if seed % 2 == 1 {
                assert_eq!(mid, "voice");
            }
            let right = host_line(4_000);
            let keys = begun.keys.clone();
            for wrong in [
                fragment(&keys, "video", &right),
                fragment("a=ice-ufrag:other\r\n", "voice", &right),
                fragment(&keys, "voice", "a=candidate:x\r\na=candidate\r\n"),
                "m=nothing\r\n".to_owned(),
                String::new(),
            ] {
                inform(stage, PACKAGE, wrong);
            }
            let info = ice(stage, &begun);
            assert_eq!((info.state.as_str(), info.checked.len()), ("running", 0));
            inform(stage, PACKAGE, fragment(&keys, "voice", &right));
            assert_eq!(ice(stage, &begun).checked.len(), 1);
            stage
                .world
                .command(begun.peer, "hear", |peer: &mut Peer, now| {
                    peer.hear(now, &said)
                });
            let all = format!("{right}{END}");
            inform(stage, PACKAGE, fragment(&keys, "voice", &all));
            wait(stage, begun.host, begun.call, PATIENCE);
            assert_eq!(label(stage, begun.host, begun.call), "connected");
            let rtp = ice(stage, &begun).rtp.unwrap();
            assert_eq!((rtp.remote.port(), rtp.remote_type), (4_000, "host"));
            let peer = stage.world.node::<Peer>(begun.peer);
            let selected = peer.agents[0].selected(1).expect("a pair");
            assert_eq!(selected.remote, rtp.local);
            assert_eq!(codes(stage), [200; 7]);
            finish(stage, &begun);
        });
    }
}

/// RFC 6086, 4.2.2: other packages are refused as before. RFC 8840, 10.6: ours is told, and so is its option.
#[test]
fn rfc_8840_the_package_is_told_where_ice_is_on() {
    for ice in [true, false] {
        let mut setup = setup(1);
        if !ice {
            setup.configure = Rc::new(|_, _| {});
        }
        play(&setup, |stage| {
            let begun = begin(stage, true);
            let invite = sent(stage, begun.host).into_iter().find_map(|message| {
                let Message::Request(request) = message else {
                    return None;
                };
                (request.method == Method::Invite).then_some(request)
            });
            let headers = invite.unwrap().headers;
            assert_eq!(headers.has_token(HeaderName::RecvInfo, PACKAGE), ice);
            assert_eq!(headers.has_token(HeaderName::Supported, PACKAGE), ice);
            if ice {
                // What it does not want the line does not send.
                let unwanted = InfoRequest::of_package("x-toy", MEDIA_TYPE, "");
                let refused = act(stage, 0, "inform", |call, now| call.inform(now, unwanted));
                assert!(refused.unwrap().is_err());
            }
            assert_eq!(
                told(stage, 0, |event| matches!(
                    event,
                    InvitationEvent::Informed { .. }
                )),
                0
            );
            finish(stage, &begun);
        });
    }
}

/// RFC 8838, 14: after the end of candidates none counts. The call has no way, and ends.
#[test]
fn rfc_8838_after_the_end_of_candidates_none_counts() {
    play(&setup(2), |stage| {
        let begun = begin(stage, true);
        let right = host_line(4_000);
        let dead = host_line(4_444);
        let told = format!("{dead}{END}");
        inform(stage, PACKAGE, fragment(&begun.keys, "voice", &told));
        let all = format!("{dead}{right}");
        inform(stage, PACKAGE, fragment(&begun.keys, "voice", &all));
        let info = ice(stage, &begun);
        assert_eq!(info.checked.len(), 1);
        assert_eq!(info.checked[0].pair.remote.port(), 4_444);
        stage.world.run_for(PATIENCE);
        assert_ne!(label(stage, begun.host, begun.call), "connected");
        assert!(answered(stage, begun.host, &Method::Info, Status::OK));
        finish(stage, &begun);
    });
}

/// A peer that tells a thousand candidates, again and again, costs no more than the limits (RFC 8838, 21; RFC 8445,
/// 19.5.1), and the next call is made.
#[test]
fn rfc_8838_a_flood_of_candidates_is_limited() {
    play(&setup(3), |stage| {
        let begun = begin(stage, true);
        let line = |n: u16| host_line(10_000 + n);
        let lines: String = (0..1_000).map(line).collect();
        for _ in 0..3 {
            inform(stage, PACKAGE, fragment(&begun.keys, "voice", &lines));
        }
        assert_eq!(ice(stage, &begun).checked.len(), 64);
        stage.world.run_for(PATIENCE);
        assert_ne!(label(stage, begun.host, begun.call), "connected");
        let failed =
            |event: &StreamEvent| matches!(event, StreamEvent::IceNegotiationDidFail { .. });
        assert_eq!(count(stage, begun.host, failed), 1);
        finish(stage, &begun);
        let events = stage.world.host(begun.host).inbox().notifications.iter();
        let informed = events.filter(|heard| {
            matches!(&heard.event, Event::Session(_, SessionEvent::GotInfo(info)) if info.package.is_some())
        });
        assert_eq!(informed.count(), 3);
    });
}
