//! Subscriptions of ours, with a notifier written by hand from RFC 6665.

mod ends;
mod notify;

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
