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

const GRUU: &str = "sip:bob@biloxi.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";

/// An account that is registered: `further` stands in the 200 and in its Contact.
fn registered(
    wire: &mut Wire,
    of_contact: &str,
    further: &str,
) -> (AccountId, crate::RegistrationId) {
    use base::Key as _;
    let account = AccountId::from_parts(1, 7);
    let (id, first) = wire.register(|registration| {
        registration.account = Some(account);
        registration.instance = Some("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6".to_owned());
    });
    let ours = OURS.replace(";expires", &format!("{of_contact};expires"));
    wire.answer(&first, "200 OK", &format!("{ours}{further}"));
    wire.lines();
    (account, id)
}

/// The Contact of an INVITE of ours.
fn contact_of_invite(wire: &mut Wire, change: impl FnOnce(&mut Invite)) -> String {
    text(&wire.dial_with(change), HeaderName::Contact)
}

/// RFC 5627, 4.4: what makes or refreshes dialogs says our GRUU as long as the registration that gave it stands.
#[test]
fn rfc_5627_our_contact_is_the_gruu_of_the_account() {
    use base::Key as _;
    let mut wire = Wire::new();
    let (account, id) = registered(&mut wire, &format!(";pub-gruu=\"{GRUU}\""), "");
    let ours = format!("<{GRUU}>");
    let plain = "<sip:alice@192.0.2.1:5060>";
    let invite = wire.dial_with(|invite| invite.account = Some(account));
    assert_eq!(text(&invite, HeaderName::Contact), ours);
    for token in ["gruu", "outbound"] {
        assert!(invite.headers.has_token(HeaderName::Supported, token));
    }
    let mut plan = usage::subscription::Subscribe::new(
        address("sip:bob@biloxi.com"),
        address("sip:alice@atlanta.com"),
        "presence",
    );
    plan.account = Some(account);
    let now = wire.now;
    wire.endpoint.subscribe(now, plan).unwrap();
    let subscribe = wire.request();
    assert_eq!(text(&subscribe, HeaderName::Contact), ours);
    assert!(subscribe.headers.has_token(HeaderName::Supported, "gruu"));
    // What answers a call of the account says it, too.
    wire.receive(&uas::invite("1", ""));
    let call = wire.endpoint.invitations().last().unwrap();
    wire.sent.clear();
    let mut incoming = wire.endpoint.invitation(call).unwrap();
    incoming.set_account(account, Vec::new());
    incoming
        .accept(now, sdp("answer"), crate::Headers::new())
        .unwrap();
    let ok = wire.response();
    assert_eq!(uas::value(&ok, HeaderName::Contact), ours);
    let info = wire.endpoint.info(call).unwrap();
    assert_eq!(info.local_contact.unwrap().as_str(), GRUU);
    assert!(ok.headers.has_token(HeaderName::Supported, "gruu"));
    // Others do not say it: another account, and who will not be known.
    let other = AccountId::from_parts(1, 8);
    let said = wire.dial_with(|invite| invite.account = Some(other));
    assert_eq!(text(&said, HeaderName::Contact), plain);
    assert!(!said.headers.has_token(HeaderName::Supported, "gruu"));
    let said = contact_of_invite(&mut wire, |invite| {
        invite.account = Some(account);
        invite.from = address("sip:anonymous@anonymous.invalid");
        invite.contact_user = Some("x".to_owned());
    });
    assert_eq!(said, "<sip:x@192.0.2.1:5060>");
    // RFC 3261, 8.1.1.8: where SIPS is wanted, this one will not do.
    let said = contact_of_invite(&mut wire, |invite| {
        invite.account = Some(account);
        invite.request_uri = "sips:bob@192.0.2.9".parse().unwrap();
    });
    assert!(said.starts_with("<sips:alice@192.0.2.1"), "{said}");
    // A refresh says nothing new, and nothing is forgotten while it runs.
    let now = wire.now;
    wire.registrar(id).register(now);
    let refresh = wire.request();
    assert!(text(&refresh, HeaderName::Contact).starts_with("<sip:bob@192.0.2.1:5060>"));
    let said = contact_of_invite(&mut wire, |invite| invite.account = Some(account));
    assert_eq!(said, ours);
    wire.answer(
        &refresh,
        "200 OK",
        &OURS.replace(";expires", &format!(";pub-gruu=\"{GRUU}\";expires")),
    );
    // "It MUST NOT reuse a GRUU learned through a previous registration that has lapsed."
    wire.registrar(id).unregister(now);
    let removal = wire.request();
    let said = contact_of_invite(&mut wire, |invite| invite.account = Some(account));
    assert_eq!(said, plain);
    wire.answer(&removal, "200 OK", "");
    let said = contact_of_invite(&mut wire, |invite| invite.account = Some(account));
    assert_eq!(said, plain);
}

/// The same where the registration fails.
#[test]
fn rfc_5627_a_gruu_is_forgotten_with_its_registration() {
    let mut wire = Wire::new();
    let (account, id) = registered(&mut wire, &format!(";pub-gruu=\"{GRUU}\""), "");
    let now = wire.now;
    wire.registrar(id).register(now);
    let refresh = wire.request();
    wire.answer(&refresh, "403 Forbidden", "");
    let said = contact_of_invite(&mut wire, |invite| invite.account = Some(account));
    assert_eq!(said, "<sip:alice@192.0.2.1:5060>");
}

/// RFC 5626, 4.3: without a GRUU, what makes a dialog asks for its flow; a registrar that does not keep to
/// that RFC is not bothered.
#[test]
fn rfc_5626_without_a_gruu_the_contact_asks_for_the_flow() {
    let outbound = "Require: outbound\n";
    for (further, expected) in [
        (outbound, "<sip:alice@192.0.2.1:5060;ob>"),
        ("", "<sip:alice@192.0.2.1:5060>"),
    ] {
        let mut wire = Wire::new();
        let (account, _) = registered(&mut wire, "", further);
        let said = contact_of_invite(&mut wire, |invite| invite.account = Some(account));
        assert_eq!(said, expected);
    }
    // Both: the GRUU leads to the flow by itself.
    let mut wire = Wire::new();
    let (account, _) = registered(&mut wire, &format!(";pub-gruu=\"{GRUU}\""), outbound);
    let said = contact_of_invite(&mut wire, |invite| invite.account = Some(account));
    assert_eq!(said, format!("<{GRUU}>"));
}
