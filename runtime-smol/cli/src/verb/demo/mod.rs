//! `sipsimple demo`: two agents register with a server and call each other through it over loopback
//! sockets, and every step is verified.

mod party;
mod server;
mod tap;

use crate::{
    ladder::{self, Rung},
    media::RATE,
    options::{Common, Demo},
    outcome::{Exit, Failure, Outcome},
    print::Printer,
};
use audio::{measure, speech::Voice, wave};
use party::Party;
use serde_json::{Value, json};
use server::Server;
use sipsimple::{agent::UserAgent, base::Transport};
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};
use tap::Seen;

/// What both agents play in.
struct Scene<'a> {
    common: &'a Common,
    options: &'a Demo,
    printer: &'a Printer,
    directory: &'a Directory,
    server: &'a Server,
    begun: Instant,
    seen: Sender<Seen>,
}

impl Scene<'_> {
    fn ip(&self) -> IpAddr {
        self.server.address().ip()
    }
}

pub(crate) fn run(common: &Common, options: &Demo, printer: &Printer) -> Outcome {
    let directory = Directory::new(options.out.as_deref())?;
    let ip = common.bind.unwrap_or_else(|| [127, 0, 0, 1].into());
    let server = Server::start(ip, &USERS, (RECEPTION, OFFICE))?;
    let (seen, messages) = channel();
    let scene = Scene {
        common,
        options,
        printer,
        directory: &directory,
        server: &server,
        begun: Instant::now(),
        seen,
    };
    // The server takes what it gets over one transport to the other.
    let transports = match (common.no_udp, common.no_tcp) {
        (true, _) => [Transport::Tcp, Transport::Tcp],
        (false, true) => [Transport::Udp, Transport::Udp],
        (false, false) => [Transport::Udp, Transport::Tcp],
    };
    let mut alice = Party::start(&scene, &[ALICE, OFFICE], Voice::Alice, transports[0])?;
    let mut bob = Party::start(&scene, &[BOB], Voice::Bob, transports[1])?;
    drop(scene);
    let result = play(&mut alice, &mut bob, &server, printer);
    alice.stop(printer);
    bob.stop(printer);
    let (picture, astray) = picture(&messages);
    printer.say(&picture);
    let mut data = json!({"ladder": picture.lines().collect::<Vec<_>>()});
    let result = result
        .and_then(|()| leave(&server, astray, printer))
        .and_then(|()| listen(&alice, &bob, printer, &mut data));
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
fn play(
    alice: &mut Party,
    bob: &mut Party,
    server: &Server,
    printer: &Printer,
) -> Result<(), Failure> {
    let done = |text: &str| printer.event("verified", json!({"step": text}));
    alice.register()?;
    bob.register()?;
    wait(alice, bob, printer, "the registration", |a, b| {
        a.is_registered(2) && b.is_registered(1)
    })?;
    for user in USERS {
        let contacts = server.contacts(user)?;
        if contacts != 1 {
            return Err(failed(&format!("{user} is registered {contacts} times")));
        }
    }
    done("registration");

    alice.call(BOB)?;
    wait(alice, bob, printer, "the call", |a, b| {
        a.so_far.started == 1 && b.so_far.started == 1
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
        a.so_far.digits == DIGITS && b.so_far.digits == DIGITS
    })?;
    done("dtmf");

    alice.command(UserAgent::hold);
    wait(alice, bob, printer, "the hold", |a, b| {
        a.so_far.held_by_us && b.so_far.held_by_peer
    })?;
    rest(alice, bob, printer, IN_FLIGHT);
    let before = bob.packets();
    rest(alice, bob, printer, QUIET);
    if bob.packets() != before {
        return Err(failed("media went on during the hold"));
    }
    alice.command(UserAgent::unhold);
    wait(alice, bob, printer, "the resumption", |a, b| {
        !a.so_far.held_by_us && !b.so_far.held_by_peer
    })?;
    let before = bob.packets();
    wait(alice, bob, printer, "media after the hold", |_, b| {
        b.packets() > before + 5
    })?;
    done("hold");

    alice.media.detach_all(&alice.agent.runtime);
    bob.media.detach_all(&bob.agent.runtime);
    alice.command(UserAgent::end);
    wait(alice, bob, printer, "the end", |a, b| {
        a.so_far.over == 1 && b.so_far.over == 1
    })?;
    done("hang-up");

    // Two users of one agent: the server sends the request to itself first, for whoever is called by
    // another name here, and then back to the agent that it came from (RFC 3261, 6).
    alice.forget();
    alice.call(RECEPTION)?;
    wait(alice, bob, printer, "the call to oneself", |a, _| {
        a.so_far.started == 2
    })?;
    let (callers, spirals) = (alice.callers(), server.spirals()?);
    if callers != [ALICE, OFFICE] || spirals != 1 {
        let text = format!("a spiral is {spirals} spirals and calls of {callers:?}");
        return Err(failed(&text));
    }
    alice.command(UserAgent::end);
    wait(
        alice,
        bob,
        printer,
        "the end of the call to oneself",
        |a, _| a.so_far.over == 2,
    )?;
    done("spiral");
    Ok(())
}

/// After both agents have ended: nothing is left at the server, and nothing went past it.
fn leave(server: &Server, astray: usize, printer: &Printer) -> Result<(), Failure> {
    for user in USERS {
        if server.contacts(user)? != 0 {
            return Err(failed(&format!("{user} is still registered")));
        }
    }
    if astray > 0 {
        return Err(failed(&format!("{astray} messages went past the server")));
    }
    printer.event("verified", json!({"step": "unregistration"}));
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

/// Draws what passed, and counts the requests that went past the server.
fn picture(messages: &Receiver<Seen>) -> (String, usize) {
    let mut astray = 0;
    let mut rungs: Vec<Rung> = Vec::new();
    for seen in messages.try_iter() {
        astray += usize::from(seen.is_astray);
        rungs.extend(seen.rung);
    }
    // They come from two threads.
    rungs.sort_by_key(|rung| rung.at);
    (ladder::draw(&[ALICE, "server", BOB], &rungs), astray)
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

const ALICE: &str = "alice";
const BOB: &str = "bob";
/// The second account of Alice's agent, and another name of it.
const OFFICE: &str = "office";
const RECEPTION: &str = "reception";
const USERS: [&str; 3] = [ALICE, BOB, OFFICE];
/// Each way at once; two equal ones in a row, and the ones that are no figures.
const DIGITS: &str = "1159#*0D";
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
