//! UDP sockets.

use bytes::{Bytes, BytesMut};
use mio::{Interest, Registry, Token, net::UdpSocket};
use sipsimple::{
    agent::{Class, Input, LinkId},
    base::LinkError,
};
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
};
use system::{Type, link_error, socket};

/// One socket.
#[derive(Debug)]
pub(crate) struct Udp {
    socket: UdpSocket,
    link: LinkId,
    local: SocketAddr,
}

impl Udp {
    pub(crate) fn open(
        registry: &Registry,
        token: Token,
        link: LinkId,
        bind: SocketAddr,
        class: Class,
    ) -> io::Result<Self> {
        let mut socket = UdpSocket::from_std(socket(Type::DGRAM, bind, class)?.into());
        registry.register(&mut socket, token, Interest::READABLE)?;
        let local = socket.local_addr()?;
        Ok(Self {
            socket,
            link,
            local,
        })
    }

    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Reads at most [`BATCH`] datagrams; true: there may be more.
    pub(crate) fn read(&self, buffer: &mut [u8], mut hand: impl FnMut(Input)) -> bool {
        for _ in 0..BATCH {
            match self.socket.recv_from(buffer) {
                Ok((length, from)) => hand(Input::Datagram {
                    link: self.link,
                    from,
                    to: None,
                    // One buffer a datagram: it lives as long as the transaction that it began.
                    payload: BytesMut::from(&buffer[..length]),
                }),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                // ICMP errors of earlier datagrams come here without an address: the next read goes on.
                Err(_) => {}
            }
        }
        true
    }

    /// Sends a datagram; one that the system does not take is reported.
    pub(crate) fn send(&self, to: SocketAddr, payload: &Bytes) -> Option<Input> {
        let error = match self.socket.send_to(payload, to) {
            Ok(_) => return None,
            // The error is one of an earlier datagram to somewhere else: this one was not tried.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                match self.socket.send_to(payload, to) {
                    Ok(_) => return None,
                    Err(error) => error,
                }
            }
            // A full queue is loss, as anywhere on the way.
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => error,
        };
        Some(Input::Undeliverable {
            link: self.link,
            to,
            error: link_error(&error),
        })
    }

    pub(crate) fn close(mut self, registry: &Registry) {
        // A socket that cannot be deregistered is closed all the same.
        let _ = registry.deregister(&mut self.socket);
    }
}

/// What the runtime cannot do.
pub(crate) const UNSUPPORTED: LinkError = LinkError::Other(0);
/// Datagrams read from one socket before the others and the clock have their turn.
const BATCH: usize = 64;
