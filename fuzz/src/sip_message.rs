//! SIP: whatever is read is printed and read again as the same; whatever is refused can be answered or is silence.

use bytes::Bytes;
use sip::{
    HeaderName, Message, Status,
    header::{
        Auth, CSeq, ContactValue, Date, Expires, Item, MediaType, NameAddr, Parse, Privacy,
        Replaces, RetryAfter, Timestamp, Value, Via, Warning,
    },
    message::{MAX_BODY, MAX_HEADERS, body, frame, salvage},
};

/// Parses a message, prints it, parses it again, and asks it all that it can be asked.
///
/// # Panics
/// The second reading differs from the first, a limit is exceeded, or a query panics.
pub fn sip_message(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let _: Option<frame::Noise> = frame::noise(data);
    match Message::parse(bytes.clone()) {
        Ok(message) => read(&message, data),
        Err(error) => {
            assert!(error.at <= data.len(), "{error}");
            assert!(error.status().is_failure());
            let Some(salvaged) = salvage(&bytes) else {
                return;
            };
            if let Some(answer) = salvaged.response(error.status(), "tag") {
                assert!(!salvaged.is_response);
                let printed = answer.to_bytes();
                // RFC 3261, 8.2.6.2 copies, and adds a tag at most.
                assert!(
                    printed.len() <= data.len() + 200,
                    "an answer is no amplifier"
                );
                assert!(printed.starts_with(format!("SIP/2.0 {} ", error.status()).as_bytes()));
            }
        }
    }
}

fn read(message: &Message, data: &[u8]) {
    let headers = message.headers();
    assert!(headers.len() <= MAX_HEADERS && message.body().len() <= MAX_BODY.min(data.len()));
    let printed = message.to_bytes();
    let again = Message::parse(printed.clone()).expect("what is printed is read");
    assert_eq!(again.to_bytes(), printed, "printing is stable");
    assert_eq!(again.body(), message.body());
    for field in headers.iter() {
        assert!(
            !field.value.iter().any(|b| matches!(b, b'\r' | b'\n')),
            "a value is one line"
        );
        if field.name.known() != Some(HeaderName::ContentLength) {
            assert!(
                again
                    .headers()
                    .get_all(field.name)
                    .eq(headers.get_all(field.name))
            );
        }
    }

    // What the strict entry promises.
    let (via, from, to) = (headers.via(), headers.from(), headers.to());
    assert!(via.is_ok() && from.is_ok() && to.is_ok());
    assert!(
        headers.call_id().is_ok() && headers.contact().is_ok() && headers.max_forwards().is_ok()
    );
    assert!(
        headers
            .list::<Via<'_>>(HeaderName::Via)
            .all(|via| via.is_ok())
    );
    let cseq = headers.cseq().expect("a CSeq");
    if let Message::Request(request) = message {
        assert_eq!(cseq.method, request.method);
        let answer = sip::Response::to_request(request, Status::OK, Some("tag"));
        Message::parse(answer.to_bytes()).expect("an answer to what was read is read");
    }
    if let Ok(via) = via {
        let stamped = via.stamped("192.0.2.1:5060".parse().expect("an address"));
        let stamped = Via::parse(&stamped).expect("a stamped Via is one");
        assert_eq!(stamped.branch(), via.branch());
        let _ = (
            via.sent_by(),
            via.received(),
            via.maddr(),
            via.known_transport(),
        );
    }
    // What is kept of the first reading is what a second reading finds.
    for name in [
        HeaderName::From,
        HeaderName::To,
        HeaderName::Contact,
        HeaderName::Route,
        HeaderName::RecordRoute,
    ] {
        let kept = headers.list::<NameAddr<'_>>(name).flatten();
        let read = headers.values(name).flat_map(NameAddr::parse);
        for (kept, read) in kept.zip(read) {
            assert_eq!((kept.display, kept.uri), (read.display, read.uri));
            assert!(kept.params.iter().eq(read.params.iter()));
        }
    }
    let kept = headers.list::<Via<'_>>(HeaderName::Via).flatten();
    for (kept, read) in kept.zip(headers.values(HeaderName::Via).flat_map(Via::parse)) {
        assert_eq!(
            (kept.transport(), kept.sent_by()),
            (read.transport(), read.sent_by())
        );
        assert!(kept.params.iter().eq(read.params.iter()));
    }
    if let Ok(Some(ContactValue::Address(contact))) = headers.contact() {
        let mut printed = Vec::new();
        contact.to_address().write_to(&mut printed);
        let again = NameAddr::parse(&printed).expect("a printed address is one");
        assert_eq!(again.uri, contact.uri);
    }
    let _ = message.description();
    if let Some(Ok(media_type)) = headers.typed::<MediaType<'_>>()
        && let Some(boundary) = media_type.params.text("boundary")
        && let Ok(parts) = body::parts(message.body(), &boundary)
    {
        let total: usize = parts.iter().map(|part| part.body.len()).sum();
        assert!(parts.len() <= body::MAX_PARTS && total <= message.body().len());
    }
    for field in headers.iter() {
        any(field.value);
    }
}

/// Reads a value as each type; what is written of it is read, and written as the same.
fn any(value: &[u8]) {
    macro_rules! stable {
        ($($ty:ident)*) => {$(
            if let Ok(parsed) = $ty::parse(value) {
                let mut printed = Vec::new();
                parsed.write_to(&mut printed);
                let again = $ty::parse(&printed).expect("what is written is read");
                let mut twice = Vec::new();
                again.write_to(&mut twice);
                assert_eq!(twice, printed);
            }
        )*};
    }
    stable!(CSeq Expires Item MediaType NameAddr Privacy Replaces RetryAfter Timestamp Via Warning);
    let _ = Date::parse(value);
    if let Ok(auth) = Auth::parse(value) {
        let _ = (auth.params.text("realm"), auth.params.iter().count());
    }
}
