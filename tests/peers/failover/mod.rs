//! Where calls and registrations go when the server that DNS names first is dead, in every way of being
//! dead (RFC 3263, 4.3; SES-06, BUG-26).
//!
//! A real name server names two targets; the first one is dead. What is judged is the wire: when the
//! request came to the second one, that it is the same request, and what becomes of a late answer.

mod registrars;
mod script;
mod truncated;

use crate::{
    Lab, Outcome,
    agent::Agent,
    authority::Authority,
    capture::Capture,
    message::Message,
    names::{self, NameServer, Program, ZONE},
    network::{Island, Place},
    pcap::Packet,
    sipp::{Setup, Sipp, Transport},
};
use registrars::{Registrar, Registrars};
use script::{Step, scenario};
use std::{fs, net::Ipv4Addr, path::PathBuf, thread, time::Duration};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    let cases = CASES.iter().map(|case| (PEER, case.name()));
    cases.chain(truncated::expected()).collect()
}

/// Runs the cases in a few lanes.
pub(crate) fn run(lab: &Lab) {
    if let Err(error) = work(lab) {
        lab.say(&format!("{PEER}: {error}"));
    }
}

fn work(lab: &Lab) -> Outcome<()> {
    let island = Island::new("failover")?;
    let records: String = CASES
        .iter()
        .zip(1..)
        .map(|(case, number)| case.records(number))
        .chain([truncated::records()])
        .collect();
    let start = |program: Program, name| {
        let place = island.at(program.address());
        NameServer::start(lab, &place, program, name, &records)
    };
    let _names = start(Program::Nsd, "failover-nsd")?;
    let _others = start(Program::Bind, "failover-bind")?;
    let holes: Vec<Ipv4Addr> = CASES
        .iter()
        .zip(1..)
        .filter(|(case, _)| matches!(case.death, Death::Hole))
        .map(|(_, number)| dead(number))
        .collect();
    island.swallow(&holes)?;
    let authority = Authority::new(&lab.directory.join("failover"))?;
    let registrars: Vec<Registrar> = CASES
        .iter()
        .zip(1..)
        .flat_map(|(case, number)| case.registrars(number))
        .chain(truncated::registrars())
        .collect();
    let place = island.at(Ipv4Addr::LOCALHOST);
    let field = Field {
        lab,
        island: &island,
        authority: &authority,
        registrars: &Registrars::start(lab, &place, &authority, &registrars)?,
    };
    thread::scope(|scope| {
        for lane in 0..LANES {
            let field = &field;
            scope.spawn(move || {
                for (case, number) in CASES.iter().zip(1..).skip(lane).step_by(LANES) {
                    lab.run(PEER, &case.name(), || field.play(case, number));
                }
            });
        }
    });
    truncated::run(lab, &island, field.registrars);
    Ok(())
}

/// What the cases share.
struct Field<'a> {
    lab: &'a Lab,
    island: &'a Island,
    authority: &'a Authority,
    registrars: &'a Registrars,
}

/// A domain whose first target is dead.
#[derive(Clone, Copy, Debug)]
struct Case {
    what: What,
    over: Over,
    death: Death,
    /// Seconds from the first packet to the dead target until the second hears of it; or, of a target that is
    /// not passed by, until the caller gives up.
    after: (f64, f64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Call,
    Register,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Over {
    Udp,
    Tcp,
    Tls,
}

/// How a target is dead.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// Nobody listens: RST or ICMP.
    Refused,
    /// What is sent to it vanishes.
    Hole,
    /// Its name has no address.
    NoAddress,
    /// It proves another name than the domain's.
    WrongName,
    /// It answers so.
    Answers(&'static str, &'static [Step]),
    /// It answers so, and that is enough not to pass it by (RFC 3263, 4.3): the caller gives up.
    Keeps(&'static str, &'static [Step]),
}

impl Case {
    fn name(&self) -> String {
        let what = match self.what {
            What::Call => "call",
            What::Register => "register",
        };
        format!("{what}, {}, {}", self.over.name(), self.death.name())
    }

    /// A label of the zone.
    fn label(number: u8) -> String {
        format!("c{number}")
    }

    fn records(&self, number: u8) -> String {
        let (name, service) = (Self::label(number), self.over.service());
        let port = self.over.port();
        let flag = match self.over {
            Over::Udp => "SIP+D2U",
            Over::Tcp => "SIP+D2T",
            Over::Tls => "SIPS+D2T",
        };
        let address = match self.death {
            Death::NoAddress => format!("dead.{name} TXT \"no address\"\n"),
            _ => format!("dead.{name} A {}\n", dead(number)),
        };
        format!(
            "{name} NAPTR 10 50 \"s\" \"{flag}\" \"\" {service}.{name}\n\
             {service}.{name} SRV 1 0 {port} dead.{name}\n\
             {service}.{name} SRV 2 0 {port} alive.{name}\n\
             {address}alive.{name} A {}\n",
            alive(number)
        )
    }

    fn domain(number: u8) -> String {
        format!("{}.{ZONE}", Self::label(number))
    }

    fn account(number: u8) -> String {
        format!("alice@{}", Self::domain(number))
    }

    /// Both servers are SIPp or we: they are started for the case. Registrars of streams run already, for
    /// who finds nobody at a port does not come again; so does who answers over TLS, which SIPp does not speak.
    fn is_played(&self) -> bool {
        (self.what, self.over) == (What::Register, Over::Udp) || self.what == What::Call
    }

    /// A dead server that answers is SIPp.
    fn is_scripted(&self) -> bool {
        self.is_played() && self.over != Over::Tls
    }

    /// The registrars that run already.
    fn registrars(&self, number: u8) -> Vec<Registrar> {
        let is_played = self.is_played();
        let registrar = |address, host: &str, instead| Registrar {
            over: self.over,
            address,
            host: host.to_owned(),
            instead,
        };
        let domain = Self::domain(number);
        let dead = match self.death {
            Death::Answers(_, steps) if !self.is_scripted() => {
                Some(registrar(dead(number), &domain, Some(steps)))
            }
            Death::WrongName if !is_played => Some(registrar(dead(number), "other", None)),
            _ => None,
        };
        let alive = (!is_played).then(|| registrar(alive(number), &domain, None));
        dead.into_iter().chain(alive).collect()
    }
}

impl Over {
    const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }

    const fn service(self) -> &'static str {
        match self {
            Self::Udp => "_sip._udp",
            Self::Tcp => "_sip._tcp",
            Self::Tls => "_sips._tcp",
        }
    }
}

impl Death {
    const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Hole => "black hole",
            Self::NoAddress => "name without address",
            Self::WrongName => "wrong name in the certificate",
            Self::Answers(name, _) | Self::Keeps(name, _) => name,
        }
    }
}

impl Field<'_> {
    fn play(&self, case: &Case, number: u8) -> Outcome<()> {
        let name = format!("failover-{number}");
        let (caller, dead, alive) = (self.at(caller(number)), dead(number), alive(number));
        let filter = format!("host {}", caller.address());
        let capture = Capture::start(self.lab, &caller, "lo", &name, &filter)?;
        let domain = Case::domain(number);
        let is_played = case.is_played();
        let transport = match case.over {
            Over::Udp => Transport::Udp,
            Over::Tcp | Over::Tls => Transport::Tcp,
        };
        let label = |what: &str| format!("{name}-{what}");
        let play = |place: &Place, what: &str, steps: &[Step]| {
            let path = self.lab.directory.join(format!("{}.xml", label(what)));
            fs::write(&path, scenario(steps)).map_err(|error| error.to_string())?;
            let setup = Setup {
                name: &label(what),
                port: 5060,
                transport,
                calls: 1,
                persists: false,
            };
            Sipp::play(self.lab, place, &path, None, true, setup)
        };
        let mut late = None;
        let mut impostor = None;
        match case.death {
            Death::Answers(_, steps) | Death::Keeps(_, steps) if case.is_scripted() => {
                late = Some(play(&self.at(dead), "dead", steps)?);
            }
            Death::WrongName if is_played => {
                impostor = Some(self.answer(&self.at(dead), &label("dead"), case.over, "other")?);
            }
            _ => {}
        }
        let mut registrar = None;
        let mut callee = None;
        match case.what {
            // Nobody is to come.
            What::Call if matches!(case.death, Death::Keeps(..)) => {}
            What::Call => {
                let place = self.at(alive);
                callee = Some(self.answer(&place, &label("alive"), case.over, &domain)?);
            }
            What::Register if is_played => {
                registrar = Some(play(&self.at(alive), "alive", REGISTRAR)?);
            }
            What::Register => {}
        }
        let target = format!("sip:bob@{domain}");
        let account = Case::account(number);
        let verb: &[&str] = match case.what {
            What::Call if matches!(case.death, Death::Keeps(..)) => {
                &["call", &target, "--timeout", "5"]
            }
            What::Call => &["call", &target, "--hangup-after", "1"],
            What::Register => &["register", "--timers", "T1=50"],
        };
        let root = self.authority.root().display().to_string();
        let server = names::ADDRESS.to_string();
        let bind = caller.address().to_string();
        let common = ["--account", &account, "--dns", &server, "--tls-ca", &root];
        let words = [verb, &common, &["--bind", &bind]].concat();
        let mut agent = Agent::start_unheard(self.lab, &caller, &name, 5070, words)?;
        let last = agent.finish(PATIENCE)?;
        let mut others = String::new();
        let mut is_good = match case.death {
            Death::Keeps(..) => last.exit == GIVEN_UP,
            _ => last.exit == 0,
        };
        if let Some(mut callee) = callee {
            let last = callee.finish(PATIENCE)?;
            is_good &= last.exit == 0;
        }
        if let Some(mut registrar) = registrar {
            is_good &= registrar.finish(PATIENCE)?.total("SuccessfulCall")? == 1;
        }
        if !is_played {
            is_good &= self.registrars.knows(&account)?;
        }
        if let Some(mut late) = late {
            let done = late.finish(PATIENCE)?.total("SuccessfulCall")? == 1;
            is_good &= done;
            others = format!(
                ", the script of the dead one {}",
                if done { "ran" } else { "FAILED" }
            );
        }
        drop(impostor);
        let packets = capture.finish()?;
        let (is_there, when) = match case.death {
            Death::Keeps(..) => stayed(case, &packets, dead, alive),
            _ => moved(case, &packets, dead, alive),
        };
        self.lab.table.add(
            PEER,
            &case.name(),
            is_good && is_there,
            format!("exit {} {}, {when}{others}", last.exit, last.reason),
        );
        Ok(())
    }

    /// Starts somebody who takes one call, with a certificate for this name.
    fn answer(&self, place: &Place, name: &str, over: Over, host: &str) -> Outcome<Agent> {
        let mut words: Vec<PathBuf> = ["answer", "--auto", "--count", "1"]
            .map(PathBuf::from)
            .into();
        if over == Over::Tls {
            let certificate = self.authority.issue(host)?;
            words.extend(["--tls-port", "5061", "--tls-cert"].map(PathBuf::from));
            words.push(certificate.certificate);
            words.extend(["--tls-key".into(), certificate.key]);
        }
        Agent::start(self.lab, place, name, 5060, words)
    }

    fn at(&self, address: Ipv4Addr) -> Place {
        self.island.at(address)
    }
}

/// Whether the request went to the first target alone and was taken back there in its time, and what was seen.
fn stayed(case: &Case, packets: &[Packet], dead: Ipv4Addr, alive: Ipv4Addr) -> (bool, String) {
    let to = |address: Ipv4Addr| {
        packets
            .iter()
            .filter(move |packet| packet.destination.ip() == address)
    };
    let others = to(alive).count();
    let at = |method: &str| {
        let is_it = |packet: &&Packet| {
            let message = Message::of_datagram(&packet.payload);
            message.is_some_and(|message| message.is_request(method))
        };
        to(dead).find(is_it).map(|packet| packet.at)
    };
    let (Some(invite), Some(cancel)) = (at("INVITE"), at("CANCEL")) else {
        return (false, "no INVITE, or no CANCEL".to_owned());
    };
    let after = cancel - invite;
    let is_good = others == 0 && (case.after.0..=case.after.1).contains(&after);
    let text = format!("{others} packets to the second, CANCEL at the first after {after:.2} s");
    (is_good, text)
}

/// Whether the same request came to the second target in its time, and how long it took.
fn moved(case: &Case, packets: &[Packet], dead: Ipv4Addr, alive: Ipv4Addr) -> (bool, String) {
    let to = |address: Ipv4Addr| {
        packets
            .iter()
            .filter(move |packet| packet.destination.ip() == address)
    };
    let first = to(dead).next().map(|packet| packet.at);
    let second = to(alive).next().map(|packet| packet.at);
    if matches!(case.death, Death::NoAddress) {
        let is_good = first.is_none() && second.is_some();
        return (is_good, "straight to the second".to_owned());
    }
    let (Some(first), Some(second)) = (first, second) else {
        return (false, "one of the targets heard nothing".to_owned());
    };
    let after = second - first;
    let mut is_good = (case.after.0..=case.after.1).contains(&after);
    let mut text = format!("at the second after {after:.2} s");
    let request = |address| to(address).find_map(|packet| Message::of_datagram(&packet.payload));
    if let (Some(one), Some(other)) = (request(dead), request(alive)) {
        let is_same = one.call_id() == other.call_id()
            && one.tag("from") == other.tag("from")
            && one.cseq() == other.cseq()
            && one.branch() != other.branch();
        is_good &= is_same;
        text.push_str(if is_same {
            ", the same request in another transaction"
        } else {
            ", ANOTHER REQUEST"
        });
    }
    (is_good, text)
}

const fn caller(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 2, number)
}

const fn dead(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 3, number)
}

const fn alive(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 4, number)
}

const fn case(what: What, over: Over, death: Death, after: (f64, f64)) -> Case {
    Case {
        what,
        over,
        death,
        after,
    }
}

/// A 503 and a refusal tell at once.
const AT_ONCE: (f64, f64) = (0.0, 1.0);
/// The time of a dead target: 1.5 s without any response.
const SILENT: (f64, f64) = (1.4, 2.5);
/// What the caller was told to wait, less what it took to find out where to.
const WAITED: (f64, f64) = (4.0, 5.5);
/// The exit of who has waited long enough.
const GIVEN_UP: i64 = 5;
/// A response came: what is left is timer F, 64 times a T1 of 50 ms (RFC 3261, 17.1.2.2).
const TIMED_OUT: (f64, f64) = (3.1, 4.5);
const BUSY: Death = Death::Answers(
    "503",
    &[
        Step::Receive("INVITE"),
        Step::Answer("503 Service Unavailable", ""),
        Step::Receive("ACK"),
    ],
);
const BUSY_FOR: Death = Death::Answers(
    "503 with Retry-After",
    &[
        Step::Receive("INVITE"),
        Step::Answer("503 Service Unavailable", "Retry-After: 60"),
        Step::Receive("ACK"),
    ],
);
/// RFC 3263, 4.3: who says that it tries is not passed by.
const TRIES_A_CALL: Death = Death::Keeps(
    "silence after 100",
    &[
        Step::Receive("INVITE"),
        Step::Answer("100 Trying", ""),
        Step::Receive("CANCEL"),
        Step::Answer("200 OK", ""),
        Step::AnswerInvite("487 Request Terminated"),
        Step::Receive("ACK"),
    ],
);
/// RFC 3261, 9.1: the CANCEL waits for the provisional response.
const RINGS_LATE: Death = Death::Answers(
    "180 after 1.8 s is cancelled",
    &[
        Step::Receive("INVITE"),
        Step::Wait(1_800),
        Step::Answer("180 Ringing", ""),
        Step::Receive("CANCEL"),
        Step::Answer("200 OK", ""),
        Step::AnswerInvite("487 Request Terminated"),
        Step::Receive("ACK"),
    ],
);
/// RFC 3261, 13.2.2.4.
const TAKES_LATE: Death = Death::Answers(
    "200 after 1.8 s is acknowledged and ended",
    &[
        Step::Receive("INVITE"),
        Step::Wait(1_800),
        Step::Answer(
            "200 OK",
            "Contact: <sip:dead@[local_ip]:[local_port]>\nContent-Type: application/sdp\n\n\
             v=0\no=dead 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\n\
             m=audio 4000 RTP/AVP 0\n",
        ),
        Step::Receive("ACK"),
        Step::Receive("BYE"),
        Step::Answer("200 OK", ""),
    ],
);
const NO_REGISTRAR: Death = Death::Answers(
    "503",
    &[
        Step::Receive("REGISTER"),
        Step::Answer("503 Service Unavailable", ""),
    ],
);
const NO_REGISTRAR_FOR: Death = Death::Answers(
    "503 with Retry-After",
    &[
        Step::Receive("REGISTER"),
        Step::Answer("503 Service Unavailable", "Retry-After: 60"),
    ],
);
const TRIES: Death = Death::Answers(
    "silence after 100",
    &[Step::Receive("REGISTER"), Step::Answer("100 Trying", "")],
);
/// It takes the connection and what comes by it, and says nothing.
const MUTE: Death = Death::Answers("silence", &[Step::Receive("REGISTER")]);
const REGISTRAR: &[Step] = &[
    Step::Receive("REGISTER"),
    Step::Answer("200 OK", "[last_Contact:];expires=600"),
];
const CASES: [Case; 41] = [
    case(What::Call, Over::Udp, Death::Refused, SILENT),
    case(What::Call, Over::Udp, Death::Hole, SILENT),
    case(What::Call, Over::Udp, Death::NoAddress, AT_ONCE),
    case(What::Call, Over::Udp, BUSY, AT_ONCE),
    case(What::Call, Over::Udp, BUSY_FOR, AT_ONCE),
    case(What::Call, Over::Udp, TRIES_A_CALL, WAITED),
    case(What::Call, Over::Udp, RINGS_LATE, SILENT),
    case(What::Call, Over::Udp, TAKES_LATE, SILENT),
    case(What::Call, Over::Tcp, Death::Refused, AT_ONCE),
    case(What::Call, Over::Tcp, Death::Hole, SILENT),
    case(What::Call, Over::Tcp, Death::NoAddress, AT_ONCE),
    case(What::Call, Over::Tcp, BUSY, AT_ONCE),
    case(What::Call, Over::Tcp, BUSY_FOR, AT_ONCE),
    case(What::Call, Over::Tcp, TRIES_A_CALL, WAITED),
    case(What::Call, Over::Tls, Death::Refused, AT_ONCE),
    case(What::Call, Over::Tls, Death::Hole, SILENT),
    case(What::Call, Over::Tls, Death::NoAddress, AT_ONCE),
    case(What::Call, Over::Tls, Death::WrongName, AT_ONCE),
    case(What::Call, Over::Tls, BUSY, AT_ONCE),
    case(What::Call, Over::Tls, BUSY_FOR, AT_ONCE),
    case(What::Register, Over::Udp, Death::Refused, SILENT),
    case(What::Register, Over::Udp, Death::Hole, SILENT),
    case(What::Register, Over::Udp, Death::NoAddress, AT_ONCE),
    case(What::Register, Over::Udp, NO_REGISTRAR, AT_ONCE),
    case(What::Register, Over::Udp, NO_REGISTRAR_FOR, AT_ONCE),
    case(What::Register, Over::Udp, TRIES, TIMED_OUT),
    case(What::Register, Over::Tcp, Death::Refused, AT_ONCE),
    case(What::Register, Over::Tcp, Death::Hole, SILENT),
    case(What::Register, Over::Tcp, Death::NoAddress, AT_ONCE),
    case(What::Register, Over::Tcp, NO_REGISTRAR, AT_ONCE),
    case(What::Register, Over::Tcp, NO_REGISTRAR_FOR, AT_ONCE),
    case(What::Register, Over::Tcp, TRIES, TIMED_OUT),
    case(What::Register, Over::Tcp, MUTE, TIMED_OUT),
    case(What::Register, Over::Tls, Death::Refused, AT_ONCE),
    case(What::Register, Over::Tls, Death::Hole, SILENT),
    case(What::Register, Over::Tls, Death::NoAddress, AT_ONCE),
    case(What::Register, Over::Tls, Death::WrongName, AT_ONCE),
    case(What::Register, Over::Tls, NO_REGISTRAR, AT_ONCE),
    case(What::Register, Over::Tls, NO_REGISTRAR_FOR, AT_ONCE),
    case(What::Register, Over::Tls, TRIES, TIMED_OUT),
    case(What::Register, Over::Tls, MUTE, TIMED_OUT),
];
const LANES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(20);
const PEER: &str = "name server";
