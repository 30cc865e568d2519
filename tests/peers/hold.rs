//! Hold and resume with baresip, from either side.

use crate::{
    Outcome,
    message::Seen,
    phone::{Desk, PATIENCE, Trail, Way, compare, figures, read},
    rtp::{self, Rtp},
    sipp::Transport,
};
use audio::Sound;
use std::{path::Path, thread, time::Duration};

/// The rows of this part.
pub(crate) fn expected() -> Vec<String> {
    SCRIPTS
        .iter()
        .flat_map(|script| WHAT.map(|what| script.case(what)))
        .collect()
}

/// Runs all scripts.
pub(crate) fn run(desk: &Desk<'_>) {
    desk.lab.two_at_a_time(SCRIPTS, |number, script| {
        desk.run(&script.case(STOPS), || script.play(desk, 10 + number));
    });
}

/// Who holds and resumes when, in seconds after the call stands.
struct Script {
    name: &'static str,
    is_ours: bool,
    transport: Transport,
    /// `true` is us.
    steps: &'static [(f64, bool, Step)],
    end: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Hold,
    Resume,
}

impl Script {
    fn case(&self, what: &str) -> String {
        format!("{}, {}: {what}", self.name, self.transport.name())
    }

    fn play(&self, desk: &Desk<'_>, number: u16) -> Outcome<()> {
        let way = Way {
            number,
            is_ours: self.is_ours,
            transport: self.transport,
            codec: "PCMA",
            takes_calls: true,
        };
        let record = desk.lab.directory.join(format!("heard-{number}.wav"));
        let mut options: Vec<String> = ["--loop", "--play", &desk.our_file.to_string_lossy()]
            .map(str::to_owned)
            .to_vec();
        options.extend(["--record".to_owned(), record.to_string_lossy().into_owned()]);
        if !self.is_ours {
            options.push("--auto".to_owned());
        }
        options.extend(["--hangup-after".to_owned(), self.end.to_string()]);
        for (after, _, step) in self.steps.iter().filter(|(_, is_ours, _)| *is_ours) {
            let option = if *step == Step::Hold {
                "--hold-after"
            } else {
                "--unhold-after"
            };
            options.extend([option.to_owned(), after.to_string()]);
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let mut phone = desk.call(way, &options)?;
        phone.stands()?;
        let mut passed = 0.0;
        for (after, is_ours, step) in self.steps {
            thread::sleep(Duration::from_secs_f64(after - passed));
            passed = *after;
            match (is_ours, step) {
                (true, _) => {}
                (false, Step::Hold) => phone.baresip.tell("hold", "")?,
                (false, Step::Resume) => phone.baresip.tell("resume", "")?,
            }
        }
        let last = phone
            .agent
            .finish(Duration::from_secs_f64(self.end) + PATIENCE);
        let trail = desk.finish(phone)?;
        let last = last?;
        if last.exit != 0 {
            return Err(format!("exit {} {}", last.exit, last.reason));
        }
        self.judge(desk, &trail, &record)
    }

    fn judge(&self, desk: &Desk<'_>, trail: &Trail, record: &Path) -> Outcome<()> {
        let offers = offers(&trail.messages);
        let who: Vec<bool> = offers.iter().map(|offer| offer.is_ours).collect();
        let wanted: Vec<bool> = self.steps.iter().map(|(_, is_ours, _)| *is_ours).collect();
        if who != wanted {
            return Err(format!("re-INVITEs, true if ours: {who:?}, not {wanted:?}"));
        }
        let (held, resumed) = (&offers[0], &offers[offers.len() - 1]);
        let ours = rtp::to_port(&trail.packets, trail.rtp_port(false)?);
        let theirs = rtp::to_port(&trail.packets, trail.rtp_port(true)?);
        for (who, packets) in [("our", &ours), ("its", &theirs)] {
            // What did not flow cannot stop.
            if rtp::went_on(packets, held.asked - SOON, held.asked) == 0.0 {
                return Err(format!("{who} RTP did not flow before"));
            }
        }
        let ms = |seconds: f64| seconds * 1_000.0;
        let end = resumed.asked - AT_ONCE;
        let stops = [&ours, &theirs].map(|packets| rtp::went_on(packets, held.asked, end));
        let value = format!(
            "ours after {:.0} ms, its after {:.0} ms, nothing for {:.1} s",
            ms(stops[0]),
            ms(stops[1]),
            resumed.asked - held.asked - stops[0].max(stops[1])
        );
        desk.add(
            &self.case(STOPS),
            stops.iter().all(|time| *time <= SOON),
            value,
        );

        let back = [&ours, &theirs].map(|packets| rtp::was_back(packets, resumed.answered));
        let value = format!(
            "ours after {:.0} ms, its after {:.0} ms",
            ms(back[0]),
            ms(back[1])
        );
        desk.add(
            &self.case(RESUMES),
            back.iter().all(|time| *time <= SOON),
            value,
        );

        let from = resumed.answered + SOON;
        let (mut is_good, mut values) = (true, Vec::new());
        let mut heard = |what: &str, sent: &Sound, heard: &Sound| {
            let result = compare(sent, heard)?;
            is_good &= result.is_faithful() && result.heard.loud >= ENOUGH;
            values.push(format!("{what} {}", figures(&result)));
            Outcome::Ok(())
        };
        heard("to it", &desk.ours, &later(&ours, from)?)?;
        heard("from it", &desk.theirs, &later(&theirs, from)?)?;
        // Our file ends with the call.
        let end = trail
            .messages
            .iter()
            .find(|seen| seen.message.is_request("BYE"));
        let length = end.ok_or("no BYE")?.at - from;
        let recorded = read(record)?;
        let count = (length * f64::from(recorded.rate)) as usize;
        let begin = recorded.samples.len().saturating_sub(count);
        heard(
            "in our file",
            &desk.theirs,
            &Sound::new(recorded.rate, recorded.samples[begin..].to_vec()),
        )?;
        desk.add(&self.case(CORRELATES), is_good, values.join("; "));
        Ok(())
    }
}

/// A re-INVITE.
struct Offer {
    is_ours: bool,
    asked: f64,
    /// When its 2xx came by.
    answered: f64,
}

fn offers(messages: &[Seen]) -> Vec<Offer> {
    let is_again =
        |seen: &&Seen| seen.message.is_request("INVITE") && seen.message.tag("to").is_some();
    let answered = |invite: &Seen| {
        let is_it = |seen: &&Seen| {
            seen.message.status() == Some(200)
                && seen.message.transaction() == invite.message.transaction()
        };
        messages
            .iter()
            .find(is_it)
            .map_or(f64::INFINITY, |seen| seen.at)
    };
    let offers = messages.iter().filter(is_again).map(|seen| Offer {
        is_ours: seen.is_ours,
        asked: seen.at,
        answered: answered(seen),
    });
    offers.collect()
}

fn later(packets: &[Rtp], from: f64) -> Outcome<Sound> {
    rtp::sound(&rtp::since(packets, from), None).ok_or_else(|| "no such codec".to_owned())
}

/// Seconds that stopping and resuming may take.
const SOON: f64 = 0.2;
/// The re-INVITE that resumes and the first packet after it leave by two sockets, in any order.
const AT_ONCE: f64 = 0.02;
/// Loud windows that a judgement needs.
const ENOUGH: usize = 15;
const SCRIPTS: &[Script] = &[
    Script {
        name: "we hold and resume",
        is_ours: true,
        transport: Transport::Udp,
        steps: &[(2.0, true, Step::Hold), (4.0, true, Step::Resume)],
        end: 8.0,
    },
    Script {
        name: "it holds and resumes",
        is_ours: true,
        transport: Transport::Udp,
        steps: &[(2.0, false, Step::Hold), (4.0, false, Step::Resume)],
        end: 8.0,
    },
    Script {
        name: "we hold and resume its call",
        is_ours: false,
        transport: Transport::Tcp,
        steps: &[(2.0, true, Step::Hold), (4.0, true, Step::Resume)],
        end: 8.0,
    },
    Script {
        name: "it holds and resumes its call",
        is_ours: false,
        transport: Transport::Tcp,
        steps: &[(2.0, false, Step::Hold), (4.0, false, Step::Resume)],
        end: 8.0,
    },
    Script {
        name: "both hold, we resume first",
        is_ours: true,
        transport: Transport::Udp,
        steps: &[
            (2.0, true, Step::Hold),
            (3.0, false, Step::Hold),
            (4.0, true, Step::Resume),
            (5.5, false, Step::Resume),
        ],
        end: 9.5,
    },
    Script {
        name: "both hold, it resumes first",
        is_ours: false,
        transport: Transport::Udp,
        steps: &[
            (2.0, false, Step::Hold),
            (3.0, true, Step::Hold),
            (4.0, false, Step::Resume),
            (5.5, true, Step::Resume),
        ],
        end: 9.5,
    },
];
const STOPS: &str = "RTP stops within 200 ms";
const RESUMES: &str = "RTP is back within 200 ms";
const CORRELATES: &str = "speech after that";
const WHAT: [&str; 3] = [STOPS, RESUMES, CORRELATES];
