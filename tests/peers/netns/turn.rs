//! Calls over coturn: every transport to it, and every way in which it fails (RFC 8656; BUG-01).

use super::{
    call::{Call, Exchange, Seen},
    roam::again,
    stun,
    world::{COTURN, OTHER, Site, World},
};
use crate::{
    Outcome,
    capture::{self, Capture},
    coturn::{Coturn, Kind, Setup},
    names::{NameServer, Program, ZONE},
    network::INTERFACE,
    translator,
};
use serde_json::Value;
use std::{ffi::OsString, fs, thread, time::Duration};

/// The rows.
pub(super) fn expected() -> Vec<(&'static str, String)> {
    let rows = |case: &Case| {
        let rows = case.rows.iter().map(|what| (PEER, case.row(what)));
        rows.collect::<Vec<_>>()
    };
    CASES.iter().flat_map(rows).collect()
}

/// What the cases need.
pub(super) struct Cases {
    sites: Vec<[Site; 2]>,
    _names: NameServer,
}

impl Cases {
    pub(super) fn new(exchange: &Exchange<'_>, world: &mut World) -> Outcome<Self> {
        let mut sites = Vec::new();
        for case in CASES {
            sites.push([world.add_site(case.rules)?, world.add_site(case.rules)?]);
        }
        let records = format!("turn A {COTURN}\nother A {COTURN}\n");
        let place = world.server(OTHER);
        let names = NameServer::start(exchange.lab, &place, Program::Nsd, "netns-names", &records)?;
        Ok(Self {
            sites,
            _names: names,
        })
    }

    /// Runs them, those that take long beside the others.
    pub(super) fn run(&self, exchange: &Exchange<'_>, world: &World) {
        thread::scope(|scope| {
            for is_long in [true, false] {
                let cases = CASES.iter().zip(&self.sites).zip(0..);
                let cases = cases.filter(move |((case, _), _)| case.is_long == is_long);
                let run = move |((case, hosts), number): ((&Case, &[Site; 2]), u16)| {
                    let stage = Stage {
                        exchange,
                        world,
                        case,
                        hosts: [&hosts[0], &hosts[1]],
                        name: format!("netns-turn-{number}"),
                        port: FIRST_PORT + 2 * number,
                    };
                    let row = case.row(case.rows[0]);
                    exchange.lab.run(PEER, &row, || (case.run)(&stage));
                };
                match is_long {
                    true => cases.for_each(|case| drop(scope.spawn(move || run(case)))),
                    false => cases.for_each(run),
                }
            }
        });
    }
}

struct Case {
    name: &'static str,
    rows: &'static [&'static str],
    /// What both hosts stand behind.
    rules: Option<&'static str>,
    is_long: bool,
    run: fn(&Stage<'_>) -> Outcome<()>,
}

impl Case {
    fn row(&self, what: &str) -> String {
        format!("{}: {what}", self.name)
    }
}

/// A case that runs.
struct Stage<'a> {
    exchange: &'a Exchange<'a>,
    world: &'a World,
    case: &'a Case,
    hosts: [&'a Site; 2],
    name: String,
    /// For a server of its own.
    port: u16,
}

impl Stage<'_> {
    fn add(&self, what: &str, is_good: bool, value: impl Into<String>) {
        let row = self.case.row(what);
        self.exchange.lab.table.add(PEER, &row, is_good, value);
    }

    fn begin(&self, options: [&[OsString]; 2], seconds: u32) -> Outcome<Call> {
        let name = &self.name;
        self.exchange.call(name, self.hosts, options, seconds)
    }

    fn speak(&self, options: [&[OsString]; 2]) -> Outcome<Seen> {
        let mut call = self.begin(options, SECONDS)?;
        let took = call.stands()?;
        call.finish(took)
    }

    /// Both ends have this pair, the caller's candidate first.
    fn judge_pair(&self, seen: &Seen, pair: (&str, &str)) {
        let (is_it, value) = seen.is_pair(pair);
        self.add(PAIR, is_it && seen.is_done(), value);
    }

    fn judge_speech(&self, seen: &Seen) {
        self.exchange.judge_later(PEER, self.case.row(SPEECH), seen);
    }

    /// Starts a server that only this case uses.
    fn server(&self, name: &str, port: u16, kind: Kind<'_>) -> Outcome<Coturn> {
        let setup = Setup {
            name: &format!("{}-{name}", self.name),
            place: &self.world.server(OTHER),
            addresses: &[OTHER],
            port,
            kind,
        };
        Coturn::start(self.exchange.lab, &setup)
    }

    /// Options that let certificates of the test be trusted, and names of it be found.
    fn secure(&self, is_trusted: bool) -> Vec<OsString> {
        let names = format!("{OTHER}:53");
        let mut words: Vec<OsString> = vec!["--dns".into(), names.into()];
        if is_trusted {
            words.extend(["--tls-ca".into(), self.exchange.authority.root().into()]);
        }
        words
    }
}

fn over_udp(stage: &Stage<'_>) -> Outcome<()> {
    hidden(stage, &format!("turn:{COTURN}?transport=udp"), "udp")
}

fn over_tcp(stage: &Stage<'_>) -> Outcome<()> {
    hidden(stage, &format!("turn:{COTURN}?transport=tcp"), "tcp")
}

fn over_tls(stage: &Stage<'_>) -> Outcome<()> {
    hidden(stage, &format!("turns:turn.{ZONE}"), "tls")
}

/// RFC 8828, 5.2: with relays alone each end sees the other one's relay, and nothing else.
fn hidden(stage: &Stage<'_>, server: &str, transport: &str) -> Outcome<()> {
    let options = stage.exchange.turn(&[server], &["--relay-only"]);
    let options = [options, stage.secure(true)].concat();
    let lab = stage.exchange.lab;
    let place = &stage.hosts[1].place;
    let capture = Capture::start(lab, place, INTERFACE, &stage.name, "udp or tcp")?;
    let seen = stage.speak([&options, &options])?;
    let packets = capture.finish()?;
    stage.judge_pair(&seen, ("relay", "relay"));
    let media = [&seen.caller, &seen.callee].map(|last| &last.data["media"]);
    let [ours, theirs] = media.map(relays);
    let is_over = |(used, relayed, _): &(String, String, String)| {
        used.eq_ignore_ascii_case(transport) && !relayed.is_empty()
    };
    let sources = media.map(|media| word(&media["remote_received"]));
    let is_relay = ours.iter().chain(&theirs).all(is_over)
        && ours.first().is_some_and(|relay| relay.1 == sources[1])
        && theirs.first().is_some_and(|relay| relay.1 == sources[0]);
    // Not even a check has come from where the caller is.
    let direct = packets
        .iter()
        .filter(|packet| packet.source.ip() == stage.hosts[0].place.address())
        .count();
    let value = format!(
        "{} and {}, over {}; {direct} of {} packets from the caller itself",
        sources[0],
        sources[1],
        ours.first().map_or("nothing", |relay| &relay.0),
        packets.len()
    );
    let is_good = is_relay && direct == 0 && packets.len() > 100;
    stage.add(SOURCE, is_good, value);
    // Over TLS nobody sees it.
    if stage.case.rows.contains(&WIRESHARK) {
        let path = lab.directory.join(format!("{}.pcap", stage.name));
        let (is_good, value) = capture::stun(&path, place.address())?;
        stage.add(WIRESHARK, is_good, value);
    }
    stage.judge_speech(&seen);
    Ok(())
}

/// One of them hides: the other one sends to the relay from where it is.
fn one_hides(stage: &Stage<'_>) -> Outcome<()> {
    let server = format!("turn:{COTURN}");
    let ours = stage.exchange.turn(&[&server], &["--relay-only"]);
    let theirs = ["--ice".into()];
    let seen = stage.speak([&ours, &theirs])?;
    stage.judge_pair(&seen, ("relay", "host"));
    let (ours, theirs) = (&seen.caller.data["media"], &seen.callee.data["media"]);
    let source = word(&theirs["remote_received"]);
    let relay = relays(ours).into_iter().next().unwrap_or_default().1;
    let value = format!("it hears {source}, the relay is {relay}");
    stage.add(SOURCE, source == relay && !relay.is_empty(), value);
    stage.judge_speech(&seen);
    Ok(())
}

/// RFC 8445, 5.1.1.2: without a relay.
fn by_stun(stage: &Stage<'_>) -> Outcome<()> {
    let server = COTURN.to_string();
    let options = ["--ice", "--stun", &server].map(OsString::from);
    let seen = stage.speak([&options, &options])?;
    stage.judge_pair(&seen, ("srflx", "srflx"));
    stage.judge_speech(&seen);
    Ok(())
}

/// BUG-01: what a server refuses costs no call that needs no relay.
fn wrong_password(stage: &Stage<'_>) -> Outcome<()> {
    let file = stage.exchange.lab.directory.join(&stage.name);
    fs::write(&file, "guessed").map_err(|error| error.to_string())?;
    let server = format!("turn:{COTURN}");
    let words = [
        "--ice",
        "--turn",
        &server,
        "--turn-user",
        crate::coturn::USER,
    ];
    let words = words.map(OsString::from);
    let file: [OsString; 2] = ["--turn-password-file".into(), file.into()];
    let options = [&words[..], &file].concat();
    let seen = stage.speak([&options, &options])?;
    stage.judge_pair(&seen, ("srflx", "srflx"));
    stage.judge_refusal(&seen, "not authenticated");
    Ok(())
}

fn wrong_name(stage: &Stage<'_>) -> Outcome<()> {
    distrusted(stage, "other", true, "does not prove the name")
}

fn wrong_authority(stage: &Stage<'_>) -> Outcome<()> {
    distrusted(stage, "turn", false, "unknown issuer")
}

fn distrusted(stage: &Stage<'_>, name: &str, is_trusted: bool, why: &str) -> Outcome<()> {
    let server = format!("turns:{name}.{ZONE}");
    let options = stage.exchange.turn(&[&server], &[]);
    let options = [options, stage.secure(is_trusted)].concat();
    let seen = stage.speak([&options, &options])?;
    stage.judge_pair(&seen, ("host", "host"));
    stage.judge_refusal(&seen, why);
    Ok(())
}

impl Stage<'_> {
    /// Neither has an address at a relay, and both say why.
    fn judge_refusal(&self, seen: &Seen, why: &str) {
        let all: Vec<_> = [&seen.caller, &seen.callee]
            .iter()
            .flat_map(|last| relays(&last.data["media"]))
            .collect();
        let is_refused = |(_, relayed, error): &(String, String, String)| {
            relayed.is_empty() && error.contains(why)
        };
        let value = all.first().map_or("no relay", |relay| &relay.2);
        let is_good = all.len() == 4 && all.iter().all(is_refused);
        self.add(REFUSAL, is_good, value);
    }
}

/// RFC 8489, 9.2.5: while the phone rings the nonces of both ends grow old; the first permission that is
/// asked for is refused, and asked for again.
fn stale_nonce(stage: &Stage<'_>) -> Outcome<()> {
    let kind = Kind::Turn {
        nonces: Some(Duration::from_secs(1)),
        certificate: None,
    };
    let _server = stage.server("coturn", stage.port, kind)?;
    let server = format!("turn:{OTHER}:{}?transport=udp", stage.port);
    let ours = stage.exchange.turn(&[&server], &["--relay-only"]);
    let theirs = stage
        .exchange
        .turn(&[&server], &["--relay-only", "--ring", "4"]);
    let filter = format!("udp port {}", stage.port);
    let mut captures = Vec::new();
    for (host, end) in stage.hosts.iter().zip(["caller", "callee"]) {
        let name = format!("{}-{end}", stage.name);
        let lab = stage.exchange.lab;
        captures.push(Capture::start(lab, &host.place, INTERFACE, &name, &filter)?);
    }
    let seen = stage.speak([&ours, &theirs])?;
    stage.judge_pair(&seen, ("relay", "relay"));
    let mut counts = Vec::new();
    for capture in captures {
        let packets = capture.finish()?;
        let stale = |payload: &[u8]| stun::error(payload) == Some(438);
        let at = packets.iter().position(|packet| stale(&packet.payload));
        let later = packets.get(at.unwrap_or(packets.len())..);
        let later = later.unwrap_or_default().iter();
        let permitted = later.filter(|packet| stun::kind(&packet.payload) == Some(PERMITTED));
        counts.push((usize::from(at.is_some()), permitted.count()));
    }
    let is_good = counts
        .iter()
        .all(|(stale, permitted)| *stale > 0 && *permitted > 0);
    stage.add(
        RENEWED,
        is_good,
        format!("438 and then permissions at the caller and the callee: {counts:?}"),
    );
    stage.judge_speech(&seen);
    Ok(())
}

impl Stage<'_> {
    /// Each end has heard at least so many seconds of speech; two thirds of it are no pauses.
    fn judge_audible(&self, seen: &Seen, least: f64) {
        let heard = [&seen.caller, &seen.callee].map(|last| {
            let heard = &last.data["media"]["received_audible_s"];
            heard.as_f64().unwrap_or_default()
        });
        let is_good = heard.iter().all(|heard| *heard >= least);
        let value = format!("{} s and {} s", heard[0], heard[1]);
        self.add(AUDIBLE, is_good, value);
    }
}

/// A direct pair does without the server.
fn killed_direct(stage: &Stage<'_>) -> Outcome<()> {
    let server = stage.server("coturn", stage.port, Kind::turn())?;
    let uri = format!("turn:{OTHER}:{}", stage.port);
    let options = stage.exchange.turn(&[&uri], &["--loop"]);
    let mut call = stage.begin([&options, &options], 10)?;
    let took = call.stands()?;
    thread::sleep(Duration::from_secs(2));
    drop(server);
    let seen = call.finish(took)?;
    stage.judge_pair(&seen, ("host", "host"));
    stage.judge_audible(&seen, 5.0);
    Ok(())
}

/// A relayed pair is replaced by one over the other server: when consent ends, since nothing else tells of
/// the end of a server for datagrams (RFC 7675, 5.1).
fn killed_of_two(stage: &Stage<'_>) -> Outcome<()> {
    let seen = kill_of_two(stage, "udp", 50)?;
    stage.judge_pair(&seen, ("prflx", "relay"));
    stage.judge_audible(&seen, 10.0);
    Ok(())
}

/// The end of a connection is noticed at once.
fn killed_of_two_over_tcp(stage: &Stage<'_>) -> Outcome<()> {
    let seen = kill_of_two(stage, "tcp", 14)?;
    stage.judge_pair(&seen, ("relay", "relay"));
    let (is_heard, value) = again(&seen);
    stage.add(AGAIN, is_heard, value);
    Ok(())
}

/// Kills the server that carries a call in its middle; the call may use another one.
fn kill_of_two(stage: &Stage<'_>, transport: &str, seconds: u32) -> Outcome<Seen> {
    let ports = [stage.port, stage.port + 500];
    let start = |name, port| stage.server(name, port, Kind::turn());
    let mut servers = vec![start("first", ports[0])?, start("second", ports[1])?];
    let uris = ports.map(|port| format!("turn:{OTHER}:{port}?transport={transport}"));
    let options = stage.exchange.turn(&[&uris[0], &uris[1]], &["--loop"]);
    let mut call = stage.begin([&options, &options], seconds)?;
    let took = call.stands()?;
    thread::sleep(Duration::from_secs(3));
    // The first one of the settings is the better one (RFC 8445, 5.1.2.1).
    drop(servers.remove(0));
    call.finish(took)
}

/// Where there is no other one the call ends, and says why.
fn killed_alone(stage: &Stage<'_>) -> Outcome<()> {
    let server = stage.server("coturn", stage.port, Kind::turn())?;
    let uri = format!("turn:{OTHER}:{}?transport=udp", stage.port);
    let options = stage.exchange.turn(&[&uri], &["--loop"]);
    let mut call = stage.begin([&options, &options], 150)?;
    let took = call.stands()?;
    thread::sleep(Duration::from_secs(2));
    drop(server);
    let seen = call.finish(took)?;
    let value = format!(
        "exit {} {}; {} {}",
        seen.caller.exit, seen.caller.reason, seen.callee.exit, seen.callee.reason
    );
    // Who has called gives up, and says so by exit; the other one is told by BYE.
    let is_told = seen.caller.exit == 8 && seen.caller.reason.starts_with("ICE failed");
    stage.add(ENDS, is_told, value);
    Ok(())
}

/// Of each address that was asked for: over what, the address, and why there is none.
fn relays(media: &Value) -> Vec<(String, String, String)> {
    let all = media["ice"]["relays"].as_array();
    let all = all.into_iter().flatten();
    all.map(|relay| {
        let [transport, relayed, error] =
            ["transport", "relayed", "error"].map(|field| word(&relay[field]));
        (transport, relayed, error)
    })
    .collect()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A CreatePermission success response.
const PERMITTED: u16 = 0x0108;
const SECONDS: u32 = 7;
const FIRST_PORT: u16 = 4_000;
const PEER: &str = "coturn";
const PAIR: &str = "the pair";
const SOURCE: &str = "what is heard comes from the relay";
const WIRESHARK: &str = "Wireshark on our STUN and TURN";
const SPEECH: &str = "speech both ways";
const REFUSAL: &str = "no relay, and why";
const RENEWED: &str = "asked again with the new one";
const AUDIBLE: &str = "speech goes on";
const AGAIN: &str = "speech again within 5 s both ways";
const ENDS: &str = "ends, and says why";

const CASES: &[Case] = &[
    Case {
        name: "TURN over UDP, relays alone",
        rows: &[PAIR, SOURCE, WIRESHARK, SPEECH],
        rules: None,
        is_long: false,
        run: over_udp,
    },
    Case {
        name: "TURN over TCP, relays alone",
        rows: &[PAIR, SOURCE, WIRESHARK, SPEECH],
        rules: None,
        is_long: false,
        run: over_tcp,
    },
    Case {
        name: "TURN over TLS, relays alone",
        rows: &[PAIR, SOURCE, SPEECH],
        rules: None,
        is_long: false,
        run: over_tls,
    },
    Case {
        name: "TURN, the caller alone hides",
        rows: &[PAIR, SOURCE, SPEECH],
        rules: None,
        is_long: false,
        run: one_hides,
    },
    Case {
        name: "STUN alone, port restricted",
        rows: &[PAIR, SPEECH],
        rules: Some(translator::PORT_RESTRICTED),
        is_long: false,
        run: by_stun,
    },
    Case {
        name: "TURN, wrong password",
        rows: &[PAIR, REFUSAL],
        rules: Some(translator::PORT_RESTRICTED),
        is_long: false,
        run: wrong_password,
    },
    Case {
        name: "TURN over TLS, certificate of another name",
        rows: &[PAIR, REFUSAL],
        rules: None,
        is_long: false,
        run: wrong_name,
    },
    Case {
        name: "TURN over TLS, certificate of a stranger",
        rows: &[PAIR, REFUSAL],
        rules: None,
        is_long: false,
        run: wrong_authority,
    },
    Case {
        name: "TURN, nonces of 1 s",
        rows: &[PAIR, RENEWED, SPEECH],
        rules: Some(translator::SYMMETRIC),
        is_long: false,
        run: stale_nonce,
    },
    Case {
        name: "the TURN server is killed, direct pair",
        rows: &[PAIR, AUDIBLE],
        rules: None,
        is_long: true,
        run: killed_direct,
    },
    Case {
        name: "the TURN server is killed, there is another",
        rows: &[PAIR, AUDIBLE],
        rules: Some(translator::SYMMETRIC),
        is_long: true,
        run: killed_of_two,
    },
    Case {
        name: "the TURN server is killed, TCP, there is another",
        rows: &[PAIR, AGAIN],
        rules: Some(translator::UDP_BLOCKED),
        is_long: true,
        run: killed_of_two_over_tcp,
    },
    Case {
        name: "the TURN server is killed, there is no other",
        rows: &[ENDS],
        rules: Some(translator::SYMMETRIC),
        is_long: true,
        run: killed_alone,
    },
];
