//! A call between two hosts of a world, by way of Kamailio and with ICE.

use super::world::{PROXY, Site, World};
use crate::{
    Lab, Outcome,
    agent::{Agent, Last},
    authority::Authority,
    coturn,
    kamailio::server::{self, Challenge, Server},
    phone::{RATE, compare, figures, read},
};
use audio::{Sound, speech::Voice, wave};
use serde_json::Value;
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// What all calls of a world share.
pub(super) struct Exchange<'a> {
    pub(super) lab: &'a Lab,
    pub(super) speech: Speech,
    pub(super) authority: Authority,
    password: PathBuf,
    /// The file of coturn's password.
    relays: PathBuf,
    heard: Mutex<Vec<Heard>>,
    _server: Server<'a>,
}

/// What is said.
pub(super) struct Speech {
    caller: Sound,
    pub(super) caller_file: PathBuf,
    callee: Sound,
    callee_file: PathBuf,
}

/// A call that was begun.
pub(super) struct Call {
    pub(super) caller: Agent,
    pub(super) callee: Agent,
    records: [PathBuf; 2],
    /// How long it may last.
    limit: Duration,
}

/// What a call was like.
pub(super) struct Seen {
    pub(super) caller: Last,
    pub(super) callee: Last,
    /// Seconds from the call to its start, and how much of that was checks of ICE.
    took: f64,
    checks: f64,
    /// What the caller has heard, and the callee.
    pub(super) records: [PathBuf; 2],
}

impl<'a> Exchange<'a> {
    /// Starts the proxy of a world.
    pub(super) fn new(lab: &'a Lab, world: &World, name: &str) -> Outcome<Self> {
        let directory = lab.directory.join(name);
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let authority = Authority::new(&directory)?;
        let password = lab.directory.join(format!("{name}-password"));
        fs::write(&password, server::PASSWORD).map_err(|error| error.to_string())?;
        let relays = lab.directory.join(format!("{name}-relays"));
        fs::write(&relays, coturn::PASSWORD).map_err(|error| error.to_string())?;
        let place = world.server(PROXY);
        let proxy = format!("{name}-proxy");
        Ok(Self {
            lab,
            speech: Speech::new(lab, name)?,
            password,
            relays,
            heard: Mutex::default(),
            _server: Server::start(lab, place, &authority, CHALLENGE, &proxy)?,
            authority,
        })
    }

    /// Has one host register, and another one call it; each with options of its own.
    pub(super) fn call(
        &self,
        name: &str,
        hosts: [&Site; 2],
        options: [&[OsString]; 2],
        seconds: u32,
    ) -> Outcome<Call> {
        let (caller, callee) = (format!("{name}-caller"), format!("{name}-callee"));
        let records = [&caller, &callee].map(|name| self.lab.directory.join(format!("{name}.wav")));
        let answer = ["answer", "--auto", "--count", "1", "--register"].map(OsString::from);
        let common = self.common(&callee, &self.speech.callee_file, &records[1]);
        let words = [&answer[..], &common, options[1]].concat();
        let mut second = self.start(hosts[1], &callee, words)?;
        second.event("SIPAccountRegistrationDidSucceed", LIMIT)?;
        let target = format!("sip:{callee}@{}", CHALLENGE.domain());
        let limit = Duration::from_secs(seconds.into()) + END;
        let seconds = seconds.to_string();
        let call = ["call", &target, "--hangup-after", &seconds].map(OsString::from);
        let common = self.common(&caller, &self.speech.caller_file, &records[0]);
        let words = [&call[..], &common, options[0]].concat();
        Ok(Call {
            caller: self.start(hosts[0], &caller, words)?,
            callee: second,
            records,
            limit,
        })
    }

    /// Who will move listens wherever a default route leads.
    fn start(&self, site: &Site, name: &str, words: Vec<OsString>) -> Outcome<Agent> {
        match site.is_roaming {
            true => Agent::start_anywhere(self.lab, &site.place, name, PORT, words),
            false => Agent::start(self.lab, &site.place, name, PORT, words),
        }
    }

    /// The options of who may use these TURN servers, and further ones.
    pub(super) fn turn(&self, servers: &[&str], words: &[&str]) -> Vec<OsString> {
        let servers = servers.iter().flat_map(|server| ["--turn", server]);
        let known = ["--ice", "--turn-user", coturn::USER].into_iter();
        let words = known.chain(servers).chain(words.iter().copied());
        let file: [OsString; 2] = ["--turn-password-file".into(), self.relays.clone().into()];
        words.map(OsString::from).chain(file).collect()
    }

    fn common(&self, user: &str, play: &Path, record: &Path) -> Vec<OsString> {
        let (account, realm) = (format!("{user}@{}", CHALLENGE.domain()), CHALLENGE.domain());
        let proxy = format!("sip:{PROXY};transport=tcp");
        let words = ["--codecs", "PCMU", "--account", &account, "--proxy", &proxy];
        let words = words.iter().map(OsString::from);
        let realm = ["--auth-realm", &realm].map(OsString::from);
        let files = [
            ("--password-file", self.password.as_path()),
            ("--play", play),
            ("--record", record),
        ];
        let files = files.map(|(option, path)| [option.into(), path.into()]);
        words
            .chain(realm)
            .chain(files.into_iter().flatten())
            .collect()
    }
}

impl Speech {
    fn new(lab: &Lab, name: &str) -> Outcome<Self> {
        let say = |voice, end: &str| {
            let mut sound = audio::speech::utterance(voice, RATE);
            sound.samples.truncate(SENTENCE * RATE as usize);
            // Neither end is ready at the very moment when the other one is.
            sound.samples.splice(0..0, vec![0; RATE as usize / 2]);
            let path = lab.directory.join(format!("{name}-{end}.wav"));
            wave::write(&path, &sound).map_err(|error| error.to_string())?;
            Ok::<_, String>((sound, path))
        };
        let ((caller, caller_file), (callee, callee_file)) =
            (say(Voice::Alice, "alice")?, say(Voice::Bob, "bob")?);
        Ok(Self {
            caller,
            caller_file,
            callee,
            callee_file,
        })
    }
}

/// Who says something.
#[derive(Clone, Copy, Debug)]
enum Side {
    Caller,
    Callee,
}

/// Files that shall have what was said.
#[derive(Debug)]
struct Heard {
    peer: &'static str,
    row: String,
    files: Vec<(Side, PathBuf)>,
}

impl Exchange<'_> {
    /// Has it judged whether each end of a call has heard the other one. Comparing takes a processor that
    /// calls need more while there are any.
    pub(super) fn judge_later(&self, peer: &'static str, row: String, seen: &Seen) {
        let [first, second] = seen.records.clone();
        let files = vec![(Side::Callee, first), (Side::Caller, second)];
        self.heard().push(Heard { peer, row, files });
    }

    /// The same of one file, with what the caller says.
    pub(super) fn judge_file_later(&self, peer: &'static str, row: String, file: PathBuf) {
        let files = vec![(Side::Caller, file)];
        self.heard().push(Heard { peer, row, files });
    }

    /// Judges all of it.
    pub(super) fn judge(&self) {
        thread::scope(|scope| {
            for _ in 0..PROCESSORS {
                scope.spawn(|| {
                    loop {
                        let next = self.heard().pop();
                        let Some(next) = next else { break };
                        let (is_heard, value) = self.compare(&next.files);
                        self.lab.table.add(next.peer, &next.row, is_heard, value);
                    }
                });
            }
        });
    }

    fn compare(&self, files: &[(Side, PathBuf)]) -> (bool, String) {
        let (mut all, mut values) = (true, Vec::new());
        for (side, file) in files {
            let sent = match side {
                Side::Caller => &self.speech.caller,
                Side::Callee => &self.speech.callee,
            };
            let result = read(file).and_then(|heard| compare(sent, &heard));
            values.push(match result {
                Ok(result) => {
                    let shares = [result.heard.share(), result.sent.share()];
                    all &= shares.iter().all(|share| *share >= HEARD);
                    all &= result.gain.is_some_and(|gain| gain.abs() <= 1.0);
                    let share = result.sent.share() * 100.0;
                    format!("{} ({share:.0} %)", figures(&result))
                }
                Err(error) => {
                    all = false;
                    error
                }
            });
        }
        (all, values.join("; "))
    }

    fn heard(&self) -> MutexGuard<'_, Vec<Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    /// Waits until it stands; returns how long that took, and the checks of it.
    pub(super) fn stands(&mut self) -> Outcome<(f64, f64)> {
        let begun = self.caller.first("listening").map_or(0.0, |event| event.at);
        let started = self.caller.event("SIPSessionDidStart", LIMIT)?;
        self.callee.event("SIPSessionDidStart", LIMIT)?;
        let succeeded = self.caller.first("AudioStreamICENegotiationDidSucceed");
        let checks = succeeded.and_then(|event| event.data["duration"].as_f64());
        Ok((started.at - begun, checks.unwrap_or_default()))
    }

    /// Waits for its end.
    pub(super) fn finish(mut self, (took, checks): (f64, f64)) -> Outcome<Seen> {
        Ok(Seen {
            caller: self.caller.finish(self.limit)?,
            callee: self.callee.finish(END)?,
            took,
            checks,
            records: self.records,
        })
    }
}

impl Seen {
    /// Says whether both ends have chosen candidates of these kinds, the caller's first.
    pub(super) fn is_pair(&self, (first, second): (&str, &str)) -> (bool, String) {
        let both = [&self.caller, &self.callee].map(|last| kinds(&last.data["media"]["ice"]));
        let [ours, theirs] = both;
        let is_it = ours == [first, second] && theirs == [second, first];
        let value = format!(
            "{}, the other end {}; after {:.2} s, {:.2} s of them checks; exit {} {} and {} {}",
            ours.join(" to "),
            theirs.join(" to "),
            self.took,
            self.checks,
            self.caller.exit,
            self.caller.reason,
            self.callee.exit,
            self.callee.reason,
        );
        (is_it, value)
    }

    /// True if both have done what they were asked to.
    pub(super) fn is_done(&self) -> bool {
        self.caller.exit == 0 && self.callee.exit == 0
    }
}

/// The kinds of the pair that carries RTP: local, remote.
fn kinds(ice: &Value) -> [&str; 2] {
    ["local_type", "remote_type"].map(|side| ice["rtp"][side].as_str().unwrap_or("nothing"))
}

const CHALLENGE: Challenge = Challenge::Sha256;
const PORT: u16 = 5_060;
const LIMIT: Duration = Duration::from_secs(20);
/// Beyond the length of a call.
const END: Duration = Duration::from_secs(20);
const PROCESSORS: usize = 2;
/// How much of what one end said the other one must have heard, and of what it heard must have been said. Many
/// calls share a machine here: how well one alone is heard, others measure.
const HEARD: f64 = 0.85;
/// How many seconds each says something.
const SENTENCE: usize = 5;
