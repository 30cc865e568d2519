//! Referrals of the peer (XFR-04, XFR-05, XFR-09).

use super::*;

/// XFR-04; RFC 3515, 2.4.4 and 2.4.5.
#[test]
fn xfr_04_a_peer_transfers_us() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    let asked = "Refer-To: \"Carol\" <sip:carol@chicago.com;method=INVITE?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994&Subject=hi%20there>\nReferred-By: <sip:alice@atlanta.com>;cid=x";
    wire.receive(&refer(314_160, &tag, asked));
    let (id, incoming) = wire.incoming_referral();
    assert_eq!(incoming.refer_to.uri.as_str(), "sip:carol@chicago.com");
    assert_eq!(incoming.refer_to.display.as_deref(), Some("Carol"));
    assert_eq!(
        incoming.replaces.as_deref(),
        Some("12345@192.168.118.3;to-tag=12345;from-tag=5FFE-3994")
    );
    assert_eq!(
        incoming.uri_headers,
        [("Subject".to_owned(), "hi there".to_owned())]
    );
    assert_eq!(incoming.method, None);
    assert_eq!(incoming.call, wire.endpoint.invitations().next());
    let referred_by = incoming.referred_by.unwrap();
    assert_eq!(referred_by.uri.as_str(), "sip:alice@atlanta.com");
    let now = wire.now;
    wire.endpoint.accept_referral(now, id).unwrap();
    let accepted = wire.next_response();
    assert_eq!(accepted.status, Status::ACCEPTED);
    assert_eq!(
        value(&accepted, HeaderName::Contact),
        "<sip:bob@192.0.2.1:5060>"
    );
    let trying = wire.request();
    assert_eq!(trying.method, Method::Notify);
    assert_eq!(text(&trying, HeaderName::Event), "refer");
    assert_eq!(
        text(&trying, HeaderName::SubscriptionState),
        "active;expires=90"
    );
    assert_eq!(text(&trying, HeaderName::ContentType), Sipfrag::TYPE);
    assert_eq!(trying.body, "SIP/2.0 100 Trying\r\n");
    assert_eq!(
        text(&trying, HeaderName::CallId),
        "a84b4c76e66710@pc33.atlanta.com"
    );
    // While it is out, only the latest is kept.
    for code in [180, 183] {
        let code = Status::new(code).unwrap();
        wire.endpoint.report_referral(now, id, code, None).unwrap();
    }
    wire.reply(&trying, "200 OK");
    let progress = wire.request();
    assert_eq!(progress.body, "SIP/2.0 183 Session Progress\r\n");
    wire.reply(&progress, "200 OK");
    wire.endpoint
        .report_referral(now, id, Status::OK, Some("Splendid"))
        .unwrap();
    let last = wire.request();
    assert_eq!(last.body, "SIP/2.0 200 Splendid\r\n");
    assert_eq!(
        text(&last, HeaderName::SubscriptionState),
        "terminated;reason=noresource"
    );
    wire.reply(&last, "200 OK");
    let ended = wire.events.iter().any(|event| {
        matches!(
            event,
            Event::IncomingReferral(
                _,
                IncomingReferralEvent::Ended {
                    cause: NotifierEnd::Terminated
                }
            )
        )
    });
    assert!(ended, "{:#?}", wire.events);
    assert!(
        wire.endpoint
            .report_referral(now, id, Status::OK, None)
            .is_err()
    );
    assert_eq!(wire.call().state(), State::Confirmed);
    let now = wire.now;
    wire.call().end(now, &Headers::new()).unwrap();
    let bye = wire.request();
    assert_eq!(
        bye.headers.cseq().unwrap().number,
        last.headers.cseq().unwrap().number + 1
    );
}

/// XFR-04, XFR-05, XFR-09.
#[test]
fn xfr_05_referrals_that_are_refused() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    for (number, asked) in [
        (314_160, ""),
        (314_161, "Refer-To: <"),
        (
            314_162,
            "Refer-To: <sip:carol@chicago.com>\nRefer-To: <sip:dave@denver.com>",
        ),
        (
            314_163,
            "Refer-To: <sip:c@d?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&replaces=b>",
        ),
    ] {
        wire.receive(&refer(number, &tag, asked));
        assert_eq!(wire.response().status.code(), 400, "{asked}");
    }
    wire.receive(&refer(314_170, &tag, TO_CAROL));
    let (id, _) = wire.incoming_referral();
    let (now, none) = (wire.now, Headers::new());
    assert!(
        wire.endpoint
            .report_referral(now, id, Status::RINGING, None)
            .is_err()
    );
    wire.endpoint
        .reject_referral(now, id, Status::BUSY_HERE, None, &none)
        .unwrap();
    assert_eq!(wire.response().status, Status::BUSY_HERE);
    assert_eq!(wire.endpoint.stats().referrals, 0);
    // Left pending, it is refused by a report.
    wire.receive(&refer(314_171, &tag, TO_CAROL));
    let (id, _) = wire.incoming_referral();
    wire.wait(Duration::from_secs(4));
    assert_eq!(wire.next_response().status, Status::ACCEPTED);
    let pending = wire.next_request();
    assert_eq!(
        text(&pending, HeaderName::SubscriptionState),
        "pending;expires=90"
    );
    assert_eq!(pending.body, "SIP/2.0 100 Trying\r\n");
    wire.reply(&pending, "200 OK");
    wire.lines();
    let now = wire.now;
    wire.endpoint
        .reject_referral(now, id, Status::DECLINE, None, &none)
        .unwrap();
    let last = wire.request();
    assert_eq!(last.body, "SIP/2.0 603 Decline\r\n");
    wire.reply(&last, "200 OK");
    assert_eq!(wire.call().state(), State::Confirmed);
}

/// RFC 4488, 4: who wants no reports gets none.
#[test]
fn xfr_04_without_reports() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    let asked = format!("{TO_CAROL}\nRefer-Sub: false\nRequire: norefersub");
    wire.receive(&refer(314_160, &tag, &asked));
    let (id, incoming) = wire.incoming_referral();
    assert!(incoming.is_silent);
    let now = wire.now;
    wire.endpoint.accept_referral(now, id).unwrap();
    let accepted = wire.response();
    assert_eq!(accepted.status, Status::ACCEPTED);
    assert_eq!(value(&accepted, HeaderName::ReferSub), "false");
    wire.endpoint
        .report_referral(now, id, Status::OK, None)
        .unwrap();
    assert_eq!(wire.lines(), [""; 0]);
    assert_eq!(wire.endpoint.stats().referrals, 0);
}

/// RFC 4538, 4: outside of the dialog, about the call that it names; and the peer may end the reports.
#[test]
fn xfr_04_outside_of_the_dialog_about_a_call() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    let call = wire.endpoint.invitations().next();
    let outside = |number: u32, local: &str| {
        refer(number, "x", TO_CAROL)
            .replace(";tag=x", "")
            .replace("Call-ID: a84b4c76e66710", "Call-ID: other")
            .replace(
                TO_CAROL,
                &format!(
                    "{TO_CAROL}\nRequire: tdialog\nTarget-Dialog: a84b4c76e66710@pc33.atlanta.com;local-tag={local};remote-tag=1928301774"
                ),
            )
    };
    // What does not match is as good as not there.
    wire.receive(&outside(1, "wrong"));
    let (id, incoming) = wire.incoming_referral();
    assert_eq!(incoming.call, None);
    let (now, none) = (wire.now, Headers::new());
    wire.endpoint
        .reject_referral(now, id, Status::FORBIDDEN, None, &none)
        .unwrap();
    assert_eq!(wire.response().status, Status::FORBIDDEN);
    wire.receive(&outside(2, &tag));
    let (id, incoming) = wire.incoming_referral();
    assert_eq!(incoming.call, call);
    wire.endpoint.accept_referral(now, id).unwrap();
    let accepted = wire.next_response();
    let ours = uas::tag(&accepted);
    let trying = wire.request();
    assert_eq!(text(&trying, HeaderName::CallId), "other@pc33.atlanta.com");
    wire.reply(&trying, "200 OK");
    assert_eq!(wire.endpoint.stats().dialogs, 2);
    // RFC 3515, 2.4.4
    let leave = inside("SUBSCRIBE", 3, &ours, "")
        .replace("Call-ID: a84b4c76e66710", "Call-ID: other")
        .replace("Content-Length", "Event: refer\nExpires: 0\nContent-Length");
    wire.receive(&leave);
    assert_eq!(wire.next_response().status.code(), 200);
    let last = wire.request();
    assert_eq!(
        text(&last, HeaderName::SubscriptionState),
        "terminated;reason=timeout"
    );
    wire.reply(&last, "200 OK");
    assert_eq!(wire.endpoint.stats().dialogs, 1);
}

/// RFC 3515, 2.4.6: the second of a dialog is named by its number; the first without.
#[test]
fn xfr_05_two_referrals_of_the_peer() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    let now = wire.now;
    let mut events = Vec::new();
    for number in [314_160, 314_161] {
        wire.receive(&refer(number, &tag, TO_CAROL));
        let (id, _) = wire.incoming_referral();
        wire.endpoint.accept_referral(now, id).unwrap();
        wire.next_response();
        let trying = wire.request();
        events.push(text(&trying, HeaderName::Event));
        wire.reply(&trying, "200 OK");
    }
    assert_eq!(events, ["refer", "refer;id=314161"]);
}
