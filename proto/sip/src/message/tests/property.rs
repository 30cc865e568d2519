//! What holds of any message.

use super::*;
use crate::UriRef;
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
