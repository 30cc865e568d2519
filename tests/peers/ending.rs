//! Digits both ways with baresip, and calls that never stand: busy and cancelled.

use crate::{
    Outcome,
    message::ladder,
    phone::{Desk, PATIENCE, Way},
    sipp::Transport,
};
use std::{thread, time::Duration};

/// The rows of this part.
pub(crate) fn expected() -> Vec<String> {
    let mut rows = Vec::new();
    for way in ways() {
        let what = [TO, FROM, BUSY, CANCEL];
        rows.extend(what.map(|what| case(way, what)));
    }
    rows
}

/// Runs all cases.
pub(crate) fn run(desk: &Desk<'_>) {
    let ways: Vec<Way> = ways().collect();
    desk.lab.two_at_a_time(&ways, |_, &way| {
        desk.run(&case(way, TO), || digits(desk, way));
        let (busy, cancelled) = (
            Way {
                number: way.number + 1,
                ..way
            },
            Way {
                number: way.number + 2,
                ..way
            },
        );
        let manual = |way| Way {
            takes_calls: false,
            ..way
        };
        desk.run(&case(way, BUSY), || refused(desk, manual(busy)));
        desk.run(&case(way, CANCEL), || given_up(desk, manual(cancelled)));
    });
}

fn ways() -> impl Iterator<Item = Way> {
    (0..4).map(|number| Way {
        number: 16 + number * 3,
        is_ours: number < 2,
        transport: if number % 2 == 0 {
            Transport::Udp
        } else {
            Transport::Tcp
        },
        codec: "PCMA",
        takes_calls: true,
    })
}

fn case(way: Way, what: &str) -> String {
    let who = if way.is_ours { "we call" } else { "it calls" };
    format!("{who}, {}: {what}", way.transport.name())
}

fn digits(desk: &Desk<'_>, way: Way) -> Outcome<()> {
    let play = desk.our_file.to_string_lossy();
    let mut options = vec!["--dtmf", DIGITS, "--play", &play];
    if !way.is_ours {
        options.push("--auto");
    }
    let mut phone = desk.call(way, &options)?;
    phone.stands()?;
    thread::sleep(ALL_DIGITS);
    phone.baresip.tell("sndcode", DIGITS)?;
    thread::sleep(ALL_DIGITS);
    let told = phone.baresip.events();
    let heard: String = told
        .iter()
        .filter(|told| told.kind == "CALL_DTMF_START")
        .map(|told| told.parameter.as_str())
        .collect();
    let ended = told
        .iter()
        .filter(|told| told.kind == "CALL_DTMF_END")
        .count();
    let events = phone.agent.events("AudioStreamGotDTMF");
    let ours: String = events
        .iter()
        .filter_map(|event| event.data["digit"].as_str())
        .collect();
    phone.baresip.tell("hangup", "")?;
    let last = phone.agent.finish(PATIENCE);
    desk.finish(phone)?;
    last?;
    let is_good = heard == DIGITS && ended == DIGITS.len();
    desk.add(
        &case(way, TO),
        is_good,
        format!("heard {heard}, {ended} ends"),
    );
    desk.add(&case(way, FROM), ours == DIGITS, format!("heard {ours}"));
    Ok(())
}

/// Whoever is called is busy.
fn refused(desk: &Desk<'_>, way: Way) -> Outcome<()> {
    let options: &[&str] = if way.is_ours {
        &[]
    } else {
        &["--reject", "486"]
    };
    let mut phone = desk.call(way, options)?;
    if way.is_ours {
        phone.baresip.event("CALL_INCOMING", PATIENCE)?;
        phone.baresip.tell("hangup", "")?;
    }
    let closed = phone.baresip.event("CALL_CLOSED", PATIENCE);
    let last = phone.agent.finish(PATIENCE);
    let trail = desk.finish(phone)?;
    let (closed, last) = (closed?, last?);
    let ladder = ladder(&trail.messages);
    let expected = if way.is_ours {
        "INVITE 180 486 ACK"
    } else {
        "INVITE 486 ACK"
    };
    let is_told = match way.is_ours {
        true => last.exit == 7 && last.reason.contains("486"),
        false => last.exit == 0 && closed.parameter.contains("486"),
    };
    let value = format!(
        "{ladder}; exit {} {}; it says {}",
        last.exit, last.reason, closed.parameter
    );
    desk.add(&case(way, BUSY), is_told && ladder == expected, value);
    Ok(())
}

/// Whoever calls gives up.
fn given_up(desk: &Desk<'_>, way: Way) -> Outcome<()> {
    let options: &[&str] = if way.is_ours {
        &["--cancel-after", "1"]
    } else {
        &[]
    };
    let mut phone = desk.call(way, options)?;
    if way.is_ours {
        phone.baresip.event("CALL_INCOMING", PATIENCE)?;
    } else {
        phone.baresip.event("CALL_RINGING", PATIENCE)?;
        phone.baresip.tell("hangup", "")?;
    }
    let closed = phone.baresip.event("CALL_CLOSED", PATIENCE);
    let last = phone.agent.finish(PATIENCE);
    let failed = phone
        .agent
        .events("SIPSessionDidFail")
        .first()
        .map(|event| event.data["code"].clone());
    let trail = desk.finish(phone)?;
    let (closed, last) = (closed?, last?);
    let ladder = ladder(&trail.messages);
    let mut words: Vec<&str> = ladder.split(' ').collect();
    // The 200 and the 487 may come in either order.
    words.sort_unstable();
    let is_good = words == ["180", "200/CANCEL", "487", "ACK", "CANCEL", "INVITE"]
        && failed.as_ref().is_some_and(|code| code == 487);
    let code = failed.unwrap_or_default();
    let value = format!(
        "{ladder}; our code {code}, exit {}; it says {}",
        last.exit, closed.parameter
    );
    desk.add(&case(way, CANCEL), is_good, value);
    Ok(())
}

const DIGITS: &str = "1159#*0D";
/// Longer than they take.
const ALL_DIGITS: Duration = Duration::from_secs(3);
const TO: &str = "digits 1159#*0D to it";
const FROM: &str = "digits 1159#*0D from it";
const BUSY: &str = "busy";
const CANCEL: &str = "cancel";
