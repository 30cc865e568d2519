//! Kamailio: a registrar, proxy and presence server that somebody else wrote, found through a real name
//! server, in four configurations side by side, the last one over IPv6.
//!
//! Everything runs on an island, a network namespace without a way out, so that all ports and the
//! addresses 127.x.y.z are free; `::1` has company. All agents are ours.

mod calling;
mod errands;
mod registering;
pub(crate) mod server;
mod watching;
mod web;

use crate::{
    Lab, Outcome,
    agent::Agent,
    authority::Authority,
    capture::{self, Capture},
    check,
    message::Seen,
    names::{self, NameServer, Program},
    network::{self, Island, Place},
    pcap::{self, Packet},
    web::Unit,
};
use server::{Challenge, PASSWORD, Server};
use std::{
    cell::{Cell, RefCell},
    ffi::OsString,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    thread,
    time::Duration,
};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    Challenge::ALL.into_iter().flat_map(of_site).collect()
}

/// The rows of one server.
fn of_site(challenge: Challenge) -> Vec<(&'static str, String)> {
    let cases = [
        registering::expected(challenge),
        calling::expected(challenge),
        errands::expected(challenge),
        watching::expected(challenge),
        web::expected(challenge),
        vec![FORM.to_owned(), WIRESHARK.to_owned()],
    ];
    cases
        .concat()
        .into_iter()
        .map(|case| (PEER, row(challenge, &case)))
        .collect()
}

/// Runs the servers side by side, and the cases of each one after the other.
pub(crate) fn run(lab: &Lab) {
    if let Err(error) = work(lab) {
        lab.say(&format!("{PEER}: {error}"));
    }
}

fn work(lab: &Lab) -> Outcome<()> {
    let island = Island::new("kamailio")?;
    let mut known = Challenge::ALL.to_vec();
    if let Err(reason) = add_version_6(&island) {
        known.retain(|known| *known != Challenge::Version6);
        lab.skip(of_site(Challenge::Version6), "ipv6", &reason);
    }
    let authority = Authority::new(&lab.directory)?;
    let records = Challenge::ALL.map(|known| names::server(known.label(), known.address()));
    let _names = NameServer::start(
        lab,
        &island.at(Program::Nsd.address()),
        Program::Nsd,
        "kamailio-names",
        &records.concat(),
    )?;
    let password = lab.directory.join("password");
    fs::write(&password, PASSWORD).map_err(|error| error.to_string())?;
    let servers = known.into_iter().map(|known| {
        let (place, name) = (island.at(known.address()), known.label());
        Server::start(lab, place, &authority, known, &format!("kamailio-{name}"))
    });
    // All of them run before the first client comes.
    let servers: Vec<_> = servers.collect();
    thread::scope(|scope| {
        for server in servers {
            let (island, root, password) = (&island, authority.root(), password.clone());
            scope.spawn(move || match server {
                Ok(server) => Site::new(lab, island, server, root, password).run_all(),
                Err(error) => lab.say(&format!("{PEER}: {error}")),
            });
        }
    });
    Ok(())
}

/// Gives the addresses of IPv6 that the server and its clients have; `::1` is there if IPv6 is.
fn add_version_6(island: &Island) -> Outcome<()> {
    let clients = (1..=CLIENTS).map(client_of_version_6);
    island.add(clients.chain([Challenge::Version6.address()]))
}

/// A server, and how to be its client.
struct Site<'a> {
    lab: &'a Lab,
    island: &'a Island,
    server: RefCell<Server<'a>>,
    challenge: Challenge,
    root: PathBuf,
    password: PathBuf,
    /// How many clients there were; each has an address of its own.
    clients: Cell<u8>,
    /// All messages that could be read, client by client.
    messages: RefCell<Vec<Vec<Seen>>>,
}

/// How a client reaches its server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Udp,
    Tcp,
    Tls,
    /// WebSockets, plain and over TLS (RFC 7118).
    Ws,
    Wss,
}

/// Who a client is.
struct Client {
    place: Place,
    /// Of SIP.
    port: u16,
    name: String,
    user: String,
    /// Where its server is for it. `::1` has no name: it is the proxy.
    server: IpAddr,
    /// No other client has its address, so that connections from any port are its own.
    is_alone: bool,
}

impl<'a> Site<'a> {
    fn new(
        lab: &'a Lab,
        island: &'a Island,
        server: Server<'a>,
        root: PathBuf,
        password: PathBuf,
    ) -> Self {
        Self {
            lab,
            island,
            challenge: server.challenge,
            server: RefCell::new(server),
            root,
            password,
            clients: Cell::new(0),
            messages: RefCell::default(),
        }
    }

    fn run_all(&self) {
        registering::run(self);
        calling::run(self);
        errands::run(self);
        watching::run(self);
        web::run(self);
        self.run(FORM, || self.judge_messages());
    }

    /// Runs a case that adds its rows itself.
    fn run(&self, case: &str, body: impl FnOnce() -> Outcome<()>) {
        self.lab.run(PEER, &row(self.challenge, case), body);
    }

    fn add(&self, case: &str, is_good: bool, value: impl Into<String>) {
        let case = row(self.challenge, case);
        self.lab.table.add(PEER, &case, is_good, value);
    }

    /// Somebody who has not been here before.
    fn client(&self, user: &str) -> Client {
        let number = self.clients.get() + 1;
        self.clients.set(number);
        let address = match self.challenge {
            Challenge::Version6 => client_of_version_6(number),
            known => IpAddr::V4(Ipv4Addr::new(127, 0, 10 + known as u8, number)),
        };
        Client {
            place: self.island.at(address),
            port: PORT,
            server: self.challenge.address(),
            is_alone: true,
            name: format!("{}-{number}-{user}", self.challenge.label()),
            user: user.to_owned(),
        }
    }

    /// The same at `::1`, where the server is, too.
    fn client_at_loopback(&self, user: &str) -> Client {
        let mut client = self.client(user);
        client.server = IpAddr::V6(Ipv6Addr::LOCALHOST);
        client.place = self.island.at(client.server);
        client
    }

    /// Two of them, told apart by their ports.
    fn pair_at_loopback(&self, users: [&str; 2]) -> [Client; 2] {
        let mut clients = users.map(|user| self.client_at_loopback(user));
        for (client, port) in clients.iter_mut().zip([PORT, PORT + 2]) {
            client.port = port;
            client.is_alone = false;
        }
        clients
    }

    /// Starts a verb of a client whose account is of this server's domain.
    fn start(&self, client: &Client, way: Way, words: &[&str]) -> Outcome<Agent> {
        self.start_with(client, way, words, &self.password)
    }

    fn start_with(
        &self,
        client: &Client,
        way: Way,
        words: &[&str],
        password: &PathBuf,
    ) -> Outcome<Agent> {
        let mut options: Vec<OsString> = words.iter().map(OsString::from).collect();
        let mut add = |option: &str, value: OsString| options.extend([option.into(), value]);
        // Who registers learns the realm; whoever else proves who we are must know it.
        if !["register", "answer", "receive-messages"].contains(&words[0]) {
            add("--auth-realm", self.challenge.domain().into());
        }
        let account = format!("{}@{}", client.user, self.challenge.domain());
        add("--account", account.into());
        add("--password-file", password.into());
        add("--dns", names::ADDRESS.to_string().into());
        add("--tls-ca", self.root.clone().into());
        add("--bind", client.place.address().to_string().into());
        if let Some(proxy) = client.proxy(way, &self.challenge.domain()) {
            add("--proxy", proxy.into());
        }
        options.extend(way.options().iter().map(OsString::from));
        Agent::start_unheard(self.lab, &client.place, &client.name, client.port, options)
    }

    /// Watches what some clients send and receive.
    fn watch(&self, clients: &[&Client]) -> Outcome<Capture> {
        let hosts = clients
            .iter()
            .map(|client| format!("host {}", client.place.address()));
        let filter = hosts.collect::<Vec<_>>().join(" or ");
        let (place, name) = (&clients[0].place, &clients[0].name);
        Capture::start(self.lab, place, "lo", name, &filter)
    }

    /// What one of the clients said and heard without TLS.
    fn messages(&self, packets: &[Packet], client: &Client) -> Outcome<Vec<Seen>> {
        let mut seen = pcap::messages(&own(packets, client), client.port, Way::Udp.port())?;
        let units = self.web_units(packets, client)?.into_iter();
        seen.extend(units.filter_map(|(at, is_ours, unit)| match unit {
            Unit::Message(message) => Some(Seen {
                at,
                is_ours,
                message,
            }),
            _ => None,
        }));
        self.messages.borrow_mut().push(seen.clone());
        Ok(seen)
    }

    /// What passed between one of the clients and the server by plain WebSockets.
    fn web_units(&self, packets: &[Packet], client: &Client) -> Outcome<Vec<(f64, bool, Unit)>> {
        pcap::web_units(&own(packets, client), Way::Ws.port())
    }

    fn judge_messages(&self) -> Outcome<()> {
        let messages = self.messages.borrow();
        // Both ends of a call through the server have the same Call-ID.
        let faults: Vec<String> = messages
            .iter()
            .flat_map(|seen| check::faults(seen))
            .collect();
        let messages = messages.concat();
        let ours = messages.iter().filter(|seen| seen.is_ours).count();
        let value = format!("{ours} messages of ours, {}", capture::some(&faults));
        self.add(FORM, faults.is_empty() && ours > 0, value);
        let name = format!("kamailio-{}", self.challenge.label());
        let (is_good, value) = capture::dissect(self.lab, &name, &messages)?.of(&messages);
        self.add(WIRESHARK, is_good, value);
        Ok(())
    }
}

impl Client {
    /// Whether an end of a packet is the client's.
    fn is_at(&self, end: SocketAddr) -> bool {
        end.ip() == self.place.address() && (self.is_alone || end.port() == self.port)
    }

    /// What is not found by the domain is told.
    fn proxy(&self, way: Way, domain: &str) -> Option<String> {
        match self.server.is_loopback() && self.server.is_ipv6() {
            true => Some(format!(
                "sip:{}:{};transport={}",
                network::host(self.server),
                way.port(),
                way.name().to_lowercase()
            )),
            false => way.proxy(domain),
        }
    }
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// Nobody can read what passes.
    const fn is_secret(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// The server's port.
    const fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// What leaves this way as the first choice of the server's NAPTR records.
    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Udp => &["--no-tcp", "--no-tls"],
            Self::Tcp => &["--no-tls"],
            Self::Tls | Self::Ws | Self::Wss => &[],
        }
    }

    /// WebSockets are used where they are asked for.
    fn proxy(self, domain: &str) -> Option<String> {
        matches!(self, Self::Ws | Self::Wss)
            .then(|| format!("sip:{domain};transport={}", self.name().to_lowercase()))
    }
}

/// The packets of one of the clients.
fn own(packets: &[Packet], client: &Client) -> Vec<Packet> {
    let own = |packet: &&Packet| client.is_at(packet.source) || client.is_at(packet.destination);
    packets.iter().filter(own).cloned().collect()
}

fn row(challenge: Challenge, case: &str) -> String {
    format!("{}: {case}", challenge.name())
}

/// Of the network for documentation (RFC 3849): as a client is told apart from others by its address.
fn client_of_version_6(number: u8) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()))
}

/// How many clients there may be over IPv6.
const CLIENTS: u8 = 40;
/// Of every client, at its address.
const PORT: u16 = 5070;
/// For what a server does at once, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(10);
const PEER: &str = "Kamailio";
const FORM: &str = "tags, Contact, CSeq, branches, Content-Length";
const WIRESHARK: &str = "Wireshark";
