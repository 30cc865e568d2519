//! Many calls with SIPp, nothing lost on the way.

use crate::{
    Lab, Outcome,
    agent::Agent,
    capture, check,
    message::Seen,
    network::Place,
    sipp::{Counters, RATE, Setup, Sipp, Transport},
};
use std::{collections::BTreeSet, thread, time::Duration};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    for run in RUNS {
        for what in WHAT {
            rows.push((PEER, run.case(what)));
        }
    }
    rows
}

/// Runs one load after the other; agents at rest are looked at while the next run.
pub(crate) fn run(lab: &Lab) {
    thread::scope(|scope| {
        for (number, run) in (0..).zip(RUNS) {
            let mut agent = None;
            lab.run(PEER, &run.case(CALLS), || {
                agent = Some(run.calls(lab, number)?);
                Ok(())
            });
            let Some(mut agent) = agent else { continue };
            scope.spawn(move || {
                lab.run(PEER, &run.case(REST), || {
                    let last = agent.finish(Duration::from_secs(60))?;
                    let (is_rest, value) = last.rest();
                    let is_good = is_rest && last.exit == 0 && last.data["calls"] == CALL_COUNT;
                    let value = format!(
                        "{value}, {} calls, {} failed",
                        last.data["calls"], last.data["failed"]
                    );
                    lab.table.add(
                        PEER,
                        &run.case(REST),
                        is_good && last.data["failed"] == 0,
                        value,
                    );
                    Ok(())
                });
            });
        }
    });
}

#[derive(Clone, Copy)]
struct Run {
    transport: Transport,
    /// We call, SIPp answers.
    is_ours: bool,
}

impl Run {
    fn case(self, what: &str) -> String {
        let who = if self.is_ours {
            "our call, its uas"
        } else {
            "its uac, our answer"
        };
        format!("{who}, {}: {what}", self.transport.name())
    }

    /// Makes the calls, and returns the agent that then waits until nothing is alive.
    fn calls(self, lab: &Lab, number: u16) -> Outcome<Agent> {
        let place = Place::loopback();
        let name = format!("load-{number}");
        let (port, peer_port) = (16_000 + number * 20, 16_010 + number * 20);
        let setup = Setup {
            name: &format!("{name}-sipp"),
            port: peer_port,
            transport: self.transport,
            calls: CALL_COUNT,
            persists: false,
        };
        let (mut sipp, agent) = if self.is_ours {
            let sipp = Sipp::answer(lab, &place, setup)?;
            // It has no way to say that it listens.
            thread::sleep(Duration::from_millis(500));
            let target = format!(
                "sip:bob@{}:{peer_port}{}",
                place.address(),
                self.transport.parameter()
            );
            let agent = Agent::start(lab, &place, &name, port, call(&target))?;
            (sipp, agent)
        } else {
            let agent = Agent::start(lab, &place, &name, port, answer())?;
            let target = format!("{}:{port}", place.address());
            (Sipp::call(lab, &place, &target, setup)?, agent)
        };
        let counters = sipp.finish(Duration::from_secs(60))?;
        let messages = sipp.messages()?;
        self.judge(lab, &counters, &messages)?;
        let (is_good, value) = capture::dissect(lab, &name, &messages)?.of(&messages);
        lab.table.add(PEER, &self.case(WIRESHARK), is_good, value);
        Ok(agent)
    }

    fn judge(self, lab: &Lab, counters: &Counters, messages: &[Seen]) -> Outcome<()> {
        let total = |name| counters.total(name);
        let (good, failed) = (total("SuccessfulCall")?, total("FailedCall")?);
        let unexpected =
            total("FailedUnexpectedMessage")? + total("OutOfCallMsgs")? + total("Warnings")?;
        let dead = total("DeadCallMsgs")?;
        let value = format!(
            "{good} good, {failed} failed, {unexpected} unexpected, {dead} dead-call messages"
        );
        let is_good = good == u64::from(CALL_COUNT) && failed + unexpected + dead == 0;
        lab.table.add(PEER, &self.case(CALLS), is_good, value);

        let (again, theirs) = (retransmissions(messages), total("Retransmissions")?);
        let is_good = !messages.is_empty()
            && again * 1_000 <= messages.len()
            && theirs as usize * 1_000 <= messages.len();
        let value = format!(
            "{again} of {} messages, SIPp counts {theirs} of its own",
            messages.len()
        );
        lab.table.add(PEER, &self.case(AGAIN), is_good, value);

        let ours = messages.iter().filter(|seen| seen.is_ours).count();
        let faults = check::faults(messages);
        let value = format!("{ours} messages of ours, {}", capture::some(&faults));
        // INVITE, ACK and BYE, or two times 200.
        let each = if self.is_ours { 3 } else { 2 };
        let is_good = faults.is_empty() && ours >= each * CALL_COUNT as usize;
        lab.table.add(PEER, &self.case(FORM), is_good, value);
        Ok(())
    }
}

/// The options for many calls of ours to a URI.
pub(crate) fn call(target: &str) -> Vec<String> {
    let words = ["call", target, "--hangup-after", "2", "--settle", "45"];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    for (option, value) in [
        ("--calls", CALL_COUNT),
        ("--at-once", AT_ONCE),
        ("--rate", RATE),
    ] {
        words.extend([option.to_owned(), value.to_string()]);
    }
    words
}

/// The options for many calls to us.
pub(crate) fn answer() -> Vec<String> {
    let count = CALL_COUNT.to_string();
    ["answer", "--auto", "--count", &count, "--settle", "45"]
        .map(str::to_owned)
        .to_vec()
}

/// How many messages were sent more than once.
fn retransmissions(messages: &[Seen]) -> usize {
    let mut known = BTreeSet::new();
    let again = messages
        .iter()
        .filter(|seen| !known.insert((seen.is_ours, seen.message.raw.as_slice())));
    again.count()
}

pub(crate) const CALL_COUNT: u32 = 500;
const AT_ONCE: u32 = 100;
const PEER: &str = "SIPp";
const RUNS: [Run; 4] = [
    Run {
        transport: Transport::Udp,
        is_ours: false,
    },
    Run {
        transport: Transport::Tcp,
        is_ours: false,
    },
    Run {
        transport: Transport::Udp,
        is_ours: true,
    },
    Run {
        transport: Transport::Tcp,
        is_ours: true,
    },
];
const CALLS: &str = "500 calls";
const AGAIN: &str = "retransmissions, at most 1 in 1000";
const FORM: &str = "tags, Contact, CSeq, branches, Content-Length";
const WIRESHARK: &str = "Wireshark";
const REST: &str = "45 s later";
const WHAT: [&str; 5] = [CALLS, AGAIN, FORM, WIRESHARK, REST];
