//! Calls with baresip whose media find their way by ICE, over a cable between two networks: addresses of
//! loopback are no candidates (RFC 8445, 5.1.1.1).

use crate::{
    Lab, Outcome,
    agent::Agent,
    baresip::{Baresip, Setup},
    capture::{self, Capture},
    network::{Cable, INTERFACE, Place},
    pcap::Packet,
    phone::{
        PATIENCE, RATE, heard_by_baresip, least, most_in_clear, read, said_by_baresip, verdict_of,
    },
};
use audio::{Sound, speech::Voice, wave};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    let rows = |case: &Case| {
        let keys = case.is_dtls().then_some(KEYS);
        let mux = case.is_muxed.then_some(MUX);
        let stun = case.is_ice.then_some([WIRESHARK, CHANGED]);
        let stun = stun.into_iter().flatten();
        let rows = [PAIR, TO, FROM]
            .into_iter()
            .chain(keys)
            .chain(mux)
            .chain(stun);
        let rows = rows.map(|what| (PEER, case.row(what)));
        rows.collect::<Vec<_>>()
    };
    CASES.iter().flat_map(rows).collect()
}

/// Runs all calls.
pub(crate) fn run(lab: &Lab) {
    let made = Cable::new().and_then(|cable| Ok((cable, Speech::new(lab)?)));
    let (cable, speech) = match made {
        Ok(made) => made,
        Err(error) => return lab.say(&format!("{PEER}: {error}")),
    };
    lab.two_at_a_time(CASES, |number, case| {
        lab.run(PEER, &case.row(PAIR), || {
            case.speak(lab, &cable, &speech, number)
        });
    });
}

/// Who calls, and what each side wishes.
struct Case {
    is_ours: bool,
    ours: &'static [&'static str],
    /// Parameters of baresip's account.
    theirs: &'static str,
    name: &'static str,
    /// Both sides have ICE.
    is_ice: bool,
    /// It wants RTCP on the port of RTP; we always do.
    is_muxed: bool,
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
        let speech = Self {
            ours: audio::speech::utterance(Voice::Alice, RATE),
            our_file: lab.directory.join("ice-ours.wav"),
            theirs: audio::speech::utterance(Voice::Bob, RATE),
            their_file: lab.directory.join("ice-theirs.wav"),
        };
        let repeated = Sound::new(RATE, speech.theirs.samples.repeat(4));
        wave::write(&speech.our_file, &speech.ours).map_err(|error| error.to_string())?;
        wave::write(&speech.their_file, &repeated).map_err(|error| error.to_string())?;
        Ok(speech)
    }
}

impl Case {
    fn row(&self, what: &str) -> String {
        let who = if self.is_ours { "we call" } else { "it calls" };
        format!("{who}, {}: {what}", self.name)
    }

    fn is_dtls(&self) -> bool {
        self.theirs.contains("mediaenc=dtls_srtp")
    }

    /// baresip waits for our hello.
    fn is_server(&self) -> bool {
        self.is_dtls() && !self.is_ours
    }

    fn speak(&self, lab: &Lab, cable: &Cable, speech: &Speech, number: u16) -> Outcome<()> {
        let name = format!("ice-{number}");
        let port = FIRST_PORT + number * PORTS;
        let our_port = port + PORTS - 2;
        let mut baresip = Baresip::start(
            lab,
            Setup {
                name: &name,
                place: &cable.far,
                port,
                codec: "PCMU",
                speech: &speech.their_file,
                takes_calls: true,
                account: self.theirs,
                identity: None,
                is_muxed: self.is_muxed,
            },
        )?;
        let filter = format!("udp and portrange {port}-{}", port + PORTS - 1);
        let capture = Capture::start(lab, &cable.far, INTERFACE, &name, &filter)?;
        let record = lab.directory.join(format!("{name}.wav"));
        let (play, kept) = (speech.our_file.to_string_lossy(), record.to_string_lossy());
        let target = uri("bob", &cable.far, port);
        let verb: &[&str] = match self.is_ours {
            true => &["call", &target],
            false => &["answer", "--auto", "--count", "1"],
        };
        let common = [
            "--codecs",
            "PCMU",
            "--play",
            &play,
            "--record",
            &kept,
            "--hangup-after",
            "8",
        ];
        let words = [verb, &common, self.ours].concat();
        let mut agent = Agent::start(lab, &cable.near, &name, our_port, words)?;
        if !self.is_ours {
            baresip.tell("dial", &uri("alice", &cable.near, our_port))?;
        }
        baresip.event("CALL_ESTABLISHED", PATIENCE)?;
        agent.event("SIPSessionDidStart", PATIENCE)?;
        let last = agent.finish(LENGTH + PATIENCE);
        let directory = baresip.finish()?;
        let packets = capture.finish()?;
        let last = last?;
        let ice = &last.data["media"]["ice"];
        let said = said_by_baresip(&directory, "connectivity check is complete");
        let is_good = match self.is_ice {
            true => ice["state"] == "completed" && said.is_some(),
            false => ice["state"] != "completed" && said.is_none(),
        };
        let value = format!(
            "{}; we say {} (exit {})",
            said.as_deref().unwrap_or("it says nothing"),
            pair(ice),
            last.exit
        );
        lab.table
            .add(PEER, &self.row(PAIR), last.exit == 0 && is_good, value);
        if self.is_dtls() {
            let said = said_by_baresip(&directory, "DTLS-SRTP complete");
            let media = &last.data["media"];
            let forged = media["srtp_discarded"]["forged"].as_u64();
            let most = most_in_clear(self.is_server() && !self.is_muxed);
            let is_good = said.is_some()
                && media["srtp_method"] == "dtls"
                && media["srtp_keys_in_clear"] == false
                && forged.is_some_and(|forged| forged <= most);
            let value = format!(
                "{}; we say {} {}, {} packets in the clear",
                said.as_deref().unwrap_or("it says nothing"),
                media["srtp_method"].as_str().unwrap_or("nothing"),
                media["srtp_cipher"].as_str().unwrap_or("nothing"),
                forged.unwrap_or_default()
            );
            lab.table.add(PEER, &self.row(KEYS), is_good, value);
        }
        if self.is_muxed {
            let (is_shared, value) = reports(&packets);
            let is_told = last.data["media"]["rtcp_mux"] == true;
            lab.table
                .add(PEER, &self.row(MUX), is_shared && is_told, value);
        }
        if self.is_ice {
            let path = lab.directory.join(format!("{name}.pcap"));
            let look = |path: &Path| capture::stun(path, cable.near.address());
            let (is_good, value) = look(&path)?;
            lab.table.add(PEER, &self.row(WIRESHARK), is_good, value);
            // Behind its head and that of its first attribute (RFC 8489, 5 and 14).
            let mark = our_first_check(&packets, cable).ok_or("no check of ours")?;
            let (is_good, value) = capture::notices(&path, &mark, 4, look)?;
            lab.table.add(PEER, &self.row(CHANGED), is_good, value);
        }
        self.judge(lab, TO, &speech.ours, heard_by_baresip(&directory));
        self.judge(lab, FROM, &speech.theirs, read(&record));
        Ok(())
    }

    fn judge(&self, lab: &Lab, what: &str, sent: &Sound, heard: Outcome<Sound>) {
        let (is_good, value) = verdict_of(least(self.is_server()), sent, heard);
        lab.table.add(PEER, &self.row(what), is_good, value);
    }
}

/// The head of our first Binding request, which has the number of its transaction (RFC 8489, 5).
fn our_first_check(packets: &[Packet], cable: &Cable) -> Option<Vec<u8>> {
    let is_check = |packet: &&Packet| {
        let is_ours = packet.source.ip() == cable.near.address();
        is_ours && packet.payload.starts_with(&[0, 1]) && packet.payload.get(4..8) == Some(&COOKIE)
    };
    let found = packets.iter().find(is_check)?;
    found.payload.get(..20).map(<[u8]>::to_vec)
}

fn uri(user: &str, place: &Place, port: u16) -> String {
    format!("sip:{user}@{}:{port}", place.address())
}

/// Says whether reports of both sides went where speech went, and nowhere else (RFC 5761, 4: told apart by
/// the second byte).
fn reports(packets: &[Packet]) -> (bool, String) {
    let is_version = |packet: &&Packet| packet.payload.first().is_some_and(|first| first >> 6 == 2);
    let kind = |packet: &Packet| packet.payload.get(1).copied().unwrap_or_default();
    let ends = |packet: &Packet| (packet.source, packet.destination);
    let media = packets.iter().filter(is_version);
    let (reports, speech): (Vec<_>, Vec<_>) =
        media.partition(|packet| (200..=206).contains(&kind(packet)));
    let speech: BTreeSet<_> = speech.into_iter().map(ends).collect();
    let beside: Vec<_> = reports.iter().map(|packet| ends(packet)).collect();
    let apart = beside.iter().filter(|ends| !speech.contains(*ends)).count();
    let senders: BTreeSet<_> = beside.iter().map(|(source, _)| source).collect();
    let value = format!(
        "{} reports of {} sides, {apart} of them apart",
        reports.len(),
        senders.len()
    );
    (apart == 0 && senders.len() == 2, value)
}

/// The kinds of the pair that we have chosen for RTP.
fn pair(ice: &Value) -> String {
    let kind = |side: &str| ice["rtp"][side].as_str().unwrap_or("nothing").to_owned();
    format!("{} to {}", kind("local_type"), kind("remote_type"))
}

// Not: it calls with ICE, and we have none; baresip 1.0.0 then hears, but sends nothing. Nor: we call with
// ICE and SRTP; with ICE it answers with a suite that does not belong to the tag (RFC 4568, 5.1.3).
const CASES: &[Case] = &[
    Case {
        is_ours: true,
        ours: &["--ice"],
        theirs: ";medianat=ice",
        name: "ICE",
        is_ice: true,
        is_muxed: false,
    },
    Case {
        is_ours: false,
        ours: &["--ice"],
        theirs: ";medianat=ice",
        name: "ICE",
        is_ice: true,
        is_muxed: false,
    },
    Case {
        is_ours: false,
        ours: &["--ice", "--srtp", "mandatory"],
        theirs: ";medianat=ice;mediaenc=srtp",
        name: "ICE and SRTP",
        is_ice: true,
        is_muxed: false,
    },
    Case {
        is_ours: true,
        ours: &["--ice"],
        theirs: "",
        name: "ICE, it has none",
        is_ice: false,
        is_muxed: false,
    },
    Case {
        is_ours: true,
        ours: &[],
        theirs: "",
        name: "rtcp-mux",
        is_ice: false,
        is_muxed: true,
    },
    Case {
        is_ours: false,
        ours: &[],
        theirs: "",
        name: "rtcp-mux",
        is_ice: false,
        is_muxed: true,
    },
    Case {
        is_ours: true,
        ours: &["--ice"],
        theirs: ";medianat=ice",
        name: "ICE and rtcp-mux",
        is_ice: true,
        is_muxed: true,
    },
    Case {
        is_ours: false,
        ours: &["--ice"],
        theirs: ";medianat=ice",
        name: "ICE and rtcp-mux",
        is_ice: true,
        is_muxed: true,
    },
    Case {
        is_ours: true,
        ours: &["--ice", "--srtp", "dtls"],
        theirs: ";medianat=ice;mediaenc=dtls_srtp",
        name: "ICE, DTLS with its certificate of ECDSA",
        is_ice: true,
        is_muxed: false,
    },
    Case {
        is_ours: false,
        ours: &["--ice", "--srtp", "dtls"],
        theirs: ";medianat=ice;mediaenc=dtls_srtp",
        name: "ICE, DTLS with its certificate of ECDSA",
        is_ice: true,
        is_muxed: false,
    },
    Case {
        is_ours: true,
        ours: &["--ice", "--srtp", "dtls"],
        theirs: ";medianat=ice;mediaenc=dtls_srtp",
        name: "ICE, DTLS with its certificate of ECDSA, rtcp-mux",
        is_ice: true,
        is_muxed: true,
    },
    Case {
        is_ours: false,
        ours: &["--ice", "--srtp", "dtls"],
        theirs: ";medianat=ice;mediaenc=dtls_srtp",
        name: "ICE, DTLS with its certificate of ECDSA, rtcp-mux",
        is_ice: true,
        is_muxed: true,
    },
];
/// Longer than either says its sentence.
const LENGTH: Duration = Duration::from_secs(8);
const FIRST_PORT: u16 = 18_400;
/// Of one case: baresip's SIP first, ours near the end.
const PORTS: u16 = 48;
const PEER: &str = "baresip, ICE";
const PAIR: &str = "the pair";
/// Its certificate is none of its own making: see `baresip/ecdsa.c`.
const KEYS: &str = "the keys";
const TO: &str = "speech to it";
const MUX: &str = "reports on the port of speech";
const FROM: &str = "speech from it";
const WIRESHARK: &str = "Wireshark on our STUN";
const CHANGED: &str = "one changed byte of our STUN is noticed";
/// RFC 8489, 5.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
