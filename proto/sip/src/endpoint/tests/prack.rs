//! PRACK (RFC 3262), with the other side written by hand.

use super::{uac::*, uas::inside, *};
use crate::{
    HeaderName, Headers, Method, Status, config::Reliability, usage::invitation::EndCause,
};

/// A reliable provisional response to a request of ours.
pub(super) fn reliable(
    request: &Request,
    status: &str,
    tag: &str,
    rseq: u32,
    body: &str,
) -> String {
    let further = format!("Require: 100rel\nRSeq: {rseq}\n");
    answer_with(request, status, tag, &further, body)
}

/// An INVITE of a caller who knows 100rel, or insists on it.
fn invite(header: &str, body: &str) -> String {
    let content = match body {
        "" => "Content-Length: 0".to_owned(),
        body => format!(
            "Content-Type: application/sdp\nContent-Length: {}\n\n{body}",
            body.len()
        ),
    };
    format!(
        "INVITE sip:bob@192.0.2.1 SIP/2.0
        Via: SIP/2.0/UDP pc33.atlanta.com:5070;branch=z9hG4bK1
        Max-Forwards: 70
        To: Bob <sip:bob@biloxi.com>
        From: Alice <sip:alice@atlanta.com>;tag=1928301774
        Call-ID: a84b4c76e66710@pc33.atlanta.com
        CSeq: 314159 INVITE
        {header}: 100rel
        Contact: <sip:alice@pc33.atlanta.com>
        {content}"
    )
}

fn prack(number: u32, tag: &str, rack: &str, body: &str) -> String {
    let plain = inside("PRACK", number, tag, body);
    plain.replacen("Max-Forwards", &format!("RAck: {rack}\nMax-Forwards"), 1)
}

fn rseq(response: &Response) -> u32 {
    assert_eq!(uas::value(response, HeaderName::Require), "100rel");
    uas::value(response, HeaderName::RSeq).parse().unwrap()
}

impl Wire {
    fn dial_offerless(&mut self) -> Request {
        self.dial_with(|invite| invite.offer = None)
    }

    /// Sends 183 with a description.
    fn progress(&mut self, body: &str) -> Response {
        let now = self.now;
        let progress = Status::SESSION_PROGRESS;
        self.call()
            .provisional(now, progress, None, Headers::new(), Some(sdp(body)))
            .unwrap();
        self.response()
    }

    fn offered(&mut self) -> DialogId {
        let events = self.invitation_events();
        let offered = events.iter().find_map(|event| match event {
            InvitationEvent::Offered { dialog, .. } => Some(*dialog),
            _ => None,
        });
        offered.unwrap_or_else(|| panic!("{events:#?}"))
    }
}

#[test]
fn inv_16_reliable_responses_are_acknowledged_in_order() {
    // RFC 3262, 4 and 7.2
    let mut wire = Wire::new();
    let invite = wire.dial();
    assert!(value(&invite, HeaderName::Supported).contains("100rel"));
    assert!(value(&invite, HeaderName::Allow).contains("PRACK"));
    wire.receive(&reliable(&invite, "180 Ringing", "b", 7, ""));
    let prack = wire.request();
    assert_eq!(
        (
            &prack.method,
            value(&prack, HeaderName::RAck),
            value(&prack, HeaderName::CSeq),
            prack.uri.as_str()
        ),
        (
            &Method::Prack,
            "7 1 INVITE",
            "2 PRACK",
            "sip:bob@192.0.2.9:5062;fork=b"
        )
    );
    // RFC 3262, 7.1: neither Contact nor Require.
    assert!(!prack.headers.contains(HeaderName::Contact));
    assert!(!prack.headers.contains(HeaderName::Require));
    wire.receive(&answer_to(&prack, "200 OK", "", ""));
    wire.events.clear();
    // Repeated, and after a gap: not acknowledged, not told.
    wire.receive(&reliable(&invite, "180 Ringing", "b", 7, ""));
    wire.receive(&reliable(&invite, "183 Session Progress", "b", 9, "answer"));
    assert_eq!(wire.lines(), [""; 0]);
    assert!(wire.invitation_events().is_empty());
    wire.receive(&reliable(
        &invite,
        "181 Call Is Being Forwarded",
        "b",
        8,
        "",
    ));
    assert_eq!(value(&wire.request(), HeaderName::RAck), "8 1 INVITE");
    wire.receive(&reliable(&invite, "183 Session Progress", "b", 9, "answer"));
    assert_eq!(value(&wire.request(), HeaderName::RAck), "9 1 INVITE");
    let events = wire.invitation_events();
    let codes: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            InvitationEvent::Provisional { code, .. } => Some(code.code()),
            _ => None,
        })
        .collect();
    assert_eq!(codes, [181, 183]);
    // RFC 6337, pattern 3: the answer is final, the 2xx need not repeat it.
    assert!(events.iter().any(|event| matches!(event, InvitationEvent::Answered { description, early: false, .. } if description == &sdp("answer"))));
    wire.receive(&answer_to(&invite, "200 OK", "b", ""));
    let sent = std::mem::take(&mut wire.sent);
    assert!(sent[0].1.starts_with("ACK "), "{sent:?}");
    assert_eq!(wire.dialled().state(), State::Confirmed);
    let now = wire.now;
    wire.dialled()
        .offer(now, Some(sdp("offer2")), &Headers::new())
        .unwrap();
}

#[test]
fn every_fork_counts_its_own_reliable_responses() {
    // RFC 3262, 4: per dialog.
    let mut wire = Wire::new();
    let invite = wire.dial();
    wire.receive(&reliable(&invite, "180 Ringing", "one", 100, ""));
    wire.receive(&reliable(&invite, "180 Ringing", "two", 5, ""));
    wire.receive(&reliable(&invite, "183 Session Progress", "one", 101, "a"));
    wire.receive(&reliable(&invite, "183 Session Progress", "two", 6, "b"));
    let racks: Vec<_> = std::mem::take(&mut wire.sent)
        .into_iter()
        .map(|(_, text)| {
            let line = text.lines().find(|line| line.starts_with("RAck")).unwrap();
            (line.to_owned(), text.contains("fork=one"))
        })
        .collect();
    let expected = [
        ("RAck: 100 1 INVITE", true),
        ("RAck: 5 1 INVITE", false),
        ("RAck: 101 1 INVITE", true),
        ("RAck: 6 1 INVITE", false),
    ];
    assert_eq!(racks, expected.map(|(line, one)| (line.to_owned(), one)));
    // Without a To tag there is no dialog, and nothing to acknowledge in.
    wire.receive(&reliable(&invite, "180 Ringing", "", 1, ""));
    assert_eq!(wire.lines(), [""; 0]);
}

#[test]
fn an_offer_in_a_reliable_response_is_answered_in_prack() {
    // RFC 3262, 5; RFC 6337, pattern 4
    let mut wire = Wire::new();
    let invite = wire.dial_offerless();
    wire.receive(&reliable(&invite, "183 Session Progress", "b", 1, "offer"));
    assert_eq!(wire.lines(), [""; 0]);
    let dialog = wire.offered();
    let now = wire.now;
    wire.dialled().answer(now, dialog, sdp("answer")).unwrap();
    let prack = wire.request();
    assert_eq!(
        (&prack.method, &prack.body[..]),
        (&Method::Prack, &b"answer"[..])
    );
    wire.receive(&answer_to(&prack, "200 OK", "", ""));
    wire.receive(&answer_to(&invite, "200 OK", "b", ""));
    let ack = wire.request();
    assert!(ack.method == Method::Ack && ack.body.is_empty());
    assert_eq!(wire.dialled().state(), State::Confirmed);
    // Refused: acknowledged, and the call given up.
    let mut wire = Wire::new();
    let invite = wire.dial_offerless();
    wire.receive(&reliable(&invite, "183 Session Progress", "b", 1, "offer"));
    let dialog = wire.offered();
    wire.dialled()
        .refuse(now, dialog, Status::NOT_ACCEPTABLE_HERE, None)
        .unwrap();
    let mut lines = wire.lines();
    lines.sort();
    assert!(
        lines[0].starts_with("CANCEL ") && lines[1].starts_with("PRACK "),
        "{lines:?}"
    );
}

#[test]
fn a_challenged_prack_goes_again_with_credentials() {
    // RFC 3261, 22.2: the next number, the same RAck.
    let mut wire = Wire::new();
    let secret = base::digest::Secret::Password("secret".into());
    let credentials = crate::auth::Credentials::new("atlanta.com", "alice", secret);
    let invite = wire.dial_with(|invite| invite.credentials = vec![credentials]);
    wire.receive(&reliable(&invite, "180 Ringing", "b", 7, ""));
    let prack = wire.request();
    let challenge = "WWW-Authenticate: Digest realm=\"atlanta.com\", nonce=\"n1\", qop=\"auth\"\n";
    wire.receive(&answer_with(&prack, "401 Unauthorized", "", challenge, ""));
    let again = wire.request();
    assert_eq!(value(&again, HeaderName::CSeq), "3 PRACK");
    assert_eq!(value(&again, HeaderName::RAck), "7 1 INVITE");
    assert!(value(&again, HeaderName::Authorization).contains("nonce=\"n1\""));
}

#[test]
fn a_prack_that_meets_481_ends_its_dialog() {
    // RFC 3261, 12.2.1.2
    let mut wire = Wire::new();
    let invite = wire.dial();
    wire.receive(&reliable(&invite, "180 Ringing", "one", 1, ""));
    let one = wire.request();
    wire.receive(&reliable(&invite, "180 Ringing", "two", 1, ""));
    let two = wire.request();
    let gone = "481 Call/Transaction Does Not Exist";
    wire.receive(&answer_to(&one, gone, "", ""));
    assert_eq!(wire.lines(), [""; 0]);
    assert!(
        wire.invitation_events()
            .iter()
            .any(|event| matches!(event, InvitationEvent::DialogEnded { .. }))
    );
    // The last one: nobody is left who could answer.
    wire.receive(&answer_to(&two, gone, "", ""));
    assert!(wire.lines()[0].starts_with("CANCEL "));
    wire.receive(&answer_to(&invite, "487 Request Terminated", "two", ""));
    assert_eq!(
        wire.ended().map(|ended| ended.0),
        Some(EndCause::DialogGone)
    );
}

#[test]
fn without_100rel_nothing_is_acknowledged() {
    let mut config = Config::new("tested");
    config.reliable = Reliability::Off;
    let mut wire = Wire::with(config.clone());
    let invite_sent = wire.dial();
    assert!(!value(&invite_sent, HeaderName::Supported).contains("100rel"));
    wire.receive(&reliable(&invite_sent, "180 Ringing", "b", 7, ""));
    assert_eq!(wire.lines(), [""; 0]);
    // RFC 3262, 3: a caller who insists is refused.
    let mut wire = Wire::with(config);
    wire.receive(&invite("Require", "offer"));
    let refused = wire.response();
    assert_eq!(refused.status, Status::BAD_EXTENSION);
    assert_eq!(uas::value(&refused, HeaderName::Unsupported), "100rel");
}

#[test]
fn who_insists_on_100rel_says_so_and_refuses_others() {
    let mut config = Config::new("tested");
    config.reliable = Reliability::Required;
    let mut wire = Wire::with(config.clone());
    assert_eq!(value(&wire.dial(), HeaderName::Require), "100rel");
    let mut wire = Wire::with(config);
    wire.receive(&uas::invite("1", ""));
    let refused = wire.response();
    assert_eq!(refused.status, Status::EXTENSION_REQUIRED);
    assert_eq!(uas::value(&refused, HeaderName::Require), "100rel");
    wire.receive(&invite("Supported", "offer"));
    let now = wire.now;
    wire.call().ring(now).unwrap();
    rseq(&wire.response());
}

#[test]
fn our_reliable_response_is_repeated_until_prack() {
    // RFC 3262, 3: T1, doubled, without the cap of T2.
    let mut wire = Wire::new();
    wire.receive(&invite("Require", "offer"));
    let now = wire.now;
    wire.call().ring(now).unwrap();
    let ringing = wire.response();
    let number = rseq(&ringing);
    assert!((1..1 << 31).contains(&number));
    let ours = uas::tag(&ringing);
    // A second one waits for the PRACK of the first.
    let progress = Status::SESSION_PROGRESS;
    wire.call()
        .provisional(now, progress, None, Headers::new(), Some(sdp("answer")))
        .unwrap();
    assert_eq!(wire.lines(), [""; 0]);
    let mut at = Vec::new();
    for half in 1..=15 {
        wire.wait(ms(500));
        at.extend(wire.lines().iter().map(|_| half));
    }
    assert_eq!(at, [1, 3, 7, 15]);
    // What names no response that is outstanding gets 481, what names none at all 400.
    for (n, rack, status) in [
        (1, format!("{} 314159 INVITE", number + 1), 481),
        (2, format!("{number} 314158 INVITE"), 481),
        (3, format!("{number} 314159 OPTIONS"), 481),
        (4, "x".to_owned(), 400),
    ] {
        wire.receive(&prack(314_159 + n, &ours, &rack, ""));
        assert_eq!(wire.status(), status, "{rack}");
    }
    wire.receive(&prack(
        314_170,
        &ours,
        &format!("{number} 314159 INVITE"),
        "",
    ));
    let sent = std::mem::take(&mut wire.sent);
    assert!(sent[0].1.starts_with("SIP/2.0 200 "), "{sent:?}");
    assert!(sent[1].1.starts_with("SIP/2.0 183 "), "{sent:?}");
    assert!(sent[1].1.contains(&format!("RSeq: {}\r\n", number + 1)));
    // The 2xx waits for the PRACK of the answer, and does not repeat it.
    wire.call()
        .accept(now, sdp("answer"), Headers::new())
        .unwrap();
    assert_eq!(wire.lines(), [""; 0]);
    let twice = wire.call().accept(now, sdp("answer"), Headers::new());
    assert!(twice.is_err());
    let rack = format!("{} 314159 INVITE", number + 1);
    wire.receive(&prack(314_171, &ours, &rack, ""));
    let sent = std::mem::take(&mut wire.sent);
    assert!(sent[0].1.contains("CSeq: 314171 PRACK"), "{sent:?}");
    assert!(sent[1].1.contains("CSeq: 314159 INVITE"), "{sent:?}");
    assert!(sent[1].1.starts_with("SIP/2.0 200 ") && sent[1].1.ends_with("\r\n\r\n"));
    wire.receive(&prack(314_172, &ours, &rack, ""));
    assert_eq!(wire.status(), 481);
    wire.receive(&inside("ACK", 314_159, &ours, ""));
    assert_eq!(wire.call().state(), State::Confirmed);
}

/// RFC 3262, 3: a 2xx may overtake the PRACK of a response without a description, and so may its ACK; the
/// PRACK counts all the same, once.
#[test]
fn a_prack_that_the_ack_has_overtaken_is_taken() {
    let mut wire = Wire::new();
    wire.receive(&invite("Require", "offer"));
    let now = wire.now;
    wire.call().ring(now).unwrap();
    let ringing = wire.response();
    let (number, ours) = (rseq(&ringing), uas::tag(&ringing));
    wire.call()
        .accept(now, sdp("answer"), Headers::new())
        .unwrap();
    assert_eq!(wire.status(), 200);
    wire.receive(&inside("ACK", 314_159, &ours, ""));
    assert_eq!(wire.call().state(), State::Confirmed);
    let rack = format!("{number} 314159 INVITE");
    for (n, status) in [(1, 200), (2, 481)] {
        wire.receive(&prack(314_159 + n, &ours, &rack, ""));
        assert_eq!(wire.status(), status);
    }
    assert_eq!(wire.call().state(), State::Confirmed);
}

#[test]
fn without_prack_the_invite_is_refused_after_64_t1() {
    let mut wire = Wire::new();
    wire.receive(&invite("Supported", "offer"));
    let progress = wire.progress("answer");
    rseq(&progress);
    wire.wait(ms(31_900));
    assert!(
        wire.lines()
            .iter()
            .all(|line| line.starts_with("SIP/2.0 183"))
    );
    wire.wait(ms(200));
    let lines = wire.lines();
    assert!(lines[0].starts_with("SIP/2.0 504 "), "{lines:?}");
    wire.wait(Duration::from_secs(4));
    assert_eq!(
        wire.ended(),
        Some((EndCause::MissingPrack, Some(Status::SERVER_TIMEOUT)))
    );
    wire.wait(Duration::from_secs(64));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn an_offer_of_ours_in_183_is_answered_by_their_prack() {
    // RFC 6337, pattern 4
    let mut wire = Wire::new();
    wire.receive(&invite("Supported", ""));
    let progress = wire.progress("offer");
    let (number, ours) = (rseq(&progress), uas::tag(&progress));
    wire.events.clear();
    wire.receive(&prack(
        314_160,
        &ours,
        &format!("{number} 314159 INVITE"),
        "answer",
    ));
    assert_eq!(wire.status(), 200);
    let events = wire.invitation_events();
    assert!(
        matches!(&events[..], [InvitationEvent::Transaction { .. }, InvitationEvent::Answered { description, early: false, .. }] if description == &sdp("answer")),
        "{events:#?}"
    );
    let now = wire.now;
    wire.call()
        .accept(now, sdp("unused"), Headers::new())
        .unwrap();
    let ok = wire.response();
    assert!(ok.status == Status::OK && ok.body.is_empty());
    // The PRACK that had to answer did not.
    let mut wire = Wire::new();
    wire.receive(&invite("Supported", ""));
    let progress = wire.progress("offer");
    let (number, ours) = (rseq(&progress), uas::tag(&progress));
    wire.receive(&prack(
        314_160,
        &ours,
        &format!("{number} 314159 INVITE"),
        "",
    ));
    let lines = wire.lines();
    assert_eq!(lines, ["SIP/2.0 200 OK", "SIP/2.0 488 Not Acceptable Here"]);
}

#[test]
fn an_offer_in_their_prack_is_answered_in_its_2xx() {
    // RFC 6337, pattern 5; RFC 3262, 3: the 2xx to INVITE waits meanwhile.
    let offered = || {
        let mut wire = Wire::new();
        wire.receive(&invite("Supported", "offer"));
        let progress = wire.progress("answer");
        let (number, ours) = (rseq(&progress), uas::tag(&progress));
        let now = wire.now;
        wire.events.clear();
        wire.call()
            .accept(now, sdp("answer"), Headers::new())
            .unwrap();
        let rack = format!("{number} 314159 INVITE");
        wire.receive(&prack(314_160, &ours, &rack, "offer2"));
        assert_eq!(wire.lines(), [""; 0]);
        let dialog = wire.offered();
        (wire, dialog, ours)
    };
    let (mut wire, dialog, _) = offered();
    let now = wire.now;
    wire.call().answer(now, dialog, sdp("answer2")).unwrap();
    wire.drain();
    let sent = std::mem::take(&mut wire.sent);
    assert!(sent[0].1.contains("CSeq: 314160 PRACK") && sent[0].1.ends_with("answer2"));
    assert!(sent[1].1.contains("CSeq: 314159 INVITE"), "{sent:?}");
    // Refused.
    let (mut wire, dialog, _) = offered();
    wire.call()
        .refuse(now, dialog, Status::NOT_ACCEPTABLE_HERE, None)
        .unwrap();
    let lines = wire.lines();
    assert_eq!(lines, ["SIP/2.0 488 Not Acceptable Here", "SIP/2.0 200 OK"]);
    // The caller goes: nothing stays unanswered.
    let (mut wire, _, ours) = offered();
    wire.receive(&inside("BYE", 314_161, &ours, ""));
    let lines = wire.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(
        lines.iter().filter(|line| line.contains(" 487 ")).count(),
        2
    );
    wire.wait(Duration::from_secs(64));
    assert_eq!(wire.endpoint.stats(), Stats::default());
}

#[test]
fn provisional_responses_wait_in_a_bounded_queue() {
    let mut wire = Wire::new();
    wire.receive(&invite("Require", "offer"));
    let now = wire.now;
    for _ in 0..9 {
        wire.call().ring(now).unwrap();
    }
    let full = wire.call().ring(now);
    assert_eq!(full, Err(usage::invitation::RespondError::Busy));
    // Before an offer there is nothing that may go to a caller who insists.
    let mut wire = Wire::new();
    wire.receive(&invite("Require", ""));
    let early = wire.call().ring(now);
    assert_eq!(
        early,
        Err(usage::invitation::RespondError::DescriptionNeeded)
    );
}

#[test]
fn reliable_responses_survive_loss() {
    // Between two endpoints, every message lost once.
    for lost in 0..10 {
        let mut world = world::World::new(2);
        let mut count = 0;
        world.lose = Box::new(move |_| {
            count += 1;
            count == lost + 1
        });
        world.invite(0, 1, Transport::Udp, Some("offer"));
        world.run(Duration::from_secs(2));
        world
            .act(1, |call, now| {
                let progress = Status::SESSION_PROGRESS;
                call.provisional(now, progress, None, Headers::new(), Some(sdp("answer")))
            })
            .unwrap();
        world
            .act(1, |call, now| {
                call.accept(now, sdp("answer"), Headers::new())
            })
            .unwrap();
        world.run(Duration::from_secs(5));
        assert_eq!(
            (world.state(0), world.state(1)),
            (State::Confirmed, State::Confirmed),
            "{:#?}",
            world.trace
        );
        let names = world.names(0);
        let answers = names.iter().filter(|name| *name == "Answered").count();
        assert_eq!(answers, 1, "{names:?}");
        world
            .act(0, |call, now| call.end(now, &Headers::new()))
            .unwrap();
        world.assert_quiet();
    }
}
