//! Filters: what stands between the bytes of a link and everybody who reads them, TLS and WebSockets.
//!
//! The runtime moves ciphertext and frames, the table of links and all behind it see plaintext and
//! messages. The recorder stands on the inside, so a recording holds what the filter said: that a link is
//! secured and by which certificates, or upgraded, plaintext both ways with its levels and credits, and
//! the end. The replay of a recording has no filters at all, and takes exactly that.

use crate::{
    edge::{INITIAL_CREDIT, Input, Output},
    id::LinkId,
    tls::{Connection, Context, Heard, TlsConfig},
    websocket::{self as web, WebSocket},
};
use base::{Host, HostPort, LinkError, Rng};
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

/// The filters of all secured links and WebSockets: a machine between the edge and the agent.
///
/// Feed it the edge's inputs of the links that [`is_filtered`](Self::is_filtered) says, and the agent's
/// outputs for them; it says what is inside and what goes out. It has no deadlines: the table of links
/// bounds handshakes like everything else.
#[derive(Debug)]
pub(crate) struct Filters {
    context: Option<Context>,
    is_replay: bool,
    /// Draws what WebSockets must draw.
    rng: Rng,
    table: BTreeMap<LinkId, Filter>,
    out: VecDeque<Filtered>,
}

/// What stands on one link: TLS outside, a WebSocket inside, one of them or both.
#[derive(Debug, Default)]
struct Filter {
    tls: Option<Box<Connection>>,
    web: Option<Box<WebSocket>>,
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
    /// Without cryptography in the configuration nothing is secured.
    pub(crate) fn new(config: Option<&TlsConfig>, rng: Rng) -> Self {
        Self {
            context: config.and_then(Context::new),
            is_replay: false,
            rng,
            table: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    /// In a replay nothing is filtered: its inputs are what filters have said.
    pub(crate) fn of_replay(rng: Rng) -> Self {
        Self {
            is_replay: true,
            ..Self::new(None, rng)
        }
    }

    /// Secures by another configuration what is opened from here on; nothing without one.
    pub(crate) fn configure(&mut self, config: Option<&TlsConfig>) {
        if !self.is_replay {
            self.context = config.and_then(Context::new);
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
            self.table.entry(link).or_default().tls = Some(Box::new(connection));
        }
    }

    /// Asks for a WebSocket on a link that is connected, inside of what secures it.
    pub(crate) fn upgrade(
        &mut self,
        link: LinkId,
        host: &HostPort,
        path: &str,
        out: &mut VecDeque<Output>,
    ) {
        if self.is_replay {
            return;
        }
        let filter = self.table.entry(link).or_default();
        filter.web = Some(Box::new(WebSocket::new(host, path, self.rng.fork())));
        out.extend(filter.written(link));
    }

    /// True for an input that is to be filtered.
    pub(crate) fn is_filtered(&self, input: &Input) -> bool {
        !self.table.is_empty() && link_of(input).is_some_and(|link| self.table.contains_key(&link))
    }

    /// Takes what the runtime says about a filtered link.
    pub(crate) fn handle_input(&mut self, input: Input) {
        let Some(id) = link_of(&input) else { return };
        let Some(filter) = self.table.get_mut(&id) else {
            return;
        };
        match input {
            // The hello of a client.
            Input::Opened { .. } => self.inside(input),
            Input::Bytes { payload, .. } => return self.bytes(id, &payload),
            Input::Sent { total, .. } => {
                if let Some(total) = filter.sent(total) {
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

    fn bytes(&mut self, id: LinkId, payload: &[u8]) {
        let Some(filter) = self.table.get_mut(&id) else {
            return;
        };
        match &mut filter.tls {
            Some(tls) => {
                let heard = tls.receive(payload);
                // What the handshake has to say goes out before anything that the agent answers.
                self.flush(id);
                heard.into_iter().for_each(|heard| self.heard(id, heard));
            }
            None => {
                self.web_bytes(id, payload);
                // A WebSocket keeps no more than one message.
                if self.table.contains_key(&id) {
                    let more = u32::try_from(payload.len()).unwrap_or(u32::MAX);
                    self.outside(Output::Receive { link: id, more });
                }
            }
        }
    }

    fn web_bytes(&mut self, id: LinkId, payload: &[u8]) {
        let filter = self.table.get_mut(&id);
        let Some(web) = filter.and_then(|filter| filter.web.as_mut()) else {
            return;
        };
        let heard = web.receive(payload);
        // Pongs, and the answer to a close.
        self.flush(id);
        for heard in heard {
            match heard {
                web::Heard::Opened => self.inside(Input::Upgraded { link: id }),
                web::Heard::Message(message) => self.inside(Input::Bytes {
                    link: id,
                    payload: message.into(),
                }),
                web::Heard::Over(code) => {
                    self.over(id, code.map(|code| LinkError::WebSocket(code.0)));
                }
            }
        }
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
        let Some(filter) = self.table.get_mut(&id) else {
            return out.push_back(output);
        };
        let passed = match output {
            Output::Write { payload, .. } => {
                filter.write(&payload);
                None
            }
            // What a WebSocket has read is no matter of messages.
            Output::Receive { .. } if filter.web.is_some() => None,
            Output::Receive { more, .. } => {
                if let Some(tls) = &mut filter.tls {
                    tls.consumed(more);
                }
                filter
                    .credit()
                    .map(|more| Output::Receive { link: id, more })
            }
            Output::Finish { .. } => {
                out.extend(filter.close(id));
                Some(output)
            }
            output => Some(output),
        };
        if let Some(Output::Close { .. }) = &passed {
            self.table.remove(&id);
            return out.extend(passed);
        }
        out.extend(filter.written(id).into_iter().chain(passed));
    }

    fn heard(&mut self, link: LinkId, heard: Heard) {
        match heard {
            Heard::Secured(result) => self.inside(Input::Secured { link, result }),
            Heard::Plaintext(payload) => {
                let filter = self.table.get_mut(&link);
                let Some(filter) = filter.filter(|filter| filter.web.is_some()) else {
                    return self.inside(Input::Bytes { link, payload });
                };
                if let Some(tls) = &mut filter.tls {
                    tls.consumed(u32::try_from(payload.len()).unwrap_or(u32::MAX));
                }
                self.web_bytes(link, &payload);
                self.flush(link);
            }
            Heard::Over(error) => self.over(link, error.map(LinkError::Tls)),
        }
    }

    /// Nothing more is heard.
    fn over(&mut self, link: LinkId, error: Option<LinkError>) {
        if self.table.remove(&link).is_some() {
            self.outside(Output::Close { link });
            self.inside(Input::Closed { link, error });
        }
    }

    /// Says what the filter wants to send, and how much more it takes.
    fn flush(&mut self, link: LinkId) {
        let Some(filter) = self.table.get_mut(&link) else {
            return;
        };
        let written = filter.written(link);
        let credit = filter.credit();
        if let Some(written) = written {
            self.outside(written);
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

impl Filter {
    /// Takes what the agent writes: a message for a WebSocket, plaintext otherwise.
    fn write(&mut self, payload: &[u8]) {
        match (&mut self.web, &mut self.tls) {
            (Some(web), _) => web.write(payload),
            (None, Some(tls)) => tls.write(payload),
            (None, None) => {}
        }
    }

    /// What is to be sent, from the inside to the outside.
    fn written(&mut self, link: LinkId) -> Option<Output> {
        let frames = self.web.as_mut().and_then(|web| web.take_bytes());
        let payload = match &mut self.tls {
            Some(tls) => {
                if let Some(frames) = frames {
                    tls.write(&frames);
                }
                tls.take_ciphertext()
            }
            None => frames,
        };
        payload.map(|payload| Output::Write { link, payload })
    }

    /// Says the end, each layer in its own words.
    fn close(&mut self, link: LinkId) -> Option<Output> {
        if let Some(web) = &mut self.web {
            web.close();
        }
        let written = self.written(link);
        if let Some(tls) = &mut self.tls {
            tls.close();
        }
        written
    }

    /// Takes a level of what the system has taken; returns the level of the agent if it rose.
    fn sent(&mut self, total: u64) -> Option<u64> {
        let total = match &mut self.tls {
            Some(tls) => tls.sent(total)?,
            None => total,
        };
        match &mut self.web {
            Some(web) => web.sent(total),
            None => Some(total),
        }
    }

    /// How much more may come.
    fn credit(&mut self) -> Option<u32> {
        // What is over is read no more.
        let tls = self.tls.as_mut().filter(|tls| !tls.is_over())?;
        tls.take_credit()
    }
}

/// The connection that an input is about.
const fn link_of(input: &Input) -> Option<LinkId> {
    match input {
        Input::Opened { link, .. }
        | Input::Bytes { link, .. }
        | Input::Sent { link, .. }
        | Input::Secured { link, .. }
        | Input::Upgraded { link }
        | Input::Closed { link, .. } => Some(*link),
        _ => None,
    }
}

// A record must fit into what a new link may send, or none would ever be whole.
const _: () = assert!(INITIAL_CREDIT > 2 * 16 * 1024);

#[cfg(test)]
mod tests;
