//! REFER both ways, inside a call and outside, with a peer written by hand from RFC 3515.

use super::{
    uas::{inside, value},
    *,
};
use crate::{
    HeaderName, Headers, IncomingReferralId, Method, ReferralId, Status,
    usage::{
        invitation::EndCause,
        notifier::NotifierEnd,
        referral::{IncomingReferralEvent, Refer, ReferralEnd, ReferralEvent},
        sipfrag::Sipfrag,
        subscription::{SubscribeError, SubscriptionEnd},
    },
};

fn text(request: &Request, name: HeaderName) -> String {
    let value = request.headers.get(name).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

/// A report inside the dialog of the call.
fn report(number: u32, tag: &str, event: &str, state: &str, line: &str) -> String {
    inside("NOTIFY", number, tag, "x").replace(
        "Content-Type: application/sdp\nContent-Length: 1\n\nx",
        &format!(
            "Event: {event}\nSubscription-State: {state}\nContent-Type: message/sipfrag;version=2.0\nContent-Length: {}\n\n{line}",
            line.len()
        ),
    )
}

/// REFER of the peer inside the dialog of the call.
fn refer(number: u32, tag: &str, further: &str) -> String {
    inside("REFER", number, tag, "").replace(
        "Content-Length: 0",
        &format!("{further}\nContent-Length: 0"),
    )
}

const TO_CAROL: &str = "Refer-To: <sip:carol@chicago.com>";

impl Wire {
    fn refer_in_call(&mut self) -> (ReferralId, Request) {
        let call = self.endpoint.invitations().next().expect("a call");
        let now = self.now;
        let refer = Refer::in_call(call, address("sip:carol@chicago.com"));
        let id = self.endpoint.refer(now, refer).unwrap();
        (id, self.request())
    }

    fn referral_events(&mut self) -> Vec<ReferralEvent> {
        self.drain();
        let events = std::mem::take(&mut self.events).into_iter();
        events
            .filter_map(|event| match event {
                Event::Referral(_, event) => Some(event),
                _ => None,
            })
            .collect()
    }

    fn incoming_referral(&mut self) -> (IncomingReferralId, usage::referral::IncomingRefer) {
        self.drain();
        let events = std::mem::take(&mut self.events).into_iter();
        let mut incoming = events.filter_map(|event| match event {
            Event::IncomingReferral(id, IncomingReferralEvent::Incoming(refer)) => {
                Some((id, *refer))
            }
            _ => None,
        });
        incoming.next().expect("a REFER")
    }
}

fn outcome(events: &[ReferralEvent]) -> (ReferralEnd, Option<u16>) {
    let ends: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ReferralEvent::Ended { outcome, code, .. } => {
                Some((outcome.clone(), code.map(Status::code)))
            }
            _ => None,
        })
        .collect();
    assert_eq!(ends.len(), 1, "{events:#?}");
    ends[0].clone()
}

/// XFR-01, XFR-06; RFC 3515, 2.4.
#[test]
fn xfr_01_a_blind_transfer_in_the_dialog_of_the_call() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    let (_, request) = wire.refer_in_call();
    assert_eq!(request.method, Method::Refer);
    assert_eq!(request.uri.as_str(), "sip:alice@pc33.atlanta.com");
    assert_eq!(
        text(&request, HeaderName::ReferTo),
        "<sip:carol@chicago.com>"
    );
    assert_eq!(
        text(&request, HeaderName::ReferredBy),
        "\"Bob\" <sip:bob@biloxi.com>"
    );
    assert_eq!(
        text(&request, HeaderName::Contact),
        "<sip:bob@192.0.2.1:5060>"
    );
    assert_eq!(request.headers.from().unwrap().tag(), Some(&*tag));
    wire.reply(
        &request,
        "202 Accepted\nContact: <sip:alice@pc33.atlanta.com>",
    );
    for (number, state, line) in [
        (314_160, "active;expires=60", "SIP/2.0 100 Trying"),
        (
            314_161,
            "active;expires=60",
            "SIP/2.0 180 Ringing \"really\"",
        ),
        (314_162, "terminated;reason=noresource", "SIP/2.0 200 OK"),
    ] {
        wire.receive(&report(number, &tag, "refer", state, line));
        assert_eq!(wire.response().status.code(), 200);
    }
    let events = wire.referral_events();
    assert!(
        matches!(
            &events[0],
            ReferralEvent::Accepted {
                code: Status::ACCEPTED,
                ..
            }
        ),
        "{events:#?}"
    );
    let codes: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ReferralEvent::Progress { code, .. } => Some(code.code()),
            _ => None,
        })
        .collect();
    assert_eq!(codes, [100, 180, 200]);
    assert_eq!(outcome(&events), (ReferralEnd::Succeeded, Some(200)));
    // The call is as it was.
    assert_eq!(wire.call().state(), State::Confirmed);
    wire.receive(&inside("BYE", 314_170, &tag, ""));
    assert_eq!(wire.response().status.code(), 200);
    wire.wait(Duration::from_secs(64));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

/// RFC 5057, 4.1 and RFC 6665, 4.5.2: the dialog lives as long as one of its usages. The peer hangs up
/// before it reports, which is what most of them do.
#[test]
fn xfr_06_reports_after_the_call_has_ended() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    let (_, request) = wire.refer_in_call();
    wire.reply(
        &request,
        "202 Accepted\nContact: <sip:alice@pc33.atlanta.com>",
    );
    wire.receive(&report(
        314_160,
        &tag,
        "refer",
        "active;expires=60",
        "SIP/2.0 100 Trying",
    ));
    wire.lines();
    wire.receive(&inside("BYE", 314_161, &tag, ""));
    assert_eq!(wire.response().status.code(), 200);
    let ended = wire.invitation_events();
    assert!(
        matches!(
            ended.last(),
            Some(InvitationEvent::Ended {
                cause: EndCause::Bye,
                ..
            })
        ),
        "{ended:#?}"
    );
    wire.wait(Duration::from_secs(40));
    assert_eq!(
        (
            wire.endpoint.stats().invitations,
            wire.endpoint.stats().dialogs
        ),
        (0, 1)
    );
    // The call is not there, the dialog is.
    wire.receive(&inside("BYE", 314_162, &tag, ""));
    assert_eq!(wire.response().status.code(), 481);
    wire.receive(&inside("OPTIONS", 314_163, &tag, ""));
    assert_eq!(wire.response().status.code(), 200);
    wire.receive(&inside("OPTIONS", 314_162, &tag, "").replace("OPTIONS314162", "old"));
    assert_eq!(wire.response().status.code(), 500);
    let last = report(
        314_164,
        &tag,
        "refer",
        "terminated;reason=noresource",
        "SIP/2.0 603 Decline",
    );
    wire.receive(&last);
    assert_eq!(wire.response().status.code(), 200);
    assert_eq!(
        outcome(&wire.referral_events()),
        (ReferralEnd::Failed, Some(603))
    );
    wire.wait(Duration::from_secs(64));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

/// Our side hangs up: BYE has the next number of the dialog, and reports still come.
#[test]
fn xfr_06_we_hang_up_before_the_outcome() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    let (_, request) = wire.refer_in_call();
    wire.reply(
        &request,
        "202 Accepted\nContact: <sip:alice@moved.atlanta.com>",
    );
    let now = wire.now;
    wire.call().end(now, &Headers::new()).unwrap();
    let bye = wire.request();
    assert_eq!(
        bye.headers.cseq().unwrap().number,
        request.headers.cseq().unwrap().number + 1
    );
    assert_eq!(
        bye.uri.as_str(),
        "sip:alice@moved.atlanta.com",
        "REFER refreshes the target"
    );
    wire.reply(&bye, "200 OK");
    wire.receive(&report(
        314_160,
        &tag,
        "refer",
        "terminated",
        "SIP/2.0 200 OK",
    ));
    assert_eq!(wire.response().status.code(), 200);
    assert_eq!(
        outcome(&wire.referral_events()),
        (ReferralEnd::Succeeded, Some(200))
    );
    wire.wait(Duration::from_secs(64));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

/// XFR-06: >= 400 fails; RFC 3515, 2.4.2; RFC 4488; RFC 6665, 4.1.2.4.
#[test]
fn xfr_06_outcomes() {
    for (answer, expected) in [
        ("603 Decline", (ReferralEnd::Refused, Some(603))),
        ("405 Method Not Allowed", (ReferralEnd::Refused, Some(405))),
        (
            "202 Accepted\nRefer-Sub: false",
            (ReferralEnd::Unreported, Some(202)),
        ),
    ] {
        let mut wire = Wire::new();
        wire.establish();
        let (_, request) = wire.refer_in_call();
        wire.reply(&request, answer);
        assert_eq!(outcome(&wire.referral_events()), expected, "{answer}");
        assert_eq!(wire.call().state(), State::Confirmed, "{answer}");
        assert_eq!(wire.endpoint.stats().referrals, 0);
    }
    // No report at all.
    let mut wire = Wire::new();
    wire.establish();
    let (_, request) = wire.refer_in_call();
    wire.reply(
        &request,
        "202 Accepted\nContact: <sip:alice@pc33.atlanta.com>",
    );
    wire.wait(Duration::from_secs(33));
    let lost = ReferralEnd::Lost(SubscriptionEnd::NoNotify);
    assert_eq!(outcome(&wire.referral_events()).0, lost);
    // Reports that end in the middle.
    let mut wire = Wire::new();
    let tag = wire.establish();
    let (_, request) = wire.refer_in_call();
    wire.reply(
        &request,
        "202 Accepted\nContact: <sip:alice@pc33.atlanta.com>",
    );
    wire.receive(&report(
        314_160,
        &tag,
        "refer",
        "active;expires=60",
        "SIP/2.0 180 Ringing",
    ));
    wire.lines();
    wire.wait(Duration::from_secs(61));
    assert_eq!(wire.lines(), [""; 0], "no refresh");
    let lost = ReferralEnd::Lost(SubscriptionEnd::Expired);
    assert_eq!(outcome(&wire.referral_events()), (lost, Some(180)));
    assert_eq!(wire.call().state(), State::Confirmed);
}

/// RFC 3515, 2.4.6: two in one dialog are told apart by the numbers of their REFERs.
#[test]
fn xfr_06_two_referrals_in_one_dialog() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    let (first, one) = wire.refer_in_call();
    wire.reply(&one, "202 Accepted\nContact: <sip:alice@pc33.atlanta.com>");
    let (second, two) = wire.refer_in_call();
    wire.reply(&two, "202 Accepted\nContact: <sip:alice@pc33.atlanta.com>");
    let number = two.headers.cseq().unwrap().number;
    wire.events.clear();
    let by_id = format!("refer;id={number}");
    wire.receive(&report(
        314_160,
        &tag,
        &by_id,
        "terminated",
        "SIP/2.0 486 Busy",
    ));
    wire.receive(&report(
        314_161,
        &tag,
        "refer;id=99",
        "active",
        "SIP/2.0 100 Trying",
    ));
    wire.receive(&report(
        314_162,
        &tag,
        "refer",
        "terminated",
        "SIP/2.0 200 OK",
    ));
    let codes: Vec<_> = wire.lines();
    assert_eq!(
        codes,
        [
            "SIP/2.0 200 OK",
            "SIP/2.0 481 Subscription Does Not Exist",
            "SIP/2.0 200 OK"
        ]
    );
    let ends: Vec<_> = wire
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Referral(id, ReferralEvent::Ended { outcome, .. }) => {
                Some((*id, outcome.clone()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        ends,
        [
            (second, ReferralEnd::Failed),
            (first, ReferralEnd::Succeeded)
        ]
    );
}

/// XFR-02; wire-rules "Refer-To with Replaces escaped exactly once"; RFC 5589, 7.3.
#[test]
fn xfr_02_attended_names_the_other_call() {
    let mut wire = Wire::new();
    let tag = wire.establish();
    let call = wire.endpoint.invitations().next().unwrap();
    let now = wire.now;
    let mut refer = Refer::outside(
        address("sip:bob@biloxi.com"),
        address("sip:dave@denver.com"),
        address("sip:alice@atlanta.com"),
    );
    refer.replaces = Some(call);
    refer.is_silent = true;
    wire.endpoint.refer(now, refer).unwrap();
    let request = wire.request();
    assert_eq!(
        text(&request, HeaderName::ReferTo),
        format!(
            "<sip:alice@atlanta.com?Replaces=a84b4c76e66710%40pc33.atlanta.com%3B\
             to-tag%3D1928301774%3Bfrom-tag%3D{tag}>"
        )
    );
    // RFC 4488, 4
    assert_eq!(text(&request, HeaderName::ReferSub), "false");
    assert_eq!(text(&request, HeaderName::Supported), "norefersub");
    assert_eq!(request.headers.to().unwrap().tag(), None);
    // A call that is over has no dialog to name.
    let (now, none) = (wire.now, Headers::new());
    wire.call().end(now, &none).unwrap();
    let refer = Refer::in_call(call, address("sip:carol@chicago.com"));
    assert_eq!(
        wire.endpoint.refer(now, refer),
        Err(SubscribeError::NoDialog)
    );
}

/// RFC 3515, 2.4.4 outside of dialogs: the first report makes the dialog.
#[test]
fn xfr_06_outside_of_calls() {
    let mut wire = Wire::new();
    let refer = Refer::outside(
        address("sip:alice@atlanta.com"),
        address("sip:bob@biloxi.com"),
        address("sip:carol@chicago.com"),
    );
    let now = wire.now;
    wire.endpoint.refer(now, refer).unwrap();
    let request = wire.request();
    let (ours, call_id) = (
        request.headers.from().unwrap().tag().unwrap().to_owned(),
        text(&request, HeaderName::CallId),
    );
    let notify = format!(
        "NOTIFY sip:alice@192.0.2.1:5060 SIP/2.0
        Via: SIP/2.0/UDP bob.biloxi.com:5070;branch=z9hG4bKr1
        To: <sip:alice@atlanta.com>;tag={ours}
        From: <sip:bob@biloxi.com>;tag=bob
        Call-ID: {call_id}
        CSeq: 1993402 NOTIFY
        Contact: <sip:bob@bob.biloxi.com>
        Event: refer;id=1
        Subscription-State: active;expires=60
        Content-Type: message/sipfrag
        Content-Length: 18

        SIP/2.0 100 Trying"
    );
    wire.receive(&notify);
    assert_eq!(wire.response().status.code(), 200);
    wire.reply(&request, "202 Accepted\nContact: <sip:bob@bob.biloxi.com>");
    assert_eq!(wire.endpoint.stats().dialogs, 1);
    // Of notifiers that forget Subscription-State, the report says how it stands.
    let last = notify
        .replace("Subscription-State: active;expires=60\n", "")
        .replace("100 Trying", "200 Fine!!")
        .replace("1993402", "1993403")
        .replace("KR1", "r2")
        .replace("bKr1", "bKr2");
    wire.receive(&last);
    assert_eq!(wire.response().status.code(), 200);
    assert_eq!(
        outcome(&wire.referral_events()),
        (ReferralEnd::Succeeded, Some(200))
    );
    wire.wait(Duration::from_secs(64));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

/// RFC 7647 and RFC 4538: to a GRUU the REFER goes outside of the dialog, and names it.
#[test]
fn xfr_01_to_a_gruu_the_dialog_is_named() {
    let mut wire = Wire::new();
    let gruu = "<sip:alice@atlanta.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>";
    wire.receive(&uas::invite("1", "").replace("<sip:alice@pc33.atlanta.com>", gruu));
    let now = wire.now;
    wire.call()
        .accept(now, sdp("answer"), Headers::new())
        .unwrap();
    let tag = uas::tag(&wire.response());
    wire.receive(&inside("ACK", 314_159, &tag, ""));
    wire.lines();
    let (_, request) = wire.refer_in_call();
    assert_eq!(
        request.uri.as_str(),
        "sip:alice@atlanta.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    );
    assert_eq!(
        text(&request, HeaderName::TargetDialog),
        format!("a84b4c76e66710@pc33.atlanta.com;local-tag=1928301774;remote-tag={tag}")
    );
    assert_eq!(text(&request, HeaderName::Require), "tdialog");
    assert_eq!(request.headers.to().unwrap().tag(), None);
    assert_ne!(
        text(&request, HeaderName::CallId),
        "a84b4c76e66710@pc33.atlanta.com"
    );
}

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
