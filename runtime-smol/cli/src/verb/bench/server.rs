//! The side that is measured: an endpoint on a socket, without accounts and media.

use super::{text::SDP, thread};
use crate::outcome::{Exit, Failure};
use sipsimple::{
    base::{Rng, Transport},
    sip::{
        Config, Description, Endpoint, Event, Headers, Input, InvitationEvent, MessageEvent,
        Output, Status,
    },
};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// A server on a thread of its own. It takes every message and every call.
pub(super) struct Server {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Served>,
}

/// What it cost.
pub(super) struct Served {
    /// Transactions that it still keeps: those of the last half minute over UDP (RFC 3261, 17.2.2).
    pub(super) kept: usize,
    pub(super) cpu: Option<Duration>,
    pub(super) core: Option<usize>,
}

impl Server {
    pub(super) fn start() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(TICK))?;
        let address = socket.local_addr()?;
        let seed = runtime_smol::seed()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        let thread = std::thread::spawn(move || serve(&socket, address, seed, &ends));
        Ok(Self {
            address,
            is_over,
            thread,
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn stop(self) -> Result<Served, Failure> {
        self.is_over.store(true, Ordering::Relaxed);
        let served = self.thread.join();
        served.map_err(|_| Failure::new(Exit::Internal, "the server has ended"))
    }
}

/// An endpoint that takes as much as comes, and the description with which it answers.
pub(super) fn endpoint(now: Instant, seed: [u8; 32]) -> Endpoint {
    let mut config = Config::new("bench");
    config.limits.invitations = MANY;
    config.limits.usages = MANY;
    config.limits.unacknowledged = MANY;
    config.transactions.limits.servers = MANY;
    Endpoint::new(now, config, Rng::from_seed(seed))
}

/// Takes a call or a message; says what is to be sent.
pub(super) fn perform(endpoint: &mut Endpoint, now: Instant, output: Output) -> Option<Output> {
    match output {
        Output::Event(Event::Invitation(id, InvitationEvent::Incoming(_))) => {
            let answer = Description {
                content_type: "application/sdp".to_owned(),
                body: SDP.as_bytes().into(),
            };
            if let Some(mut call) = endpoint.invitation(id) {
                // A call that is over already needs no answer.
                let _ = call.accept(now, answer, Headers::new());
            }
            None
        }
        Output::Event(Event::Message(id, MessageEvent::Incoming(_))) => {
            let headers = Headers::new();
            // A message that has its answer needs no other.
            let _ = endpoint.answer_message(now, id, Status::OK, None, &headers);
            None
        }
        Output::Send { .. } => Some(output),
        _ => None,
    }
}

fn serve(socket: &UdpSocket, address: SocketAddr, seed: [u8; 32], is_over: &AtomicBool) -> Served {
    let core = thread::pin(0);
    let mut endpoint = endpoint(Instant::now(), seed);
    let flow = endpoint.add_flow(Instant::now(), Transport::Udp, address, None);
    let mut buffer = vec![0; 65_536];
    let before = thread::cpu();
    while let (Ok(flow), false) = (flow, is_over.load(Ordering::Relaxed)) {
        let received = socket.recv_from(&mut buffer);
        let now = Instant::now();
        if let Ok((length, from)) = received {
            let message = buffer[..length].to_vec().into();
            let input = Input::Message {
                flow,
                from,
                message,
            };
            endpoint.handle_input(now, input);
        }
        if endpoint.poll_timeout().is_some_and(|due| due.at <= now) {
            endpoint.handle_input(now, Input::Timeout);
        }
        while let Some(output) = endpoint.poll_output() {
            if let Some(Output::Send { to, message, .. }) = perform(&mut endpoint, now, output) {
                // What is lost is sent again.
                let _ = socket.send_to(&message, to);
            }
        }
    }
    let cpu = thread::cpu()
        .zip(before)
        .map(|(after, before)| after - before);
    Served {
        kept: endpoint.stats().transactions,
        cpu,
        core,
    }
}

/// How long it waits before it looks at its timers.
const TICK: Duration = Duration::from_millis(5);
/// More than a minute can bring.
const MANY: usize = 10_000_000;
