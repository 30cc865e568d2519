//! Another network while registered: a call comes to the new address, because the registrar, Kamailio,
//! knows no other one (ACC-37; RFC 3261, 10.2.4).

use super::{LIMIT, PEER, names};
use crate::{
    Lab, Outcome,
    agent::Agent,
    authority::Authority,
    capture::Capture,
    kamailio::server::{Challenge, PASSWORD, Server},
    network::{INTERFACE, LossyPath},
    now,
};
use std::{
    ffi::OsString,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// The rows.
pub(super) fn expected() -> Vec<(&'static str, String)> {
    let of_way = |way| [MOVES, REACHED, QUIET].map(|what| (PEER, row(way, what)));
    WAYS.map(of_way).concat()
}

/// Moves one who is registered, over each transport.
pub(super) fn run(lab: &Lab) {
    for (way, port) in WAYS.into_iter().zip([16_300, 16_320]) {
        lab.run(PEER, &row(way, MOVES), || case(lab, way, port));
    }
}

fn case(lab: &Lab, way: &str, port: u16) -> Outcome<()> {
    let label = |what: &str| format!("roam-registered-{way}-{what}");
    let mut path = LossyPath::new(0)?;
    let authority = Authority::new(&lab.directory.join(label("ca")))?;
    let challenge = Challenge::Sha256;
    let server = Server::start(
        lab,
        path.far.clone(),
        &authority,
        challenge,
        &label("server"),
    )?;
    let password = lab.directory.join(label("password"));
    fs::write(&password, PASSWORD).map_err(|error| error.to_string())?;
    let proxy = format!("sip:{};transport={way}", path.far.address());
    let options = |user: &str, words: &[&str]| {
        let account = format!("{user}@{}", challenge.domain());
        options(words, &account, &proxy, &password)
    };
    let answer = options("bob", &["answer", "--auto", "--count", "1", "--register"]);
    let mut callee = Agent::start_anywhere(lab, &path.near, &label("callee"), port, answer)?;
    callee.event(SUCCEEDED, LIMIT)?;
    let (old, before) = (path.near.address(), server.bindings("bob")?);
    let capture = Capture::start(lab, &path.far, INTERFACE, &label("wire"), "udp or tcp")?;
    let new = path.move_near()?;
    let moved = now();
    callee.event("NetworkConditionsDidChange", LIMIT)?;
    callee.event(SUCCEEDED, LIMIT)?;
    // The old binding is taken back behind that.
    let begun = Instant::now();
    let is_moved = |bindings: &[String]| {
        bindings.len() == 1
            && bindings[0].contains(&new.to_string())
            && !bindings[0].contains(&old.to_string())
    };
    let mut bindings = server.bindings("bob")?;
    while !is_moved(&bindings) && begun.elapsed() < LIMIT {
        thread::sleep(LOOK);
        bindings = server.bindings("bob")?;
    }
    let settled = now();
    lab.table.add(
        PEER,
        &row(way, MOVES),
        before.len() == 1
            && before[0].contains(&old.to_string())
            && is_moved(&bindings)
            && settled - moved <= 5.0,
        format!(
            "{} instead of {}, after {:.1} s",
            bindings.join(", "),
            before.join(", "),
            settled - moved
        ),
    );
    let target = format!("sip:bob@{}", challenge.domain());
    let realm = challenge.domain();
    let call = [
        "call",
        &target,
        "--hangup-after",
        "1",
        "--auth-realm",
        &realm,
    ];
    let call = options("alice", &call);
    let mut caller = Agent::start_unheard(lab, &path.far, &label("caller"), port + 10, call)?;
    let (last, other) = (caller.finish(LIMIT)?, callee.finish(LIMIT)?);
    lab.table.add(
        PEER,
        &row(way, REACHED),
        (last.exit, other.exit) == (0, 0),
        format!("exit {} and {} {}", last.exit, other.exit, last.reason),
    );
    let packets = capture.finish()?;
    let later: Vec<_> = packets
        .iter()
        .filter(|packet| packet.at > settled)
        .collect();
    let named = later.iter().filter(|packet| names(packet, old)).count();
    lab.table.add(
        PEER,
        &row(way, QUIET),
        named == 0 && later.len() > 10,
        format!("{named} of {} packets name it", later.len()),
    );
    Ok(())
}

fn options(words: &[&str], account: &str, proxy: &str, password: &Path) -> Vec<OsString> {
    let common = ["--account", account, "--proxy", proxy, "--password-file"];
    let words = words.iter().chain(&common).map(OsString::from);
    words.chain([password.into()]).collect()
}

fn row(way: &str, what: &str) -> String {
    let way = way.to_uppercase();
    format!("the registered callee's address changes, {way}: {what}")
}

const WAYS: [&str; 2] = ["udp", "tcp"];
const MOVES: &str = "only the new one is bound within 5 s";
const REACHED: &str = "a call comes";
const QUIET: &str = "from then on nothing names the old address";
const SUCCEEDED: &str = "SIPAccountRegistrationDidSucceed";
const LOOK: Duration = Duration::from_millis(100);
