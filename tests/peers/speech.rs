//! Speech both ways with baresip, and who hangs up.

use crate::{
    Outcome,
    message::Seen,
    phone::{Desk, PATIENCE, Trail, Way, compare, figures, read},
    rtp,
    sipp::Transport,
};
use audio::{Sound, measure::Comparison};
use std::{thread, time::Duration};

/// The rows of this part.
pub(crate) fn expected() -> Vec<String> {
    let mut rows: Vec<String> = ways().flat_map(of_call).collect();
    rows.extend([OTHER_FILE, OTHER_LAW].map(str::to_owned));
    rows
}

/// The rows of a call.
pub(crate) fn of_call(way: Way) -> [String; 3] {
    [TO, FROM, END].map(|what| format!("{}: {what}", way.name()))
}

/// Runs all calls.
pub(crate) fn run(desk: &Desk<'_>) {
    let ways: Vec<Way> = ways().collect();
    run_calls(desk, &ways);
}

/// Runs these calls, and adds the rows of each.
pub(crate) fn run_calls(desk: &Desk<'_>, ways: &[Way]) {
    desk.lab.two_at_a_time(ways, |_, &way| {
        desk.run(&format!("{}: {END}", way.name()), || call(desk, way));
    });
}

fn ways() -> impl Iterator<Item = Way> {
    (0..8).map(|number| Way {
        number,
        is_ours: number < 4,
        transport: if number % 4 < 2 {
            Transport::Udp
        } else {
            Transport::Tcp
        },
        codec: if number % 2 == 0 { "PCMU" } else { "PCMA" },
        takes_calls: true,
    })
}

fn call(desk: &Desk<'_>, way: Way) -> Outcome<()> {
    let record = desk.lab.directory.join(format!("heard-{}.wav", way.number));
    let (play, kept) = (desk.our_file.to_string_lossy(), record.to_string_lossy());
    let mut options = vec!["--play", &play, "--record", &kept];
    if !way.is_ours {
        options.push("--auto");
    }
    // Each side hangs up calls of its own and of the other.
    let we_hang_up = way.codec == "PCMU";
    if we_hang_up {
        options.extend(["--hangup-after", "8"]);
    }
    let mut phone = desk.call(way, &options)?;
    phone.stands()?;
    if !we_hang_up {
        thread::sleep(LENGTH);
        phone.baresip.tell("hangup", "")?;
    }
    let closed = phone.baresip.event("CALL_CLOSED", LENGTH + PATIENCE);
    let last = phone.agent.finish(PATIENCE);
    let trail = desk.finish(phone)?;
    let (_, last) = (closed?, last?);
    let byes: Vec<&Seen> = trail
        .messages
        .iter()
        .filter(|seen| seen.message.is_request("BYE"))
        .collect();
    let is_good = last.exit == 0 && byes.len() == 1 && byes[0].is_ours == we_hang_up;
    let by = if we_hang_up { "us" } else { "baresip" };
    let value = format!(
        "by {by}: {} BYE, exit {} {}",
        byes.len(),
        last.exit,
        last.reason
    );
    desk.add(&format!("{}: {END}", way.name()), is_good, value);

    let own = trail
        .heard_by_baresip()
        .and_then(|heard| judge(desk, way, TO, &desk.ours, &heard));
    own.unwrap_or_else(|error| desk.add(&format!("{}: {TO}", way.name()), false, error));
    let heard = read(&record).and_then(|heard| judge(desk, way, FROM, &desk.theirs, &heard));
    heard.unwrap_or_else(|error| desk.add(&format!("{}: {FROM}", way.name()), false, error));
    if way.number == 0 {
        desk.run(OTHER_FILE, || must_differ(desk, &trail));
    }
    Ok(())
}

fn judge(desk: &Desk<'_>, way: Way, what: &str, sent: &Sound, heard: &Sound) -> Outcome<()> {
    let result = compare(sent, heard)?;
    let value = format!(
        "{}, {:.0} % of what was said",
        figures(&result),
        result.sent.share() * 100.0
    );
    desk.add(&format!("{}: {what}", way.name()), is_whole(&result), value);
    Ok(())
}

/// Said, heard, all of it and as loud.
fn is_whole(result: &Comparison) -> bool {
    result.is_faithful() && result.sent.share() >= 0.95
}

/// The comparison does not say yes to everything: another file and another law fail.
fn must_differ(desk: &Desk<'_>, trail: &Trail) -> Outcome<()> {
    let heard = trail.heard_by_baresip()?;
    let other = compare(&desk.theirs, &heard)?;
    desk.add(OTHER_FILE, !is_whole(&other), figures(&other));
    let packets = rtp::to_port(&trail.packets, trail.rtp_port(false)?);
    let decoded = |law| rtp::sound(&packets, law).ok_or("no such law");
    let right = compare(&desk.ours, &decoded(Some(rtp::PCMU))?)?;
    let wrong = compare(&desk.ours, &decoded(Some(rtp::PCMA))?)?;
    let value = format!("as sent {}; as PCMA {}", figures(&right), figures(&wrong));
    desk.add(OTHER_LAW, is_whole(&right) && !is_whole(&wrong), value);
    Ok(())
}

/// Longer than either says its sentence.
const LENGTH: Duration = Duration::from_secs(8);
const TO: &str = "speech to it";
const FROM: &str = "speech from it";
const END: &str = "hang-up";
const OTHER_FILE: &str = "compared with the other file: must fail";
const OTHER_LAW: &str = "PCMU decoded as PCMA: must fail";
