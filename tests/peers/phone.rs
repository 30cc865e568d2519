//! Calls with baresip: what all of its cases share.

use crate::{
    Lab, Outcome,
    agent::Agent,
    baresip::{Baresip, Setup},
    capture::{self, Capture},
    check, ending, hold,
    message::Seen,
    network::Place,
    pcap::{self, Packet},
    sipp::Transport,
    speech,
};
use audio::{
    Sound,
    measure::{self, Comparison},
    speech::Voice,
    wave,
};
use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    let cases = [speech::expected(), hold::expected(), ending::expected()].concat();
    let wire = TRANSPORTS.map(of_messages);
    cases
        .into_iter()
        .chain(wire.concat())
        .map(|case| (PEER, case))
        .collect()
}

/// The rows of all messages over a transport.
pub(crate) fn of_messages(transport: Transport) -> [String; 2] {
    [FORM, WIRESHARK].map(|what| format!("{}: {what}", transport.name()))
}

/// Runs all cases.
pub(crate) fn run(lab: &Lab) {
    let desk = match Desk::new(lab) {
        Ok(desk) => desk,
        Err(error) => return lab.say(&format!("{PEER}: {error}")),
    };
    speech::run(&desk);
    hold::run(&desk);
    ending::run(&desk);
    for transport in TRANSPORTS {
        let case = format!("{}: {FORM}", transport.name());
        desk.run(&case, || desk.judge_messages(transport));
    }
}

/// What the cases with baresip share.
pub(crate) struct Desk<'a> {
    pub(crate) lab: &'a Lab,
    /// Whose rows these are.
    peer: &'static str,
    /// Where both sides are.
    place: Place,
    /// Once, for us to say.
    pub(crate) ours: Sound,
    pub(crate) our_file: PathBuf,
    /// Once; the file has it several times, since baresip ends with it.
    pub(crate) theirs: Sound,
    their_file: PathBuf,
    /// All messages that were seen.
    messages: Mutex<Vec<(Transport, Seen)>>,
}

/// How a call comes to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// The number of the case, for its ports.
    pub(crate) number: u16,
    /// We call.
    pub(crate) is_ours: bool,
    pub(crate) transport: Transport,
    pub(crate) codec: &'static str,
    /// baresip takes calls by itself.
    pub(crate) takes_calls: bool,
}

/// A call, or what would like to be one.
pub(crate) struct Phone {
    pub(crate) agent: Agent,
    pub(crate) baresip: Baresip,
    capture: Capture,
    way: Way,
}

/// What a call left behind.
pub(crate) struct Trail {
    pub(crate) packets: Vec<Packet>,
    pub(crate) messages: Vec<Seen>,
    /// Where baresip left what it heard.
    pub(crate) directory: PathBuf,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(lab: &'a Lab) -> Outcome<Self> {
        Self::at(lab, PEER, Place::loopback())
    }

    /// One elsewhere, whose rows have a name of their own.
    pub(crate) fn at(lab: &'a Lab, peer: &'static str, place: Place) -> Outcome<Self> {
        let desk = Self {
            lab,
            peer,
            place,
            ours: audio::speech::utterance(Voice::Alice, RATE),
            our_file: lab.directory.join("ours.wav"),
            theirs: audio::speech::utterance(Voice::Bob, RATE),
            their_file: lab.directory.join("theirs.wav"),
            messages: Mutex::default(),
        };
        let repeated = Sound::new(RATE, desk.theirs.samples.repeat(4));
        wave::write(&desk.our_file, &desk.ours).map_err(|error| error.to_string())?;
        wave::write(&desk.their_file, &repeated).map_err(|error| error.to_string())?;
        Ok(desk)
    }

    /// Starts both programs; whoever calls has then called.
    ///
    /// The options are those of our verb, media and all.
    pub(crate) fn call(&self, way: Way, options: &[&str]) -> Outcome<Phone> {
        self.call_with(way, options, "")
    }

    /// The same with further parameters of baresip's account.
    pub(crate) fn call_with(&self, way: Way, options: &[&str], account: &str) -> Outcome<Phone> {
        let name = format!("call-{}", way.number);
        let port = way.port();
        let filter = format!("portrange {port}-{}", port + PORTS - 1);
        let capture = Capture::start(self.lab, &self.place, "lo", &name, &filter)?;
        let setup = Setup {
            name: &name,
            place: &self.place,
            port,
            codec: way.codec,
            speech: &self.their_file,
            takes_calls: way.takes_calls,
            account,
            identity: None,
            is_muxed: false,
        };
        let mut baresip = Baresip::start(self.lab, setup)?;
        let parameter = way.transport.parameter();
        let (our_port, peer) = (
            way.our_port(),
            format!("sip:bob@{}:{port}{parameter}", self.place.host()),
        );
        let verb: &[&str] = if way.is_ours {
            &["call", &peer]
        } else {
            &["answer", "--count", "1"]
        };
        let common = ["--codecs", way.codec];
        let words = verb.iter().chain(&common).chain(options);
        let agent = Agent::start(self.lab, &self.place, &name, our_port, words)?;
        if !way.is_ours {
            baresip.tell(
                "dial",
                &format!("sip:alice@{}:{our_port}{parameter}", self.place.host()),
            )?;
        }
        Ok(Phone {
            agent,
            baresip,
            capture,
            way,
        })
    }

    /// Ends baresip and the capture.
    pub(crate) fn finish(&self, phone: Phone) -> Outcome<Trail> {
        let directory = phone.baresip.finish()?;
        let packets = phone.capture.finish()?;
        let messages = pcap::messages(&packets, phone.way.our_port(), phone.way.port())?;
        let transport = phone.way.transport;
        let mut all = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(messages.iter().map(|seen| (transport, seen.clone())));
        Ok(Trail {
            packets,
            messages,
            directory,
        })
    }

    /// Adds a row of baresip.
    pub(crate) fn add(&self, case: &str, is_good: bool, value: impl Into<String>) {
        self.lab.table.add(self.peer, case, is_good, value);
    }

    /// Runs a case of baresip.
    pub(crate) fn run(&self, case: &str, body: impl FnOnce() -> Outcome<()>) {
        self.lab.run(self.peer, case, body);
    }

    /// Judges all that was said over a transport: see [`of_messages`].
    pub(crate) fn judge_messages(&self, transport: Transport) -> Outcome<()> {
        let all = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let messages: Vec<Seen> = all
            .iter()
            .filter(|(known, _)| *known == transport)
            .map(|(_, seen)| seen.clone())
            .collect();
        let ours = messages.iter().filter(|seen| seen.is_ours).count();
        let faults = check::faults(&messages);
        let value = format!("{ours} messages of ours, {}", capture::some(&faults));
        self.add(
            &format!("{}: {FORM}", transport.name()),
            faults.is_empty() && ours > 0,
            value,
        );
        let name = format!("{}-{}", self.peer, transport.name());
        let (is_good, value) = capture::dissect(self.lab, &name, &messages)?.of(&messages);
        self.add(
            &format!("{}: {WIRESHARK}", transport.name()),
            is_good,
            value,
        );
        Ok(())
    }
}

impl Way {
    const fn port(self) -> u16 {
        FIRST_PORT + self.number * PORTS
    }

    const fn our_port(self) -> u16 {
        self.port() + PORTS - 2
    }

    /// Who calls, and how.
    pub(crate) fn name(self) -> String {
        let who = if self.is_ours { "we call" } else { "it calls" };
        format!("{who}, {}, {}", self.transport.name(), self.codec)
    }
}

impl Phone {
    /// Waits until both sides say that the call stands.
    pub(crate) fn stands(&mut self) -> Outcome<()> {
        self.baresip.event("CALL_ESTABLISHED", PATIENCE)?;
        self.agent.event("SIPSessionDidStart", PATIENCE)?;
        Ok(())
    }
}

impl Trail {
    /// The port for RTP of one side, as its first description of the session says.
    pub(crate) fn rtp_port(&self, is_ours: bool) -> Outcome<u16> {
        let described = self
            .messages
            .iter()
            .filter(|seen| seen.is_ours == is_ours)
            .find_map(|seen| {
                let body = std::str::from_utf8(&seen.message.body).ok()?;
                let line = body
                    .lines()
                    .find_map(|line| line.strip_prefix("m=audio "))?;
                line.split(' ').next()?.parse().ok()
            });
        described.ok_or_else(|| "no audio is described".to_owned())
    }

    /// A line of baresip's that has `text` in it.
    pub(crate) fn baresip_says(&self, text: &str) -> Option<String> {
        said_by_baresip(&self.directory, text)
    }

    /// What baresip heard.
    pub(crate) fn heard_by_baresip(&self) -> Outcome<Sound> {
        heard_by_baresip(&self.directory)
    }
}

/// A line with `text` in it that the baresip of a directory has printed.
pub(crate) fn said_by_baresip(directory: &std::path::Path, text: &str) -> Option<String> {
    let name = directory.display();
    let said = ["out", "err"].map(|end| {
        let path = format!("{name}.baresip.{end}");
        std::fs::read_to_string(path).unwrap_or_default()
    });
    let mut lines = said.iter().flat_map(|said| said.lines());
    lines.find(|line| line.contains(text)).map(str::to_owned)
}

/// What the baresip of a directory heard.
pub(crate) fn heard_by_baresip(directory: &std::path::Path) -> Outcome<Sound> {
    let files = std::fs::read_dir(directory).map_err(|error| error.to_string())?;
    let mut names = files.filter_map(|file| Some(file.ok()?.path()));
    let found = names.find(|path| path.to_string_lossy().ends_with("-dec.wav"));
    read(&found.ok_or("baresip left no file of what it heard")?)
}

/// Reads a WAV file.
pub(crate) fn read(path: &std::path::Path) -> Outcome<Sound> {
    wave::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Compares what was heard with what was sent.
pub(crate) fn compare(sent: &Sound, heard: &Sound) -> Outcome<Comparison> {
    measure::compare(sent, heard, RATE).map_err(|error| error.to_string())
}

/// Says whether what was heard is what was sent, nine tenths of it at least, and the figures of that.
pub(crate) fn verdict(sent: &Sound, heard: Outcome<Sound>) -> (bool, String) {
    verdict_of(least(false), sent, heard)
}

/// How much of a sentence must be heard. As the server of a handshake baresip takes no ClientHello before it has
/// read our answer, and the one that is repeated comes a second later (RFC 6347, 4.2.4.1).
pub(crate) const fn least(is_server: bool) -> f64 {
    match is_server {
        true => 0.8,
        false => 0.9,
    }
}

/// How many packets may come in the clear, of which we play none: as the server of a handshake for each component
/// baresip speaks so from the keys of the one to those of the other, which are repeated after 1 and 2 s.
pub(crate) const fn most_in_clear(is_server: bool) -> u64 {
    match is_server {
        true => 150,
        false => 0,
    }
}

/// The same with another share at least.
pub(crate) fn verdict_of(least: f64, sent: &Sound, heard: Outcome<Sound>) -> (bool, String) {
    match heard.and_then(|heard| compare(sent, &heard)) {
        Ok(result) => (
            result.is_faithful() && result.sent.share() >= least,
            figures(&result),
        ),
        Err(error) => (false, error),
    }
}

/// Says whether a short recording, which the answer may cut at one place, may pass for what was sent: nine in ten of its
/// windows are that, as loud.
pub(crate) fn is_heard(comparison: &Comparison) -> bool {
    comparison.heard.share() >= 0.9 && comparison.gain.is_some_and(|gain| gain.abs() <= 1.0)
}

/// The figures of a comparison.
pub(crate) fn figures(comparison: &Comparison) -> String {
    let heard = comparison.heard;
    let mut text = format!("{} of {} windows", heard.matching, heard.loud);
    if let Some(gain) = comparison.gain {
        text.push_str(&format!(", {gain:+.2} dB"));
    }
    if comparison.jumps > 0 {
        text.push_str(&format!(", {} jumps", comparison.jumps));
    }
    text
}

pub(crate) const RATE: u32 = 8_000;
/// For what a peer does at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
const TRANSPORTS: [Transport; 2] = [Transport::Udp, Transport::Tcp];
const FIRST_PORT: u16 = 15_000;
/// Of one case: baresip's SIP first, ours near the end.
const PORTS: u16 = 32;
pub(crate) const PEER: &str = "baresip";
const FORM: &str = "tags, Contact, CSeq, branches, Content-Length";
const WIRESHARK: &str = "Wireshark";
