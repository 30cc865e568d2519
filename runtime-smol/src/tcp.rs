//! TCP connections and listeners.

use crate::{agent::Happenings, driver::Happening};
use async_channel::{Receiver, Sender, unbounded};
use async_io::{Async, Timer};
use bytes::{Buf, Bytes, BytesMut};
use sipsimple::{
    agent::{Class, INITIAL_CREDIT, Input, LinkId},
    base::LinkError,
};
use smol::{
    Task,
    future::FutureExt as _,
    io::{AsyncReadExt as _, AsyncWriteExt as _},
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};
use system::{Type, is_in_progress, link_error, socket};

/// One connection: a task reads it, another one writes it.
#[derive(Debug)]
pub(crate) struct Tcp {
    credit: Sender<u32>,
    writes: Sender<Write>,
    _task: Task<()>,
}

#[derive(Debug)]
enum Write {
    Payload(Bytes),
    Finish,
}

impl Tcp {
    /// Begins to connect.
    pub(crate) fn connect(
        link: LinkId,
        from: Option<IpAddr>,
        to: SocketAddr,
        class: Class,
        happenings: Happenings,
    ) -> Self {
        Self::start(link, happenings.clone(), async move {
            let stream = connect(from, to, class).await?;
            let opened = Input::Opened {
                link,
                local: stream.get_ref().local_addr()?,
                peer: Some(stream.get_ref().peer_addr()?),
            };
            // A driver that is gone reads no more either.
            let _ = happenings.send(Happening::Input(opened)).await;
            Ok(stream)
        })
    }

    /// Takes a connection that a listener got.
    pub(crate) fn adopt(link: LinkId, stream: Async<TcpStream>, happenings: Happenings) -> Self {
        Self::start(link, happenings, async move { Ok(stream) })
    }

    fn start(
        link: LinkId,
        happenings: Happenings,
        connecting: impl Future<Output = io::Result<Async<TcpStream>>> + Send + 'static,
    ) -> Self {
        let (credit, credits) = unbounded();
        let (writes, queue) = unbounded();
        let task = smol::spawn(async move {
            let error = match connecting.await {
                Ok(stream) => carry(link, stream, credits, queue, &happenings).await,
                Err(error) => Err(error),
            };
            let closed = Input::Closed {
                link,
                error: error.err().map(|error| link_error(&error)),
            };
            // A driver that is gone knows already.
            let _ = happenings.send(Happening::Input(closed)).await;
        });
        Self {
            credit,
            writes,
            _task: task,
        }
    }

    /// Allows more bytes to be read.
    pub(crate) fn allow(&self, more: u32) {
        // A task that is gone has said `Closed`.
        let _ = self.credit.try_send(more);
    }

    /// Queues bytes; the agent bounds the queue by what was reported as sent.
    pub(crate) fn queue(&self, payload: Bytes) {
        // A task that is gone has said `Closed`.
        let _ = self.writes.try_send(Write::Payload(payload));
    }

    /// Closes when everything is written.
    pub(crate) fn finish(&self) {
        // A task that is gone has said `Closed`.
        let _ = self.writes.try_send(Write::Finish);
    }
}

async fn connect(
    from: Option<IpAddr>,
    to: SocketAddr,
    class: Class,
) -> io::Result<Async<TcpStream>> {
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
    let stream = Async::new_nonblocking(TcpStream::from(socket))?;
    stream.writable().await?;
    match stream.get_ref().take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

/// Reads and writes until either end closes.
async fn carry(
    link: LinkId,
    stream: Async<TcpStream>,
    credits: Receiver<u32>,
    queue: Receiver<Write>,
    happenings: &Happenings,
) -> io::Result<()> {
    // Messages are small and whole: waiting for more of them only delays.
    stream.get_ref().set_nodelay(true)?;
    let stream = Arc::new(stream);
    let reading = read(link, &stream, &credits, happenings);
    let writing = write(link, &stream, &queue, happenings);
    reading.or(writing).await
}

async fn read(
    link: LinkId,
    mut stream: &Async<TcpStream>,
    credits: &Receiver<u32>,
    happenings: &Happenings,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut credit = INITIAL_CREDIT as usize;
    loop {
        while let Ok(more) = credits.try_recv() {
            credit = credit.saturating_add(more as usize);
        }
        if credit == 0 {
            match credits.recv().await {
                Ok(more) => credit = more as usize,
                Err(_) => return Ok(()),
            }
            continue;
        }
        let room = credit.min(buffer.len());
        let length = stream.read(&mut buffer[..room]).await?;
        if length == 0 {
            return Ok(());
        }
        credit -= length;
        let input = Input::Bytes {
            link,
            payload: BytesMut::from(&buffer[..length]),
        };
        if happenings.send(Happening::Input(input)).await.is_err() {
            return Ok(());
        }
    }
}

/// Ends only with an error, or when everything was written and the peer closed its end, too.
async fn write(
    link: LinkId,
    mut stream: &Async<TcpStream>,
    queue: &Receiver<Write>,
    happenings: &Happenings,
) -> io::Result<()> {
    let mut total = 0;
    while let Ok(Write::Payload(mut payload)) = queue.recv().await {
        while payload.has_remaining() {
            let length = stream.write(&payload).await?;
            payload.advance(length);
            total += length as u64;
            let sent = Input::Sent { link, total };
            if happenings.send(Happening::Input(sent)).await.is_err() {
                return Ok(());
            }
        }
    }
    // Our end first: closing both with unread bytes would reset what is still on its way.
    stream.get_ref().shutdown(Shutdown::Write)?;
    let mut rest = [0; 1024];
    let drained = async {
        while stream.read(&mut rest).await? > 0 {}
        Ok(())
    };
    let late = async {
        Timer::after(LINGER).await;
        Ok(())
    };
    drained.or(late).await
}

/// Listens on `bind`; also returns the address.
pub(crate) fn listen(
    link: LinkId,
    bind: SocketAddr,
    class: Class,
    happenings: Happenings,
) -> io::Result<(Task<()>, SocketAddr)> {
    let socket = socket(Type::STREAM, bind, class)?;
    socket.listen(BACKLOG)?;
    let listener = Async::new_nonblocking(TcpListener::from(socket))?;
    let local = listener.get_ref().local_addr()?;
    let task = smol::spawn(async move {
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                // Out of sockets: the next one may be there soon.
                Timer::after(PAUSE).await;
                continue;
            };
            let Ok(local) = stream.get_ref().local_addr() else {
                continue;
            };
            let accepted = Happening::Accepted {
                listener: link,
                stream,
                local,
                peer,
            };
            if happenings.send(accepted).await.is_err() {
                return;
            }
        }
    });
    Ok((task, local))
}

/// What the runtime cannot do.
pub(crate) const UNSUPPORTED: LinkError = LinkError::Other(0);
/// One read of a connection.
const BUFFER: usize = 16 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;
/// How long a peer may take to close its end after us.
const LINGER: Duration = Duration::from_secs(2);
/// After an accept that failed.
const PAUSE: Duration = Duration::from_millis(100);
