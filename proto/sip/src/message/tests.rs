//! Messages written by hand from the RFCs and from what peers send; none is made by the printer.

use super::*;
use crate::ErrorKind;

mod property;
mod torture;

fn parse(bytes: impl AsRef<[u8]>) -> Result<Message, ParseError> {
    Message::parse(Bytes::copy_from_slice(bytes.as_ref()))
}

fn request(bytes: impl AsRef<[u8]>) -> Request {
    match parse(&bytes) {
        Ok(Message::Request(request)) => request,
        other => panic!("{}: {other:?}", String::from_utf8_lossy(bytes.as_ref())),
    }
}

fn response(bytes: impl AsRef<[u8]>) -> Response {
    match parse(&bytes) {
        Ok(Message::Response(response)) => response,
        other => panic!("{}: {other:?}", String::from_utf8_lossy(bytes.as_ref())),
    }
}

fn error(bytes: impl AsRef<[u8]>) -> ParseError {
    parse(bytes).expect_err("an error")
}

/// A valid request to change one thing of.
const OPTIONS: &str = "OPTIONS sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP pc33.example.com;branch=z9hG4bKhjhs8ass877;rport\r\n\
    Max-Forwards: 70\r\n\
    To: <sip:bob@example.com>\r\n\
    From: Alice <sip:alice@example.com>;tag=1928301774\r\n\
    Call-ID: a84b4c76e66710\r\n\
    CSeq: 63104 OPTIONS\r\n\
    Content-Length: 0\r\n\r\n";

/// `OPTIONS` with one text in place of another, which must be there.
fn with(from: &str, to: &str) -> String {
    assert!(OPTIONS.contains(from), "{from}");
    OPTIONS.replacen(from, to, 1)
}

#[test]
fn a_request_reads_and_prints_the_same() {
    let request = request(OPTIONS);
    assert_eq!(request.method, Method::Options);
    assert_eq!(request.uri.as_str(), "sip:bob@example.com");
    assert_eq!(request.headers.from().unwrap().tag(), Some("1928301774"));
    assert_eq!(request.headers.to().unwrap().tag(), None);
    assert_eq!(
        request.headers.via().unwrap().branch(),
        Some("z9hG4bKhjhs8ass877")
    );
    assert_eq!(
        request.headers.cseq(),
        Ok(CSeq::new(63_104, Method::Options))
    );
    assert_eq!(request.headers.max_forwards(), Ok(Some(70)));
    assert_eq!(request.headers.call_id(), Ok("a84b4c76e66710"));
    assert_eq!(request.headers.contact(), Ok(None));
    assert_eq!(request.to_bytes(), OPTIONS);
}

#[test]
fn line_ends_are_crlf_or_lf_and_may_come_first() {
    let lf = OPTIONS.replace("\r\n", "\n");
    assert_eq!(request(&lf).to_bytes(), OPTIONS);
    assert_eq!(request(format!("\r\n\r\n\n{OPTIONS}")).to_bytes(), OPTIONS);
    // A bare CR is no line end, and hides one from others.
    let cr = with("Max-Forwards", "X: a\rMax-Forwards");
    assert_eq!(
        (error(&cr).what, &cr[error(&cr).at..][..3]),
        ("LF behind CR", "Max")
    );
    for cut in 0..OPTIONS.len() {
        assert!(parse(&OPTIONS[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn start_lines() {
    let line = |line: &str| {
        parse(with("OPTIONS sip:bob@example.com SIP/2.0", line)).map_err(|e| (e.kind, e.status()))
    };
    let bad = Err((ErrorKind::Syntax, Status::BAD_REQUEST));
    assert!(line("OPTIONS sip:bob@example.com sip/2.0").is_ok());
    assert!(line("OPTIONS tel:+12015550123 SIP/2.0").is_ok());
    let version = Err((ErrorKind::Version, Status::VERSION_NOT_SUPPORTED));
    assert_eq!(line("OPTIONS sip:bob@example.com SIP/3.0"), version);
    assert_eq!(line("OPTIONS sip:bob@example.com SIP/2.1"), version);
    for text in [
        "OPTIONS sip:bob@example.com",
        "OPTIONS sip:bob@example.com ",
        "OPTIONS sip:bob@example.com SIP/2",
        "OPTIONS sip:bob@example.com SIP/2.x",
        "OPTIONS sip:bob@example.com HTTP/1.1",
        "OPTIONS  sip:bob@example.com SIP/2.0",
        "OPTIONS sip:bob@example.com  SIP/2.0",
        "OPTIONS sip:bob@example.com SIP/2.0  ",
        " OPTIONS sip:bob@example.com SIP/2.0",
        "OPTIONS\tsip:bob@example.com SIP/2.0",
        "OPTIONS sip:bob@example.com; lr SIP/2.0",
        "OPTIONS <sip:bob@example.com> SIP/2.0",
        "OPTIONS sip:bob@example.com?Route=%3Csip:example.com%3E SIP/2.0",
        "OPTIONS bob SIP/2.0",
        "OPT{ONS sip:bob@example.com SIP/2.0",
        "OPTIONS",
    ] {
        assert_eq!(line(text), bad, "{text:?}");
    }
}

#[test]
fn status_lines() {
    let with_line = |line: &str| with("OPTIONS sip:bob@example.com SIP/2.0", line);
    for (line, code, reason) in [
        ("SIP/2.0 200 OK", 200, "OK"),
        ("sip/2.0 486 Busy Here", 486, "Busy Here"),
        ("SIP/2.0 100 ", 100, ""),
        // RFC 4475, 3.1.1.13: a liberal receiver would accept it.
        ("SIP/2.0 100", 100, ""),
        ("SIP/2.0 699  x\ty ", 699, " x\ty "),
        (
            "SIP/2.0 200 = 2**3 * 5**2 но сто",
            200,
            "= 2**3 * 5**2 но сто",
        ),
    ] {
        let response = response(with_line(line));
        assert_eq!(
            (response.status.code(), &*response.reason),
            (code, reason),
            "{line}"
        );
    }
    let mut latin1 = with_line("SIP/2.0 480 ?").into_bytes();
    latin1[12] = 0xfc;
    assert_eq!(&*response(latin1).reason, "\u{fffd}");
    for line in [
        "SIP/2.0 4294967301 better not break the receiver",
        "SIP/2.0 099 x",
        "SIP/2.0 700 x",
        "SIP/2.0 0200 OK",
        "SIP/2.0 20 OK",
        "SIP/2.0 OK",
        "SIP/2.0  200 OK",
        "SIP/2.0 -200 OK",
        "SIP/7.0 200 OK",
    ] {
        let error = error(with_line(line));
        assert_eq!(
            error.kind == ErrorKind::Version,
            line.starts_with("SIP/7"),
            "{line}"
        );
        let salvaged = salvage(&with_line(line).into()).unwrap();
        assert!(salvaged.is_response);
        assert_eq!(
            salvaged.response(error.status(), "x"),
            None,
            "a response is never answered"
        );
    }
}

#[test]
fn lines_that_are_no_headers() {
    for bad in [
        "Foobar roobar",
        ": x",
        "Fo o: x",
        " folded: first",
        "Fö: x",
        "X",
        "\tx",
        "X=1: y",
    ] {
        // The first header is in the place where a fold has nothing to continue.
        let text = with("Via:", &format!("{bad}\r\nVia:"));
        assert_eq!(error(&text).kind, ErrorKind::Syntax, "{bad}");
    }
    let any_value = [
        &b"X:"[..],
        &(1..=255)
            .filter(|b| !matches!(b, b'\r' | b'\n'))
            .collect::<Vec<u8>>(),
        b"\r\nVia:",
    ]
    .concat();
    let start = OPTIONS.find("Via:").unwrap();
    let text = [
        &OPTIONS.as_bytes()[..start],
        &any_value,
        &OPTIONS.as_bytes()[start + 4..],
    ]
    .concat();
    let request = request(&text);
    assert_eq!(request.headers.get("X").unwrap().len(), 253);
    let again = parse(request.to_bytes()).unwrap();
    assert_eq!(
        again.headers().get("x"),
        request.headers.get("x"),
        "any byte survives"
    );
}

/// RFC 4475, 3.3.1: insufficient headers.
#[test]
fn what_must_be_there() {
    for name in ["Via", "To", "From", "Call-ID", "CSeq"] {
        let text = with(&format!("\n{name}:"), &format!("\nX-{name}:"));
        let error = error(&text);
        assert_eq!(
            (error.kind, error.what, error.status()),
            (ErrorKind::Missing, name, Status::BAD_REQUEST)
        );
        let answer = salvage(&text.into())
            .unwrap()
            .response(error.status(), "tt");
        assert_eq!(
            answer.is_some(),
            name != "Via",
            "without Via nobody knows where to"
        );
    }
    assert!(
        parse(with("Max-Forwards", "X")).is_ok(),
        "RFC 2543 had no Max-Forwards"
    );
    assert_eq!(
        error(with("Call-ID: a84b4c76e66710", "Call-ID:")).kind,
        ErrorKind::Missing
    );
}

/// RFC 4475, 3.3.8: what must not stand twice; RFC 3891, 3: two Replaces.
#[test]
fn what_must_be_there_once() {
    for line in [
        "To: <sip:eve@example.com>",
        "f: <sip:eve@example.com>;tag=2",
        "i: b",
        "CSeq: 63104 OPTIONS",
        "Max-Forwards: 70",
    ] {
        let text = with("Content-Length", &format!("{line}\r\nContent-Length"));
        assert_eq!(
            (error(&text).kind, error(&text).status()),
            (ErrorKind::Repeated, Status::BAD_REQUEST),
            "{line}"
        );
        assert_eq!(&text[error(&text).at..][..line.len()], line);
    }
    for line in [
        "Replaces: a;to-tag=1;from-tag=2",
        "Content-Type: text/plain",
        "Expires: 1",
        "r: <sip:a@h>",
    ] {
        assert!(
            parse(with("Content-Length", &format!("{line}\r\nContent-Length"))).is_ok(),
            "{line}"
        );
        let text = with(
            "Content-Length",
            &format!("{line}\r\n{line}\r\nContent-Length"),
        );
        assert_eq!(error(&text).kind, ErrorKind::Repeated, "{line}");
    }
}

#[test]
fn values_that_are_wrong() {
    for (from, to, kind) in [
        (
            "CSeq: 63104 OPTIONS",
            "CSeq: 63104 INVITE",
            ErrorKind::Mismatch,
        ),
        (
            "CSeq: 63104 OPTIONS",
            "CSeq: 63104 options",
            ErrorKind::Mismatch,
        ),
        (
            "CSeq: 63104",
            "CSeq: 36893488147419103232",
            ErrorKind::OutOfRange,
        ),
        ("CSeq: 63104", "CSeq: 2147483648", ErrorKind::OutOfRange),
        (
            "Max-Forwards: 70",
            "Max-Forwards: 300",
            ErrorKind::OutOfRange,
        ),
        ("Max-Forwards: 70", "Max-Forwards: x", ErrorKind::Syntax),
        ("Call-ID: a8", "Call-ID: a 8", ErrorKind::Syntax),
        (
            "pc33.example.com;branch",
            "pc33.example.com;;,;,,branch",
            ErrorKind::Syntax,
        ),
        ("877;rport", "877;rport,", ErrorKind::Syntax),
        ("Alice <", "\"Alice <", ErrorKind::Syntax),
        ("Alice <", "Bell, Alexander <", ErrorKind::Syntax),
        (
            "<sip:bob@example.com>",
            "< sip:bob@example.com >",
            ErrorKind::Syntax,
        ),
        (
            "Content-Length",
            "Contact: \"Joe\" <sip:joe@example.org>;;;;\r\nl",
            ErrorKind::Syntax,
        ),
        (
            "Content-Length",
            "m: sip:u@h?Route=%3Csip:h%3E\r\nl",
            ErrorKind::Syntax,
        ),
        ("Content-Length", "Contact:\r\nl", ErrorKind::Syntax),
        (
            "Content-Length",
            "Record-Route: sip:a@h?x=y\r\nl",
            ErrorKind::Syntax,
        ),
        ("Content-Length", "Route: <sip:a@h\r\nl", ErrorKind::Syntax),
        (
            "Content-Length",
            "Date: Fri, 01 Jan 2010 16:00:00 EST\r\nl",
            ErrorKind::Syntax,
        ),
        (
            "Content-Length: 0",
            "Content-Length: -999",
            ErrorKind::Syntax,
        ),
        (
            "Content-Length: 0",
            "Content-Length: 0x0",
            ErrorKind::Syntax,
        ),
        (
            "Content-Length: 0",
            "Content-Length: 0\r\nl: 1",
            ErrorKind::Repeated,
        ),
        (
            "Content-Length: 0",
            "Content-Length: 1",
            ErrorKind::Truncated,
        ),
        (
            "Content-Length: 0",
            "Content-Length: 1048577",
            ErrorKind::BodyTooLarge,
        ),
        (
            "Content-Length: 0",
            "Content-Length: 99999999999999999999",
            ErrorKind::OutOfRange,
        ),
    ] {
        let text = with(from, to);
        let error = error(&text);
        assert_eq!(error.kind, kind, "{to}");
        let salvaged = salvage(&Bytes::from(text)).unwrap();
        let answer = salvaged.response(error.status(), "tt").unwrap();
        assert_eq!(answer.headers.get_all(HeaderName::Via).count(), 1, "{to}");
        assert!(
            answer.headers.contains(HeaderName::CallId)
                && answer.headers.contains(HeaderName::CSeq)
        );
        let limit = if kind == ErrorKind::BodyTooLarge {
            413
        } else {
            400
        };
        assert_eq!(answer.status.code(), limit, "{to}");
    }
}

/// RFC 3261, 18.3: a short body is an error over UDP, a long one is cut; bodies may be without a length.
#[test]
fn bodies_of_datagrams() {
    let body = |head: &str, rest: &str| parse(with("Content-Length: 0\r\n", head) + rest);
    assert_eq!(body("l: 4\r\n", "abcd").unwrap().body(), "abcd");
    assert_eq!(
        body("l: 4\r\n", "abcdINVITE sip:joe@example.com SIP/2.0\r\n")
            .unwrap()
            .body(),
        "abcd"
    );
    assert_eq!(
        body("l: 4\r\n", "abc").unwrap_err().kind,
        ErrorKind::Truncated
    );
    assert_eq!(body("", "abc\r\n\r\ndef").unwrap().body(), "abc\r\n\r\ndef");
    assert_eq!(
        body("l: 4\r\nContent-Length: 4\r\n", "abcd")
            .unwrap()
            .body(),
        "abcd"
    );
    // A body that is cut off is answered by 400, which is not given to a response.
    let text = with("Content-Length: 0", "Content-Length: 9999");
    let answer = salvage(&Bytes::from(text))
        .unwrap()
        .response(Status::BAD_REQUEST, "tt")
        .unwrap();
    assert_eq!(
        answer.to_bytes(),
        "SIP/2.0 400 Bad Request\r\n\
         Via: SIP/2.0/UDP pc33.example.com;branch=z9hG4bKhjhs8ass877;rport\r\n\
         From: Alice <sip:alice@example.com>;tag=1928301774\r\n\
         To: <sip:bob@example.com>;tag=tt\r\n\
         Call-ID: a84b4c76e66710\r\n\
         CSeq: 63104 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    );
}

#[test]
fn limits() {
    let headers = |count: usize| {
        with(
            "Content-Length",
            &("Xx: y\r\n".repeat(count) + "Content-Length"),
        )
    };
    assert!(parse(headers(MAX_HEADERS - 7)).is_ok());
    let error = parse(headers(MAX_HEADERS - 6)).unwrap_err();
    assert_eq!(
        (error.kind, error.status()),
        (ErrorKind::HeadTooLarge, Status::MESSAGE_TOO_LARGE)
    );
    assert!(parse(headers(10_000)).is_err());
    let fill = MAX_HEAD - OPTIONS.len() - "X: \r\n".len();
    let long = |len: usize| {
        with(
            "Content-Length",
            &format!("X: {}\r\nContent-Length", "x".repeat(len)),
        )
    };
    assert!(parse(long(fill)).is_ok());
    assert_eq!(
        parse(long(fill + 1)).unwrap_err().kind,
        ErrorKind::HeadTooLarge
    );
    let body = vec![b'x'; MAX_BODY + 1];
    let with_body =
        |len: usize| [with("Content-Length: 0\r\n", "").as_bytes(), &body[..len]].concat();
    assert!(parse(with_body(MAX_BODY)).is_ok());
    assert_eq!(
        parse(with_body(MAX_BODY + 1)).unwrap_err().status(),
        Status::REQUEST_ENTITY_TOO_LARGE
    );
}

#[test]
fn what_is_not_sip_is_not_answered() {
    for noise in [
        "",
        "\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "INVITE sip:a@b\r\nVia: SIP/2.0/UDP a\r\n\r\n",
        "no line end",
    ] {
        assert!(parse(noise).is_err());
        assert!(salvage(&Bytes::from(noise)).is_none(), "{noise:?}");
    }
    let ack = OPTIONS
        .replace("OPTIONS", "ACK")
        .replace("Max-Forwards: 70", "Max-Forwards: x");
    assert!(
        salvage(&Bytes::from(ack))
            .unwrap()
            .response(Status::BAD_REQUEST, "x")
            .is_none()
    );
}

/// RFC 4475, 3.1.2.1 and 3.1.2.16: the answer finds its way by a Via that is wrong, too.
#[test]
fn salvage_reads_a_broken_via() {
    let text = with(
        "SIP/2.0/UDP pc33.example.com;branch",
        "SIP/7.0/UDP 192.0.2.15:5070;;,;,,branch",
    );
    let salvaged = salvage(&Bytes::from(text)).unwrap();
    assert_eq!(
        salvaged.via().unwrap().sent_by().to_string(),
        "192.0.2.15:5070"
    );
    assert_eq!(salvaged.method, Some(Method::Options));
    // Lines that are none are left out.
    let text = with("To:", "Foobar roobar\r\nTo:");
    assert_eq!(salvage(&Bytes::from(text)).unwrap().headers.len(), 7);
}

#[test]
fn responses_copy_what_they_must() {
    let text = with(
        "Max-Forwards",
        "Timestamp: 54\r\nv: SIP/2.0/TCP b, SIP/2.0/TCP c\r\nMax-Forwards",
    );
    let request = request(text);
    let trying = Response::to_request(&request, Status::TRYING, None);
    assert_eq!(trying.headers.get(HeaderName::Timestamp), Some(&b"54"[..]));
    assert_eq!(trying.headers.to().unwrap().tag(), None);
    let ok = Response::to_request(&request, Status::OK, Some("tt"));
    assert_eq!(ok.headers.get(HeaderName::Timestamp), None);
    assert_eq!(ok.headers.to().unwrap().tag(), Some("tt"));
    assert_eq!(ok.headers.values(HeaderName::Via).count(), 3);
    assert!(ok.to_bytes().starts_with(b"SIP/2.0 200 OK\r\nVia: "));
    let again = Response::to_request(&request, Status::OK, Some("tt"));
    assert_eq!(again.to_bytes(), ok.to_bytes());
    // A tag that is there stays.
    let in_dialog = self::request(with(
        "To: <sip:bob@example.com>",
        "To: <sip:bob@example.com>;tag=old",
    ));
    assert_eq!(
        Response::to_request(&in_dialog, Status::OK, Some("new"))
            .headers
            .to()
            .unwrap()
            .tag(),
        Some("old")
    );
}

#[test]
fn a_phrase_ends_no_line() {
    let mut response = Response::new(Status::OK);
    response.reason = "OK\r\nEvil: 1".into();
    assert_eq!(
        response.to_bytes(),
        "SIP/2.0 200 OK  Evil: 1\r\nContent-Length: 0\r\n\r\n"
    );
}
