//! Bodies of an INVITE (RFC 3261, 13.3; RFC 5621; RFC 3959), and lengths that lie (18.3).

use crate::wire::{INVITE, Wire, request, response};
use sip::{Event, InvitationEvent};

/// An INVITE with these headers of its body, and the body.
fn invite_with(headers: &str, body: &str) -> String {
    let headers = headers
        .lines()
        .map(|line| line.trim_start().to_owned() + "\r\n");
    let headers: String = headers.collect();
    let length = format!("{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    INVITE.replace(
        "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\noffer",
        &length,
    )
}

fn part(headers: &str, body: &str) -> String {
    format!("--b\r\n{headers}\r\n\r\n{body}\r\n")
}

/// The offer that the application hears of, or the status that refuses the INVITE.
fn outcome(invite: &str) -> Result<Option<String>, String> {
    let mut wire = Wire::new();
    wire.datagram(invite);
    let offer = wire.events.iter().find_map(|event| match event {
        Event::Invitation(_, InvitationEvent::Incoming(call)) => Some(&call.offer),
        _ => None,
    });
    match offer {
        Some(offer) => {
            let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
            Ok(offer.as_ref().map(|offer| text(&offer.body)))
        }
        None => Err(wire.one().line()[8..11].to_owned()),
    }
}

#[test]
fn the_session_description_is_found_in_any_multipart() {
    let sdp = part("Content-Type: application/sdp", "v=0\r\n");
    let early = part(
        "Content-Type: application/sdp\r\nContent-Disposition: early-session;handling=optional",
        "v=1\r\n",
    );
    let xml = |handling: &str| {
        part(
            &format!("Content-Type: application/pidf+xml\r\nContent-Disposition: render{handling}"),
            "<presence/>",
        )
    };
    let mixed = |parts: &[&str], kind: &str| {
        outcome(&invite_with(
            &format!("Content-Type: multipart/{kind};boundary=b"),
            &(parts.concat() + "--b--\r\n"),
        ))
    };
    let found = Ok(Some("v=0\r\n".to_owned()));
    assert_eq!(mixed(&[&sdp], "mixed"), found);
    assert_eq!(mixed(&[&early, &sdp], "mixed"), found);
    assert_eq!(mixed(&[&sdp, &xml(";handling=optional")], "mixed"), found);
    // RFC 5621, 3.2: what must be understood, and is not, refuses the whole.
    assert_eq!(mixed(&[&sdp, &xml("")], "mixed"), Err("415".to_owned()));
    assert_eq!(
        mixed(&[&sdp, &xml(";handling=required")], "mixed"),
        Err("415".to_owned())
    );
    assert_eq!(mixed(&[&xml(""), &sdp], "alternative"), found);
    assert_eq!(mixed(&[&sdp, &xml("")], "alternative"), found);
    assert_eq!(mixed(&[&sdp, &xml("")], "related"), found);
    assert_eq!(mixed(&[&sdp], "unheard-of"), found);
    // Only early media: no offer for the session.
    assert_eq!(mixed(&[&early], "mixed"), Ok(None));
    let none = invite_with("Content-Type: multipart/mixed;boundary=b", "v=0\r\n");
    assert_eq!(outcome(&none), Err("415".to_owned()));

    let nested = "--c\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--c--\r\n";
    let nested = part("Content-Type: multipart/mixed;boundary=c", nested);
    assert_eq!(mixed(&[&nested], "mixed"), found);
}

#[test]
fn a_body_is_taken_for_what_its_headers_say() {
    let cases = [
        (
            "Content-Type: APPLICATION / SDP",
            "v=0\r\n",
            Ok(Some("v=0\r\n")),
        ),
        (
            "c: application/sdp; charset=UTF-8",
            "v=0\r\n",
            Ok(Some("v=0\r\n")),
        ),
        (
            "c: application/sdp\nContent-Encoding: identity",
            "v=0\r\n",
            Ok(Some("v=0\r\n")),
        ),
        ("c: application/sdp\ne: gzip", "\u{1f}", Err("415")),
        (
            "c: application/sdp\nContent-Disposition: session",
            "v=0\r\n",
            Ok(Some("v=0\r\n")),
        ),
        (
            "c: application/sdp\nContent-Disposition: icon",
            "v=0\r\n",
            Err("415"),
        ),
        (
            "c: application/sdp\nContent-Disposition: icon;handling=optional",
            "v=0\r\n",
            Ok(None),
        ),
        ("c: text/html", "<p>", Err("415")),
        (
            "c: text/html\nContent-Disposition: render;handling=optional",
            "<p>",
            Ok(None),
        ),
        // No Content-Type: what begins like SDP is SDP.
        ("Subject: x", "v=0\r\n", Ok(Some("v=0\r\n"))),
        ("Subject: x", "<p>", Err("415")),
        // No body: its headers describe nothing.
        ("c: text/html", "", Ok(None)),
    ];
    for (headers, body, expected) in cases {
        let expected = expected
            .map(|offer| offer.map(str::to_owned))
            .map_err(str::to_owned);
        assert_eq!(outcome(&invite_with(headers, body)), expected, "{headers}");
    }
}

#[test]
fn in_a_datagram_the_body_may_be_long_and_not_short() {
    let length = |length: &str| outcome(&INVITE.replace("Content-Length: 5", length));
    let offer = |text: &str| Ok(Some(text.to_owned()));
    assert_eq!(length("Content-Length: 3"), offer("off"));
    assert_eq!(length("Content-Length: 0"), Ok(None));
    assert_eq!(length("l:5"), offer("offer"));
    // To the end of the datagram.
    assert_eq!(length("Subject: none"), offer("offer"));
    assert_eq!(length("Content-Length: 6"), Err("400".to_owned()));
    assert_eq!(
        length("Content-Length: 99999999999999999999"),
        Err("400".to_owned())
    );
    assert_eq!(length("Content-Length: 5, 5"), Err("400".to_owned()));
    assert_eq!(length("Content-Length: 5\r\nl: 4"), Err("400".to_owned()));

    // A response that is cut is dropped: the next copy may be whole.
    let mut wire = Wire::new();
    wire.invite("sip:bob@192.0.2.9:5062", |_| {});
    let invite = wire.one();
    let ok = "Contact: <sip:bob@192.0.2.9>\r\nContent-Type: application/sdp\r\n\r\nanswer";
    let ok = response(&invite, "200 OK", Some("b"), ok);
    wire.datagram(&ok[..ok.len() - 1]);
    wire.expect(&[]);
    wire.datagram(&ok);
    assert!(wire.one().line().starts_with("ACK "));
}

#[test]
fn a_description_in_an_answer_or_an_ack_may_be_wrapped_as_well() {
    let mut wire = Wire::new();
    wire.invite("sip:bob@192.0.2.9:5062", |_| {});
    let invite = wire.one();
    let body = part(
        "Content-Type: text/plain\r\nContent-Disposition: render;handling=optional",
        "hello",
    ) + &part("Content-Type: application/sdp", "answer")
        + "--b--\r\n";
    let further = format!(
        "Contact: <sip:bob@192.0.2.9>\r\nContent-Type: multipart/mixed;boundary=\"b\"\r\n\r\n{body}"
    );
    wire.datagram(response(&invite, "200 OK", Some("b"), &further));
    let answered = |event: &Event| {
        matches!(event, Event::Invitation(_, InvitationEvent::Answered { description, .. })
            if &description.body[..] == b"answer")
    };
    assert!(wire.events.iter().any(answered), "{:?}", wire.events);

    // Our offer in the 2xx, its answer in the ACK.
    let mut wire = Wire::new();
    wire.datagram(invite_with("Subject: none", ""));
    wire.accept();
    let tag = wire.one().to_tag().to_owned();
    let further = format!(
        "Content-Type: multipart/mixed;boundary=b\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let ack = request("ACK", "ack", Some(&tag), 314_159);
    wire.datagram(ack.replace("Content-Length: 0\r\n\r\n", &further));
    assert!(wire.events.iter().any(answered), "{:?}", wire.events);
    wire.expect(&[]);
}
