//! TCP connections and listeners.

use crate::ready::Ready;
use bytes::{Buf as _, Bytes, BytesMut};
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
    io::{self, ErrorKind, Read as _, Write as _},
    net::{IpAddr, Shutdown, SocketAddr},
    time::Instant,
};
use system::{Inbox, Patience, link_error, listener, patience, stream};

/// One connection.
#[derive(Debug)]
pub(crate) struct Tcp {
    socket: TcpStream,
    link: LinkId,
    phase: Phase,
    /// How many bytes the agent still takes.
    credit: usize,
    /// The system may have bytes: it says so only once.
    readable: bool,
    queue: VecDeque<Bytes>,
    sent: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Connecting,
    Open,
    /// Everything is to be written, then our end is closed; what comes is dropped.
    Finishing,
    /// Our end is closed. The peer's is waited for, as long as the agent likes: closing with unread
    /// bytes would reset what is still on its way.
    Finished,
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
        let socket = TcpStream::from_std(stream(from, to, class)?);
        Self::register(registry, token, link, socket, Phase::Connecting)
    }

    /// Takes a connection that a listener got.
    pub(crate) fn adopt(
        registry: &Registry,
        token: Token,
        link: LinkId,
        socket: TcpStream,
    ) -> io::Result<Self> {
        // Messages are small and whole: waiting for more of them only delays.
        socket.set_nodelay(true)?;
        Self::register(registry, token, link, socket, Phase::Open)
    }

    fn register(
        registry: &Registry,
        token: Token,
        link: LinkId,
        mut socket: TcpStream,
        phase: Phase,
    ) -> io::Result<Self> {
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

    /// The system says that something can be done.
    pub(crate) fn ready(&mut self, readable: bool, buffer: &mut [u8], inbox: &mut Inbox) -> Ready {
        self.readable |= readable;
        let done = self
            .connected(inbox)
            .and_then(|()| self.write(inbox))
            .and_then(|()| self.read(buffer, inbox));
        match done {
            Ok(ready) => ready,
            Err(error) => {
                let error = Some(link_error(&error));
                inbox.push(Instant::now(), self.closed(error));
                Ready::Over
            }
        }
    }

    /// Allows more bytes to be read; true: there may be some.
    pub(crate) fn allow(&mut self, more: u32) -> bool {
        self.credit = self.credit.saturating_add(more as usize);
        self.readable
    }

    /// Queues bytes and writes what the system takes; the agent bounds the queue by what was reported
    /// as sent.
    pub(crate) fn queue(&mut self, payload: Bytes, inbox: &mut Inbox) -> io::Result<()> {
        self.queue.push_back(payload);
        self.write(inbox)
    }

    /// Closes our end when everything is written.
    pub(crate) fn finish(&mut self, inbox: &mut Inbox) -> io::Result<()> {
        self.phase = Phase::Finishing;
        self.write(inbox)
    }

    pub(crate) const fn closed(&self, error: Option<LinkError>) -> Input {
        Input::Closed {
            link: self.link,
            error,
        }
    }

    /// Closes it; returns whose it was.
    pub(crate) fn close(mut self, registry: &Registry) -> LinkId {
        // A socket that cannot be deregistered is closed all the same.
        let _ = registry.deregister(&mut self.socket);
        self.link
    }

    fn connected(&mut self, inbox: &mut Inbox) -> io::Result<()> {
        if self.phase != Phase::Connecting {
            return Ok(());
        }
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        match self.socket.peer_addr() {
            Ok(peer) => {
                self.phase = Phase::Open;
                let opened = Input::Opened {
                    link: self.link,
                    local: self.socket.local_addr()?,
                    peer: Some(peer),
                };
                inbox.push(Instant::now(), opened);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, inbox: &mut Inbox) -> io::Result<()> {
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
                Err(error) => return Err(error),
            }
        }
        if self.sent != before {
            let sent = Input::Sent {
                link: self.link,
                total: self.sent,
            };
            inbox.push(Instant::now(), sent);
        }
        if self.phase == Phase::Finishing && self.queue.is_empty() {
            self.socket.shutdown(Shutdown::Write)?;
            self.phase = Phase::Finished;
        }
        Ok(())
    }

    /// Reads once what the agent takes and the buffer holds.
    fn read(&mut self, buffer: &mut [u8], inbox: &mut Inbox) -> io::Result<Ready> {
        let room = match self.phase {
            Phase::Connecting => 0,
            Phase::Open => self.credit.min(buffer.len()),
            Phase::Finishing | Phase::Finished => buffer.len(),
        };
        if room == 0 || !self.readable {
            return Ok(Ready::Idle);
        }
        match self.socket.read(&mut buffer[..room]) {
            // What is written must still go out; the end is read again after it.
            Ok(0) if self.phase == Phase::Finishing => Ok(Ready::Idle),
            Ok(0) => {
                inbox.push(Instant::now(), self.closed(None));
                Ok(Ready::Over)
            }
            Ok(length) => {
                if self.phase == Phase::Open {
                    self.credit -= length;
                    let bytes = Input::Bytes {
                        link: self.link,
                        payload: BytesMut::from(&buffer[..length]),
                    };
                    inbox.push(Instant::now(), bytes);
                }
                Ok(Ready::More)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(Ready::Idle)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Ready::More),
            Err(error) => Err(error),
        }
    }
}

/// A socket that gets connections.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    link: LinkId,
}

/// A connection before the agent has decided about it.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) listener: LinkId,
    pub(crate) socket: TcpStream,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}

impl Listener {
    /// Listens on `bind`; also returns the address.
    pub(crate) fn open(
        registry: &Registry,
        token: Token,
        link: LinkId,
        bind: SocketAddr,
        class: Class,
    ) -> io::Result<(Self, SocketAddr)> {
        let mut socket = TcpListener::from_std(listener(bind, class)?);
        let local = socket.local_addr()?;
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok((Self { socket, link }, local))
    }

    /// Accepts at most [`BATCH`] connections.
    pub(crate) fn accept(&self, mut hand: impl FnMut(Accepted)) -> Ready {
        for _ in 0..BATCH {
            match self.socket.accept() {
                Ok((socket, peer)) => {
                    // One without an address is gone already.
                    if let Ok(local) = socket.local_addr() {
                        hand(Accepted {
                            listener: self.link,
                            socket,
                            local,
                            peer,
                        });
                    }
                }
                Err(error) => match patience(&error) {
                    Patience::Wait => return Ready::Idle,
                    Patience::GoOn => {}
                    Patience::Pause(pause) => return Ready::Later(pause),
                },
            }
        }
        Ready::More
    }

    /// Closes it; returns whose it was.
    pub(crate) fn close(mut self, registry: &Registry) -> LinkId {
        // A socket that cannot be deregistered is closed all the same.
        let _ = registry.deregister(&mut self.socket);
        self.link
    }
}

/// Connections accepted in one go.
const BATCH: usize = 64;
