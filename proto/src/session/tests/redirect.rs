//! Redirection (RFC 3261, 8.1.3.4).

use super::*;
use crate::session::RedirectError;
use sip::{HeaderName, Uri};

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

impl Bench {
    /// A call to that URI whose INVITE is out, and that may be redirected twice.
    fn redirectable(to: &str) -> Self {
        let mut bench = Self::outgoing(1);
        bench.session.allow_redirects(2, uri(to));
        bench.prepare();
        bench.drain();
        bench
    }

    fn redirect(&mut self, contacts: &str) -> Vec<String> {
        let mut headers = Headers::new();
        headers.push(HeaderName::Contact, contacts);
        self.call(InvitationEvent::Ended {
            originator: Originator::Remote,
            code: Some(Status::MOVED_TEMPORARILY),
            reason: Some("Moved Temporarily".to_owned()),
            cause: EndCause::Rejected,
            reason_header: None,
            headers,
        });
        self.drain()
    }

    fn follow(&mut self, target: Option<&str>) -> Result<(), RedirectError> {
        let target = target.map(uri);
        self.session.follow_redirect(self.now, target.as_ref())
    }
}

#[test]
fn a_redirection_is_followed_at_the_word_of_the_application() {
    let mut bench = Bench::redirectable("sip:bob@example.com");
    let contacts = "<sip:bob@away.example>;q=0.9, <sip:desk@example.com>;q=0.5";
    assert_eq!(bench.redirect(contacts), ["GotRedirect"]);
    assert_eq!(bench.session.state, State::Outgoing);
    // No stranger's domain without a word, and no target that nobody has named.
    assert_eq!(
        bench.follow(Some("sip:eve@eve.example")),
        Err(RedirectError::NoTarget)
    );
    assert_eq!(bench.follow(None), Ok(()));
    match bench.session.poll_output() {
        Some(SessionOutput::Call(CallCommand::Invite { to, offer })) => {
            assert_eq!(to, Some(uri("sip:desk@example.com")));
            assert_eq!(Some(offer), bench.session.descriptions.offered());
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(bench.follow(None), Err(RedirectError::Session(_))));
    // What was tried is not tried again.
    let again = "<sip:bob@example.com>, <sip:desk@example.com>, <sip:bob@away.example>";
    assert_eq!(bench.redirect(again), ["GotRedirect"]);
    assert_eq!(bench.follow(None), Err(RedirectError::OtherDomain));
    assert_eq!(
        bench.follow(Some("sip:desk@example.com")),
        Err(RedirectError::NoTarget)
    );
    assert_eq!(bench.follow(Some("sip:bob@away.example")), Ok(()));
    bench.drain();
    // Two redirections were allowed: the third ends the call.
    let third = bench.redirect("<sip:more@away.example>");
    assert_eq!(
        third,
        [
            "GotRedirect",
            "-> terminating",
            "-> terminated",
            "DidFail",
            "Remove",
            "Ended"
        ]
    );
}

#[test]
fn loops_and_insecure_ways_end_the_call() {
    let over = [
        "GotRedirect",
        "-> terminating",
        "-> terminated",
        "DidFail",
        "Remove",
        "Ended",
    ];
    for (to, contacts) in [
        ("sip:bob@example.com", "<sip:bob@example.com>"),
        // RFC 3261, 26.2.2
        ("sips:bob@example.com", "<sip:desk@example.com>"),
        ("sip:bob@example.com", "<mailto:bob@example.com>, <tel:+1>"),
    ] {
        assert_eq!(
            Bench::redirectable(to).redirect(contacts),
            over,
            "{contacts}"
        );
    }
    let mut unasked = Bench::outgoing(1);
    unasked.prepare();
    unasked.drain();
    assert_eq!(unasked.redirect("<sip:desk@example.com>"), over);
}

#[test]
fn a_redirection_waits_for_a_limited_time() {
    let mut bench = Bench::redirectable("sip:bob@example.com");
    bench.redirect("<sip:desk@example.com>");
    bench.wait(59);
    assert_eq!(bench.session.state, State::Outgoing);
    bench.wait(1);
    assert_eq!(
        bench.drain(),
        [
            "-> terminating",
            "-> terminated",
            "DidFail",
            "Remove",
            "Ended"
        ]
    );
    let mut bench = Bench::redirectable("sip:bob@example.com");
    bench.redirect("<sip:desk@example.com>");
    bench
        .session
        .end(bench.now, &mut bench.streams, None)
        .unwrap();
    assert_eq!(
        bench.drain(),
        [
            "-> terminating",
            "-> terminated",
            "DidFail",
            "Remove",
            "Ended"
        ]
    );
    assert!(matches!(bench.follow(None), Err(RedirectError::Session(_))));
}

/// INV-17: the words of the peer's Reason header are why the call is over.
#[test]
fn inv_17_the_reason_header_says_why() {
    for (cause, reason, told) in [
        (
            EndCause::Bye,
            Some("SIP;cause=200;text=\"done, \\\"thanks\\\"\""),
            "done, \"thanks\"",
        ),
        (EndCause::Bye, Some("Q.850;cause=16"), "hung up"),
        (EndCause::Bye, Some(";;\"broken"), "hung up"),
        (EndCause::Bye, None, "hung up"),
        // Ours is no news to us.
        (
            EndCause::MissingAck,
            Some("SIP;cause=500;text=\"Missing ACK\""),
            "missing ACK",
        ),
    ] {
        let mut bench = Bench::connected(1);
        bench.call(InvitationEvent::Ended {
            originator: Originator::Remote,
            code: None,
            reason: None,
            cause,
            reason_header: reason.map(str::to_owned),
            headers: Headers::new(),
        });
        let mut outputs = std::iter::from_fn(|| bench.session.poll_output());
        let end = outputs.find_map(|output| match output {
            SessionOutput::Event(SessionEvent::DidEnd { end_reason, .. }) => Some(end_reason),
            _ => None,
        });
        assert_eq!(end.as_deref(), Some(told), "{reason:?}");
    }
}
