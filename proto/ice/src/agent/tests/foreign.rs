//! Our agent and the one of `is`, which was written by others.

use super::*;
use ::is::{
    IceAgent, IceAgentEvent, IceCreds, Protocol,
    stun::{StunMessage, StunPacket},
};
use std::net::IpAddr;

/// Both agents, on networks that lead to each other by number: `10.0.N.1` and `10.0.N.2`.
struct Pair {
    ours: Agent,
    theirs: IceAgent,
    now: Instant,
    bases: Vec<(BaseId, SocketAddr)>,
    /// Networks that lose everything.
    dead: Vec<u8>,
    /// What theirs has chosen last.
    nominated: Option<(SocketAddr, SocketAddr)>,
}

#[expect(clippy::disallowed_methods, reason = "an origin for a virtual clock")]
fn start() -> Instant {
    Instant::now()
}

fn at(network: u8, host: u8) -> SocketAddr {
    ([10, 0, network, host], 4_000).into()
}

fn network(address: SocketAddr) -> u8 {
    match address.ip() {
        IpAddr::V4(ip) => ip.octets()[2],
        IpAddr::V6(_) => 0,
    }
}

impl Pair {
    /// Agents in these roles, each with addresses on so many networks. Their tie-breakers are ours and theirs.
    fn new(roles: [Role; 2], tie_breakers: [u64; 2], networks: u8) -> Self {
        let rng = Rng::from_seed([networks; 32]);
        let mut ours = Agent::new(Config::default(), roles[0], tie_breakers[0], rng);
        let mut theirs = IceAgent::new(IceCreds {
            ufrag: "theirs".to_owned(),
            pass: "the-password-of-the-others".to_owned(),
        });
        theirs.set_controlling(roles[1] == Role::Controlling);
        theirs.set_control_tie_breaker(tie_breakers[1]);
        let mut bases = Vec::new();
        for number in 0..networks {
            let preference = u16::MAX - u16::from(number);
            bases.push((ours.add_base(1, at(number, 1), preference), at(number, 1)));
            let host = ::is::Candidate::host(at(number, 2), "udp").unwrap();
            theirs.add_local_candidate(host).unwrap();
        }
        Self {
            ours,
            theirs,
            now: start(),
            bases,
            dead: Vec::new(),
            nominated: None,
        }
    }

    /// Tells each what the other one says; theirs is ignorant of candidates of ours unless `both`.
    fn describe(&mut self, both: bool) {
        let local = self.ours.local();
        self.theirs.set_remote_credentials(IceCreds {
            ufrag: local.credentials.ufrag,
            pass: local.credentials.pwd,
        });
        for candidate in local.candidates.into_iter().filter(|_| both) {
            let line = format!(
                "candidate:{} {} udp {} {} {} typ {}",
                candidate.foundation,
                candidate.component,
                candidate.priority,
                candidate.address.ip(),
                candidate.address.port(),
                candidate.kind
            );
            let read = ::is::Candidate::from_sdp_string(&line).unwrap();
            assert_eq!(
                (read.addr(), read.prio()),
                (candidate.address, candidate.priority)
            );
            self.theirs.add_remote_candidate(read);
        }
        let IceCreds { ufrag, pass: pwd } = self.theirs.local_credentials().clone();
        let candidate = |one: ::is::Candidate| Candidate {
            foundation: network(one.addr()).to_string(),
            component: 1,
            priority: one.prio(),
            address: one.addr(),
            kind: Kind::Host,
            related: None,
        };
        let candidates = self.theirs.local_candidates().map(candidate).collect();
        let description = Description::new(Credentials { ufrag, pwd }, candidates);
        self.ours.set_remote(self.now, description);
        self.theirs.handle_timeout(self.now);
        self.carry();
    }

    fn carry(&mut self) {
        let mut is_quiet = false;
        while !std::mem::replace(&mut is_quiet, true) {
            while let Some(output) = self.ours.poll_output() {
                if let Output::Transmit { base, to, payload } = output {
                    is_quiet = false;
                    let (_, source) = self.bases[base.0];
                    if self.dead.contains(&network(to)) {
                        continue;
                    }
                    let message = StunMessage::parse(&payload).unwrap();
                    let packet = StunPacket {
                        proto: Protocol::Udp,
                        source,
                        destination: to,
                        message,
                    };
                    assert!(self.theirs.accepts_message(&packet.message));
                    self.theirs.handle_packet(self.now, packet);
                }
            }
            while let Some(sent) = self.theirs.poll_transmit() {
                is_quiet = false;
                let to = self.bases.iter().find(|(_, own)| *own == sent.destination);
                if let Some(&(base, _)) = to
                    && !self.dead.contains(&network(sent.source))
                {
                    self.ours
                        .handle_datagram(self.now, base, sent.source, &sent.contents);
                }
            }
            while let Some(event) = self.theirs.poll_event() {
                if let IceAgentEvent::NominatedSend {
                    source,
                    destination,
                    ..
                } = event
                {
                    self.nominated = Some((source, destination));
                }
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let ours = self.ours.poll_timeout().map(|deadline| deadline.at);
            let due = [ours, self.theirs.poll_timeout()];
            let Some(next) = due.into_iter().flatten().min().filter(|at| *at <= until) else {
                break;
            };
            // Theirs may ask for the same moment again.
            self.now = match next > self.now {
                true => next,
                false => self.now + Duration::from_millis(1),
            };
            self.ours.handle_timeout(self.now);
            self.theirs.handle_timeout(self.now);
            self.carry();
        }
        self.now = until;
    }

    /// Both have chosen the same pair, and one controls: on which network it is.
    fn agreed(&self) -> u8 {
        let selected = self.ours.selected(1).expect("ours has chosen");
        assert_eq!(self.ours.state(), State::Completed);
        assert_eq!(self.nominated, Some((selected.remote, selected.local)));
        let controls = self.ours.role() == Role::Controlling;
        assert_ne!(controls, self.theirs.controlling());
        network(selected.remote)
    }
}

const ROLES: [Role; 2] = [Role::Controlling, Role::Controlled];

/// In both roles, with one address or several, and where the other one must be found from its checks.
#[test]
fn our_agent_and_the_one_of_is_choose_the_same_pair() {
    for role in ROLES {
        for networks in 1..=3 {
            for both in [true, false] {
                let mut pair = Pair::new([role, role.other()], [7, 8], networks);
                pair.describe(both);
                pair.run(Duration::from_secs(10));
                assert_eq!(pair.agreed(), 0, "{role:?} {networks} {both}");
                // RFC 7675: they go on to prove that they are there.
                pair.run(Duration::from_secs(120));
                pair.agreed();
                assert!(pair.theirs.state().is_connected());
            }
        }
    }
}

/// RFC 8445, 7.3.1.1: both claim the same role; whose number is larger has its way.
#[test]
fn our_agent_and_the_one_of_is_settle_a_conflict() {
    for role in ROLES {
        for tie_breakers in [[1, u64::MAX], [u64::MAX, 1]] {
            let mut pair = Pair::new([role; 2], tie_breakers, 2);
            pair.describe(true);
            pair.run(Duration::from_secs(20));
            assert_eq!(pair.agreed(), 0, "{role:?} {tie_breakers:?}");
            let is_ours_larger = tie_breakers[0] > tie_breakers[1];
            let expected = match is_ours_larger {
                true => Role::Controlling,
                false => Role::Controlled,
            };
            assert_eq!(pair.ours.role(), expected);
        }
    }
}

/// The best network is dead: both go over the next one.
#[test]
fn our_agent_and_the_one_of_is_meet_where_they_can() {
    for role in ROLES {
        let mut pair = Pair::new([role, role.other()], [7, 8], 3);
        pair.dead = vec![0];
        pair.describe(true);
        pair.run(Duration::from_secs(30));
        assert_eq!(pair.agreed(), 1, "{role:?}");
    }
}
