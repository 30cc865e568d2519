//! `sipsimple demo`: two agents call each other over loopback sockets, and every step is verified.

use crate::{
    agent::{Agent, Wait},
    config,
    ladder::{self, Rung},
    media::{Media, RATE},
    options::{Break, Common, Demo},
    outcome::{Exit, Failure, Outcome},
    print::Printer,
    runtime::Tap,
};
use audio::{
    Sound, measure,
    speech::{Voice, utterance},
    wave,
};
use serde_json::{Value, json};
use sipsimple::{
    agent::{Connect, Output, SessionId, StreamId},
    event::{Event, Originator, SessionEvent, StreamEvent},
    rtp::Digit,
    stream::{
        StreamSpec,
        audio::{self as stream, AudioStream, SendDtmf},
    },
};
use std::{
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

pub(crate) fn run(common: &Common, options: &Demo, printer: &Printer) -> Outcome {
    let directory = Directory::new(options.out.as_deref())?;
    let (rungs, seen) = channel();
    let mut alice = Party::start(
        "alice",
        Voice::Alice,
        common,
        options,
        printer,
        &directory,
        Some(rungs),
    )?;
    let mut bob = Party::start(
        "bob",
        Voice::Bob,
        common,
        options,
        printer,
        &directory,
        None,
    )?;
    let result = play(&mut alice, &mut bob, printer);
    alice.stop(printer);
    bob.stop(printer);
    let picture = ladder(&seen);
    printer.say(&picture);
    let mut data = json!({"ladder": picture.lines().collect::<Vec<_>>()});
    let result = result.and_then(|()| listen(&alice, &bob, printer, &mut data));
    if let Some(path) = &options.out {
        printer.say(&format!("what was said and heard is in {}", path.display()));
    }
    match result {
        Ok(()) => {
            printer.say("every step was verified");
            Ok(data)
        }
        Err(failure) => Err(failure.with(data)),
    }
}

/// Everything that needs the sockets.
fn play(alice: &mut Party, bob: &mut Party, printer: &Printer) -> Result<(), Failure> {
    let done = |text: &str| printer.event("verified", json!({"step": text}));
    let address = bob.address()?;
    let connect = Connect::new(
        format!("sip:bob@{address}")
            .parse()
            .map_err(|_| internal("an address is no URI"))?,
        vec![StreamSpec::new(stream::KIND)],
    );
    let session = alice
        .agent
        .runtime
        .call(move |agent, now| agent.connect(now, connect));
    alice.session = session.and_then(Result::ok);
    wait(alice, bob, printer, "the call", |a, b| {
        a.stream.is_some() && b.stream.is_some()
    })?;
    done("call");

    alice.attach()?;
    bob.attach()?;
    let length = alice.said.duration().max(bob.said.duration());
    rest(alice, bob, printer, length + SPEECH_MARGIN);

    for party in [&mut *alice, &mut *bob] {
        party.send_digits()?;
    }
    wait(alice, bob, printer, "the digits", |a, b| {
        a.digits == DIGITS && b.digits == DIGITS
    })?;
    done("dtmf");

    alice.command(sipsimple::agent::UserAgent::hold);
    wait(alice, bob, printer, "the hold", |a, b| {
        a.held_by_us && b.held_by_peer
    })?;
    rest(alice, bob, printer, IN_FLIGHT);
    let before = bob.packets();
    rest(alice, bob, printer, QUIET);
    if bob.packets() != before {
        return Err(failed("media went on during the hold"));
    }
    alice.command(sipsimple::agent::UserAgent::unhold);
    wait(alice, bob, printer, "the resumption", |a, b| {
        !a.held_by_us && !b.held_by_peer
    })?;
    let before = bob.packets();
    wait(alice, bob, printer, "media after the hold", |_, b| {
        b.packets() > before + 5
    })?;
    done("hold");

    alice.media.detach_all();
    bob.media.detach_all();
    alice.command(sipsimple::agent::UserAgent::end);
    wait(alice, bob, printer, "the end", |a, b| {
        a.is_over && b.is_over
    })?;
    done("hang-up");
    Ok(())
}

/// Compares what the other agent wrote with what was said.
fn listen(alice: &Party, bob: &Party, printer: &Printer, data: &mut Value) -> Result<(), Failure> {
    for (speaker, listener) in [(alice, bob), (bob, alice)] {
        let heard = wave::read(&listener.heard).map_err(|error| failed(&error.to_string()))?;
        let comparison = measure::compare(&speaker.said, &heard, RATE)
            .map_err(|error| internal(&error.to_string()))?;
        let name = format!("{} to {}", speaker.name, listener.name);
        let shares = (comparison.sent.share(), comparison.heard.share());
        let quality = json!({
            "said_share": shares.0,
            "heard_share": shares.1,
            "gain_db": comparison.gain,
            "windows": comparison.heard.loud,
        });
        data[&name] = quality.clone();
        // What was said must have arrived, and what arrived must have been said.
        if !comparison.is_faithful() || shares.0 < FAITHFUL {
            return Err(failed(&format!(
                "speech from {name} is not what was said: {quality}"
            )));
        }
        printer.event(
            "verified",
            json!({"step": format!("speech from {name}"), "quality": quality}),
        );
    }
    Ok(())
}

/// One of the two agents with what it says and hears.
struct Party {
    name: &'static str,
    agent: Agent,
    media: Media,
    said: Sound,
    heard: PathBuf,
    session: Option<SessionId>,
    stream: Option<StreamId>,
    digits: String,
    held_by_us: bool,
    held_by_peer: bool,
    is_over: bool,
}

impl Party {
    fn start(
        name: &'static str,
        voice: Voice,
        common: &Common,
        options: &Demo,
        printer: &Printer,
        directory: &Directory,
        rungs: Option<Sender<Rung>>,
    ) -> Result<Self, Failure> {
        let said = utterance(voice, RATE);
        let path = directory.file(&format!("{name}-said.wav"));
        wave::write(&path, &said)
            .map_err(|error| Failure::new(Exit::Configuration, error.to_string()))?;
        let heard = directory.file(&format!("{name}-heard.wav"));
        let mut config = config::read(common, None)?;
        config.addresses = vec![common.bind.unwrap_or_else(|| [127, 0, 0, 1].into())];
        config.account.display_name = Some(name.to_owned());
        config.trace |= rungs.is_some();
        // Recording and capture are of the one who calls: both would write the same file.
        let caller = |file: &Option<PathBuf>| file.clone().filter(|_| rungs.is_some());
        let common = Common {
            record_run: caller(&common.record_run),
            pcap: caller(&common.pcap),
            ..common.clone()
        };
        config.record = common.record_run.is_some();
        let tap = tap(options.broken, rungs);
        Ok(Self {
            name,
            agent: Agent::start_tapped(&common, config, printer, tap)?,
            media: Media::saying(said.clone(), &heard)?,
            said,
            heard,
            session: None,
            stream: None,
            digits: String::new(),
            held_by_us: false,
            held_by_peer: false,
            is_over: false,
        })
    }

    fn address(&self) -> Result<std::net::SocketAddr, Failure> {
        let first = self
            .agent
            .listening
            .first()
            .ok_or_else(|| internal("nobody listens"))?;
        Ok(first.address)
    }

    fn attach(&mut self) -> Result<(), Failure> {
        match self.stream {
            Some(stream) => self.media.attach(&self.agent.runtime, stream),
            None => Err(internal("no stream")),
        }
    }

    fn send_digits(&self) -> Result<(), Failure> {
        let Some(stream) = self.stream else {
            return Err(internal("no stream"));
        };
        let sent = self.agent.runtime.call(move |agent, now| {
            let digits = DIGITS
                .chars()
                .filter_map(|digit| Digit::try_from(digit).ok());
            digits
                .into_iter()
                .all(|digit| matches!(agent.command(now, stream, SendDtmf::new(digit)), Ok(Ok(()))))
        });
        (sent == Some(true))
            .then_some(())
            .ok_or_else(|| failed("digits cannot be sent"))
    }

    fn command<E: Send + 'static>(
        &self,
        command: fn(&mut sipsimple::agent::UserAgent, Instant, SessionId) -> Result<(), E>,
    ) {
        if let Some(session) = self.session {
            // What came of it is told by events.
            let _ = self
                .agent
                .runtime
                .call(move |agent, now| command(agent, now, session).is_ok());
        }
    }

    fn packets(&self) -> u64 {
        let Some(stream) = self.stream else { return 0 };
        let packets = self.agent.runtime.call(move |agent, _| {
            Some(
                agent
                    .stream::<AudioStream>(stream)?
                    .statistics()?
                    .packets_received,
            )
        });
        packets.flatten().unwrap_or(0)
    }

    /// Takes the events of a moment.
    fn listen(&mut self, printer: &Printer) {
        while let Wait::Event(notification) = self.agent.next_before(Instant::now() + MOMENT) {
            printer.notification(&notification);
            match notification.event {
                Event::Session(id, SessionEvent::NewIncoming { streams }) => {
                    self.session = Some(id);
                    // What came of it is told by events.
                    let _ = self.agent.runtime.call(move |agent, now| {
                        let rings = agent.ring(now, id);
                        rings.and_then(|()| agent.accept(now, id, &streams))
                    });
                }
                Event::Session(_, SessionEvent::DidStart { streams }) => {
                    self.stream = streams.first().copied()
                }
                Event::Session(
                    _,
                    SessionEvent::DidChangeHoldState {
                        originator,
                        on_hold,
                        ..
                    },
                ) => match originator {
                    Originator::Local => self.held_by_us = on_hold,
                    Originator::Remote => self.held_by_peer = on_hold,
                },
                Event::Session(_, SessionEvent::DidEnd { .. } | SessionEvent::DidFail { .. }) => {
                    self.is_over = true
                }
                Event::Stream(_, StreamEvent::GotDtmf { digit }) => self.digits.push(digit),
                _ => {}
            }
        }
    }

    fn stop(&mut self, printer: &Printer) {
        self.media.detach_all();
        self.agent.stop(printer);
    }
}

/// Follows both until the step is done; not in time is a failure.
fn wait(
    alice: &mut Party,
    bob: &mut Party,
    printer: &Printer,
    step: &str,
    is_done: impl Fn(&Party, &Party) -> bool,
) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        alice.listen(printer);
        bob.listen(printer);
        if is_done(alice, bob) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(failed(&format!("{step} did not come")));
        }
    }
}

fn rest(alice: &mut Party, bob: &mut Party, printer: &Printer, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        alice.listen(printer);
        bob.listen(printer);
    }
}

/// Draws what passes, and loses what the demo is told to lose.
fn tap(broken: Option<Break>, rungs: Option<Sender<Rung>>) -> Tap {
    let begun = Instant::now();
    Box::new(move |now, output| match output {
        Output::Trace(trace) => {
            if let (Some(rungs), Some(label)) = (&rungs, ladder::label(&trace.plaintext)) {
                let rung = Rung {
                    at: now.saturating_duration_since(begun),
                    rightwards: trace.sent,
                    label,
                };
                // The picture may be drawn already.
                let _ = rungs.send(rung);
            }
            true
        }
        Output::Transmit { payload, .. } => broken.is_none_or(|broken| !is_lost(broken, payload)),
        _ => true,
    })
}

fn is_lost(broken: Break, datagram: &[u8]) -> bool {
    let payload_type = match datagram {
        [first, second, ..] if first >> 6 == 2 => Some(second & 0x7f),
        _ => None,
    };
    match broken {
        // 64 to 95 are reports (RFC 5761, 4).
        Break::Media => payload_type.is_some_and(|number| number < 64),
        Break::Dtmf => payload_type == Some(EVENTS),
        Break::Hold => {
            let text = String::from_utf8_lossy(datagram);
            let to = text.lines().find(|line| line.starts_with("To:"));
            text.starts_with("INVITE ") && to.is_some_and(|to| to.contains(";tag="))
        }
    }
}

fn ladder(seen: &Receiver<Rung>) -> String {
    let mut rungs: Vec<Rung> = seen.try_iter().collect();
    let first = rungs.first().map_or(Duration::ZERO, |rung| rung.at);
    for rung in &mut rungs {
        rung.at = rung.at.saturating_sub(first);
    }
    ladder::draw("alice", "bob", &rungs)
}

/// Where the files go; a temporary one is removed at the end.
struct Directory {
    path: PathBuf,
    is_temporary: bool,
}

impl Directory {
    fn new(wish: Option<&Path>) -> Result<Self, Failure> {
        let temporary =
            || std::env::temp_dir().join(format!("sipsimple-demo-{}", std::process::id()));
        let path = wish.map_or_else(temporary, Path::to_owned);
        std::fs::create_dir_all(&path).map_err(|error| {
            Failure::new(Exit::Configuration, format!("{}: {error}", path.display()))
        })?;
        Ok(Self {
            path,
            is_temporary: wish.is_none(),
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.is_temporary {
            // What is left behind is the system's to clean.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn failed(reason: &str) -> Failure {
    Failure::new(Exit::Media, reason)
}

fn internal(reason: &str) -> Failure {
    Failure::new(Exit::Internal, reason)
}

/// Each way at once; two equal ones in a row, and the ones that are no figures.
const DIGITS: &str = "1159#*0D";
/// The payload number that our descriptions give telephone events.
const EVENTS: u8 = 101;
/// The least share of what was said that must have been heard.
const FAITHFUL: f64 = 0.95;
/// For the last frames to pass jitter buffers.
const SPEECH_MARGIN: Duration = Duration::from_millis(500);
/// For packets that were on their way when the hold was agreed on.
const IN_FLIGHT: Duration = Duration::from_millis(200);
/// How long a hold is listened to.
const QUIET: Duration = Duration::from_millis(400);
/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// One look at one agent.
const MOMENT: Duration = Duration::from_millis(5);
