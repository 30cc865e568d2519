//! Associations that a peer wants to be others in mid-call (RFC 8842): what it changes in its next offer.

use super::{echo::Echo, setup, shaken};
use crate::{
    beside::{end, heard},
    call::{label, wait},
    line::{PATIENCE, act, call_line, sent},
    names::ip,
    runs::{play, seeds},
    srtp::{encryption, stream, told},
};
use bytes::Bytes;
use simulator::{HostId, Stage};
use sip::{Description, Headers, Message, usage::invitation::InvitationEvent};
use sipsimple::{
    agent::{MediaFrame, SessionId},
    dtls::{Expected, Identity, Role},
    sdp::{Attribute, Fingerprint, Setup as Part},
    stream::Encryption,
};
use std::{net::SocketAddr, time::Duration};

/// What is another one in the peer's next offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Nothing,
    /// `a=tls-id`, and the part.
    Name,
    /// The certificate.
    Certificate,
    /// The part, where associations have no names.
    Part,
    /// Everything: it knows nothing of what was.
    Restart,
}

/// What the peer describes.
#[derive(Clone, Copy)]
struct Said<'a> {
    version: u32,
    port: u16,
    part: Part,
    identity: &'a Identity,
    tls_id: Option<&'a str>,
}

impl Said<'_> {
    fn description(self) -> Description {
        let ip = ip(ECHO);
        let (version, port) = (self.version, self.port);
        let mut body = format!(
            "v=0\r\no=- 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio {port} UDP/TLS/RTP/SAVP 0\r\na=rtcp-mux\r\n"
        );
        let print = Fingerprint::sha256(self.identity.fingerprint()).attribute();
        for line in [self.part.attribute(), print] {
            body.push_str(&format!("a={}\r\n", line.as_str()));
        }
        if let Some(tls_id) = self.tls_id {
            body.push_str(&format!("a=tls-id:{tls_id}\r\n"));
        }
        Description {
            content_type: "application/sdp".to_owned(),
            body: body.into(),
        }
    }
}

/// What the caller described last.
struct Ours {
    expected: Expected,
    part: Part,
    tls_id: Option<String>,
    rtp: SocketAddr,
}

fn ours(stage: &Stage) -> Ours {
    let bodies = sent(stage, stage.alice)
        .into_iter()
        .map(|message| match message {
            Message::Request(request) => request.body,
            Message::Response(response) => response.body,
        });
    let body = bodies.filter(|body| !body.is_empty()).last().unwrap();
    let text = std::str::from_utf8(&body).unwrap();
    let value = |name: &str| {
        let start = format!("a={name}:");
        text.lines().find_map(|line| line.strip_prefix(&start))
    };
    let attribute = |name: &str| Attribute::new(name, value(name).unwrap());
    let print = Fingerprint::read(&attribute("fingerprint")).unwrap();
    let media = text.lines().find_map(|line| line.strip_prefix("m=audio "));
    let port = media.unwrap().split(' ').next().unwrap().parse().unwrap();
    Ours {
        expected: Expected::new([(&*print.hash, &print.digest[..])]).unwrap(),
        part: Part::read(&attribute("setup")).unwrap(),
        tls_id: value("tls-id").map(str::to_owned),
        rtp: SocketAddr::new(ip(1), port),
    }
}

/// A call of the caller to a line whose media go to an [`Echo`].
struct Scene {
    echo: HostId,
    call: SessionId,
    identity: Identity,
    part: Part,
}

impl Scene {
    /// The peer takes the part that it wants, and gives the association a name or none.
    fn begin(stage: &mut Stage, part: Part, tls_id: Option<&str>) -> Self {
        let seed = stage.setup().seed;
        let node = Echo::new(ip(ECHO), seed);
        let echo = stage.world.add_host("echo", &[ip(ECHO)], node);
        let (identity, port) = stage.world.command(echo, "open", |echo: &mut Echo, _| {
            (echo.identity(), echo.open())
        });
        let said = Said {
            version: 1,
            port,
            part,
            identity: &identity,
            tls_id,
        };
        let description = said.description();
        stage.line(0, "accepts", move |line, _| {
            line.set_habit(move |endpoint, now, id, event| {
                if let InvitationEvent::Incoming(_) = event {
                    let mut call = endpoint.invitation(id).unwrap();
                    let description = description.clone();
                    call.accept(now, description, Headers::new()).unwrap();
                }
            });
        });
        let call = call_line(stage, 0);
        wait(stage, stage.alice, call, PATIENCE);
        assert_eq!(label(stage, stage.alice, call), "connected");
        let scene = Self {
            echo,
            call,
            identity,
            part,
        };
        scene.shake(stage, part);
        stage.world.run_for(Duration::from_secs(3));
        assert_eq!(scene.keyed(stage), [port]);
        scene
    }

    /// The peer begins with the part that was agreed on.
    fn shake(&self, stage: &mut Stage, part: Part) {
        let ours = ours(stage);
        let role = match part {
            Part::Active => Role::Active,
            _ => Role::Passive,
        };
        let identity = self.identity.clone();
        stage
            .world
            .command(self.echo, "begin", |echo: &mut Echo, now| {
                echo.begin(now, role, &identity, ours.expected, ours.rtp);
            });
    }

    /// The peer's next offer, and what comes of it; the call speaks on meanwhile, and returns how much of that
    /// came back.
    fn offer(&mut self, stage: &mut Stage, change: Change, tls_id: Option<&str>) -> usize {
        let is_new = change != Change::Nothing;
        let (identity, port) = stage
            .world
            .command(self.echo, "open", |echo: &mut Echo, _| {
                if change == Change::Restart {
                    echo.forget();
                }
                let port = if is_new {
                    echo.open()
                } else {
                    echo.last_port()
                };
                (echo.identity(), port)
            });
        if matches!(change, Change::Certificate | Change::Restart) {
            self.identity = identity;
        }
        let part = match (change, self.part) {
            // Our side has the choice, and takes the active part for a new one.
            (Change::Restart | Change::Nothing, _) => Part::ActPass,
            (Change::Certificate, part) => part,
            (_, Part::Active) => Part::Passive,
            _ => Part::Active,
        };
        let said = Said {
            version: 2,
            port,
            part,
            identity: &self.identity,
            tls_id,
        };
        let description = said.description();
        // Who may be begun with is ready before the offer is there.
        let is_ready = is_new && part != Part::Active;
        if is_ready {
            self.shake(stage, Part::Passive);
        }
        let offered = act(stage, 0, "offer", |call, now| {
            call.offer(now, Some(description), &Headers::new())
        });
        assert!(matches!(offered, Some(Ok(()))), "{offered:?}");
        let before = talk(stage, 10);
        if is_new && !is_ready {
            self.shake(stage, Part::Active);
        }
        if is_new {
            assert_eq!(ours(stage).part == Part::Active, is_ready);
        }
        before + talk(stage, 90)
    }

    fn keyed(&self, stage: &Stage) -> Vec<u16> {
        let echo = stage.world.node::<Echo>(self.echo);
        assert_eq!(echo.failures(), []);
        echo.keyed()
    }
}

/// The caller speaks; how much of it came back.
fn talk(stage: &mut Stage, frames: u32) -> usize {
    let alice = stage.alice;
    let stream = stream(stage, alice).unwrap();
    let before = stage.world.host(alice).inbox().media.len();
    for n in 0..frames {
        let payload = Bytes::from(vec![n as u8; 160]);
        let frame = MediaFrame::new(0, n * 160, payload);
        let written = stage.agent(alice, "frame", |agent, now| {
            agent.write_media(now, stream, frame)
        });
        written.unwrap();
        stage.world.run_for(Duration::from_millis(20));
    }
    stage.world.run_for(Duration::from_millis(200));
    heard(stage, alice, before)
}

/// RFC 8842, 4 and 5.3: another name, certificate or part in an offer is another association, in which we take
/// the part that is left and a name of our own; the same of all is the one that is. Not a frame is lost
/// meanwhile: the keys before count until there are others.
#[test]
fn rfc_8842_what_an_offer_changes_begins_another_association() {
    use Change::{Certificate, Name, Nothing, Part as OtherPart};
    let rows = [
        (Nothing, true),
        (Nothing, false),
        (Name, true),
        (Certificate, true),
        (Certificate, false),
        (OtherPart, false),
    ];
    for seed in 0..seeds().min(6) {
        for (n, (change, is_named)) in (0..).zip(rows) {
            for part in [Part::Active, Part::Passive] {
                let seed = seed * 100 + n * 2 + u64::from(part == Part::Active);
                play(&world(seed), |stage| {
                    let name = is_named.then_some("the-first-name-of-them-all");
                    let mut scene = Scene::begin(stage, part, name);
                    let alice = stage.alice;
                    let why = format!("{change:?}, {part:?}, {is_named}");
                    assert_eq!(talk(stage, 25), 25, "{why}");
                    let (before, hellos) = (ours(stage), shaken(stage, alice, true));
                    let next = match change {
                        Nothing => name,
                        _ => is_named.then_some("the-second-name-of-them"),
                    };
                    assert_eq!(scene.offer(stage, change, next), 100, "{why}");
                    let after = ours(stage);
                    let is_kept = change == Nothing;
                    assert_eq!(
                        scene.keyed(stage).len(),
                        if is_kept { 1 } else { 2 },
                        "{why}"
                    );
                    // RFC 8842, 5.3: no name for who gives none.
                    assert_eq!(after.tls_id.is_some(), is_named, "{why}");
                    assert_eq!(after.tls_id == before.tls_id, is_named && is_kept, "{why}");
                    let is_ours = !is_kept && after.part == Part::Active;
                    assert_eq!(shaken(stage, alice, true) > hellos, is_ours, "{why}");
                    let known = encryption(stage, alice).unwrap();
                    assert_eq!(known.discarded.forged, 0, "{why}: {known:?}");
                    end(stage, scene.call);
                });
            }
        }
    }
}

/// RFC 8842, 4: a peer that has started again offers another certificate; what it says is heard again as soon as
/// it has keys.
#[test]
fn rfc_8842_a_peer_that_starts_again_is_heard_again() {
    for seed in 0..seeds().min(6) {
        for is_named in [true, false] {
            play(&world(seed * 2 + u64::from(is_named)), |stage| {
                let name = is_named.then_some("the-first-name-of-them-all");
                let mut scene = Scene::begin(stage, Part::Active, name);
                assert_eq!(talk(stage, 25), 25);
                let next = is_named.then_some("the-second-name-of-them");
                let came_back = scene.offer(stage, Change::Restart, next);
                assert!((90..=100).contains(&came_back), "{came_back}");
                assert_eq!(talk(stage, 25), 25);
                assert_eq!(scene.keyed(stage).len(), 1);
                assert_eq!(label(stage, stage.alice, scene.call), "connected");
                assert_eq!(told(stage, stage.alice).len(), 1, "the cipher is the same");
                end(stage, scene.call);
            });
        }
    }
}

fn world(seed: u64) -> simulator::Setup {
    // Side by side, without ICE and with one port, as the peer is.
    let mut setup = setup(seed * 12, Encryption::DtlsMandatory, Encryption::Off);
    setup.lines = 1;
    setup
}

const ECHO: u8 = 120;
