//! Endpoints against each other in virtual time, and one endpoint against bytes written by hand.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one event among many"
)]

mod account;
mod bare;
mod call;
mod dialog;
mod edge;
mod failover;
mod guard;
mod impact;
mod info;
mod keep;
mod message;
mod notifier;
mod offer;
mod prack;
mod publication;
mod referral;
mod registration;
mod replaces;
mod reuse;
mod subscriber;
mod target;
mod timer;
mod uac;
mod uas;
mod update;
mod world;

use super::*;
use crate::{
    Message, Request, Response, Uri,
    header::Address,
    message::Description,
    usage::invitation::{InvitationEvent, Invite, State},
};
use base::Transport;
use bytes::Bytes;
use std::{net::SocketAddr, sync::OnceLock, time::Duration};

#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin for a virtual clock"
)]
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn address(text: &str) -> Address {
    Address::new(text.parse::<Uri>().unwrap())
}

fn sdp(text: &str) -> Description {
    Description {
        content_type: "application/sdp".to_owned(),
        body: Bytes::copy_from_slice(text.as_bytes()),
    }
}

/// An endpoint with one socket, whose other side is written by hand.
struct Wire {
    endpoint: Endpoint,
    now: Instant,
    flow: FlowId,
    peer: SocketAddr,
    events: Vec<Event>,
    sent: Vec<(SocketAddr, String)>,
}

impl Wire {
    fn new() -> Self {
        Self::with(Config::new("tested"))
    }

    fn with(config: Config) -> Self {
        let mut endpoint = Endpoint::new(start(), config, Rng::from_seed([1; 32]));
        let local = "192.0.2.1:5060".parse().unwrap();
        let flow = endpoint
            .add_flow(start(), Transport::Udp, local, None)
            .unwrap();
        Self {
            endpoint,
            now: start(),
            flow,
            peer: "192.0.2.9:5062".parse().unwrap(),
            events: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Receives a message; lines end in LF, blanks at their beginning count for nothing.
    fn receive(&mut self, text: &str) {
        let lines: Vec<&str> = text.trim_start().lines().map(str::trim_start).collect();
        let mut text = lines.join("\r\n");
        if !text.contains("\r\n\r\n") {
            text.push_str("\r\n\r\n");
        }
        self.receive_bytes(text.into_bytes());
    }

    fn receive_bytes(&mut self, bytes: impl Into<Bytes>) {
        let input = Input::Message {
            flow: self.flow,
            from: self.peer,
            message: bytes.into(),
        };
        self.endpoint.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Send { to, message, .. } => {
                    self.sent
                        .push((to, String::from_utf8(message.to_vec()).unwrap()));
                }
                Output::Resolve { lookup, .. } => {
                    let target = Target {
                        transport: Transport::Udp,
                        address: self.peer,
                        name: base::Host::Ip(self.peer.ip()),
                    };
                    let targets = Ok(vec![target]);
                    self.endpoint
                        .handle_input(self.now, Input::Resolved { lookup, targets });
                }
                Output::Event(event) => self.events.push(event),
                Output::Connect { .. } | Output::Release { .. } | Output::KeepAlive { .. } => {}
            }
        }
    }

    /// Lets time pass, timer by timer.
    fn wait(&mut self, time: Duration) {
        self.drain();
        let until = self.now + time;
        while let Some(deadline) = self
            .endpoint
            .poll_timeout()
            .filter(|deadline| deadline.at <= until)
        {
            self.now = self.now.max(deadline.at);
            self.endpoint.handle_input(self.now, Input::Timeout);
            self.drain();
        }
        self.now = until;
        self.endpoint.handle_input(self.now, Input::Timeout);
        self.drain();
    }

    /// Lets so much time pass, at most, until something is sent.
    fn wait_for_request(&mut self, most: Duration) -> Request {
        let until = self.now + most;
        while self.sent.is_empty() {
            let deadline = self.endpoint.poll_timeout().map(|deadline| deadline.at);
            let at = deadline.filter(|at| *at <= until).expect("a timer");
            let time = at.saturating_duration_since(self.now);
            self.wait(time);
        }
        self.request()
    }

    /// Takes what was sent: the start lines.
    fn lines(&mut self) -> Vec<String> {
        self.drain();
        self.sent
            .drain(..)
            .map(|(_, text)| text.lines().next().unwrap_or_default().to_owned())
            .collect()
    }

    /// Takes the only message that was sent.
    fn one(&mut self) -> Message {
        self.drain();
        assert_eq!(self.sent.len(), 1, "{:#?}", self.sent);
        let text = self.sent.remove(0).1;
        Message::parse(text.clone().into_bytes().into())
            .unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    fn request(&mut self) -> Request {
        match self.one() {
            Message::Request(request) => request,
            Message::Response(response) => panic!("{response:?}"),
        }
    }

    fn response(&mut self) -> Response {
        match self.one() {
            Message::Response(response) => response,
            Message::Request(request) => panic!("{request:?}"),
        }
    }

    /// Takes the oldest message that was sent: a request.
    fn next_request(&mut self) -> Request {
        match self.next() {
            Message::Request(request) => request,
            Message::Response(response) => panic!("{response:?}"),
        }
    }

    /// Takes all that was sent: one request, however often.
    fn repeated_request(&mut self) -> Request {
        self.drain();
        assert!(self.sent.iter().all(|sent| *sent == self.sent[0]));
        self.sent.truncate(1);
        self.request()
    }

    /// Takes the oldest message that was sent: a response.
    fn next_response(&mut self) -> Response {
        match self.next() {
            Message::Response(response) => response,
            Message::Request(request) => panic!("{request:?}"),
        }
    }

    fn next(&mut self) -> Message {
        self.drain();
        assert!(!self.sent.is_empty(), "nothing was sent");
        let text = self.sent.remove(0).1;
        Message::parse(text.clone().into_bytes().into())
            .unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// Answers a request of ours: `lines` begin with the code and the phrase; a To tag that is missing
    /// is `theirs`.
    fn reply(&mut self, request: &Request, lines: &str) {
        let (first, further) = lines.split_once('\n').unwrap_or((lines, ""));
        let value = |name| String::from_utf8_lossy(request.headers.get(name).unwrap()).into_owned();
        let mut to = value(crate::HeaderName::To);
        if !to.contains(";tag=") {
            to.push_str(";tag=theirs");
        }
        self.receive(
            &format!(
                "SIP/2.0 {first}
            Via: {}
            From: {}
            To: {to}
            Call-ID: {}
            CSeq: {}
            {further}
            Content-Length: 0",
                value(crate::HeaderName::Via),
                value(crate::HeaderName::From),
                value(crate::HeaderName::CallId),
                value(crate::HeaderName::CSeq),
            )
            .replace("\n            \n", "\n"),
        );
    }

    fn invitation_events(&mut self) -> Vec<InvitationEvent> {
        self.drain();
        let events = std::mem::take(&mut self.events).into_iter();
        events
            .filter_map(|event| {
                if let Event::Invitation(_, event) = event {
                    Some(event)
                } else {
                    None
                }
            })
            .collect()
    }
}
