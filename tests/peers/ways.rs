//! Calls with baresip that come by another way: media before the answer, a challenge, a connection that
//! is lost in mid-call, transfers, TLS by name under an authority of our own.

use crate::{
    Lab, Outcome,
    agent::Agent,
    authority::Authority,
    baresip::{Baresip, Setup},
    capture::{self, Capture},
    check,
    core::{self, Core},
    message::{Seen, ladder},
    network::Place,
    pcap::{self, Packet},
    phone,
    relay::Relay,
    resolver,
};
use audio::{Sound, speech::Voice, wave};
use base::digest::{HashFunction, Secret};
use sip::{
    Config, Event, Headers, IncomingReferralEvent, InvitationEvent, Refer, ReferralEvent, Status,
    auth::Guard,
};
use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    CASES
        .iter()
        .map(|case| (PEER, case.name.to_owned()))
        .collect()
}

/// Runs all cases side by side.
pub(crate) fn run(lab: &Lab) {
    let made = speech(lab).and_then(|speech| Ok((speech, identity(lab)?)));
    let (speech, (root, identity)) = match made {
        Ok(made) => made,
        Err(error) => return lab.say(&format!("{PEER}: {error}")),
    };
    thread::scope(|scope| {
        for (number, case) in (0..).zip(CASES) {
            let (speech, root, identity) = (&speech, &root, &identity);
            scope.spawn(move || {
                lab.run(PEER, case.name, || {
                    let scene = Scene {
                        lab,
                        name: format!("way-{number}"),
                        port: FIRST_PORT + number * PORTS,
                        speech,
                        root,
                        identity,
                    };
                    let value = scene.run(case)?;
                    lab.table.add(PEER, case.name, true, value);
                    Ok(())
                });
            });
        }
    });
}

struct Case {
    name: &'static str,
    /// What baresip's account says besides its address.
    account: &'static str,
    /// Does it; says what was seen.
    body: fn(&Scene<'_>, &mut Baresip) -> Outcome<String>,
    /// What must have been on the wire between us and baresip, 100 and repetitions left out; of a
    /// transfer, where two calls overlap, only what [`judge`](Self::judge) finds.
    ladder: Option<&'static str>,
    /// What else must have been there.
    judge: fn(&Trail) -> Outcome<String>,
}

/// Where a case takes place.
struct Scene<'a> {
    lab: &'a Lab,
    name: String,
    /// baresip's.
    port: u16,
    speech: &'a Path,
    /// The certificate of our authority.
    root: &'a Path,
    /// baresip's certificate with its key, for [`NAME`].
    identity: &'a Path,
}

/// What it left on the wire.
struct Trail {
    packets: Vec<Packet>,
    messages: Vec<Seen>,
    port: u16,
}

impl Scene<'_> {
    fn run(&self, case: &Case) -> Outcome<String> {
        let filter = format!("portrange {}-{}", self.port, self.port + PORTS - 1);
        let capture = Capture::start(self.lab, &Place::loopback(), "lo", &self.name, &filter)?;
        let setup = Setup {
            name: &self.name,
            place: &Place::loopback(),
            port: self.port,
            codec: "PCMA",
            speech: self.speech,
            takes_calls: true,
            account: case.account,
            identity: Some(self.identity),
            is_muxed: false,
        };
        let mut baresip = Baresip::start(self.lab, setup)?;
        let said = (case.body)(self, &mut baresip);
        baresip.finish()?;
        let mut packets = capture.finish()?;
        // What we say to ourselves is another matter.
        packets.retain(|packet| {
            let ports = [packet.source.port(), packet.destination.port()];
            !ports.contains(&self.third_port()) || !ports.contains(&self.our_port())
        });
        let messages = pcap::messages(&packets, self.our_port(), self.port)?;
        let trail = Trail {
            packets,
            messages,
            port: self.port,
        };
        let ladder = ladder(&trail.messages);
        let failed = |error: String| format!("{error}; {ladder}");
        let said = said.map_err(failed)?;
        let found = (case.judge)(&trail).map_err(failed)?;
        let faults = check::faults(&trail.messages);
        let value = format!("{said}; {found}; {ladder}");
        let is_good = case.ladder.is_none_or(|expected| expected == ladder) && faults.is_empty();
        is_good
            .then_some(value.clone())
            .ok_or_else(|| format!("{value}; {}", capture::some(&faults)))
    }

    const fn our_port(&self) -> u16 {
        self.port + PORTS - 2
    }

    /// Where another one of us is.
    const fn third_port(&self) -> u16 {
        self.port + PORTS - 4
    }

    fn agent(&self, words: &[&str]) -> Outcome<Agent> {
        let place = Place::loopback();
        Agent::start(self.lab, &place, &self.name, self.our_port(), words)
    }
}

/// baresip describes its media in 183, and takes the call later. It is silent until then, but hears us.
fn early_media(scene: &Scene<'_>, baresip: &mut Baresip) -> Outcome<String> {
    let target = format!("sip:bob@127.0.0.1:{}", scene.port);
    let words = ["call", &target, "--codecs", "PCMA", "--hangup-after", "0.5"];
    let mut agent = scene.agent(&words)?;
    agent.event("MediaStreamDidStart", PATIENCE)?;
    // What we send meanwhile is counted in the capture.
    thread::sleep(EARLY);
    let has_begun = !agent.events("SIPSessionDidStart").is_empty();
    baresip.tell("accept", "")?;
    baresip.event("CALL_ESTABLISHED", PATIENCE)?;
    let last = agent.finish(PATIENCE)?;
    match (last.exit, has_begun) {
        (0, false) => Ok("our stream starts by its 183".to_owned()),
        (exit, _) => Err(format!("exit {exit} {}, begun: {has_begun}", last.reason)),
    }
}

/// We ask baresip for an offer in a call that stands (RFC 3261, 14.1), and both go on to hear each other.
fn request(scene: &Scene<'_>, baresip: &mut Baresip) -> Outcome<String> {
    let target = format!("sip:bob@127.0.0.1:{}", scene.port);
    let words = [
        "call",
        &target,
        "--codecs",
        "PCMA",
        "--request-after",
        "0.5",
    ];
    let more = ["--hangup-after", "3", "--expect-audio", "2"];
    let mut agent = scene.agent(&[&words[..], &more].concat())?;
    baresip.event("CALL_ESTABLISHED", PATIENCE)?;
    let last = agent.finish(PATIENCE)?;
    let updates = agent.events("SIPInvitationGotSDPUpdate");
    let agreed = updates
        .iter()
        .filter(|event| event.data["succeeded"] == true)
        .count();
    match (last.exit, agreed) {
        (0, 2) => Ok("agreed on twice, and heard".to_owned()),
        (exit, agreed) => Err(format!(
            "exit {exit} {}, agreed {agreed} times",
            last.reason
        )),
    }
}

/// The re-INVITE has no description, its 200 and the ACK have.
fn offer_in_200(trail: &Trail) -> Outcome<String> {
    let mut rest = trail.messages.iter().skip_while(|seen| {
        !(seen.message.is_request("INVITE") && seen.message.tag("to").is_some())
    });
    let invite = rest.next().ok_or("no re-INVITE")?;
    let ok = rest.find(|seen| seen.message.status() == Some(200));
    let ack = rest.find(|seen| seen.message.is_request("ACK"));
    let has = |seen: Option<&Seen>| seen.map(|seen| seen.message.body.starts_with(b"v=0"));
    match (invite.message.body.is_empty(), has(ok), has(ack)) {
        (true, Some(true), Some(true)) => Ok("its offer in 200, our answer in ACK".to_owned()),
        what => Err(format!("{what:?}")),
    }
}

/// We answer baresip in a 183 and take its call later; both speak meanwhile.
fn our_early_media(scene: &Scene<'_>, baresip: &mut Baresip) -> Outcome<String> {
    let said = audio::speech::utterance(Voice::Alice, RATE);
    let play = scene.lab.directory.join(format!("{}.said.wav", scene.name));
    let kept = scene
        .lab
        .directory
        .join(format!("{}.heard.wav", scene.name));
    wave::write(&play, &said).map_err(|error| error.to_string())?;
    let (play, record) = (play.to_string_lossy(), kept.to_string_lossy());
    // It knows no 100rel: it is spoken to for two seconds before the 200.
    let words = ["answer", "--auto", "--count", "1", "--ring", "1.8"];
    let media = ["--early-media", "--codecs", "PCMA", "--play", &play];
    let more = ["--record", &record, "--hangup-after", "0.3"];
    let mut agent = scene.agent(&[&words[..], &media, &more].concat())?;
    let our_port = scene.our_port();
    baresip.tell("dial", &format!("sip:alice@127.0.0.1:{our_port}"))?;
    agent.event("SIPSessionDidStart", PATIENCE)?;
    let last = agent.finish(PATIENCE)?;
    baresip.event("CALL_CLOSED", PATIENCE)?;
    let theirs = audio::speech::utterance(Voice::Bob, RATE);
    let here = phone::compare(&theirs, &phone::read(&kept)?)?;
    let heard = phone::heard_by_baresip(&scene.lab.directory.join(&scene.name))?;
    let there = phone::compare(&said, &heard)?;
    let (figures, more) = (phone::figures(&there), phone::figures(&here));
    let value = format!("exit {}; there {figures}, here {more}", last.exit);
    // After its 200 the call lasts three tenths of a second: what is more was heard before.
    let is_good = [&there, &here]
        .iter()
        .all(|what| phone::is_heard(what) && what.heard.matching >= 8);
    (last.exit == 0 && is_good)
        .then_some(value.clone())
        .ok_or(value)
}

/// Packets of both sides between our 183 and our 200.
fn media_before_our_answer(trail: &Trail) -> Outcome<String> {
    let at = |status| {
        let is_it = |seen: &&Seen| seen.is_ours && seen.message.status() == Some(status);
        let found = trail.messages.iter().find(is_it).map(|seen| seen.at);
        found.ok_or_else(|| format!("no {status}"))
    };
    let (progress, answer) = (at(183)?, at(200)?);
    let its = trail.port + RTP..trail.port + RTP + 20;
    let count = |is_its: fn(&Packet) -> u16| {
        let early = trail.packets.iter().filter(|packet| {
            its.contains(&is_its(packet)) && (progress..answer).contains(&packet.at)
        });
        early.count()
    };
    let (to, from) = (
        count(|packet| packet.destination.port()),
        count(|packet| packet.source.port()),
    );
    let value = format!("{to} packets to it and {from} from it before our 200");
    (to > 40 && from > 40).then_some(value.clone()).ok_or(value)
}

fn media_before_the_answer(trail: &Trail) -> Outcome<String> {
    let at = |status| {
        let is_it = |seen: &&Seen| !seen.is_ours && seen.message.status() == Some(status);
        let found = trail.messages.iter().find(is_it).map(|seen| seen.at);
        found.ok_or_else(|| format!("no {status}"))
    };
    let (progress, answer) = (at(183)?, at(200)?);
    let rtp = trail.port + RTP..trail.port + RTP + 20;
    let is_early = |packet: &&Packet| {
        rtp.contains(&packet.destination.port()) && (progress..answer).contains(&packet.at)
    };
    let count = trail.packets.iter().filter(is_early).count();
    let value = format!("{count} packets of ours before its 200");
    (count > 0).then_some(value.clone()).ok_or(value)
}

/// baresip has to show who it is.
fn challenge(scene: &Scene<'_>, baresip: &mut Baresip) -> Outcome<String> {
    let core = Core::start(scene.our_port(), Config::new("tested"))?;
    let secret = Secret::Password("secret".to_owned());
    let mut guard = Guard::new("ours.test", vec![("bob".to_owned(), secret)]);
    // It gives up when one of several challenges names a hash that it does not know.
    guard
        .policy
        .algorithms
        .retain(|algorithm| algorithm.hash == HashFunction::Md5);
    core.act(|endpoint, now| endpoint.set_guard(now, Some(guard)));
    baresip.tell("dial", &core.uri("alice"))?;
    let (call, caller) = core.event("call", |event| match event {
        Event::Invitation(id, InvitationEvent::Incoming(call)) => Some((*id, call.caller.clone())),
        _ => None,
    })?;
    core.with(call, |call, now| {
        call.accept(now, core::description(scene.port + 30), Headers::new())
    })?;
    core.acknowledged()?;
    baresip.event("CALL_ESTABLISHED", PATIENCE)?;
    baresip.tell("hangup", "")?;
    core.ended()?;
    match caller.as_deref() {
        Some("bob") => Ok("the caller is bob".to_owned()),
        caller => Err(format!("the caller is {caller:?}")),
    }
}

fn answer_to_challenge(trail: &Trail) -> Outcome<String> {
    let mut answers = trail
        .messages
        .iter()
        .filter_map(|seen| seen.message.header("authorization"));
    let answer = answers.next().ok_or("no Authorization")?;
    let algorithm = answer
        .split(", ")
        .find_map(|part| part.strip_prefix("algorithm="));
    Ok(format!("by {}", algorithm.unwrap_or("MD5")))
}

/// The connection of the call is closed by the other end; hold needs a new one, and so does its BYE.
fn lost_connection(scene: &Scene<'_>, baresip: &mut Baresip) -> Outcome<String> {
    let relay = Relay::start(scene.port + 8, scene.port)?;
    let target = format!("sip:bob@127.0.0.1:{};transport=tcp", scene.port + 8);
    let mut agent = scene.agent(&["call", &target, "--codecs", "PCMA", "--hold-after", "1"])?;
    agent.event("SIPSessionDidStart", PATIENCE)?;
    baresip.event("CALL_ESTABLISHED", PATIENCE)?;
    relay.close();
    agent.event("SIPSessionDidChangeHoldState", PATIENCE)?;
    baresip.tell("hangup", "")?;
    let last = agent.finish(PATIENCE)?;
    match last.exit {
        0 => Ok(format!("{} connections closed in mid-call", relay.count())),
        exit => Err(format!("exit {exit} {}", last.reason)),
    }
}

/// We call baresip, and tell it to call another one of us.
fn we_transfer(scene: &Scene<'_>, baresip: &mut Baresip) -> Outcome<String> {
    let core = Core::start(scene.our_port(), Config::new("tested"))?;
    let third = Core::start(scene.third_port(), Config::new("tested"))?;
    let offer = core::description(scene.port + 30);
    let first = core.invite(&format!("sip:bob@127.0.0.1:{}", scene.port), Some(offer))?;
    core.acknowledged()?;
    baresip.event("CALL_ESTABLISHED", PATIENCE)?;
    let refer = Refer::in_call(first, core::address(&third.uri("carol"))?);
    core.act(|endpoint, now| endpoint.refer(now, refer))
        .map_err(|error| error.to_string())?;
    take(&third, scene.port + 32)?;
    let outcome = core.event("outcome of REFER", |event| match event {
        Event::Referral(_, ReferralEvent::Ended { outcome, .. }) => Some(outcome.to_string()),
        _ => None,
    })?;
    core.with(first, |call, now| call.end(now, &Headers::new()))?;
    core.ended()?;
    baresip.tell("hangup", "")?;
    third.ended()?;
    match outcome.as_str() {
        "succeeded" => Ok("REFER succeeded".to_owned()),
        _ => Err(format!("REFER {outcome}")),
    }
}

/// baresip is in a call with us, and tells us to call another one of us.
fn it_transfers(scene: &Scene<'_>, baresip: &mut Baresip) -> Outcome<String> {
    let core = Core::start(scene.our_port(), Config::new("tested"))?;
    let third = Core::start(scene.third_port(), Config::new("tested"))?;
    baresip.tell("dial", &core.uri("alice"))?;
    take(&core, scene.port + 30)?;
    baresip.event("CALL_ESTABLISHED", PATIENCE)?;
    baresip.tell("transfer", &third.uri("carol"))?;
    let (referral, target) = core.event("REFER", |event| match event {
        Event::IncomingReferral(id, IncomingReferralEvent::Incoming(refer)) => {
            Some((*id, refer.refer_to.uri.to_string()))
        }
        _ => None,
    })?;
    core.act(|endpoint, now| endpoint.accept_referral(now, referral))
        .map_err(|error| error.to_string())?;
    core.invite(&target, Some(core::description(scene.port + 34)))?;
    take(&third, scene.port + 32)?;
    core.acknowledged()?;
    core.act(|endpoint, now| endpoint.report_referral(now, referral, Status::OK, None))
        .map_err(|error| error.to_string())?;
    // baresip hangs up when it hears of that.
    let cause = core.ended()?;
    baresip.event("CALL_CLOSED", PATIENCE)?;
    match cause.as_str() {
        "hung up" => Ok(format!("we called {target}, it hung up")),
        _ => Err(cause),
    }
}

/// Takes the next call.
fn take(core: &Core, port: u16) -> Outcome<()> {
    let (call, ..) = core.incoming()?;
    core.with(call, |call, now| {
        call.accept(now, core::description(port), Headers::new())
    })?;
    core.acknowledged().map(drop)
}

/// A REFER and the last report about it.
fn referred(trail: &Trail) -> Outcome<String> {
    let refers = trail
        .messages
        .iter()
        .filter(|seen| seen.message.is_request("REFER"));
    let mut reports = trail
        .messages
        .iter()
        .filter(|seen| seen.message.is_request("NOTIFY"));
    let last = reports.next_back().ok_or("no NOTIFY")?;
    let body = String::from_utf8_lossy(&last.message.body);
    let state = last
        .message
        .header("subscription-state")
        .unwrap_or_default();
    let value = format!("{} REFER, {}, {state}", refers.count(), body.trim());
    let is_good = body.starts_with("SIP/2.0 200") && state.starts_with("terminated");
    is_good.then_some(value.clone()).ok_or(value)
}

/// baresip is called by the name that its certificate has, which an authority of ours has issued.
fn by_name(scene: &Scene<'_>, baresip: &mut Baresip) -> Outcome<String> {
    let mut agent = scene.secure_agent(NAME, &["--hangup-after", "0.5"])?;
    agent.event("SIPSessionDidStart", PATIENCE)?;
    baresip.event("CALL_ESTABLISHED", PATIENCE)?;
    let last = agent.finish(PATIENCE)?;
    let value = format!("exit {} {}", last.exit, last.reason);
    (last.exit == 0).then_some(value.clone()).ok_or(value)
}

/// baresip is called by a name that its certificate does not have.
fn misnamed(scene: &Scene<'_>, _: &mut Baresip) -> Outcome<String> {
    let mut agent = scene.secure_agent(OTHER_NAME, &[])?;
    let last = agent.finish(PATIENCE)?;
    let names_both = last.reason.contains(NAME) && last.reason.contains(OTHER_NAME);
    let value = format!("exit {} {}", last.exit, last.reason);
    (last.exit == 4 && names_both)
        .then_some(value.clone())
        .ok_or(value)
}

/// What is said is not seen, but that it is TLS.
fn tls(trail: &Trail) -> Outcome<String> {
    let is_ours = |packet: &&Packet| packet.destination.port() == trail.port + 1;
    let mut sent = trail.packets.iter().filter(is_ours);
    // RFC 8446, 5.1: a record of the handshake.
    match sent.any(|packet| packet.payload.starts_with(&[22, 3])) {
        true => Ok("a TLS handshake".to_owned()),
        false => Err("no TLS handshake".to_owned()),
    }
}

/// A connection of ours to baresip itself.
fn another_connection(trail: &Trail) -> Outcome<String> {
    let is_new = |packet: &&Packet| {
        let is_syn = packet.sequence.is_some_and(|(_, is_syn)| is_syn);
        is_syn && packet.destination.port() == trail.port
    };
    let opened = trail.packets.iter().filter(is_new).count();
    let value = format!("{opened} connections to baresip");
    // The relay's, and ours.
    (opened == 2).then_some(value.clone()).ok_or(value)
}

impl Scene<'_> {
    /// Calls baresip over TLS by a name; both names lead to it.
    fn secure_agent(&self, name: &str, more: &[&str]) -> Outcome<Agent> {
        let names = self.port + 8;
        resolver::start(
            names,
            &[NAME, OTHER_NAME].map(|name| (name, Ipv4Addr::LOCALHOST)),
        )?;
        let target = format!("sip:bob@{name}:{};transport=tls", self.port + 1);
        let (server, root) = (format!("127.0.0.1:{names}"), self.root.to_string_lossy());
        let words = [
            "call", &target, "--codecs", "PCMA", "--dns", &server, "--tls-ca", &root,
        ];
        self.agent(&[&words, more].concat())
    }
}

/// Makes our authority and baresip's certificate; returns what is trusted, and what baresip reads.
fn identity(lab: &Lab) -> Outcome<(PathBuf, PathBuf)> {
    let authority = Authority::new(&lab.directory.join("ways"))?;
    let issued = authority.issue(NAME)?;
    let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let both = [read(&issued.key)?, read(&issued.certificate)?].concat();
    let path = lab.directory.join("ways.pem");
    fs::write(&path, both).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok((authority.root(), path))
}

fn speech(lab: &Lab) -> Outcome<PathBuf> {
    let path = lab.directory.join("way.wav");
    let once = audio::speech::utterance(Voice::Bob, RATE);
    let repeated = Sound::new(RATE, once.samples.repeat(4));
    wave::write(&path, &repeated).map_err(|error| error.to_string())?;
    Ok(path)
}

const CASES: &[Case] = &[
    Case {
        name: "we call, its 183 describes its media: ours starts",
        account: ";answermode=early",
        body: early_media,
        ladder: Some("INVITE 180 183 200 ACK BYE 200/BYE"),
        judge: media_before_the_answer,
    },
    Case {
        name: "it calls, our 183: speech both ways before 200",
        account: "",
        body: our_early_media,
        ladder: Some("INVITE 183 200 ACK BYE 200/BYE"),
        judge: media_before_our_answer,
    },
    Case {
        name: "we call, and ask it for an offer in mid-call",
        account: "",
        body: request,
        ladder: Some("INVITE 180 200 ACK INVITE 200 ACK BYE 200/BYE"),
        judge: offer_in_200,
    },
    Case {
        name: "it calls, we verify its digest",
        account: ";auth_user=bob;auth_pass=secret",
        body: challenge,
        ladder: Some("INVITE 401 ACK INVITE 200 ACK BYE 200/BYE"),
        judge: answer_to_challenge,
    },
    Case {
        name: "we call, TCP, the connection is closed in mid-call",
        account: "",
        body: lost_connection,
        ladder: Some("INVITE 180 200 ACK INVITE 200 ACK BYE 200/BYE"),
        judge: another_connection,
    },
    Case {
        name: "we call, and transfer it",
        account: "",
        body: we_transfer,
        ladder: None,
        judge: referred,
    },
    Case {
        name: "it calls, and transfers us",
        account: "",
        body: it_transfers,
        ladder: None,
        judge: referred,
    },
    Case {
        name: "we call by name, TLS, an authority of our own",
        account: "",
        body: by_name,
        ladder: Some(""),
        judge: tls,
    },
    Case {
        name: "we call by another name, TLS: refused",
        account: "",
        body: misnamed,
        ladder: Some(""),
        judge: tls,
    },
];

const RATE: u32 = 8_000;
/// Between ringing and the answer.
const EARLY: Duration = Duration::from_millis(1_500);
/// For what a peer does at once.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PORT: u16 = 16_600;
/// Of one case: baresip's SIP, its control, its media; a relay's; ours near the end.
const PORTS: u16 = 48;
/// Where baresip's media begins.
const RTP: u16 = 10;
const NAME: &str = "phone.example.test";
const OTHER_NAME: &str = "other.example.test";
const PEER: &str = "baresip, other ways";
