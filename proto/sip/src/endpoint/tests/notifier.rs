//! Subscriptions of peers, with a subscriber written by hand from RFC 6665.

use super::{uas::value, *};
use crate::{
    AccountId, HeaderName, Headers, Method, NotifierId, Status,
    auth::Credentials,
    usage::notifier::{NotifierEnd, NotifierEvent, Package, Reason, State},
};
use base::Key as _;

/// A SUBSCRIBE outside of dialogs; `further` header lines end in a line feed.
fn subscribe(number: u32, further: &str) -> String {
    format!(
        "SUBSCRIBE sip:bob@192.0.2.1 SIP/2.0
        Via: SIP/2.0/UDP watcher.atlanta.com:5070;branch=z9hG4bKs{number}
        Max-Forwards: 70
        To: <sip:bob@biloxi.com>
        From: <sip:alice@atlanta.com>;tag=watcher
        Call-ID: 17@watcher.atlanta.com
        CSeq: {number} SUBSCRIBE
        Contact: <sip:alice@watcher.atlanta.com>
        Event: presence
        {further}Content-Length: 0"
    )
}

/// The same inside the dialog that we have answered with `tag`.
fn inside(number: u32, tag: &str, further: &str) -> String {
    subscribe(number, further).replace(
        "<sip:bob@biloxi.com>",
        &format!("<sip:bob@biloxi.com>;tag={tag}"),
    )
}

fn pidf(text: &str) -> Option<Description> {
    Some(Description {
        content_type: "application/pidf+xml".to_owned(),
        body: Bytes::copy_from_slice(text.as_bytes()),
    })
}

fn text(request: &Request, name: HeaderName) -> String {
    let value = request.headers.get(name).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

impl Wire {
    fn notifying() -> Self {
        let mut wire = Self::new();
        let types = vec!["application/pidf+xml".to_owned()];
        wire.endpoint
            .add_package(Package::new("presence", types))
            .unwrap();
        wire
    }

    fn watcher(&mut self) -> NotifierId {
        self.drain();
        let incoming = self.events.iter().find_map(|event| match event {
            Event::Notifier(id, NotifierEvent::Incoming(_)) => Some(*id),
            _ => None,
        });
        incoming.expect("a subscription")
    }

    /// An active subscription: its id, and our tag.
    fn watched(&mut self, further: &str) -> (NotifierId, String) {
        self.receive(&subscribe(1, further));
        let id = self.watcher();
        let now = self.now;
        self.endpoint
            .accept_subscription(now, id, pidf("one"))
            .unwrap();
        let ok = self.next_response();
        assert_eq!(ok.status.code(), 200);
        let tag = ok.headers.to().unwrap().tag().unwrap().to_owned();
        let notify = self.request();
        self.reply(&notify, "200 OK");
        self.events.clear();
        (id, tag)
    }

    fn has_ended(&mut self) -> bool {
        self.drain();
        let mut events = self.events.iter();
        events.any(|event| matches!(event, Event::Notifier(_, NotifierEvent::Ended { .. })))
    }

    fn notifier_end(&mut self) -> NotifierEnd {
        self.drain();
        let events = std::mem::take(&mut self.events);
        let ends: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Notifier(_, NotifierEvent::Ended { cause }) => Some(*cause),
                _ => None,
            })
            .collect();
        assert_eq!(ends.len(), 1, "{events:#?}");
        ends[0]
    }

    fn nothing_left(&mut self) {
        self.wait(Duration::from_secs(64));
        assert_eq!(self.endpoint.stats(), Stats::default());
    }
}

/// SUB-09; RFC 6665, 4.2.1 and 4.2.2.
#[test]
fn sub_09_pending_then_granted_then_ended() {
    let mut wire = Wire::notifying();
    wire.receive(&subscribe(
        1,
        "Expires: 7200\nRecord-Route: <sip:p1.atlanta.com;lr>\n",
    ));
    let id = wire.watcher();
    let Some(Event::Notifier(_, NotifierEvent::Incoming(incoming))) = wire.events.first() else {
        panic!("{:#?}", wire.events);
    };
    assert_eq!(incoming.from.uri.as_str(), "sip:alice@atlanta.com");
    assert_eq!(
        (incoming.event.as_str(), incoming.expires),
        ("presence", 3_600)
    );
    let now = wire.now;
    wire.endpoint.pend_subscription(now, id).unwrap();
    let ok = wire.next_response();
    assert_eq!(ok.status.code(), 200);
    assert_eq!(value(&ok, HeaderName::Expires), "3600");
    assert_eq!(value(&ok, HeaderName::Contact), "<sip:bob@192.0.2.1:5060>");
    assert_eq!(
        value(&ok, HeaderName::RecordRoute),
        "<sip:p1.atlanta.com;lr>"
    );
    let first = wire.request();
    assert_eq!(first.method, Method::Notify);
    assert_eq!(first.uri.as_str(), "sip:alice@watcher.atlanta.com");
    assert_eq!(text(&first, HeaderName::Route), "<sip:p1.atlanta.com;lr>");
    assert_eq!(text(&first, HeaderName::Event), "presence");
    assert_eq!(
        text(&first, HeaderName::SubscriptionState),
        "pending;expires=3600"
    );
    assert_eq!(first.headers.to().unwrap().tag(), Some("watcher"));
    assert_eq!(
        first.headers.from().unwrap().tag(),
        ok.headers.to().unwrap().tag()
    );
    assert!(first.body.is_empty());
    wire.reply(&first, "200 OK");
    wire.wait(Duration::from_secs(100));
    let now = wire.now;
    wire.endpoint
        .accept_subscription(now, id, pidf("open"))
        .unwrap();
    let second = wire.request();
    assert_eq!(
        text(&second, HeaderName::SubscriptionState),
        "active;expires=3500"
    );
    assert_eq!(
        text(&second, HeaderName::ContentType),
        "application/pidf+xml"
    );
    assert_eq!(second.body, "open");
    wire.reply(&second, "200 OK");
    wire.endpoint
        .terminate_subscription(now, id, Reason::Probation, Some(60))
        .unwrap();
    let last = wire.request();
    assert_eq!(
        text(&last, HeaderName::SubscriptionState),
        "terminated;reason=probation;retry-after=60"
    );
    assert!(!wire.has_ended(), "until the last NOTIFY is answered");
    assert_eq!(wire.endpoint.stats().dialogs, 1);
    wire.reply(&last, "200 OK");
    assert_eq!(wire.notifier_end(), NotifierEnd::Terminated);
    assert_eq!(wire.endpoint.stats().dialogs, 0);
    wire.nothing_left();
}

/// RFC 6665, 4.2.1.1: nobody is waited for.
#[test]
fn sub_09_who_does_not_decide_leaves_it_pending() {
    let mut wire = Wire::notifying();
    wire.receive(&subscribe(1, "Expires: 600\n"));
    let id = wire.watcher();
    wire.wait(ms(3_900));
    assert_eq!(wire.lines(), [""; 0]);
    wire.wait(ms(200));
    assert_eq!(wire.next_response().status.code(), 200);
    let first = wire.next_request();
    assert_eq!(
        text(&first, HeaderName::SubscriptionState),
        "pending;expires=600"
    );
    wire.reply(&first, "200 OK");
    wire.lines();
    // RFC 6665, 4.2.1.3
    let now = wire.now;
    let (code, none) = (Status::FORBIDDEN, Headers::new());
    wire.endpoint
        .reject_subscription(now, id, code, None, &none)
        .unwrap();
    let last = wire.request();
    assert_eq!(
        text(&last, HeaderName::SubscriptionState),
        "terminated;reason=rejected"
    );
    wire.reply(&last, "200 OK");
    assert_eq!(wire.notifier_end(), NotifierEnd::Rejected);
    wire.nothing_left();
}

/// RFC 6665, 4.2.1.1; ENG-47: SUBSCRIBE for an unknown event gets 489, with what there is.
#[test]
fn eng_47_what_a_subscribe_must_be() {
    let mut wire = Wire::new();
    wire.receive(&subscribe(1, ""));
    let refused = wire.response();
    assert_eq!(refused.status.code(), 489);
    assert!(!refused.headers.contains(HeaderName::AllowEvents));
    let mut wire = Wire::notifying();
    let unknown = subscribe(2, "").replace("Event: presence", "Event: weather");
    for (n, (message, code)) in [
        (unknown.clone(), 489),
        (unknown.replace("Event: weather\n", ""), 489),
        (subscribe(2, "Expires: 59\n"), 423),
        (subscribe(2, "Accept: text/plain\n"), 406),
        (subscribe(2, "Require: gin\n"), 420),
        (
            subscribe(2, "").replace("Contact: <sip:alice@watcher.atlanta.com>\n", ""),
            400,
        ),
        (inside(2, "nobody", ""), 481),
    ]
    .into_iter()
    .enumerate()
    {
        wire.receive(&message.replace("z9hG4bKs2", &format!("z9hG4bKx{n}")));
        let refused = wire.response();
        assert_eq!(refused.status.code(), code, "{message}");
        match code {
            489 => assert_eq!(value(&refused, HeaderName::AllowEvents), "presence"),
            423 => assert_eq!(value(&refused, HeaderName::MinExpires), "60"),
            _ => {}
        }
    }
    // ENG-30, BUG-21: removed, it is unknown.
    assert!(wire.endpoint.remove_package("presence"));
    wire.receive(&subscribe(3, ""));
    assert_eq!(wire.response().status.code(), 489);
    wire.nothing_left();
}

/// RFC 6665, 4.2.1.4.
#[test]
fn sub_09_the_peer_refreshes_and_leaves() {
    let mut wire = Wire::notifying();
    let (id, tag) = wire.watched("Expires: 600\n");
    wire.wait(Duration::from_secs(500));
    // A new target, and a new life.
    let refresh =
        inside(2, &tag, "Expires: 300\n").replace("<sip:alice@watcher", "<sip:alice@moved");
    wire.receive(&refresh);
    let ok = wire.next_response();
    assert_eq!(
        (ok.status.code(), value(&ok, HeaderName::Expires)),
        (200, "300")
    );
    let notify = wire.request();
    assert_eq!(notify.uri.as_str(), "sip:alice@moved.atlanta.com");
    assert_eq!(
        text(&notify, HeaderName::SubscriptionState),
        "active;expires=300"
    );
    assert_eq!(notify.body, "one", "the latest state");
    wire.reply(&notify, "200 OK");
    wire.receive(&inside(3, &tag, "Expires: 30\n"));
    let brief = wire.response();
    assert_eq!(
        (brief.status.code(), value(&brief, HeaderName::MinExpires)),
        (423, "60")
    );
    wire.receive(&inside(1, &tag, "Expires: 300\n").replace("z9hG4bKs1", "z9hG4bKlate"));
    assert_eq!(wire.response().status.code(), 500, "RFC 3261, 12.2.2");
    // Another event in this dialog (4.5.2).
    wire.receive(&inside(4, &tag, "").replace("Event: presence", "Event: presence;id=2"));
    assert_eq!(wire.response().status.code(), 403);
    assert_eq!(wire.endpoint.notifier_state(id), State::Active);
    wire.receive(&inside(5, &tag, "Expires: 0\n"));
    let ok = wire.next_response();
    assert_eq!(
        (ok.status.code(), value(&ok, HeaderName::Expires)),
        (200, "0")
    );
    let last = wire.request();
    assert_eq!(
        text(&last, HeaderName::SubscriptionState),
        "terminated;reason=timeout"
    );
    wire.receive(&inside(6, &tag, "Expires: 300\n"));
    assert_eq!(wire.response().status.code(), 481, "over");
    assert!(!wire.has_ended(), "until the last NOTIFY is answered");
    wire.reply(&last, "200 OK");
    assert_eq!(wire.notifier_end(), NotifierEnd::Unsubscribed);
    wire.nothing_left();
}

/// RFC 6665, 4.2.1.4 and 4.4.3.
#[test]
fn sub_09_it_expires_and_it_is_asked_once() {
    let mut wire = Wire::notifying();
    wire.watched("Expires: 60\n");
    wire.wait(Duration::from_secs(60));
    let last = wire.request();
    assert_eq!(
        text(&last, HeaderName::SubscriptionState),
        "terminated;reason=timeout"
    );
    wire.reply(&last, "200 OK");
    assert_eq!(wire.notifier_end(), NotifierEnd::Expired);
    wire.nothing_left();

    let mut wire = Wire::notifying();
    wire.receive(&subscribe(1, "Expires: 0\n"));
    let id = wire.watcher();
    let now = wire.now;
    wire.endpoint
        .accept_subscription(now, id, pidf("now"))
        .unwrap();
    assert_eq!(value(&wire.next_response(), HeaderName::Expires), "0");
    let only = wire.request();
    assert_eq!(only.body, "now");
    assert_eq!(
        text(&only, HeaderName::SubscriptionState),
        "terminated;reason=timeout"
    );
    wire.reply(&only, "200 OK");
    assert_eq!(wire.notifier_end(), NotifierEnd::Unsubscribed);
    wire.nothing_left();
}

/// One NOTIFY at a time; the latest state waits for it.
#[test]
fn sub_09_the_latest_state_waits_for_the_notify_that_is_out() {
    let mut wire = Wire::notifying();
    let (id, _) = wire.watched("Expires: 600\n");
    let now = wire.now;
    for state in ["two", "three", "four"] {
        wire.endpoint.notify(now, id, pidf(state)).unwrap();
    }
    let two = wire.request();
    assert_eq!(two.body, "two");
    wire.reply(&two, "200 OK");
    let four = wire.request();
    assert_eq!(four.body, "four");
    // Its end waits, too.
    wire.endpoint
        .terminate_subscription(now, id, Reason::Noresource, None)
        .unwrap();
    assert_eq!(wire.lines(), [""; 0]);
    wire.reply(&four, "500 Server Internal Error");
    let last = wire.request();
    assert_eq!(
        text(&last, HeaderName::SubscriptionState),
        "terminated;reason=noresource"
    );
    wire.reply(&last, "200 OK");
    wire.nothing_left();
}

/// RFC 6665, 4.2.2; wire-rules "NOTIFY 481 ends the server side".
#[test]
fn sub_09_failures_of_a_notify() {
    for code in [
        404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604,
    ] {
        let mut wire = Wire::notifying();
        let (id, _) = wire.watched("Expires: 600\n");
        let now = wire.now;
        wire.endpoint.notify(now, id, pidf("two")).unwrap();
        let notify = wire.request();
        wire.endpoint.notify(now, id, pidf("three")).unwrap();
        wire.reply(&notify, &format!("{code} No"));
        assert_eq!(wire.lines(), [""; 0], "{code}: nothing more is sent");
        let expected = NotifierEnd::Failed(Status::new(code).unwrap());
        assert_eq!(wire.notifier_end(), expected);
        assert_eq!(wire.endpoint.stats().dialogs, 0, "{code}");
        wire.nothing_left();
    }
    for code in [400, 401, 403, 415, 420, 486, 491, 500, 503, 600, 603] {
        let mut wire = Wire::notifying();
        let (id, _) = wire.watched("Expires: 600\n");
        let now = wire.now;
        wire.endpoint.notify(now, id, pidf("two")).unwrap();
        let notify = wire.request();
        wire.reply(&notify, &format!("{code} No"));
        assert_eq!(wire.endpoint.notifier_state(id), State::Active, "{code}");
        wire.endpoint.notify(now, id, pidf("three")).unwrap();
        assert_eq!(wire.request().body, "three", "{code}");
    }
    // Nobody answers at all.
    let mut wire = Wire::notifying();
    let (id, _) = wire.watched("Expires: 600\n");
    let now = wire.now;
    wire.endpoint.notify(now, id, pidf("two")).unwrap();
    wire.wait(Duration::from_secs(33));
    assert_eq!(
        wire.notifier_end(),
        NotifierEnd::Failed(Status::REQUEST_TIMEOUT)
    );
}

/// RFC 6665, 4.4.1: NOTIFY tells where we are; what it says stays the same.
#[test]
fn sub_09_the_latest_state_is_told_once_more() {
    let mut wire = Wire::notifying();
    let (id, _) = wire.watched("Expires: 600\n");
    let now = wire.now;
    wire.endpoint.renew_notifier(now, id).unwrap();
    let again = wire.request();
    assert_eq!(again.body, "one");
    assert_eq!(
        text(&again, HeaderName::SubscriptionState),
        "active;expires=600"
    );
    wire.reply(&again, "481 No");
    assert!(wire.endpoint.renew_notifier(now, id).is_err());
}

/// A proxy wants to know who notifies: the account that is subscribed to.
#[test]
fn sub_09_a_notify_is_challenged() {
    let mut wire = Wire::notifying();
    let (id, _) = wire.watched("Expires: 600\n");
    let now = wire.now;
    wire.endpoint.notify(now, id, pidf("two")).unwrap();
    let notify = wire.request();
    let challenge = "407 Who\nProxy-Authenticate: Digest realm=\"p\", nonce=\"1\"";
    wire.reply(&notify, challenge);
    assert_eq!(wire.lines(), [""; 0], "nobody answers it");
    let secret = base::digest::Secret::Password("secret".to_owned());
    let credentials = Credentials::new("p", "bob", secret);
    let account = AccountId::from_parts(0, 1);
    wire.endpoint
        .set_notifier_account(id, account, vec![credentials]);
    wire.endpoint.notify(now, id, pidf("three")).unwrap();
    let notify = wire.request();
    wire.reply(&notify, challenge);
    let again = wire.request();
    assert!(text(&again, HeaderName::ProxyAuthorization).contains("username=\"bob\""));
    assert_eq!(again.body, "three");
}

/// Commands in the wrong state are refused and change nothing (SUB-05).
#[test]
fn sub_05_commands_by_state() {
    let mut wire = Wire::notifying();
    wire.receive(&subscribe(1, "Expires: 600\n"));
    let id = wire.watcher();
    let now = wire.now;
    assert!(wire.endpoint.notify(now, id, None).is_err());
    assert!(
        wire.endpoint
            .terminate_subscription(now, id, Reason::Giveup, None)
            .is_err()
    );
    let none = Headers::new();
    assert!(
        wire.endpoint
            .reject_subscription(now, id, Status::OK, None, &none)
            .is_err()
    );
    assert_eq!(wire.lines(), [""; 0]);
    wire.endpoint
        .reject_subscription(now, id, Status::DECLINE, None, &none)
        .unwrap();
    assert_eq!(wire.response().status, Status::DECLINE);
    assert_eq!(wire.notifier_end(), NotifierEnd::Rejected);
    assert!(wire.endpoint.accept_subscription(now, id, None).is_err());
    assert!(wire.endpoint.pend_subscription(now, id).is_err());
    wire.nothing_left();
}

/// The endpoint ends: peers are told to come later.
#[test]
fn sub_09_the_end_of_the_endpoint() {
    let mut wire = Wire::notifying();
    wire.watched("Expires: 600\n");
    let now = wire.now;
    wire.endpoint.shutdown(now);
    let last = wire.request();
    assert_eq!(
        text(&last, HeaderName::SubscriptionState),
        "terminated;reason=probation"
    );
    wire.reply(&last, "200 OK");
    wire.receive(&subscribe(9, ""));
    assert_eq!(wire.response().status.code(), 503);
    wire.nothing_left();
}

/// RFC 6665, 4.4.4: what can be subscribed to is told where capabilities are asked for.
#[test]
fn eng_25_allow_events_in_answers() {
    let mut wire = Wire::notifying();
    let options = subscribe(1, "")
        .replace("SUBSCRIBE", "OPTIONS")
        .replace("Event: presence\n", "");
    wire.receive(&options);
    let answer = wire.response();
    assert_eq!(value(&answer, HeaderName::AllowEvents), "presence");
    assert!(value(&answer, HeaderName::Allow).contains("SUBSCRIBE"));
}
