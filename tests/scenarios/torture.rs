//! The torture messages of RFC 4475 and RFC 5118, and the messages of the RFCs and of NIST, as vectors.
//!
//! A vector that is absent is skipped.

use crate::archive;
use bytes::Bytes;
use sip::{
    ErrorKind, HeaderName, Message, Request, Response,
    header::{NameAddr, Via},
    message::{frame::noise, salvage},
    uri::Scheme,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

mod collections;

pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/vectors")
        .join(name);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no {}", path.display());
    None
}

fn parse(bytes: &Bytes) -> Result<Message, sip::ParseError> {
    let parsed = Message::parse(bytes.clone());
    if let Ok(message) = &parsed {
        let printed = message.to_bytes();
        let again = Message::parse(printed.clone()).expect("what is printed is read");
        assert_eq!(again.to_bytes(), printed, "printing is stable");
        assert_eq!(again.body(), message.body());
    }
    parsed
}

/// What a torture message must come to.
enum Expect {
    /// A request, and what must be true of it.
    Request(fn(&Request) -> bool),
    /// A response, and what must be true of it.
    Response(fn(&Response) -> bool),
    /// A request that is answered with this status.
    Answered(ErrorKind, u16),
    /// Refused, and nothing is answered.
    Silence(ErrorKind),
}

use Expect::{Answered, Silence};

fn check(name: &str, bytes: &Bytes, expect: &Expect) {
    assert_eq!(noise(bytes), None, "{name}");
    match (expect, parse(bytes)) {
        (Expect::Request(holds), Ok(Message::Request(request))) => {
            assert!(holds(&request), "{name}: {request:?}")
        }
        (Expect::Response(holds), Ok(Message::Response(response))) => {
            assert!(holds(&response), "{name}: {response:?}")
        }
        (Answered(kind, status), Err(error)) => {
            assert_eq!(
                (error.kind, error.status().code()),
                (*kind, *status),
                "{name}: {error}"
            );
            let salvaged = salvage(bytes).unwrap_or_else(|| panic!("{name}: nothing salvaged"));
            let answer = salvaged
                .response(error.status(), "tag")
                .unwrap_or_else(|| panic!("{name}: no answer"));
            // RFC 3261, 8.2.6.2: every Via comes back as it was.
            assert!(
                answer
                    .headers
                    .get_all(HeaderName::Via)
                    .eq(salvaged.headers.get_all(HeaderName::Via))
            );
            assert!(
                answer
                    .to_bytes()
                    .starts_with(format!("SIP/2.0 {status} ").as_bytes())
            );
        }
        (Silence(kind), Err(error)) => {
            assert_eq!(error.kind, *kind, "{name}: {error}");
            let answer =
                salvage(bytes).and_then(|salvaged| salvaged.response(error.status(), "tag"));
            assert_eq!(answer, None, "{name}");
        }
        (_, outcome) => panic!("{name}: {outcome:?}"),
    }
}

fn uri_is(request: &Request, text: &str) -> bool {
    request.uri.as_str() == text
}

fn users(request: &Request) -> Vec<String> {
    let contacts = request.headers.list::<NameAddr<'_>>(HeaderName::Contact);
    contacts
        .map(|contact| {
            contact
                .unwrap()
                .uri
                .user_text()
                .unwrap_or_default()
                .into_owned()
        })
        .collect()
}

fn transports(request: &Request) -> Vec<&str> {
    request
        .headers
        .list::<Via<'_>>(HeaderName::Via)
        .map(|via| via.unwrap().transport())
        .collect()
}

/// RFC 4475, section by section.
const RFC_4475: &[(&str, Expect)] = &[
    (
        "wsinv",
        Expect::Request(|request| {
            transports(request) == ["UDP", "TCP", "UDP"]
                && request.headers.from().unwrap().display_name().as_deref()
                    == Some("J Rosenberg \\\"")
                && request.headers.from().unwrap().tag() == Some("98asjd8")
                && request.headers.to().unwrap().tag() == Some("1918181833n")
                && request.headers.max_forwards() == Ok(Some(68))
                && request.headers.cseq().unwrap().number == 9
                && request.body.len() == 150
        }),
    ),
    (
        "intmeth",
        Expect::Request(|request| {
            request.method.as_str() == "!interesting-Method0123456789_*+`.%indeed'~"
                && request.uri.as_ref().password()
                    == Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
                && request.headers.to().unwrap().display_name().as_deref()
                    == Some("BEL:\x07 NUL:\0 DEL:\x7f")
                && request.headers.max_forwards() == Ok(Some(255))
        }),
    ),
    (
        "esc01",
        Expect::Request(|request| {
            request.uri.as_ref().user_text().as_deref() == Some("sips:user@example.com")
                && request.uri.as_ref().host_str() == "example.net"
                && request.headers.to().unwrap().uri.user_text().as_deref() == Some("user")
                && users(request) == ["caller"]
                && request
                    .headers
                    .list::<NameAddr<'_>>(HeaderName::Contact)
                    .all(|contact| {
                        let params = contact.unwrap().uri.params();
                        params.contains("lr")
                            && params.get("name").unwrap().text().as_deref() == Some("value%41")
                    })
        }),
    ),
    (
        "escnull",
        Expect::Request(|request| users(request) == ["\0", "\0\0"]),
    ),
    (
        "esc02",
        Expect::Request(|request| {
            request.method.as_str() == "RE%47IST%45R"
                && request.headers.to().unwrap().display_name().as_deref() == Some("%Z%45")
                && users(request) == ["alias1", "alias3"]
                && request.headers.contains("C%6Fntact")
                && request.headers.via().unwrap().branch() == Some("z9hG4bK209%fzsnel234")
        }),
    ),
    (
        "lwsdisp",
        Expect::Request(|request| {
            request.headers.from().unwrap().display_name().as_deref() == Some("caller")
        }),
    ),
    (
        "longreq",
        Expect::Request(|request| {
            request.headers.values(HeaderName::Via).count() == 34
                && request.headers.from().unwrap().tag().unwrap().len() > 100
        }),
    ),
    (
        "dblreq",
        Expect::Request(|request| request.method.as_str() == "REGISTER" && request.body.is_empty()),
    ),
    (
        "semiuri",
        Expect::Request(|request| {
            request.uri.user() == Some("user;par=u%40example.net")
                && request.uri.params().is_empty()
                && request.headers.values(HeaderName::Accept).count() == 6
        }),
    ),
    (
        "transports",
        Expect::Request(|request| transports(request) == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]),
    ),
    (
        "mpart01",
        Expect::Request(|request| {
            let content_type = request
                .headers
                .typed::<sip::header::MediaType<'_>>()
                .unwrap()
                .unwrap();
            let boundary = content_type.params.text("boundary").unwrap();
            let parts = sip::message::body::parts(&request.body, &boundary).unwrap();
            parts.len() == 2 && parts[0].body == "Hello" && parts[1].body.starts_with(b"0\x82")
        }),
    ),
    (
        "unreason",
        Expect::Response(|response| {
            &*response.reason == "= 2**3 * 5**2 но сто девяносто девять - простое"
                && response.body.len() == 154
        }),
    ),
    (
        "noreason",
        Expect::Response(|response| response.status.code() == 100 && response.reason.is_empty()),
    ),
    ("badinv01", Answered(ErrorKind::Syntax, 400)),
    ("clerr", Answered(ErrorKind::Truncated, 400)),
    ("ncl", Answered(ErrorKind::Syntax, 400)),
    ("scalar02", Answered(ErrorKind::OutOfRange, 400)),
    ("scalarlg", Silence(ErrorKind::OutOfRange)),
    ("quotbal", Answered(ErrorKind::Syntax, 400)),
    ("ltgtruri", Answered(ErrorKind::Syntax, 400)),
    ("lwsruri", Answered(ErrorKind::Syntax, 400)),
    ("lwsstart", Answered(ErrorKind::Syntax, 400)),
    ("trws", Answered(ErrorKind::Syntax, 400)),
    ("escruri", Answered(ErrorKind::Syntax, 400)),
    ("baddate", Answered(ErrorKind::Syntax, 400)),
    ("regbadct", Answered(ErrorKind::Syntax, 400)),
    ("badaspec", Answered(ErrorKind::Syntax, 400)),
    ("baddn", Answered(ErrorKind::Syntax, 400)),
    ("badvers", Answered(ErrorKind::Version, 505)),
    ("mismatch01", Answered(ErrorKind::Mismatch, 400)),
    ("mismatch02", Answered(ErrorKind::Mismatch, 400)),
    ("bigcode", Silence(ErrorKind::OutOfRange)),
    (
        "badbranch",
        Expect::Request(|request| !request.headers.via().unwrap().has_cookie()),
    ),
    ("insuf", Answered(ErrorKind::Missing, 400)),
    // Syntax is right; the schemes are for the user agent server to refuse (416).
    (
        "unkscm",
        Expect::Request(|request| {
            request.uri.scheme() == Scheme::Other
                && uri_is(request, "nobodyKnowsThisScheme:totallyopaquecontent")
        }),
    ),
    (
        "novelsc",
        Expect::Request(|request| request.uri.as_ref().scheme_str() == "soap.beep"),
    ),
    (
        "unksm2",
        Expect::Request(|request| {
            request.headers.to().unwrap().uri.as_str() == "isbn:2983792873"
                && request.headers.from().unwrap().uri.as_str() == "http://www.example.com"
        }),
    ),
    (
        "bext01",
        Expect::Request(|request| {
            let require: Vec<&[u8]> = request.headers.values(HeaderName::Require).collect();
            require == [&b"nothingSupportsThis"[..], b"nothingSupportsThisEither"]
                && request.headers.values(HeaderName::ProxyRequire).count() == 2
        }),
    ),
    (
        "invut",
        Expect::Request(|request| {
            request.description() == Err(sip::message::Unacceptable::Type)
                && request.body.len() == 40
        }),
    ),
    (
        "regaut01",
        Expect::Request(|request| {
            request.headers.get(HeaderName::Authorization)
                == Some(&b"NoOneKnowsThisScheme opaque-data=here"[..])
        }),
    ),
    ("multi01", Answered(ErrorKind::Repeated, 400)),
    ("mcl01", Answered(ErrorKind::Repeated, 400)),
    (
        "bcast",
        Expect::Response(|response| response.headers.values(HeaderName::Via).count() == 2),
    ),
    (
        "zeromf",
        Expect::Request(|request| request.headers.max_forwards() == Ok(Some(0))),
    ),
    (
        "cparam01",
        Expect::Request(|request| {
            let contact = request
                .headers
                .require::<NameAddr<'_>>(HeaderName::Contact)
                .unwrap();
            contact.params.contains("unknownparam") && contact.uri.params().is_empty()
        }),
    ),
    (
        "cparam02",
        Expect::Request(|request| {
            let contact = request
                .headers
                .require::<NameAddr<'_>>(HeaderName::Contact)
                .unwrap();
            contact.params.is_empty() && contact.uri.params().contains("unknownparam")
        }),
    ),
    (
        "regescrt",
        Expect::Request(|request| {
            let contact = request
                .headers
                .require::<NameAddr<'_>>(HeaderName::Contact)
                .unwrap();
            contact
                .uri
                .headers()
                .get("route")
                .unwrap()
                .text()
                .as_deref()
                == Some("<sip:sip.example.com>")
        }),
    ),
    (
        "sdp01",
        Expect::Request(|request| {
            request.headers.get(HeaderName::Accept) == Some(&b"text/nobodyKnowsThis"[..])
                && request.description().unwrap().unwrap().body.len() == 150
        }),
    ),
    (
        "inv2543",
        Expect::Request(|request| {
            request.headers.via().unwrap().branch().is_none()
                && request.headers.from().unwrap().tag().is_none()
        }),
    ),
    // In the archive, not in the text: no version, no Via.
    ("test", Silence(ErrorKind::Syntax)),
];

/// RFC 5118, section by section.
const RFC_5118: &[(&str, Expect)] = &[
    (
        "ipv6-good",
        Expect::Request(|request| {
            uri_is(request, "sip:[2001:db8::10]")
                && request.headers.via().unwrap().host() == "[2001:db8::9:1]"
        }),
    ),
    ("ipv6-bad", Answered(ErrorKind::Syntax, 400)),
    (
        "port-ambiguous",
        Expect::Request(|request| {
            request.uri.host_port().unwrap().to_string() == "[2001:db8::10:5070]"
        }),
    ),
    (
        "port-unambiguous",
        Expect::Request(|request| {
            request.uri.host_port().unwrap().to_string() == "[2001:db8::10]:5070"
        }),
    ),
    (
        "via-received-param-with-delim",
        Expect::Request(|request| {
            request.headers.via().unwrap().received() == "2001:db8::9:255".parse().ok()
        }),
    ),
    (
        "via-received-param-no-delim",
        Expect::Request(|request| {
            request.headers.via().unwrap().received() == "2001:db8::9:255".parse().ok()
        }),
    ),
    // The RFC's own slip: it says 268 and prints 251 bytes. RFC 3261, 18.3 decides.
    ("ipv6-in-sdp", Answered(ErrorKind::Truncated, 400)),
    (
        "mult-ip-in-header",
        Expect::Request(|request| {
            let vias = request
                .headers
                .list::<Via<'_>>(HeaderName::Via)
                .map(|via| via.unwrap().sent_by().to_string());
            vias.eq(["[2001:db8::9:1]:6050", "192.0.2.1", "[2001:db8::9:255]"])
        }),
    ),
    (
        "mult-ip-in-sdp",
        Expect::Request(|request| request.body.len() == 181),
    ),
    (
        "ipv4-mapped-ipv6",
        Expect::Request(|request| {
            request.headers.via().unwrap().sent_by().to_string() == "[::ffff:192.0.2.10]:19823"
        }),
    ),
    (
        "ipv6-bug-abnf-3-colons",
        Expect::Request(|request| request.uri.host() == "[2001:db8::192.0.2.1]".parse().ok()),
    ),
    (
        "ipv6-correct-abnf-2-colons",
        Expect::Request(|request| request.uri.host() == "[2001:db8::192.0.2.1]".parse().ok()),
    ),
];

/// All messages of RFC 4475 or RFC 5118, without the ends of their names: those of the archive in the text
/// of the RFC, and those of the folder of vectors, which must be the same where both have one.
pub(crate) fn messages(rfc: &str) -> Vec<(String, Bytes)> {
    let mut messages = std::collections::BTreeMap::new();
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../shared/rfc/{rfc}.txt"));
    match fs::read_to_string(&text) {
        Ok(text) => messages.extend(archive::of_rfc(&text)),
        Err(_) => println!("skipped: no {}", text.display()),
    }
    let files = folder(&format!("sip-torture-{rfc}")).map(|folder| fs::read_dir(folder).unwrap());
    for entry in files.into_iter().flatten() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if file.ends_with(".json") || file.ends_with(".md") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let known = messages.insert(file.clone(), bytes.clone());
        assert!(known.is_none_or(|known| known == bytes), "{file}");
    }
    let stem = |file: String| file.strip_suffix(".dat").unwrap_or(&file).to_owned();
    let messages = messages.into_iter();
    let messages = messages.map(|(file, bytes)| (stem(file), crlf(rfc, bytes).into()));
    messages.collect()
}

/// The archive of RFC 5118 has LF line ends, and some messages without their empty line.
fn crlf(rfc: &str, bytes: Vec<u8>) -> Vec<u8> {
    if rfc != "rfc5118" {
        return bytes;
    }
    let text = String::from_utf8(bytes).unwrap();
    let end = if text.contains("\n\n") { "" } else { "\n" };
    (text + end).replace('\n', "\r\n").into_bytes()
}

/// Runs all messages of an RFC, and says how many there were.
fn run(rfc: &str, table: &[(&str, Expect)]) {
    let messages = messages(rfc);
    for (name, bytes) in &messages {
        match table.iter().find(|(known, _)| known == name) {
            Some((known, expect)) => check(known, bytes, expect),
            None => panic!("{name} is in no table"),
        }
    }
    println!("{rfc}: {} of {} messages", messages.len(), table.len());
}

#[test]
fn rfc_4475() {
    run("rfc4475", RFC_4475);
}

#[test]
fn rfc_5118() {
    run("rfc5118", RFC_5118);
}
