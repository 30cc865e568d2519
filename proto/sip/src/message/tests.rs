use super::*;

pub(super) fn parse(text: &str) -> Result<Message, ParseError> {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()))
}

const OPTIONS: &str = "OPTIONS sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP pc33.example.com;branch=z9hG4bKhjhs8ass877;rport\r\n\
    Max-Forwards: 70\r\n\
    To: <sip:bob@example.com>\r\n\
    From: Alice <sip:alice@example.com>;tag=1928301774\r\n\
    Call-ID: a84b4c76e66710\r\n\
    CSeq: 63104 OPTIONS\r\n\
    Content-Length: 0\r\n\r\n";

#[test]
fn a_request_reads_and_prints_the_same() {
    let message = parse(OPTIONS).unwrap();
    let Message::Request(request) = &message else {
        panic!("a request");
    };
    assert_eq!(request.method, Method::Options);
    assert_eq!(request.uri.as_str(), "sip:bob@example.com");
    assert_eq!(request.headers.from().unwrap().tag(), Some("1928301774"));
    assert_eq!(
        request.headers.via().unwrap().branch(),
        Some("z9hG4bKhjhs8ass877")
    );
    assert_eq!(
        request.headers.cseq(),
        Ok(CSeq::new(63104, Method::Options))
    );
    assert_eq!(request.headers.max_forwards(), Ok(Some(70)));
    assert_eq!(request.headers.call_id(), Ok("a84b4c76e66710"));
    assert_eq!(message.to_bytes(), OPTIONS.as_bytes());
}
