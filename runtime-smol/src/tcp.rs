//! TCP connections and listeners.

use crate::happening::{Happening, Happenings};
use async_channel::{Receiver, Sender, unbounded};
use async_io::{Async, Timer};
use bytes::{Buf as _, Bytes, BytesMut};
use sipsimple::agent::{Class, INITIAL_CREDIT, Input, LinkId};
use smol::{
    Task,
    future::FutureExt as _,
    io::{AsyncReadExt as _, AsyncWriteExt as _},
};
use std::{
    io,
    net::{IpAddr, Shutdown, SocketAddr, TcpStream},
    time::Instant,
};
use system::{Patience, link_error, listener, patience, stream};

/// One connection, and the task that carries it.
#[derive(Debug)]
pub(crate) struct Tcp {
    credit: Sender<u32>,
    writes: Sender<Bytes>,
    task: Task<()>,
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
            tell(&happenings, opened).await;
            Ok(stream)
        })
    }

    /// Takes a connection that a listener got.
    pub(crate) fn adopt(link: LinkId, stream: Async<TcpStream>, happenings: Happenings) -> Self {
        Self::start(link, happenings, async move {
            // Messages are small and whole: waiting for more of them only delays.
            stream.get_ref().set_nodelay(true)?;
            Ok(stream)
        })
    }

    fn start(
        link: LinkId,
        happenings: Happenings,
        connecting: impl Future<Output = io::Result<Async<TcpStream>>> + Send + 'static,
    ) -> Self {
        let (credit, credits) = unbounded();
        let (writes, queue) = unbounded();
        let task = smol::spawn(async move {
            let done = match connecting.await {
                Ok(stream) => {
                    let reading = read(link, &stream, &credits, &happenings);
                    let writing = write(link, &stream, &queue, &happenings);
                    reading.or(writing).await
                }
                Err(error) => Err(error),
            };
            let error = done.err().map(|error| link_error(&error));
            tell(&happenings, Input::Closed { link, error }).await;
        });
        Self {
            credit,
            writes,
            task,
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
        let _ = self.writes.try_send(payload);
    }

    /// Closes our end when everything is written; what comes is dropped.
    pub(crate) fn finish(&self) {
        self.credit.close();
        self.writes.close();
    }

    /// True after [`finish`](Self::finish).
    pub(crate) fn is_finishing(&self) -> bool {
        self.writes.is_closed()
    }

    /// The task that must end before the connection is closed.
    pub(crate) fn close(self) -> Task<()> {
        self.task
    }
}

/// A driver that is gone needs to hear nothing.
async fn tell(happenings: &Happenings, input: Input) {
    let _ = happenings
        .send(Happening::Input(Instant::now(), input))
        .await;
}

async fn connect(
    from: Option<IpAddr>,
    to: SocketAddr,
    class: Class,
) -> io::Result<Async<TcpStream>> {
    let stream = Async::new_nonblocking(stream(from, to, class)?)?;
    stream.writable().await?;
    match stream.get_ref().take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

/// Reads as much as the agent takes. Ends with an error or with the peer's end; but if our end is to
/// be closed, the writer decides.
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
                // The peer may wait to write before it reads.
                Err(_) => break drain(stream, &mut buffer).await?,
            }
            continue;
        }
        let room = credit.min(buffer.len());
        let length = stream.read(&mut buffer[..room]).await?;
        if length == 0 {
            break;
        }
        credit -= length;
        let payload = BytesMut::from(&buffer[..length]);
        tell(happenings, Input::Bytes { link, payload }).await;
    }
    if credits.is_closed() {
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// Writes what is queued. Ends with an error, or when our end was closed and the peer's is, too.
async fn write(
    link: LinkId,
    mut stream: &Async<TcpStream>,
    queue: &Receiver<Bytes>,
    happenings: &Happenings,
) -> io::Result<()> {
    let mut total = 0;
    while let Ok(mut payload) = queue.recv().await {
        while payload.has_remaining() {
            let length = stream.write(&payload).await?;
            payload.advance(length);
            total += length as u64;
            tell(happenings, Input::Sent { link, total }).await;
        }
    }
    stream.get_ref().shutdown(Shutdown::Write)?;
    // As long as the agent likes: closing with unread bytes would reset what is still on its way.
    drain(stream, &mut [0; 1024]).await
}

/// Drops what comes until the peer's end.
async fn drain(mut stream: &Async<TcpStream>, buffer: &mut [u8]) -> io::Result<()> {
    while stream.read(buffer).await? > 0 {}
    Ok(())
}

/// Listens on `bind`; also returns the address.
pub(crate) fn listen(
    link: LinkId,
    bind: SocketAddr,
    class: Class,
    happenings: Happenings,
) -> io::Result<(Task<()>, SocketAddr)> {
    let socket = Async::new_nonblocking(listener(bind, class)?)?;
    let local = socket.get_ref().local_addr()?;
    let task = smol::spawn(async move {
        loop {
            match socket.accept().await {
                Ok((stream, peer)) => {
                    // One without an address is gone already.
                    let Ok(local) = stream.get_ref().local_addr() else {
                        continue;
                    };
                    let accepted = Happening::Accepted {
                        at: Instant::now(),
                        listener: link,
                        stream,
                        local,
                        peer,
                    };
                    if happenings.send(accepted).await.is_err() {
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
    });
    Ok((task, local))
}

/// One read of a connection.
const BUFFER: usize = 16 * 1024;
