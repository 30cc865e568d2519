//! ICE across address translators (RFC 8445): which kind of pair carries the call, and when none can.

use crate::{
    beside::{heard, marks, speak},
    call::{both, label, wait},
    names::ip,
    runs::{play, seeds},
};
use simulator::{
    Crash, Depends, HostId, Nat, Setup, Stage,
    server::{Proxy, Registrar, Rules, StunServer},
};
use sipsimple::{
    agent::{Connect, SessionId, UserAgent},
    event::{Event, StreamEvent},
    stream::{
        IceInfo, StreamSpec,
        audio::{AudioStream, KIND},
    },
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};

/// What a host stands behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Behind {
    Nothing,
    FullCone,
    AddressRestricted,
    PortRestricted,
    Symmetric,
    /// A firewall that lets only connections pass.
    Blocked,
}

/// Those that let datagrams pass.
pub(crate) const ALL: [Behind; 5] = [
    Behind::Nothing,
    Behind::FullCone,
    Behind::AddressRestricted,
    Behind::PortRestricted,
    Behind::Symmetric,
];

impl Behind {
    fn nat(self, address: IpAddr) -> Option<Nat> {
        let (mapping, filtering) = match self {
            Self::Nothing | Self::Blocked => return None,
            Self::FullCone => (Depends::EndpointIndependent, Depends::EndpointIndependent),
            Self::AddressRestricted => (Depends::EndpointIndependent, Depends::Address),
            Self::PortRestricted => (Depends::EndpointIndependent, Depends::AddressAndPort),
            Self::Symmetric => (Depends::AddressAndPort, Depends::AddressAndPort),
        };
        Some(Nat {
            mapping,
            filtering,
            ..Nat::new(address)
        })
    }

    /// How the other side sees a candidate of this one that has worked: by the address that was told, or
    /// by one that only the check has shown, since each destination has its own.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Nothing => "host",
            Self::Symmetric => "prflx",
            Self::Blocked => "relay",
            _ => "srflx",
        }
    }

    /// Whether packets pass without a relay: one that has another port for everybody meets nobody who
    /// lets in only the ports that he has written to.
    pub(crate) fn meets(self, other: Self) -> bool {
        let strict = [Self::PortRestricted, Self::Symmetric];
        let is_stuck = |a: Self, b: Self| a == Self::Symmetric && strict.contains(&b);
        let is_blocked = self == Self::Blocked || other == Self::Blocked;
        !is_blocked && !is_stuck(self, other) && !is_stuck(other, self)
    }
}

const OUTSIDE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)),
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2)),
];

pub(crate) fn setup(seed: u64) -> Setup {
    let mut setup = Setup::new(seed);
    setup.path.latency = Duration::from_millis(seed % 5 * 20);
    setup.configure = Rc::new(|_, config| {
        config.accounts[0].outbound_proxy = "sip:10.0.0.9;lr".parse().ok();
        config.media.ice = true;
        config.media.stun_servers = vec![SocketAddr::new(ip(8), 3_478).into()];
    });
    setup
}

/// A registrar and a STUN server outside, which is returned; both users are registered.
pub(crate) fn begin(stage: &mut Stage, behind: [Behind; 2]) -> HostId {
    let server = StunServer::new(SocketAddr::new(ip(8), 3_478));
    let server = stage.world.add_host("stun", &[ip(8)], server);
    begin_with(stage, behind);
    server
}

/// A registrar outside; both users are registered behind whatever it is.
pub(crate) fn begin_with(stage: &mut Stage, behind: [Behind; 2]) {
    let hosts = [stage.alice, stage.bob()];
    for n in 0..2 {
        if behind[n] == Behind::Blocked {
            stage.world.set_datagrams_blocked(hosts[n], true);
        }
        if let Some(nat) = behind[n].nat(OUTSIDE[n]) {
            stage.world.set_nat(nat, &[hosts[n]]);
        }
    }
    let mut proxy = Proxy::new(SocketAddr::new(ip(9), 5060));
    proxy.add_name("example.com", ip(9));
    proxy.set_registrar(Registrar::new(Rules::default()));
    proxy.set_mends_contacts(true);
    stage.world.add_host("registrar", &[ip(9)], proxy);
    stage.world.run_for(Duration::from_millis(1));
    for host in hosts {
        stage.agent(host, "register", |agent, now| {
            agent.register(now, None).unwrap()
        });
    }
    stage.world.run_for(Duration::from_secs(2));
    stage.answer(hosts[1], Duration::ZERO, Duration::from_millis(100));
}

pub(crate) fn call(stage: &mut Stage) -> SessionId {
    let mut connect = Connect::new("sip:bob@example.com".parse().unwrap(), Vec::new());
    connect.streams = vec![StreamSpec::new(KIND)];
    let call = stage.agent(stage.alice, "connect", |agent, now| {
        agent.connect(now, connect).unwrap()
    });
    wait(stage, stage.alice, call, Duration::from_secs(100));
    call
}

pub(crate) fn finish(stage: &mut Stage, call: SessionId) {
    let _ = stage.agent(stage.alice, "end", |agent, now| agent.end(now, call));
    for host in [stage.alice, stage.bob()] {
        stage.agent(host, "unregister", |agent, now| {
            agent.unregister(now, None).unwrap()
        });
    }
    stage.world.run_for(Duration::from_secs(40));
}

/// The kinds of the pair that carries RTP: ours, and the peer's.
pub(crate) fn kinds(stage: &Stage, host: HostId) -> (&'static str, &'static str) {
    let rtp = info(stage, host).rtp.unwrap();
    (rtp.local_type, rtp.remote_type)
}

/// How far ICE is on a host.
pub(crate) fn info(stage: &Stage, host: HostId) -> IceInfo {
    let events = &stage.world.host(host).inbox().notifications;
    let started = |event: &Event| match event {
        Event::Stream(id, StreamEvent::DidStart) => Some(*id),
        _ => None,
    };
    let id = events.iter().rev().find_map(|told| started(&told.event));
    let agent = stage.world.node::<UserAgent>(host);
    let stream = agent.stream::<AudioStream>(id.expect("it runs")).unwrap();
    stream.ice().unwrap()
}

pub(crate) fn count(stage: &Stage, host: HostId, fits: impl Fn(&StreamEvent) -> bool) -> usize {
    let events = &stage.world.host(host).inbox().notifications;
    let is_it = |event: &Event| matches!(event, Event::Stream(_, event) if fits(event));
    events.iter().filter(|told| is_it(&told.event)).count()
}

/// AUS-25, RFC 8445: each pair of translators lets exactly the kind of pair work that it must, at both
/// ends, and speech is heard; where only a relay would help, the call ends and says why.
#[test]
fn aus_25_each_pair_of_translators_has_its_kind_of_pair() {
    for seed in 0..seeds().div_ceil(10) {
        for (n, ours) in ALL.into_iter().enumerate() {
            for (m, theirs) in ALL.into_iter().enumerate() {
                play(&setup(seed * 100 + (n * 5 + m) as u64), |stage| {
                    begin(stage, [ours, theirs]);
                    let call = call(stage);
                    let said = both(stage, call);
                    let hosts = [stage.alice, stage.bob()];
                    let name = format!("{ours:?} {theirs:?}");
                    if ours.meets(theirs) {
                        assert_eq!(said, "connected", "{name}");
                        let (our, their) = (ours.kind(), theirs.kind());
                        assert_eq!(kinds(stage, hosts[0]), (our, their), "{name}");
                        assert_eq!(kinds(stage, hosts[1]), (their, our), "{name}");
                        talk(stage, hosts, &name);
                    } else {
                        stage.world.run_for(Duration::from_secs(60));
                        assert_ne!(label(stage, hosts[0], call), "connected", "{name}");
                        let failed = |event: &StreamEvent| {
                            matches!(event, StreamEvent::IceNegotiationDidFail { .. })
                        };
                        let failures = hosts.map(|host| count(stage, host, failed));
                        assert!(failures[0] + failures[1] > 0, "{name}");
                    }
                    finish(stage, call);
                });
            }
        }
    }
}

/// RFC 8445, 9: the caller or the callee moves to another network in mid-call; speech is heard again within
/// 5 s at both ends, over addresses that both have.
#[test]
fn rfc_8445_a_call_moves_to_another_network() {
    for seed in 0..seeds().div_ceil(10) {
        for mover in 0..2 {
            play(&setup(seed * 10 + mover as u64), |stage| {
                begin(stage, [Behind::Nothing, Behind::PortRestricted]);
                let call = call(stage);
                assert_eq!(both(stage, call), "connected");
                let hosts = [stage.alice, stage.bob()];
                stage.world.run_for(Duration::from_secs(3));
                stage.world.set_addresses(hosts[mover], &[ip(21)]);
                stage.world.run_for(Duration::from_secs(5));
                talk(stage, hosts, &format!("{mover} has moved"));
                finish(stage, call);
            });
        }
    }
}

/// RFC 8445, 5.1.1.1 and 5.1.2.1: addresses of IPv6 are candidates beside those of IPv4, and carry the call
/// where translators of IPv4 let nobody through; whoever has none is met over IPv4.
#[test]
fn rfc_8445_ipv6_meets_where_translators_of_ipv4_do_not() {
    let v6 = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
    for seed in 0..seeds().div_ceil(10) {
        for (n, ours) in ALL.into_iter().enumerate() {
            for has_both in [true, false] {
                let seed = seed * 100 + (n * 2 + usize::from(has_both)) as u64;
                play(&setup(seed), |stage| {
                    let hosts = [stage.alice, stage.bob()];
                    let known = hosts.into_iter().zip([(ip(1), v6(1)), (ip(2), v6(2))]);
                    for (host, (old, new)) in known.skip(usize::from(!has_both)) {
                        stage.world.set_addresses(host, &[old, new]);
                    }
                    let theirs = match has_both {
                        true => Behind::Symmetric,
                        false => Behind::Nothing,
                    };
                    begin(stage, [ours, theirs]);
                    let call = call(stage);
                    let name = format!("{ours:?}, IPv6 at both: {has_both}");
                    assert_eq!(both(stage, call), "connected", "{name}");
                    let pairs = hosts.map(|host| info(stage, host).rtp.unwrap());
                    let is_v6 = pairs.each_ref().map(|rtp| rtp.remote.is_ipv6());
                    assert_eq!(is_v6[0], is_v6[1], "{name}");
                    let seen = [kinds(stage, hosts[0]), kinds(stage, hosts[1])];
                    if !has_both {
                        let (our, their) = (ours.kind(), theirs.kind());
                        assert_eq!(seen, [(our, their), (their, our)], "{name}");
                        assert!(!is_v6[0], "{name}");
                    } else if !ours.meets(theirs) {
                        assert_eq!(seen, [("host", "host"); 2], "{name}");
                        assert!(is_v6[0], "{name}");
                    }
                    talk(stage, hosts, &name);
                    finish(stage, call);
                });
            }
        }
    }
}

/// RFC 4787, 6; RFC 8445, 2.2: two behind one translator meet inside, whether it leads what they send to its
/// outer address back to them or not.
#[test]
fn rfc_4787_two_behind_one_translator_meet_inside() {
    for seed in 0..seeds().div_ceil(10) {
        for (n, behind) in ALL.into_iter().skip(1).enumerate() {
            for hairpin in [true, false] {
                let seed = seed * 100 + (n * 2 + usize::from(hairpin)) as u64;
                play(&setup(seed), |stage| {
                    let hosts = [stage.alice, stage.bob()];
                    let nat = behind.nat(OUTSIDE[0]).unwrap();
                    stage.world.set_nat(Nat { hairpin, ..nat }, &hosts);
                    begin(stage, [Behind::Nothing; 2]);
                    let call = call(stage);
                    let name = format!("{behind:?}, leads back: {hairpin}");
                    assert_eq!(both(stage, call), "connected", "{name}");
                    for host in hosts {
                        assert_eq!(kinds(stage, host), ("host", "host"), "{name}");
                    }
                    talk(stage, hosts, &name);
                    finish(stage, call);
                });
            }
        }
    }
}

/// Speech is heard at both ends.
pub(crate) fn talk(stage: &mut Stage, hosts: [HostId; 2], name: &str) {
    let before = marks(stage, hosts);
    speak(stage, hosts, 20);
    stage.world.run_for(Duration::from_millis(500));
    for end in 0..2 {
        assert!(heard(stage, hosts[end], before[end]) >= 19, "{name} {end}");
    }
}

/// BUG-01, RTP-13: a server that answers nobody costs two seconds, and the call goes over what there is.
#[test]
fn bug_01_a_silent_server_does_not_cost_the_call() {
    play(&setup(1), |stage| {
        let server = begin(stage, [Behind::Nothing; 2]);
        stage.world.crash(server, Crash::Power);
        let before = stage.world.now();
        let call = call(stage);
        assert_eq!(both(stage, call), "connected");
        // Two seconds at each end, and what the call itself takes.
        let took = stage.world.now().duration_since(before);
        assert!(took < Duration::from_secs(6), "{took:?}");
        finish(stage, call);
    });
}
