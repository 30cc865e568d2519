//! UDP sockets.

use crate::{agent::Happenings, driver::Happening};
use async_io::Async;
use bytes::{Bytes, BytesMut};
use sipsimple::agent::{Class, Input, LinkId};
use smol::Task;
use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};
use system::{Type, link_error, socket};

/// One socket, and the task that reads it.
#[derive(Debug)]
pub(crate) struct Udp {
    socket: Arc<Async<UdpSocket>>,
    link: LinkId,
    _reader: Task<()>,
}

impl Udp {
    /// Opens a socket; also returns its address.
    pub(crate) fn open(
        link: LinkId,
        bind: SocketAddr,
        class: Class,
        happenings: Happenings,
    ) -> io::Result<(Self, SocketAddr)> {
        let socket = Arc::new(Async::new_nonblocking(UdpSocket::from(socket(
            Type::DGRAM,
            bind,
            class,
        )?))?);
        let local = socket.get_ref().local_addr()?;
        let reader = smol::spawn(read(socket.clone(), link, happenings));
        let udp = Self {
            socket,
            link,
            _reader: reader,
        };
        Ok((udp, local))
    }

    /// Sends a datagram; one that the system does not take is reported.
    pub(crate) fn send(&self, to: SocketAddr, payload: &Bytes) -> Option<Input> {
        let socket = self.socket.get_ref();
        let error = match socket.send_to(payload, to) {
            Ok(_) => return None,
            // The error is one of an earlier datagram to somewhere else: this one was not tried.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                match socket.send_to(payload, to) {
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
}

async fn read(socket: Arc<Async<UdpSocket>>, link: LinkId, happenings: Happenings) {
    let mut buffer = vec![0; BUFFER];
    loop {
        // ICMP errors of earlier datagrams come here without an address: the next read goes on.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let input = Input::Datagram {
            link,
            from,
            to: None,
            // One buffer a datagram: it lives as long as the transaction that it began.
            payload: BytesMut::from(&buffer[..length]),
        };
        if happenings.send(Happening::Input(input)).await.is_err() {
            return;
        }
    }
}

/// The largest datagram.
const BUFFER: usize = 65_536;
