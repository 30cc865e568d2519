//! Encrypted media: policies of both sides, and what is said about them.

use super::{Ended, names::NameServer, run, start, tls::Authority};
use serde_json::Value;

/// A call with a policy on each side: both ended commands.
fn call(ours: &str, theirs: &str) -> (Ended, Ended) {
    let mut answer = start(&[
        "answer",
        "--auto",
        "--count",
        "1",
        "--srtp",
        theirs,
        "--timeout",
        "20",
    ]);
    let uri = answer.uri("udp");
    let call = run(&[
        "call",
        &uri,
        "--srtp",
        ours,
        "--hangup-after",
        "0.8",
        "--expect-audio",
        "0.2",
        "--trace",
    ]);
    (call, answer.end())
}

fn named<'a>(ended: &'a Ended, event: &str) -> Vec<&'a Value> {
    let lines = ended.lines.iter().filter(|line| line["event"] == event);
    lines.map(|line| &line["data"]).collect()
}

/// RTP-08, AUS-11: the last line and an event say what protects; the trace does not say the keys.
#[test]
fn aus_11_policies_that_go_together() {
    for (ours, theirs, cipher) in [
        ("optional", "optional", Some("AEAD_AES_256_GCM")),
        ("mandatory", "optional", Some("AEAD_AES_256_GCM")),
        ("optional", "mandatory", Some("AEAD_AES_256_GCM")),
        ("optional", "off", None),
        ("off", "optional", None),
        ("off", "off", None),
    ] {
        let (call, answer) = call(ours, theirs);
        for (ended, policy) in [(&call, ours), (&answer, theirs)] {
            let last = ended.assert_exit(0);
            let media = &last["data"]["media"];
            assert_eq!(media["srtp"], cipher.is_some(), "{ours} {theirs}: {media}");
            assert_eq!(media["srtp_cipher"].as_str(), cipher, "{media}");
            let enabled = named(ended, "RTPStreamDidEnableEncryption");
            let clear = named(ended, "RTPStreamDidNotEnableEncryption");
            match cipher {
                Some(cipher) => {
                    assert_eq!(media["srtp_method"], "sdes", "{media}");
                    assert_eq!(media["srtp_keys_in_clear"], true, "{media}");
                    assert_eq!(media["srtp_discarded"]["forged"], 0, "{media}");
                    assert_eq!((enabled.len(), clear.len()), (1, 0));
                    assert_eq!(enabled[0]["cipher"], cipher);
                    assert_eq!(enabled[0]["keys_in_clear"], true);
                }
                None => {
                    assert_eq!(
                        (enabled.len(), clear.len()),
                        (0, usize::from(policy != "off"))
                    );
                }
            }
        }
        let offered = call.stderr.matches("a=crypto:").count();
        assert_eq!(offered == 0, ours == "off", "{}", call.stderr);
        assert!(!call.stderr.contains("inline:"), "{}", call.stderr);
    }
}

/// RTP-10: who insists is refused by who does not want, with the reason.
#[test]
fn rtp_10_policies_that_do_not_go_together() {
    for (ours, theirs, why) in [
        ("mandatory", "off", "encryption of media is switched off"),
        ("off", "mandatory", "media must be encrypted"),
    ] {
        let (call, _) = call(ours, theirs);
        let reason = call.assert_exit(7)["reason"].as_str().unwrap();
        assert!(reason.contains("488"), "{reason}");
        assert!(call.stderr.contains(why), "{}", call.stderr);
    }
}

/// Over TLS nobody else reads the keys.
#[test]
fn keys_over_tls_are_not_in_the_clear() {
    let authority = Authority::new("cli-srtp");
    let names = NameServer::start(&["sip.example"]);
    let (ca, certificate) = (authority.file(), authority.sign("sip.example"));
    let mut answer = start(&[
        "answer",
        "--auto",
        "--count",
        "1",
        "--tls-ca",
        &ca,
        "--tls-cert",
        &certificate,
        "--timeout",
        "20",
    ]);
    let line = answer.line().expect("a first line").clone();
    let address = line["data"]["tls"].as_str().expect("TLS");
    let port = address.rsplit(':').next().unwrap();
    let uri = format!("sips:me@sip.example:{port}");
    let call = run(&[
        "call",
        &uri,
        "--tls-ca",
        &ca,
        "--dns",
        &names.address(),
        "--hangup-after",
        "0.5",
    ]);
    for ended in [call, answer.end()] {
        let media = &ended.assert_exit(0)["data"]["media"];
        assert_eq!(media["srtp_keys_in_clear"], false, "{media}");
    }
}
