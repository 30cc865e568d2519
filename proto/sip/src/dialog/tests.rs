use super::*;
use crate::{DialogId, Message, Request, Response};
use base::{Key as _, Rng};
use bytes::Bytes;

fn request(text: &str) -> Request {
    match Message::parse(Bytes::from(text.replace('\n', "\r\n"))) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn response(text: &str) -> Response {
    match Message::parse(Bytes::from(text.replace('\n', "\r\n"))) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

/// The request of RFC 3261, 16.12.1.1, as it arrives; with `routes` in place of its Record-Route.
fn invite(routes: &str) -> String {
    format!(
        "INVITE sip:callee@u2.domain.com SIP/2.0\n\
        Via: SIP/2.0/UDP p2.domain.com;branch=z9hG4bKp2\n\
        {routes}\
        Contact: sip:caller@u1.example.com\n\
        From: \"C, Aller\" <sip:caller@u1.example.com>;tag=ctag;x=y\n\
        To: <sip:callee@domain.com>\n\
        Call-ID: 7@u1.example.com\n\
        CSeq: 314159 INVITE\n\
        Content-Length: 0\n\n"
    )
}

fn ok(routes: &str) -> String {
    format!(
        "SIP/2.0 200 OK\n\
        Via: SIP/2.0/UDP u1.example.com;branch=z9hG4bKu1\n\
        {routes}\
        Contact: <sip:callee@u2.domain.com;transport=tcp>\n\
        From: \"C, Aller\" <sip:caller@u1.example.com>;tag=ctag\n\
        To: <sip:callee@domain.com>;tag=etag\n\
        Call-ID: 7@u1.example.com\n\
        CSeq: 314159 INVITE\n\
        Content-Length: 0\n\n"
    )
}

const ROUTES: &str = "Record-Route: <sip:p2.domain.com;lr>,\n <sip:p1.example.com;lr>;x=\"a,b\"\n";

fn callee(routes: &str) -> Dialog {
    Dialog::from_request(&request(&invite(routes)), "etag", false).unwrap()
}

fn caller(routes: &str) -> Dialog {
    Dialog::from_response(&request(&invite("")), &response(&ok(routes)), false).unwrap()
}

fn printed(in_dialog: &InDialog) -> String {
    String::from_utf8(in_dialog.request.to_bytes().to_vec())
        .unwrap()
        .replace('\r', "")
}

#[test]
fn a_bye_of_the_callee_takes_the_routes_in_order() {
    let mut dialog = callee(ROUTES);
    dialog.accept();
    let bye = dialog.request(Method::Bye).unwrap();
    // RFC 3261, 16.12.1.1.
    let expected = "BYE sip:caller@u1.example.com SIP/2.0\n\
        Route: <sip:p2.domain.com;lr>\n\
        Route: <sip:p1.example.com;lr>;x=\"a,b\"\n\
        Max-Forwards: 70\n\
        From: <sip:callee@domain.com>;tag=etag\n\
        To: \"C, Aller\" <sip:caller@u1.example.com>;tag=ctag\n\
        Call-ID: 7@u1.example.com\n\
        CSeq: 1 BYE\n\
        Content-Length: 0\n\n";
    assert_eq!(printed(&bye), expected);
    assert_eq!(bye.next_hop.as_str(), "sip:p2.domain.com;lr");
    assert_eq!(
        (dialog.role(), dialog.state(), dialog.local_sequence()),
        (Role::Callee, State::Confirmed, Some(1))
    );
}

#[test]
fn the_caller_takes_them_in_reverse() {
    let mut dialog = caller(ROUTES);
    let info = dialog.request(Method::Info).unwrap();
    let expected = "INFO sip:callee@u2.domain.com;transport=tcp SIP/2.0\n\
        Route: <sip:p1.example.com;lr>;x=\"a,b\"\n\
        Route: <sip:p2.domain.com;lr>\n\
        Max-Forwards: 70\n\
        From: \"C, Aller\" <sip:caller@u1.example.com>;tag=ctag\n\
        To: <sip:callee@domain.com>;tag=etag\n\
        Call-ID: 7@u1.example.com\n\
        CSeq: 314160 INFO\n\
        Content-Length: 0\n\n";
    assert_eq!(printed(&info), expected);
    assert_eq!(info.next_hop.as_str(), "sip:p1.example.com;lr");
}

#[test]
fn without_routes_the_target_is_the_next_hop() {
    let mut dialog = caller("");
    let bye = dialog.request(Method::Bye).unwrap();
    assert_eq!(
        bye.next_hop.as_str(),
        "sip:callee@u2.domain.com;transport=tcp"
    );
    assert!(!bye.request.headers.contains(HeaderName::Route));
}

/// RFC 3261, 12.2.1.1: "the first URI in the route set does not contain the lr parameter".
#[test]
fn a_strict_router_comes_first_and_the_target_last() {
    let routes = "Record-Route: <sip:proxy4>, <sip:proxy3;lr>, <sip:proxy2>\n\
        Record-Route: <sip:proxy1;method=INVITE?Subject=x>\n";
    let mut dialog = caller(routes);
    let bye = dialog.request(Method::Bye).unwrap();
    assert_eq!(bye.request.uri.as_str(), "sip:proxy1");
    assert_eq!(bye.next_hop.as_str(), "sip:proxy1");
    let values: Vec<_> = bye.request.headers.values(HeaderName::Route).collect();
    let expected: [&[u8]; 4] = [
        b"<sip:proxy2>",
        b"<sip:proxy3;lr>",
        b"<sip:proxy4>",
        b"<sip:callee@u2.domain.com;transport=tcp>",
    ];
    assert_eq!(values, expected);
}

#[test]
fn both_record_routes_of_a_proxy_between_transports_are_kept() {
    let routes = "Record-Route: <sip:10.0.0.1;transport=tcp;r2=on;lr>\nRecord-Route: <sip:10.0.0.1;r2=on;lr>\n";
    let bye = callee(routes).request(Method::Bye).unwrap();
    assert_eq!(bye.next_hop.as_str(), "sip:10.0.0.1;transport=tcp;r2=on;lr");
    let bye = caller(routes).request(Method::Bye).unwrap();
    assert_eq!(bye.next_hop.as_str(), "sip:10.0.0.1;r2=on;lr");
    assert_eq!(bye.request.headers.values(HeaderName::Route).count(), 2);
}

#[test]
fn what_a_request_uri_may_not_have_is_taken_off() {
    let text = ok("").replace(";transport=tcp>", ";method=BYE;transport=tcp?Subject=x>");
    let dialog = Dialog::from_response(&request(&invite("")), &response(&text), false).unwrap();
    assert_eq!(
        dialog.ack(1).request.uri.as_str(),
        "sip:callee@u2.domain.com;transport=tcp"
    );
}

#[test]
fn the_ack_of_a_2xx_has_the_number_of_its_invite() {
    let mut dialog = caller(ROUTES);
    dialog.request(Method::Options).unwrap();
    let ack = dialog.ack(314_159);
    assert_eq!(
        ack.request.headers.cseq().unwrap(),
        crate::header::CSeq::new(314_159, Method::Ack)
    );
    assert_eq!(
        ack.request.uri.as_str(),
        "sip:callee@u2.domain.com;transport=tcp"
    );
    assert_eq!(dialog.local_sequence(), Some(314_160));
}

#[test]
fn the_2xx_sets_the_routes_of_an_early_dialog_and_no_later_one_does() {
    let ringing = ok("Record-Route: <sip:old;lr>\n").replace("200 OK", "180 Ringing");
    let mut dialog =
        Dialog::from_response(&request(&invite("")), &response(&ringing), false).unwrap();
    assert_eq!(dialog.state(), State::Early);
    dialog
        .confirm(&response(&ok("Record-Route: <sip:new;lr>\n")))
        .unwrap();
    assert_eq!(dialog.state(), State::Confirmed);
    let moved = ok("Record-Route: <sip:newer;lr>\n").replace("callee@u2", "callee@u3");
    dialog.confirm(&response(&moved)).unwrap();
    assert_eq!(dialog.routes().collect::<Vec<_>>(), [b"<sip:new;lr>"]);
    assert_eq!(
        dialog.remote_target().as_str(),
        "sip:callee@u3.domain.com;transport=tcp"
    );
}

#[test]
fn targets_are_refreshed_by_usable_contacts_only() {
    let mut dialog = callee("");
    let with = |contact: &str| {
        request(&invite("").replace(
            "sip:caller@u1.example.com\nFrom",
            &format!("{contact}\nFrom"),
        ))
    };
    assert!(dialog.refresh_target(&with("<sips:new@[2001:db8::1];maddr=x>;q=1").headers));
    assert_eq!(
        dialog.remote_target().as_str(),
        "sips:new@[2001:db8::1];maddr=x"
    );
    assert!(!dialog.refresh_target(&with("<sips:new@[2001:db8::1];maddr=x>").headers));
    for useless in ["<tel:+31>", "<mailto:a@b>", "*"] {
        assert!(!dialog.refresh_target(&with(useless).headers), "{useless}");
    }
    assert!(!dialog.refresh_target(&request(&invite("").replace("Contact", "X-Contact")).headers));
    let refreshing: Vec<_> = [
        Method::Invite,
        Method::Update,
        Method::Bye,
        Method::Info,
        Method::Notify,
    ]
    .iter()
    .map(is_target_refresh)
    .collect();
    assert_eq!(refreshing, [true, true, false, false, true]);
}

#[test]
fn numbers_may_repeat_and_skip_but_not_fall() {
    let mut dialog = callee("");
    let with = |number: u32, method: &str| {
        request(
            &invite("")
                .replace("314159 INVITE", &format!("{number} {method}"))
                .replace("INVITE", method),
        )
    };
    assert_eq!(
        dialog
            .handle_request(&with(314_158, "BYE"))
            .unwrap_err()
            .status()
            .code(),
        500
    );
    assert_eq!(dialog.remote_sequence(), Some(314_159));
    // RFC 3261, 12.2.2 refuses lower numbers only.
    assert!(dialog.handle_request(&with(314_159, "INFO")).is_ok());
    assert!(dialog.handle_request(&with(400_000, "INFO")).is_ok());
    assert!(dialog.handle_request(&with(314_160, "INFO")).is_err());
    // ACK comes with the number of its INVITE, whatever came between.
    assert!(dialog.handle_request(&with(314_159, "ACK")).is_ok());
    assert!(dialog.handle_request(&with((1 << 31) - 1, "BYE")).is_ok());
    assert_eq!(dialog.remote_sequence(), Some((1 << 31) - 1));
    // The other side's numbers are its own, and anything is good to begin with.
    let mut dialog = caller("");
    assert!(dialog.handle_request(&with(0, "BYE")).is_ok());
}

#[test]
fn numbers_end_below_2_to_the_31() {
    let mut dialog = caller("");
    dialog.local_sequence = Some((1 << 31) - 2);
    assert!(dialog.request(Method::Info).is_ok());
    assert_eq!(dialog.request(Method::Bye), Err(Exhausted));
    assert_eq!(dialog.local_sequence(), Some((1 << 31) - 1));
}

#[test]
fn what_makes_no_dialog() {
    let make = |text: &str| Dialog::from_request(&request(text), "t", false);
    assert_eq!(
        make(&invite("").replace("Contact", "X-Contact")).unwrap_err(),
        DialogError::Contact
    );
    assert_eq!(
        make(&invite("").replace("Contact: sip:caller@u1.example.com", "Contact: <tel:+31>"))
            .unwrap_err(),
        DialogError::Contact
    );
    // The parser of messages lets no such thing through; an application might.
    let mut broken = request(&invite(""));
    broken.headers.push(HeaderName::RecordRoute, "<sip:a");
    assert!(matches!(
        Dialog::from_request(&broken, "t", false),
        Err(DialogError::Parse(_))
    ));
    let many = format!(
        "Record-Route: <sip:a;lr>{}\n",
        ",<sip:a;lr>".repeat(MAX_ROUTES)
    );
    assert_eq!(
        make(&invite(&many)).unwrap_err(),
        DialogError::TooManyRoutes
    );
}

#[test]
fn a_response_without_contact_leaves_the_request_uri() {
    let text = ok("").replace("Contact", "X-Contact");
    let dialog = Dialog::from_response(&request(&invite("")), &response(&text), false).unwrap();
    assert_eq!(dialog.remote_target().as_str(), "sip:callee@u2.domain.com");
}

#[test]
fn secure_needs_both_the_scheme_and_the_hop() {
    let sips = request(&invite("").replace("INVITE sip:", "INVITE sips:"));
    let plain = request(&invite(""));
    for (request, hop, expected) in [
        (&sips, true, true),
        (&sips, false, false),
        (&plain, true, false),
    ] {
        assert_eq!(
            Dialog::from_request(request, "t", hop).unwrap().is_secure(),
            expected
        );
        assert_eq!(
            Dialog::from_response(request, &response(&ok("")), hop)
                .unwrap()
                .is_secure(),
            expected
        );
    }
}

#[test]
fn dialogs_are_found_by_call_id_and_tags_alone() {
    let mut index = DialogIndex::new(&mut Rng::from_seed([4; 32]));
    let (dialog, id) = (callee(""), DialogId::from_parts(0, 5));
    assert_eq!(index.insert(dialog.key(), id), None);
    let find = |index: &DialogIndex, text: &str| {
        DialogKey::of_request(&request(text)).and_then(|key| index.get(&key))
    };
    assert_eq!(find(&index, &invite("")), None);
    let inside = invite("").replace(
        "To: <sip:callee@domain.com>",
        "To: <sip:callee@domain.com>;tag=etag",
    );
    assert_eq!(find(&index, &inside), Some(id));
    // RFC 4916: other URIs; RFC 3261, 7.3.1: tokens in any case.
    let renamed = inside
        .replace("callee@domain.com", "x@y")
        .replace("caller@u1.example.com>", "z@y>");
    assert_eq!(
        find(&index, &renamed.replace("tag=ctag", "tag=CTAG")),
        Some(id)
    );
    for (from, to) in [
        ("tag=etag", "tag=other"),
        ("tag=ctag", "tag=other"),
        (";tag=ctag", ""),
        ("7@u1", "8@u1"),
    ] {
        assert_eq!(find(&index, &inside.replace(from, to)), None, "{from}");
    }
    assert_eq!(index.remove(&dialog.key()), Some(id));
    assert!(index.is_empty());
    // A response finds it from the other side.
    assert_eq!(
        DialogKey::of_response(&response(&ok(""))),
        Some(caller("").key())
    );
}

/// RFC 3261, 12.1.1: peers of RFC 2543 have a null tag.
#[test]
fn peers_without_tags() {
    let bare = invite("").replace(";tag=ctag;x=y", "");
    let mut dialog = Dialog::from_request(&request(&bare), "etag", false).unwrap();
    assert_eq!(dialog.remote_tag(), None);
    let inside = bare.replace(
        "To: <sip:callee@domain.com>",
        "To: <sip:callee@domain.com>;tag=etag",
    );
    assert_eq!(DialogKey::of_request(&request(&inside)), Some(dialog.key()));
    let bye = printed(&dialog.request(Method::Bye).unwrap());
    assert!(
        bye.contains("To: \"C, Aller\" <sip:caller@u1.example.com>\n"),
        "{bye}"
    );
    let untagged = ok("").replace(";tag=etag", "");
    let dialog = Dialog::from_response(&request(&invite("")), &response(&untagged), false).unwrap();
    assert_eq!(
        (dialog.remote_tag(), dialog.local_tag(), dialog.call_id()),
        (None, "ctag", "7@u1.example.com")
    );
}

#[test]
fn nothing_of_the_message_is_held() {
    let bytes = Bytes::from(invite(ROUTES).replace('\n', "\r\n"));
    let Ok(Message::Request(request)) = Message::parse(bytes.clone()) else {
        panic!("it is a request");
    };
    let dialog = Dialog::from_request(&request, "t", false).unwrap();
    drop(request);
    assert!(bytes.is_unique());
    assert_eq!(
        dialog.remote_address(),
        b"\"C, Aller\" <sip:caller@u1.example.com>"
    );
}
