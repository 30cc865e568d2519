//! Messages, with a peer written by hand from RFC 3428, 10.

use super::{
    registration::{answer, star, text},
    uas::inside,
    *,
};
use crate::{
    HeaderName, Headers, MessageId, Method, Status,
    usage::{
        Failed,
        message::{IncomingMessage, MessageEvent, SendMessage},
    },
};

impl Wire {
    fn send(&mut self, to: &str, body: &str) -> MessageId {
        let message = SendMessage::new(address("sip:user1@domain.com"), address(to), body);
        self.endpoint.send_message(self.now, message).unwrap()
    }

    fn messages(&mut self) -> Vec<(MessageId, MessageEvent)> {
        self.drain();
        let events = std::mem::take(&mut self.events).into_iter();
        events
            .filter_map(|event| match event {
                Event::Message(id, event) => Some((id, event)),
                _ => None,
            })
            .collect()
    }

    fn incoming(&mut self) -> (MessageId, IncomingMessage) {
        match self.messages().pop() {
            Some((id, MessageEvent::Incoming(message))) => (id, *message),
            other => panic!("{other:?}"),
        }
    }
}

/// F1 of RFC 3428, 10; `further` header lines vary.
fn message(branch: &str, further: &str) -> String {
    format!(
        "MESSAGE sip:user2@domain.com SIP/2.0
        Via: SIP/2.0/TCP user1pc.domain.com;branch=z9hG4bK{branch}
        Max-Forwards: 70
        From: sip:user1@domain.com;tag=49583
        To: sip:user2@domain.com
        Call-ID: asd88asd77a@1.2.3.4
        CSeq: 1 MESSAGE
        {further}Content-Type: text/plain
        Content-Length: 18

        Watson, come here."
    )
}

#[test]
fn msg_01_03_a_message_and_its_result() {
    let mut wire = Wire::new();
    let id = wire.send("sip:user2@domain.com", "Watson, come here.");
    let request = wire.request();
    assert_eq!(request.method, Method::Message);
    assert_eq!(request.uri.as_str(), "sip:user2@domain.com");
    assert_eq!(&request.body[..], b"Watson, come here.");
    assert_eq!(
        text(&request, HeaderName::ContentType),
        "text/plain;charset=utf-8"
    );
    // RFC 3428, 4
    assert!(!request.headers.contains(HeaderName::Contact));
    wire.answer(&request, "200 OK", "");
    let ok = MessageEvent::Succeeded {
        code: Status::OK,
        reason: "OK".to_owned(),
    };
    assert_eq!(wire.messages(), [(id, ok)]);
    wire.wait(Duration::from_secs(40));
    assert_eq!(wire.endpoint.stats(), Stats::default());
    let id = wire.send("sip:user2@domain.com", "lost");
    wire.wait(Duration::from_secs(40));
    let events = wire.messages();
    assert!(
        matches!(&events[..], [(own, MessageEvent::Failed(Failed::Unanswered(_)))] if *own == id)
    );
    let MessageEvent::Failed(failed) = &events[0].1 else {
        panic!("{events:?}");
    };
    assert_eq!(failed.code(), Status::REQUEST_TIMEOUT);
}

#[test]
fn msg_02_bug_04_one_goes_to_a_destination_and_the_others_wait() {
    let mut wire = Wire::new();
    let first = wire.send("sip:user2@domain.com", "1");
    let second = wire.send("sip:user2@domain.com", "2");
    let third = wire.send("sip:user2@domain.com", "3");
    let request = wire.request();
    assert_eq!(&request.body[..], b"1");
    // Another destination does not wait.
    wire.send("sip:user3@domain.com", "other");
    let other = wire.request();
    assert_eq!(&other.body[..], b"other");
    wire.answer(&request, "100 Trying", "");
    assert!(wire.sent.is_empty());
    wire.answer(&request, "486 Busy Here", "");
    let request = wire.request();
    assert_eq!(&request.body[..], b"2");
    wire.answer(&request, "202 Accepted", "");
    let request = wire.request();
    assert_eq!(&request.body[..], b"3");
    let results: Vec<_> = wire
        .messages()
        .into_iter()
        .map(|(id, event)| (id, matches!(event, MessageEvent::Succeeded { .. })))
        .collect();
    assert_eq!(results, [(first, false), (second, true)]);
    // What waits when the endpoint shuts down is not sent.
    let fourth = wire.send("sip:user2@domain.com", "4");
    let now = wire.now;
    wire.endpoint.shutdown(now);
    wire.answer(&request, "200 OK", "");
    let results: Vec<_> = wire.messages();
    assert_eq!(
        results[0],
        (fourth, MessageEvent::Failed(Failed::Withdrawn))
    );
    assert_eq!(results[1].0, third);
    assert!(wire.sent.is_empty());
}

/// RFC 3428, 8.
#[test]
fn a_large_message_needs_a_word() {
    let mut wire = Wire::new();
    let mut message = SendMessage::new(
        address("sip:a@example.com"),
        address("sip:b@example.com"),
        "x".repeat(1_300),
    );
    let refused = wire.endpoint.send_message(wire.now, message.clone());
    assert_eq!(refused, Err(RequestError::TooLarge));
    message.may_be_large = true;
    assert!(wire.endpoint.send_message(wire.now, message).is_ok());
}

#[test]
fn eng_43_a_message_is_told_once_and_answered() {
    let mut wire = Wire::new();
    wire.receive(&message("776sgdkse", "Subject: help\n"));
    let response = wire.response();
    assert_eq!(response.status, Status::OK);
    // RFC 3428, 7
    assert!(response.body.is_empty() && !response.headers.contains(HeaderName::Contact));
    let (_, told) = wire.incoming();
    assert_eq!(told.from.uri.as_str(), "sip:user1@domain.com");
    assert_eq!(told.to.uri.as_str(), "sip:user2@domain.com");
    let content = told.content.unwrap();
    // BUG-05
    assert_eq!(content.content_type, "text/plain");
    assert_eq!(&content.body[..], b"Watson, come here.");
    assert_eq!(told.headers.get(HeaderName::Subject), Some(&b"help"[..]));
    assert_eq!(told.call, None);
    // A retransmission is answered again, and not told.
    wire.receive(&message("776sgdkse", "Subject: help\n"));
    assert_eq!(wire.response().status, Status::OK);
    assert!(wire.messages().is_empty());
    wire.wait(Duration::from_secs(40));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn bug_20_the_application_may_answer() {
    let mut config = Config::new("tested");
    config.message_answer = Some(Duration::from_secs(2));
    let mut wire = Wire::with(config);
    wire.receive(&message("1", ""));
    assert!(wire.sent.is_empty());
    let (id, _) = wire.incoming();
    let (now, none) = (wire.now, Headers::new());
    let trying = wire
        .endpoint
        .answer_message(now, id, Status::TRYING, None, &none);
    assert_eq!(trying, Err(AnswerMessageError::NotFinal));
    wire.endpoint
        .answer_message(now, id, Status::DECLINE, None, &none)
        .unwrap();
    assert_eq!(wire.response().status, Status::DECLINE);
    let again = wire
        .endpoint
        .answer_message(now, id, Status::OK, None, &none);
    assert_eq!(again, Err(AnswerMessageError::Answered));
    // An application that says nothing has accepted.
    wire.receive(&message("2", "").replace("asd88", "bsd88"));
    wire.wait(ms(1_999));
    assert!(wire.sent.is_empty());
    wire.wait(ms(1));
    assert_eq!(wire.response().status, Status::OK);
}

#[test]
fn eng_47_content_that_nobody_can_read_is_refused() {
    let mut wire = Wire::new();
    wire.receive(&message("1", "").replace("Content-Type: text/plain\n", ""));
    let refused = wire.response();
    assert_eq!(refused.status, Status::BAD_REQUEST);
    assert!(refused.headers.contains(HeaderName::Warning));
    wire.receive(&message("2", "Content-Encoding: gzip\n"));
    let refused = wire.response();
    assert_eq!(refused.status, Status::UNSUPPORTED_MEDIA_TYPE);
    assert!(refused.headers.contains(HeaderName::AcceptEncoding));
    assert!(wire.messages().is_empty());
}

/// RFC 3428, 4: a message may be sent in a dialog.
#[test]
fn a_message_in_a_call() {
    let mut wire = Wire::new();
    let tag = wire.accept();
    wire.receive(&inside("ACK", 314_159, &tag, ""));
    wire.sent.clear();
    wire.events.clear();
    wire.receive(&inside("MESSAGE", 314_160, &tag, "hello"));
    assert_eq!(wire.response().status, Status::OK);
    let call = wire.endpoint.invitations().next();
    assert_eq!(wire.incoming().1.call, call);
    // RFC 3261, 12.2.2: out of order.
    wire.receive(&inside("MESSAGE", 314_100, &tag, "late"));
    assert_eq!(wire.response().status, Status::SERVER_INTERNAL_ERROR);
    wire.receive(&inside("MESSAGE", 314_170, "unknown", "hello"));
    assert_eq!(
        wire.response().status,
        Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST
    );
    assert!(wire.messages().is_empty());
}

#[test]
fn a_message_is_challenged_and_goes_again() {
    let mut wire = Wire::new();
    let mut message = SendMessage::new(
        address("sip:a@example.com"),
        address("sip:b@example.com"),
        "hi",
    );
    message.credentials = star();
    message.route = vec![address("sip:192.0.2.9:5062;lr")];
    wire.endpoint.send_message(wire.now, message).unwrap();
    let first = wire.request();
    let challenge = "Proxy-Authenticate: Digest realm=\"p\", nonce=\"1\", qop=\"auth\"\n";
    wire.receive(&answer(
        &first,
        "407 Proxy Authentication Required",
        challenge,
    ));
    let again = wire.request();
    assert_eq!(text(&again, HeaderName::CSeq), "2 MESSAGE");
    assert!(again.headers.contains(HeaderName::ProxyAuthorization));
    assert_eq!(again.body, first.body);
}
