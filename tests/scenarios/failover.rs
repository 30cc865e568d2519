//! A domain whose first server is dead, in each of the ways in which servers are: where the request
//! goes, and when (RFC 3263, 4.3; wire rules, "Failover").

use crate::{
    call::{both, label, probe},
    names::{asking, ip, is_registered, requests, serve},
    runs::play,
};
use base::Transport;
use simulator::{
    HostId, Phase, Stage,
    server::{Peer, Proxy, Registrar, Rules},
};
use sip::{HeaderName, Message, Method, Response, Status};
use sipsimple::agent::{Connect, SessionId, UserAgent};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// How the first server is dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Dead {
    /// The host is there, nobody listens.
    Refuses,
    /// Nothing comes back.
    BlackHole,
    /// Its name has no address.
    HasNoAddress,
    /// 503.
    Unavailable,
    /// 503, for a minute and a half.
    UnavailableFor90Seconds,
    /// It says 100, and then nothing.
    SilentAfterTrying,
}

/// The dead server is 10.0.0.40, the other 10.0.0.2 or 10.0.0.9.
fn zone(transport: Transport, dead: Dead, other: u8) -> String {
    let service = match transport {
        Transport::Udp => "_sip._udp",
        _ => "_sip._tcp",
    };
    let address = match dead {
        Dead::HasNoAddress => "",
        _ => "dead.example.com. 3600 A 10.0.0.40",
    };
    format!(
        "{service}.example.com. 3600 SRV 10 1 5060 dead.example.com.
        {service}.example.com. 3600 SRV 20 1 5060 alive.example.com.
        alive.example.com. 3600 A 10.0.0.{other}
        {address}"
    )
}

/// Puts the dead server into the world.
fn bury(stage: &mut Stage, dead: Dead) -> HostId {
    let port = match dead {
        Dead::Refuses => 5999,
        _ => 5060,
    };
    let mut peer = Peer::new(SocketAddr::new(ip(40), port));
    peer.set_answer(move |message, _| {
        let Message::Request(request) = message else {
            return Vec::new();
        };
        let say = |status| Response::to_request(request, status, Some("dead"));
        let response = match (dead, &request.method) {
            (_, Method::Ack) => return Vec::new(),
            (Dead::SilentAfterTrying, Method::Cancel) => {
                // RFC 3261, 9.2
                return vec![say(Status::OK).to_bytes(), cancelled(request)];
            }
            (Dead::SilentAfterTrying, _) => Response::to_request(request, Status::TRYING, None),
            (Dead::UnavailableFor90Seconds, _) => {
                let mut response = say(Status::SERVICE_UNAVAILABLE);
                response.headers.push(HeaderName::RetryAfter, 90u32);
                response
            }
            _ => say(Status::SERVICE_UNAVAILABLE),
        };
        vec![response.to_bytes()]
    });
    let host = stage.world.add_host("dead", &[ip(40)], peer);
    if dead == Dead::BlackHole {
        for other in stage.agents() {
            stage.world.cut_path(other, host);
        }
    }
    host
}

/// 487 to the INVITE that a CANCEL belongs to: the same headers but the method.
fn cancelled(cancel: &sip::Request) -> bytes::Bytes {
    let mut invite = cancel.clone();
    let number = cancel.headers.cseq().unwrap().number;
    let cseq = format!("{number} INVITE");
    invite.headers.insert(HeaderName::CSeq, cseq.as_str());
    Response::to_request(&invite, Status::REQUEST_TERMINATED, Some("dead")).to_bytes()
}

fn connect(stage: &mut Stage) -> SessionId {
    let connect = Connect::new("sip:bob@example.com".parse().unwrap(), probe());
    stage.agent(stage.alice, "connect", |agent, now| {
        agent.connect(now, connect).unwrap()
    })
}

/// When the first request of a method left for each target since `from`, in order.
fn tries(stage: &Stage, method: &str, from: Duration) -> Vec<(String, Duration)> {
    let mut tries: Vec<(String, Duration)> = Vec::new();
    for (at, way) in requests(stage, stage.alice, method) {
        if at >= from && tries.last().is_none_or(|(last, _)| *last != way) {
            tries.push((way, at - from));
        }
    }
    tries
}

/// The abandoned target is not asked again, and the answer to the first request keeps its Call-ID, From
/// tag and CSeq on the way to the second: all that the RFC lets change is the branch.
fn same_request(stage: &Stage) {
    use simulator::Action;
    let mut seen = Vec::new();
    for step in stage.world.trace().steps() {
        let (Action::Send { payload, .. } | Action::Write { payload, .. }) = &step.action else {
            continue;
        };
        if step.host == stage.alice
            && payload.starts_with(b"INVITE")
            && let Ok(Message::Request(request)) = Message::parse(payload.clone())
        {
            let header =
                |name| String::from_utf8_lossy(request.headers.get(name).unwrap()).into_owned();
            let names = [HeaderName::CallId, HeaderName::From, HeaderName::CSeq];
            seen.push((names.map(header), header(HeaderName::Via)));
        }
    }
    let (first, rest) = seen.split_first().unwrap();
    assert!(rest.iter().all(|other| other.0 == first.0), "{seen:#?}");
    let mut branches: Vec<&String> = seen.iter().map(|(_, via)| via).collect();
    branches.sort();
    branches.dedup();
    assert!(branches.len() <= 2, "{branches:?}");
}

/// A call to a domain with a dead first server: it stands, after so long.
fn call_past(transport: Transport, dead: Dead, expected: Duration) {
    play(&asking(1, &[53]), |stage| {
        serve(stage, 53, &zone(transport, dead, 2));
        bury(stage, dead);
        let bob = stage.bob();
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let began = stage.world.elapsed();
        let call = connect(stage);
        stage.world.run_for(expected + Duration::from_secs(1));
        assert_eq!(label(stage, stage.alice, call), "connected", "{dead:?}");
        assert_eq!(both(stage, call), "connected");
        let tries = tries(stage, "INVITE", began);
        let (way, at) = tries.last().unwrap();
        assert_eq!(*way, format!("{transport} 10.0.0.2:5060"));
        assert!(
            *at >= expected && *at < expected + Duration::from_millis(50),
            "{dead:?}: {tries:?}"
        );
        same_request(stage);
    });
}

const AT_ONCE: Duration = Duration::ZERO;
/// `sip::Config::dead_target`.
const DEAD_TARGET: Duration = Duration::from_millis(1_500);

/// SES-06, RFC 3263, 4.3: over UDP.
#[test]
fn ses_06_a_call_passes_by_a_dead_server_over_udp() {
    call_past(Transport::Udp, Dead::Refuses, AT_ONCE);
    call_past(Transport::Udp, Dead::BlackHole, DEAD_TARGET);
    call_past(Transport::Udp, Dead::HasNoAddress, AT_ONCE);
    call_past(Transport::Udp, Dead::Unavailable, AT_ONCE);
    call_past(Transport::Udp, Dead::UnavailableFor90Seconds, AT_ONCE);
}

/// The same over TCP, where a black hole swallows the SYN.
#[test]
fn ses_06_a_call_passes_by_a_dead_server_over_tcp() {
    call_past(Transport::Tcp, Dead::Refuses, AT_ONCE);
    call_past(Transport::Tcp, Dead::BlackHole, DEAD_TARGET);
    call_past(Transport::Tcp, Dead::HasNoAddress, AT_ONCE);
    call_past(Transport::Tcp, Dead::Unavailable, AT_ONCE);
    call_past(Transport::Tcp, Dead::UnavailableFor90Seconds, AT_ONCE);
}

/// wire-rules, failover: who has said 503 is asked last for its Retry-After, or for half a minute, and first again
/// after that.
#[test]
fn ses_06_a_server_that_has_said_503_is_asked_last_for_its_time() {
    for (dead, seconds) in [(Dead::Unavailable, 30), (Dead::UnavailableFor90Seconds, 90)] {
        play(&asking(1, &[53]), |stage| {
            serve(stage, 53, &zone(Transport::Udp, dead, 2));
            bury(stage, dead);
            let bob = stage.bob();
            stage.answer(bob, Duration::ZERO, Duration::ZERO);
            let begun = stage.world.elapsed();
            let mut ways = Vec::new();
            // Before its time is over, and after it.
            for at in [0, seconds - 5, seconds + 5] {
                let at = begun + Duration::from_secs(at);
                stage.world.run_for(at - stage.world.elapsed());
                let call = connect(stage);
                stage.world.run_for(Duration::from_secs(2));
                assert_eq!(both(stage, call), "connected");
                let tries = tries(stage, "INVITE", at);
                ways.push(tries.iter().map(|(way, _)| way.clone()).collect::<Vec<_>>());
                stage.agent(stage.alice, "end", |agent, now| {
                    agent.end(now, call).unwrap();
                });
                stage.world.run_for(Duration::from_secs(1));
            }
            let (first, second) = ("udp 10.0.0.40:5060", "udp 10.0.0.2:5060");
            assert_eq!(
                ways,
                [vec![first, second], vec![second], vec![first, second]],
                "{dead:?}"
            );
        });
    }
}

/// RFC 8305, 5: an agent with both families, a server with both, whose IPv6 leads nowhere: IPv4 is tried beside it after 250 ms
/// and carries the call; where IPv6 is refused, at once.
#[test]
fn rfc_8305_a_call_over_tcp_does_not_wait_for_a_family_that_leads_nowhere() {
    for (port, least) in [(5060, Duration::from_millis(250)), (5999, Duration::ZERO)] {
        play(&asking(1, &[53]), |stage| {
            let six = |last: u16| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last]);
            serve(
                stage,
                53,
                "_sip._tcp.example.com. 300 SRV 1 1 5060 bob.example.com.
                bob.example.com. 300 A 10.0.0.2
                bob.example.com. 300 AAAA fd00::2",
            );
            let mut config = stage.config("carol", 0);
            config.addresses = vec![ip(70), six(70)];
            let agent = UserAgent::new(stage.world.now(), config);
            let addresses = [ip(70), six(70)];
            let carol = stage.world.add_host("carol", &addresses, agent);
            let peer = Peer::new(SocketAddr::new(six(2), port));
            let six = stage.world.add_host("six", &[six(2)], peer);
            if port == 5060 {
                stage.world.cut_path(carol, six);
            }
            let bob = stage.bob();
            stage.answer(bob, Duration::ZERO, Duration::ZERO);
            stage.world.run_for(Duration::from_secs(1));
            let began = stage.world.elapsed();
            let connect = Connect::new("sip:bob@example.com".parse().unwrap(), probe());
            let call = stage.agent(carol, "connect", |agent, now| {
                agent.connect(now, connect).unwrap()
            });
            stage.world.run_for(Duration::from_secs(2));
            assert_eq!(label(stage, carol, call), "connected");
            let requests = requests(stage, carol, "INVITE");
            let [(at, way)] = &requests[..] else {
                panic!("{requests:?}");
            };
            assert_eq!(way, "tcp 10.0.0.2:5060");
            let waited = *at - began;
            assert!(
                waited >= least && waited < least + Duration::from_millis(50),
                "{waited:?}"
            );
            stage.agent(carol, "end", |agent, now| agent.end(now, call).unwrap());
            stage.world.run_for(Duration::from_secs(5));
        });
    }
}

/// RFC 3263, 4.3: who has answered, even by 100 alone, is not passed by; the call stays with it until
/// the caller has enough.
#[test]
fn silence_after_100_is_no_reason_to_call_elsewhere() {
    for transport in [Transport::Udp, Transport::Tcp] {
        play(&asking(1, &[53]), |stage| {
            serve(stage, 53, &zone(transport, Dead::SilentAfterTrying, 2));
            bury(stage, Dead::SilentAfterTrying);
            let began = stage.world.elapsed();
            let call = connect(stage);
            // Less than the session itself waits.
            stage.world.run_for(Duration::from_secs(80));
            let tries = tries(stage, "INVITE", began);
            assert_eq!(tries.len(), 1, "{tries:?}");
            assert_eq!(label(stage, stage.alice, call), "setup");
            stage.agent(stage.alice, "end", |agent, now| {
                agent.end(now, call).unwrap()
            });
            stage.world.run_for(Duration::from_secs(5));
            let model = stage.model(stage.alice);
            let phase = &model.session(call).unwrap().phase;
            assert!(matches!(phase, Phase::Failed { code: 487 }), "{phase:?}");
            assert_eq!(requests(stage, stage.alice, "CANCEL").len(), 1);
        });
    }
}

/// A registration finds the second server as a call does, in the same time.
fn registration_past(transport: Transport, dead: Dead, expected: Duration) {
    play(&asking(1, &[53]), |stage| {
        serve(stage, 53, &zone(transport, dead, 9));
        bury(stage, dead);
        let mut proxy = Proxy::new(SocketAddr::new(ip(9), 5060));
        proxy.add_name("example.com", ip(9));
        proxy.set_registrar(Registrar::new(Rules::default()));
        stage.world.add_host("registrar", &[ip(9)], proxy);
        let alice = stage.alice;
        let began = stage.world.elapsed();
        stage.agent(alice, "register", |agent, now| {
            agent.register(now, None).unwrap()
        });
        stage.world.run_for(expected + Duration::from_secs(1));
        assert!(is_registered(stage, alice), "{dead:?}");
        let tries = tries(stage, "REGISTER", began);
        let (way, at) = tries.last().unwrap();
        assert_eq!(*way, format!("{transport} 10.0.0.9:5060"));
        assert!(
            *at >= expected && *at < expected + Duration::from_millis(50),
            "{dead:?}: {tries:?}"
        );
        stage.agent(alice, "unregister", |agent, now| {
            agent.unregister(now, None).unwrap();
        });
        stage.world.run_for(Duration::from_secs(5));
    });
}

#[test]
fn ses_06_a_registration_passes_by_a_dead_server() {
    for transport in [Transport::Udp, Transport::Tcp] {
        registration_past(transport, Dead::Refuses, AT_ONCE);
        registration_past(transport, Dead::HasNoAddress, AT_ONCE);
        registration_past(transport, Dead::Unavailable, AT_ONCE);
    }
    registration_past(Transport::Udp, Dead::BlackHole, DEAD_TARGET);
}
