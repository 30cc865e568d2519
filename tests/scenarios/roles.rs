//! Who controls in a session of several streams (RFC 8445, 6.1.1 and 7.3.1.1).

use crate::{
    call::{label, wait},
    ice_peer::{Peer, address, described, description},
    line::PATIENCE,
    names::ip,
    runs::{play, seeds},
};
use Role::{Controlled, Controlling};
use simulator::{HostId, Setup, Stage};
use sip::{Description, Headers, usage::invitation::InvitationEvent};
use sipsimple::{
    agent::{Connect, SessionId, UserAgent},
    event::{Event, SessionEvent},
    ice::{Role, State},
    stream::{IceInfo, StreamSpec, audio},
};
use std::{rc::Rc, time::Duration};

fn setup(seed: u64) -> Setup {
    let mut setup = Setup::new(seed);
    setup.lines = 1;
    setup.path.latency = Duration::from_millis(seed % 5 * 20);
    setup.configure = Rc::new(|_, config| {
        config.media.ice = true;
        config.media.rtcp_mux = true;
    });
    setup
}

/// Two streams of audio, with all their candidates.
fn whole(peer: &Peer) -> Description {
    let line = |stream: usize| {
        let (at, keys) = (address(stream), peer.keys(stream));
        let (ip, port) = (at.ip(), at.port());
        format!(
            "m=audio {port} RTP/AVP 0\r\n{keys}a=rtcp-mux\r\n\
             a=candidate:1 1 UDP 2130706431 {ip} {port} typ host\r\n"
        )
    };
    description(&format!("a=ice-options:ice2\r\n{}{}", line(0), line(1)))
}

/// A call between an agent and a peer whose streams begin with these roles.
fn begin(stage: &mut Stage, we_call: bool, peer: Peer) -> (HostId, SessionId, HostId) {
    let description = whole(&peer);
    let peer = stage.world.add_host("media", &[ip(50)], peer);
    let (host, call) = match we_call {
        true => {
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
            let both = vec![StreamSpec::new(audio::KIND); 2];
            let connect = Connect::new(stage.line_uri(0), both);
            let call = stage.agent(stage.alice, "connect", |agent, now| {
                agent.connect(now, connect).unwrap()
            });
            (stage.alice, Some(call))
        }
        false => {
            let bob = stage.bob();
            stage.answer(bob, Duration::ZERO, Duration::ZERO);
            let to = stage.bob_uri();
            stage
                .line(0, "call", |line, now| line.call(now, to, Some(description)))
                .unwrap();
            (bob, None)
        }
    };
    stage.world.run_for(Duration::from_secs(1));
    let mut heard = stage.world.host(host).inbox().notifications.iter();
    let incoming = |event: &Event| match event {
        Event::Session(id, SessionEvent::NewIncoming { .. }) => Some(*id),
        _ => None,
    };
    let call = call.or_else(|| heard.find_map(|heard| incoming(&heard.event)));
    let said = described(stage, host);
    stage
        .world
        .command(peer, "hear", |peer: &mut Peer, now| peer.hear(now, &said));
    (host, call.expect("a session"), peer)
}

fn streams(stage: &Stage, host: HostId, call: SessionId) -> Vec<IceInfo> {
    let agent = stage.world.node::<UserAgent>(host);
    let streams = agent.session(call).unwrap().streams;
    let info = |id| agent.stream::<audio::AudioStream>(id).unwrap().ice();
    streams.into_iter().map(|id| info(id).unwrap()).collect()
}

/// The smallest and the largest tie-breaker.
const LOSES: u64 = 0;
const WINS: u64 = u64::MAX;

/// Whatever the peer's streams claim at first, both ends agree on each stream, and the call stands. A peer that has
/// one role for all of them has it in the end, and so have we; with one that has not, nobody changes for ever.
#[test]
fn rfc_8445_streams_of_a_session_agree_on_who_controls() {
    let claims = [
        [(Controlling, WINS), (Controlling, WINS)],
        [(Controlling, LOSES), (Controlling, LOSES)],
        [(Controlled, WINS), (Controlled, WINS)],
        [(Controlled, LOSES), (Controlled, LOSES)],
        [(Controlling, WINS), (Controlled, WINS)],
        [(Controlled, LOSES), (Controlling, LOSES)],
        [(Controlling, WINS), (Controlling, LOSES)],
        [(Controlled, LOSES), (Controlled, WINS)],
    ];
    for seed in 0..seeds().div_ceil(5) {
        for (n, claims) in claims.into_iter().enumerate() {
            for (we_call, is_whole) in [(true, true), (true, false), (false, true), (false, false)]
            {
                play(&setup(seed * 10 + n as u64), |stage| {
                    let name = format!("{claims:?}, we call: {we_call}, one role: {is_whole}");
                    let peer = Peer::new(&claims, is_whole);
                    let (host, call, peer) = begin(stage, we_call, peer);
                    wait(stage, host, call, PATIENCE);
                    stage.world.run_for(Duration::from_secs(10));
                    assert_eq!(label(stage, host, call), "connected", "{name}");
                    let ours = streams(stage, host, call);
                    let theirs = &stage.world.node::<Peer>(peer).agents;
                    for (our, their) in ours.iter().zip(theirs) {
                        assert_eq!(our.controls, their.role() == Controlled, "{name}");
                        assert_eq!(their.state(), State::Completed, "{name}");
                        let selected = their.selected(1).unwrap();
                        let rtp = our.rtp.as_ref().unwrap();
                        assert_eq!((selected.local, selected.remote), (rtp.remote, rtp.local));
                    }
                    if is_whole {
                        assert_eq!(ours[0].controls, ours[1].controls, "{name}");
                    }
                    let _ = stage.agent(host, "end", |agent, now| agent.end(now, call));
                    stage.world.run_for(PATIENCE);
                });
            }
        }
    }
}
