//! Single rules, with the other side written by hand.

use super::*;
use crate::stun::{Attribute, AttributeType, Integrity, Protection, TransactionId, Writer};
use std::net::Ipv4Addr;

const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4_000);
const THERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 5_000);

#[expect(clippy::disallowed_methods, reason = "an origin for a virtual clock")]
fn start() -> Instant {
    Instant::now()
}

/// A peer that is written by hand.
struct Peer {
    agent: Agent,
    now: Instant,
    base: BaseId,
    credentials: Credentials,
    number: u32,
}

impl Peer {
    fn new(role: Role) -> Self {
        let rng = Rng::from_seed([9; 32]);
        let mut agent = Agent::new(Config::default(), role, 1_000, rng);
        let base = agent.add_base(1, HERE, 65_535);
        Self {
            agent,
            now: start(),
            base,
            credentials: Credentials {
                ufrag: "peer".to_owned(),
                pwd: "the-password-of-the-peer".to_owned(),
            },
            number: 0,
        }
    }

    fn describe(&mut self, candidates: Vec<Candidate>) {
        let description = Description::new(self.credentials.clone(), candidates);
        self.agent.set_remote(self.now, description);
    }

    fn candidate(address: SocketAddr) -> Candidate {
        Candidate {
            foundation: "1".to_owned(),
            component: 1,
            priority: 2_130_706_431,
            address,
            kind: Kind::Host,
            related: None,
        }
    }

    fn transaction(&mut self) -> TransactionId {
        self.number += 1;
        let mut id = [7; 12];
        id[..4].copy_from_slice(&self.number.to_be_bytes());
        TransactionId(id)
    }

    /// A check as RFC 8445, 7.1 wants it, but for what `change` does with it.
    fn request(&mut self, role: &Attribute<'_>, use_candidate: bool) -> Writer {
        let id = self.transaction();
        let username = format!("{}:peer", self.agent.local().credentials.ufrag);
        let writer = Writer::new(Class::Request, Method::BINDING, id)
            .attribute(&Attribute::Username(&username))
            .attribute(&Attribute::Priority(1_862_270_975))
            .attribute(role);
        match use_candidate {
            true => writer.attribute(&Attribute::UseCandidate),
            false => writer,
        }
    }

    fn sealed(&self, writer: Writer) -> Vec<u8> {
        let key = Key::short_term(&self.agent.local().credentials.pwd);
        writer
            .integrity(Protection::Sha1, &key)
            .fingerprint()
            .finish()
            .to_vec()
    }

    fn hear(&mut self, from: SocketAddr, datagram: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        self.agent
            .handle_datagram(self.now, self.base, from, datagram);
        self.said()
    }

    fn said(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut said = Vec::new();
        while let Some(output) = self.agent.poll_output() {
            if let Output::Transmit { to, payload, .. } = output {
                said.push((to, payload.to_vec()));
            }
        }
        said
    }

    fn wait(&mut self, time: Duration) -> Vec<(SocketAddr, Vec<u8>)> {
        self.now += time;
        self.agent.handle_timeout(self.now);
        self.said()
    }

    fn response(&self, request: &[u8], mapped: SocketAddr) -> Vec<u8> {
        let request = Message::parse(request).unwrap();
        Writer::new(Class::Success, Method::BINDING, request.transaction())
            .attribute(&Attribute::XorMappedAddress(mapped))
            .integrity(Protection::Sha1, &Key::short_term(&self.credentials.pwd))
            .fingerprint()
            .finish()
            .to_vec()
    }

    fn error(&self, request: &[u8], code: u16) -> Vec<u8> {
        let request = Message::parse(request).unwrap();
        let error = crate::stun::ErrorCode { code, reason: "" };
        Writer::new(Class::Error, Method::BINDING, request.transaction())
            .attribute(&Attribute::ErrorCode(error))
            .integrity(Protection::Sha1, &Key::short_term(&self.credentials.pwd))
            .fingerprint()
            .finish()
            .to_vec()
    }
}

fn code(datagram: &[u8]) -> Option<u16> {
    let message = Message::parse(datagram).unwrap();
    match message.attribute(AttributeType::ERROR_CODE)? {
        Attribute::ErrorCode(error) => Some(error.code),
        _ => None,
    }
}

/// RFC 8445, 7.1 and 7.2.2.
#[test]
fn a_check_has_all_that_it_must_have() {
    let mut peer = Peer::new(Role::Controlling);
    peer.describe(vec![Peer::candidate(THERE)]);
    let said = peer.said();
    assert_eq!((said.len(), said[0].0), (1, THERE));
    let check = Message::parse(&said[0].1).unwrap();
    assert_eq!(
        (check.class(), check.method()),
        (Class::Request, Method::BINDING)
    );
    let ufrag = peer.agent.local().credentials.ufrag;
    assert_eq!(
        check.attribute(AttributeType::USERNAME),
        Some(Attribute::Username(&format!("peer:{ufrag}")))
    );
    // 110 × 2^24 + 65535 × 2^8 + 255.
    assert_eq!(
        check.attribute(AttributeType::PRIORITY),
        Some(Attribute::Priority(1_862_270_975))
    );
    assert_eq!(
        check.attribute(AttributeType::ICE_CONTROLLING),
        Some(Attribute::IceControlling(1_000))
    );
    assert_eq!(check.raw(AttributeType::USE_CANDIDATE), None);
    let key = Key::short_term("the-password-of-the-peer");
    assert_eq!(check.integrity(Protection::Sha1, &key), Integrity::Right);
    assert!(check.has_fingerprint());
}

/// RFC 8445, 8.1.1: regular nomination, one pair, a check of its own.
#[test]
fn the_controlling_side_chooses_what_works() {
    let mut peer = Peer::new(Role::Controlling);
    peer.describe(vec![Peer::candidate(THERE)]);
    let check = peer.said().remove(0).1;
    let response = peer.response(&check, HERE);
    peer.hear(THERE, &response);
    let said = peer.wait(Duration::from_millis(50));
    assert_eq!(said.len(), 1);
    let check = Message::parse(&said[0].1).unwrap();
    assert!(check.raw(AttributeType::USE_CANDIDATE).is_some());
    assert_eq!(peer.agent.selected(1), None);
    assert_eq!(peer.agent.route(1).map(|pair| pair.remote), Some(THERE));
    let response = peer.response(&said[0].1, HERE);
    peer.hear(THERE, &response);
    assert_eq!(peer.agent.state(), State::Completed);
    assert_eq!(peer.agent.selected(1).map(|pair| pair.remote), Some(THERE));
}

/// RFC 8489, 6.2.1 with RTO 500 ms, Rc 7 and Rm 16: 0, 500, 1500, 3500, 7500, 15500, 31500, 39500 ms.
#[test]
fn a_check_is_repeated_and_given_up_on_time() {
    let mut peer = Peer::new(Role::Controlled);
    peer.describe(vec![Peer::candidate(THERE)]);
    let begin = peer.now;
    let mut sent = vec![0];
    peer.said();
    while let Some(deadline) = peer.agent.poll_timeout() {
        peer.now = deadline.at;
        peer.agent.handle_timeout(peer.now);
        if !peer.said().is_empty() {
            sent.push((peer.now - begin).as_millis());
        }
    }
    assert_eq!(sent, [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert_eq!(peer.now - begin, Duration::from_millis(39_500));
    assert_eq!(peer.agent.state(), State::Failed);
}

/// RFC 8445, 14.2: between two first checks of pairs Ta passes, for each agent that runs.
#[test]
fn checks_are_paced() {
    for agents in [1, 3] {
        let mut peer = Peer::new(Role::Controlling);
        peer.agent.set_agents(agents);
        let at = |port| SocketAddr::new(THERE.ip(), port);
        let candidate = |port: u16| Candidate {
            foundation: port.to_string(),
            ..Peer::candidate(at(port))
        };
        peer.describe((5_000..5_020).map(candidate).collect());
        let mut first: Vec<(SocketAddr, Instant)> = Vec::new();
        let mut said = peer.said();
        for _ in 0..400 {
            for (to, _) in said {
                if first.iter().all(|(known, _)| *known != to) {
                    first.push((to, peer.now));
                }
            }
            said = peer.wait(Duration::from_millis(10));
        }
        assert_eq!(first.len(), 20);
        let pace = Duration::from_millis(50) * agents;
        for two in first.windows(2) {
            assert!(two[1].1 - two[0].1 >= pace, "{first:?}");
        }
        let all = first[19].1 - first[0].1;
        assert!(all < pace * 19 + Duration::from_millis(200), "{all:?}");
    }
}

/// RFC 8445, 7.3: whoever does not know the password is told so once, and nothing else happens. The refusal of a
/// bare request is longer than that, by a code and its words: who sends one in another's name gains little.
#[test]
fn strangers_are_refused_with_little_more_than_they_sent() {
    let mut peer = Peer::new(Role::Controlled);
    peer.describe(vec![Peer::candidate(THERE)]);
    peer.said();
    let role = Attribute::IceControlling(7);
    let stranger: SocketAddr = ([203, 0, 113, 9], 9).into();
    let wrong = {
        let writer = peer.request(&role, true);
        let key = Key::short_term("guessed-guessed-guessed");
        writer
            .integrity(Protection::Sha1, &key)
            .fingerprint()
            .finish()
    };
    let missing = peer.request(&role, true).fingerprint().finish();
    let id = peer.transaction();
    let bare = Writer::new(Class::Request, Method::BINDING, id)
        .fingerprint()
        .finish();
    for (datagram, expected) in [(wrong, 401), (missing, 400), (bare, 400)] {
        let said = peer.hear(stranger, &datagram);
        assert_eq!(said.len(), 1);
        assert_eq!((said[0].0, code(&said[0].1)), (stranger, Some(expected)));
        let (asked, answered) = (datagram.len(), said[0].1.len());
        let ratio = answered as f64 / asked as f64;
        println!("{asked} bytes are refused with {answered}, {ratio:.2} times as many");
        assert!(answered <= asked + 24, "{asked} {answered}");
    }
    assert_eq!(peer.agent.pairs().len(), 1);
    assert_eq!(peer.agent.ignored(), 3);
}

/// RFC 8489, 6.3.1.
#[test]
fn what_must_be_understood_and_is_not_is_refused() {
    let mut peer = Peer::new(Role::Controlled);
    let writer = peer
        .request(&Attribute::IceControlling(7), false)
        .attribute(&Attribute::Other(AttributeType(0x7fff), b"?"));
    let datagram = peer.sealed(writer);
    let said = peer.hear(THERE, &datagram);
    assert_eq!(code(&said[0].1), Some(420));
    let answer = Message::parse(&said[0].1).unwrap();
    assert_eq!(
        answer.attribute(AttributeType::UNKNOWN_ATTRIBUTES),
        Some(Attribute::UnknownAttributes(&[0x7f, 0xff]))
    );
}

/// RFC 8445, 7.3.1.1: the larger tie-breaker controls, whoever asks.
#[test]
fn the_table_of_role_conflicts() {
    for (role, attribute, expected, role_after) in [
        (
            Role::Controlling,
            Attribute::IceControlling(999),
            Some(487),
            Role::Controlling,
        ),
        (
            Role::Controlling,
            Attribute::IceControlling(1_000),
            Some(487),
            Role::Controlling,
        ),
        (
            Role::Controlling,
            Attribute::IceControlling(1_001),
            None,
            Role::Controlled,
        ),
        (
            Role::Controlled,
            Attribute::IceControlled(999),
            None,
            Role::Controlling,
        ),
        (
            Role::Controlled,
            Attribute::IceControlled(1_000),
            None,
            Role::Controlling,
        ),
        (
            Role::Controlled,
            Attribute::IceControlled(1_001),
            Some(487),
            Role::Controlled,
        ),
        (
            Role::Controlled,
            Attribute::IceControlling(1),
            None,
            Role::Controlled,
        ),
        (
            Role::Controlling,
            Attribute::IceControlled(9_999),
            None,
            Role::Controlling,
        ),
    ] {
        let mut peer = Peer::new(role);
        let writer = peer.request(&attribute, false);
        let datagram = peer.sealed(writer);
        let said = peer.hear(THERE, &datagram);
        assert_eq!(code(&said[0].1), expected, "{role:?} {attribute:?}");
        assert_eq!(peer.agent.role(), role_after, "{role:?} {attribute:?}");
    }
}

/// RFC 8445, 7.2.5.1.
#[test]
fn a_487_changes_role_and_tie_breaker_and_checks_again() {
    let mut peer = Peer::new(Role::Controlling);
    peer.describe(vec![Peer::candidate(THERE)]);
    let check = peer.said().remove(0).1;
    let conflict = peer.error(&check, 487);
    peer.hear(THERE, &conflict);
    assert_eq!(peer.agent.role(), Role::Controlled);
    assert_ne!(peer.agent.tie_breaker(), 1_000);
    let said = peer.wait(Duration::from_millis(50));
    let again = Message::parse(&said[0].1).unwrap();
    assert!(again.raw(AttributeType::ICE_CONTROLLED).is_some());
}

/// RFC 8445, 7.2.5.2.
#[test]
fn answers_that_prove_nothing() {
    let other: SocketAddr = ([192, 0, 2, 3], 5_000).into();
    let state = |peer: &Peer| peer.agent.pairs()[0].state;
    let begun = || {
        let mut peer = Peer::new(Role::Controlling);
        peer.describe(vec![Peer::candidate(THERE)]);
        let check = peer.said().remove(0).1;
        (peer, check)
    };
    // Of another address: the way back is another way.
    let (mut peer, check) = begun();
    let response = peer.response(&check, HERE);
    peer.hear(other, &response);
    assert_eq!(state(&peer), PairState::Failed);
    // Refused.
    let (mut peer, check) = begun();
    let refusal = peer.error(&check, 500);
    peer.hear(THERE, &refusal);
    assert_eq!(state(&peer), PairState::Failed);
    // Forged: it is as if it had not come.
    let (mut peer, check) = begun();
    peer.credentials.pwd = "somebody else's password".to_owned();
    for forged in [peer.response(&check, HERE), peer.error(&check, 487)] {
        peer.hear(THERE, &forged);
        assert_eq!(state(&peer), PairState::InProgress);
    }
    assert_eq!(
        (peer.agent.ignored(), peer.agent.role()),
        (2, Role::Controlling)
    );
}

/// RFC 8445, 7.3.1.3 to 7.3.1.5: an address that nobody told, checked in return, and chosen.
#[test]
fn a_peer_behind_a_nat_is_learnt_from_its_checks() {
    let mut peer = Peer::new(Role::Controlled);
    peer.describe(Vec::new());
    let outside: SocketAddr = ([203, 0, 113, 2], 61_000).into();
    let writer = peer.request(&Attribute::IceControlling(7), true);
    let datagram = peer.sealed(writer);
    let said = peer.hear(outside, &datagram);
    assert_eq!(said.len(), 2, "the response and a check");
    let response = Message::parse(&said[0].1).unwrap();
    assert_eq!(response.mapped_address(), Some(outside));
    let answer = peer.response(&said[1].1, HERE);
    peer.hear(outside, &answer);
    let selected = peer.agent.selected(1).unwrap();
    assert_eq!(
        (selected.remote, selected.remote_kind),
        (outside, Kind::PeerReflexive)
    );
    // Its candidate comes later, and gives it its name.
    let mut told = Peer::candidate(outside);
    told.kind = Kind::ServerReflexive;
    peer.describe(vec![told]);
    assert_eq!(peer.agent.pairs()[0].remote_kind, Kind::ServerReflexive);
    assert_eq!(peer.agent.pairs().len(), 1);
}

/// RFC 7675, 5.2.
#[test]
fn a_403_takes_consent_back() {
    let mut peer = Peer::new(Role::Controlled);
    peer.describe(vec![Peer::candidate(THERE)]);
    let check = peer.said().remove(0).1;
    let response = peer.response(&check, HERE);
    peer.hear(THERE, &response);
    let writer = peer.request(&Attribute::IceControlling(7), true);
    let chosen = peer.sealed(writer);
    peer.hear(THERE, &chosen);
    assert_eq!(peer.agent.state(), State::Completed);
    let said = peer.wait(Duration::from_secs(6));
    let refusal = peer.error(&said[0].1, 403);
    peer.hear(THERE, &refusal);
    assert_eq!(peer.agent.route(1), None);
}

#[test]
fn tables_are_bounded() {
    let mut peer = Peer::new(Role::Controlled);
    let address = |n: u16| SocketAddr::from(([198, 51, 100, 1], n));
    for n in 1..200 {
        let writer = peer.request(&Attribute::IceControlling(7), false);
        let datagram = peer.sealed(writer);
        peer.hear(address(n), &datagram);
    }
    assert_eq!(peer.agent.early.len(), 16);
    peer.describe((1_000..1_500).map(address).map(Peer::candidate).collect());
    assert_eq!(peer.agent.remotes.len(), 64);
    for n in 2_000..2_200 {
        let writer = peer.request(&Attribute::IceControlling(7), false);
        let datagram = peer.sealed(writer);
        peer.hear(address(n), &datagram);
    }
    assert!(peer.agent.pairs.len() <= 64 && peer.agent.remotes.len() <= 64);
}

#[test]
fn passwords_are_not_shown() {
    let mut peer = Peer::new(Role::Controlled);
    peer.describe(vec![Peer::candidate(THERE)]);
    let shown = format!("{:?} {:?}", peer.agent, peer.agent.local());
    assert!(!shown.contains(&peer.agent.local().credentials.pwd));
    assert!(!shown.contains("the-password-of-the-peer"));
}

proptest::proptest! {
    #[test]
    fn any_datagram_is_survived(
        datagrams in proptest::collection::vec(proptest::collection::vec(0u8.., 0..120), 0..20),
        port in 1u16..,
    ) {
        let mut peer = Peer::new(Role::Controlled);
        peer.describe(vec![Peer::candidate(THERE)]);
        for datagram in &datagrams {
            peer.hear(([192, 0, 2, 2], port).into(), datagram);
            peer.wait(Duration::from_millis(10));
        }
        proptest::prop_assert_eq!(peer.agent.pairs().len(), 1);
    }
}

/// RFC 8445, 5.1.1: relays are waited for, not longer than all others; one that is gone is told and checked no
/// more.
#[test]
fn relays_are_waited_for_and_forgotten() {
    let gone: SocketAddr = (Ipv4Addr::new(198, 51, 100, 1), 6_000).into();
    let mut peer = Peer::new(Role::Controlling);
    peer.agent.await_relayed(true);
    peer.agent.gather(peer.now, &[]);
    assert_eq!(peer.agent.state(), State::Gathering);
    let relayed = peer.agent.add_relayed(1, gone, HERE, 65_535);
    peer.agent.await_relayed(false);
    assert_eq!(peer.agent.state(), State::Gathered);
    let addresses = |agent: &Agent| {
        let candidates = agent.local().candidates.into_iter();
        candidates.map(|own| own.address).collect::<Vec<_>>()
    };
    assert_eq!(addresses(&peer.agent), [HERE, gone]);
    peer.describe(vec![Peer::candidate(THERE)]);
    assert_eq!(peer.agent.pairs().len(), 2);
    peer.agent.remove_base(peer.now, relayed);
    assert_eq!(addresses(&peer.agent), [HERE]);
    let states: Vec<PairState> = peer.agent.pairs().iter().map(|pair| pair.state).collect();
    assert_eq!(states, [PairState::InProgress, PairState::Failed]);
    while let Some(output) = peer.agent.poll_output() {
        let is_ours = matches!(output, Output::Transmit { base, .. } if base != peer.base);
        assert!(!is_ours, "{output:?}");
    }
    peer.agent.restart(Role::Controlling);
    peer.describe(vec![Peer::candidate(THERE)]);
    assert_eq!(peer.agent.pairs().len(), 1);

    let mut late = Peer::new(Role::Controlling);
    late.agent.await_relayed(true);
    late.agent.gather(late.now, &[]);
    let deadline = late.agent.poll_timeout().unwrap().at;
    assert_eq!(deadline, late.now + Config::default().gathering);
    late.agent.handle_timeout(deadline);
    assert_eq!(late.agent.state(), State::Gathered);
}

/// A peer that offers while we still ask servers is checked with what there is, and nothing stays due.
#[test]
fn a_description_ends_gathering() {
    let mut peer = Peer::new(Role::Controlled);
    peer.agent.await_relayed(true);
    peer.agent
        .gather(peer.now, &[(Ipv4Addr::new(192, 0, 2, 8), 3_478).into()]);
    peer.describe(vec![Peer::candidate(THERE)]);
    assert_eq!(peer.agent.state(), State::Running);
    peer.now += Config::default().gathering;
    for _ in 0..10 {
        peer.agent.handle_timeout(peer.now);
    }
    assert!(peer.agent.poll_timeout().unwrap().at > peer.now);
}
