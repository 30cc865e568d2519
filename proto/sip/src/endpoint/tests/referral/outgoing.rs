//! Referrals of ours (XFR-01, XFR-02, XFR-06).

use super::*;

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

const GRUU: &str = "sip:alice@atlanta.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";

impl Wire {
    /// A call of a peer whose Contact is a GRUU; our tag in it.
    fn call_of_gruu(&mut self) -> String {
        let contact = format!("<{GRUU}>");
        self.receive(&uas::invite("1", "").replace("<sip:alice@pc33.atlanta.com>", &contact));
        let now = self.now;
        self.call()
            .accept(now, sdp("answer"), Headers::new())
            .unwrap();
        let tag = uas::tag(&self.response());
        self.receive(&inside("ACK", 314_159, &tag, ""));
        self.lines();
        tag
    }

    /// Asks the peer of that call, with what an account has.
    fn refer_to_gruu(&mut self) -> Request {
        let call = self.endpoint.invitations().next().expect("a call");
        let now = self.now;
        let mut refer = Refer::in_call(call, address("sip:carol@chicago.com"));
        refer.route = vec![address("sip:192.0.2.9;lr")];
        refer.credentials = vec![crate::auth::Credentials::new(
            "*",
            "bob",
            base::digest::Secret::Password("zanzibar".to_owned()),
        )];
        self.endpoint.refer(now, refer).unwrap();
        self.request()
    }
}

/// RFC 7647 and RFC 4538: to a GRUU the REFER goes outside of the dialog, and names it.
#[test]
fn xfr_01_to_a_gruu_the_dialog_is_named() {
    let mut wire = Wire::new();
    let tag = wire.call_of_gruu();
    let (_, request) = wire.refer_in_call();
    assert_eq!(request.uri.as_str(), GRUU);
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

/// RFC 3261, 8.1.2; CRD-03: outside of the dialog it goes by the account's proxy, whose challenge the
/// account's credentials answer.
#[test]
fn xfr_01_to_a_gruu_by_the_proxy_of_the_account() {
    let mut wire = Wire::new();
    wire.call_of_gruu();
    let first = wire.refer_to_gruu();
    assert_eq!(text(&first, HeaderName::Route), "<sip:192.0.2.9;lr>");
    assert_eq!(first.uri.as_str(), GRUU);
    let challenge = "Proxy-Authenticate: Digest realm=\"proxy\", qop=\"auth\", nonce=\"ea9c8e88\"";
    wire.reply(&first, &format!("407 Who?\n{challenge}"));
    let again = wire.request();
    let shown = text(&again, HeaderName::ProxyAuthorization);
    assert!(
        shown.contains("username=\"bob\", realm=\"proxy\""),
        "{shown}"
    );
    assert_eq!(text(&again, HeaderName::Route), "<sip:192.0.2.9;lr>");
    assert_eq!(text(&again, HeaderName::Require), "tdialog");
    wire.reply(&again, "200 OK\nRefer-Sub: false");
    assert_eq!(
        outcome(&wire.referral_events()),
        (ReferralEnd::Unreported, Some(200))
    );
}

/// RFC 4538, 4: who cannot be told of the dialog is asked inside it.
#[test]
fn xfr_01_a_gruu_without_tdialog_is_asked_inside_the_dialog() {
    let mut wire = Wire::new();
    let tag = wire.call_of_gruu();
    let first = wire.refer_to_gruu();
    wire.reply(&first, "420 Bad Extension\nUnsupported: tdialog");
    let again = wire.request();
    assert_eq!(
        (again.method.clone(), again.uri.as_str()),
        (Method::Refer, GRUU)
    );
    assert_eq!(
        text(&again, HeaderName::CallId),
        "a84b4c76e66710@pc33.atlanta.com"
    );
    assert_eq!(again.headers.from().unwrap().tag(), Some(&*tag));
    assert_eq!(again.headers.to().unwrap().tag(), Some("1928301774"));
    for left_out in [
        HeaderName::Require,
        HeaderName::TargetDialog,
        HeaderName::Route,
    ] {
        assert!(!again.headers.contains(left_out), "{left_out}");
    }
    assert_eq!(text(&again, HeaderName::ReferTo), "<sip:carol@chicago.com>");
    wire.reply(
        &again,
        "202 Accepted\nContact: <sip:alice@pc33.atlanta.com>",
    );
    wire.receive(&report(
        314_160,
        &tag,
        "refer",
        "terminated;reason=noresource",
        "SIP/2.0 200 OK",
    ));
    assert_eq!(wire.response().status.code(), 200);
    assert_eq!(
        outcome(&wire.referral_events()),
        (ReferralEnd::Succeeded, Some(200))
    );
    // The call is as it was, and the dialog ends with it.
    assert_eq!(wire.call().state(), State::Confirmed);
    wire.receive(&inside("BYE", 314_170, &tag, ""));
    assert_eq!(wire.response().status.code(), 200);
    wire.wait(Duration::from_secs(64));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

/// The call has ended while that REFER was under way, or is being ended: there is nothing to ask inside of.
#[test]
fn xfr_01_a_gruu_without_tdialog_and_without_its_call() {
    for is_ours in [false, true] {
        let mut wire = Wire::new();
        let tag = wire.call_of_gruu();
        let first = wire.refer_to_gruu();
        let now = wire.now;
        let bye = match is_ours {
            true => {
                wire.call().end(now, &Headers::new()).unwrap();
                Some(wire.request())
            }
            false => {
                wire.receive(&inside("BYE", 314_170, &tag, ""));
                assert_eq!(wire.response().status.code(), 200);
                None
            }
        };
        wire.reply(&first, "420 Bad Extension\nUnsupported: tdialog");
        assert!(wire.lines().is_empty());
        assert_eq!(outcome(&wire.referral_events()).0, ReferralEnd::Refused);
        if let Some(bye) = bye {
            wire.reply(&bye, "200 OK");
        }
        wire.wait(Duration::from_secs(64));
        assert_eq!(wire.endpoint.stats(), Stats::default());
    }
}
