//! The SIP core of the library, without accounts and media, over one UDP socket: for what the command
//! has no verb for.

use crate::Outcome;
use base::{Host, Rng, Target, Transport};
use bytes::Bytes;
use sip::{
    Config, Description, DialogId, Endpoint, Event, FlowId, Input, InvitationEvent, InvitationId,
    Invite, LookupError, Output, Uri,
    endpoint::{InvitationMut, Stats},
    header::Address,
};
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// An endpoint at a port of loopback, ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Core {
    shared: Arc<Shared>,
    port: u16,
}

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    flow: FlowId,
    state: Mutex<State>,
    more: Condvar,
    is_over: AtomicBool,
}

#[derive(Debug)]
struct State {
    endpoint: Endpoint,
    events: Vec<Event>,
}

impl Core {
    /// Starts an endpoint.
    pub(crate) fn start(port: u16, config: Config) -> Outcome<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let socket = UdpSocket::bind(address).map_err(|error| format!("{address}: {error}"))?;
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&port.to_be_bytes());
        seed[2..6].copy_from_slice(&std::process::id().to_be_bytes());
        let now = Instant::now();
        let mut endpoint = Endpoint::new(now, config, Rng::from_seed(seed));
        let flow = endpoint
            .add_flow(now, Transport::Udp, address, None)
            .map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared {
            socket,
            flow,
            state: Mutex::new(State {
                endpoint,
                events: Vec::new(),
            }),
            more: Condvar::new(),
            is_over: AtomicBool::new(false),
        });
        let running = Arc::clone(&shared);
        thread::spawn(move || running.run());
        Ok(Self { shared, port })
    }

    /// Our address for a user.
    pub(crate) fn uri(&self, user: &str) -> String {
        format!("sip:{user}@127.0.0.1:{}", self.port)
    }

    /// Asks something of the endpoint.
    pub(crate) fn act<R>(&self, act: impl FnOnce(&mut Endpoint, Instant) -> R) -> R {
        let mut state = self.shared.state();
        let reply = act(&mut state.endpoint, Instant::now());
        self.shared.drain(&mut state);
        reply
    }

    /// Asks something of a call.
    pub(crate) fn with<E: std::fmt::Display>(
        &self,
        call: InvitationId,
        act: impl FnOnce(&mut InvitationMut<'_>, Instant) -> Result<(), E>,
    ) -> Outcome<()> {
        self.act(|endpoint, now| {
            let mut call = endpoint.invitation(call).ok_or("our call is over")?;
            act(&mut call, now).map_err(|error| error.to_string())
        })
    }

    /// Calls somebody.
    pub(crate) fn invite(&self, to: &str, offer: Option<Description>) -> Outcome<InvitationId> {
        let mut invite = Invite::new(address(&self.uri("alice"))?, address(to)?);
        invite.offer = offer;
        self.act(|endpoint, now| endpoint.invite(now, invite))
            .map_err(|error| error.to_string())
    }

    /// Waits for an event that `choose` takes, and takes it away: what comes in any order may be waited for
    /// in any order.
    pub(crate) fn event<T>(
        &self,
        what: &str,
        choose: impl FnMut(&Event) -> Option<T>,
    ) -> Outcome<T> {
        self.event_within(what, PATIENCE, choose)
    }

    fn event_within<T>(
        &self,
        what: &str,
        limit: Duration,
        mut choose: impl FnMut(&Event) -> Option<T>,
    ) -> Outcome<T> {
        let deadline = Instant::now() + limit;
        let mut state = self.shared.state();
        loop {
            let mut found = None;
            let at = state.events.iter().position(|event| {
                found = choose(event);
                found.is_some()
            });
            if let (Some(at), Some(found)) = (at, found) {
                state.events.remove(at);
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("we were told of no {what} within {limit:?}"));
            }
            let waited = self.shared.more.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the next event of any call that `choose` takes.
    pub(crate) fn call_event<T>(
        &self,
        what: &str,
        mut choose: impl FnMut(&InvitationEvent) -> Option<T>,
    ) -> Outcome<T> {
        self.event(what, |event| match event {
            Event::Invitation(_, event) => choose(event),
            _ => None,
        })
    }

    /// Waits for a call: it, its dialog, and what it offers.
    pub(crate) fn incoming(&self) -> Outcome<(InvitationId, DialogId, Option<Description>)> {
        self.event("call", |event| match event {
            Event::Invitation(id, InvitationEvent::Incoming(call)) => {
                Some((*id, call.dialog, call.offer.clone()))
            }
            _ => None,
        })
    }

    /// Waits for an offer within a call.
    pub(crate) fn offered(&self) -> Outcome<(DialogId, Description)> {
        self.call_event("offer", |event| match event {
            InvitationEvent::Offered {
                dialog,
                description,
                ..
            } => Some((*dialog, description.clone())),
            _ => None,
        })
    }

    /// Waits for an answer that is final.
    pub(crate) fn answered(&self) -> Outcome<(DialogId, Description)> {
        self.call_event("answer", |event| match event {
            InvitationEvent::Answered {
                dialog,
                description,
                early: false,
            } => Some((*dialog, description.clone())),
            _ => None,
        })
    }

    /// Waits until a call stands.
    pub(crate) fn acknowledged(&self) -> Outcome<DialogId> {
        self.call_event("ACK", |event| match event {
            InvitationEvent::Acknowledged { dialog } => Some(*dialog),
            _ => None,
        })
    }

    /// Waits for the end of a call, and says how it came.
    pub(crate) fn ended(&self) -> Outcome<String> {
        self.ended_within(PATIENCE)
    }

    /// The same, if it may take longer.
    pub(crate) fn ended_within(&self, limit: Duration) -> Outcome<String> {
        self.event_within("end of the call", limit, |event| match event {
            Event::Invitation(_, InvitationEvent::Ended { cause, .. }) => Some(cause.to_string()),
            _ => None,
        })
    }

    /// Keeps us from doing anything more: we are silent from here on, and the socket stays open.
    pub(crate) fn freeze(&self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }

    /// What is alive.
    pub(crate) fn stats(&self) -> Stats {
        self.shared.state().endpoint.stats()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes datagrams and fires timers; a timer that a command sets is at most one look late.
    fn run(&self) {
        let mut bytes = [0; 65_536];
        while !self.is_over.load(Ordering::Relaxed) {
            let due = self.state().endpoint.poll_timeout();
            let left = due.map_or(LOOK, |due| {
                due.at.saturating_duration_since(Instant::now()).min(LOOK)
            });
            // Nothing at all would wait for ever. What fails shows in what is not received.
            let _ = self
                .socket
                .set_read_timeout(Some(left.max(Duration::from_millis(1))));
            let received = self.socket.recv_from(&mut bytes).ok();
            let input = received.map_or(Input::Timeout, |(length, from)| Input::Message {
                flow: self.flow,
                from,
                message: Bytes::copy_from_slice(&bytes[..length]),
            });
            let mut state = self.state();
            state.endpoint.handle_input(Instant::now(), input);
            self.drain(&mut state);
        }
    }

    fn drain(&self, state: &mut State) {
        while let Some(output) = state.endpoint.poll_output() {
            match output {
                Output::Send { to, message, .. } => {
                    // A datagram may be lost anywhere.
                    let _ = self.socket.send_to(&message, to);
                }
                Output::Resolve { lookup, uri } => {
                    let targets = numeric(&uri).ok_or(LookupError::NotFound);
                    let resolved = Input::Resolved { lookup, targets };
                    state.endpoint.handle_input(Instant::now(), resolved);
                }
                Output::Event(event) => {
                    state.events.push(event);
                    self.more.notify_all();
                }
                // There are no connections.
                _ => {}
            }
        }
    }
}

fn numeric(uri: &Uri) -> Option<Vec<Target>> {
    let ip = uri.host()?.ip()?;
    Some(vec![Target {
        transport: Transport::Udp,
        address: SocketAddr::new(ip, uri.port().unwrap_or(5060)),
        name: Host::Ip(ip),
    }])
}

/// Reads a URI.
pub(crate) fn address(text: &str) -> Outcome<Address> {
    let uri = text.parse::<Uri>();
    Ok(Address::new(
        uri.map_err(|error| format!("{text}: {error}"))?,
    ))
}

/// One stream of PCMA at a port that nobody serves.
pub(crate) fn description(port: u16) -> Description {
    let text = format!(
        "v=0\r\no=- 1 {port} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    );
    Description {
        content_type: "application/sdp".to_owned(),
        body: Bytes::from(text),
    }
}

/// The port of the first stream that a description names.
pub(crate) fn port_of(description: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(description).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("m=audio "))?;
    line.split(' ').next()?.parse().ok()
}

/// How long timers may be late.
const LOOK: Duration = Duration::from_millis(10);
/// For what a peer does at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
