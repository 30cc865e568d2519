//! ICE in descriptions (RFC 8839).

use super::{Component, DEFAULTS, Ice, Place, RTCP_COMPONENT, RTP_COMPONENT, components};
use crate::stream::StreamOutput;
use ::ice::{Candidate, Credentials, Description, Kind, Role, State};
use sdp::{Attribute, Attributes, Session};
use std::{collections::VecDeque, net::SocketAddr, time::Instant};

/// What a description says of ICE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Told {
    /// Nothing that could be used.
    Nothing,
    /// Its default address is none of its candidates: somebody on the way has changed it (RFC 8839,
    /// 4.2.5).
    Mismatch,
    /// What is needed to check.
    Description {
        /// Its candidates and credentials.
        description: Description,
        /// It follows RFC 8445 (`ice2`).
        is_modern: bool,
    },
}

impl Ice {
    /// What an offer of ours says; none if there is nothing to say. Who offers first in a session controls
    /// (RFC 8445, 6.1.1).
    pub(crate) fn offer(&mut self) -> Vec<Attribute> {
        if self.since.is_none() {
            self.agent.set_role(self.role.unwrap_or(Role::Controlling));
        }
        // RFC 5761, 5.1.3: a peer that has not agreed yet may want RTCP elsewhere.
        self.attributes(true, self.is_muxed)
    }

    /// What our answer to an offer says, if `is_muxed` of RTP alone (RFC 5761, 5.1.3); none if there is nothing to say. Other credentials than before
    /// are a restart of the peer, which we follow.
    pub(crate) fn answer(
        &mut self,
        remote: &Session,
        index: usize,
        is_muxed: bool,
    ) -> Vec<Attribute> {
        if self.agent.local().candidates.is_empty() {
            return Vec::new();
        }
        match told(remote, index) {
            Told::Nothing => Vec::new(),
            // RFC 8839, 4.2.5
            Told::Mismatch => vec![Attribute::flag("ice-mismatch")],
            Told::Description { description, .. } => {
                let known = self.agent.remote_credentials();
                let is_restart = known.is_some_and(|known| *known != description.credentials);
                if self.since.is_none() {
                    self.agent.set_role(self.role.unwrap_or(Role::Controlled));
                } else if is_restart {
                    self.restart();
                }
                self.attributes(false, is_muxed)
            }
        }
    }

    /// Where our description says that we are, RTP and RTCP: what was chosen, else what is most likely
    /// to work (RFC 8839, 4.2.1.2).
    pub(crate) fn defaults(&self, is_muxed: bool) -> Option<(SocketAddr, SocketAddr)> {
        let candidates = self.described_candidates(is_muxed);
        let of = |component: Component, like: Option<&Candidate>| {
            DEFAULTS.iter().find_map(|&kind| {
                let fitting = |candidate: &&Candidate| {
                    candidate.component == component
                        && (candidate.kind == kind || candidate.kind == Kind::PeerReflexive)
                        && like.is_none_or(|like| like.foundation == candidate.foundation)
                };
                candidates.iter().find(fitting)
            })
        };
        let rtp = of(RTP_COMPONENT, None)?;
        if is_muxed {
            return Some((rtp.address, rtp.address));
        }
        let rtcp = of(RTCP_COMPONENT, Some(rtp)).or_else(|| of(RTCP_COMPONENT, None))?;
        Some((rtp.address, rtcp.address))
    }

    /// RFC 8839, 4.4.1.2.1: once a pair is chosen for each component, only that.
    fn described_candidates(&self, is_muxed: bool) -> Vec<Candidate> {
        let components = components(is_muxed);
        let chosen = |&component: &Component| {
            let selected = self.agent.selected(component)?;
            self.agent.candidate(component, selected.local)
        };
        let chosen: Vec<Candidate> = components.iter().filter_map(chosen).collect();
        if self.agent.state() == State::Completed && chosen.len() == components.len() {
            return chosen;
        }
        let mut all = self.agent.local().candidates;
        all.retain(|candidate| components.contains(&candidate.component));
        all
    }

    fn attributes(&mut self, is_offer: bool, is_muxed: bool) -> Vec<Attribute> {
        let local = self.agent.local();
        let candidates = self.described_candidates(is_muxed);
        if candidates.is_empty() {
            return Vec::new();
        }
        self.described = self
            .defaults(is_muxed)
            .map_or_else(Vec::new, |(rtp, rtcp)| vec![rtp, rtcp]);
        let mut attributes = vec![
            Attribute::new("ice-ufrag", &local.credentials.ufrag),
            Attribute::new("ice-pwd", &local.credentials.pwd),
            // RFC 8840, 4: we take what trickles in, and tell all of ours at once ("half trickle").
            Attribute::new("ice-options", "ice2 trickle"),
        ];
        attributes.extend(candidates.iter().map(|one| line(one).attribute()));
        attributes.push(Attribute::flag("end-of-candidates"));
        // RFC 8839, 4.4.1.2.2: who controls says what of the peer was chosen.
        let is_done = self.agent.state() == State::Completed;
        if is_offer && is_done && self.agent.role() == Role::Controlling {
            let remote = |&component: &Component| {
                let selected = self.agent.selected(component)?;
                Some((u16::from(component), selected.remote))
            };
            let list = components(is_muxed).iter().filter_map(remote).collect();
            attributes.push(sdp::RemoteCandidates(list).attribute());
        }
        attributes
    }

    /// Follows an agreement: false if it is one without ICE. If `is_muxed` there is one component.
    pub(crate) fn agree(
        &mut self,
        now: Instant,
        local: &Session,
        remote: &Session,
        index: usize,
        is_muxed: bool,
        out: &mut VecDeque<StreamOutput>,
    ) -> bool {
        let is_told = local.inherited(index, "ice-ufrag").is_some();
        self.is_agreed = false;
        self.is_muxed = is_muxed;
        self.place = Some(Place {
            index,
            mid: [remote, local].iter().find_map(|session| {
                let mid = session.media.get(index)?.mid()?;
                Some(mid.to_owned())
            }),
        });
        if let (
            true,
            Told::Description {
                mut description,
                is_modern,
            },
        ) = (is_told, told(remote, index))
        {
            self.is_agreed = true;
            self.is_peer_modern = is_modern;
            if is_muxed {
                description.components = RTP_COMPONENT;
            }
            if self.agent.remote_credentials() != Some(&description.credentials) {
                self.since = Some(now);
            }
            // RFC 8445, 14.2: all that both sides check pace themselves together.
            let runs = |index: &usize| {
                let has = |session: &Session| session.inherited(*index, "ice-ufrag").is_some();
                local.media[*index].port != 0 && has(local) && has(remote)
            };
            let agents = (0..local.media.len()).filter(runs).count();
            self.agent.set_agents(agents.try_into().unwrap_or(u32::MAX));
            self.agent.set_remote(now, description);
            self.take_early(now);
            self.tell_role(out);
            self.drain(now, out);
        }
        self.is_agreed
    }
}

/// Reads the ICE of a description.
pub(super) fn told(session: &Session, index: usize) -> Told {
    let Some(media) = session.media.get(index) else {
        return Told::Nothing;
    };
    let (Some(ufrag), Some(pwd)) = (
        session.inherited(index, "ice-ufrag"),
        session.inherited(index, "ice-pwd"),
    ) else {
        return match media.attributes.has("ice-mismatch") {
            true => Told::Mismatch,
            false => Told::Nothing,
        };
    };
    // RFC 8839, 5.4: no longer than that.
    if ufrag.len().max(pwd.len()) > MAX_KEY {
        return Told::Nothing;
    }
    let candidates: Vec<Candidate> = candidates(&media.attributes).collect();
    let options = session.inherited(index, "ice-options").unwrap_or_default();
    let has = |name: &str| {
        options
            .split_ascii_whitespace()
            .any(|option| option == name)
    };
    // RFC 8840, 4.1.3 and 4.2: more may come, and the default address is none.
    let is_ended = [&media.attributes, &session.attributes]
        .iter()
        .any(|attributes| attributes.has("end-of-candidates"));
    let is_trickling = has("trickle") && !is_ended;
    let is_lite = session.attributes.has("ice-lite");
    if !is_trickling && !fits(session, index, &candidates) {
        return Told::Mismatch;
    }
    let credentials = Credentials {
        ufrag: ufrag.to_owned(),
        pwd: pwd.to_owned(),
    };
    let mut description = Description::new(credentials, candidates);
    (description.is_lite, description.is_trickling) = (is_lite, is_trickling);
    Told::Description {
        description,
        is_modern: has("ice2"),
    }
}

/// RFC 8839, 4.2.5: the default address of each component is one of its candidates. A peer that says
/// nothing of RTCP has one component.
fn fits(session: &Session, index: usize, candidates: &[Candidate]) -> bool {
    let has = |component: Component, address: Option<SocketAddr>| {
        let mut all = candidates
            .iter()
            .filter(|candidate| candidate.component == component)
            .peekable();
        let is_known = all.peek().is_some();
        let Some(address) = address else {
            return is_known;
        };
        all.any(|candidate| candidate.address == address)
            || (component == RTCP_COMPONENT && !is_known)
    };
    has(RTP_COMPONENT, session.media_address(index))
        && has(RTCP_COMPONENT, session.rtcp_address(index))
}

/// The candidates of an m-line that are of use.
pub(super) fn candidates(attributes: &Attributes) -> impl Iterator<Item = Candidate> {
    let lines = attributes.all("candidate").filter_map(sdp::Candidate::read);
    lines.filter_map(|line| candidate(&line))
}

/// What a line says, if it is of use: an address, for UDP, of a kind that we know.
fn candidate(line: &sdp::Candidate) -> Option<Candidate> {
    let related = line.related.as_ref().and_then(|(address, port)| {
        let ip = address.parse().ok()?;
        Some(SocketAddr::new(ip, *port))
    });
    Some(Candidate {
        foundation: line.foundation.to_string(),
        component: u8::try_from(line.component).ok()?,
        priority: line.priority,
        address: line.udp_address().filter(|address| address.port() != 0)?,
        kind: Kind::of_name(&line.kind)?,
        related,
    })
}

/// The line of a candidate.
fn line(candidate: &Candidate) -> sdp::Candidate {
    let related = |address: SocketAddr| (address.ip().to_string().into(), address.port());
    sdp::Candidate {
        foundation: candidate.foundation.clone().into(),
        component: u16::from(candidate.component),
        transport: "UDP".into(),
        priority: candidate.priority,
        address: candidate.address.ip().to_string().into(),
        port: candidate.address.port(),
        kind: candidate.kind.name().into(),
        related: candidate.related.map(related),
        extensions: Vec::new(),
    }
}

/// Letters of a username fragment or a password.
const MAX_KEY: usize = 256;
