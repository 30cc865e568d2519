//! Why subscriptions of ours end, and what their failures mean (SUB-06; RFC 6665, 4.1.2 and 4.4.1; RFC 5057).

use super::*;

/// Its end was asked for before the SUBSCRIBE had its answer, which never comes, though a NOTIFY has.
#[test]
fn sub_04_it_is_left_when_nobody_answers_any_more() {
    let mut wire = Wire::new();
    let (id, request) = wire.subscribe(plan());
    wire.receive(&notify(&request, "n1", 1, "active;expires=600", PIDF));
    assert_eq!(wire.response().status.code(), 200);
    let now = wire.now;
    wire.endpoint.unsubscribe(now, id).unwrap();
    wire.wait(ms(31_900));
    let lines = wire.lines();
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with("SUBSCRIBE sip:bob@"))
    );
    wire.wait(ms(200));
    let leave = wire.request();
    assert_eq!(text(&leave, HeaderName::Expires), "0");
    assert_eq!(leave.uri.as_str(), "sip:pa.biloxi.com");
    wire.reply(&leave, "200 OK\nExpires: 0");
    wire.receive(&notify(&request, "n1", 2, "terminated;reason=timeout", ""));
    assert_eq!(wire.response().status.code(), 200);
    assert_eq!(
        wire.subscription_end(),
        (SubscriptionEnd::Unsubscribed, None, Retry::Never)
    );
    wire.at_rest();
}

/// RFC 6665, 4.1.2.4: timer N.
#[test]
fn sub_08_without_a_notify_it_ends_after_64_t1() {
    let mut wire = Wire::new();
    let (_, request) = wire.subscribe(plan());
    wire.reply(
        &request,
        "200 OK\nExpires: 600\nContact: <sip:pa.biloxi.com>",
    );
    wire.wait(Duration::from_millis(31_900));
    assert_eq!(wire.endpoint.stats().subscriptions, 1);
    wire.wait(ms(200));
    assert_eq!(
        wire.subscription_end(),
        (SubscriptionEnd::NoNotify, None, Retry::Later)
    );
    // After it, such a NOTIFY is nobody's.
    wire.receive(&notify(&request, "n1", 1, "active;expires=600", ""));
    assert_eq!(wire.response().status.code(), 481);
    // The same for a refresh (4.1.2.2).
    let mut wire = Wire::new();
    wire.active(100);
    wire.wait(Duration::from_secs(50));
    let refresh = wire.repeated_request();
    wire.reply(
        &refresh,
        "200 OK\nExpires: 100\nContact: <sip:pa.biloxi.com>",
    );
    wire.wait(Duration::from_secs(33));
    assert_eq!(
        wire.subscription_end(),
        (SubscriptionEnd::NoNotify, None, Retry::Later)
    );
    // RFC 5839 by way of 4.1.2.2: 204 says that none will come.
    let mut wire = Wire::new();
    let (id, _) = wire.active(100);
    wire.wait(Duration::from_secs(50));
    let refresh = wire.repeated_request();
    wire.reply(&refresh, "204 No Notification\nExpires: 100");
    wire.wait(Duration::from_secs(40));
    assert_eq!(wire.endpoint.subscription_state(id), State::Active);
}

/// wire-rules "Subscriptions": every reason, and what it means for another try.
#[test]
fn sub_06_reasons_of_termination() {
    let of = |text: &str| SubscriptionEnd::Terminated(Some(text.to_owned()));
    for (state, cause, retry) in [
        (
            "terminated;reason=deactivated",
            of("deactivated"),
            Retry::Now,
        ),
        (
            "terminated;reason=probation;retry-after=30",
            of("probation"),
            Retry::After(30),
        ),
        (
            "terminated;reason=giveup;retry-after=9",
            of("giveup"),
            Retry::After(9),
        ),
        ("terminated;reason=giveup", of("giveup"), Retry::Later),
        (
            "terminated;reason=rejected;retry-after=9",
            of("rejected"),
            Retry::Never,
        ),
        (
            "terminated;reason=noresource",
            of("noresource"),
            Retry::Never,
        ),
        ("terminated;reason=timeout", of("timeout"), Retry::Now),
        (
            "Terminated;expires=60",
            SubscriptionEnd::Terminated(None),
            Retry::Later,
        ),
    ] {
        let mut wire = Wire::new();
        let (id, request) = wire.active(600);
        wire.receive(&notify(&request, "n1", 2, state, ""));
        assert_eq!(wire.response().status.code(), 200);
        assert_eq!(wire.endpoint.subscription_state(id), State::Terminated);
        assert_eq!(wire.subscription_end(), (cause, None, retry), "{state}");
        wire.at_rest();
    }
}

/// SUB-06: "or the very text of a Subscription-State that is none of these".
#[test]
fn sub_06_a_state_that_nobody_knows() {
    let mut wire = Wire::new();
    let (id, request) = wire.active(600);
    wire.receive(&notify(&request, "n1", 2, "Dormant;expires=300", ""));
    assert_eq!(wire.response().status.code(), 200);
    assert_eq!(wire.endpoint.subscription_state(id), State::Other);
    let events = wire.subscription_events();
    assert!(
        matches!(&events[0], SubscriptionEvent::StateChanged { state: State::Other, text: Some(text), .. } if text == "Dormant"),
        "{events:#?}"
    );
}

/// RFC 6665, 4.1.2.1; wire-rules "Retries".
#[test]
fn sub_06_refusals_of_the_first_request() {
    for (answer, code, retry) in [
        ("489 Bad Event\nAllow-Events: dialog", 489, Retry::Never),
        ("404 Not Found", 404, Retry::Never),
        (
            "480 Temporarily Unavailable\nRetry-After: 120 (lunch)",
            480,
            Retry::After(120),
        ),
        (
            "503 Service Unavailable\nRetry-After: 5",
            503,
            Retry::After(5),
        ),
        ("500 Server Internal Error", 500, Retry::Later),
        ("603 Decline", 603, Retry::Never),
        (
            "302 Moved Temporarily\nContact: <sip:bob@elsewhere.com>",
            302,
            Retry::Never,
        ),
        ("423 Interval Too Brief", 423, Retry::Never),
    ] {
        let mut wire = Wire::new();
        let (_, request) = wire.subscribe(plan());
        wire.reply(&request, answer);
        assert_eq!(
            wire.subscription_end(),
            (SubscriptionEnd::Refused, Some(code), retry),
            "{answer}"
        );
        wire.at_rest();
    }
    let mut wire = Wire::new();
    wire.subscribe(plan());
    wire.wait(Duration::from_secs(33));
    wire.lines();
    let ended = wire.subscription_end();
    assert!(
        matches!(
            ended.0,
            SubscriptionEnd::NoNotify | SubscriptionEnd::Timeout
        ),
        "{ended:?}"
    );
    wire.at_rest();
}

/// SUB-08: Min-Expires; once.
#[test]
fn sub_08_423_is_followed_once() {
    let mut wire = Wire::new();
    let (_, request) = wire.subscribe(plan());
    wire.reply(&request, "423 Interval Too Brief\nMin-Expires: 1800");
    let longer = wire.request();
    assert_eq!(text(&longer, HeaderName::Expires), "1800");
    assert_eq!(text(&longer, HeaderName::CSeq), "2 SUBSCRIBE");
    assert_eq!(
        text(&longer, HeaderName::CallId),
        text(&request, HeaderName::CallId)
    );
    wire.reply(&longer, "423 Interval Too Brief\nMin-Expires: 3600");
    assert_eq!(
        wire.subscription_end(),
        (SubscriptionEnd::Refused, Some(423), Retry::Never)
    );
    wire.at_rest();
}

/// RFC 6665, 4.1.2.2 and RFC 5057: which failures of a refresh end it, and which do not.
#[test]
fn sub_08_failures_of_a_refresh() {
    for (answer, retry) in [
        ("481 Subscription Does Not Exist", Retry::Now),
        ("404 Not Found", Retry::Never),
        ("489 Bad Event", Retry::Never),
        ("480 Temporarily Unavailable", Retry::Later),
        ("408 Request Timeout", Retry::Later),
    ] {
        let mut wire = Wire::new();
        wire.active(100);
        wire.wait(Duration::from_secs(50));
        let refresh = wire.repeated_request();
        wire.reply(&refresh, answer);
        let (cause, code, given) = wire.subscription_end();
        assert_eq!(
            (cause, given),
            (SubscriptionEnd::Refused, retry),
            "{answer}"
        );
        assert_eq!(code, answer[..3].parse().ok());
        wire.at_rest();
    }
    for answer in [
        "500 Server Internal Error",
        "503 Service Unavailable\nRetry-After: 1",
        "403 Forbidden",
    ] {
        let mut wire = Wire::new();
        let (id, _) = wire.active(180);
        wire.wait(Duration::from_secs(111));
        let refresh = wire.repeated_request();
        wire.reply(&refresh, answer);
        assert_eq!(
            wire.endpoint.subscription_state(id),
            State::Active,
            "{answer}"
        );
        let events = wire.subscription_events();
        assert!(
            matches!(events[..], [SubscriptionEvent::RefreshFailed { .. }]),
            "{events:#?}"
        );
        // A second try fits in, and then it expires.
        wire.wait(Duration::from_secs(8));
        let again = wire.repeated_request();
        assert_eq!(again.method, Method::Subscribe);
        wire.reply(&again, answer);
        wire.wait(Duration::from_secs(70));
        assert_eq!(
            wire.subscription_end(),
            (SubscriptionEnd::Expired, None, Retry::Now)
        );
    }
}

/// RFC 3261, 8.1.3.5: once without the extension, the first request, a refresh and the last one; it is about
/// no authentication, whatever else the 420 carries.
#[test]
fn a_420_is_followed_once_without_what_is_not_known() {
    const REFUSED: &str =
        "420 Bad Extension\nUnsupported: FOO\nWWW-Authenticate: Digest realm=\"p\", nonce=\"n\"";
    let requiring = || {
        let mut plan = plan();
        plan.headers.push(HeaderName::Require, "foo, bar");
        plan.credentials = vec![crate::auth::Credentials::new(
            "p",
            "alice",
            base::digest::Secret::Password("secret".to_owned()),
        )];
        plan
    };
    let mut wire = Wire::new();
    let (_, first) = wire.subscribe(requiring());
    wire.reply(&first, REFUSED);
    let again = wire.request();
    assert_eq!(text(&again, HeaderName::Require), "bar");
    assert!(!again.headers.contains(HeaderName::Authorization));
    assert_eq!(again.headers.to().unwrap().tag(), None);
    assert_eq!(
        (
            text(&again, HeaderName::CallId),
            again.headers.cseq().unwrap().number
        ),
        (
            text(&first, HeaderName::CallId),
            first.headers.cseq().unwrap().number + 1
        )
    );
    let is_about_authentication = |event: &Event| matches!(event, Event::NotAuthenticated { .. });
    assert!(!wire.events.iter().any(is_about_authentication));
    // Once only.
    wire.reply(&again, "420 Bad Extension\nUnsupported: bar");
    assert!(wire.sent.is_empty());
    assert_eq!(
        wire.subscription_end(),
        (SubscriptionEnd::Refused, Some(420), Retry::Never)
    );
    wire.at_rest();

    // Another server takes over in mid-life.
    for is_leaving in [false, true] {
        let mut wire = Wire::new();
        let (id, first) = wire.subscribe(requiring());
        wire.reply(&first, "200 OK\nExpires: 600\nContact: <sip:pa.biloxi.com>");
        wire.receive(&notify(&first, "n1", 1, "active;expires=600", PIDF));
        wire.lines();
        let now = wire.now;
        match is_leaving {
            true => wire.endpoint.unsubscribe(now, id).unwrap(),
            false => wire.endpoint.renew(now, id).unwrap(),
        }
        let ask = wire.request();
        assert_eq!(text(&ask, HeaderName::Require), "foo, bar");
        wire.reply(&ask, REFUSED);
        let again = wire.request();
        assert_eq!(text(&again, HeaderName::Require), "bar");
        assert_eq!(
            text(&again, HeaderName::Expires),
            text(&ask, HeaderName::Expires)
        );
        assert_eq!(again.headers.to().unwrap().tag(), Some("n1"));
        wire.reply(&again, "200 OK\nExpires: 600");
        let state = wire.endpoint.subscription_state(id);
        assert_eq!(state, State::Active);
    }
}
