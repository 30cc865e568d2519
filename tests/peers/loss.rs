//! Many calls with SIPp over a path that loses 5 % of the datagrams.
//!
//! SIPp loses a call now and then between its own two ends on such a path. So a lost call counts
//! against us when our timers, in the capture at our end, were not those of RFC 3261; beside that,
//! one of 500 may be lost. The same load between two SIPps runs at the same time.

use crate::{
    Lab, Outcome,
    agent::{Agent, Event, Last},
    capture::{self, Capture},
    check, load,
    network::{INTERFACE, LossyPath},
    now, pcap,
    sipp::{Counters, Setup, Sipp, Transport},
    timers,
};
use std::{thread, time::Duration};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    let cases =
        [ANSWER, CALL].map(|who| [CALLS, TIMERS, FORM, REST].map(|what| format!("{who}: {what}")));
    let cases = cases
        .concat()
        .into_iter()
        .chain([COMPARISON.to_owned(), PATH.to_owned()]);
    cases.map(|case| (PEER, case)).collect()
}

/// Runs the three loads at once.
pub(crate) fn run(lab: &Lab) {
    lab.run(PEER, PATH, || {
        let path = LossyPath::new(5)?;
        let begun = now();
        thread::scope(|scope| {
            scope.spawn(|| lab.run(PEER, COMPARISON, || comparison(lab, &path)));
            scope.spawn(|| lab.run(PEER, &format!("{CALL}: {CALLS}"), || our_call(lab, &path)));
            lab.run(PEER, &format!("{ANSWER}: {CALLS}"), || {
                our_answer(lab, &path)
            });
        });
        let dropped = path.dropped()?;
        let value = format!("{dropped} datagrams dropped in {:.0} s", now() - begun);
        // Some 30 messages in 100 calls, three loads.
        lab.table.add(PEER, PATH, dropped > 300, value);
        Ok(())
    });
}

fn our_answer(lab: &Lab, path: &LossyPath) -> Outcome<()> {
    let (port, peer_port) = (16_100, 16_110);
    let setup = setup("loss-uac", peer_port);
    let capture = Capture::start(
        lab,
        &path.near,
        INTERFACE,
        "loss-answer",
        &format!("udp port {peer_port}"),
    )?;
    let agent = Agent::start(lab, &path.near, "loss-answer", port, load::answer())?;
    let sipp = Sipp::call(
        lab,
        &path.far,
        &format!("{}:{port}", path.near.address()),
        setup,
    )?;
    judge(lab, ANSWER, (port, peer_port), capture, agent, sipp)
}

fn our_call(lab: &Lab, path: &LossyPath) -> Outcome<()> {
    let (port, peer_port) = (16_120, 16_130);
    let setup = setup("loss-uas", peer_port);
    let capture = Capture::start(
        lab,
        &path.near,
        INTERFACE,
        "loss-call",
        &format!("udp port {peer_port}"),
    )?;
    let sipp = Sipp::answer(lab, &path.far, setup)?;
    thread::sleep(Duration::from_millis(500));
    let target = format!("sip:bob@{}:{peer_port}", path.far.address());
    let agent = Agent::start(lab, &path.near, "loss-call", port, load::call(&target))?;
    judge(lab, CALL, (port, peer_port), capture, agent, sipp)
}

fn judge(
    lab: &Lab,
    who: &str,
    (port, peer_port): (u16, u16),
    capture: Capture,
    mut agent: Agent,
    mut sipp: Sipp,
) -> Outcome<()> {
    let counters = sipp.finish(Duration::from_secs(120));
    let last = agent.finish(Duration::from_secs(60));
    let packets = capture.finish();
    let (counters, last, packets) = (counters?, last?, packets?);
    let messages = pcap::messages(&packets, port, peer_port)?;
    let faults = timers::faults(&messages);
    let ours = messages.iter().filter(|seen| seen.is_ours).count();
    let value = format!("{ours} messages of ours, {}", capture::some(&faults));
    lab.table.add(
        PEER,
        &format!("{who}: {TIMERS}"),
        faults.is_empty() && ours > 0,
        value,
    );

    let (is_good, value) = lost(&counters, &agent, &last)?;
    lab.table
        .add(PEER, &format!("{who}: {CALLS}"), is_good, value);
    let faults = check::faults(&messages);
    lab.table.add(
        PEER,
        &format!("{who}: {FORM}"),
        faults.is_empty() && ours > 0,
        capture::some(&faults),
    );
    let (is_rest, value) = last.rest();
    lab.table
        .add(PEER, &format!("{who}: {REST}"), is_rest, value);
    Ok(())
}

/// At most one call may be lost, whoever says so.
fn lost(counters: &Counters, agent: &Agent, last: &Last) -> Outcome<(bool, String)> {
    let failed = counters.total("FailedCall")?;
    let good = counters.total("SuccessfulCall")?;
    let again = counters.total("Retransmissions")?;
    let calls = last.data["calls"].as_u64().unwrap_or(0);
    let failures = agent.events("SIPSessionDidFail");
    // The call took place, though every ACK of its two seconds was lost.
    let is_late = |event: &&Event| event.data["failure_reason"] == "hung up";
    let late = failures.iter().filter(is_late).count();
    let ours = failures.len() - late;
    let value = format!(
        "SIPp: {good} good, {failed} lost, {again} retransmissions; \
         ours: {calls} calls, {ours} lost, {late} hung up before their ACK"
    );
    let all = u64::from(load::CALL_COUNT);
    let is_whole = good + failed == all && calls == all;
    Ok((is_whole && failed <= 1 && ours <= 1, value))
}

/// Two SIPps: what the same path does to others.
fn comparison(lab: &Lab, path: &LossyPath) -> Outcome<()> {
    let (port, peer_port) = (16_140, 16_150);
    let mut answering = Sipp::answer(lab, &path.near, setup("loss-sipp-uas", port))?;
    thread::sleep(Duration::from_millis(500));
    let target = format!("{}:{port}", path.near.address());
    let mut calling = Sipp::call(lab, &path.far, &target, setup("loss-sipp-uac", peer_port))?;
    let counters = calling.finish(Duration::from_secs(120))?;
    let (good, failed) = (
        counters.total("SuccessfulCall")?,
        counters.total("FailedCall")?,
    );
    let again = counters.total("Retransmissions")?;
    // It may wait for calls that were lost before they began.
    let other = answering.finish(Duration::from_secs(60));
    let other = other.and_then(|counters| counters.total("FailedCall"));
    let other = match other {
        Ok(failed) => format!("{failed} lost"),
        Err(_) => "still waits".to_owned(),
    };
    let value = format!("uac: {good} good, {failed} lost, {again} retransmissions; uas: {other}");
    lab.table.add(
        PEER,
        COMPARISON,
        good + failed == u64::from(load::CALL_COUNT),
        value,
    );
    Ok(())
}

const fn setup(name: &str, port: u16) -> Setup<'_> {
    Setup {
        name,
        port,
        transport: Transport::Udp,
        calls: load::CALL_COUNT,
        persists: true,
    }
}

const PEER: &str = "SIPp, 5 % lost";
const ANSWER: &str = "its uac, our answer";
const CALL: &str = "our call, its uas";
const CALLS: &str = "500 calls, at most 1 lost";
const TIMERS: &str = "our timers";
const FORM: &str = "tags, Contact, CSeq, branches, Content-Length";
const REST: &str = "after the last call";
const COMPARISON: &str = "its uac, its uas";
const PATH: &str = "the path";
