//! A peer whose media are agents of ICE and nothing else, for what no agent of ours would say.

use crate::names::ip;
use base::{Deadline, Key as _, Rng};
use simulator::{HostId, Node, Stage};
use sip::{Description, Message};
use sipsimple::{
    agent::{Class, Input, LinkId, Open, Output},
    ice::{self, Agent, BaseId, Candidate, Config, Credentials, Kind, Role},
};
use std::{collections::VecDeque, net::SocketAddr, time::Instant};

/// One stream after the other, of one component each.
pub(crate) struct Peer {
    pub(crate) agents: Vec<Agent>,
    bases: Vec<BaseId>,
    /// All agents have one role (RFC 8445, 7.3.1.1).
    is_whole: bool,
    out: VecDeque<Output>,
}

/// Where the media of the peer are: each stream at its own port.
pub(crate) fn address(stream: usize) -> SocketAddr {
    SocketAddr::new(ip(50), 4_000 + 2 * stream as u16)
}

fn socket(stream: usize) -> LinkId {
    LinkId::from_parts(0, stream as u32 + 1)
}

impl Peer {
    /// A role and a tie-breaker for each stream.
    pub(crate) fn new(streams: &[(Role, u64)], is_whole: bool) -> Self {
        let mut peer = Self {
            agents: Vec::new(),
            bases: Vec::new(),
            is_whole,
            out: VecDeque::new(),
        };
        for (at, &(role, tie_breaker)) in streams.iter().enumerate() {
            let seed = Rng::from_seed([at as u8; 32]);
            let mut agent = Agent::new(Config::default(), role, tie_breaker, seed);
            peer.bases.push(agent.add_base(1, address(at), 65_535));
            peer.agents.push(agent);
            let how = Open::Udp {
                bind: address(at),
                class: Class::Voice,
                multicast: None,
            };
            let link = socket(at);
            peer.out.push_back(Output::Open { link, how });
        }
        peer
    }

    /// Its credentials for a stream, as lines.
    pub(crate) fn keys(&self, stream: usize) -> String {
        let Credentials { ufrag, pwd } = self.agents[stream].local().credentials;
        format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n")
    }

    /// Takes what the other side has described.
    pub(crate) fn hear(&mut self, now: Instant, session: &sdp::Session) {
        for (at, agent) in self.agents.iter_mut().enumerate() {
            let value = |name: &str| session.inherited(at, name).unwrap().to_owned();
            let credentials = Credentials {
                ufrag: value("ice-ufrag"),
                pwd: value("ice-pwd"),
            };
            let lines = session.media[at].attributes.all("candidate");
            let candidates = lines.filter_map(sdp::Candidate::read).map(candidate);
            let mut description = ice::Description::new(credentials, candidates.collect());
            description.components = 1;
            agent.set_remote(now, description);
        }
        self.drain(now);
    }

    fn drain(&mut self, now: Instant) {
        let mut at = 0;
        while at < self.agents.len() {
            match self.agents[at].poll_output() {
                Some(ice::Output::Transmit { to, payload, .. }) => {
                    self.out.push_back(Output::Transmit {
                        link: socket(at),
                        from: None,
                        to,
                        payload,
                    });
                }
                Some(ice::Output::Event(ice::Event::RoleDidChange(role))) if self.is_whole => {
                    for agent in &mut self.agents {
                        agent.set_role(role);
                        agent.handle_timeout(now);
                    }
                    at = 0;
                }
                Some(_) => {}
                None => at += 1,
            }
        }
    }
}

fn candidate(line: sdp::Candidate) -> Candidate {
    Candidate {
        foundation: line.foundation.to_string(),
        component: line.component as u8,
        priority: line.priority,
        address: line.udp_address().unwrap(),
        kind: Kind::of_name(&line.kind).unwrap(),
        related: None,
    }
}

impl Node for Peer {
    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Datagram {
                link,
                from,
                payload,
                ..
            } => {
                let known = (0..self.agents.len()).find(|&at| socket(at) == link);
                if let Some(at) = known {
                    self.agents[at].handle_datagram(now, self.bases[at], from, &payload);
                }
            }
            Input::Timeout => {
                for agent in &mut self.agents {
                    agent.handle_timeout(now);
                }
            }
            _ => {}
        }
        self.drain(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        let agents = self.agents.iter();
        agents.filter_map(|agent| agent.poll_timeout()).min()
    }
}

/// What the peer says, from the attributes of the session and the m-lines on.
pub(crate) fn description(lines: &str) -> Description {
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 10.0.0.100\r\ns=-\r\nc=IN IP4 10.0.0.50\r\nt=0 0\r\n{lines}"
    );
    Description {
        content_type: "application/sdp".to_owned(),
        body: body.into(),
    }
}

/// What the host has described last.
pub(crate) fn described(stage: &Stage, host: HostId) -> sdp::Session {
    let bodies = crate::line::sent(stage, host).into_iter();
    let described = bodies.filter_map(|message| {
        let body = match message {
            Message::Request(request) => request.body,
            Message::Response(response) => response.body,
        };
        sdp::Session::parse(&body).ok()
    });
    described.last().expect("a description")
}
