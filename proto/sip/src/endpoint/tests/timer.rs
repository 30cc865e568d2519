//! Session timers (RFC 4028), with the other side written by hand.

use super::{
    uac::*,
    uas::{inside, invite, tag},
    *,
};
use crate::{
    HeaderName, Method, Status, config::SessionTimer, header::Refresher,
    usage::invitation::EndCause,
};

const KNOWS: &str = "Supported: timer\nAllow: INVITE, ACK, BYE, CANCEL, UPDATE\n";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn config(change: impl FnOnce(&mut SessionTimer)) -> Config {
    let mut config = Config::new("tested");
    config.session_timer.expires = Some(secs(90));
    change(&mut config.session_timer);
    config
}

/// A call of ours whose 2xx says `further`.
fn called(config: Config, further: &str) -> (Wire, Request) {
    let mut wire = Wire::with(config);
    let invite = wire.dial();
    wire.receive(&answer_with(&invite, "200 OK", "b", further, "answer"));
    assert_eq!(wire.request().method, Method::Ack);
    wire.events.clear();
    (wire, invite)
}

/// A call to us whose INVITE says `further`; returns our 2xx and our tag.
fn answered(config: Config, further: &str) -> (Wire, Response, String) {
    let mut wire = Wire::with(config);
    wire.receive(&invite("1", further));
    let now = wire.now;
    wire.call()
        .accept(now, sdp("answer"), crate::Headers::new())
        .unwrap();
    let ok = wire.response();
    let ours = tag(&ok);
    wire.receive(&inside("ACK", 314_159, &ours, ""));
    wire.events.clear();
    (wire, ok, ours)
}

fn expiry(response: &Response) -> (&str, &str) {
    (
        uas::value(response, HeaderName::SessionExpires),
        uas::value(response, HeaderName::Require),
    )
}

fn first_words(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line.split(' ').next().unwrap_or_default())
        .collect()
}

#[test]
fn our_invite_asks_for_a_timer() {
    // RFC 4028, 7.1
    let asked = |config| {
        let mut wire = Wire::with(config);
        let invite = wire.dial();
        [
            HeaderName::SessionExpires,
            HeaderName::MinSe,
            HeaderName::Supported,
        ]
        .map(|name| value(&invite, name).to_owned())
    };
    assert_eq!(
        asked(Config::new("tested")),
        [
            "1800",
            "",
            "norefersub, tdialog, eventlist, replaces, 100rel, timer"
        ]
    );
    let both = config(|timer| {
        timer.min_se = secs(120);
        timer.refresher = Some(Refresher::Uac);
    });
    assert_eq!(
        asked(both),
        [
            "120;refresher=uac",
            "120",
            "norefersub, tdialog, eventlist, replaces, 100rel, timer"
        ]
    );
    let theirs = config(|timer| timer.refresher = Some(Refresher::Uas));
    assert_eq!(
        asked(theirs),
        [
            "90;refresher=uas",
            "",
            "norefersub, tdialog, eventlist, replaces, 100rel, timer"
        ]
    );
    assert_eq!(asked(config(|timer| timer.expires = None))[0], "");
    assert_eq!(
        asked(config(|timer| timer.is_on = false)),
        ["", "", "norefersub, tdialog, eventlist, replaces, 100rel"]
    );
}

#[test]
fn the_caller_refreshes_by_update_after_the_half() {
    let said = format!("{KNOWS}Require: timer\nSession-Expires: 90;refresher=uac\n");
    let (mut wire, _) = called(config(|_| {}), &said);
    for _ in 0..3 {
        wire.wait(ms(44_999));
        assert_eq!(wire.lines(), [""; 0]);
        wire.wait(ms(1));
        let update = wire.request();
        assert_eq!((&update.method, update.body.len()), (&Method::Update, 0));
        assert_eq!(
            value(&update, HeaderName::SessionExpires),
            "90;refresher=uac"
        );
        let said = "Require: timer\nSession-Expires: 90;refresher=uac\n";
        wire.receive(&answer_with(&update, "200 OK", "", said, ""));
    }
    // A 2xx without the header does not switch off what we want: we go on alone (7.2).
    wire.wait(ms(45_000));
    let update = wire.request();
    wire.receive(&answer_to(&update, "200 OK", "", ""));
    wire.wait(ms(45_000));
    assert_eq!(wire.request().method, Method::Update);
}

/// RFC 4028, 10: what the peer counts from its 2xx, which was lost at first, is refreshed in time.
#[test]
fn a_late_answer_to_a_refresh_makes_the_next_one_no_later() {
    let said = format!("{KNOWS}Require: timer\nSession-Expires: 90;refresher=uac\n");
    let (mut wire, _) = called(config(|_| {}), &said);
    wire.wait(ms(45_000));
    let update = wire.request();
    wire.wait(ms(10_000));
    wire.sent.clear();
    let said = "Require: timer\nSession-Expires: 90;refresher=uac\n";
    wire.receive(&answer_with(&update, "200 OK", "", said, ""));
    wire.wait(ms(34_999));
    assert!(!first_words(&wire.lines()).contains(&"UPDATE"));
    wire.wait(ms(1));
    assert_eq!(first_words(&wire.lines()), ["UPDATE"]);
}

/// RFC 3261, 12.2.2: the peer took them in order, so the 2xx of the request that was sent last is its last word.
#[test]
fn a_2xx_that_another_one_has_overtaken_makes_nobody_the_refresher() {
    let said = format!("{KNOWS}Require: timer\nSession-Expires: 90;refresher=uac\n");
    let (mut wire, _) = called(config(|_| {}), &said);
    wire.wait(ms(45_000));
    let update = wire.request();
    let now = wire.now;
    let none = crate::Headers::new();
    let offered = wire.dialled().offer(now, Some(sdp("offer2")), &none);
    offered.unwrap();
    let reinvite = wire.request();
    let theirs = "Require: timer\nSession-Expires: 90;refresher=uas\n";
    wire.receive(&answer_with(&reinvite, "200 OK", "", theirs, "answer2"));
    assert_eq!(wire.request().method, Method::Ack);
    let ours = "Require: timer\nSession-Expires: 90;refresher=uac\n";
    wire.receive(&answer_with(&update, "200 OK", "", ours, ""));
    wire.wait(ms(59_900));
    assert_eq!(first_words(&wire.lines()), [""; 0]);
    wire.wait(ms(200));
    assert_eq!(first_words(&wire.lines()), ["BYE"]);
}

#[test]
fn a_peer_without_timer_makes_us_the_refresher() {
    // RFC 4028, 7.2: no 421; by re-INVITE with the offer that stands (7.4).
    let (mut wire, _) = called(config(|_| {}), "");
    for _ in 0..3 {
        wire.wait(ms(44_999));
        assert_eq!(wire.lines(), [""; 0]);
        wire.wait(ms(1));
        let reinvite = wire.request();
        assert_eq!(reinvite.method, Method::Invite);
        assert_eq!(&reinvite.body[..], b"offer");
        wire.receive(&answer_to(&reinvite, "200 OK", "", "answer"));
        assert_eq!(wire.request().method, Method::Ack);
        assert_eq!(wire.dialled().state(), State::Confirmed);
    }
    // An offer of ours refreshes, too, and its own 2xx counts, not that of the refresh before it.
    wire.wait(secs(10));
    let now = wire.now;
    let none = crate::Headers::new();
    wire.dialled()
        .offer(now, Some(sdp("offer2")), &none)
        .unwrap();
    let reinvite = wire.request();
    wire.receive(&answer_to(&reinvite, "200 OK", "", "answer2"));
    assert_eq!(wire.request().method, Method::Ack);
    wire.wait(ms(44_999));
    assert_eq!(wire.lines(), [""; 0]);
    wire.wait(ms(1));
    assert_eq!(wire.request().method, Method::Invite);
    // As the callee: table 2, first row.
    let (mut wire, ok, _) = answered(config(|_| {}), "");
    assert_eq!(expiry(&ok), ("90;refresher=uas", ""));
    wire.wait(ms(45_100));
    let reinvite = wire.request();
    assert_eq!(
        (&reinvite.method, &reinvite.body[..]),
        (&Method::Invite, &b"answer"[..])
    );
}

#[test]
fn the_callee_decides_by_table_2() {
    for (asked, ours, expected) in [
        ("", None, "uac"),
        ("", Some(Refresher::Uas), "uas"),
        ("", Some(Refresher::Uac), "uac"),
        (";refresher=uac", Some(Refresher::Uas), "uac"),
        (";refresher=uas", Some(Refresher::Uac), "uas"),
    ] {
        let further = format!("{KNOWS}Session-Expires: 100{asked}\n");
        let (mut wire, ok, _) = answered(
            config(|timer| {
                timer.refresher = ours;
                timer.expires = Some(secs(1_800));
            }),
            &further,
        );
        let said = format!("100;refresher={expected}");
        assert_eq!(expiry(&ok), (&*said, "timer"));
        wire.wait(ms(50_100));
        let lines = wire.lines();
        let expected: &[&str] = match expected {
            "uas" => &["UPDATE"],
            _ => &[],
        };
        assert_eq!(first_words(&lines), expected);
    }
    // Reduced to our wish, but not below Min-SE.
    let further = format!("{KNOWS}Session-Expires: 4000\nMin-SE: 300\n");
    let (_, ok, _) = answered(config(|_| {}), &further);
    assert_eq!(expiry(&ok).0, "300;refresher=uac");
    // Nothing wished, nothing asked.
    let (_, ok, _) = answered(config(|timer| timer.expires = None), KNOWS);
    assert_eq!(expiry(&ok), ("", ""));
}

#[test]
fn who_is_not_refreshed_says_bye_before_the_end() {
    // RFC 4028, 10: SE - min(32 s, SE/3), whichever side refreshes.
    let dies = |mut wire: Wire, at: u64| {
        wire.wait(secs(at) - ms(100));
        let lines = wire.lines();
        assert!(!first_words(&lines).contains(&"BYE"), "{lines:?}");
        wire.wait(ms(200));
        let lines = wire.lines();
        assert!(first_words(&lines).contains(&"BYE"), "{lines:?}");
        wire.wait(secs(4));
        let ended = wire
            .invitation_events()
            .into_iter()
            .find_map(|event| match event {
                InvitationEvent::Ended {
                    cause,
                    reason_header,
                    ..
                } => Some((cause, reason_header)),
                _ => None,
            });
        let (cause, reason) = ended.unwrap();
        assert_eq!(cause, EndCause::SessionExpired);
        assert_eq!(
            reason.as_deref(),
            Some("SIP;cause=408;text=\"Session Expired\"")
        );
        wire.wait(secs(64));
        assert_eq!(wire.endpoint.stats(), Stats::default());
    };
    let said = |refresher: &str, seconds: u64| {
        format!("{KNOWS}Require: timer\nSession-Expires: {seconds};refresher={refresher}\n")
    };
    // The caller, refreshed by the callee, and refreshing a callee that is dead.
    dies(called(config(|_| {}), &said("uas", 90)).0, 60);
    dies(called(config(|_| {}), &said("uas", 600)).0, 568);
    dies(called(config(|_| {}), &said("uac", 90)).0, 60);
    // The callee, both ways.
    let asked = |refresher: &str| format!("{KNOWS}Session-Expires: 90;refresher={refresher}\n");
    dies(answered(config(|_| {}), &asked("uac")).0, 60);
    dies(answered(config(|_| {}), &asked("uas")).0, 60);
}

#[test]
fn a_refresh_of_the_peer_keeps_the_session_and_may_change_the_refresher() {
    let asked = format!("{KNOWS}Session-Expires: 90;refresher=uac\n");
    let (mut wire, _, ours) = answered(config(|_| {}), &asked);
    wire.wait(secs(50));
    let refresh = |number, refresher: &str| {
        let plain = inside("UPDATE", number, &ours, "");
        let asked = format!("Supported: timer\nSession-Expires: 90;refresher={refresher}\nMax-F");
        plain.replacen("Max-F", &asked, 1)
    };
    wire.receive(&refresh(314_160, "uac"));
    assert_eq!(expiry(&wire.response()), ("90;refresher=uac", "timer"));
    wire.wait(secs(50));
    assert_eq!(wire.lines(), [""; 0]);
    wire.receive(&refresh(314_161, "uas"));
    assert_eq!(expiry(&wire.response()), ("90;refresher=uas", "timer"));
    wire.wait(ms(45_100));
    let update = wire.request();
    assert_eq!(
        value(&update, HeaderName::SessionExpires),
        "90;refresher=uac"
    );
    // A re-INVITE refreshes just as well.
    let said = "Require: timer\nSession-Expires: 90;refresher=uas\n";
    wire.receive(&answer_with(&update, "200 OK", "", said, ""));
    wire.wait(secs(50));
    let plain = inside("INVITE", 314_162, &ours, "offer2");
    let asked = "Supported: timer\nSession-Expires: 120\nMax-F";
    wire.receive(&plain.replacen("Max-F", asked, 1));
    let now = wire.now;
    let dialog = wire.call().info().unwrap().confirmed.unwrap();
    wire.call().answer(now, dialog, sdp("answer2")).unwrap();
    assert_eq!(expiry(&wire.response()), ("90;refresher=uac", "timer"));
}

#[test]
fn an_interval_that_is_too_short_meets_422() {
    // RFC 4028, 9 and 7.3
    for method in ["INVITE", "UPDATE"] {
        let (mut wire, _, ours) = answered(config(|_| {}), KNOWS);
        let plain = inside(method, 314_160, &ours, "");
        let asked = "Supported: timer\nSession-Expires: 89\nMax-F";
        wire.receive(&plain.replacen("Max-F", asked, 1));
        let refused = wire.response();
        assert_eq!(refused.status, Status::SESSION_INTERVAL_TOO_SMALL);
        assert_eq!(uas::value(&refused, HeaderName::MinSe), "90");
    }
    let mut wire = Wire::with(config(|_| {}));
    wire.receive(&invite("1", "Supported: timer\nSession-Expires: 10\n"));
    assert_eq!(wire.status(), 422);
    assert_eq!(wire.endpoint.stats(), Stats::default());
    // Who does not know the extension cannot be asked.
    wire.receive(&invite("2", "Session-Expires: 10\n"));
    assert!(matches!(wire.events[..], [Event::Invitation(..), ..]));

    let mut wire = Wire::with(config(|_| {}));
    let first = wire.dial();
    let said = "Min-SE: 200\n";
    wire.receive(&answer_with(&first, "422 Too Small", "x", said, ""));
    let sent = std::mem::take(&mut wire.sent);
    assert!(sent[0].1.starts_with("ACK "));
    let again = Message::parse(sent[1].1.clone().into_bytes().into()).unwrap();
    let Message::Request(again) = again else {
        panic!("{again:?}")
    };
    assert_eq!(value(&again, HeaderName::CSeq), "2 INVITE");
    assert_eq!(
        value(&again, HeaderName::CallId),
        value(&first, HeaderName::CallId)
    );
    assert_eq!(value(&again, HeaderName::MinSe), "200");
    assert_eq!(value(&again, HeaderName::SessionExpires), "200");
    assert!(again.headers.to().unwrap().tag().is_none());
    // A second proxy wants more; the third answer asks for nothing new.
    wire.receive(&answer_with(
        &again,
        "422 Too Small",
        "x",
        "Min-SE: 300\n",
        "",
    ));
    let sent = std::mem::take(&mut wire.sent);
    assert!(sent[1].1.contains("Session-Expires: 300\r\n"), "{sent:?}");
    let third = Message::parse(sent[1].1.clone().into_bytes().into()).unwrap();
    let Message::Request(third) = third else {
        panic!("{third:?}")
    };
    wire.receive(&answer_with(
        &third,
        "422 Too Small",
        "x",
        "Min-SE: 300\n",
        "",
    ));
    assert_eq!(
        wire.ended(),
        Some((EndCause::Rejected, Some(Status::SESSION_INTERVAL_TOO_SMALL)))
    );
}

#[test]
fn a_refresh_that_crosses_another_request_goes_again() {
    let said = format!("{KNOWS}Require: timer\nSession-Expires: 90;refresher=uac\n");
    let (mut wire, _) = called(config(|_| {}), &said);
    wire.wait(ms(45_100));
    let update = wire.request();
    wire.receive(&answer_to(&update, "491 Request Pending", "", ""));
    let mut waited = 0;
    while wire.sent.is_empty() {
        wire.wait(ms(100));
        waited += 100;
    }
    assert!((2_000..=4_100).contains(&waited), "{waited}");
    let again = wire.request();
    assert_eq!(again.method, Method::Update);
    // What does not pass is not asked for a third time: the session expires.
    wire.receive(&answer_to(&again, "403 Forbidden", "", ""));
    wire.wait(secs(12));
    let lines = wire.lines();
    assert_eq!(first_words(&lines)[0], "BYE", "{lines:?}");
}

/// RFC 3261, 14.1: an offer that met another is the application's to repeat. The session timer has no
/// part in it, and refreshes when it was to (RFC 4028, 10).
#[test]
fn an_offer_that_fails_is_not_repeated_as_a_refresh() {
    for refusal in [
        "491 Request Pending",
        "500 Later",
        "488 Not Acceptable Here",
    ] {
        let said = format!("{KNOWS}Require: timer\nSession-Expires: 90;refresher=uac\n");
        let (mut wire, _) = called(config(|_| {}), &said);
        let now = wire.now;
        wire.call()
            .offer(now, Some(sdp("hold")), &crate::Headers::new())
            .unwrap();
        let offer = wire.request();
        assert_eq!(offer.method, Method::Invite);
        wire.receive(&answer_with(&offer, refusal, "", "Retry-After: 1\n", ""));
        wire.wait(secs(40));
        let lines = wire.lines();
        assert_eq!(first_words(&lines), ["ACK"], "{refusal}: {lines:?}");
        wire.wait(secs(6));
        let lines = wire.lines();
        assert_eq!(first_words(&lines)[0], "UPDATE", "{refusal}: {lines:?}");
    }
}

#[test]
fn a_peer_that_wants_a_flood_is_not_obeyed() {
    let said = format!("{KNOWS}Require: timer\nSession-Expires: 1;refresher=uac\n");
    let (mut wire, _) = called(config(|_| {}), &said);
    wire.wait(ms(1_900));
    assert_eq!(wire.lines(), [""; 0]);
}

#[test]
fn an_unknown_extension_is_left_out_once() {
    // RFC 3261, 8.1.3.5
    let mut wire = Wire::new();
    let invite = wire.dial();
    let unknown = "Unsupported: timer, foo\n";
    wire.receive(&answer_with(&invite, "420 Bad Extension", "x", unknown, ""));
    let sent = std::mem::take(&mut wire.sent);
    let left = "Supported: norefersub, tdialog, eventlist, replaces, 100rel\r\n";
    assert!(sent[1].1.contains(left), "{sent:?}");
    let again = Message::parse(sent[1].1.clone().into_bytes().into()).unwrap();
    let Message::Request(again) = again else {
        panic!("{again:?}")
    };
    wire.receive(&answer_with(
        &again,
        "420 Bad Extension",
        "x",
        "Unsupported: 100rel\n",
        "",
    ));
    assert_eq!(
        wire.ended(),
        Some((EndCause::Rejected, Some(Status::BAD_EXTENSION)))
    );
}
