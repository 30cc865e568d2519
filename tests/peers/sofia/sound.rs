//! Early media of calls with Sofia: its signalling, and sound of our own making at the port that it names.

use super::{Case, PATIENCE, Scene, Wire};
use crate::{Outcome, agent::Agent, core::port_of, phone};
use audio::{Sound, codec, measure::Comparison, speech, speech::Voice, wave};
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The cases of this part.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "it calls: our 183 with PRACK, speech both ways before 200",
            body: |scene| it_calls(scene, "supported", "4"),
            wire: Wire::Is("INVITE 183 PRACK 200/PRACK 200 ACK BYE 200/BYE"),
        },
        Case {
            name: "it calls: our 183 without PRACK, speech both ways before 200",
            body: |scene| it_calls(scene, "off", "4"),
            wire: Wire::Is("INVITE 183 200 ACK BYE 200/BYE"),
        },
        Case {
            name: "we call: its 183 with PRACK, speech both ways before 200",
            body: |scene| we_call(scene, "supported", "200"),
            wire: Wire::Is("INVITE 183 PRACK 200/PRACK 200 ACK BYE 200/BYE"),
        },
        Case {
            name: "we call: its 183 without PRACK, speech both ways before 200",
            body: |scene| we_call(scene, "off", "200 sdp"),
            wire: Wire::Is("INVITE 183 200 ACK BYE 200/BYE"),
        },
    ]
}

/// We answer early, and take the call after `ring` seconds.
fn it_calls(scene: &Scene<'_>, reliable: &str, ring: &str) -> Outcome<String> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let stage = Stage::new(scene)?;
    let mut sofia = scene.sofia(&["rel=1", &stage.option()])?;
    let words = ["answer", "--auto", "--count", "1", "--ring", ring];
    let mut agent = stage.agent(scene, &words, &["--early-media", "--100rel", reliable])?;
    sofia.tell(&format!("invite {}", scene.our_uri()))?;
    stage.speaks(&mut agent)?;
    agent.event("SIPSessionDidStart", PATIENCE)?;
    let heard = stage.line.heard();
    sofia.state("terminated")?;
    let last = agent.finish(PATIENCE)?;
    if last.exit != 0 {
        return Err(format!("exit {}: {}", last.exit, last.reason));
    }
    stage.judge(&heard)
}

/// It answers early, and takes the call after a while.
fn we_call(scene: &Scene<'_>, reliable: &str, taken: &str) -> Outcome<String> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let stage = Stage::new(scene)?;
    let mut sofia = scene.sofia(&["rel=1", &stage.option()])?;
    let target = scene.sofia_uri();
    let mut agent = stage.agent(
        scene,
        &["call", &target],
        &["--early-media", "--100rel", reliable],
    )?;
    let number = sofia.incoming()?;
    sofia.tell(&format!("respond {number} 183 sdp"))?;
    stage.speaks(&mut agent)?;
    thread::sleep(EARLY);
    if !agent.events("SIPSessionDidStart").is_empty() {
        return Err("begun before it was taken".to_owned());
    }
    let heard = stage.line.heard();
    sofia.tell(&format!("respond {number} {taken}"))?;
    agent.event("SIPSessionDidStart", PATIENCE)?;
    let last = agent.finish(PATIENCE)?;
    sofia.state("terminated")?;
    let early = last.data["media"]["early_audible_s"].as_f64();
    if last.exit != 0 || early.is_none_or(|early| early < 1.0) {
        let media = &last.data["media"];
        return Err(format!("exit {}: {}; {media}", last.exit, last.reason));
    }
    stage.judge(&heard)
}

/// Who says what, and where.
struct Stage {
    line: Line,
    port: u16,
    ours: Sound,
    theirs: Sound,
    play: PathBuf,
    record: PathBuf,
}

impl Stage {
    fn new(scene: &Scene<'_>) -> Outcome<Self> {
        let port = FIRST_RTP + (scene.port - super::FIRST_PORT) / super::PORTS * 2;
        let file = |suffix: &str| {
            let directory = &scene.lab.directory;
            directory.join(format!("{}.{suffix}.wav", scene.name))
        };
        let stage = Self {
            line: Line::open(port)?,
            port,
            ours: speech::utterance(Voice::Alice, phone::RATE),
            theirs: speech::utterance(Voice::Bob, phone::RATE),
            play: file("said"),
            record: file("heard"),
        };
        wave::write(&stage.play, &stage.ours).map_err(|error| error.to_string())?;
        Ok(stage)
    }

    /// What tells Sofia where our line is.
    fn option(&self) -> String {
        format!("rtp={}", self.port)
    }

    fn agent(&self, scene: &Scene<'_>, verb: &[&str], options: &[&str]) -> Outcome<Agent> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (play, record) = (text(&self.play), text(&self.record));
        let media = [
            "--codecs",
            "PCMA",
            "--play",
            &play,
            "--record",
            &record,
            "--hangup-after",
            "0.3",
        ];
        scene.agent(&[verb, options, &media].concat())
    }

    /// Speaks to the agent from its first agreement on.
    fn speaks(&self, agent: &mut Agent) -> Outcome<()> {
        let update = agent.event("SIPInvitationGotSDPUpdate", PATIENCE)?;
        let local = update.data["local_sdp"].as_str().unwrap_or_default();
        let port = port_of(local.as_bytes()).ok_or("we name no port")?;
        self.line.speak(port, &self.repeated())
    }

    /// What the line says: more than a call takes.
    fn repeated(&self) -> Sound {
        Sound::new(phone::RATE, self.theirs.samples.repeat(4))
    }

    /// Compares what was heard at both ends with what was said.
    fn judge(&self, heard: &Sound) -> Outcome<String> {
        let there = phone::compare(&self.ours, heard)?;
        let here = phone::compare(&self.repeated(), &phone::read(&self.record)?)?;
        let text = |what: &Comparison| phone::figures(what);
        let value = format!(
            "before its 200 there {}, here {}",
            text(&there),
            text(&here)
        );
        // The call itself is over after three tenths of a second: what is more was heard before.
        let is_good = |what: &Comparison| phone::is_heard(what) && what.heard.matching >= 8;
        (is_good(&there) && is_good(&here))
            .then_some(value.clone())
            .ok_or(value)
    }
}

/// A socket for RTP that keeps what it hears, and speaks.
struct Line {
    socket: Arc<UdpSocket>,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    is_over: Arc<AtomicBool>,
}

impl Line {
    fn open(port: u16) -> Outcome<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
        let socket = Arc::new(socket.map_err(|error| format!("port {port}: {error}"))?);
        let line = Self {
            socket,
            heard: Arc::default(),
            is_over: Arc::default(),
        };
        let _ = line.socket.set_read_timeout(Some(FRAME));
        let (socket, heard, is_over) = (
            Arc::clone(&line.socket),
            Arc::clone(&line.heard),
            Arc::clone(&line.is_over),
        );
        thread::spawn(move || {
            let mut bytes = [0; 2_048];
            while !is_over.load(Ordering::Relaxed) {
                if let Ok(length) = socket.recv(&mut bytes) {
                    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    heard.push(bytes[..length].to_vec());
                }
            }
        });
        Ok(line)
    }

    /// Says something in PCMA.
    fn speak(&self, port: u16, what: &Sound) -> Outcome<()> {
        let mut law = codec::open_static(PCMA).ok_or("no PCMA")?;
        let (socket, is_over) = (Arc::clone(&self.socket), Arc::clone(&self.is_over));
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let samples = what.samples.clone();
        thread::spawn(move || {
            let begun = Instant::now();
            for (number, frame) in (0u32..).zip(samples.chunks_exact(SAMPLES)) {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                // RFC 3550, 5.1
                let mut packet = vec![0x80, PCMA];
                packet.extend((number as u16).to_be_bytes());
                packet.extend((number * SAMPLES as u32).to_be_bytes());
                packet.extend(7u32.to_be_bytes());
                law.encode(frame, &mut packet);
                // A datagram may be lost anywhere.
                let _ = socket.send_to(&packet, peer);
                let next = begun + FRAME * (number + 1);
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        });
        Ok(())
    }

    /// All that was heard until now.
    fn heard(&self) -> Sound {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sound = Sound::new(phone::RATE, Vec::new());
        if let Some(mut law) = codec::open_static(PCMA) {
            let speech = heard.iter().filter(|packet| {
                packet.len() == 12 + SAMPLES && packet[0] == 0x80 && packet[1] & 0x7f == PCMA
            });
            for packet in speech {
                law.decode(&packet[12..], &mut sound.samples);
            }
        }
        sound
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// One after the other: sound that comes late is not what was said.
static ALONE: Mutex<()> = Mutex::new(());
const PCMA: u8 = 8;
/// So long that the place where the call is taken, which may cost two windows of 100 ms, is little of it.
const EARLY: Duration = Duration::from_secs(4);
const FRAME: Duration = Duration::from_millis(20);
/// Of a frame.
const SAMPLES: usize = 160;
/// The first of two ports for each case.
const FIRST_RTP: u16 = 17_400;
