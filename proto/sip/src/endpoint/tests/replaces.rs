//! INVITE with Replaces, with the other side written by hand from RFC 3891.

use super::{
    uas::{inside, invite, tag, value},
    *,
};
use crate::{
    HeaderName, Headers, Method, Status,
    usage::invitation::{EndCause, Incoming, InviteError},
};

/// An INVITE of Carol with further header lines.
fn of_carol(further: &str) -> String {
    invite("carol", "Subject: x\n")
        .replace("a84b4c76e66710@pc33", "77@pc44")
        .replace("1928301774", "carol")
        .replace("Alice <sip:alice@", "Carol <sip:carol@")
        .replace("Subject: x\n", further)
}

/// The call of Alice, as Carol names it.
fn replaces(to_tag: &str, further: &str) -> String {
    format!(
        "Replaces: a84b4c76e66710@pc33.atlanta.com;from-tag=1928301774;to-tag={to_tag}{further}\n"
    )
}

impl Wire {
    /// What the application is told of an INVITE.
    fn incoming_call(&mut self) -> Incoming {
        let events = self.invitation_events().into_iter();
        let mut incoming = events.filter_map(|event| match event {
            InvitationEvent::Incoming(incoming) => Some(*incoming),
            _ => None,
        });
        incoming.next().expect("an INVITE")
    }

    /// The status that Carol's INVITE gets, nobody being asked.
    fn refused(&mut self, further: &str) -> u16 {
        let before = self.endpoint.stats();
        self.receive(&of_carol(further));
        assert_eq!(self.invitation_events(), []);
        let status = self.response().status.code();
        assert_eq!(self.endpoint.stats().invitations, before.invitations);
        status
    }

    /// Calls Alice, and returns the INVITE.
    fn call_alice(&mut self) -> (InvitationId, Request) {
        let mut invite = Invite::new(
            address("sip:bob@biloxi.com"),
            address("sip:alice@atlanta.com"),
        );
        invite.offer = Some(sdp("offer"));
        let id = self.endpoint.invite(self.now, invite).unwrap();
        (id, self.request())
    }

    /// Carol's INVITE is accepted; returns our tag.
    fn accept_carol(&mut self) -> String {
        let now = self.now;
        let carol = self.endpoint.invitations().last().expect("Carol's");
        let mut call = self.endpoint.invitation(carol).unwrap();
        call.accept(now, sdp("answer"), Headers::new()).unwrap();
        let ok = self.next_response();
        assert_eq!(ok.status, Status::OK);
        tag(&ok)
    }
}

/// RFC 3891, 3: accepted with 2xx, and the replaced dialog ended by BYE; refused, it stays.
#[test]
fn xfr_07_a_confirmed_call_gives_way_when_the_new_one_is_accepted() {
    let mut wire = Wire::new();
    let ours = wire.establish();
    let old = wire.endpoint.invitations().next().unwrap();
    wire.receive(&of_carol(&replaces(&ours, "")));
    assert_eq!(wire.incoming_call().replaces, Some(old));
    let now = wire.now;
    let carol = wire.endpoint.invitations().last().unwrap();
    let mut call = wire.endpoint.invitation(carol).unwrap();
    call.ring(now).unwrap();
    assert_eq!(wire.status(), 180);
    assert_eq!(
        wire.endpoint.invitation(old).unwrap().state(),
        State::Confirmed
    );
    wire.accept_carol();
    let bye = wire.next_request();
    assert_eq!(bye.method, Method::Bye);
    assert_eq!(bye.headers.to().unwrap().tag(), Some("1928301774"));
    wire.reply(&bye, "200 OK");
    let ended = wire
        .invitation_events()
        .into_iter()
        .find_map(|event| match event {
            InvitationEvent::Ended {
                originator, cause, ..
            } => Some((originator, cause)),
            _ => None,
        });
    let originator = usage::invitation::Originator::Local;
    assert_eq!(ended, Some((originator, EndCause::Replaced)));
}

/// RFC 3891, 3: "MUST leave the matched dialog unchanged".
#[test]
fn xfr_07_a_refused_replacement_leaves_the_call_alone() {
    let mut wire = Wire::new();
    let ours = wire.establish();
    let old = wire.endpoint.invitations().next().unwrap();
    wire.receive(&of_carol(&replaces(&ours, "")));
    let now = wire.now;
    let carol = wire.endpoint.invitations().last().unwrap();
    let mut call = wire.endpoint.invitation(carol).unwrap();
    call.reject(now, Status::BUSY_HERE, None, &Headers::new())
        .unwrap();
    assert_eq!(wire.status(), 486);
    wire.wait(ms(400));
    assert_eq!(
        wire.endpoint.invitation(old).unwrap().state(),
        State::Confirmed
    );
}

/// RFC 3891, 3: an early dialog of ours is ended by CANCEL, even one that a fork has made.
#[test]
fn xfr_07_an_early_call_of_ours_is_cancelled() {
    let mut wire = Wire::new();
    let (old, request) = wire.call_alice();
    wire.reply(
        &request,
        "180 Ringing\nContact: <sip:alice@pc33.atlanta.com>",
    );
    wire.events.clear();
    let (call_id, ours) = (
        request.headers.call_id().unwrap(),
        request.headers.from().unwrap().tag().unwrap().to_owned(),
    );
    // Early-only is what it is (RFC 3891, 7.1).
    let further = format!(
        "Replaces: {call_id};to-tag={ours};early-only;from-tag=theirs\nRequire: replaces\n"
    );
    wire.receive(&of_carol(&further));
    assert_eq!(wire.incoming_call().replaces, Some(old));
    wire.accept_carol();
    let cancel = wire.next_request();
    assert_eq!(cancel.method, Method::Cancel);
    wire.reply(&cancel, "200 OK");
    wire.reply(&request, "487 Request Terminated");
    let events = wire.invitation_events();
    let cause = events.iter().find_map(|event| match event {
        InvitationEvent::Ended { cause, code, .. } => Some((*cause, code.map(Status::code))),
        _ => None,
    });
    assert_eq!(cause, Some((EndCause::Replaced, Some(487))));
}

/// wire-rules "Replaces", row by row.
#[test]
fn xfr_07_what_cannot_be_replaced_is_refused() {
    let mut wire = Wire::new();
    let ours = wire.establish();
    let good = replaces(&ours, "");
    let bad_request = [
        format!("{good}{good}"),
        format!("{good}Join: 1@x;to-tag=2;from-tag=3\n"),
        "Replaces: a84b4c76e66710@pc33.atlanta.com\n".to_owned(),
        "Replaces: a84b4c76e66710@pc33.atlanta.com;to-tag=1;to-tag=2;from-tag=3\n".to_owned(),
    ];
    for further in bad_request {
        assert_eq!(wire.refused(&further), 400, "{further}");
    }
    assert_eq!(wire.refused(&replaces(&ours, ";early-only")), 486);
    let unknown = [
        replaces("0", ""),
        replaces("another", ""),
        replaces(&ours, "").replace("1928301774", "0"),
        // From the view of the peer.
        replaces("1928301774", "").replace("from-tag=1928301774", &format!("from-tag={ours}")),
        replaces(&ours, "").replace("a84b4c", "A84B4C"),
    ];
    for further in unknown {
        assert_eq!(wire.refused(&further), 481, "{further}");
    }
    // The call knows nothing of it.
    assert_eq!(wire.call().state(), State::Confirmed);
    // Tags are compared in any case (RFC 3261, 7.3.1).
    wire.receive(&of_carol(&replaces(&ours.to_uppercase(), "")));
    assert!(wire.incoming_call().replaces.is_some());
}

/// RFC 3891, 3: an early dialog that we did not begin.
#[test]
fn xfr_07_a_call_that_rings_here_cannot_be_replaced() {
    let mut wire = Wire::new();
    wire.receive(&invite("1", ""));
    let now = wire.now;
    wire.call().ring(now).unwrap();
    let ours = tag(&wire.response());
    wire.events.clear();
    for further in ["", ";early-only"] {
        assert_eq!(wire.refused(&replaces(&ours, further)), 481);
    }
    assert_eq!(wire.call().state(), State::Early);
}

/// RFC 3891, 3: 603 from the BYE on, for as long as a request may have been under way.
#[test]
fn xfr_07_replaces_of_an_ended_dialog_is_603() {
    let mut wire = Wire::new();
    let ours = wire.establish();
    wire.receive(&inside("BYE", 314_160, &ours, ""));
    assert_eq!(wire.status(), 200);
    wire.events.clear();
    assert_eq!(wire.refused(&replaces(&ours, "")), 603);
    wire.wait(ms(31_000));
    wire.sent.clear();
    assert_eq!(wire.refused(&replaces(&ours, "")), 603);
    wire.wait(ms(33_000));
    wire.sent.clear();
    assert_eq!(wire.refused(&replaces(&ours, "")), 481);
    assert_eq!(wire.endpoint.stats().dialogs, 0);
}

/// While our BYE waits for its answer, too.
#[test]
fn xfr_07_replaces_of_a_dialog_that_ends_is_603() {
    let mut wire = Wire::new();
    let ours = wire.establish();
    let now = wire.now;
    wire.call().end(now, &Headers::new()).unwrap();
    assert_eq!(wire.request().method, Method::Bye);
    wire.events.clear();
    assert_eq!(wire.refused(&replaces(&ours, "")), 603);
}

/// RFC 3891, 6.1: from-tag zero is the null tag of a peer of RFC 2543.
#[test]
fn xfr_07_from_tag_zero_is_no_tag() {
    let mut wire = Wire::new();
    let old = invite("1", "").replace(";tag=1928301774", "");
    wire.receive(&old);
    let now = wire.now;
    wire.call()
        .accept(now, sdp("answer"), Headers::new())
        .unwrap();
    let ours = tag(&wire.response());
    wire.events.clear();
    let further = replaces(&ours, "").replace("1928301774", "0");
    wire.receive(&of_carol(&further));
    assert!(wire.incoming_call().replaces.is_some());
}

/// RFC 3891, 3: "a dialog which was not created with an INVITE".
#[test]
fn xfr_07_the_dialog_of_a_subscription_cannot_be_replaced() {
    let mut wire = Wire::new();
    let refer = inside("REFER", 1, "", "").replace(";tag=\n", "\n").replace(
        "Content-Length: 0",
        "Refer-To: <sip:c@d>\nContent-Length: 0",
    );
    wire.receive(&refer);
    let now = wire.now;
    let id = wire.events.iter().find_map(|event| match event {
        Event::IncomingReferral(id, _) => Some(*id),
        _ => None,
    });
    wire.endpoint.accept_referral(now, id.unwrap()).unwrap();
    let ours = tag(&wire.next_response());
    wire.drain();
    wire.sent.clear();
    wire.events.clear();
    assert_eq!(wire.refused(&replaces(&ours, "")), 481);
}

/// RFC 3891, 3: "in a request other than INVITE".
#[test]
fn xfr_07_replaces_stands_in_invite_alone() {
    let mut wire = Wire::new();
    let options = of_carol(&replaces("x", ""))
        .replace("INVITE", "OPTIONS")
        .replace("Content-Type: application/sdp", "Accept: application/sdp");
    wire.receive(&options);
    assert_eq!(wire.status(), 400);
}

/// XFR-02; RFC 3891, 4 and 6.2: said to be understood, and asked to be.
#[test]
fn xfr_02_an_invite_that_replaces() {
    let mut wire = Wire::new();
    let mut invite = Invite::new(address("sip:bob@biloxi.com"), address("sip:c@chicago.com"));
    invite.offer = Some(sdp("offer"));
    let now = wire.now;
    for bad in [
        "",
        "a;to-tag=1",
        "a;to-tag=1;from-tag=2\r\nX: y",
        "a,b;to-tag=1;from-tag=2",
    ] {
        invite.replaces = Some(bad.to_owned());
        let refused = wire.endpoint.invite(now, invite.clone());
        assert_eq!(refused, Err(InviteError::Replaces), "{bad}");
    }
    invite.replaces = Some("425928@bobster.org;to-tag=7743;from-tag=6472".to_owned());
    wire.endpoint.invite(now, invite.clone()).unwrap();
    let request = wire.request();
    let text = |name| {
        let all = request.headers.values(name).map(String::from_utf8_lossy);
        let all: Vec<_> = all.collect();
        all.join(", ")
    };
    assert_eq!(
        text(HeaderName::Replaces),
        "425928@bobster.org;to-tag=7743;from-tag=6472"
    );
    assert_eq!(text(HeaderName::Require), "replaces");
    assert!(text(HeaderName::Supported).contains("replaces"));
    // Who does not know it would ring: a second call beside the first is not what was asked for.
    wire.reply(&request, "420 Bad Extension\nUnsupported: replaces");
    assert_eq!(wire.request().method, Method::Ack);
    invite.replaces = None;
    invite
        .headers
        .push(HeaderName::Replaces, "a;to-tag=1;from-tag=2");
    let refused = wire.endpoint.invite(now, invite);
    assert_eq!(refused, Err(InviteError::Reserved(HeaderName::Replaces)));
}

/// What is said in OPTIONS (RFC 3891, 6.2).
#[test]
fn xfr_07_supported_names_replaces() {
    let mut wire = Wire::new();
    let options = of_carol("")
        .replace("INVITE", "OPTIONS")
        .replace("Content-Type: application/sdp", "Accept: application/sdp");
    wire.receive(&options);
    let ok = wire.response();
    let all = ok.headers.has_token(HeaderName::Supported, "replaces");
    assert!(all, "{}", value(&ok, HeaderName::Supported));
}
