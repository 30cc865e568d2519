//! Registrations beside other things: their connections, the end of the endpoint, and what the
//! account's other usages learn.

use super::{
    registration::{CHALLENGE, OURS, answer, star, text},
    *,
};
use crate::{AccountId, HeaderName, usage::registration::Registration};
use base::LinkError;

#[test]
fn a_connection_is_kept_and_made_anew() {
    let mut bare = bare::Bare::new(Config::default());
    let registration = Registration::new(address("sip:bob@biloxi.com")).unwrap();
    bare.endpoint.register(bare.now, registration).unwrap();
    bare.resolve(&[(Transport::Tcp, "192.0.2.9:5060")]);
    let (flow, target) = bare.connects.remove(0);
    let up = |bare: &mut bare::Bare, flow| {
        bare.feed(Input::FlowUp {
            flow,
            local: "192.0.2.1:41234".parse().unwrap(),
            peer: Some("192.0.2.9:5060".parse().unwrap()),
        });
        let (_, register) = bare.request();
        assert_eq!(
            text(&register, HeaderName::Contact),
            "<sip:bob@192.0.2.1:5060;transport=tcp>"
        );
        register
    };
    let register = up(&mut bare, flow);
    let ok = "Contact: <sip:bob@192.0.2.1:5060;transport=tcp>;expires=3600\n";
    let reply = |register: &Request| {
        let lines = answer(register, "200 OK", ok);
        let lines: Vec<&str> = lines.lines().map(str::trim_start).collect();
        Bytes::from(lines.join("\r\n") + "\r\n\r\n")
    };
    let message = reply(&register);
    let from = target.address;
    bare.feed(Input::Message {
        flow,
        from,
        message,
    });
    // Idle for longer than connections are kept that nobody needs.
    bare.wait(Duration::from_secs(600));
    assert!(bare.released.is_empty() && bare.sent.is_empty());
    // All clients of a registrar lose their connections at once: none of them comes back at once.
    bare.feed(Input::FlowDown {
        flow,
        error: Some(LinkError::Reset),
    });
    bare.wait(Duration::from_secs(14));
    assert!(bare.lookups.is_empty());
    bare.wait(Duration::from_secs(17));
    bare.resolve(&[(Transport::Tcp, "192.0.2.9:5060")]);
    let (flow, _) = bare.connects.remove(0);
    let again = up(&mut bare, flow);
    assert_eq!(text(&again, HeaderName::CSeq), "2 REGISTER");
}

#[test]
fn shutting_down_unregisters() {
    let mut wire = Wire::new();
    let (_, first) = wire.register(|_| {});
    wire.answer(&first, "200 OK", OURS);
    let now = wire.now;
    wire.endpoint.shutdown(now);
    let removal = wire.request();
    assert_eq!(text(&removal, HeaderName::Expires), "0");
    wire.answer(&removal, "200 OK", "");
    wire.wait(Duration::from_secs(40));
    assert_eq!(wire.endpoint.stats(), Stats::default());
    let registration = Registration::new(address("sip:bob@biloxi.com")).unwrap();
    let refused = wire.endpoint.register(wire.now, registration);
    assert_eq!(refused, Err(RequestError::ShuttingDown));
}

/// wire-rules.md, "Digest leak": what `*` stands for is learnt by the registrar, and then known to calls
/// and messages of the account; nobody else's challenges are answered.
#[test]
fn crd_03_what_the_registrar_teaches_the_account_knows() {
    use base::Key as _;
    let account = AccountId::from_parts(1, 7);
    let mut wire = Wire::new();
    let (_, first) = wire.register(|registration| {
        registration.credentials = star();
        registration.account = Some(account);
    });
    wire.answer(&first, "401 Unauthorized", CHALLENGE);
    let again = wire.request();
    wire.answer(&again, "200 OK", OURS);
    let challenged = |wire: &mut Wire, account, realm: &str| {
        let invite = wire.dial_with(|invite| {
            invite.credentials = star();
            invite.account = account;
            invite.route = vec![address("sip:192.0.2.9:5062;lr")];
        });
        // A user agent behind the proxy could say the same.
        wire.answer(
            &invite,
            "401 Unauthorized",
            &CHALLENGE.replace("biloxi.com", realm),
        );
        wire.sent.remove(0);
        let is_answered = !wire.sent.is_empty();
        wire.sent.clear();
        is_answered
    };
    assert!(challenged(&mut wire, Some(account), "biloxi.com"));
    assert!(!challenged(&mut wire, Some(account), "evil.example"));
    assert!(
        !challenged(&mut wire, None, "biloxi.com"),
        "another account"
    );
    wire.endpoint.forget_account(account);
    assert!(!challenged(&mut wire, Some(account), "biloxi.com"));
}
