//! Sofia-SIP: what baresip and SIPp do not know, among it PRACK, UPDATE, session timers and digest on
//! both sides. Its user agent obeys a program of ours, `sofia/agent.c`, that does as it is told.

mod account;
mod early;
mod offer;
mod sound;
mod timer;
mod transfer;

use crate::{
    Lab, Outcome,
    agent::Agent,
    capture::{self, Capture},
    check,
    core::Core,
    message::{Message, Seen, ladder},
    network::Place,
    pcap,
    process::Process,
};
use serde_json::Value;
use sip::Config;
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    let cases = cases();
    let names = cases.iter().map(|case| case.name).chain([FORM, WIRESHARK]);
    names.map(|name| (PEER, name.to_owned())).collect()
}

/// Runs all cases side by side: most of their time is waiting.
pub(crate) fn run(lab: &Lab) {
    let all = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for (number, case) in (0..).zip(cases()) {
            let all = &all;
            scope.spawn(move || {
                lab.run(PEER, case.name, || {
                    let (value, messages) = case.run(lab, number)?;
                    all.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .extend(messages);
                    lab.table.add(PEER, case.name, true, value);
                    Ok(())
                });
            });
        }
    });
    let messages = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    lab.run(PEER, WIRESHARK, || {
        let ours = messages.iter().filter(|seen| seen.is_ours).count();
        let faults = check::faults(&messages);
        let value = format!("{ours} messages of ours, {}", capture::some(&faults));
        lab.table
            .add(PEER, FORM, faults.is_empty() && ours > 0, value);
        let (is_good, value) = capture::dissect(lab, "sofia", &messages)?.of(&messages);
        lab.table.add(PEER, WIRESHARK, is_good, value);
        Ok(())
    });
}

/// One thing to try.
struct Case {
    name: &'static str,
    /// Does it; says what was seen.
    body: fn(&Scene<'_>) -> Outcome<String>,
    /// What must have been on the wire.
    wire: Wire,
}

enum Wire {
    /// These messages in this order, 100 and repetitions left out.
    Is(&'static str),
    /// What this finds, or misses.
    Fits(fn(&[Seen]) -> Outcome<String>),
}

fn cases() -> Vec<Case> {
    [
        early::cases(),
        offer::cases(),
        sound::cases(),
        timer::cases(),
        account::cases(),
        transfer::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Case {
    fn run(&self, lab: &Lab, number: u16) -> Outcome<(String, Vec<Seen>)> {
        let scene = Scene {
            lab,
            name: format!("sofia-{number}"),
            port: FIRST_PORT + number * PORTS,
        };
        let (port, our_port) = (scene.port, scene.our_port());
        let filter = format!("portrange {port}-{}", port + PORTS - 1);
        let capture = Capture::start(lab, &Place::loopback(), "lo", &scene.name, &filter)?;
        let said = (self.body)(&scene);
        let mut packets = capture.finish()?;
        // What two of them say to each other is not ours to judge.
        packets
            .retain(|packet| [packet.source.port(), packet.destination.port()].contains(&our_port));
        let messages = pcap::messages(&packets, our_port, port)?;
        let ladder = ladder(&messages);
        let said = said.map_err(|error| format!("{error}; {ladder}"))?;
        match self.wire {
            Wire::Is(expected) if ladder == expected => {}
            Wire::Is(_) => return Err(format!("{said}; {ladder}")),
            Wire::Fits(judge) => {
                let found = judge(&messages).map_err(|error| format!("{error}; {ladder}"))?;
                return Ok((format!("{said}; {found}"), messages));
            }
        }
        acknowledged(&messages)?;
        Ok((format!("{said}; {ladder}"), messages))
    }
}

/// Checks that each PRACK names the response that it acknowledges (RFC 3262, 7.2).
fn acknowledged(messages: &[Seen]) -> Outcome<()> {
    let name = |message: &Message| {
        let number = message.header("rseq")?;
        Some(format!("{number} {}", message.header("cseq")?))
    };
    let wanted: Vec<String> = messages
        .iter()
        .filter_map(|seen| name(&seen.message))
        .collect();
    for Seen { message, .. } in messages {
        let named = message.header("rack").unwrap_or("nothing");
        if message.is_request("PRACK") && !wanted.iter().any(|name| name == named) {
            return Err(format!(
                "PRACK of {named}, not of one of {}",
                wanted.join(", ")
            ));
        }
    }
    Ok(())
}

/// Where a case takes place.
pub(crate) struct Scene<'a> {
    lab: &'a Lab,
    name: String,
    /// Sofia's.
    port: u16,
}

impl Scene<'_> {
    const fn our_port(&self) -> u16 {
        self.port + 2
    }

    /// Where Sofia is.
    fn sofia_uri(&self) -> String {
        format!("sip:bob@127.0.0.1:{}", self.port)
    }

    /// Where the other Sofia is.
    fn other_uri(&self) -> String {
        format!("sip:carol@127.0.0.1:{}", self.port + 1)
    }

    /// Where we are.
    fn our_uri(&self) -> String {
        format!("sip:alice@127.0.0.1:{}", self.our_port())
    }

    fn sofia(&self, options: &[&str]) -> Outcome<Sofia> {
        self.start("sofia", self.sofia_uri(), options)
    }

    /// Starts another one, for cases of three.
    fn other_sofia(&self) -> Outcome<Sofia> {
        self.start("other", self.other_uri(), &[])
    }

    fn start(&self, name: &str, uri: String, options: &[&str]) -> Outcome<Sofia> {
        let mut command = Command::new(program()?);
        command.arg(uri).args(options);
        let name = format!("{}.{name}", self.name);
        let process = Process::start_obeying(&name, command, &self.lab.directory)?;
        let mut sofia = Sofia { process, next: 0 };
        sofia.event("listening", |_| true)?;
        Ok(sofia)
    }

    fn core(&self, config: Config) -> Outcome<Core> {
        Core::start(self.our_port(), config)
    }

    /// Starts our command with a verb.
    fn agent(&self, words: &[&str]) -> Outcome<Agent> {
        let place = Place::loopback();
        Agent::start(self.lab, &place, &self.name, self.our_port(), words)
    }

    /// Starts our command with a verb that does not say when it listens.
    fn quiet_agent(&self, words: &[&str]) -> Outcome<Agent> {
        let place = Place::loopback();
        let words = words.iter().chain(&["--bind", "127.0.0.1"]);
        Agent::start_unheard(self.lab, &place, &self.name, self.our_port(), words)
    }

    /// A file of the case.
    fn file(&self, suffix: &str, content: &str) -> Outcome<PathBuf> {
        let path = self.lab.directory.join(format!("{}.{suffix}", self.name));
        std::fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}

/// A running agent of Sofia-SIP.
#[derive(Debug)]
pub(crate) struct Sofia {
    process: Process,
    next: usize,
}

impl Sofia {
    fn tell(&mut self, line: &str) -> Outcome<()> {
        self.process.tell(line)
    }

    /// Kills it without its knowing: it is silent from here on.
    fn freeze(&self) -> Outcome<()> {
        self.process.freeze()
    }

    /// Waits for the next event of that name that `fits`.
    fn event(&mut self, name: &str, fits: impl Fn(&Value) -> bool) -> Outcome<Value> {
        self.event_within(name, PATIENCE, fits)
    }

    fn event_within(
        &mut self,
        name: &str,
        limit: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Outcome<Value> {
        let found = self.process.wait_for(&mut self.next, limit, |line| {
            let value: Value = serde_json::from_str(line).ok()?;
            (value["event"] == name && fits(&value)).then_some(value)
        });
        found.ok_or_else(|| format!("Sofia told no {name} within {limit:?}"))
    }

    /// Waits for an event that may have been told already.
    fn has_told(&self, name: &str, fits: impl Fn(&Value) -> bool) -> Outcome<()> {
        let found = self.process.wait_for(&mut 0, PATIENCE, |line| {
            let value: Value = serde_json::from_str(line).ok()?;
            (value["event"] == name && fits(&value)).then_some(())
        });
        found.ok_or_else(|| format!("Sofia told no {name} within {PATIENCE:?}"))
    }

    /// Waits for a call and returns its number.
    fn incoming(&mut self) -> Outcome<u64> {
        let call = self.event("nua_i_invite", |event| event["status"] == 100)?;
        call["call"]
            .as_u64()
            .ok_or_else(|| "a call without a number".to_owned())
    }

    /// Waits for a call and takes it.
    fn takes_call(&mut self) -> Outcome<()> {
        let number = self.incoming()?;
        self.tell(&format!("respond {number} 200 sdp"))
    }

    /// Waits for a state of a call.
    fn state(&mut self, state: &str) -> Outcome<Value> {
        self.event("nua_i_state", |event| event["state"] == state)
    }

    /// Waits until a description of ours has come with that port.
    fn learns(&mut self, port: u16) -> Outcome<()> {
        let line = format!("m=audio {port} ");
        let has = |event: &Value| {
            let remote = event["remote"].as_str();
            remote.is_some_and(|remote| remote.contains(&line))
        };
        self.event("nua_i_state", has)
            .map(drop)
            .map_err(|error| format!("{error} with our port {port}"))
    }

    /// Waits until the session was refreshed, by whomever.
    fn refreshed(&mut self, limit: Duration) -> Outcome<()> {
        let refreshes = |line: &str| {
            let value: Value = serde_json::from_str(line).ok()?;
            let is_refresh = value["event"] == "nua_i_update"
                || value["event"] == "nua_i_invite"
                || value["event"] == "nua_r_update"
                || value["event"] == "nua_r_invite";
            (is_refresh && value["status"] == 200).then_some(())
        };
        let found = self.process.wait_for(&mut self.next, limit, refreshes);
        found.ok_or_else(|| format!("Sofia saw no refresh within {limit:?}"))
    }

    /// Waits for a final response to a request of its.
    fn response(&mut self, method: &str, code: u16) -> Outcome<Value> {
        let fits = |event: &Value| event["status"].as_u64() >= Some(200);
        let response = self.event(&format!("nua_r_{method}"), fits)?;
        match response["status"] == code {
            true => Ok(response),
            false => Err(format!("{method} got {}", response["status"])),
        }
    }
}

/// What was built from `sofia/agent.c`.
fn program() -> Outcome<PathBuf> {
    let path = match env::var_os("SOFIA_AGENT") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/sofia-agent"),
    };
    match path.is_file() {
        true => Ok(path),
        false => Err(format!("{} is not there: build it first", path.display())),
    }
}

/// For what a peer does at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// The port that Sofia's descriptions begin with.
const ITS_RTP: u16 = 16_990;
const FIRST_PORT: u16 = 16_100;
/// Of one case.
const PORTS: u16 = 4;
const PEER: &str = "Sofia-SIP";
const FORM: &str = "tags, Contact, CSeq, branches, Content-Length";
const WIRESHARK: &str = "Wireshark";
