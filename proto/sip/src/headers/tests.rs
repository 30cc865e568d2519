use super::*;
use crate::header::{Expires, List, NameAddr};

fn sample() -> Headers {
    let mut headers = Headers::new();
    headers.push(HeaderName::Via, "SIP/2.0/UDP a;x=\"1,2\", SIP/2.0/UDP b");
    headers.push("X-Custom", "one, two");
    headers.push(HeaderName::Via, "SIP/2.0/UDP c");
    headers.push(
        HeaderName::Contact,
        "\"a, b\" <sip:c,d@h>;x=\"y,\\\"z\" , <sip:e>",
    );
    headers.push(HeaderName::Supported, "");
    headers.push(HeaderName::Subject, "a, b");
    headers
}

fn printed(headers: &Headers) -> String {
    let mut out = Vec::new();
    headers.write_to(&mut out, 7);
    String::from_utf8(out).unwrap()
}

fn all<'a>(values: impl Iterator<Item = &'a [u8]>) -> Vec<&'a str> {
    values
        .map(|value| std::str::from_utf8(value).unwrap())
        .collect()
}

#[test]
fn look_ups_go_by_meaning_of_the_name() {
    let headers = sample();
    assert_eq!(headers.get("v"), headers.get(HeaderName::Via));
    assert_eq!(headers.get("x-custom"), Some(&b"one, two"[..]));
    assert_eq!(headers.get("X-Custon"), None);
    assert_eq!(headers.get_all("VIA").count(), 2);
    assert!(headers.contains(HeaderName::Supported) && !headers.contains(HeaderName::From));
    assert_eq!(headers.len(), 6);
}

#[test]
fn elements_go_over_commas_and_lines() {
    let headers = sample();
    let vias = all(headers.values(HeaderName::Via));
    assert_eq!(
        vias,
        ["SIP/2.0/UDP a;x=\"1,2\"", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]
    );
    let contacts = all(headers.values(HeaderName::Contact));
    assert_eq!(contacts, ["\"a, b\" <sip:c,d@h>;x=\"y,\\\"z\"", "<sip:e>"]);
    assert_eq!(headers.values(HeaderName::Supported).count(), 0);
    assert_eq!(all(headers.values(HeaderName::Subject)), ["a, b"]);
    assert_eq!(all(headers.values("X-Custom")), ["one, two"]);
}

#[test]
fn separators_that_separate_nothing_are_kept_as_empty_elements() {
    let mut headers = Headers::new();
    headers.push(HeaderName::Contact, ",<sip:a>,,\"open, <sip:b>");
    assert_eq!(
        all(headers.values(HeaderName::Contact)),
        ["", "<sip:a>", "", "\"open, <sip:b>"]
    );
    assert_eq!(
        headers
            .list::<NameAddr<'_>>(HeaderName::Contact)
            .filter(Result::is_err)
            .count(),
        3
    );
}

#[test]
fn typed_access() {
    let mut headers = sample();
    assert_eq!(headers.typed::<Expires>(), None);
    assert_eq!(
        headers
            .require::<Expires>(HeaderName::Expires)
            .unwrap_err()
            .kind,
        ErrorKind::Missing
    );
    headers.push(HeaderName::Expires, Expires(7));
    assert_eq!(headers.typed::<Expires>(), Some(Ok(Expires(7))));
    headers.insert(HeaderName::Expires, "x");
    assert_eq!(
        headers
            .require::<Expires>(HeaderName::Expires)
            .unwrap_err()
            .kind,
        ErrorKind::Syntax
    );
    headers.push(HeaderName::Require, List(["100rel", "timer"]));
    assert!(
        headers.has_token(HeaderName::Require, "TIMER")
            && !headers.has_token(HeaderName::Require, "100")
    );
}

#[test]
fn order_is_kept_through_changes() {
    let mut headers = sample();
    headers.insert(HeaderName::Via, "SIP/2.0/UDP d");
    headers.insert_first(HeaderName::Via, "SIP/2.0/UDP e");
    headers.remove(HeaderName::Contact);
    headers.remove("supported");
    headers.insert("X-Last", 42u32);
    headers.copy_from(&sample(), HeaderName::Subject);
    assert_eq!(
        printed(&headers),
        "Via: SIP/2.0/UDP e\r\nVia: SIP/2.0/UDP d\r\nX-Custom: one, two\r\nSubject: a, b\r\nX-Last: 42\r\nSubject: a, b\r\n\
         Content-Length: 7\r\n"
    );
}

#[test]
fn only_the_first_element_is_replaced() {
    let mut headers = sample();
    headers.replace_first(HeaderName::Via, "SIP/2.0/UDP x");
    assert_eq!(
        all(headers.values(HeaderName::Via)),
        ["SIP/2.0/UDP x", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]
    );
    headers.replace_first(HeaderName::Subject, "new");
    assert_eq!(headers.get(HeaderName::Subject), Some(&b"new"[..]));
    let before = headers.clone();
    headers.replace_first(HeaderName::From, "nobody");
    assert_eq!(headers, before);
}

#[test]
fn nothing_can_be_smuggled_in() {
    let mut headers = Headers::new();
    headers.push("X-A\r\nEvil", "b\r\nEvil: 1\0");
    headers.push("", " \r\n\t ");
    headers.push(HeaderName::Subject, "\r\n\r\nbody");
    headers.push("Ü", "c");
    assert_eq!(
        printed(&headers),
        "X-A--Evil: b  Evil: 1\r\n-: \r\nSubject: body\r\n--: c\r\nContent-Length: 7\r\n"
    );
    assert_eq!(headers.get("X-A--Evil"), Some(&b"b  Evil: 1"[..]));
    headers.push("n".repeat(5_000).as_str(), "x");
    assert_eq!(headers.iter().last().unwrap().name.text().len(), MAX_NAME);
}

#[test]
fn the_length_stands_where_a_wrong_one_stood() {
    let mut headers = Headers::new();
    headers.push("l", "9999");
    headers.push(HeaderName::Subject, "x");
    headers.push(HeaderName::ContentLength, "1");
    assert_eq!(printed(&headers), "l: 7\r\nSubject: x\r\n");
}

#[test]
fn credentials_are_not_logged() {
    let mut headers = sample();
    headers.push(HeaderName::Authorization, "Digest response=\"secret\"");
    headers.push(HeaderName::ProxyAuthorization, "Digest response=\"secret\"");
    let log = format!("{headers:?}");
    assert!(
        log.contains("Authorization") && log.contains("SIP/2.0/UDP c") && !log.contains("secret")
    );
}

#[test]
fn equal_are_names_and_values_in_order() {
    let mut other = Headers::new();
    for Field { name, value } in sample().iter() {
        let text = std::str::from_utf8(name.text()).unwrap().to_uppercase();
        other.push(text.as_str(), value);
    }
    assert_eq!(other, sample());
    other.remove("X-Custom");
    assert_ne!(other, sample());
}

/// The copy says what the original says, in its spelling, and where a value was unfolded or written here, too.
#[test]
fn a_copy_that_holds_no_message_says_the_same() {
    let text = b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\nSubject : folded\r\n  twice\r\n\
        X-Own:  y \r\nCSeq: 1 INVITE\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\n\r\n";
    let message = crate::Message::parse(Bytes::from_static(text)).unwrap();
    let mut headers = message.headers().clone();
    headers.push(HeaderName::Contact, "<sip:a@b>");
    let copy = headers.detached();
    assert_eq!(copy, headers);
    assert_eq!(printed(&copy), printed(&headers));
    assert_eq!(copy.get(HeaderName::Subject), Some(&b"folded twice"[..]));
    assert_eq!(copy.cseq(), headers.cseq());
    assert!(copy.received.is_empty());
}
