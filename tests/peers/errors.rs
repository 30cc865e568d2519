//! What peers do wrong, or at the wrong moment, played by SIPp from scenarios of ours
//! (`sipp/NAME.xml`).
//!
//! Each scenario asserts by regular expressions what its first line says. Each is played once more
//! with one of them altered so that it cannot hold: SIPp must then fail by it, or it asserts nothing.

use crate::{
    Lab, Outcome,
    agent::Agent,
    capture, check,
    core::{Core, description},
    message::{Message, Seen},
    network::Place,
    sipp::{Setup, Sipp, Transport},
};
use sip::{Config, Headers, Status};
use std::{
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    let cases = CASES
        .iter()
        .flat_map(|case| [case.name.to_owned(), case.altered_name()]);
    let shared = [WIRESHARK.to_owned()];
    cases.chain(shared).map(|case| (PEER, case)).collect()
}

/// Plays all scenarios side by side.
pub(crate) fn run(lab: &Lab) {
    let all = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for (number, case) in (0..).zip(CASES) {
            let all = &all;
            scope.spawn(move || {
                lab.run(PEER, case.name, || {
                    let (value, messages) = case.right(lab, number * 2)?;
                    lab.table.add(PEER, case.name, true, value);
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.extend(messages);
                    Ok(())
                });
            });
            scope.spawn(move || {
                let name = case.altered_name();
                lab.run(PEER, &name, || {
                    let (is_good, value) = case.altered(lab, number * 2 + 1)?;
                    lab.table.add(PEER, &name, is_good, value);
                    Ok(())
                });
            });
        }
    });
    let messages = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    lab.run(PEER, WIRESHARK, || {
        let ours: Vec<Seen> = messages.into_iter().filter(|seen| seen.is_ours).collect();
        let (is_good, value) = capture::dissect(lab, "errors", &ours)?.of(&ours);
        lab.table.add(PEER, WIRESHARK, is_good, value);
        Ok(())
    });
}

struct Case {
    name: &'static str,
    /// `sipp/FILE.xml`.
    file: &'static str,
    ours: Ours,
    /// SIPp repeats itself; where it does not, the scenario expects all that comes again.
    repeats: bool,
    /// Of the command: how it ends, and a word of why.
    end: (i64, &'static str),
    /// A text of the scenario that stands there once, and what it is altered to.
    altered: (&'static str, &'static str),
    /// What a regular expression cannot say.
    judge: fn(&[Seen]) -> Outcome<String>,
}

#[derive(Clone, Copy)]
enum Ours {
    /// We call, with these options.
    Calls(&'static [&'static str]),
    /// We take a call, with these options.
    Answers(&'static [&'static str]),
    /// We answer reliably with 183, and then take the call: the command has no option for it.
    Progresses,
}

impl Case {
    fn altered_name(&self) -> String {
        format!("{}, asserted wrongly", self.name)
    }

    /// Plays the scenario as it is.
    fn right(&self, lab: &Lab, number: u16) -> Outcome<(String, Vec<Seen>)> {
        let text = self.scenario()?;
        let played = self.play(lab, number, &text)?;
        let messages = played.messages;
        if let Some(mismatch) = played.mismatches.first() {
            return Err(format!("no match: {mismatch}: {}", steps(&messages)));
        }
        if played.good != 1 {
            return Err(format!("SIPp is not content: {}", steps(&messages)));
        }
        let (exit, reason) = played.end?;
        if exit != self.end.0 || !reason.contains(self.end.1) {
            return Err(format!("exit {exit} {reason}"));
        }
        let found =
            (self.judge)(&messages).map_err(|error| format!("{error}: {}", steps(&messages)))?;
        let faults = check::faults(&messages);
        if let Some(fault) = faults.first() {
            return Err(format!("{fault}: {}", steps(&messages)));
        }
        Ok((format!("exit {exit} {reason}; {found}"), messages))
    }

    /// Plays it with an assertion that cannot hold.
    fn altered(&self, lab: &Lab, number: u16) -> Outcome<(bool, String)> {
        let text = self.scenario()?;
        let (from, to) = self.altered;
        if text.matches(from).count() != 1 {
            return Err(format!("{from} does not stand once in the scenario"));
        }
        let played = self.play(lab, number, &text.replacen(from, to, 1))?;
        let value = format!("no match: {}", played.mismatches.join(", "));
        Ok((played.mismatches.len() == 1, value))
    }

    fn scenario(&self) -> Outcome<String> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/sipp");
        let path = directory.join(format!("{}.xml", self.file));
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Plays a scenario against us.
    fn play(&self, lab: &Lab, number: u16, text: &str) -> Outcome<Played> {
        let name = format!("errors-{number}");
        let path = lab.directory.join(format!("{name}.xml"));
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        let (place, port) = (Place::loopback(), FIRST_PORT + number * PORTS);
        let (our_port, target) = (port + 1, format!("127.0.0.1:{}", port + 1));
        let setup = Setup {
            name: &format!("{name}-sipp"),
            port,
            transport: Transport::Udp,
            calls: 1,
            persists: false,
        };
        let play = |target| Sipp::play(lab, &place, &path, target, self.repeats, setup);
        match self.ours {
            Ours::Calls(options) => {
                let mut sipp = play(None)?;
                let peer = format!("sip:bob@127.0.0.1:{port}");
                let words = ["call", &peer, "--account", "alice@127.0.0.1"];
                let words = [&words[..], options].concat();
                let mut agent = Agent::start(lab, &place, &name, our_port, words)?;
                Played::new(&mut sipp, || end(&mut agent))
            }
            Ours::Answers(options) => {
                let words = [
                    "answer",
                    "--auto",
                    "--count",
                    "1",
                    "--account",
                    "alice@127.0.0.1",
                ];
                let words = [&words[..], options].concat();
                let mut agent = Agent::start(lab, &place, &name, our_port, words)?;
                let mut sipp = play(Some(&target))?;
                Played::new(&mut sipp, || end(&mut agent))
            }
            Ours::Progresses => {
                let core = Core::start(our_port, Config::new("tested"))?;
                let mut sipp = play(Some(&target))?;
                let end = progress(&core);
                Played::new(&mut sipp, || end)
            }
        }
    }
}

/// What came of a scenario.
struct Played {
    /// The calls that SIPp is content with.
    good: u64,
    mismatches: Vec<String>,
    /// How we ended.
    end: Outcome<(i64, String)>,
    messages: Vec<Seen>,
}

impl Played {
    fn new(sipp: &mut Sipp, end: impl FnOnce() -> Outcome<(i64, String)>) -> Outcome<Self> {
        let counters = sipp.finish(PATIENCE)?;
        Ok(Self {
            good: counters.total("SuccessfulCall")?,
            mismatches: sipp.mismatches(),
            end: end(),
            messages: sipp.messages()?,
        })
    }
}

/// Takes a call after a reliable 183; the end is told as the command would.
fn progress(core: &Core) -> Outcome<(i64, String)> {
    let (call, _, _) = core.incoming()?;
    let headers = Headers::new();
    core.with(call, |call, now| {
        let code = Status::SESSION_PROGRESS;
        call.provisional(now, code, None, headers, Some(description(RTP)))
    })?;
    // The 2xx waits for the PRACK.
    core.with(call, |call, now| {
        call.accept(now, description(RTP), Headers::new())
    })?;
    Ok((0, core.ended()?))
}

fn end(agent: &mut Agent) -> Outcome<(i64, String)> {
    let last = agent.finish(PATIENCE)?;
    Ok((last.exit, last.reason))
}

/// All messages, ours marked.
fn steps(messages: &[Seen]) -> String {
    let step = |seen: &Seen| {
        let word = match seen.message.request() {
            Some((method, _)) => method.to_owned(),
            None => seen.message.status().unwrap_or(0).to_string(),
        };
        format!("{}{word}", if seen.is_ours { "*" } else { "" })
    };
    messages.iter().map(step).collect::<Vec<_>>().join(" ")
}

/// Finds nothing that SIPp has not found.
fn nothing(_: &[Seen]) -> Outcome<String> {
    Ok("as asserted".to_owned())
}

/// How many ACKs of ours came, all of them the same.
fn same_acks(seen: &[Seen]) -> Outcome<String> {
    let is_ack = |seen: &&Seen| seen.is_ours && seen.message.is_request("ACK");
    let acks: Vec<&Message> = seen
        .iter()
        .filter(is_ack)
        .map(|seen| &seen.message)
        .collect();
    let is_same = acks.iter().all(|ack| ack.raw == acks[0].raw);
    match (acks.len(), is_same) {
        (4, true) => Ok("4 ACKs, all the same".to_owned()),
        (count, _) => Err(format!("{count} ACKs, the same: {is_same}")),
    }
}

/// How often our 200 came, and how long it took to hang up.
fn repeated(seen: &[Seen]) -> Outcome<String> {
    let accepted: Vec<&Seen> = seen
        .iter()
        .filter(|seen| seen.is_ours && seen.message.status() == Some(200))
        .collect();
    let bye = seen.iter().find(|seen| seen.message.is_request("BYE"));
    let (Some(first), Some(bye)) = (accepted.first(), bye) else {
        return Err("no 200 or no BYE".to_owned());
    };
    // T1 is 50 ms, and T2 eight times as much: after 50, 150, 350, 750 ms, and every 400 ms from there.
    let (count, waited) = (accepted.len(), bye.at - first.at);
    let value = format!("200 {count} times, BYE after {waited:.1} s");
    let is_good = count == 11 && (3.1..3.6).contains(&waited);
    is_good.then_some(value.clone()).ok_or(value)
}

/// How long we waited after each 491: RFC 3261, 14.1 lets the owner of the Call-ID wait from 2.1 to 4 s.
fn paused(seen: &[Seen]) -> Outcome<String> {
    let refusals = seen
        .iter()
        .filter(|seen| seen.message.status() == Some(491));
    let mut waits = Vec::new();
    for refusal in refusals {
        let is_next = |next: &&Seen| next.at > refusal.at && next.message.is_request("INVITE");
        let next = seen.iter().find(is_next).ok_or("no other INVITE")?;
        waits.push(next.at - refusal.at);
    }
    let value = format!("waited {waits:.1?} s");
    let is_good = waits.len() == 3 && waits.iter().all(|wait| (2.0..4.2).contains(wait));
    is_good.then_some(value.clone()).ok_or(value)
}

const SOON: &[&str] = &["--hangup-after", "0.3"];
const HOLDS: &[&str] = &["--hold-after", "0.2"];

const CASES: &[Case] = &[
    Case {
        name: "RSeq leaves a gap",
        file: "rseq-gap",
        ours: Ours::Calls(SOON),
        repeats: true,
        end: (0, ""),
        altered: ("^ *2 [0-9]+ INVITE", "^ *3 [0-9]+ INVITE"),
        judge: nothing,
    },
    Case {
        name: "481 to our PRACK",
        file: "prack-refused",
        ours: Ours::Calls(SOON),
        repeats: true,
        end: (7, "481"),
        altered: ("^ *7 [0-9]+ INVITE", "^ *8 [0-9]+ INVITE"),
        judge: nothing,
    },
    Case {
        name: "PRACK of nothing",
        file: "prack-unknown",
        ours: Ours::Progresses,
        repeats: true,
        end: (0, "hung up"),
        altered: ("^ *2 PRACK", "^ *3 PRACK\\b"),
        judge: nothing,
    },
    Case {
        name: "422 twice",
        file: "interval-twice",
        ours: Ours::Calls(&["--hangup-after", "0.3", "--session-expires", "90"]),
        repeats: true,
        end: (0, ""),
        altered: ("^ *3 INVITE", "^ *2 INVITE\\b"),
        judge: nothing,
    },
    Case {
        name: "491 three times",
        file: "pending",
        ours: Ours::Calls(&["--hold-after", "0.2", "--hangup-after", "13"]),
        repeats: true,
        end: (0, ""),
        altered: ("^ *5 INVITE", "^ *4 INVITE"),
        judge: paused,
    },
    Case {
        name: "ACK withheld",
        file: "no-ack",
        ours: Ours::Answers(&["--timers", "T1=50"]),
        repeats: true,
        end: (0, ""),
        altered: ("^ *[0-9]+ BYE", "^ *[0-9]+ CANCEL"),
        judge: repeated,
    },
    Case {
        name: "200 repeated",
        file: "ok-repeated",
        ours: Ours::Calls(&["--hangup-after", "1"]),
        repeats: false,
        end: (0, ""),
        altered: ("^ *2 BYE", "^ *3 BYE"),
        judge: same_acks,
    },
    Case {
        name: "a strict router",
        file: "strict-router",
        ours: Ours::Calls(SOON),
        repeats: true,
        end: (0, ""),
        altered: ("^BYE sip:strict@", "^BYE sip:bob@"),
        judge: nothing,
    },
    Case {
        name: "no rport, another sent-by",
        file: "no-rport",
        ours: Ours::Answers(&[]),
        repeats: true,
        end: (0, ""),
        altered: (
            "header=\"Via:\" check_it_inverse",
            "header=\"Via:\" check_it",
        ),
        judge: nothing,
    },
    Case {
        name: "no tag in To",
        file: "no-to-tag",
        ours: Ours::Calls(SOON),
        repeats: true,
        end: (0, ""),
        altered: ("^ *2 BYE", "^ *3 BYE"),
        judge: nothing,
    },
    Case {
        name: "no tag in From",
        file: "no-from-tag",
        ours: Ours::Answers(&[]),
        repeats: true,
        end: (0, ""),
        altered: (
            "header=\"From:\" check_it_inverse",
            "header=\"From:\" check_it",
        ),
        judge: nothing,
    },
    Case {
        name: "BYE during our re-INVITE",
        file: "bye-in-reinvite",
        ours: Ours::Calls(HOLDS),
        repeats: true,
        end: (0, ""),
        altered: ("^ *2 ACK", "^ *1 ACK"),
        judge: nothing,
    },
    Case {
        name: "200 crosses our CANCEL",
        file: "cancel-crosses-ok",
        ours: Ours::Calls(&["--cancel-after", "0.3"]),
        repeats: true,
        end: (7, "487"),
        altered: ("^ *2 BYE", "^ *1 BYE"),
        judge: nothing,
    },
    Case {
        name: "183 without a tag in To",
        file: "progress-without-tag",
        ours: Ours::Calls(SOON),
        repeats: true,
        end: (0, ""),
        altered: ("^ *2 BYE", "^ *3 BYE"),
        judge: nothing,
    },
    Case {
        name: "302",
        file: "redirect",
        ours: Ours::Calls(SOON),
        repeats: true,
        end: (7, "302"),
        altered: ("^ *1 ACK", "^ *2 ACK"),
        judge: nothing,
    },
];
const RTP: u16 = 20_000;
const FIRST_PORT: u16 = 16_300;
/// Of one case: SIPp's, ours, and SIPp's for media behind them.
const PORTS: u16 = 8;
/// For a whole scenario.
const PATIENCE: Duration = Duration::from_secs(30);
const PEER: &str = "SIPp errors";
const WIRESHARK: &str = "Wireshark";
