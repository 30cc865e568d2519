//! UDP sockets.

use crate::ready::Ready;
use bytes::{Bytes, BytesMut};
use mio::{Interest, Registry, Token, net::UdpSocket};
use sipsimple::agent::{Class, Input, LinkId, Multicast};
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Instant,
};
use system::{Inbox, Patience, link_error, patience, udp};

/// One socket.
#[derive(Debug)]
pub(crate) struct Udp {
    socket: UdpSocket,
    link: LinkId,
}

impl Udp {
    /// Opens a socket; also returns its address.
    pub(crate) fn open(
        registry: &Registry,
        token: Token,
        link: LinkId,
        bind: SocketAddr,
        class: Class,
        group: Option<&Multicast>,
    ) -> io::Result<(Self, SocketAddr)> {
        let mut socket = UdpSocket::from_std(udp(bind, class, group)?);
        let local = socket.local_addr()?;
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok((Self { socket, link }, local))
    }

    /// Reads at most [`BATCH`] datagrams, so that the others and the clock have their turn.
    pub(crate) fn read(&self, buffer: &mut [u8], inbox: &mut Inbox) -> Ready {
        for _ in 0..BATCH {
            match self.socket.recv_from(buffer) {
                Ok((length, from)) => {
                    let input = Input::Datagram {
                        link: self.link,
                        from,
                        to: None,
                        // One buffer a datagram: it lives as long as the transaction that it began.
                        payload: BytesMut::from(&buffer[..length]),
                    };
                    inbox.push(Instant::now(), input);
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

    /// Sends a datagram; one that the system does not take is reported.
    pub(crate) fn send(&self, to: SocketAddr, payload: &Bytes) -> Option<Input> {
        match self.socket.send_to(payload, to) {
            // A full queue is loss, as anywhere on the way.
            Err(error) if error.kind() != ErrorKind::WouldBlock => Some(Input::Undeliverable {
                link: self.link,
                to,
                error: link_error(&error),
            }),
            _ => None,
        }
    }

    /// Closes it; returns whose it was.
    pub(crate) fn close(mut self, registry: &Registry) -> LinkId {
        // A socket that cannot be deregistered is closed all the same.
        let _ = registry.deregister(&mut self.socket);
        self.link
    }
}

/// Datagrams read from one socket in one go.
const BATCH: usize = 64;
