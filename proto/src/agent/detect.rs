//! Which kind of NAT there is between us and a STUN server (ENG-34, ENG-45).

use super::{Child, Command, NatDetectionId, UserAgent};
use crate::{
    event::{Event, NatBehaviour, NatDetectionError, NatDetectionEvent},
    link::DiscoveryInput,
};
use base::{Deadline, HostPort, Rng, Table, Target};
use bytes::Bytes;
use ice::nat::{self, Class, Discovery, Report};
use serde_json::Value;
use std::{collections::VecDeque, net::SocketAddr, time::Instant};

/// Why no kind of NAT can be detected now; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectNatError {
    /// Before `DidStart`, or after `shutdown`.
    #[error("the agent does not run")]
    NotRunning,
    /// As many detections as the limits allow.
    #[error("too many detections")]
    TooMany,
}

impl UserAgent {
    /// Finds out how translators and filters between us and a STUN server behave (ENG-34, RFC 5780), from
    /// a port that nothing else uses; told by one `SIPEngineDetectedNATType` of the detection that is
    /// returned (BUG-03), which has `user_data`, too. It takes up to 20 s: silence is an answer.
    ///
    /// Without a port the server is looked for by SRV (`_stun._udp`), and has 3478 if there is none. It
    /// needs two addresses (RFC 5780, 6); one of one address can only tell whether we are translated. The
    /// first of the server's addresses that answers is asked.
    ///
    /// # Errors
    ///
    /// See [`DetectNatError`].
    pub fn detect_nat_type(
        &mut self,
        now: Instant,
        server: HostPort,
        user_data: Value,
    ) -> Result<NatDetectionId, DetectNatError> {
        let command = |(server, user_data): &(HostPort, Value)| Command::DetectNatType {
            server: server.clone(),
            user_data: user_data.clone(),
        };
        self.perform(now, command, (server, user_data), |agent, argument| {
            agent.apply_detect_nat_type(argument.0, argument.1)
        })
    }

    fn apply_detect_nat_type(
        &mut self,
        server: HostPort,
        user_data: Value,
    ) -> Result<NatDetectionId, DetectNatError> {
        if !self.life.is_running() {
            return Err(DetectNatError::NotRunning);
        }
        if self.detections.len() >= self.config.limits.nat_detections {
            return Err(DetectNatError::TooMany);
        }
        let id = self.detections.add(user_data, self.rng.fork());
        self.resolver.ask_stun(self.now, id, server);
        self.touch(Child::Resolver);
        Ok(id)
    }

    pub(super) fn route_detection(&mut self, output: Output) {
        match output {
            Output::Open(id, server) => {
                let address = self.local_address_for(Some(server.ip()));
                self.links.open_discovery(self.now, id, address);
                self.touch(Child::Links);
            }
            Output::Send(id, to, payload) => {
                self.links.send_discovery(id, to, payload);
                self.touch(Child::Links);
            }
            Output::Close(id) => {
                self.links.close_discovery(id);
                self.touch(Child::Links);
            }
            Output::Event(event) => self.notify(event),
        }
    }

    /// The agent ends: so do the detections, each by its event.
    pub(super) fn end_detections(&mut self) {
        self.detections.end();
        self.touch(Child::NatDetections);
    }
}

/// The detections that run.
#[derive(Debug, Default)]
pub(super) struct Detections {
    table: Table<NatDetectionId, Detection>,
    /// What came of the last one.
    last: Option<Class>,
    out: VecDeque<Output>,
}

/// What they want.
#[derive(Debug)]
pub(super) enum Output {
    /// A socket from which this server is reached.
    Open(NatDetectionId, SocketAddr),
    /// To send a datagram.
    Send(NatDetectionId, SocketAddr, Bytes),
    /// No socket any more.
    Close(NatDetectionId),
    /// To tell the application.
    Event(Event),
}

#[derive(Debug)]
struct Detection {
    user_data: Value,
    rng: Rng,
    /// The servers that can be asked; the first one is, if there is a socket.
    servers: VecDeque<SocketAddr>,
    /// There as soon as the socket is.
    discovery: Option<Discovery>,
}

impl Detections {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn nat_type(&self) -> Option<&'static str> {
        self.last.map(Class::name)
    }

    fn add(&mut self, user_data: Value, rng: Rng) -> NatDetectionId {
        self.table.insert(Detection {
            user_data,
            rng,
            servers: VecDeque::new(),
            discovery: None,
        })
    }

    /// The addresses of the server are known, or are not.
    pub(super) fn resolved(
        &mut self,
        id: NatDetectionId,
        result: Result<Vec<Target>, sip::LookupError>,
    ) {
        let Some(detection) = self.table.get_mut(id) else {
            return;
        };
        match result {
            Ok(targets) => {
                let servers = targets.iter().map(|target| target.address);
                detection.servers = servers.take(MAX_SERVERS).collect();
                self.open(id);
            }
            Err(error) => self.fail(id, NatDetectionError::Lookup(error)),
        }
    }

    /// Takes what happened to the socket of a detection.
    pub(super) fn handle_input(&mut self, now: Instant, id: NatDetectionId, input: DiscoveryInput) {
        let Some(detection) = self.table.get_mut(id) else {
            return;
        };
        match (input, &mut detection.discovery) {
            (DiscoveryInput::Opened(local), None) => {
                if let Some(&server) = detection.servers.front() {
                    let config = nat::Config::default();
                    let rng = detection.rng.fork();
                    detection.discovery = Some(Discovery::new(now, config, local, server, rng));
                }
            }
            (DiscoveryInput::Datagram { from, payload }, Some(discovery)) => {
                discovery.handle_datagram(now, from, &payload);
            }
            (DiscoveryInput::Undeliverable { to }, Some(discovery)) => {
                discovery.handle_undeliverable(now, to)
            }
            (DiscoveryInput::Closed(error), _) => {
                return self.fail(id, NatDetectionError::Transport(error));
            }
            (DiscoveryInput::Opened(_), Some(_))
            | (DiscoveryInput::Datagram { .. } | DiscoveryInput::Undeliverable { .. }, None) => {}
        }
        self.drain(id);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for id in self.table.keys() {
            let detection = self.table.get_mut(id);
            if let Some(discovery) = detection.and_then(|detection| detection.discovery.as_mut()) {
                discovery.handle_timeout(now);
                self.drain(id);
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        let all = self.table.iter();
        all.filter_map(|(_, detection)| detection.discovery.as_ref()?.poll_timeout())
            .min()
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn end(&mut self) {
        for id in self.table.keys() {
            self.fail(id, NatDetectionError::Ended);
        }
    }

    /// Asks for a socket towards the first server.
    fn open(&mut self, id: NatDetectionId) {
        let detection = self.table.get(id);
        match detection.and_then(|detection| detection.servers.front()) {
            Some(&server) => self.out.push_back(Output::Open(id, server)),
            None => self.fail(id, NatDetectionError::Lookup(sip::LookupError::NotFound)),
        }
    }

    fn drain(&mut self, id: NatDetectionId) {
        loop {
            let detection = self.table.get_mut(id);
            let Some(discovery) = detection.and_then(|detection| detection.discovery.as_mut())
            else {
                return;
            };
            match discovery.poll_output() {
                Some(nat::Output::Transmit { to, payload }) => {
                    self.out.push_back(Output::Send(id, to, payload));
                }
                Some(nat::Output::Done(result)) => self.done(id, result),
                Some(_) => {}
                None => return,
            }
        }
    }

    /// A server has been asked. One that is not there is not the last word if there is another
    /// (RFC 8489, 8: what RFC 2782 says of targets).
    fn done(&mut self, id: NatDetectionId, result: Result<Report, nat::DiscoveryError>) {
        let Some(detection) = self.table.get_mut(id) else {
            return;
        };
        self.out.push_back(Output::Close(id));
        let is_there = result.is_ok_and(|report| report.mapped.is_some());
        if !is_there && detection.servers.len() > 1 {
            detection.servers.pop_front();
            detection.discovery = None;
            return self.open(id);
        }
        match result {
            Ok(report) => {
                self.last = Some(report.class());
                self.tell(id, Ok(&report));
            }
            Err(error) => self.tell(id, Err(NatDetectionError::Server(error))),
        }
    }

    fn fail(&mut self, id: NatDetectionId, error: NatDetectionError) {
        self.out.push_back(Output::Close(id));
        self.tell(id, Err(error));
    }

    fn tell(&mut self, id: NatDetectionId, result: Result<&Report, NatDetectionError>) {
        let Some(detection) = self.table.remove(id) else {
            return;
        };
        let report = result.as_ref().ok();
        let event = NatDetectionEvent::DetectedNatType {
            succeeded: report.is_some(),
            user_data: detection.user_data,
            nat_type: report.map(|report| report.class().name()),
            behaviour: report.map(|report| NatBehaviour::from(*report)),
            error: result.err(),
        };
        self.out
            .push_back(Output::Event(Event::NatDetection(id, Box::new(event))));
    }
}

/// As many addresses of a server are tried.
const MAX_SERVERS: usize = 4;
