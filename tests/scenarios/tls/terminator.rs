//! A server behind real TLS: what it hears and says is plaintext.

use base::{Deadline, LinkError};
use bytes::{Bytes, BytesMut};
use rustls::{ServerConfig, ServerConnection};
use simulator::Node;
use sipsimple::agent::{Input, LinkId, Output};
use std::{
    collections::{BTreeMap, VecDeque},
    io::{Read as _, Write as _},
    sync::Arc,
    time::Instant,
};

/// Speaks TLS, as a server, for a node that knows nothing of it.
pub(super) struct Terminator<N> {
    pub(super) node: N,
    config: Arc<ServerConfig>,
    connections: BTreeMap<LinkId, ServerConnection>,
    /// Bytes of plaintext that came so far.
    pub(super) heard: usize,
    out: VecDeque<Output>,
}

impl<N: Node> Terminator<N> {
    pub(super) fn new(node: N, config: Arc<ServerConfig>) -> Self {
        let mut terminator = Self {
            node,
            config,
            connections: BTreeMap::new(),
            heard: 0,
            out: VecDeque::new(),
        };
        terminator.drain();
        terminator
    }

    fn tell(&mut self, now: Instant, input: Input) {
        self.node.handle(now, input);
        self.drain();
    }

    /// Does what the node wants, and hides it.
    pub(super) fn drain(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Adopt { connection, link } => {
                    let secured = ServerConnection::new(self.config.clone()).unwrap();
                    self.connections.insert(link, secured);
                    self.out.push_back(Output::Adopt { connection, link });
                }
                Output::Write { link, payload } => self.write(link, &payload),
                // Credit is for what came, which is more than what it said.
                Output::Receive { link, .. } if self.connections.contains_key(&link) => {}
                Output::Close { link } => {
                    self.connections.remove(&link);
                    self.out.push_back(Output::Close { link });
                }
                output => self.out.push_back(output),
            }
        }
    }

    fn write(&mut self, link: LinkId, plaintext: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&link) {
            connection.writer().write_all(plaintext).unwrap();
            self.flush(link);
        }
    }

    fn flush(&mut self, link: LinkId) {
        let Some(connection) = self.connections.get_mut(&link) else {
            return;
        };
        let mut ciphertext = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut ciphertext).unwrap();
        }
        if !ciphertext.is_empty() {
            let payload = Bytes::from(ciphertext);
            self.out.push_back(Output::Write { link, payload });
        }
    }

    fn read(&mut self, now: Instant, link: LinkId, mut ciphertext: &[u8]) {
        let more = u32::try_from(ciphertext.len()).unwrap();
        self.out.push_back(Output::Receive { link, more });
        while !ciphertext.is_empty() {
            let Some(connection) = self.connections.get_mut(&link) else {
                return;
            };
            connection.read_tls(&mut ciphertext).unwrap();
            let processed = connection.process_new_packets();
            let mut plaintext = Vec::new();
            // What is not there yet would block.
            let _ = connection.reader().read_to_end(&mut plaintext);
            self.flush(link);
            if !plaintext.is_empty() {
                self.heard += plaintext.len();
                let payload = BytesMut::from(&plaintext[..]);
                self.tell(now, Input::Bytes { link, payload });
            }
            if processed.is_err() {
                self.connections.remove(&link);
                self.out.push_back(Output::Close { link });
                let error = Some(LinkError::Reset);
                return self.tell(now, Input::Closed { link, error });
            }
        }
    }
}

impl<N: Node> Node for Terminator<N> {
    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Bytes { link, payload } => self.read(now, link, &payload),
            // Levels are those of ciphertext; the node does not ask for any.
            Input::Sent { .. } => {}
            input => {
                if let Input::Closed { link, .. } = &input {
                    self.connections.remove(link);
                }
                self.tell(now, input);
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.node.poll_timeout()
    }
}
