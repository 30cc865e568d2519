//! Registering, with a registrar written by hand from RFC 3261, 24.1 and its extensions.

use super::*;
use crate::{
    HeaderName, Method, RegistrationId,
    auth::{Credentials, Refusal},
    usage::{
        Failed,
        registration::{Registered, Registration, RegistrationEvent, State},
    },
};
use base::digest::Secret;

impl Wire {
    pub(super) fn register(
        &mut self,
        change: impl FnOnce(&mut Registration),
    ) -> (RegistrationId, Request) {
        let mut registration = Registration::new(address("sip:bob@biloxi.com")).unwrap();
        change(&mut registration);
        let id = self.endpoint.register(self.now, registration).unwrap();
        (id, self.request())
    }

    pub(super) fn registrar(&mut self, id: RegistrationId) -> RegistrationMut<'_> {
        self.endpoint.registration(id).expect("a registration")
    }

    pub(super) fn answer(&mut self, request: &Request, status: &str, further: &str) {
        self.receive(&answer(request, status, further));
    }

    fn registration_events(&mut self) -> Vec<RegistrationEvent> {
        self.drain();
        let events = std::mem::take(&mut self.events).into_iter();
        events
            .filter_map(|event| match event {
                Event::Registration(_, event) => Some(event),
                _ => None,
            })
            .collect()
    }

    fn registered(&mut self) -> Registered {
        let events = self.registration_events();
        let registered = events.iter().find_map(|event| match event {
            RegistrationEvent::Succeeded(registered) => Some((**registered).clone()),
            _ => None,
        });
        registered.unwrap_or_else(|| panic!("{events:#?}"))
    }

    /// The states that were told.
    fn states(&mut self) -> Vec<State> {
        let events = self.registration_events().into_iter();
        events
            .filter_map(|event| match event {
                RegistrationEvent::StateChanged { state, .. } => Some(state),
                _ => None,
            })
            .collect()
    }
}

/// A response to a request of ours.
pub(super) fn answer(request: &Request, status: &str, further: &str) -> String {
    format!(
        "SIP/2.0 {status}
        Via: {}
        From: {}
        To: {};tag=2493k59kd
        Call-ID: {}
        CSeq: {}
        {further}Content-Length: 0",
        text(request, HeaderName::Via),
        text(request, HeaderName::From),
        text(request, HeaderName::To),
        text(request, HeaderName::CallId),
        text(request, HeaderName::CSeq),
    )
}

pub(super) fn text(request: &Request, name: HeaderName) -> String {
    let value = request.headers.get(name);
    let value = value.unwrap_or_else(|| panic!("{name} in {request:?}"));
    String::from_utf8(value.to_vec()).unwrap()
}

pub(super) fn star() -> Vec<Credentials> {
    vec![Credentials::new(
        "*",
        "bob",
        Secret::Password("zanzibar".to_owned()),
    )]
}

pub(super) const OURS: &str = "Contact: <sip:bob@192.0.2.1:5060>;expires=300\n";
pub(super) const CHALLENGE: &str =
    "WWW-Authenticate: Digest realm=\"biloxi.com\", qop=\"auth\", nonce=\"ea9c8e88\"\n";

/// RFC 3261, 24.1.
#[test]
fn rgn_01_03_06_10_a_register_and_what_comes_of_it() {
    let mut wire = Wire::new();
    let (id, register) = wire.register(|_| {});
    assert_eq!(register.method, Method::Register);
    assert_eq!(register.uri.as_str(), "sip:biloxi.com");
    assert_eq!(text(&register, HeaderName::To), "<sip:bob@biloxi.com>");
    assert!(text(&register, HeaderName::From).starts_with("<sip:bob@biloxi.com>;tag="));
    assert_eq!(
        text(&register, HeaderName::Contact),
        "<sip:bob@192.0.2.1:5060>"
    );
    assert_eq!(text(&register, HeaderName::Expires), "300");
    assert_eq!(text(&register, HeaderName::CSeq), "1 REGISTER");
    assert_eq!(wire.registrar(id).state(), State::Registering);
    wire.answer(
        &register,
        "200 OK",
        "Contact: <sip:bob@198.51.100.7>;q=0.5;expires=17, <sip:bob@192.0.2.1:5060>;expires=120
        Path: <sip:p1.example.net;lr>, <sip:p2.example.net;lr>
        Service-Route: <sip:orig@scscf.example.net;lr>
        P-Associated-URI: <sip:bob@biloxi.com>, <tel:+15551234>\n",
    );
    let registered = wire.registered();
    assert_eq!(registered.contact.as_str(), "sip:bob@192.0.2.1:5060");
    assert_eq!(registered.expires, Duration::from_secs(120));
    assert_eq!(registered.bindings.len(), 2);
    assert_eq!(registered.bindings[0].q, Some(500));
    assert_eq!(registered.path.len(), 2);
    assert_eq!(
        registered.service_route[0].as_str(),
        "sip:orig@scscf.example.net;lr"
    );
    assert_eq!(registered.associated[1].as_str(), "tel:+15551234");
    assert_eq!(registered.registrar, Some(wire.peer));
    assert_eq!(wire.registrar(id).state(), State::Registered);
    assert_eq!(
        wire.registrar(id).expires_received(),
        Some(Duration::from_secs(120))
    );
}

#[test]
fn rgn_02_07_08_it_is_refreshed_in_time_with_the_same_call_id() {
    let mut wire = Wire::new();
    let (id, first) = wire.register(|_| {});
    wire.answer(&first, "200 OK", OURS);
    wire.registered();
    let (now, new) = (wire.now, Duration::from_secs(600));
    wire.registrar(id).set_expires(now, new);
    // 300 − 2·32 − 5, up to 5 % earlier.
    wire.wait(ms(219_000));
    assert!(wire.sent.is_empty());
    wire.wait(ms(12_001));
    let refresh = wire.sent.remove(0).1;
    let Ok(Message::Request(refresh)) = Message::parse(refresh.into_bytes().into()) else {
        panic!("no request");
    };
    assert_eq!(
        text(&refresh, HeaderName::CallId),
        text(&first, HeaderName::CallId)
    );
    assert_eq!(
        text(&refresh, HeaderName::From),
        text(&first, HeaderName::From)
    );
    assert_eq!(text(&refresh, HeaderName::CSeq), "2 REGISTER");
    assert_eq!(text(&refresh, HeaderName::Expires), "600");
    wire.sent.clear();
    // Without a parameter of its own the binding has the life of the response; foreign ones are left.
    wire.answer(
        &refresh,
        "200 OK",
        "Contact: <sip:bob@192.0.2.1:5060>\nContact: <sip:bob@192.0.2.99>;expires=9\nExpires: 60\n",
    );
    assert_eq!(wire.registered().expires, Duration::from_secs(60));
    wire.wait(ms(30_001));
    assert!(wire.sent[0].1.contains("CSeq: 3 REGISTER"));
    assert!(!wire.sent[0].1.contains("192.0.2.99"));
}

#[test]
fn rgn_04_05_commands_wait_for_the_answer() {
    let mut wire = Wire::new();
    let (id, first) = wire.register(|_| {});
    let now = wire.now;
    wire.registrar(id).unregister(now);
    assert!(wire.sent.is_empty(), "an answer is awaited");
    wire.answer(&first, "200 OK", OURS);
    let removal = wire.request();
    assert_eq!(text(&removal, HeaderName::Expires), "0");
    assert_eq!(
        text(&removal, HeaderName::Contact),
        "<sip:bob@192.0.2.1:5060>"
    );
    wire.registrar(id).register(now);
    wire.answer(&removal, "200 OK", "");
    let again = wire.request();
    assert_eq!(text(&again, HeaderName::CSeq), "3 REGISTER");
    assert_eq!(
        wire.states(),
        [
            State::Registering,
            State::Registered,
            State::Unregistering,
            State::Unregistered,
            State::Registering,
        ]
    );
    wire.answer(&again, "403 Forbidden", "");
    assert_eq!(wire.registrar(id).state(), State::Unregistered);
    // Nothing is registered, so there is nothing to remove.
    wire.registrar(id).unregister(now);
    assert!(wire.sent.is_empty());
    wire.registrar(id).remove(now);
    wire.wait(Duration::from_secs(40));
    assert!(wire.endpoint.registration(id).is_none());
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn rgn_04_all_bindings_are_removed_on_demand_only() {
    let mut wire = Wire::new();
    let (id, first) = wire.register(|_| {});
    wire.answer(&first, "200 OK", OURS);
    let now = wire.now;
    wire.registrar(id).unregister_all(now);
    let removal = wire.request();
    assert_eq!(text(&removal, HeaderName::Contact), "*");
    assert_eq!(text(&removal, HeaderName::Expires), "0");
}

#[test]
fn rgn_08_a_challenge_is_answered_once_and_the_nonce_kept() {
    let mut wire = Wire::new();
    let (id, first) = wire.register(|registration| registration.credentials = star());
    wire.answer(&first, "401 Unauthorized", CHALLENGE);
    let again = wire.request();
    assert_eq!(text(&again, HeaderName::CSeq), "2 REGISTER");
    assert_eq!(again.headers.to().unwrap().tag(), None);
    assert_eq!(
        text(&again, HeaderName::From),
        text(&first, HeaderName::From)
    );
    assert!(text(&again, HeaderName::Authorization).contains("nc=00000001"));
    wire.answer(&again, "200 OK", OURS);
    let now = wire.now;
    wire.registrar(id).register(now);
    let refresh = wire.request();
    assert!(text(&refresh, HeaderName::Authorization).contains("nc=00000002"));
    // A wrong password: the same challenge again.
    wire.answer(
        &refresh,
        "401 Unauthorized",
        &CHALLENGE.replace("ea9c", "0000"),
    );
    let third = wire.request();
    wire.events.clear();
    wire.answer(
        &third,
        "401 Unauthorized",
        &CHALLENGE.replace("ea9c", "1111"),
    );
    let events = wire.registration_events();
    assert!(wire.sent.is_empty());
    let Some(RegistrationEvent::Failed(failed)) = events.last() else {
        panic!("{events:?}");
    };
    assert!(failed.is_unauthorized());
    let Failed::Refused { refusal, .. } = failed else {
        panic!("{failed:?}");
    };
    assert_eq!(*refusal, Some(Refusal::Rejected));
    let answers = events
        .iter()
        .filter(|event| matches!(event, RegistrationEvent::Answered { .. }));
    assert_eq!(answers.count(), 1, "told once");
}

#[test]
fn rgn_08_423_is_followed_once() {
    let mut wire = Wire::new();
    let (_, first) = wire.register(|registration| registration.expires = Duration::from_secs(60));
    wire.answer(&first, "423 Interval Too Brief", "Min-Expires: 3600\n");
    let again = wire.request();
    assert_eq!(text(&again, HeaderName::Expires), "3600");
    let events = wire.registration_events();
    assert!(events.iter().any(|event| matches!(
        event,
        RegistrationEvent::Answered { min_expires: Some(least), .. } if least.as_secs() == 3_600
    )));
    // What does not ask for more is the end.
    wire.answer(&again, "423 Interval Too Brief", "Min-Expires: 3600\n");
    assert!(wire.sent.is_empty());
    assert_eq!(wire.states(), [State::Unregistered]);
}

#[test]
fn a_success_without_our_binding_is_none() {
    for contacts in [
        "",
        "Contact: <sip:bob@192.0.2.1:5060>;expires=0\n",
        "Contact: <sip:bob@192.0.2.7>\nContact: <sip:bob@192.0.2.8>\n",
    ] {
        let mut wire = Wire::new();
        let (id, first) = wire.register(|_| {});
        wire.answer(&first, "200 OK", contacts);
        let events = wire.registration_events();
        assert!(matches!(
            events.last(),
            Some(RegistrationEvent::Failed(Failed::NotBound))
        ));
        assert_eq!(wire.registrar(id).state(), State::Unregistered);
    }
}

/// RFC 5626, 4.1 and 4.2.1; RFC 5627, 4.2 and 11.
#[test]
fn instance_and_public_gruu() {
    let mut wire = Wire::new();
    let instance = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    let (_, first) = wire.register(|registration| registration.instance = Some(instance.into()));
    assert_eq!(
        text(&first, HeaderName::Contact),
        format!("<sip:bob@192.0.2.1:5060>;+sip.instance=\"<{instance}>\";reg-id=1")
    );
    for option in ["path", "outbound", "gruu"] {
        assert!(first.headers.has_token(HeaderName::Supported, option));
    }
    wire.answer(
        &first,
        "200 OK",
        &format!(
            "Contact: <sip:other@192.0.2.1:5060>;+sip.instance=\"<urn:uuid:2>\";expires=60,
             <sip:rewritten@203.0.113.4>;reg-id=1;expires=77
             ;pub-gruu=\"sip:bob@biloxi.com;gr={instance}\"
             ;temp-gruu=\"sip:tgruu.7hs==jd7vnzga5w7fajsc7-ajd6fabz0f8g5@example.com;gr\"
             ;+sip.instance=\"<{instance}>\"
            Require: outbound\n"
        )
        .replace("\n             ", " "),
    );
    let registered = wire.registered();
    assert_eq!(registered.expires, Duration::from_secs(77));
    assert_eq!(
        registered.public_gruu.unwrap().as_str(),
        format!("sip:bob@biloxi.com;gr={instance}")
    );
    assert!(
        registered
            .temporary_gruu
            .unwrap()
            .as_str()
            .starts_with("sip:tgruu.7hs==")
    );
    assert!(registered.is_outbound);
}

/// RFC 5626, 6: the edge proxy does not know outbound.
#[test]
fn a_439_is_followed_without_reg_id() {
    let mut wire = Wire::new();
    let (_, first) = wire.register(|registration| registration.instance = Some("urn:x:1".into()));
    wire.answer(&first, "439 First Hop Lacks Outbound Support", "");
    let again = wire.request();
    assert!(!text(&again, HeaderName::Contact).contains("reg-id"));
    assert!(!again.headers.has_token(HeaderName::Supported, "outbound"));
    wire.answer(&again, "439 First Hop Lacks Outbound Support", "");
    assert!(wire.sent.is_empty());
}

#[test]
fn a_420_is_followed_without_what_is_not_known() {
    let mut wire = Wire::new();
    let (_, first) = wire.register(|registration| {
        registration.headers.push(HeaderName::Require, "foo, bar");
    });
    wire.answer(&first, "420 Bad Extension", "Unsupported: FOO\n");
    let again = wire.request();
    assert_eq!(text(&again, HeaderName::Require), "bar");
    wire.answer(
        &again,
        "420 Bad Extension",
        "Unsupported: nothing of ours\n",
    );
    assert!(wire.sent.is_empty());
    // It is about no authentication, and credentials are no answer to it.
    assert!(
        !wire
            .events
            .iter()
            .any(|event| matches!(event, Event::NotAuthenticated { .. })),
        "{:#?}",
        wire.events
    );
}

/// RFC 3261, 22.2 and 22.3: only 401 and 407 are answered with credentials, whatever else carries a challenge.
#[test]
fn a_420_or_422_with_a_challenge_shows_no_credentials() {
    for status in ["420 Bad Extension", "422 Session Interval Too Small"] {
        let mut wire = Wire::new();
        let (_, first) = wire.register(|registration| {
            registration.credentials = star();
        });
        wire.answer(&first, status, CHALLENGE);
        assert!(wire.sent.is_empty(), "{status}: {:#?}", wire.sent);
    }
}

#[test]
fn a_translated_address_is_registered_once() {
    let mut wire = Wire::new();
    let (id, first) = wire.register(|_| {});
    let seen = |request: &Request, port: u16, contacts: &str| {
        answer(request, "200 OK", contacts)
            .replace(";rport", &format!(";received=203.0.113.77;rport={port}"))
    };
    wire.receive(&seen(&first, 41_000, OURS));
    let second = wire.request();
    let contacts: Vec<_> = second
        .headers
        .get_all(HeaderName::Contact)
        .map(String::from_utf8_lossy)
        .collect();
    assert_eq!(
        contacts,
        [
            "<sip:bob@192.0.2.1:5060>;expires=0",
            "<sip:bob@203.0.113.77:41000>"
        ]
    );
    let rewritten = "Contact: <sip:bob@203.0.113.77:41000>;expires=300\n";
    wire.receive(&seen(&second, 41_000, rewritten));
    assert!(wire.sent.is_empty());
    let contact = wire.registrar(id).contact();
    assert_eq!(contact.unwrap().as_str(), "sip:bob@203.0.113.77:41000");
    // The translator changes its mind: nothing flaps.
    let now = wire.now;
    wire.registrar(id).register(now);
    let third = wire.request();
    assert_eq!(
        text(&third, HeaderName::Contact),
        "<sip:bob@203.0.113.77:41000>"
    );
    wire.receive(&seen(&third, 42_000, rewritten));
    assert!(wire.sent.is_empty());
    assert_eq!(wire.registrar(id).state(), State::Registered);
}

#[test]
fn a_given_contact_is_left_as_it_is() {
    let mut wire = Wire::new();
    let (_, first) = wire.register(|registration| {
        registration.contact = Some("sip:b@10.1.1.1;ob".parse().unwrap());
    });
    assert_eq!(text(&first, HeaderName::Contact), "<sip:b@10.1.1.1;ob>");
    wire.receive(
        &answer(&first, "200 OK", "Contact: <sip:b@10.1.1.1;ob>\n")
            .replace(";rport", ";received=203.0.113.77;rport=9"),
    );
    assert!(wire.sent.is_empty());
}

#[test]
fn a_refresh_that_fails_has_a_second_try_and_then_the_application_is_told() {
    let mut wire = Wire::new();
    let (id, first) = wire.register(|_| {});
    wire.answer(&first, "200 OK", OURS);
    wire.registered();
    // Silence: 32 s, a pause, 32 s, all of it before the binding expires.
    let second = wire.wait_for_request(Duration::from_secs(231));
    assert_eq!(text(&second, HeaderName::CSeq), "2 REGISTER");
    wire.wait(Duration::from_secs(33));
    let events = wire.registration_events();
    assert!(
        events
            .iter()
            .any(|event| matches!(event, RegistrationEvent::Delayed(_))),
        "{events:?}"
    );
    let end = start() + Duration::from_secs(300);
    wire.wait(end.saturating_duration_since(wire.now));
    assert!(wire.sent.iter().any(|sent| sent.1.contains("CSeq: 3 ")));
    let events = wire.registration_events();
    assert!(
        matches!(events.last(), Some(RegistrationEvent::Failed(_))),
        "{events:?}"
    );
    assert_eq!(wire.registrar(id).state(), State::Unregistered);
    // A refusal is final at once.
    let mut wire = Wire::new();
    let (id, first) = wire.register(|_| {});
    wire.answer(&first, "200 OK", OURS);
    let now = wire.now;
    wire.registrar(id).register(now);
    let refresh = wire.request();
    wire.answer(&refresh, "404 Not Found", "");
    assert_eq!(wire.registrar(id).state(), State::Unregistered);
}

#[test]
fn refusals_are_reported_with_what_they_say() {
    for (status, header) in [
        (
            "302 Moved Temporarily",
            "Contact: <sip:other.example.com>\n",
        ),
        ("415 Unsupported Media Type", "Accept: text/plain\n"),
        (
            "503 Service Unavailable",
            "Retry-After: 18 (busy);duration=3600\n",
        ),
    ] {
        let mut wire = Wire::new();
        let (_, first) = wire.register(|_| {});
        wire.answer(&first, status, header);
        let events = wire.registration_events();
        let Some(RegistrationEvent::Failed(failed @ Failed::Refused { headers, .. })) =
            events.last()
        else {
            panic!("{events:?}");
        };
        let (name, value) = header.trim().split_once(": ").unwrap();
        assert_eq!(headers.get(name), Some(value.as_bytes()));
        assert_eq!(
            failed.retry_after(),
            name.eq("Retry-After").then_some(Duration::from_secs(18))
        );
        assert!(wire.sent.is_empty(), "3xx are not followed");
    }
}
