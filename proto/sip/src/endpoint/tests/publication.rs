//! Publishing, with a server written by hand from RFC 3903, 16.

use super::{registration::text, *};
use crate::{
    HeaderName, Method, PublicationId,
    usage::publication::{Publication, PublicationEvent, State},
};

impl Wire {
    fn publish(&mut self) -> (PublicationId, Request) {
        let publication = Publication::new(address("sip:presentity@example.com"), "presence");
        let id = self
            .endpoint
            .add_publication(self.now, publication)
            .unwrap();
        self.drain();
        assert!(self.sent.is_empty(), "there is no content");
        let now = self.now;
        self.publication(id).publish(now, pidf("open"));
        (id, self.request())
    }

    fn publication(&mut self, id: PublicationId) -> PublicationMut<'_> {
        self.endpoint.publication(id).expect("a publication")
    }

    fn happened(&mut self) -> Vec<PublicationEvent> {
        self.drain();
        let events = std::mem::take(&mut self.events).into_iter();
        events
            .filter_map(|event| match event {
                Event::Publication(_, PublicationEvent::StateChanged { .. }) => None,
                Event::Publication(_, event) => Some(event),
                _ => None,
            })
            .collect()
    }
}

fn pidf(status: &str) -> Description {
    Description {
        content_type: "application/pidf+xml".to_owned(),
        body: Bytes::copy_from_slice(status.as_bytes()),
    }
}

/// RFC 3903, table 1: each operation, and what the server's tag becomes.
#[test]
fn pub_01_03_04_06_initial_refresh_modify_remove() {
    let mut wire = Wire::new();
    let (id, initial) = wire.publish();
    assert_eq!(initial.method, Method::Publish);
    assert_eq!(initial.uri.as_str(), "sip:presentity@example.com");
    assert_eq!(text(&initial, HeaderName::Event), "presence");
    assert_eq!(text(&initial, HeaderName::Expires), "300");
    assert_eq!(
        text(&initial, HeaderName::ContentType),
        "application/pidf+xml"
    );
    assert_eq!(&initial.body[..], b"open");
    assert!(!initial.headers.contains(HeaderName::SipIfMatch));
    assert!(!initial.headers.contains(HeaderName::Contact));
    wire.answer(&initial, "200 OK", "SIP-ETag: dx200xyz\nExpires: 120\n");
    assert_eq!(
        wire.happened(),
        [PublicationEvent::Succeeded {
            expires: Duration::from_secs(120)
        }]
    );
    let refresh = wire.wait_for_request(Duration::from_secs(60));
    assert_eq!(text(&refresh, HeaderName::SipIfMatch), "dx200xyz");
    assert!(refresh.body.is_empty() && !refresh.headers.contains(HeaderName::ContentType));
    assert_eq!(text(&refresh, HeaderName::CSeq), "2 PUBLISH");
    wire.answer(&refresh, "200 OK", "SIP-ETag: kwj449x\nExpires: 1800\n");
    let now = wire.now;
    wire.publication(id).publish(now, pidf("closed"));
    let modify = wire.request();
    assert_eq!(text(&modify, HeaderName::SipIfMatch), "kwj449x");
    assert_eq!(&modify.body[..], b"closed");
    // Removal waits for the answer.
    wire.publication(id).unpublish(now);
    assert!(wire.sent.is_empty());
    wire.answer(&modify, "200 OK", "SIP-ETag: qwi982ks\nExpires: 3600\n");
    let removal = wire.request();
    assert_eq!(text(&removal, HeaderName::SipIfMatch), "qwi982ks");
    assert_eq!(text(&removal, HeaderName::Expires), "0");
    assert!(removal.body.is_empty());
    wire.answer(&removal, "200 OK", "SIP-ETag: zzz\nExpires: 0\n");
    assert_eq!(wire.publication(id).state(), State::Unpublished);
    assert_eq!(wire.happened().last(), Some(&PublicationEvent::Ended));
    // BUG-02: the tag is forgotten.
    wire.publication(id).publish(now, pidf("open"));
    let anew = wire.request();
    assert!(!anew.headers.contains(HeaderName::SipIfMatch));
    assert_eq!(&anew.body[..], b"open");
    wire.answer(&anew, "200 OK", "SIP-ETag: 1\nExpires: 60\n");
    wire.publication(id).remove(now);
    let removal = wire.request();
    wire.answer(&removal, "412 Conditional Request Failed", "");
    assert_eq!(wire.happened().last(), Some(&PublicationEvent::Ended));
    wire.wait(Duration::from_secs(40));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

/// PUB-02: the state of every step, and how long is asked for, which counts from the next request on.
#[test]
fn pub_02_the_state_is_known_and_expires_can_be_changed() {
    let mut wire = Wire::new();
    let (id, initial) = wire.publish();
    assert_eq!(wire.publication(id).state(), State::Publishing);
    assert_eq!(wire.publication(id).expires(), Duration::from_secs(300));
    let (now, new) = (wire.now, Duration::from_secs(600));
    wire.publication(id).set_expires(now, new);
    assert_eq!(wire.publication(id).expires(), new);
    assert_eq!(text(&initial, HeaderName::Expires), "300");
    wire.answer(&initial, "200 OK", "SIP-ETag: a\nExpires: 60\n");
    assert_eq!(wire.publication(id).state(), State::Published);
    let refresh = wire.wait_for_request(Duration::from_secs(30));
    assert_eq!(text(&refresh, HeaderName::Expires), "600");
    wire.answer(&refresh, "200 OK", "SIP-ETag: b\nExpires: 600\n");
    let now = wire.now;
    wire.publication(id).unpublish(now);
    assert_eq!(wire.publication(id).state(), State::Unpublishing);
    let removal = wire.request();
    wire.answer(&removal, "200 OK", "Expires: 0\n");
    assert_eq!(wire.publication(id).state(), State::Unpublished);
}

/// RFC 3903, 5.
#[test]
fn pub_06_412_publishes_anew_with_the_body() {
    let mut wire = Wire::new();
    let (_, initial) = wire.publish();
    wire.answer(&initial, "200 OK", "SIP-ETag: a\nExpires: 60\n");
    let refresh = wire.wait_for_request(Duration::from_secs(30));
    wire.answer(&refresh, "412 Conditional Request Failed", "");
    let anew = wire.request();
    assert!(!anew.headers.contains(HeaderName::SipIfMatch));
    assert_eq!(&anew.body[..], b"open");
    assert_eq!(text(&anew, HeaderName::Expires), "300");
    // And not for ever.
    wire.answer(&anew, "412 Conditional Request Failed", "");
    assert!(wire.sent.is_empty());
    assert!(matches!(
        wire.happened().last(),
        Some(PublicationEvent::Failed(_))
    ));
}

#[test]
fn pub_05_423_is_followed_with_the_content() {
    let mut wire = Wire::new();
    let (id, initial) = wire.publish();
    wire.answer(&initial, "423 Interval Too Brief", "Min-Expires: 900\n");
    let again = wire.request();
    assert_eq!(text(&again, HeaderName::Expires), "900");
    assert_eq!(&again.body[..], b"open");
    wire.answer(&again, "489 Bad Event", "Allow-Events: presence.winfo\n");
    assert_eq!(wire.publication(id).state(), State::Unpublished);
}

/// PUB-09: failure falls back to unpublished; what the server may still hold is refreshed once more.
#[test]
fn pub_09_failures() {
    let mut wire = Wire::new();
    let (id, initial) = wire.publish();
    wire.answer(&initial, "200 OK", "SIP-ETag: a\nExpires: 300\n");
    let refresh = wire.wait_for_request(Duration::from_secs(231));
    wire.happened();
    wire.answer(&refresh, "500 Server Internal Error", "");
    assert!(matches!(
        wire.happened()[..],
        [PublicationEvent::Delayed(_)]
    ));
    let second = wire.wait_for_request(Duration::from_secs(4));
    assert_eq!(text(&second, HeaderName::SipIfMatch), "a");
    wire.answer(&second, "500 Server Internal Error", "");
    assert!(matches!(wire.happened()[..], [PublicationEvent::Failed(_)]));
    assert_eq!(wire.publication(id).state(), State::Unpublished);
}
