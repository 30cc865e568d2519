//! What a call and a registration take while nothing happens, from the growth of the whole process.

use super::{server, text, thread};
use crate::outcome::{Exit, Failure};
use serde_json::{Value, json};
use sipsimple::{
    base::{Host, Target, Transport},
    sip::{FlowId, Input, Output, Registration, header::Address},
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Bytes for each of so many standing calls at the called end, and of as many registrations of a
/// client, long after their last message. Time is only told, so nobody waits.
pub(super) fn weigh(count: u64) -> Result<Value, Failure> {
    // Both stay until the end: what one gives back would be taken by the other unseen.
    let (_registered, registration) = registrations(count)?;
    let (_called, call) = calls(count)?;
    Ok(json!({ "count": count, "call_bytes": call, "registration_bytes": registration }))
}

fn calls(count: u64) -> Result<Weighed, Failure> {
    let (mut end, before) = End::new()?;
    for number in 0..count {
        let to = "<sip:bench@192.0.2.2>";
        let invite = text::request("INVITE", "sip:bench@192.0.2.2", to, number, 1, PEER);
        for sent in end.hear(invite) {
            if sent.starts_with("SIP/2.0 200 ") {
                let to = text::header(&sent, "To").unwrap_or_default();
                let uri = text::contact(&sent).unwrap_or_default();
                end.hear(text::request("ACK", uri, to, number, 1, PEER));
            }
        }
        end.wait(STEP);
    }
    end.wait(REST);
    let standing = end.endpoint.stats().invitations as u64;
    end.finish(before, standing, count)
}

fn registrations(count: u64) -> Result<Weighed, Failure> {
    let (mut end, before) = End::new()?;
    for number in 0..count {
        let address = format!("sip:user{number}@registrar.example").parse();
        let registration = address
            .ok()
            .and_then(|uri| Registration::new(Address::new(uri)));
        let Some(mut registration) = registration else {
            return Err(internal());
        };
        registration.expires = Duration::from_secs(3_600);
        let begun = end.endpoint.register(end.now, registration);
        begun.map_err(|_| internal())?;
        for request in end.drain() {
            let response = granted(&request).ok_or_else(internal)?;
            end.hear(response);
        }
        end.wait(STEP);
    }
    end.wait(REST);
    let standing = end.endpoint.stats().registrations as u64;
    end.finish(before, standing, count)
}

/// The 200 of a registrar.
fn granted(request: &str) -> Option<String> {
    let mut response = "SIP/2.0 200 OK\r\n".to_owned();
    for name in ["Via", "From", "Call-ID", "CSeq"] {
        response += &format!("{name}: {}\r\n", text::header(request, name)?);
    }
    response += &format!("To: {};tag=registrar\r\n", text::header(request, "To")?);
    let contact = text::contact(request)?;
    response += &format!("Contact: <{contact}>;expires=3600\r\nContent-Length: 0\r\n\r\n");
    Some(response)
}

/// What was weighed, and the bytes that each of its parts takes.
type Weighed = (End, Option<u64>);

/// An endpoint whose peer is this file.
struct End {
    endpoint: sipsimple::sip::Endpoint,
    flow: FlowId,
    now: Instant,
}

impl End {
    /// With the memory that the process has before.
    fn new() -> Result<(Self, Option<u64>), Failure> {
        let now = Instant::now();
        let seed = runtime_smol::seed().map_err(|_| internal())?;
        let mut endpoint = server::endpoint(now, seed);
        let local = SocketAddr::from(([192, 0, 2, 2], 5060));
        let flow = endpoint.add_flow(now, Transport::Udp, local, None);
        let flow = flow.map_err(|_| internal())?;
        let end = Self {
            endpoint,
            flow,
            now,
        };
        Ok((end, thread::resident()))
    }

    /// Takes a message; says what is sent because of it.
    fn hear(&mut self, message: String) -> Vec<String> {
        let input = Input::Message {
            flow: self.flow,
            from: PEER,
            message: message.into_bytes().into(),
        };
        self.endpoint.handle_input(self.now, input);
        self.drain()
    }

    fn drain(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Resolve { lookup, .. } => {
                    let target = Target {
                        transport: Transport::Udp,
                        address: PEER,
                        name: Host::Ip(PEER.ip()),
                    };
                    let targets = Ok(vec![target]);
                    let input = Input::Resolved { lookup, targets };
                    self.endpoint.handle_input(self.now, input);
                }
                output => {
                    let output = server::perform(&mut self.endpoint, self.now, output);
                    if let Some(Output::Send { message, .. }) = output {
                        sent.push(String::from_utf8_lossy(&message).into_owned());
                    }
                }
            }
        }
        sent
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        while self
            .endpoint
            .poll_timeout()
            .is_some_and(|due| due.at <= self.now)
        {
            self.endpoint.handle_input(self.now, Input::Timeout);
            self.drain();
        }
    }

    /// The bytes that each of those that stand takes.
    fn finish(self, before: Option<u64>, standing: u64, count: u64) -> Result<Weighed, Failure> {
        let after = thread::resident();
        if standing != count {
            let text = format!("{standing} of {count} stand");
            return Err(Failure::new(Exit::Internal, text));
        }
        let grown = after
            .zip(before)
            .map(|(after, before)| after.saturating_sub(before));
        Ok((self, grown.map(|grown| grown / count)))
    }
}

fn internal() -> Failure {
    Failure::new(Exit::Internal, "the endpoint takes no more")
}

const PEER: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    5060,
);
/// From one to the next: few transactions linger beside those that are measured.
const STEP: Duration = Duration::from_millis(50);
/// All transactions are over after it.
const REST: Duration = Duration::from_secs(40);
