//! Candidates that come between descriptions (RFC 8838, 8840).

use super::{
    audio,
    ice::{ADDRESSES, Net, assemble, ice_env, open},
    origin,
};
use crate::stream::{Agreement, MediaStream, Purpose, StreamInput};
use base::Key as _;
use sip::{DialogId, InfoRequest};
use std::{cell::RefCell, time::Duration};

const PACKAGE: &str = "trickle-ice";
const MEDIA_TYPE: &str = "application/trickle-ice-sdpfrag";
const ALL_TOLD: &str = "a=end-of-candidates\r\n";

fn info(body: String) -> StreamInput {
    StreamInput::Info(InfoRequest::of_package(PACKAGE, MEDIA_TYPE, body))
}

/// The credentials of a description, as lines.
fn keys(session: &sdp::Session) -> String {
    let line = |name: &str| {
        let value = session.media[0].attributes.value(name).unwrap();
        format!("a={name}:{value}\r\n")
    };
    line("ice-ufrag") + &line("ice-pwd")
}

fn candidates(session: &sdp::Session) -> String {
    let all = session.media[0].attributes.all("candidate");
    all.map(|line| format!("a={}\r\n", line.as_str())).collect()
}

/// Takes the candidates out of a description and gives its line a tag.
fn bare(session: &mut sdp::Session) {
    let media = &mut session.media[0];
    media.attributes.remove("candidate");
    media.attributes.remove("end-of-candidates");
    media.set_mid(Some("a"));
}

/// Two streams that know no address of each other, and what their descriptions have really said.
fn strangers() -> (Net, [sdp::Session; 2]) {
    let whole = RefCell::new(Vec::new());
    let net = Net::with(
        &[],
        |_, _| {},
        |_, session| {
            whole.borrow_mut().push(session.clone());
            bare(session);
        },
    );
    (net, whole.into_inner().try_into().unwrap())
}

impl Net {
    /// Gives the first stream an INFO of the second one.
    fn trickle(&mut self, input: StreamInput) {
        let now = self.now();
        self.streams[0].handle_input(now, input);
    }

    fn pairs(&self) -> usize {
        self.ice(0).checked.len()
    }
}

/// RFC 8840, 4: what descriptions of ours say. All of our candidates are told at once (5.3).
#[test]
fn rfc_8840_descriptions_take_what_trickles_and_tell_all() {
    let (_, whole) = strangers();
    for session in &whole {
        let attributes = &session.media[0].attributes;
        assert_eq!(attributes.value("ice-options"), Some("ice2 trickle"));
        assert!(attributes.has("candidate") && attributes.has("end-of-candidates"));
    }
}

/// RFC 8840, 4.4: candidates come late, one after the other, each time with those before; the call begins.
#[test]
fn rfc_8840_candidates_that_trickle_in_carry_the_call() {
    for levels in 0..2 {
        let (mut net, whole) = strangers();
        net.run(Duration::from_secs(45));
        assert_eq!((net.pairs(), net.states(0)), (0, vec!["running"]));
        let (keys, lines) = (keys(&whole[1]), candidates(&whole[1]));
        let (first, _) = lines.split_once("\r\n").unwrap();
        // Credentials of either level.
        let fragment = |lines: &str| match levels {
            0 => info(format!("{keys}m=audio 9 RTP/AVP 0\r\na=mid:a\r\n{lines}")),
            _ => info(format!("m=audio 9 RTP/AVP 0\r\na=mid:a\r\n{keys}{lines}")),
        };
        net.trickle(fragment(&format!("{first}\r\n")));
        let one = net.pairs();
        assert!(one > 0);
        net.trickle(fragment(&lines));
        let all = net.pairs();
        assert!(all > one);
        net.trickle(fragment(&format!("{lines}{ALL_TOLD}")));
        assert_eq!(net.pairs(), all);
        net.run(Duration::from_secs(5));
        assert_eq!(net.states(0), ["running", "completed"]);
        let rtp = net.ice(0).rtp.unwrap();
        assert_eq!(
            (rtp.remote_type, rtp.remote.ip()),
            ("host", ADDRESSES[1][0].into())
        );
        assert_eq!(net.speak(), [1, 1]);
    }
}

/// RFC 8840, 4.4: another generation, another line, another package, or what cannot be read is ignored, and so is
/// what comes after the end of candidates (RFC 8838, 14).
#[test]
fn rfc_8840_what_is_not_for_this_line_or_generation_is_ignored() {
    let (mut net, whole) = strangers();
    let (keys, lines) = (keys(&whole[1]), candidates(&whole[1]));
    let line = "m=audio 9 RTP/AVP 0\r\na=mid:a\r\n";
    let good = format!("{keys}{line}{lines}");
    let other_keys = self::keys(&whole[0]);
    let pwd = keys.lines().nth(1).unwrap();
    for body in [
        good.replace("mid:a", "mid:b"),
        good.replace(&keys, ""),
        good.replace(&keys, &other_keys),
        good.replace(pwd, "a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa"),
        // Lines of their own level go before those of the session.
        format!("{keys}{line}{other_keys}{lines}"),
        good.replace("m=audio 9", "m=audio x"),
        format!("{keys}{lines}{line}"),
        good.replace("a=candidate", "a=candidat"),
        String::new(),
    ] {
        net.trickle(info(body.clone()));
        assert_eq!(net.pairs(), 0, "{body}");
    }
    for (package, media_type) in [("x-toy", MEDIA_TYPE), (PACKAGE, "application/sdp")] {
        let other = InfoRequest::of_package(package, media_type, good.clone());
        net.trickle(StreamInput::Info(other));
    }
    net.trickle(StreamInput::Info(InfoRequest::legacy(
        MEDIA_TYPE,
        good.clone(),
    )));
    assert_eq!(net.pairs(), 0);
    // The end of all lines counts for each.
    net.trickle(info(format!("{keys}{ALL_TOLD}")));
    net.trickle(info(good));
    assert_eq!(net.pairs(), 0);
    net.run(Duration::from_secs(60));
    assert_eq!(net.states(0), ["running", "failed"]);
}

/// A thousand candidates are not a thousand pairs.
#[test]
fn rfc_8838_candidates_that_trickle_in_are_limited() {
    let (mut net, whole) = strangers();
    let keys = keys(&whole[1]);
    let line = |n: usize| {
        let port = 10_000 + n;
        format!("a=candidate:{n} 1 UDP {n} 192.0.2.200 {port} typ host\r\n")
    };
    let lines: String = (0..1_000).map(line).collect();
    net.trickle(info(format!(
        "{keys}m=audio 9 RTP/AVP 0\r\na=mid:a\r\n{lines}"
    )));
    // Of 64 candidates with two addresses of ours, as many as are checked at most.
    let checked = net.ice(0).checked;
    let left_out = checked.iter().filter(|pair| pair.why() == "too many pairs");
    assert_eq!((checked.len(), left_out.count()), (128, 28));
    // More than a description may have: none of it is taken.
    let (mut net, _) = strangers();
    let lines: String = (0..2_000).map(line).collect();
    net.trickle(info(format!(
        "{keys}m=audio 9 RTP/AVP 0\r\na=mid:a\r\n{lines}"
    )));
    assert_eq!(net.pairs(), 0);
}

/// RFC 8840, 4.3.3: candidates may come before the answer that they belong to.
#[test]
fn rfc_8840_what_comes_before_the_answer_counts_with_it() {
    let (_, whole) = strangers();
    let factory = super::AudioFactory::new();
    let now = origin();
    let create = || {
        let env = ice_env(now, 0, |_| {});
        let made =
            crate::stream::StreamFactory::create(&factory, now, env, &serde_json::Value::Null);
        let mut stream = made.unwrap();
        open(&mut stream, now, Purpose::First);
        let offer = assemble(0, stream.offer(now));
        (stream, offer)
    };
    let mut answer = whole[1].clone();
    bare(&mut answer);
    let start = |stream: &mut Box<dyn MediaStream>, offer: &sdp::Session| {
        let agreed = Agreement {
            branch: DialogId::from_parts(0, 0),
            local: offer,
            remote: &answer,
            index: 0,
            is_confidential: false,
            is_early: true,
        };
        stream.start(now, agreed);
        audio(stream.as_ref()).ice().unwrap().checked.len()
    };
    let (keys, lines) = (keys(&whole[1]), candidates(&whole[1]));
    let body = format!("{keys}m=audio 9 RTP/AVP 0\r\na=mid:a\r\n{lines}");
    let other = |n: usize| info(body.replace("a=ice-ufrag:", &format!("a=ice-ufrag:{n}")));
    // Those of four forks are kept.
    for (others, is_kept) in [(0, true), (3, true), (4, false)] {
        let (mut stream, offer) = create();
        stream.handle_input(now, info(body.clone()));
        for n in 0..others {
            stream.handle_input(now, other(n));
        }
        assert_eq!(start(&mut stream, &offer) > 0, is_kept, "{others}");
    }
}
