//! Subscriptions of ours, with a notifier written by hand from RFC 6665.

use super::*;
use crate::{
    HeaderName, Headers, Method, Status, SubscriptionId,
    usage::subscription::{
        Forks, Retry, State, Subscribe, SubscribeError, SubscriptionEnd, SubscriptionEvent,
    },
};

fn plan() -> Subscribe {
    let mut subscribe = Subscribe::new(
        address("sip:alice@atlanta.com"),
        address("sip:bob@biloxi.com"),
        "presence",
    );
    subscribe.expires = 600;
    subscribe.accept = vec!["application/pidf+xml".to_owned()];
    subscribe
}

fn text(request: &Request, name: HeaderName) -> String {
    let value = request.headers.get(name).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

/// A NOTIFY that answers `subscribe`, of the dialog with the notifier's tag `tag`.
fn notify(subscribe: &Request, tag: &str, number: u32, state: &str, further: &str) -> String {
    let our_tag = subscribe.headers.from().unwrap().tag().unwrap().to_owned();
    let further = match further.contains("Content-Length") {
        true => further.to_owned(),
        false => format!("{further}Content-Length: 0"),
    };
    format!(
        "NOTIFY sip:alice@192.0.2.1:5060 SIP/2.0
        Via: SIP/2.0/UDP server.biloxi.com:5070;branch=z9hG4bKn{tag}{number}
        Max-Forwards: 70
        To: <sip:alice@atlanta.com>;tag={our_tag}
        From: <sip:bob@biloxi.com>;tag={tag}
        Call-ID: {}
        CSeq: {number} NOTIFY
        Contact: <sip:pa.biloxi.com>
        Event: presence
        Subscription-State: {state}
        {further}",
        text(subscribe, HeaderName::CallId),
    )
}

const PIDF: &str = "Content-Type: application/pidf+xml
        Content-Length: 4

        <p/>";

impl Wire {
    fn subscribe(&mut self, plan: Subscribe) -> (SubscriptionId, Request) {
        let now = self.now;
        let id = self.endpoint.subscribe(now, plan).unwrap();
        (id, self.request())
    }

    /// Subscribes, and is active for `seconds`.
    fn active(&mut self, seconds: u32) -> (SubscriptionId, Request) {
        let (id, request) = self.subscribe(plan());
        self.reply(
            &request,
            &format!("200 OK\nExpires: {seconds}\nContact: <sip:pa.biloxi.com>"),
        );
        let state = format!("active;expires={seconds}");
        self.receive(&notify(&request, "n1", 1, &state, PIDF));
        assert_eq!(self.response().status.code(), 200);
        assert_eq!(self.endpoint.subscription_state(id), State::Active);
        self.events.clear();
        (id, request)
    }

    fn subscription_events(&mut self) -> Vec<SubscriptionEvent> {
        self.drain();
        let events = std::mem::take(&mut self.events).into_iter();
        events
            .filter_map(|event| match event {
                Event::Subscription(_, event) => Some(event),
                _ => None,
            })
            .collect()
    }

    /// The end, and nothing left of it.
    fn subscription_end(&mut self) -> (SubscriptionEnd, Option<u16>, Retry) {
        let events = self.subscription_events();
        let Some(SubscriptionEvent::Ended {
            cause, code, retry, ..
        }) = events.last()
        else {
            panic!("{events:#?}");
        };
        let ends = events
            .iter()
            .filter(|event| matches!(event, SubscriptionEvent::Ended { .. }));
        assert_eq!(ends.count(), 1, "once");
        (cause.clone(), code.map(Status::code), *retry)
    }

    fn at_rest(&mut self) {
        self.wait(Duration::from_secs(64));
        assert_eq!(self.endpoint.stats(), Stats::default());
    }
}

fn states(events: &[SubscriptionEvent]) -> Vec<State> {
    events
        .iter()
        .filter_map(|event| match event {
            SubscriptionEvent::StateChanged { state, .. } => Some(*state),
            _ => None,
        })
        .collect()
}

/// SUB-01, SUB-03, SUB-06, SUB-07.
#[test]
fn sub_01_a_subscription_from_its_request_to_its_end() {
    let mut wire = Wire::new();
    let (id, request) = wire.subscribe(plan());
    assert_eq!(request.method, Method::Subscribe);
    assert_eq!(request.uri.as_str(), "sip:bob@biloxi.com");
    for (name, expected) in [
        (HeaderName::Event, "presence"),
        (HeaderName::Expires, "600"),
        (HeaderName::Accept, "application/pidf+xml"),
        (HeaderName::Contact, "<sip:alice@192.0.2.1:5060>"),
    ] {
        assert_eq!(text(&request, name), expected);
    }
    wire.reply(
        &request,
        "202 Accepted\nExpires: 500\nContact: <sip:pa.biloxi.com>",
    );
    assert_eq!(wire.endpoint.subscription_state(id), State::Accepted);
    wire.receive(&notify(&request, "n1", 1, "pending;expires=500", ""));
    let answer = wire.response();
    assert_eq!(answer.status.code(), 200);
    wire.receive(&notify(&request, "n1", 2, "active;expires=480", PIDF));
    assert_eq!(wire.response().status.code(), 200);
    let events = wire.subscription_events();
    let expected = [State::Sent, State::Accepted, State::Pending, State::Active];
    assert_eq!(states(&events), expected);
    let contents: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            SubscriptionEvent::GotNotify { content, .. } => Some(content.is_some()),
            _ => None,
        })
        .collect();
    // BUG-13: without a body, too.
    assert_eq!(contents, [false, true]);
    // SUB-04: Expires 0 in the dialog, with its target.
    let now = wire.now;
    wire.endpoint.unsubscribe(now, id).unwrap();
    assert!(wire.endpoint.unsubscribe(now, id).is_err(), "SUB-05");
    let leave = wire.request();
    assert_eq!(leave.uri.as_str(), "sip:pa.biloxi.com");
    assert_eq!(text(&leave, HeaderName::Expires), "0");
    assert_eq!(text(&leave, HeaderName::CSeq), "2 SUBSCRIBE");
    assert_eq!(leave.headers.to().unwrap().tag(), Some("n1"));
    wire.reply(&leave, "200 OK\nExpires: 0\nContact: <sip:pa.biloxi.com>");
    wire.receive(&notify(
        &request,
        "n1",
        3,
        "terminated;reason=timeout",
        PIDF,
    ));
    assert_eq!(wire.response().status.code(), 200);
    assert_eq!(
        wire.subscription_end(),
        (SubscriptionEnd::Unsubscribed, None, Retry::Never)
    );
    assert!(wire.endpoint.unsubscribe(now, id).is_err());
    wire.at_rest();
}

/// SUB-08; RFC 6665, 4.1.2.4 and 4.4.1: the NOTIFY makes the dialog, with its own route set.
#[test]
fn sub_08_notify_before_the_2xx() {
    let mut wire = Wire::new();
    let (id, request) = wire.subscribe(plan());
    let routed = "Record-Route: <sip:p2.biloxi.com;lr;r2=on>, <sip:p1.atlanta.com;lr>\n";
    wire.receive(&notify(
        &request,
        "n1",
        7,
        "active;expires=600",
        &format!("{routed}{PIDF}"),
    ));
    let answer = wire.response();
    assert_eq!(answer.status.code(), 200);
    assert_eq!(
        String::from_utf8_lossy(answer.headers.get(HeaderName::RecordRoute).unwrap()),
        "<sip:p2.biloxi.com;lr;r2=on>, <sip:p1.atlanta.com;lr>"
    );
    // Another route set, and no Contact: neither counts.
    wire.reply(
        &request,
        "200 OK\nExpires: 600\nRecord-Route: <sip:p9.example.com;lr>",
    );
    assert_eq!(wire.endpoint.subscription_state(id), State::Active);
    assert_eq!(
        states(&wire.subscription_events()),
        [State::Sent, State::Active]
    );
    let now = wire.now;
    wire.endpoint.renew(now, id).unwrap();
    let refresh = wire.request();
    let routes: Vec<_> = refresh.headers.get_all(HeaderName::Route).collect();
    assert_eq!(
        routes,
        [
            &b"<sip:p2.biloxi.com;lr;r2=on>"[..],
            b"<sip:p1.atlanta.com;lr>"
        ]
    );
    assert_eq!(refresh.uri.as_str(), "sip:pa.biloxi.com");
    assert_eq!(text(&refresh, HeaderName::CSeq), "2 SUBSCRIBE");
}

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

/// wire-rules "Registration refresh" and "Subscriptions"; BUG-11.
#[test]
fn sub_08_a_refresh_in_time_keeps_it_and_moves_the_target() {
    let mut wire = Wire::new();
    let (id, request) = wire.active(600);
    // 600 − 2·32 − 5 = 531 s, up to 5 % earlier.
    wire.wait(Duration::from_secs(504));
    assert_eq!(wire.lines(), [""; 0]);
    wire.wait(Duration::from_secs(27));
    let refresh = wire.repeated_request();
    assert_eq!(text(&refresh, HeaderName::Event), "presence");
    assert_eq!(text(&refresh, HeaderName::Expires), "600");
    wire.reply(
        &refresh,
        "200 OK\nExpires: 600\nContact: <sip:moved.biloxi.com>",
    );
    let moved = notify(&request, "n1", 2, "active;expires=600", PIDF)
        .replace("<sip:pa.biloxi", "<sip:moved2.biloxi");
    wire.receive(&moved);
    assert_eq!(wire.response().status.code(), 200);
    wire.wait(Duration::from_secs(40));
    assert_eq!(wire.endpoint.subscription_state(id), State::Active);
    let now = wire.now;
    wire.endpoint.unsubscribe(now, id).unwrap();
    assert_eq!(wire.request().uri.as_str(), "sip:moved2.biloxi.com");
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

/// RFC 6665, 4.1.4 and 5.4.9.
#[test]
fn sub_08_forks_by_the_policy_of_the_package() {
    // presence: the first dialog counts.
    let mut wire = Wire::new();
    let (id, request) = wire.active(600);
    wire.receive(&notify(&request, "n2", 1, "active;expires=600", PIDF));
    assert_eq!(wire.response().status.code(), 481);
    assert_eq!(wire.endpoint.subscription_state(id), State::Active);
    // dialog: each is a subscription of its own.
    let mut wire = Wire::new();
    let mut dialog = plan();
    dialog.event = "dialog".to_owned();
    dialog.forks = Forks::of_package("dialog");
    let (id, request) = wire.subscribe(dialog);
    wire.reply(
        &request,
        "200 OK\nExpires: 600\nContact: <sip:pa.biloxi.com>",
    );
    for tag in ["n1", "n2"] {
        let notify = notify(&request, tag, 1, "active;expires=600", PIDF);
        wire.receive(&notify.replace("Event: presence", "Event: dialog"));
        assert_eq!(wire.response().status.code(), 200);
    }
    wire.drain();
    let forks: Vec<_> = wire
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Subscription(fork, SubscriptionEvent::Forked { of }) => Some((*fork, *of)),
            _ => None,
        })
        .collect();
    let [(fork, of)] = forks[..] else {
        panic!("{:#?}", wire.events);
    };
    assert_eq!(of, id);
    assert_ne!(fork, id);
    assert_eq!(wire.endpoint.subscription_state(fork), State::Active);
    // They end one by one.
    let ending = notify(&request, "n1", 2, "terminated;reason=noresource", "");
    wire.receive(&ending.replace("Event: presence", "Event: dialog"));
    assert_eq!(wire.response().status.code(), 200);
    assert_eq!(wire.endpoint.subscription_state(id), State::Terminated);
    assert_eq!(wire.endpoint.subscription_state(fork), State::Active);
    let now = wire.now;
    wire.endpoint.unsubscribe(now, fork).unwrap();
    assert_eq!(wire.request().headers.to().unwrap().tag(), Some("n2"));
    wire.at_rest();
}

/// RFC 6665, 4.4.3.
#[test]
fn sub_03_a_fetch_asks_once() {
    let mut wire = Wire::new();
    let mut fetch = plan();
    fetch.expires = 0;
    let (_, request) = wire.subscribe(fetch);
    assert_eq!(text(&request, HeaderName::Expires), "0");
    wire.reply(&request, "200 OK\nExpires: 0\nContact: <sip:pa.biloxi.com>");
    wire.receive(&notify(
        &request,
        "n1",
        1,
        "terminated;reason=timeout",
        PIDF,
    ));
    assert_eq!(wire.response().status.code(), 200);
    let events = wire.subscription_events();
    let told = events.iter().any(|event| {
        matches!(event, SubscriptionEvent::GotNotify { content: Some(content), .. } if content.body == "<p/>")
    });
    assert!(told, "{events:#?}");
    assert!(
        matches!(
            events.last(),
            Some(SubscriptionEvent::Ended {
                cause: SubscriptionEnd::Unsubscribed,
                retry: Retry::Never,
                ..
            })
        ),
        "{events:#?}"
    );
    wire.at_rest();
}

/// RFC 6665, 8.2.1 and 4.1.3.
#[test]
fn sub_08_notifies_that_are_not_ours() {
    let mut wire = Wire::new();
    let mut named = plan();
    named.id = Some("a7".to_owned());
    let (id, request) = wire.subscribe(named);
    assert_eq!(text(&request, HeaderName::Event), "presence;id=a7");
    wire.reply(
        &request,
        "200 OK\nExpires: 600\nContact: <sip:pa.biloxi.com>",
    );
    let good = notify(&request, "n1", 1, "active;expires=600", "")
        .replace("Event: presence", "Event: presence;id=a7");
    for bad in [
        good.replace(";id=a7", ""),
        good.replace(";id=a7", ";id=A7"),
        good.replace("presence;", "dialog;"),
    ] {
        let branch = format!("z9hG4bKx{}", bad.len());
        wire.receive(&bad.replace("z9hG4bKn", &branch));
        assert_eq!(wire.response().status.code(), 481, "{bad}");
    }
    wire.receive(&good);
    assert_eq!(wire.response().status.code(), 200);
    assert_eq!(wire.endpoint.subscription_state(id), State::Active);
    // Inside the dialog: another package, another id, and no number twice.
    let next = good.replace("CSeq: 1", "CSeq: 2").replace("n11", "n12");
    wire.receive(&next.replace("presence;", "dialog;"));
    assert_eq!(wire.response().status.code(), 481);
    let old = good.replace("CSeq: 1", "CSeq: 0").replace("n11", "n10");
    wire.receive(&old);
    assert_eq!(wire.response().status.code(), 500, "RFC 3261, 12.2.2");
    // What makes no sense: no state, and no Contact to make a dialog with.
    let stateless = good.replace("CSeq: 1", "CSeq: 3").replace("n11", "n13");
    wire.receive(&stateless.replace("Subscription-State: active;expires=600\n", ""));
    assert_eq!(wire.response().status.code(), 400);
    // Outside of all dialogs, as some mailboxes send them.
    let wild = good.replace("tag=", "x=").replace("n11", "n14");
    wire.receive(&wild);
    assert_eq!(wire.response().status.code(), 481);
}

/// SUB-08: "unknown content type ignored"; the state of the subscription is taken all the same.
#[test]
fn sub_08_a_document_that_was_not_asked_for() {
    let mut wire = Wire::new();
    let (id, request) = wire.active(600);
    let other = PIDF.replace("application/pidf+xml", "text/plain");
    wire.receive(&notify(&request, "n1", 2, "pending;expires=600", &other));
    let answer = wire.response();
    assert_eq!(answer.status.code(), 415);
    let accept: Vec<_> = answer.headers.get_all(HeaderName::Accept).collect();
    assert_eq!(accept, [b"application/pidf+xml"]);
    assert_eq!(wire.endpoint.subscription_state(id), State::Pending);
    let events = wire.subscription_events();
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, SubscriptionEvent::GotNotify { .. })),
        "{events:#?}"
    );
}

/// SUB-04: before there is a dialog, the first NOTIFY is answered and the subscription ended.
#[test]
fn sub_04_unsubscribing_early() {
    let mut wire = Wire::new();
    let (id, request) = wire.subscribe(plan());
    let now = wire.now;
    wire.endpoint.unsubscribe(now, id).unwrap();
    assert_eq!(wire.lines(), [""; 0]);
    wire.reply(
        &request,
        "200 OK\nExpires: 600\nContact: <sip:pa.biloxi.com>",
    );
    assert_eq!(wire.lines(), [""; 0]);
    wire.receive(&notify(&request, "n1", 1, "active;expires=600", ""));
    assert_eq!(wire.next_response().status.code(), 200);
    let leave = wire.request();
    assert_eq!(text(&leave, HeaderName::Expires), "0");
    wire.reply(&leave, "481 Gone");
    assert_eq!(
        wire.subscription_end(),
        (SubscriptionEnd::Unsubscribed, Some(481), Retry::Never)
    );
    wire.at_rest();
}

/// RFC 4662, 4.1 and 4.5: lists of resources.
#[test]
fn sub_08_lists_are_asked_for_and_taken() {
    let mut wire = Wire::new();
    let mut list = plan();
    list.event_list = true;
    list.accept.push("multipart/related".to_owned());
    let (_, request) = wire.subscribe(list);
    assert_eq!(text(&request, HeaderName::Supported), "eventlist");
    let content = "Require: eventlist
        Content-Type: multipart/related;type=\"application/rlmi+xml\";boundary=\"b\"
        Content-Length: 1

        x";
    wire.receive(&notify(&request, "n1", 1, "active;expires=600", content));
    assert_eq!(wire.response().status.code(), 200);
}

/// SUB-02: what is no event package is refused, and nothing is sent.
#[test]
fn sub_02_misuse_changes_nothing() {
    let mut wire = Wire::new();
    let now = wire.now;
    let mut cases = Vec::new();
    for name in ["", "a b", "refer"] {
        let mut bad = plan();
        bad.event = name.to_owned();
        cases.push((bad, SubscribeError::Package));
    }
    let mut bad = plan();
    bad.accept.push("text/plain\r\nX: y".to_owned());
    cases.push((bad, SubscribeError::Package));
    let mut bad = plan();
    bad.request_uri = "tel:+1-201-555-0123".parse().unwrap();
    cases.push((bad, SubscribeError::Scheme));
    for name in [HeaderName::Expires, HeaderName::CallId] {
        let mut bad = plan();
        bad.headers = Headers::new();
        bad.headers.push(name, "1");
        cases.push((bad, SubscribeError::Reserved(name)));
    }
    for (bad, error) in cases {
        assert_eq!(wire.endpoint.subscribe(now, bad), Err(error));
    }
    assert_eq!(wire.lines(), [""; 0]);
    wire.endpoint.shutdown(now);
    assert_eq!(
        wire.endpoint.subscribe(now, plan()),
        Err(SubscribeError::ShuttingDown)
    );
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

/// RFC 3261, 22: the subscription's requests answer challenges, in its dialog, too.
#[test]
fn sub_01_challenges_are_answered() {
    let mut wire = Wire::new();
    let mut plan = plan();
    plan.credentials = vec![crate::auth::Credentials::new(
        "biloxi.com",
        "alice",
        base::digest::Secret::Password("secret".to_owned()),
    )];
    let challenge = "401 Unauthorized\nWWW-Authenticate: Digest realm=\"biloxi.com\", nonce=\"a\", qop=\"auth\"";
    let (id, request) = wire.subscribe(plan);
    wire.reply(&request, challenge);
    let authorized = wire.request();
    assert!(text(&authorized, HeaderName::Authorization).contains("username=\"alice\""));
    assert_eq!(text(&authorized, HeaderName::CSeq), "2 SUBSCRIBE");
    wire.receive(&notify(&authorized, "n1", 1, "active;expires=600", ""));
    wire.lines();
    wire.reply(
        &authorized,
        "200 OK\nExpires: 600\nContact: <sip:pa.biloxi.com>",
    );
    let now = wire.now;
    wire.endpoint.renew(now, id).unwrap();
    let refresh = wire.request();
    assert_eq!(text(&refresh, HeaderName::CSeq), "3 SUBSCRIBE");
    wire.reply(
        &refresh,
        &challenge.replace("nonce=\"a\"", "nonce=\"b\", stale=true"),
    );
    let again = wire.request();
    assert_eq!(text(&again, HeaderName::CSeq), "4 SUBSCRIBE");
    assert!(text(&again, HeaderName::Authorization).contains("nonce=\"b\""));
}

/// RFC 6665, 4.6: CANCEL of a NOTIFY is answered and does nothing.
#[test]
fn sub_08_cancel_of_a_notify_does_nothing() {
    let mut wire = Wire::new();
    let (id, request) = wire.active(600);
    let second = notify(&request, "n1", 2, "active;expires=600", "");
    wire.receive(&second);
    assert_eq!(wire.response().status.code(), 200);
    let cancel = second
        .replace("NOTIFY sip", "CANCEL sip")
        .replace("2 NOTIFY", "2 CANCEL");
    wire.receive(&cancel);
    assert_eq!(wire.response().status.code(), 200);
    assert_eq!(wire.endpoint.subscription_state(id), State::Active);
}
