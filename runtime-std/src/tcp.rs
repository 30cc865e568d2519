//! TCP connections and listeners.

use bytes::{Buf, Bytes, BytesMut};
use mio::{
    Interest, Registry, Token,
    net::{TcpListener, TcpStream},
};
use sipsimple::{
    agent::{Class, INITIAL_CREDIT, Input, LinkId},
    base::LinkError,
};
use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr},
    time::{Duration, Instant},
};
use system::{Type, is_in_progress, link_error, socket};

/// One connection.
#[derive(Debug)]
pub(crate) struct Tcp {
    socket: TcpStream,
    link: LinkId,
    phase: Phase,
    /// How many bytes the agent still takes.
    credit: usize,
    /// The system has bytes that were not read for want of credit.
    readable: bool,
    queue: VecDeque<Bytes>,
    sent: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Connecting,
    Open,
    /// Everything is to be written, then closed.
    Finishing,
    /// Our end is closed; the peer's is waited for until then.
    Draining(Instant),
}

impl Tcp {
    /// Begins to connect.
    pub(crate) fn connect(
        registry: &Registry,
        token: Token,
        link: LinkId,
        from: Option<IpAddr>,
        to: SocketAddr,
        class: Class,
    ) -> io::Result<Self> {
        let from = from.unwrap_or_else(|| match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        });
        let socket = socket(Type::STREAM, SocketAddr::new(from, 0), class)?;
        match socket.connect(&to.into()) {
            Ok(()) => {}
            Err(error) if is_in_progress(&error) => {}
            Err(error) => return Err(error),
        }
        Self::register(
            registry,
            token,
            link,
            TcpStream::from_std(socket.into()),
            Phase::Connecting,
        )
    }

    /// Takes a connection that a listener got.
    pub(crate) fn adopt(
        registry: &Registry,
        token: Token,
        link: LinkId,
        socket: TcpStream,
    ) -> io::Result<Self> {
        Self::register(registry, token, link, socket, Phase::Open)
    }

    fn register(
        registry: &Registry,
        token: Token,
        link: LinkId,
        mut socket: TcpStream,
        phase: Phase,
    ) -> io::Result<Self> {
        // Messages are small and whole: waiting for more of them only delays.
        socket.set_nodelay(true)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            socket,
            link,
            phase,
            credit: INITIAL_CREDIT as usize,
            readable: true,
            queue: VecDeque::new(),
            sent: 0,
        })
    }

    /// The system says that something can be done; true: the connection is over.
    pub(crate) fn ready(
        &mut self,
        buffer: &mut [u8],
        readable: bool,
        hand: &mut impl FnMut(Input),
    ) -> bool {
        self.readable |= readable;
        if self.phase == Phase::Connecting && !self.connected(hand) {
            return self.phase != Phase::Connecting;
        }
        self.write(hand) || self.read(buffer, hand)
    }

    fn connected(&mut self, hand: &mut impl FnMut(Input)) -> bool {
        if let Ok(Some(error)) | Err(error) = self.socket.take_error() {
            self.phase = Phase::Open;
            hand(self.closed(Some(link_error(&error))));
            return false;
        }
        match (self.socket.local_addr(), self.socket.peer_addr()) {
            (Ok(local), Ok(peer)) => {
                self.phase = Phase::Open;
                hand(Input::Opened {
                    link: self.link,
                    local,
                    peer: Some(peer),
                });
                true
            }
            _ => false,
        }
    }

    /// Reads as much as the agent takes; true: the connection is over.
    pub(crate) fn read(&mut self, buffer: &mut [u8], hand: &mut impl FnMut(Input)) -> bool {
        while self.readable && self.phase != Phase::Connecting {
            let is_draining = matches!(self.phase, Phase::Draining(_) | Phase::Finishing);
            let room = if is_draining {
                buffer.len()
            } else {
                self.credit.min(buffer.len())
            };
            if room == 0 {
                return false;
            }
            match self.socket.read(&mut buffer[..room]) {
                Ok(0) if self.phase == Phase::Finishing => self.readable = false,
                Ok(0) => {
                    hand(self.closed(None));
                    return true;
                }
                Ok(_) if is_draining => {}
                Ok(length) => {
                    self.credit -= length;
                    hand(Input::Bytes {
                        link: self.link,
                        payload: BytesMut::from(&buffer[..length]),
                    });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    hand(self.closed(Some(link_error(&error))));
                    return true;
                }
            }
        }
        false
    }

    /// Allows more bytes to be read.
    pub(crate) fn allow(&mut self, more: u32) {
        self.credit = self.credit.saturating_add(more as usize);
    }

    /// Queues bytes; the agent bounds the queue by what was reported as sent.
    pub(crate) fn queue(&mut self, payload: Bytes) {
        self.queue.push_back(payload);
    }

    /// Writes what the system takes; true: the connection is over.
    pub(crate) fn write(&mut self, hand: &mut impl FnMut(Input)) -> bool {
        if self.phase == Phase::Connecting {
            return false;
        }
        let before = self.sent;
        while let Some(front) = self.queue.front_mut() {
            match self.socket.write(front) {
                Ok(length) => {
                    self.sent += length as u64;
                    front.advance(length);
                    if front.is_empty() {
                        self.queue.pop_front();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    hand(self.closed(Some(link_error(&error))));
                    return true;
                }
            }
        }
        if self.sent != before {
            hand(Input::Sent {
                link: self.link,
                total: self.sent,
            });
        }
        if self.phase == Phase::Finishing && self.queue.is_empty() {
            // Our end first: closing both with unread bytes would reset what is still on its way.
            if self.socket.shutdown(Shutdown::Write).is_err() {
                hand(self.closed(None));
                return true;
            }
            self.phase = Phase::Draining(Instant::now() + LINGER);
        }
        false
    }

    /// Closes when everything is written.
    pub(crate) fn finish(&mut self) {
        if matches!(self.phase, Phase::Open | Phase::Connecting) {
            self.phase = Phase::Finishing;
        }
    }

    /// When a peer that does not close its end is closed from here.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Draining(until) => Some(until),
            Phase::Connecting | Phase::Open | Phase::Finishing => None,
        }
    }

    pub(crate) const fn closed(&self, error: Option<LinkError>) -> Input {
        Input::Closed {
            link: self.link,
            error,
        }
    }

    pub(crate) fn close(mut self, registry: &Registry) {
        // A socket that cannot be deregistered is closed all the same.
        let _ = registry.deregister(&mut self.socket);
    }
}

/// Listens on `bind`.
pub(crate) fn listen(
    registry: &Registry,
    token: Token,
    bind: SocketAddr,
    class: Class,
) -> io::Result<TcpListener> {
    let socket = socket(Type::STREAM, bind, class)?;
    socket.listen(BACKLOG)?;
    let mut listener = TcpListener::from_std(socket.into());
    registry.register(&mut listener, token, Interest::READABLE)?;
    Ok(listener)
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;
/// How long a peer may take to close its end after us.
const LINGER: Duration = Duration::from_secs(2);
