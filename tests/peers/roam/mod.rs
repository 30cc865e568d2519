//! Another network in mid-call, or while registered: the interface loses its address and is given
//! another one (APP-20).
//!
//! Two of ours, each in a network of its own. What is judged is what the one that stays sees on its
//! wire: when the first message came from the new address, and that nothing names the old one any
//! more. The `o=` line is let off: RFC 3264, 8 forbids to change it; and so are From and To, which a
//! dialog keeps as they were dialled. So is a bare segment by which the
//! system of the one that stays closes a connection whose other end is gone.

mod registered;

use crate::{
    Lab, Outcome,
    agent::Agent,
    capture::Capture,
    network::{self, INTERFACE, LossyPath},
    now,
    pcap::Packet,
};
use std::{net::IpAddr, thread, time::Duration};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    let cases = CASES.map(|case| [FOLLOWS, QUIET, ENDS].map(|what| format!("{}: {what}", case.0)));
    let cases = cases.concat().into_iter();
    let cases = cases.map(|case| (PEER, case));
    cases.chain(registered::expected()).collect()
}

/// Moves the caller, over UDP and over TCP; the callee; then one who only waits for calls.
pub(crate) fn run(lab: &Lab) {
    for (index, (name, transport, callee)) in CASES.into_iter().enumerate() {
        lab.run(PEER, &format!("{name}: {FOLLOWS}"), || {
            case(lab, index as u16, name, transport, callee)
        });
    }
    registered::run(lab);
}

fn case(lab: &Lab, index: u16, name: &str, transport: &str, callee: bool) -> Outcome<()> {
    let (port, peer_port) = (16_200 + 20 * index, 16_210 + 20 * index);
    let mut path = LossyPath::new(0)?;
    let label = |what: &str| format!("roam-{index}-{what}");
    let capture = Capture::start(lab, &path.far, INTERFACE, &label("wire"), "udp or tcp")?;
    // The one that stays is bound; the one that moves listens wherever a default route leads.
    let (mut mover, mut stayer) = if callee {
        let answer = ["answer", "--auto", "--count", "1", "--account", CALLEE];
        let mover = Agent::start_anywhere(lab, &path.near, &label("mover"), port, answer)?;
        let target = target(path.near.address(), port, transport);
        let call = ["call", &target, "--hangup-after", TALK, "--account", CALLER];
        let stayer = Agent::start(lab, &path.far, &label("stayer"), peer_port, call)?;
        (mover, stayer)
    } else {
        let answer = [
            "answer",
            "--auto",
            "--count",
            "1",
            "--hangup-after",
            TALK,
            "--account",
            CALLEE,
        ];
        let stayer = Agent::start(lab, &path.far, &label("stayer"), peer_port, answer)?;
        let target = target(path.far.address(), peer_port, transport);
        let call = ["call", &target, "--account", CALLER];
        let mover = Agent::start_anywhere(lab, &path.near, &label("mover"), port, call)?;
        (mover, stayer)
    };
    mover.event("SIPSessionDidStart", LIMIT)?;
    stayer.event("SIPSessionDidStart", LIMIT)?;
    thread::sleep(Duration::from_secs(2));
    let old = path.near.address();
    let new = path.move_near()?;
    let moved = now();
    mover.event("NetworkConditionsDidChange", LIMIT)?;
    let last = stayer.finish(Duration::from_secs(30))?;
    let other = mover.finish(Duration::from_secs(30))?;
    let packets = capture.finish()?;

    let first = packets
        .iter()
        .find(|packet| packet.source.ip() == new && is_sip(packet));
    let after = first.map(|packet| packet.at - moved);
    lab.table.add(
        PEER,
        &format!("{name}: {FOLLOWS}"),
        after.is_some_and(|after| after <= 5.0),
        match after {
            Some(after) => format!("after {after:.1} s"),
            None => "never".to_owned(),
        },
    );
    let late: Vec<&Packet> = packets
        .iter()
        .filter(|packet| packet.at > moved + 5.0 && names(packet, old))
        .collect();
    let heard = packets
        .iter()
        .filter(|packet| packet.at > moved + 5.0 && is_media(packet))
        .count();
    lab.table.add(
        PEER,
        &format!("{name}: {QUIET}"),
        late.is_empty() && heard > 100,
        format!(
            "{} of {} packets name it, {heard} of RTP",
            late.len(),
            packets.len()
        ),
    );
    lab.table.add(
        PEER,
        &format!("{name}: {ENDS}"),
        last.exit == 0 && other.exit == 0,
        format!(
            "exit {} and {}: {} {}",
            last.exit, other.exit, last.reason, other.reason
        ),
    );
    Ok(())
}

fn target(address: IpAddr, port: u16, transport: &str) -> String {
    format!(
        "sip:bob@{}:{port};transport={transport}",
        network::host(address)
    )
}

/// True for a message of SIP.
pub(crate) fn is_sip(packet: &Packet) -> bool {
    let mut lines = packet.payload.split(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default());
    first.contains("SIP/2.0")
}

/// Sound of G.711: 20 ms behind a bare RTP header (RFC 3550, 5.1), and the proof of SRTP at its end.
fn is_media(packet: &Packet) -> bool {
    let payload = &packet.payload;
    let is_audio = matches!(payload.get(..2), Some([0x80, head]) if matches!(head & 0x7f, 0 | 8));
    packet.sequence.is_none() && is_audio && (172..=188).contains(&payload.len())
}

/// True if a packet goes to or comes from an address, or speaks of it.
pub(crate) fn names(packet: &Packet, address: IpAddr) -> bool {
    let text = String::from_utf8_lossy(&packet.payload);
    let spoken = text
        .lines()
        .filter(|line| {
            !["o=", "From:", "To:"]
                .iter()
                .any(|kept| line.starts_with(kept))
        })
        .any(|line| line.contains(&address.to_string()));
    let is_sent = packet.source.ip() == address || packet.destination.ip() == address;
    spoken || (is_sent && !packet.payload.is_empty())
}

/// Without an account the address itself would be who we are, for as long as the dialog lasts.
const CALLER: &str = "alice@example.com";
const CALLEE: &str = "bob@example.com";
const PEER: &str = "sipsimple";
const CASES: [(&str, &str, bool); 3] = [
    ("the caller's address changes, UDP", "udp", false),
    ("the caller's address changes, TCP", "tcp", false),
    ("the callee's address changes, UDP", "udp", true),
];
const FOLLOWS: &str = "signalling follows within 5 s";
const QUIET: &str = "later packets without the old address";
const ENDS: &str = "hang-up by the one that stayed";
/// Seconds until the one that stays hangs up.
const TALK: &str = "14";
const LIMIT: Duration = Duration::from_secs(10);
