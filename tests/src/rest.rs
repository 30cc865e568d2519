//! What must hold when nothing is on its way any more: both ends agree, nothing is left.

use sip::{Message, message::frame::noise};
use sipsimple::{
    agent::{SessionId, Stats, UserAgent},
    event::{AgentEvent, Event},
    session::SessionInfo,
};
use std::{collections::BTreeSet, time::Duration};

use crate::{Action, Fate, HostId, Line, Model, Stage};

/// A call that one end believes to be up.
struct Up {
    host: HostId,
    id: SessionId,
    info: SessionInfo,
    call_id: String,
    tags: (String, String),
}

impl Stage {
    /// Brings a run to its end and says everything that is wrong with it.
    ///
    /// Waits until all transactions are over, compares what both ends of each call believe, ends all
    /// calls, waits, counts what is left, shuts the agents down, and counts again. Every path must be
    /// open by now; agents that are down are left alone.
    pub fn finish(&mut self) -> Vec<String> {
        self.world.run_for(LINGER);
        let mut complaints = self.disagreements();
        complaints.extend(self.wind_up());
        complaints
    }

    /// The same without asking whether the ends agree: for runs with faults that make them disagree.
    pub fn wind_up(&mut self) -> Vec<String> {
        let mut complaints = Vec::new();
        self.world.run_for(LINGER);
        for host in self.up() {
            for id in self.model(host).alive() {
                self.agent(host, "end", |agent, now| {
                    // Over in the same moment is over, too.
                    let _ = agent.end(now, id);
                });
            }
        }
        for line in self.lines_up() {
            self.world
                .command(line, "shutdown", |line: &mut Line, now| {
                    line.endpoint_mut().shutdown(now);
                });
        }
        self.world.run_for(LINGER);
        for line in self.lines_up() {
            let mut left = self.world.node::<Line>(line).endpoint().stats();
            left.connections = 0;
            if left != sip::endpoint::Stats::default() {
                complaints.push(format!("{}: after all calls {left:?}", self.name(line)));
            }
        }
        for host in self.up() {
            // Idle connections may stay, and what an account keeps; what belongs to a call may not.
            let stats = self.world.node::<UserAgent>(host).stats();
            let mut left = stats;
            left.links = 0;
            left.sip.connections = 0;
            left.sip.registrations = 0;
            left.sip.publications = 0;
            if left != Stats::default() {
                complaints.push(format!("{}: after all calls {stats:?}", self.name(host)));
            }
            self.agent(host, "shutdown", UserAgent::shutdown);
        }
        self.world.run_for(LINGER);
        for host in self.up() {
            complaints.extend(self.leftovers(host));
        }
        for violation in self.world.violations() {
            complaints.push(violation.to_string());
        }
        complaints.extend(self.unreadable());
        complaints
    }

    /// What a user should believe.
    pub fn model(&self, host: HostId) -> Model {
        Model::of(&self.world.host(host).inbox().notifications)
    }

    /// The lines that are up.
    pub fn lines_up(&self) -> Vec<HostId> {
        let mut lines = self.lines.clone();
        lines.retain(|&host| self.world.host(host).is_up());
        lines
    }

    /// The agents that are up.
    pub fn up(&self) -> Vec<HostId> {
        let mut agents = self.agents();
        agents.retain(|&host| self.world.host(host).is_up());
        agents
    }

    /// Compares what both ends of each call believe. A difference is excused only if the trace proves
    /// that not one copy of the last request of the call reached the end that does not know of it.
    pub fn disagreements(&self) -> Vec<String> {
        let calls: Vec<Up> = self
            .up()
            .into_iter()
            .flat_map(|host| self.calls_up(host))
            .collect();
        let mut complaints = Vec::new();
        for call in &calls {
            let other = calls.iter().find(|other| {
                let (local, remote) = &other.tags;
                other.host != call.host
                    && other.call_id == call.call_id
                    && (remote, local) == (&call.tags.0, &call.tags.1)
            });
            let name = self.name(call.host);
            match other {
                None if self.is_excused(call) => {}
                None if self.knows_line(&call.call_id) => {}
                None => complaints.push(format!("{name}: {:?} is up at this end only", call.id)),
                Some(other) => {
                    let holds = (call.info.on_hold_by_local, call.info.on_hold_by_remote);
                    let theirs = (other.info.on_hold_by_remote, other.info.on_hold_by_local);
                    if holds != theirs && call.host < other.host {
                        complaints.push(format!(
                            "{name}: {:?}: holds {holds:?}, the peer {theirs:?}",
                            call.id
                        ));
                    }
                }
            }
        }
        complaints
    }

    fn knows_line(&self, call_id: &str) -> bool {
        let mut lines = self.lines_up().into_iter();
        lines.any(|line| self.world.node::<Line>(line).knows(call_id))
    }

    fn calls_up(&self, host: HostId) -> Vec<Up> {
        let agent = self.world.node::<UserAgent>(host);
        let sessions = self.model(host).alive();
        let infos = sessions
            .into_iter()
            .filter_map(|id| Some((id, agent.session(id)?)));
        let up = infos.filter(|(_, info)| info.state.is_up());
        up.filter_map(|(id, info)| {
            let call = info.call.clone()?;
            Some(Up {
                host,
                id,
                call_id: call.call_id,
                tags: (call.local_tag, call.remote_tag?),
                info,
            })
        })
        .collect()
    }

    /// True if the last request of the call came from somebody else and no copy of it arrived.
    fn is_excused(&self, call: &Up) -> bool {
        let steps = self.world.trace().steps();
        let delivered: BTreeSet<u64> = steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Arrive {
                    packet,
                    fate: Fate::Delivered,
                } => Some(*packet),
                _ => None,
            })
            .collect();
        let agents = self.agents();
        let mut last = None;
        for step in steps.iter().filter(|step| agents.contains(&step.host)) {
            let sent = step.action.sent();
            if let Some(request) = sent.and_then(|sent| identity(sent.3, &call.call_id)) {
                last = Some((step.host, request));
            }
        }
        let Some((sender, last)) = last.filter(|(sender, _)| *sender != call.host) else {
            return false;
        };
        let ours = self.world.host(call.host).addresses();
        steps.iter().all(|step| match &step.action {
            Action::Send {
                packet,
                to,
                payload,
                ..
            } => {
                let copy = ours.contains(&to.ip())
                    && identity(payload, &call.call_id).as_ref() == Some(&last);
                !copy || !delivered.contains(packet)
            }
            // A connection loses nothing.
            Action::Write { payload, .. } => {
                step.host != sender && identity(payload, &call.call_id).as_ref() != Some(&last)
            }
            _ => true,
        })
    }

    fn leftovers(&self, host: HostId) -> Vec<String> {
        let name = self.name(host);
        let mut complaints = Vec::new();
        let entry = self.world.host(host);
        let stats = self.world.node::<UserAgent>(host).stats();
        if stats != Stats::default() {
            complaints.push(format!("{name}: after the end {stats:?}"));
        }
        if entry.open_links() != 0 {
            let links = entry.open_links();
            complaints.push(format!("{name}: {links} sockets are open after the end"));
        }
        let events = &entry.inbox().notifications;
        let ended = |event: &Event| matches!(event, Event::Agent(AgentEvent::DidEnd));
        if !events.last().is_some_and(|last| ended(&last.event)) {
            complaints.push(format!("{name}: its last event is not DidEnd"));
        }
        let model = Model::of(events);
        complaints.extend(model.broken().iter().map(|text| format!("{name}: {text}")));
        for id in model.alive() {
            complaints.push(format!("{name}: {id:?} never ended"));
        }
        complaints
    }

    /// Signalling datagrams of the agents that no parser reads.
    fn unreadable(&self) -> Vec<String> {
        let agents = self.agents();
        let mut complaints = Vec::new();
        for step in self.world.trace().steps() {
            if let Action::Send { to, payload, .. } = &step.action
                && agents.contains(&step.host)
                && to.port() == SIP
                // Keep-alives (RFC 5626, 4.4).
                && noise(payload).is_none()
                && let Err(error) = Message::parse(payload.clone())
            {
                complaints.push(format!(
                    "{}: sends what is no message: {error}",
                    self.name(step.host)
                ));
            }
        }
        complaints
    }

    fn name(&self, host: HostId) -> &str {
        self.world.host(host).name()
    }
}

/// Which request of a call this is: its method, number and sender; `None` for anything else.
fn identity(payload: &bytes::Bytes, call_id: &str) -> Option<(String, u32, String)> {
    let has_call_id = payload
        .windows(call_id.len())
        .any(|window| window == call_id.as_bytes());
    if !has_call_id {
        return None;
    }
    let Message::Request(request) = Message::parse(payload.clone()).ok()? else {
        return None;
    };
    let cseq = request.headers.cseq().ok()?;
    let from = request.headers.from().ok()?.tag()?.to_owned();
    Some((cseq.method.as_str().to_owned(), cseq.number, from))
}

/// Longer than any transaction, retry and clean-up after it takes: several times 64·T1, and the
/// longest wait of a retried offer.
const LINGER: Duration = Duration::from_secs(200);
const SIP: u16 = 5060;
