//! What holds of any message.

use super::*;
use crate::{UriRef, header::Parse};
use proptest::prelude::*;

prop_compose! {
    fn header()(
        name in prop_oneof!["X-[A-Za-z!%]{1,8}", Just("s".to_owned()), Just("Subject".to_owned())],
        colon in "[ \t]{0,2}:[ \t]{0,2}",
        value in proptest::collection::vec(any::<u8>().prop_filter("line end", |b| !matches!(b, b'\r' | b'\n')), 0..24),
        fold in any::<bool>(),
        end in prop_oneof![Just("\r\n"), Just("\n"), Just(" \r\n")],
    ) -> Vec<u8> {
        let fold: &[u8] = if fold { b"\r\n " } else { b"" };
        let (head, tail) = value.split_at(value.len() / 2);
        [name.as_bytes(), colon.as_bytes(), head, fold, tail, end.as_bytes()].concat()
    }
}

proptest! {
    #[test]
    fn printing_and_reading_give_the_same(
        lines in proptest::collection::vec(header(), 0..8),
        body in proptest::collection::vec(any::<u8>(), 0..64),
        is_response in any::<bool>(),
    ) {
        let start = if is_response { "SIP/2.0 183 x" } else { "OPTIONS sip:bob@example.com SIP/2.0" };
        let head = with("OPTIONS sip:bob@example.com SIP/2.0", start);
        let head = head.replacen("Content-Length: 0\r\n\r\n", "", 1);
        let text = [head.as_bytes(), &lines.concat(), b"\r\n", &body].concat();
        let first = parse(&text).unwrap();
        prop_assert_eq!(first.body(), &body);
        let printed = first.to_bytes();
        let second = parse(&printed).unwrap();
        prop_assert_eq!(second.to_bytes(), printed);
        let without_length = |message: &Message| {
            let mut headers = message.headers().clone();
            headers.remove(HeaderName::ContentLength);
            headers
        };
        prop_assert_eq!(without_length(&second), without_length(&first));
        prop_assert_eq!(second.body(), first.body());
    }

    #[test]
    fn a_changed_byte_is_read_or_refused(at in 0..OPTIONS.len(), byte in any::<u8>()) {
        let mut text = OPTIONS.as_bytes().to_vec();
        text[at] = byte;
        if let Ok(message) = parse(&text) {
            let again = parse(message.to_bytes()).unwrap();
            prop_assert_eq!(again.to_bytes(), message.to_bytes());
            what_is_kept_is_what_is_read(&message);
        } else if let Some(salvaged) = salvage(&Bytes::from(text))
            && let Some(answer) = salvaged.response(Status::BAD_REQUEST, "tt")
        {
            prop_assert!(answer.to_bytes().ends_with(b"\r\n\r\n"));
        }
    }

    #[test]
    fn any_uri_of_a_request_is_the_one_of_the_parser(text in "(sip|sips|tel|x):[a-z0-9@:;=?&%#\\[\\]. ]{0,16}") {
        let parsed = parse(with("sip:bob@example.com", &text));
        let plain = UriRef::parse(text.as_bytes()).is_ok_and(|uri| uri.headers().is_empty());
        prop_assert_eq!(parsed.is_ok(), plain);
    }
}

/// Parts that the strict entry keeps are those that a second reading finds.
fn what_is_kept_is_what_is_read(message: &Message) {
    let headers = message.headers();
    for name in [
        HeaderName::From,
        HeaderName::To,
        HeaderName::Contact,
        HeaderName::Route,
    ] {
        let kept: Vec<_> = headers
            .list::<NameAddr<'_>>(name)
            .map(Result::unwrap)
            .collect();
        let read: Vec<_> = headers
            .values(name)
            .map(|value| NameAddr::parse(value).unwrap())
            .collect();
        assert_eq!(kept.len(), read.len());
        for (kept, read) in kept.iter().zip(&read) {
            assert_eq!(
                (kept.display, kept.uri, kept.tag()),
                (read.display, read.uri, read.tag())
            );
            assert_eq!(
                (kept.uri.user(), kept.uri.host(), kept.uri.port()),
                (read.uri.user(), read.uri.host(), read.uri.port())
            );
            assert!(kept.uri.params().iter().eq(read.uri.params().iter()));
            assert!(kept.params.iter().eq(read.params.iter()));
        }
    }
    let kept: Vec<_> = headers
        .list::<Via<'_>>(HeaderName::Via)
        .map(Result::unwrap)
        .collect();
    let read: Vec<_> = headers
        .values(HeaderName::Via)
        .map(|value| Via::parse(value).unwrap())
        .collect();
    assert_eq!(kept.len(), read.len());
    for (kept, read) in kept.iter().zip(&read) {
        assert_eq!(
            (kept.transport(), kept.sent_by(), kept.branch()),
            (read.transport(), read.sent_by(), read.branch())
        );
    }
}

#[test]
fn lists_and_folds_are_kept_right() {
    let lines = "Route: <sip:p1;lr> , \"x, y\" <sip:q@p2:5070;a=b?c=d>;e=\"f, g\" ;h,<tel:1>\r\n\
        m: Bob <sip:b@h>;q=0.5,sip:c@[::1]:9;x\r\n\
        v : SIP / 2.0 / TCP  h1 : 7 ;\r\n  branch = z9hG4bK1 , SIP/2.0/UDP [2001:db8::1];rport\r\nRoute:\r\n <sip:p3>\r\n";
    let message = parse(with("Max-Forwards", &format!("{lines}Max-Forwards"))).unwrap();
    what_is_kept_is_what_is_read(&message);
    let headers = message.headers();
    let routes: Vec<_> = headers
        .list::<NameAddr<'_>>(HeaderName::Route)
        .map(|route| route.unwrap().uri.to_string())
        .collect();
    assert_eq!(
        routes,
        ["sip:p1;lr", "sip:q@p2:5070;a=b?c=d", "tel:1", "sip:p3"]
    );
    let vias: Vec<_> = headers
        .list::<Via<'_>>(HeaderName::Via)
        .map(|via| via.unwrap().sent_by().to_string())
        .collect();
    assert_eq!(vias, ["pc33.example.com", "h1:7", "[2001:db8::1]"]);
    // A changed header forgets what was known of the old one; a copy does not.
    let mut changed = Headers::new();
    changed.copy_from(headers, HeaderName::Via);
    changed.replace_first(HeaderName::Via, "SIP/2.0/TLS changed;branch=z9hG4bK2");
    assert_eq!(changed.via().unwrap().sent_by().to_string(), "changed");
    assert_eq!(
        changed
            .list::<Via<'_>>(HeaderName::Via)
            .flatten()
            .nth(2)
            .unwrap()
            .host(),
        "[2001:db8::1]"
    );
}
