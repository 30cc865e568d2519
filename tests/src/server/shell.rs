//! A virtual server on real sockets.

use base::LinkError;
use bytes::BytesMut;
use sipsimple::agent::{Connection, Input, LinkId, Open, Output};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    io::{self, Read as _, Write as _},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::node::Node;

/// Runs a [`Node`] with one UDP socket and one TCP listener on threads of its own, for demonstrations
/// and for tests of real agents; for the use of strangers it is no server.
///
/// The server is asked and told things by [`call`](Self::call). It ends when this is dropped: its
/// sockets are closed then.
pub struct Shell<N> {
    address: SocketAddr,
    happenings: SyncSender<Happening<N>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl<N> fmt::Debug for Shell<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        f.debug_struct("Shell")
            .field("address", &address)
            .finish_non_exhaustive()
    }
}

type Command<N> = Box<dyn FnOnce(&mut N, Instant) + Send>;

/// What the thread of the node hears.
enum Happening<N> {
    Input(Input),
    /// A listener got this.
    Accepted(LinkId, TcpStream),
    /// A connection that was wanted is there.
    Connected(LinkId, TcpStream),
    Call(Command<N>),
    End,
}

impl<N: Node> Shell<N> {
    /// Takes a port of `ip` that is free for UDP and for TCP, makes the node that shall listen there, and
    /// runs it.
    ///
    /// # Errors
    ///
    /// There is no such port, or no thread.
    pub fn start(
        ip: IpAddr,
        make: impl FnOnce(SocketAddr) -> N + Send + 'static,
    ) -> io::Result<Self> {
        let (udp, listener) = sockets(ip)?;
        let address = listener.local_addr()?;
        let (happenings, heard) = sync_channel(WAITING);
        let is_over = Arc::new(AtomicBool::new(false));
        let told = happenings.clone();
        let ends = is_over.clone();
        let thread = thread::Builder::new().spawn(move || {
            let mut running = Running {
                node: make(address),
                sockets: Some((udp, listener)),
                sender: None,
                streams: BTreeMap::new(),
                pending: BTreeMap::new(),
                connections: 0,
                inputs: VecDeque::new(),
                told,
                is_over: ends,
            };
            running.run(&heard);
        })?;
        Ok(Self {
            address,
            happenings,
            is_over,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs a closure on the node; `None` if the node has panicked.
    pub fn call<R: Send + 'static>(
        &self,
        closure: impl FnOnce(&mut N, Instant) -> R + Send + 'static,
    ) -> Option<R> {
        let (reply, answer) = sync_channel(1);
        let call = Box::new(move |node: &mut N, now| {
            // It waits below.
            let _ = reply.send(closure(node, now));
        });
        self.happenings.send(Happening::Call(call)).ok()?;
        answer.recv().ok()
    }
}

impl<N> Drop for Shell<N> {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // A node that is gone has ended.
        let _ = self.happenings.send(Happening::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        wake(self.address);
    }
}

/// The threads that wait for a socket look whether it is over.
fn wake(address: SocketAddr) {
    if let Ok(socket) = UdpSocket::bind(SocketAddr::new(address.ip(), 0)) {
        let _ = socket.send_to(&[], address);
    }
    let _ = TcpStream::connect_timeout(&address, CONNECT);
}

/// One port of both kinds.
fn sockets(ip: IpAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..ATTEMPTS {
        let listener = TcpListener::bind(SocketAddr::new(ip, 0))?;
        match UdpSocket::bind(listener.local_addr()?) {
            Ok(udp) => return Ok((udp, listener)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The node and its sockets, on their thread.
struct Running<N> {
    node: N,
    /// Until the node asks for them.
    sockets: Option<(UdpSocket, TcpListener)>,
    sender: Option<UdpSocket>,
    streams: BTreeMap<LinkId, TcpStream>,
    pending: BTreeMap<Connection, TcpStream>,
    connections: u64,
    /// What the node hears next.
    inputs: VecDeque<Input>,
    told: SyncSender<Happening<N>>,
    is_over: Arc<AtomicBool>,
}

impl<N: Node> Running<N> {
    fn run(&mut self, heard: &Receiver<Happening<N>>) {
        self.drain();
        loop {
            let wait = match self.node.poll_timeout() {
                Some(deadline) => deadline.at.saturating_duration_since(Instant::now()),
                None => FOREVER,
            };
            match heard.recv_timeout(wait) {
                Ok(Happening::Input(input)) => {
                    if let Input::Closed { link, .. } = &input {
                        self.close(*link);
                    }
                    self.inputs.push_back(input);
                }
                Ok(Happening::Accepted(listener, stream)) => self.accepted(listener, stream),
                Ok(Happening::Connected(link, stream)) => self.connected(link, stream),
                Ok(Happening::Call(call)) => call(&mut self.node, Instant::now()),
                Err(RecvTimeoutError::Timeout) => self.inputs.push_back(Input::Timeout),
                Ok(Happening::End) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.drain();
        }
        for stream in self.streams.values() {
            // Its reader ends by it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Does what the node wants, until it wants nothing more.
    fn drain(&mut self) {
        loop {
            while let Some(output) = self.node.poll_output() {
                self.perform(output);
            }
            match self.inputs.pop_front() {
                Some(input) => self.node.handle(Instant::now(), input),
                None => return,
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Open { link, how } => self.open(link, how),
            Output::Transmit { to, payload, .. } => {
                if let Some(socket) = &self.sender {
                    // What is lost is sent again.
                    let _ = socket.send_to(&payload, to);
                }
            }
            Output::Write { link, payload } => {
                let written = self.streams.get_mut(&link).map(|s| s.write_all(&payload));
                if let Some(Err(_)) = written {
                    self.close(link);
                    let error = Some(LinkError::Reset);
                    self.inputs.push_back(Input::Closed { link, error });
                }
            }
            Output::Adopt { connection, link } => {
                if let Some(stream) = self.pending.remove(&connection) {
                    self.read(link, stream);
                }
            }
            Output::Refuse { connection } => {
                self.pending.remove(&connection);
            }
            Output::Close { link } => self.close(link),
            // Bytes wait in the channel until they are taken: no credit is needed.
            _ => {}
        }
    }

    fn open(&mut self, link: LinkId, how: Open) {
        match how {
            Open::Udp { .. } => {
                let socket = self
                    .sockets
                    .as_ref()
                    .and_then(|(udp, _)| udp.try_clone().ok());
                if let Some(socket) = socket {
                    self.sender = socket.try_clone().ok();
                    self.hear(socket, link);
                }
            }
            Open::Listen { .. } => {
                let listener = self
                    .sockets
                    .as_ref()
                    .and_then(|(_, tcp)| tcp.try_clone().ok());
                if let Some(listener) = listener {
                    self.accept(listener, link);
                }
            }
            Open::Connect { to, .. } => {
                let told = self.told.clone();
                thread::spawn(move || {
                    let happening = match TcpStream::connect_timeout(&to, CONNECT) {
                        Ok(stream) => Happening::Connected(link, stream),
                        Err(_) => Happening::Input(Input::Closed {
                            link,
                            error: Some(LinkError::Refused),
                        }),
                    };
                    // Nobody listens when it is over.
                    let _ = told.send(happening);
                });
            }
            // No server wants anything else.
            _ => {}
        }
    }

    /// Takes datagrams from here on.
    fn hear(&self, socket: UdpSocket, link: LinkId) {
        let (told, is_over) = (self.told.clone(), self.is_over.clone());
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !is_over.load(Ordering::Relaxed) {
                // An error is a packet of before that did not arrive.
                let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                let payload = BytesMut::from(&buffer[..length]);
                let to = None;
                let input = Input::Datagram {
                    link,
                    from,
                    to,
                    payload,
                };
                if told.send(Happening::Input(input)).is_err() {
                    return;
                }
            }
        });
    }

    /// Takes connections from here on.
    fn accept(&self, listener: TcpListener, link: LinkId) {
        let (told, is_over) = (self.told.clone(), self.is_over.clone());
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        if told.send(Happening::Accepted(link, stream)).is_err() {
                            return;
                        }
                    }
                    // More connections than file descriptors; some will end.
                    Err(_) => thread::sleep(PAUSE),
                }
            }
        });
    }

    fn accepted(&mut self, listener: LinkId, stream: TcpStream) {
        let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else {
            return;
        };
        if self.streams.len() + self.pending.len() >= MAX_STREAMS {
            return;
        }
        self.connections += 1;
        let connection = Connection(self.connections);
        self.pending.insert(connection, stream);
        self.inputs.push_back(Input::Accepted {
            listener,
            connection,
            local,
            peer,
        });
    }

    fn connected(&mut self, link: LinkId, stream: TcpStream) {
        let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else {
            let error = Some(LinkError::Reset);
            return self.inputs.push_back(Input::Closed { link, error });
        };
        self.read(link, stream);
        self.inputs.push_back(Input::Opened {
            link,
            local,
            peer: Some(peer),
        });
    }

    /// Reads from a connection until its end.
    fn read(&mut self, link: LinkId, stream: TcpStream) {
        // Without them it is slower, or a peer that does not read holds everybody up.
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(WRITE));
        let Ok(mut reader) = stream.try_clone() else {
            let error = Some(LinkError::Reset);
            return self.inputs.push_back(Input::Closed { link, error });
        };
        self.streams.insert(link, stream);
        let told = self.told.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 16_384];
            loop {
                let input = match reader.read(&mut buffer) {
                    Ok(0) => Input::Closed { link, error: None },
                    Ok(length) => Input::Bytes {
                        link,
                        payload: BytesMut::from(&buffer[..length]),
                    },
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(_) => Input::Closed {
                        link,
                        error: Some(LinkError::Reset),
                    },
                };
                let is_end = matches!(input, Input::Closed { .. });
                if told.send(Happening::Input(input)).is_err() || is_end {
                    return;
                }
            }
        });
    }

    fn close(&mut self, link: LinkId) {
        if let Some(stream) = self.streams.remove(&link) {
            // Its reader ends by it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Ports that are tried before none is free for both kinds.
const ATTEMPTS: u32 = 16;
/// What waits for the node; above it readers wait, and datagrams are the system's to lose.
const WAITING: usize = 256;
/// Connections at a time; more are closed at once.
const MAX_STREAMS: usize = 256;
/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a peer may keep us from writing.
const WRITE: Duration = Duration::from_secs(1);
/// Before the next attempt to accept.
const PAUSE: Duration = Duration::from_millis(20);
/// Until something happens.
const FOREVER: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Gate, Proxy, Registrar, Rules};
    use sip::auth::Policy;

    fn registrar() -> Shell<Proxy> {
        let ip = IpAddr::from([127, 0, 0, 1]);
        Shell::start(ip, move |address| {
            let mut gate = Gate::new(Policy::new("here"), [4; 32]);
            gate.add_user("bob", "zanzibar");
            let mut registrar = Registrar::new(Rules::default());
            registrar.set_gate(gate);
            let mut proxy = Proxy::new(address);
            proxy.add_name("example.com", ip);
            proxy.set_registrar(registrar);
            proxy
        })
        .unwrap()
    }

    fn register(from: SocketAddr, transport: &str) -> String {
        format!(
            "REGISTER sip:example.com SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {from};branch=z9hG4bKr1\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:bob@example.com>;tag=1\r\n\
             To: <sip:bob@example.com>\r\n\
             Call-ID: r@bob\r\n\
             CSeq: 1 REGISTER\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }

    /// The domain is served on a port that no URI of it names.
    #[test]
    fn it_challenges_over_udp_and_tcp() {
        let server = registrar();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(CONNECT)).unwrap();
        let request = register(socket.local_addr().unwrap(), "UDP");
        socket
            .send_to(request.as_bytes(), server.address())
            .unwrap();
        let mut buffer = [0; 2_048];
        let length = socket.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]);
        assert!(text.starts_with("SIP/2.0 401 "), "{text}");
        assert!(
            text.contains("WWW-Authenticate: Digest realm=\"here\""),
            "{text}"
        );

        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(CONNECT)).unwrap();
        let request = register(stream.local_addr().unwrap(), "TCP");
        stream.write_all(request.as_bytes()).unwrap();
        let length = stream.read(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]);
        assert!(text.starts_with("SIP/2.0 401 "), "{text}");

        let contacts = server.call(|proxy, now| {
            let registrar = proxy.registrar().unwrap();
            registrar.contacts(now, "bob").len()
        });
        assert_eq!(contacts, Some(0));
        // Its connections end with it.
        drop(server);
        assert!(matches!(stream.read(&mut buffer), Ok(0) | Err(_)));
    }
}
