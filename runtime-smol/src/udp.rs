//! UDP sockets.

use crate::happening::{Happening, Happenings};
use async_io::{Async, Timer};
use bytes::{Bytes, BytesMut};
use sipsimple::agent::{Class, Input, LinkId, Multicast};
use smol::Task;
use std::{
    cell::RefCell,
    io::{self, ErrorKind},
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Instant,
};
use system::{Patience, link_error, patience, udp};

/// One socket, and the task that reads it.
#[derive(Debug)]
pub(crate) struct Udp {
    socket: Arc<Async<UdpSocket>>,
    link: LinkId,
    reader: Task<()>,
}

impl Udp {
    /// Opens a socket; also returns its address.
    pub(crate) fn open(
        link: LinkId,
        bind: SocketAddr,
        class: Class,
        group: Option<&Multicast>,
        happenings: Happenings,
    ) -> io::Result<(Self, SocketAddr)> {
        let socket = Arc::new(Async::new_nonblocking(udp(bind, class, group)?)?);
        let local = socket.get_ref().local_addr()?;
        let reader = smol::spawn(read(socket.clone(), link, happenings));
        let udp = Self {
            socket,
            link,
            reader,
        };
        Ok((udp, local))
    }

    /// Sends a datagram; one that the system does not take is reported.
    pub(crate) fn send(&self, to: SocketAddr, payload: &Bytes) -> Option<Input> {
        match self.socket.get_ref().send_to(payload, to) {
            // A full queue is loss, as anywhere on the way.
            Err(error) if error.kind() != ErrorKind::WouldBlock => Some(Input::Undeliverable {
                link: self.link,
                to,
                error: link_error(&error),
            }),
            _ => None,
        }
    }

    /// The task that must end before the port is free again.
    pub(crate) fn close(self) -> Task<()> {
        self.reader
    }
}

async fn read(socket: Arc<Async<UdpSocket>>, link: LinkId, happenings: Happenings) {
    loop {
        match socket.read_with(receive).await {
            Ok((payload, from)) => {
                let input = Input::Datagram {
                    link,
                    from,
                    to: None,
                    payload,
                };
                let happening = Happening::Input(Instant::now(), input);
                if happenings.send(happening).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                if let Patience::Pause(pause) = patience(&error) {
                    Timer::after(pause).await;
                }
            }
        }
    }
}

/// One buffer a datagram: it lives as long as the transaction that it began.
fn receive(socket: &UdpSocket) -> io::Result<(BytesMut, SocketAddr)> {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(LARGEST, 0);
        let (length, from) = socket.recv_from(buffer)?;
        Ok((BytesMut::from(&buffer[..length]), from))
    })
}

thread_local! {
    /// Shared by all sockets that this thread of the executor reads.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The largest datagram.
const LARGEST: usize = 65_536;
