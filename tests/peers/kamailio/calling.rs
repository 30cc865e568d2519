//! Calls between two of ours through the server, which stays on their way (Record-Route).

use super::{Client, PATIENCE, Site, Way, registering::SUCCEEDED, server::Challenge};
use crate::{
    Outcome,
    message::{Message, Seen, ladder},
    pcap::Packet,
};

pub(super) fn expected(challenge: Challenge) -> Vec<String> {
    let mut names = plans(challenge).map(Plan::name).to_vec();
    if challenge == Challenge::Version6 {
        names.push(AT_LOOPBACK.to_owned());
    }
    names
}

pub(super) fn run(site: &Site<'_>) {
    for plan in plans(site.challenge) {
        let (caller, callee) = (site.client("caller"), site.client("callee"));
        let name = plan.name();
        site.run(&name, || call(site, &name, plan, &caller, &callee));
    }
    if site.challenge == Challenge::Version6 {
        let plan = Plan {
            caller: Way::Udp,
            callee: Way::Udp,
            callee_ends: true,
        };
        let [caller, callee] = site.pair_at_loopback(["near-caller", "near-callee"]);
        let case = || call(site, AT_LOOPBACK, plan, &caller, &callee);
        site.run(AT_LOOPBACK, case);
    }
}

/// How the two reach the server, and who hangs up.
#[derive(Clone, Copy, Debug)]
struct Plan {
    caller: Way,
    callee: Way,
    callee_ends: bool,
}

/// Each transport towards each other one of those that need no TLS, TLS on both sides, and WebSockets.
const fn plans(challenge: Challenge) -> [Plan; 3] {
    const fn plan(caller: Way, callee: Way, callee_ends: bool) -> Plan {
        Plan {
            caller,
            callee,
            callee_ends,
        }
    }
    match challenge {
        Challenge::NoQop => [
            plan(Way::Udp, Way::Udp, false),
            plan(Way::Udp, Way::Udp, true),
            plan(Way::Ws, Way::Ws, false),
        ],
        Challenge::ShortNonces => [
            plan(Way::Udp, Way::Tcp, true),
            plan(Way::Tcp, Way::Udp, false),
            plan(Way::Ws, Way::Udp, true),
        ],
        Challenge::Sha256 => [
            plan(Way::Tcp, Way::Tcp, true),
            plan(Way::Tls, Way::Tls, false),
            plan(Way::Wss, Way::Wss, true),
        ],
        Challenge::Version6 => [
            plan(Way::Udp, Way::Udp, true),
            plan(Way::Tcp, Way::Udp, false),
            plan(Way::Tls, Way::Tls, true),
        ],
    }
}

impl Plan {
    fn name(self) -> String {
        format!(
            "call, {} to {}, held and resumed, {} hangs up",
            self.caller.name(),
            self.callee.name(),
            if self.callee_ends { "callee" } else { "caller" }
        )
    }
}

fn call(site: &Site<'_>, name: &str, plan: Plan, caller: &Client, callee: &Client) -> Outcome<()> {
    let capture = site.watch(&[caller, callee])?;
    let end = ["--hangup-after", TALK];
    let (caller_ends, callee_ends): (&[&str], &[&str]) = if plan.callee_ends {
        (&[], &end)
    } else {
        (&end, &[])
    };
    let answer = ["answer", "--auto", "--count", "1", "--register"];
    let mut answering = site.start(callee, plan.callee, &[&answer, callee_ends].concat())?;
    answering.event(SUCCEEDED, PATIENCE)?;
    let target = format!("sip:{}@{}", callee.user, site.challenge.domain());
    let call = ["call", &target, "--expect-audio", HEARD];
    let hold = ["--hold-after", "0.5", "--unhold-after", "1"];
    let mut calling = site.start(
        caller,
        plan.caller,
        &[&call, &hold[..], caller_ends].concat(),
    )?;
    let (last, other) = (calling.finish(PATIENCE)?, answering.finish(PATIENCE)?);
    let packets = capture.finish()?;
    let ends = last.exit == 0 && other.exit == 0;
    let (is_routed, how) = if plan.caller.is_secret() {
        encrypted(&packets)
    } else {
        routed(site, &packets, caller, callee)?
    };
    site.add(
        name,
        ends && is_routed,
        format!(
            "exit {} and {} {}{}, {how}",
            last.exit, other.exit, last.reason, other.reason
        ),
    );
    Ok(())
}

/// Whether all that is said within the dialog takes the way that was recorded, on both sides.
fn routed(
    site: &Site<'_>,
    packets: &[Packet],
    caller: &Client,
    callee: &Client,
) -> Outcome<(bool, String)> {
    let outgoing = site.messages(packets, caller)?;
    let incoming = site.messages(packets, callee)?;
    // RFC 3261, 12.1.1 and 12.1.2.
    let answered = outgoing.iter().map(|seen| &seen.message).find(|message| {
        message.status() == Some(200) && message.cseq().is_some_and(|cseq| cseq.1 == "INVITE")
    });
    let invited = incoming
        .iter()
        .map(|seen| &seen.message)
        .find(|message| message.is_request("INVITE"));
    let (answered, invited) = (
        answered.ok_or("no 200 to INVITE")?,
        invited.ok_or("no INVITE came")?,
    );
    let mut back = list(answered, "record-route");
    back.reverse();
    let forth = list(invited, "record-route");
    let (caller_sent, caller_off) = within(&outgoing, &back);
    let (callee_sent, callee_off) = within(&incoming, &forth);
    let direct = packets
        .iter()
        .filter(|packet| is_direct(packet, caller, callee));
    let direct = direct.count();
    // A proxy that leads from one transport to another records itself twice (RFC 5658).
    let sides = 1 + usize::from(forth.iter().any(|route| route.contains("r2=on")));
    let is_good = caller_off + callee_off + direct == 0
        && caller_sent >= 3
        && forth.len() == sides
        && back.len() == sides;
    Ok((
        is_good,
        format!(
            "{} and {} Record-Route; {caller_sent} and {callee_sent} requests along them, {} astray, {direct} direct; {}",
            back.len(),
            forth.len(),
            caller_off + callee_off,
            ladder(&outgoing)
        ),
    ))
}

/// How many requests we sent within the dialog, and how many of them without this route.
fn within(messages: &[Seen], route: &[&str]) -> (usize, usize) {
    let ours = messages.iter().filter(|seen| seen.is_ours);
    let sent: Vec<&Message> = ours
        .map(|seen| &seen.message)
        .filter(|message| {
            ["ACK", "BYE", "INVITE"]
                .iter()
                .any(|method| message.is_request(method))
        })
        .filter(|message| message.tag("to").is_some())
        // That of a challenge is the INVITE's own (RFC 3261, 17.1.1.3).
        .filter(|message| !(message.is_request("ACK") && is_of_refused(message, messages)))
        .collect();
    let astray = sent
        .iter()
        .filter(|message| list(message, "route") != route);
    (sent.len(), astray.count())
}

/// Whether an ACK is for a response that is no success.
fn is_of_refused(ack: &Message, messages: &[Seen]) -> bool {
    messages
        .iter()
        .any(|seen| seen.message.is_request("INVITE") && seen.message.branch() == ack.branch())
}

/// The values of a header of addresses.
fn list<'a>(message: &'a Message, name: &'a str) -> Vec<&'a str> {
    let values = message.all(name).flat_map(|value| value.split(','));
    values.map(str::trim).collect()
}

/// Whether SIP went from one to the other without the server.
fn is_direct(packet: &Packet, caller: &Client, callee: &Client) -> bool {
    let ends = [packet.source, packet.destination];
    ends.iter()
        .all(|end| caller.is_at(*end) || callee.is_at(*end))
        && String::from_utf8_lossy(&packet.payload).contains("SIP/2.0")
}

/// Whether nothing can be read that should not be, and something is there.
fn encrypted(packets: &[Packet]) -> (bool, String) {
    let readable = packets
        .iter()
        .filter(|packet| String::from_utf8_lossy(&packet.payload).contains("SIP/2.0"));
    let (readable, segments) = (
        readable.count(),
        packets
            .iter()
            .filter(|packet| packet.sequence.is_some() && !packet.payload.is_empty())
            .count(),
    );
    (
        readable == 0 && segments > 10,
        format!("{segments} segments of TLS, {readable} packets of readable SIP"),
    )
}

const AT_LOOPBACK: &str =
    "call between ports of ::1 through sip:[::1], held and resumed, callee hangs up";
/// Seconds until one hangs up, and of sound that must be heard.
const TALK: &str = "2.5";
const HEARD: &str = "1";
