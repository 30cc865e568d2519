//! Encrypted speech with baresip: who wants it, who insists on it, and what others can hear of it.

use crate::{
    Lab, Outcome, capture,
    phone::{
        Desk, PATIENCE, PEER, Phone, RATE, Trail, Way, compare, figures, least, most_in_clear,
        read, verdict_of,
    },
    rtp,
    sipp::Transport,
};
use audio::{Sound, codec};
use serde_json::Value;
use std::{path::PathBuf, time::Duration};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    for case in CASES {
        rows.extend([KEYS, TO, FROM, LISTENER].map(|what| case.row(what)));
        rows.extend(case.is_dtls().then(|| case.row(HANDSHAKE)));
    }
    for case in REFUSED {
        rows.push(case.row(REFUSAL));
    }
    rows.into_iter().map(|row| (PEER, row)).collect()
}

/// Runs all calls.
pub(crate) fn run(lab: &Lab) {
    let desk = match Desk::new(lab) {
        Ok(desk) => desk,
        Err(error) => return lab.say(&format!("{PEER}, SRTP: {error}")),
    };
    lab.two_at_a_time(CASES, |_, case| {
        desk.run(&case.row(KEYS), || case.speak(&desk));
    });
    lab.two_at_a_time(REFUSED, |_, case| {
        desk.run(&case.row(REFUSAL), || case.is_refused(&desk));
    });
}

/// A call with a wish on each side.
struct Case {
    number: u16,
    is_ours: bool,
    /// Our `--srtp`.
    ours: &'static str,
    /// baresip's `mediaenc`; empty for none.
    theirs: &'static str,
    /// What we say: method and cipher.
    told: Option<(&'static str, &'static str)>,
}

impl Case {
    fn row(&self, what: &str) -> String {
        let who = if self.is_ours { "we call" } else { "it calls" };
        let theirs = match self.theirs {
            "" => "none",
            "dtls_srtp" => "dtls_srtp with a certificate of ECDSA",
            theirs => theirs,
        };
        format!("{who}, SRTP {}, it {theirs}: {what}", self.ours)
    }

    fn is_dtls(&self) -> bool {
        self.told.is_some_and(|(method, _)| method == "dtls")
    }

    fn call(&self, desk: &Desk<'_>, record: &str) -> Outcome<Phone> {
        let way = Way {
            number: self.number,
            is_ours: self.is_ours,
            transport: Transport::Udp,
            codec: "PCMU",
            takes_calls: true,
        };
        let play = desk.our_file.to_string_lossy();
        let mut options = vec![
            "--srtp",
            self.ours,
            "--play",
            &play,
            "--record",
            record,
            "--hangup-after",
            "8",
        ];
        if !self.is_ours {
            options.push("--auto");
        }
        let account = match self.theirs {
            "" => String::new(),
            theirs => format!(";mediaenc={theirs}"),
        };
        desk.call_with(way, &options, &account)
    }

    fn record(&self, desk: &Desk<'_>) -> PathBuf {
        desk.lab
            .directory
            .join(format!("heard-{}.wav", self.number))
    }

    fn speak(&self, desk: &Desk<'_>) -> Outcome<()> {
        let record = self.record(desk);
        let mut phone = self.call(desk, &record.to_string_lossy())?;
        phone.stands()?;
        let last = phone.agent.finish(LENGTH + PATIENCE);
        let trail = desk.finish(phone)?;
        let last = last?;
        let media = &last.data["media"];
        let said = trail.baresip_says(match self.is_dtls() {
            true => SAYS_BY_DTLS,
            false => SAYS,
        });
        let is_told = match self.told {
            Some((method, cipher)) => {
                media["srtp"] == true
                    && media["srtp_method"] == method
                    && media["srtp_cipher"] == cipher
                    && media["srtp_discarded"]["forged"]
                        .as_u64()
                        .is_some_and(|forged| forged <= most_in_clear(self.is_server()))
            }
            None => media["srtp"] == false,
        };
        let is_said = said.is_some() == self.told.is_some();
        let value = format!(
            "{}; we say {} {} (exit {})",
            said.as_deref().unwrap_or("it says nothing"),
            text(&media["srtp_method"]),
            text(&media["srtp_cipher"]),
            last.exit
        );
        desk.add(&self.row(KEYS), last.exit == 0 && is_told && is_said, value);
        self.judge(desk, TO, &desk.ours, trail.heard_by_baresip());
        self.judge(desk, FROM, &desk.theirs, read(&record));
        if self.is_dtls() {
            let (is_good, value) = capture::handshakes(&self.capture(desk))?;
            desk.add(&self.row(HANDSHAKE), is_good, value);
        }
        self.listen(desk, &trail)
    }

    fn capture(&self, desk: &Desk<'_>) -> PathBuf {
        desk.lab
            .directory
            .join(format!("call-{}.pcap", self.number))
    }

    fn judge(&self, desk: &Desk<'_>, what: &str, sent: &Sound, heard: Outcome<Sound>) {
        let (is_good, value) = verdict_of(least(self.is_server()), sent, heard);
        desk.add(&self.row(what), is_good, value);
    }

    /// baresip waits for our hello.
    fn is_server(&self) -> bool {
        self.is_dtls() && !self.is_ours
    }

    /// What Wireshark makes of our packets: speech if they are in the clear, else none.
    fn listen(&self, desk: &Desk<'_>, trail: &Trail) -> Outcome<()> {
        let port = trail.rtp_port(false)?;
        let mut payloads = capture::rtp_payloads(&self.capture(desk), port)?;
        payloads.retain(|payload| payload.len() >= 160);
        let mut sound = Sound::new(RATE, Vec::new());
        let mut law = codec::open_static(rtp::PCMU).ok_or("no PCMU")?;
        for payload in &payloads {
            law.decode(&payload[..160], &mut sound.samples);
        }
        let result = compare(&desk.ours, &sound)?;
        let value = format!("{} packets, {}", payloads.len(), figures(&result));
        let is_heard = result.is_faithful() && result.sent.share() >= 0.9;
        let is_good = payloads.len() > 100 && is_heard != self.told.is_some();
        desk.add(&self.row(LISTENER), is_good, value);
        Ok(())
    }

    /// One side insists on what the other cannot: there is no call, and the reason is said.
    fn is_refused(&self, desk: &Desk<'_>) -> Outcome<()> {
        let record = self.record(desk);
        let mut phone = self.call(desk, &record.to_string_lossy())?;
        if !self.is_ours {
            let closed = phone.baresip.event("CALL_CLOSED", PATIENCE);
            let _ = phone.agent.interrupt();
            let trail = desk.finish(phone)?;
            let warning = trail.messages.iter().find_map(|seen| {
                let warned = seen.is_ours && seen.message.status() == Some(488);
                warned.then(|| seen.message.header("warning").unwrap_or_default())
            });
            let value = format!("{}, {:?}", closed?.parameter, warning);
            let is_good = warning.is_some_and(|warning| warning.contains("must be encrypted"));
            desk.add(&self.row(REFUSAL), is_good, value);
            return Ok(());
        }
        let last = phone.agent.finish(LENGTH + PATIENCE);
        desk.finish(phone)?;
        let last = last?;
        let value = format!("exit {}: {}", last.exit, last.reason);
        desk.add(&self.row(REFUSAL), matches!(last.exit, 7 | 8), value);
        Ok(())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("nothing")
}

const fn sdes(number: u16, is_ours: bool, ours: &'static str, theirs: &'static str) -> Case {
    Case {
        number,
        is_ours,
        ours,
        theirs,
        // It offers this one first, and takes the first of ours.
        told: Some((
            "sdes",
            match is_ours {
                true => "AEAD_AES_256_GCM",
                false => "AES_CM_128_HMAC_SHA1_80",
            },
        )),
    }
}

const fn dtls(number: u16, is_ours: bool) -> Case {
    Case {
        number,
        is_ours,
        ours: "dtls",
        theirs: "dtls_srtp",
        // We begin what it offers, and it has an order of its own.
        told: Some((
            "dtls",
            match is_ours {
                true => "AEAD_AES_256_GCM",
                false => "AES_CM_128_HMAC_SHA1_80",
            },
        )),
    }
}

const fn clear(number: u16, is_ours: bool, ours: &'static str) -> Case {
    Case {
        number,
        is_ours,
        ours,
        theirs: "",
        told: None,
    }
}

const CASES: &[Case] = &[
    sdes(32, true, "optional", "srtp"),
    sdes(33, false, "optional", "srtp"),
    sdes(34, true, "mandatory", "srtp-mand"),
    sdes(35, false, "mandatory", "srtp-mand"),
    sdes(37, false, "optional", "srtp-mand"),
    clear(38, true, "optional"),
    clear(39, false, "optional"),
    dtls(42, true),
    dtls(43, false),
];
const REFUSED: &[Case] = &[
    // It takes no keys from an offer of RTP/AVP.
    sdes(36, true, "optional", "srtp-mand"),
    clear(40, true, "mandatory"),
    clear(41, false, "mandatory"),
];
/// What baresip says when media are encrypted.
const SAYS: &str = "SRTP is Enabled";
/// The same of DTLS-SRTP. Its certificate is none of its own making: see `baresip/ecdsa.c`.
const SAYS_BY_DTLS: &str = "DTLS-SRTP complete";
/// Longer than either says its sentence.
const LENGTH: Duration = Duration::from_secs(8);
const KEYS: &str = "keys";
const TO: &str = "speech to it";
const FROM: &str = "speech from it";
const LISTENER: &str = "what Wireshark hears";
const HANDSHAKE: &str = "what Wireshark says of the handshakes";
const REFUSAL: &str = "no call";
