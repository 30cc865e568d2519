//! INFO (RFC 6086, RFC 2976), with the other side written by hand.

use super::{
    uas::{inside, invite, value},
    *,
};
use crate::{
    HeaderName, Headers, Method, Status,
    usage::invitation::{InfoError, InfoRequest},
};

/// INFO with these lines of header and this body.
fn info(number: u32, tag: &str, further: &str, body: &str) -> String {
    let bare = inside("INFO", number, tag, "");
    let content = format!("{further}Content-Length: {}\n\n{body}", body.len());
    bare.replace("Content-Length: 0", &content)
}

fn informed(wire: &mut Wire) -> Vec<InfoRequest> {
    let events = wire.invitation_events().into_iter();
    events
        .filter_map(|event| match event {
            InvitationEvent::Informed { info, .. } => Some(info),
            _ => None,
        })
        .collect()
}

fn speaking(packages: &[&str]) -> Wire {
    let mut config = Config::new("tested");
    config.info.packages = Some(packages.iter().map(ToString::to_string).collect());
    Wire::with(config)
}

const RELAY: &str = "Content-Type: application/dtmf-relay\n";

#[test]
fn info_without_a_package_is_taken_by_its_media_type() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    wire.receive(&info(314_160, &tag, RELAY, "Signal=5"));
    let ok = wire.response();
    assert_eq!(ok.status, Status::OK);
    // RFC 6086, 3: no target is refreshed.
    assert!(!ok.headers.contains(HeaderName::Contact));
    let expected = InfoRequest::legacy("application/dtmf-relay", "Signal=5");
    assert_eq!(informed(&mut wire), [expected]);
    // RFC 2976, 2.2: an empty one is a question whether we are there.
    wire.receive(&info(314_161, &tag, "", ""));
    assert_eq!(wire.status(), 200);
    let unknown = "Content-Type: application/media_control+xml\n";
    wire.receive(&info(314_162, &tag, unknown, "<x/>"));
    let refused = wire.response();
    assert_eq!(refused.status, Status::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        value(&refused, HeaderName::Accept),
        "application/dtmf-relay, application/dtmf"
    );
    // RFC 3261, 12.2.2: out of order.
    wire.receive(&info(314_150, &tag, RELAY, "Signal=6"));
    assert_eq!(wire.status(), 500);
    // RFC 6086, 4.2.2: outside of a dialog, and after its end.
    wire.receive(&info(1, "unknown", RELAY, "Signal=7"));
    assert_eq!(wire.status(), 481);
    wire.receive(&inside("BYE", 314_163, &tag, ""));
    wire.sent.clear();
    wire.events.clear();
    wire.receive(&info(314_164, &tag, RELAY, "Signal=8"));
    assert_eq!(wire.status(), 481);
    assert!(informed(&mut wire).is_empty());
}

/// RFC 6086, 4.2.2: 469 with what we would take.
#[test]
fn packages_are_agreed_in_both_directions() {
    let mut wire = speaking(&["conference", "x-toy"]);
    wire.receive(&invite("1", "Recv-Info: X-Theirs;v=1, other\n"));
    wire.sent.clear();
    let now = wire.now;
    wire.call()
        .accept(now, sdp("answer"), Headers::new())
        .unwrap();
    let ok = wire.response();
    assert_eq!(value(&ok, HeaderName::RecvInfo), "conference, x-toy");
    let tag = uas::tag(&ok);
    wire.receive(&inside("ACK", 314_159, &tag, ""));
    wire.events.clear();
    let package = "Info-Package: X-TOY;p=1\nContent-Type: text/plain\n";
    wire.receive(&info(314_160, &tag, package, "hello"));
    assert_eq!(wire.status(), 200);
    let expected = InfoRequest::of_package("X-TOY", "text/plain", "hello");
    assert_eq!(informed(&mut wire), [expected]);
    wire.receive(&info(314_161, &tag, "Info-Package: nobody\n", ""));
    let refused = wire.response();
    assert_eq!(refused.status, Status::BAD_INFO_PACKAGE);
    assert_eq!(value(&refused, HeaderName::RecvInfo), "conference, x-toy");
    // RFC 6086, 4.2.1: only what the peer wants.
    let unwanted = InfoRequest::of_package("x-toy", "text/plain", "hello");
    assert_eq!(wire.call().inform(now, unwanted), Err(InfoError::NotWanted));
    let wanted = InfoRequest::of_package("x-theirs", "text/plain", "hello");
    wire.call().inform(now, wanted.clone()).unwrap();
    let ours = wire.request();
    assert_eq!(
        (&ours.method, &ours.body[..]),
        (&Method::Info, &b"hello"[..])
    );
    let of = |name| String::from_utf8_lossy(ours.headers.get(name).unwrap()).into_owned();
    assert_eq!(of(HeaderName::InfoPackage), "x-theirs");
    // RFC 6086, 4.3.1
    assert_eq!(of(HeaderName::ContentDisposition), "Info-Package");
    wire.reply(&ours, "200 OK");
    // RFC 6086, 5.2.2: an empty list takes them back.
    let update =
        inside("UPDATE", 314_162, &tag, "").replace("Content-Length", "Recv-Info:\nContent-Length");
    wire.receive(&update);
    assert_eq!(
        value(&wire.response(), HeaderName::RecvInfo),
        "conference, x-toy"
    );
    assert_eq!(wire.call().inform(now, wanted), Err(InfoError::NotWanted));
}

/// RFC 8840, 10.6: who takes the package says the option, and takes a request that demands it. The package comes
/// before the call is taken, too (4.3).
#[test]
fn rfc_8840_the_package_of_candidates_is_an_extension() {
    let mut wire = speaking(&["trickle-ice"]);
    let demand = "Require: trickle-ice\nRecv-Info: trickle-ice\n";
    wire.receive(&invite("1", demand));
    wire.sent.clear();
    let now = wire.now;
    wire.call().ring(now).unwrap();
    let tag = uas::tag(&wire.response());
    wire.events.clear();
    let package = "Info-Package: trickle-ice\nContent-Type: application/trickle-ice-sdpfrag\n";
    wire.receive(&info(314_160, &tag, package, "a=end-of-candidates"));
    assert_eq!(wire.status(), 200);
    assert_eq!(informed(&mut wire).len(), 1);
    // RFC 6086, 4.2.2, and RFC 8840, 10.7: nothing else comes with it, not even what is taken without a package.
    let other = format!("Info-Package: trickle-ice\n{RELAY}");
    wire.receive(&info(314_161, &tag, &other, "Signal=5"));
    let refused = wire.response();
    assert_eq!(refused.status, Status::UNSUPPORTED_MEDIA_TYPE);
    let fragment = "application/trickle-ice-sdpfrag";
    assert_eq!(value(&refused, HeaderName::Accept), fragment);
    assert!(informed(&mut wire).is_empty());
    wire.call()
        .accept(now, sdp("answer"), Headers::new())
        .unwrap();
    let ok = wire.response();
    assert!(ok.headers.has_token(HeaderName::Supported, "trickle-ice"));
    assert_eq!(value(&ok, HeaderName::RecvInfo), "trickle-ice");
    // Without the package there is no such extension.
    let mut wire = speaking(&["x-toy"]);
    wire.receive(&invite("1", demand));
    assert_eq!(wire.status(), 420);
}

/// RFC 6086, 5.2.3: not a word of packages to who has said none, and none from who speaks none.
#[test]
fn packages_are_not_spoken_of_unasked() {
    let mut wire = speaking(&["x-toy"]);
    wire.receive(&invite("1", ""));
    wire.sent.clear();
    let now = wire.now;
    wire.call()
        .accept(now, sdp("answer"), Headers::new())
        .unwrap();
    assert!(!wire.response().headers.contains(HeaderName::RecvInfo));
    let mut wire = Wire::new();
    let tag = wire.establish();
    wire.receive(&info(314_160, &tag, "Info-Package: x-toy\n", ""));
    let refused = wire.response();
    assert_eq!(refused.status, Status::BAD_INFO_PACKAGE);
    assert_eq!(value(&refused, HeaderName::RecvInfo), "");
    // RFC 6086, 4.2.1: in our INVITE even if it is empty.
    let mut wire = speaking(&[]);
    let dialled = wire.dial();
    assert_eq!(dialled.headers.get(HeaderName::RecvInfo), Some(&b""[..]));
}

/// RFC 3261, 12.2.2: one that overtakes another would be refused, and digits in disorder are others.
#[test]
fn info_goes_one_after_the_other() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    let now = wire.now;
    let digit = |digit| InfoRequest::legacy("application/dtmf-relay", format!("Signal={digit}"));
    for number in 0..3 {
        wire.call().inform(now, digit(number)).unwrap();
    }
    for (number, answer) in [(0, "200 OK"), (1, "415 Whatever"), (2, "405 Whatever")] {
        let ours = wire.request();
        assert_eq!(ours.body, format!("Signal={number}"));
        wire.reply(&ours, answer);
    }
    let told = wire
        .invitation_events()
        .into_iter()
        .filter_map(|event| match event {
            InvitationEvent::Transaction {
                method: Method::Info,
                code,
                ..
            } => Some(code.code()),
            _ => None,
        });
    // RFC 5057, 5.1, note 3: who does not know INFO is still in the call.
    assert_eq!(told.collect::<Vec<_>>(), [200, 415, 405]);
    for _ in 0..65 {
        wire.call().inform(now, digit(1)).unwrap();
    }
    assert_eq!(wire.call().inform(now, digit(1)), Err(InfoError::Busy));
    let malformed = InfoRequest::legacy("text/plain\r\nEvil: yes", "");
    assert_eq!(
        wire.call().inform(now, malformed),
        Err(InfoError::Malformed)
    );
    let untyped = InfoRequest::legacy("", "body");
    assert_eq!(wire.call().inform(now, untyped), Err(InfoError::Malformed));
    // RFC 3261, 12.2.1.2: a dialog that the peer has lost is lost.
    let ours = wire.request();
    wire.reply(&ours, "481 Gone");
    assert!(wire.lines()[0].starts_with("BYE "));
    assert!(matches!(
        wire.call().inform(now, digit(1)),
        Err(InfoError::WrongState(_))
    ));
    wire.receive(&inside("BYE", 314_160, &tag, ""));
    wire.wait(Duration::from_secs(64));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}
