//! The command line.

mod ice;
mod sessions;

pub(crate) use ice::IceOptions;
pub(crate) use sessions::{Answer, Call};

use clap::{Args, Parser, Subcommand, ValueEnum};
use sipsimple::base::{Host, HostPort};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// A SIP SIMPLE user agent for the command line.
#[derive(Debug, Parser)]
#[command(name = "sipsimple", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Two agents call each other over loopback, and every step is verified.
    Demo(Demo),
    /// Call somebody.
    ///
    /// Example: sipsimple call sip:bob@192.0.2.1 --play hello.wav --record heard.wav --hangup-after 10
    Call(Call),
    /// Wait for calls.
    ///
    /// Example: sipsimple answer --auto --bind 127.0.0.1 --udp-port 5060
    Answer(Answer),
    /// Tell the registrar where we are.
    ///
    /// Example: SIPSIMPLE_PASSWORD=secret sipsimple register --account alice@example.com --stay
    Register(Register),
    /// Send a message outside of sessions.
    ///
    /// Example: sipsimple message sip:bob@example.com "see you at ten"
    Message(SendMessage),
    /// Print the messages that come.
    ReceiveMessages(ReceiveMessages),
    /// Publish presence, or a file for any event package.
    ///
    /// Example: sipsimple publish presence --status open --note "at my desk" --account alice@example.com
    Publish(Publish),
    /// Print what is told about somebody's state.
    ///
    /// Example: sipsimple subscribe sip:bob@example.com --event presence --account alice@example.com
    Subscribe(Subscribe),
    /// Ask a peer what it can do, like ping.
    ///
    /// Example: sipsimple options sip:192.0.2.1 -c 5
    Options(Ping),
    /// Say where a URI leads: every query and answer, and the targets in the order of trying.
    ///
    /// Besides SIP it knows stun:, turn:, turns:, msrprelay: and xcap: with a domain.
    ///
    /// Example: sipsimple dns sip:bob@example.com
    Dns(Dns),
    /// Show the certificate of a SIP server, and why it is trusted or not.
    ///
    /// Example: sipsimple tls sip.example.com:5061
    Tls(Server),
    /// Say how address translators and filters between us and a STUN server behave (RFC 5780), and of
    /// which class of RFC 3489 they are.
    ///
    /// The server needs two addresses; one of one address can only tell whether we are translated. It
    /// takes ten seconds wherever something is filtered.
    ///
    /// Example: sipsimple nat --stun stun.example.com
    Nat(Nat),
    /// Measure how fast the stack is on this machine.
    ///
    /// Example: sipsimple bench calls --json
    Bench(Bench),
    /// Run a flight recording again and say whether the outputs are the same.
    ///
    /// Example: sipsimple replay run.rec
    Replay(Replay),
}

/// For every verb.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Print one JSON object a line on stdout, nothing else there.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What drives the agent.
    #[arg(long, global = true, value_enum, default_value_t = RuntimeKind::Smol)]
    pub(crate) runtime: RuntimeKind,
    /// Local address; the machine's own addresses without it.
    #[arg(long, global = true, value_name = "ADDR")]
    pub(crate) bind: Option<IpAddr>,
    /// Local UDP port; 0 is any free one.
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub(crate) udp_port: u16,
    /// Local TCP port; 0 is any free one.
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub(crate) tcp_port: u16,
    /// Switch UDP off.
    #[arg(long, global = true)]
    pub(crate) no_udp: bool,
    /// Switch TCP off.
    #[arg(long, global = true)]
    pub(crate) no_tcp: bool,
    #[command(flatten)]
    pub(crate) tls: Tls,
    /// Ask this name server instead of the system's, on port 53 unless another is given.
    #[arg(long, global = true, value_name = "IP[:PORT]", value_parser = name_server)]
    pub(crate) dns: Option<SocketAddr>,
    /// Ask the name servers of a domain itself first, past routers that break NAPTR and SRV.
    #[arg(long, global = true)]
    pub(crate) dns_authoritative: bool,
    /// Who we are; anonymous without it.
    #[arg(long, global = true, value_name = "USER@DOMAIN")]
    pub(crate) account: Option<String>,
    /// The name to show beside it.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) display_name: Option<String>,
    /// The URN of this device, the same every time (urn:uuid:...): registrations ask for GRUUs by it.
    #[arg(long, global = true, value_name = "URN")]
    pub(crate) instance: Option<String>,
    /// The name that answers challenges; the user of the account without it.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) auth_user: Option<String>,
    /// The realm whose challenges are answered; without it that of the own proxy, and of nobody else.
    #[arg(long, global = true, value_name = "REALM", default_value = "*")]
    pub(crate) auth_realm: String,
    /// The password is the first line of this file; SIPSIMPLE_PASSWORD without it.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Send everything over this proxy.
    #[arg(long, global = true, value_name = "URI")]
    pub(crate) proxy: Option<String>,
    /// Print the messages on the wire to stderr, secrets masked.
    #[arg(long, global = true)]
    pub(crate) trace: bool,
    /// Write the messages on the wire, decrypted, to this pcapng file. It holds digests of passwords and
    /// keys of media: keep it secret.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
    /// Record seed, inputs and commands. The file holds passwords and keys: keep it secret.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) record_run: Option<PathBuf>,
    /// Give up after so many seconds.
    #[arg(long, global = true, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// Ask for session timers of so many seconds (RFC 4028); 0 switches them off.
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) session_expires: Option<u32>,
    /// Accept session timers of so many seconds and more.
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) min_se: Option<u32>,
    /// Reliable provisional responses (RFC 3262).
    #[arg(long = "100rel", global = true, value_enum, value_name = "HOW")]
    pub(crate) reliable: Option<Reliability>,
    /// Protocol timers in milliseconds, for tests: T1=MS,T2=MS,T4=MS.
    #[arg(long, global = true, value_name = "T1=MS,...", value_parser = timers)]
    pub(crate) timers: Option<Timers>,
    /// Say less.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print the log of the stack to stderr: what changes; given twice, every packet, too.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Colours: where a terminal reads and NO_COLOR is not set, always, or never.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
}

/// How links are secured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Tls {
    /// Local TLS port; 0 is any free one. We listen on it only with a certificate.
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub(crate) tls_port: u16,
    /// Switch TLS off.
    #[arg(long, global = true)]
    pub(crate) no_tls: bool,
    /// Trust the authorities in this PEM file, and no others; those of the system without it.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Our certificate and its chain, PEM: shown to whoever connects, and to servers that ask.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key, PEM; in the file of the certificate without it.
    #[arg(long, global = true, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// The name that servers must prove, instead of the domain that is asked for.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) tls_name: Option<Host>,
    /// Accept `*.example.com` in certificates for any one label, which SIP forbids (RFC 5922, 7.2).
    #[arg(long, global = true)]
    pub(crate) tls_wildcard: bool,
    /// Accept any certificate of anybody.
    #[arg(long, global = true)]
    pub(crate) insecure_tls: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum RuntimeKind {
    Smol,
    Std,
}

/// When output is coloured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// What we want of reliable provisional responses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Reliability {
    /// We do not speak of them.
    Off,
    /// We can; who calls us and can, too, gets them.
    Supported,
    /// Nobody without them.
    Required,
}

/// How digits are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum DtmfMode {
    /// As telephone events among the sound.
    Rfc4733,
    /// In INFO, as application/dtmf-relay.
    Info,
}

/// Whether media are encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Srtp {
    /// Never; who insists on it is refused.
    Off,
    /// If the peer can: keys in the description, in the clear unless signalling is secured.
    Optional,
    /// Always, or there is no call: keys in the description; DTLS for a peer that offers nothing else.
    Mandatory,
    /// If the peer can, and best by DTLS: both ways are offered (RFC 8643).
    Opportunistic,
    /// Always, by DTLS, or there is no call: nobody who reads the signalling learns a key.
    Dtls,
}

/// Timers of RFC 3261, table 4.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Timers {
    pub(crate) t1: Option<Duration>,
    pub(crate) t2: Option<Duration>,
    pub(crate) t4: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where to put the WAV files; a temporary directory without it.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Lose these packets at the socket: the demo must notice.
    #[arg(long = "break", value_enum, hide = true, value_name = "WHAT")]
    pub(crate) broken: Option<Break>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Break {
    Media,
    Dtmf,
    Hold,
}

/// How media is made and kept.
#[derive(Clone, Debug, Args)]
pub(crate) struct MediaOptions {
    /// Send this WAV file, once; a tone without it.
    #[arg(long, value_name = "FILE.wav")]
    pub(crate) play: Option<PathBuf>,
    /// Send the file again and again.
    #[arg(long = "loop")]
    pub(crate) repeat: bool,
    /// Write what is heard to this WAV file; of several calls, the later ones get a number.
    #[arg(long, value_name = "FILE.wav")]
    pub(crate) record: Option<PathBuf>,
    /// Send what is heard back.
    #[arg(long)]
    pub(crate) echo: bool,
    /// Digits to send once the call stands.
    #[arg(long, value_name = "DIGITS")]
    pub(crate) dtmf: Option<String>,
    /// How to send them; both ways are heard.
    #[arg(long, value_enum, default_value_t = DtmfMode::Rfc4733, value_name = "HOW")]
    pub(crate) dtmf_mode: DtmfMode,
    /// Whether media are encrypted (SRTP), and how keys are agreed on (SDES, DTLS).
    #[arg(long, value_enum, default_value_t = Srtp::Optional, value_name = "HOW")]
    pub(crate) srtp: Srtp,
    #[command(flatten)]
    pub(crate) way: IceOptions,
    /// Codecs in the order of preference.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) codecs: Vec<String>,
    /// Hang up so many seconds after the start.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) hangup_after: Option<Duration>,
    /// Hold so many seconds after the start.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) hold_after: Option<Duration>,
    /// Resume so many seconds after the start.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) unhold_after: Option<Duration>,
    /// Ask the peer for an offer so many seconds after the start.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) request_after: Option<Duration>,
    /// Fail unless sound was heard for so many seconds.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) expect_audio: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Register {
    /// Ask for so many seconds.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) expires: Option<Duration>,
    /// End when we are registered; it is the default.
    #[arg(long)]
    pub(crate) once: bool,
    /// Keep the registration alive until interrupted, or for --timeout, and remove it then.
    #[arg(long, conflicts_with = "once")]
    pub(crate) stay: bool,
    /// Remove the registration again.
    #[arg(long)]
    pub(crate) unregister: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SendMessage {
    /// To whom.
    pub(crate) uri: String,
    /// The text; - reads it from stdin.
    pub(crate) text: String,
    /// Its media type; text/plain without it.
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReceiveMessages {
    /// End after so many messages.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Register first.
    #[arg(long)]
    pub(crate) register: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The word presence, or a file.
    pub(crate) what: String,
    /// Of presence: whether we can be reached.
    #[arg(long, value_enum, default_value_t = Status::Open)]
    pub(crate) status: Status,
    /// Of presence: a few words.
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Of a file: its event package.
    #[arg(long, value_name = "E", requires = "content_type")]
    pub(crate) event: Option<String>,
    /// Of a file: its media type.
    #[arg(long, value_name = "T", requires = "event")]
    pub(crate) content_type: Option<String>,
    /// Ask for so many seconds.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) expires: Option<Duration>,
    /// Keep it published until interrupted, or for --timeout, and take it back then.
    #[arg(long)]
    pub(crate) stay: bool,
}

/// The basic status of presence (RFC 3863).
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Status {
    Open,
    Closed,
}

#[derive(Debug, Args)]
pub(crate) struct Subscribe {
    /// To whose state.
    pub(crate) uri: String,
    /// The event package: presence, dialog, message-summary, conference, reg, presence.winfo ...
    #[arg(long, value_name = "E", default_value = "presence")]
    pub(crate) event: String,
    /// A media type of documents that is understood, best first; the usual one of the package without it.
    #[arg(long, value_name = "TYPE")]
    pub(crate) accept: Vec<String>,
    /// Lists of resources are understood (RFC 4662).
    #[arg(long)]
    pub(crate) event_list: bool,
    /// Ask for so many seconds, and again before they are over.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) expires: Option<Duration>,
    /// Ask once, and end with the answer; without it the subscription stands until interrupted, or for
    /// --timeout.
    #[arg(long, conflicts_with = "expires")]
    pub(crate) once: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// Whom to ask.
    pub(crate) uri: String,
    /// How often, a second apart.
    #[arg(short, default_value_t = 1, value_name = "N")]
    pub(crate) count: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Dns {
    /// What to look for.
    pub(crate) uri: String,
}

#[derive(Debug, Args)]
pub(crate) struct Server {
    /// Where it is; without a port as RFC 3263 finds it.
    #[arg(value_name = "HOST[:PORT]")]
    pub(crate) host: String,
}

#[derive(Debug, Args)]
pub(crate) struct Nat {
    /// Which server to ask; without a port it is looked for by SRV.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) stun: HostPort,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What to measure.
    #[arg(value_enum)]
    pub(crate) what: What,
    /// For how long.
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "3")]
    pub(crate) seconds: Duration,
    /// Of memory: how many stand.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum What {
    /// MESSAGE and responses over UDP, at a server that keeps a transaction for each.
    Transactions,
    /// INVITE, ACK and BYE over UDP.
    Calls,
    /// Bytes of a standing call and of a registration.
    Memory,
    /// Reading a message.
    Parse,
    /// Writing a message.
    Print,
    /// Sealing and opening a packet of speech, by suite.
    Srtp,
    /// Two agents of ICE that find each other, with one candidate each and with four.
    Ice,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The recording.
    pub(crate) file: PathBuf,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// An address with a port, or one whose port is that of DNS (RFC 1035, 4.2).
fn name_server(text: &str) -> Result<SocketAddr, String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let with_port = |ip: IpAddr| SocketAddr::new(ip, 53);
    text.parse()
        .or_else(|_| bare.parse().map(with_port))
        .map_err(|_| "neither an address nor an address with a port".to_owned())
}

fn timers(text: &str) -> Result<Timers, String> {
    let mut timers = Timers::default();
    for part in text.split(',') {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| format!("{part:?} is not NAME=MS"))?;
        let ms: u64 = value
            .parse()
            .map_err(|_| format!("{value:?} is not a number of milliseconds"))?;
        let timer = match name {
            "T1" => &mut timers.t1,
            "T2" => &mut timers.t2,
            "T4" => &mut timers.t4,
            _ => return Err(format!("{name:?} is none of T1, T2, T4")),
        };
        // A timer of nothing would spin.
        *timer = Some(Duration::from_millis(ms.max(1)));
    }
    Ok(timers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn name_servers_have_a_port_of_their_own() {
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
        ] {
            assert_eq!(name_server(text).unwrap().to_string(), address);
        }
        assert!(name_server("ns.example.com").is_err());
    }

    #[test]
    fn timers_are_read_or_refused_by_name() {
        let read = timers("T1=100,T4=7").unwrap();
        assert_eq!(
            (read.t1, read.t2, read.t4),
            (
                Some(Duration::from_millis(100)),
                None,
                Some(Duration::from_millis(7))
            )
        );
        assert!(timers("T3=1").unwrap_err().contains("T3"));
        assert!(timers("T1=x").unwrap_err().contains('x'));
    }
}
