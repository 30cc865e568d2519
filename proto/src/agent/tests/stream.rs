//! A stream made for tests: one datagram socket, one frame a datagram, a command and an event of its own.

use crate::{
    agent::{Class, FileDo, Frame},
    event::{CustomEvent, StreamEvent},
    stream::{
        Agreement, BadCommand, Hold, MediaStream, Offered, Purpose, Refusal, Slot, SlotOpen,
        StreamCommand, StreamEnv, StreamError, StreamFactory, StreamInput, StreamOutput,
    },
};
use base::Deadline;
use bytes::Bytes;
use sdp::{Connection, Media};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{any::Any, collections::VecDeque, net::SocketAddr, sync::Arc, time::Instant};

const KIND: &str = "probe";

#[derive(Debug)]
pub(super) struct Probe {
    env: StreamEnv,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    pub(super) heard: u32,
    hold: Hold,
    /// Talks without end: a bug on purpose.
    endless: bool,
    out: VecDeque<StreamOutput>,
}

impl Probe {
    fn new(env: StreamEnv, options: &Value) -> Self {
        let endless = options.get("endless").is_some();
        Self {
            env,
            local: None,
            remote: None,
            heard: 0,
            hold: Hold::default(),
            endless,
            out: VecDeque::new(),
        }
    }

    fn describe(&self) -> Media {
        let local = self
            .local
            .unwrap_or_else(|| SocketAddr::new(self.env.local_address, 9));
        let mut media = Media::new(KIND, local.port(), "UDP/PROBE");
        media.formats.push("0".into());
        media.connections.push(Connection::new(local.ip()));
        media.set_direction(match self.hold.local_intent {
            true => sdp::Direction::SendOnly,
            false => sdp::Direction::SendRecv,
        });
        media
    }

    fn agree(&mut self, agreed: Agreement<'_>) {
        let media = &agreed.remote.media[agreed.index];
        // Of what strangers write, little is an address.
        let address = media.connections.first().map(|at| at.address.to_string());
        self.remote = address
            .and_then(|address| address.parse().ok())
            .map(|ip| SocketAddr::new(ip, media.port));
        self.hold.by_local = self.hold.local_intent;
    }
}

impl MediaStream for Probe {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn prepare(&mut self, _now: Instant, _purpose: Purpose) {
        let bind = SocketAddr::new(self.env.local_address, 0);
        let class = Class::Voice;
        self.out.push_back(StreamOutput::Open {
            slot: Slot(0),
            how: SlotOpen::Udp { bind, class },
        });
    }

    fn offer(&mut self, _now: Instant) -> Media {
        self.describe()
    }

    fn answer(
        &mut self,
        _now: Instant,
        _remote: &sdp::Session,
        _index: usize,
    ) -> Result<Media, Refusal> {
        Ok(self.describe())
    }

    fn start(&mut self, _now: Instant, agreed: Agreement<'_>) {
        self.agree(agreed);
        self.out.push_back(StreamOutput::Started);
    }

    fn update(&mut self, _now: Instant, agreed: Agreement<'_>) {
        self.agree(agreed);
    }

    fn rollback(&mut self, _now: Instant) {}

    fn set_hold(&mut self, _now: Instant, hold: bool) -> bool {
        std::mem::replace(&mut self.hold.local_intent, hold) != hold
    }

    fn hold(&self) -> Option<Hold> {
        Some(self.hold)
    }

    fn deactivate(&mut self) {}

    fn end(&mut self, _now: Instant) {
        self.out.push_back(StreamOutput::Ended);
    }

    fn handle_input(&mut self, now: Instant, input: StreamInput) {
        match input {
            StreamInput::Opened { local, .. } => {
                self.local = Some(local);
                self.out.push_back(StreamOutput::Prepared);
            }
            StreamInput::Info(info) if info.body == "ask" => {
                let answer = sip::InfoRequest::of_package("x-toy", "text/plain", "answer");
                self.out.push_back(StreamOutput::Inform(answer));
            }
            StreamInput::Media(frame) => {
                if let (Some(to), false) = (self.remote, self.hold.local_intent) {
                    let payload = frame.payload;
                    let slot = Slot(0);
                    self.out
                        .push_back(StreamOutput::Transmit { slot, to, payload });
                }
            }
            StreamInput::Datagram { payload, .. } => {
                self.heard += 1;
                self.out.push_back(StreamOutput::Media(Frame {
                    payload_type: 0,
                    marker: false,
                    sequence: u64::from(self.heard),
                    timestamp: 0,
                    ssrc: 0,
                    arrived: now,
                    payload: payload.freeze(),
                }));
            }
            _ => {}
        }
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        None
    }

    fn poll_output(&mut self) -> Option<StreamOutput> {
        if self.endless {
            return Some(StreamOutput::Event(StreamEvent::DidTimeout));
        }
        self.out.pop_front()
    }
}

/// Says something to the application, and to the peer.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct Knock(pub(super) u32);

#[derive(Debug)]
struct Knocked(u32);

impl CustomEvent for Knocked {
    fn name(&self) -> &'static str {
        "ProbeStreamKnocked"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "times": self.0 })
    }
}

impl StreamCommand for Knock {
    type Stream = Probe;
    type Reply = u32;

    fn apply(self, stream: &mut Probe, _now: Instant) -> u32 {
        let event = StreamEvent::Custom(Arc::new(Knocked(self.0)));
        stream.out.push_back(StreamOutput::Event(event));
        if let Some(to) = stream.remote {
            stream.out.push_back(StreamOutput::Transmit {
                slot: Slot(0),
                to,
                payload: Bytes::from_static(b"knock"),
            });
        }
        let what = FileDo::Open {
            name: "door".to_owned(),
        };
        stream.out.push_back(StreamOutput::File { file: 1, what });
        self.0 + 1
    }
}

pub(super) struct ProbeFactory;

impl StreamFactory for ProbeFactory {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn priority(&self) -> u8 {
        1
    }

    fn from_sdp(
        &self,
        _now: Instant,
        env: StreamEnv,
        remote: &sdp::Session,
        index: usize,
    ) -> Offered {
        match &*remote.media[index].kind {
            KIND => Offered::Taken(Box::new(Probe::new(env, &Value::Null))),
            _ => Offered::NotMine,
        }
    }

    fn create(
        &self,
        _now: Instant,
        env: StreamEnv,
        options: &Value,
    ) -> Result<Box<dyn MediaStream>, StreamError> {
        match options.get("bad") {
            Some(_) => Err(StreamError::BadOptions("bad")),
            None => Ok(Box::new(Probe::new(env, options))),
        }
    }

    fn replay(
        &self,
        stream: &mut dyn MediaStream,
        now: Instant,
        command: Value,
    ) -> Result<(), BadCommand> {
        let stream: &mut dyn Any = stream;
        let stream = stream.downcast_mut().ok_or(BadCommand)?;
        let knock: Knock = serde_json::from_value(command).map_err(|_| BadCommand)?;
        knock.apply(stream, now);
        Ok(())
    }
}
