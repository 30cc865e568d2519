//! The load: so many transactions or calls at a time, for a while.

use super::{text, thread};
use crate::outcome::{Exit, Failure};
use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// What is done again and again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// MESSAGE and its response.
    Messages,
    /// INVITE with a description, 200, ACK, BYE, 200.
    Calls,
}

/// A generator on a thread of its own.
pub(super) struct Load {
    thread: JoinHandle<Did>,
}

/// What it did.
pub(super) struct Did {
    pub(super) done: u64,
    pub(super) lost: u64,
    pub(super) time: Duration,
    pub(super) cpu: Option<Duration>,
    pub(super) core: Option<usize>,
}

impl Load {
    pub(super) fn start(to: SocketAddr, kind: Kind, time: Duration) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(LOST))?;
        let from = socket.local_addr()?;
        let thread = std::thread::spawn(move || {
            let core = thread::pin(1);
            let before = thread::cpu();
            let begun = Instant::now();
            let mut generator = Generator {
                socket,
                from,
                target: format!("sip:bench@{to}"),
                kind,
                next: 0,
                open: BTreeMap::new(),
                done: 0,
                lost: 0,
            };
            generator.run(begun + time);
            let cpu = thread::cpu()
                .zip(before)
                .map(|(after, before)| after - before);
            Did {
                done: generator.done,
                lost: generator.lost,
                time: begun.elapsed(),
                cpu,
                core,
            }
        });
        Ok(Self { thread })
    }

    /// Waits for the end of its time.
    pub(super) fn wait(self) -> Result<Did, Failure> {
        let did = self.thread.join();
        did.map_err(|_| Failure::new(Exit::Internal, "the generator has ended"))
    }
}

struct Generator {
    socket: UdpSocket,
    from: SocketAddr,
    target: String,
    kind: Kind,
    next: u64,
    /// What has begun and is not done; of a call, whether it stands.
    open: BTreeMap<u64, bool>,
    done: u64,
    lost: u64,
}

impl Generator {
    fn run(&mut self, until: Instant) {
        let mut buffer = [0; 65_536];
        while Instant::now() < until {
            while self.open.len() < AT_A_TIME {
                self.begin();
            }
            match self.socket.recv(&mut buffer) {
                Ok(length) => self.heard(&String::from_utf8_lossy(&buffer[..length])),
                // Nothing came for long: what is open was lost, and is not done again.
                Err(_) => {
                    self.lost += self.open.len() as u64;
                    self.open.clear();
                }
            }
        }
    }

    fn begin(&mut self) {
        let number = self.next;
        self.next += 1;
        self.open.insert(number, false);
        let method = match self.kind {
            Kind::Messages => "MESSAGE",
            Kind::Calls => "INVITE",
        };
        let to = format!("<{}>", self.target);
        self.send(&text::request(
            method,
            &self.target,
            &to,
            number,
            1,
            self.from,
        ));
    }

    fn heard(&mut self, message: &str) {
        let Some(number) = text::number(message) else {
            return;
        };
        let is_success = message.starts_with("SIP/2.0 200 ");
        let is_provisional = message.starts_with("SIP/2.0 1");
        let Some(stands) = self.open.get_mut(&number) else {
            return;
        };
        let is_invite = text::header(message, "CSeq").is_some_and(|cseq| cseq.ends_with("INVITE"));
        match (is_invite, is_success) {
            (true, true) if !*stands => {
                *stands = true;
                let to = text::header(message, "To").unwrap_or_default();
                let uri = text::contact(message).unwrap_or(&self.target);
                let ack = text::request("ACK", uri, to, number, 1, self.from);
                let bye = text::request("BYE", uri, to, number, 2, self.from);
                self.send(&ack);
                self.send(&bye);
            }
            (true, true) => {}
            (false, true) => {
                self.open.remove(&number);
                self.done += 1;
            }
            (_, false) if is_provisional => {}
            (_, false) => {
                self.open.remove(&number);
                self.lost += 1;
            }
        }
    }

    fn send(&self, message: &str) {
        // What does not go out is counted as lost when nothing comes.
        let _ = self.socket.send(message.as_bytes());
    }
}

/// As many as keep both ends busy, and few enough for the buffers of the sockets.
const AT_A_TIME: usize = 32;
/// Much longer than anything takes.
const LOST: Duration = Duration::from_millis(500);
