//! Calls with aiortc, which speaks as browsers do: DTLS-SRTP, ICE, RTCP on the port of RTP. Over a cable between
//! two networks, since addresses of loopback are no candidates (RFC 8445, 5.1.1.1).

use crate::{
    Lab, Outcome,
    agent::Agent,
    network::{Cable, Place},
    phone::{PATIENCE, RATE, read, verdict},
    process::Process,
};
use audio::{Sound, speech::Voice, wave};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    let rows = |case: &Case| [KEYS, TO, FROM].map(|what| (PEER, case.row(what)));
    let mut expected: Vec<_> = CASES.iter().flat_map(rows).collect();
    expected.push((PEER, LIE.to_owned()));
    expected
}

/// Runs all calls.
pub(crate) fn run(lab: &Lab) {
    let made = Cable::new().and_then(|cable| Ok((cable, Speech::new(lab)?)));
    let (cable, speech) = match made {
        Ok(made) => made,
        Err(error) => return lab.say(&format!("{PEER}: {error}")),
    };
    for (number, case) in (0..).zip(CASES) {
        lab.run(PEER, &case.row(KEYS), || {
            case.speak(lab, &cable, &speech, number)
        });
    }
    lab.run(PEER, LIE, || lie(lab, &cable, &speech));
}

/// It answers with a fingerprint that is not that of its certificate: nothing is heard, and we say why.
fn lie(lab: &Lab, cable: &Cable, speech: &Speech) -> Outcome<()> {
    let (port, our_port) = (FIRST_PORT + 100, FIRST_PORT + 101);
    let heard = lab.directory.join("aiortc-lie-heard.wav");
    let record = lab.directory.join("aiortc-lie-ours.wav");
    let (play, kept) = (speech.our_file.to_string_lossy(), record.to_string_lossy());
    let mut phone = phone(lab, cable, "aiortc-lie", port, speech, &heard, Some("lie"))?;
    let target = uri("webrtc", &cable.far, port);
    let words = [
        "call",
        &target,
        "--codecs",
        "PCMU",
        "--ice",
        "--srtp",
        "dtls",
        "--play",
        &play,
        "--record",
        &kept,
        "--hangup-after",
        "10",
    ];
    let mut agent = Agent::start(lab, &cable.near, "aiortc-lie-agent", our_port, words)?;
    let last = agent.finish(LENGTH + 2 * PATIENCE)?;
    phone.wait(PATIENCE)?;
    // 16 bits, 44 bytes of header.
    let bytes = std::fs::read(&heard).map_err(|error| error.to_string())?;
    let is_silent = bytes.iter().skip(44).all(|byte| *byte == 0);
    let is_good = last.exit == 8 && last.reason.contains("certificate") && is_silent;
    let value = format!(
        "{} (exit {}), it hears {}",
        last.reason,
        last.exit,
        if is_silent { "nothing" } else { "us" }
    );
    lab.table.add(PEER, LIE, is_good, value);
    Ok(())
}

/// Starts aiortc, which calls or does what `word` says.
fn phone(
    lab: &Lab,
    cable: &Cable,
    name: &str,
    port: u16,
    speech: &Speech,
    heard: &Path,
    word: Option<&str>,
) -> Outcome<Process> {
    let mut command = cable.far.command(PYTHON);
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/aiortc/phone.py"))
        .args([cable.far.address().to_string(), port.to_string()])
        .args([speech.their_file.as_path(), heard])
        .args(word);
    let phone = Process::start(name, command, &lab.directory)?;
    let is_ready = phone.wait_for(&mut 0, START, |line| (line == "ready").then_some(()));
    is_ready.ok_or("aiortc does not start")?;
    Ok(phone)
}

/// Who calls, and what we wish.
struct Case {
    is_ours: bool,
    srtp: &'static str,
}

/// What is said.
struct Speech {
    ours: Sound,
    our_file: PathBuf,
    theirs: Sound,
    their_file: PathBuf,
}

impl Speech {
    fn new(lab: &Lab) -> Outcome<Self> {
        // Where Python is late at first, our delay has come down again before half of it is said.
        let once = audio::speech::utterance(Voice::Bob, RATE);
        let speech = Self {
            ours: audio::speech::utterance(Voice::Alice, RATE),
            our_file: lab.directory.join("aiortc-ours.wav"),
            theirs: Sound::new(RATE, once.samples.repeat(2)),
            their_file: lab.directory.join("aiortc-theirs.wav"),
        };
        wave::write(&speech.our_file, &speech.ours).map_err(|error| error.to_string())?;
        wave::write(&speech.their_file, &speech.theirs).map_err(|error| error.to_string())?;
        Ok(speech)
    }
}

impl Case {
    fn row(&self, what: &str) -> String {
        let who = if self.is_ours { "we call" } else { "it calls" };
        format!("{who}, SRTP {}: {what}", self.srtp)
    }

    fn speak(&self, lab: &Lab, cable: &Cable, speech: &Speech, number: u16) -> Outcome<()> {
        let name = format!("aiortc-{number}");
        let port = FIRST_PORT + number * PORTS;
        let our_port = port + 1;
        let [record, heard] = ["ours", "theirs"].map(|end| {
            let file = format!("{name}-{end}-heard.wav");
            lab.directory.join(file)
        });
        let (play, kept) = (speech.our_file.to_string_lossy(), record.to_string_lossy());
        let target = uri("webrtc", &cable.far, port);
        let verb: &[&str] = match self.is_ours {
            true => &["call", &target],
            false => &["answer", "--auto", "--count", "1"],
        };
        let common = [
            "--codecs",
            "PCMU",
            "--ice",
            "--srtp",
            self.srtp,
            "--play",
            &play,
            "--record",
            &kept,
            "--hangup-after",
            "17",
        ];
        let words = [verb, &common].concat();
        let start = |to: Option<&str>| phone(lab, cable, &name, port, speech, &heard, to);
        let our_name = format!("{name}-agent");
        let agent = || Agent::start(lab, &cable.near, &our_name, our_port, &words);
        let (mut agent, mut phone) = match self.is_ours {
            true => {
                let phone = start(None)?;
                (agent()?, phone)
            }
            false => {
                let agent = agent()?;
                (agent, start(Some(&uri("alice", &cable.near, our_port)))?)
            }
        };
        agent.event("SIPSessionDidStart", 2 * PATIENCE)?;
        let last = agent.finish(LENGTH + 2 * PATIENCE)?;
        phone.wait(PATIENCE)?;
        let lines = phone.lines();
        let said = |word: &str| lines.iter().find(|line| line.starts_with(word)).cloned();
        let is_connected = said("connectionState connected");
        let dtls = said("dtls ");
        let media = &last.data["media"];
        let is_good = last.exit == 0
            && is_connected.is_some()
            && media["srtp_method"] == "dtls"
            && media["srtp_keys_in_clear"] == false
            && media["srtp_discarded"]["forged"] == 0
            && media["ice"]["state"] == "completed";
        let value = format!(
            "{}, {}; we say {} {} (exit {})",
            is_connected.as_deref().unwrap_or("it is not connected"),
            dtls.as_deref().unwrap_or("no DTLS"),
            media["srtp_method"].as_str().unwrap_or("nothing"),
            media["srtp_cipher"].as_str().unwrap_or("nothing"),
            last.exit
        );
        lab.table.add(PEER, &self.row(KEYS), is_good, value);
        self.judge(lab, TO, &speech.ours, read(&heard));
        self.judge(lab, FROM, &speech.theirs, read(&record));
        Ok(())
    }

    fn judge(&self, lab: &Lab, what: &str, sent: &Sound, heard: Outcome<Sound>) {
        let (is_good, value) = verdict(sent, heard);
        lab.table.add(PEER, &self.row(what), is_good, value);
    }
}

fn uri(user: &str, place: &Place, port: u16) -> String {
    format!("sip:{user}@{}:{port}", place.address())
}

const CASES: &[Case] = &[
    Case {
        is_ours: true,
        srtp: "dtls",
    },
    Case {
        is_ours: false,
        srtp: "dtls",
    },
    // It offers nothing else.
    Case {
        is_ours: false,
        srtp: "optional",
    },
];
/// Debian's, which has python3-aiortc.
const PYTHON: &str = "/usr/bin/python3";
/// It loads a good deal.
const START: Duration = Duration::from_secs(20);
/// Longer than either says its sentence.
const LENGTH: Duration = Duration::from_secs(17);
const FIRST_PORT: u16 = 19_300;
const PORTS: u16 = 2;
const PEER: &str = "aiortc";
const KEYS: &str = "the keys";
const TO: &str = "speech to it";
const FROM: &str = "speech from it";
const LIE: &str = "we call, one digit of its fingerprint is another one: no media";
