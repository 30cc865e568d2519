//! NOTIFY to subscriptions of ours: in time, forked, strange (SUB-08; RFC 6665, 4.1.3 and 4.1.4).

use super::*;

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
