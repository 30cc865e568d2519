//! Filters: what stands between the bytes of a secured link and everybody who reads them.
//!
//! The runtime moves ciphertext, the table of links and all behind it see plaintext. The recorder stands
//! on the inside, so a recording holds what the filter said: that a link is secured and by which
//! certificates, plaintext both ways with its levels and credits, and the end. The replay of a
//! recording has no filters at all, and takes exactly that.

use crate::{
    edge::{INITIAL_CREDIT, Input, Output},
    id::LinkId,
    tls::{Connection, Context, Heard, TlsConfig},
};
use base::{Host, LinkError};
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

/// Which side of a secured link we are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Secure {
    /// We connect, and name whom we want.
    Client {
        /// The name in the hello.
        name: Host,
        /// Where the link leads.
        peer: SocketAddr,
    },
    /// A peer connects to us.
    Server,
}

/// The filters of all secured links: a machine between the edge and the agent.
///
/// Feed it the edge's inputs of the links that [`is_filtered`](Self::is_filtered) says, and the agent's
/// outputs for them; it says what is inside and what goes out. It has no deadlines: the table of links
/// bounds handshakes like everything else.
#[derive(Debug)]
pub(crate) struct Filters {
    context: Option<Context>,
    table: BTreeMap<LinkId, Connection>,
    out: VecDeque<Filtered>,
}

/// What a filter says.
#[derive(Debug)]
pub(crate) enum Filtered {
    /// For the agent.
    Inside(Input),
    /// For the runtime.
    Outside(Output),
}

impl Filters {
    /// Without cryptography in the configuration, as in a replay, nothing is filtered.
    pub(crate) fn new(config: Option<&TlsConfig>) -> Self {
        Self {
            context: config.and_then(Context::new),
            table: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    /// Tells the wall clock.
    pub(crate) fn set_time(&self, unix: Duration) {
        if let Some(context) = &self.context {
            context.set_time(unix);
        }
    }

    /// Puts a filter on a link that is about to be opened or adopted.
    pub(crate) fn secure(&mut self, link: LinkId, side: &Secure) {
        let Some(context) = &self.context else {
            return;
        };
        let connection = match side {
            Secure::Client { name, peer } => Some(Connection::client(context, name, *peer)),
            Secure::Server => Connection::server(context),
        };
        if let Some(connection) = connection {
            self.table.insert(link, connection);
        }
    }

    /// True for an input that is to be filtered.
    pub(crate) fn is_filtered(&self, input: &Input) -> bool {
        !self.table.is_empty() && link_of(input).is_some_and(|link| self.table.contains_key(&link))
    }

    /// Takes what the runtime says about a secured link.
    pub(crate) fn handle_input(&mut self, input: Input) {
        let Some(id) = link_of(&input) else { return };
        let Some(connection) = self.table.get_mut(&id) else {
            return;
        };
        match input {
            // The hello of a client.
            Input::Opened { .. } => self.inside(input),
            Input::Bytes { payload, .. } => {
                let heard = connection.receive(&payload);
                // What the handshake has to say goes out before anything that the agent answers.
                self.flush(id);
                return heard.into_iter().for_each(|heard| self.heard(id, heard));
            }
            Input::Sent { total, .. } => {
                if let Some(total) = connection.sent(total) {
                    self.inside(Input::Sent { link: id, total });
                }
            }
            Input::Closed { .. } => {
                self.table.remove(&id);
                return self.inside(input);
            }
            // What a filter says itself, and what no connection can hear.
            _ => {}
        }
        self.flush(id);
    }

    pub(crate) fn poll_output(&mut self) -> Option<Filtered> {
        self.out.pop_front()
    }

    /// Takes what the agent says, and passes on what the runtime shall do.
    pub(crate) fn handle_output(&mut self, output: Output, out: &mut VecDeque<Output>) {
        let id = match &output {
            Output::Write { link, .. }
            | Output::Receive { link, .. }
            | Output::Finish { link }
            | Output::Close { link } => *link,
            _ => return out.push_back(output),
        };
        let Some(connection) = self.table.get_mut(&id) else {
            return out.push_back(output);
        };
        let passed = match output {
            Output::Write { payload, .. } => {
                connection.write(&payload);
                None
            }
            Output::Receive { more, .. } => {
                connection.consumed(more);
                connection
                    .take_credit()
                    .map(|more| Output::Receive { link: id, more })
            }
            Output::Finish { .. } => {
                connection.close();
                Some(output)
            }
            output => Some(output),
        };
        let ciphertext = connection.take_ciphertext();
        let written = ciphertext.map(|payload| Output::Write { link: id, payload });
        if let Some(Output::Close { .. }) = &passed {
            self.table.remove(&id);
            return out.extend(passed);
        }
        out.extend(written.into_iter().chain(passed));
    }

    fn heard(&mut self, link: LinkId, heard: Heard) {
        match heard {
            Heard::Secured(result) => self.inside(Input::Secured { link, result }),
            Heard::Plaintext(payload) => self.inside(Input::Bytes { link, payload }),
            Heard::Over(error) => {
                self.table.remove(&link);
                self.outside(Output::Close { link });
                let error = error.map(LinkError::Tls);
                self.inside(Input::Closed { link, error });
            }
        }
    }

    /// Says what the connection wants to send, and how much more it takes.
    fn flush(&mut self, link: LinkId) {
        let Some(connection) = self.table.get_mut(&link) else {
            return;
        };
        let ciphertext = connection.take_ciphertext();
        // What is over is read no more.
        let credit = match connection.is_over() {
            true => None,
            false => connection.take_credit(),
        };
        if let Some(payload) = ciphertext {
            self.outside(Output::Write { link, payload });
        }
        if let Some(more) = credit {
            self.outside(Output::Receive { link, more });
        }
    }

    fn inside(&mut self, input: Input) {
        self.out.push_back(Filtered::Inside(input));
    }

    fn outside(&mut self, output: Output) {
        self.out.push_back(Filtered::Outside(output));
    }
}

/// The connection that an input is about.
const fn link_of(input: &Input) -> Option<LinkId> {
    match input {
        Input::Opened { link, .. }
        | Input::Bytes { link, .. }
        | Input::Sent { link, .. }
        | Input::Secured { link, .. }
        | Input::Closed { link, .. } => Some(*link),
        _ => None,
    }
}

// A record must fit into what a new link may send, or none would ever be whole.
const _: () = assert!(INITIAL_CREDIT > 2 * 16 * 1024);
