//! What a failure inside a dialog ends, and what not: every code, of every method, for a call, a
//! subscription and a report that share one dialog (RFC 3261, 12.2.1.2; RFC 5057, 5; wire-rules
//! "Errors inside a dialog").

use super::{uas::inside, *};
use crate::{
    Headers, Method, Options, ReferralId, SendMessage, Status,
    dialog::{Impact, impact},
    usage::{
        invitation::{EndCause, InfoRequest, is_fatal},
        referral::{IncomingReferralEvent, Refer, ReferralEvent},
    },
};

/// A call, a REFER of ours and one of the peer in one dialog, all alive.
struct Shared {
    wire: Wire,
    ours: ReferralId,
    theirs: crate::IncomingReferralId,
}

/// Who of the three is alive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Alive {
    call: bool,
    ours: bool,
    theirs: bool,
}

impl Shared {
    fn new() -> Self {
        let mut wire = Wire::new();
        let tag = wire.establish();
        let now = wire.now;
        let call = wire.endpoint.invitations().next().unwrap();
        let refer = Refer::in_call(call, address("sip:carol@chicago.com"));
        let ours = wire.endpoint.refer(now, refer).unwrap();
        let request = wire.request();
        wire.reply(
            &request,
            "202 Accepted\nContact: <sip:alice@pc33.atlanta.com>",
        );
        let report = inside("NOTIFY", 314_160, &tag, "").replace(
            "Content-Length",
            "Event: refer\nSubscription-State: active;expires=9999\nContent-Length",
        );
        wire.receive(&report);
        assert_eq!(wire.response().status.code(), 200);
        let asked = inside("REFER", 314_161, &tag, "").replace(
            "Content-Length",
            "Refer-To: <sip:dave@denver.com>\nContent-Length",
        );
        wire.receive(&asked);
        let theirs = wire
            .events
            .iter()
            .find_map(|event| match event {
                Event::IncomingReferral(id, IncomingReferralEvent::Incoming(_)) => Some(*id),
                _ => None,
            })
            .expect("a REFER");
        wire.endpoint.accept_referral(now, theirs).unwrap();
        wire.next_response();
        let trying = wire.request();
        wire.reply(&trying, "200 OK");
        // The peer takes UPDATE.
        let question = inside("OPTIONS", 314_162, &tag, "").replace(
            "Content-Length",
            "Allow: INVITE, ACK, BYE, UPDATE, INFO\nContent-Length",
        );
        wire.receive(&question);
        assert_eq!(wire.response().status, Status::OK);
        wire.events.clear();
        Self { wire, ours, theirs }
    }

    /// Sends a request of that method.
    fn ask(&mut self, method: &Method) -> Request {
        let now = self.wire.now;
        let call = self.wire.endpoint.invitations().next().unwrap();
        match method {
            Method::Invite => self
                .wire
                .call()
                .offer(now, Some(sdp("offer")), &Headers::new())
                .unwrap(),
            Method::Refer => {
                let refer = Refer::in_call(call, address("sip:erin@erie.com"));
                self.wire.endpoint.refer(now, refer).unwrap();
            }
            Method::Notify => self
                .wire
                .endpoint
                .report_referral(now, self.theirs, Status::RINGING, None)
                .unwrap(),
            Method::Subscribe => self.wire.endpoint.forget_referral(now, self.ours),
            Method::Info => {
                let digit = InfoRequest::legacy("application/dtmf-relay", "Signal=1");
                self.wire.call().inform(now, digit).unwrap();
            }
            Method::Update => {
                let dialog = self.wire.call().info().unwrap().confirmed.unwrap();
                self.wire
                    .call()
                    .update(now, dialog, Some(sdp("offer")), &Headers::new())
                    .unwrap();
            }
            Method::Options => {
                let peer = address("sip:alice@pc33.atlanta.com");
                let options = Options::new(address("sip:bob@biloxi.com"), peer);
                self.wire.endpoint.options(now, options).unwrap();
            }
            Method::Message => {
                let peer = address("sip:alice@pc33.atlanta.com");
                let message = SendMessage::new(address("sip:bob@biloxi.com"), peer, "tea");
                self.wire.endpoint.send_message(now, message).unwrap();
            }
            Method::Bye => self.wire.call().end(now, &Headers::new()).unwrap(),
            other => panic!("{other} is not asked here"),
        }
        self.wire.request()
    }

    fn alive(&mut self) -> Alive {
        self.wire.drain();
        let events = &self.wire.events;
        let ended = |is_end: fn(&Event) -> bool| events.iter().any(is_end);
        let ours = self.ours;
        Alive {
            call: !ended(|event| {
                matches!(
                    event,
                    Event::Invitation(_, InvitationEvent::StateChanged { state, .. })
                        if matches!(state, State::Disconnecting | State::Disconnected)
                )
            }),
            ours: !events.iter().any(|event| {
                matches!(event, Event::Referral(id, ReferralEvent::Ended { .. }) if *id == ours)
            }),
            theirs: !ended(|event| {
                matches!(
                    event,
                    Event::IncomingReferral(_, IncomingReferralEvent::Ended { .. })
                )
            }),
        }
    }
}

/// The table of RFC 5057, 5.1 by hand: dialog, usage; all others end the transaction only. 408 as RFC
/// 3261, 12.2.1.2 has it.
const DIALOG: [u16; 9] = [404, 410, 416, 482, 483, 484, 485, 502, 604];
const USAGE: [u16; 6] = [405, 408, 480, 481, 489, 501];
/// All codes that the table names, and unknown ones of each class.
const CODES: [u16; 62] = [
    300, 301, 302, 305, 380, 400, 402, 403, 404, 405, 406, 408, 410, 412, 413, 414, 415, 416, 417,
    420, 421, 422, 423, 428, 429, 436, 437, 438, 440, 469, 480, 481, 482, 483, 484, 485, 486, 487,
    488, 489, 491, 493, 494, 499, 500, 501, 502, 503, 504, 505, 513, 580, 599, 600, 603, 604, 606,
    607, 608, 699, 433, 470,
];

/// What is alive after `code` answered a request of `method`.
fn expected(method: &Method, code: u16) -> Alive {
    let all = Alive {
        call: true,
        ours: true,
        theirs: true,
    };
    let none = Alive {
        call: false,
        ours: false,
        theirs: false,
    };
    match method {
        // It ends with its own last request, whatever the answer.
        Method::Bye if DIALOG.contains(&code) => none,
        Method::Bye => Alive { call: false, ..all },
        Method::Options | Method::Message => all,
        _ if DIALOG.contains(&code) => none,
        // RFC 5057, 5.1: 405 and 501 are about the method, and a call can do without UPDATE; 489 as below.
        Method::Update if matches!(code, 405 | 501) => all,
        Method::Invite | Method::Update if USAGE.contains(&code) => Alive { call: false, ..all },
        // RFC 5057, 5.3: INFO belongs to the call, and by note 3 it can do without.
        Method::Info if matches!(code, 408 | 480 | 481) => Alive { call: false, ..all },
        Method::Notify if USAGE.contains(&code) => Alive {
            theirs: false,
            ..all
        },
        // It ends with its own last request, whatever the answer.
        Method::Subscribe => Alive { ours: false, ..all },
        // A REFER that is refused is that; OPTIONS and MESSAGE of ours stand outside of dialogs.
        _ => all,
    }
}

/// wire-rules: "A table test lists every code × method × usage, and what happens to a subscription
/// that shares the dialog."
#[test]
fn every_code_of_every_method_for_every_usage() {
    for method in [
        Method::Invite,
        Method::Notify,
        Method::Refer,
        Method::Subscribe,
        Method::Info,
        Method::Update,
        Method::Options,
        Method::Message,
        Method::Bye,
    ] {
        for code in CODES {
            let mut shared = Shared::new();
            let request = shared.ask(&method);
            assert_eq!(request.method, method);
            shared.wire.reply(&request, &format!("{code} Whatever"));
            assert_eq!(shared.alive(), expected(&method, code), "{method} {code}");
        }
    }
}

/// The same for PRACK, which belongs to a call that is not taken yet: it is over with its early dialog, and its INVITE is
/// cancelled; another fork goes on (RFC 3262, 4; RFC 5057, 5.1).
#[test]
fn every_code_of_prack_for_a_call_and_its_forks() {
    for code in CODES {
        let is_over = DIALOG.contains(&code) || matches!(code, 408 | 480 | 481);
        for forks in [&["a"][..], &["a", "b"]] {
            let mut wire = Wire::new();
            let invite = wire.dial();
            let mut pracks = Vec::new();
            for tag in forks {
                wire.receive(&prack::reliable(
                    &invite,
                    "183 Session Progress",
                    tag,
                    7,
                    "answer",
                ));
                pracks.push(wire.request());
            }
            assert_eq!(pracks[0].method, Method::Prack);
            wire.events.clear();
            wire.reply(&pracks[0], &format!("{code} Whatever"));
            let events = wire.invitation_events();
            let is_lost = events
                .iter()
                .any(|event| matches!(event, InvitationEvent::DialogEnded { .. }));
            let is_ended = events.iter().any(|event| {
                matches!(event, InvitationEvent::StateChanged { state, .. } if *state == State::Disconnecting)
            });
            let is_last = forks.len() == 1;
            assert_eq!(
                (is_lost, is_ended),
                (is_over, is_over && is_last),
                "PRACK {code}"
            );
            let lines = wire.lines();
            let is_cancelled = lines.iter().any(|line| line.starts_with("CANCEL"));
            assert_eq!(is_cancelled, is_over && is_last, "PRACK {code}: {lines:?}");
        }
    }
}

/// RFC 5057, 5.2: silence ends the usage of the request, and no other.
#[test]
fn silence_ends_the_usage_only() {
    for method in [Method::Options, Method::Message] {
        let mut shared = Shared::new();
        shared.ask(&method);
        shared.wire.wait(Duration::from_secs(33));
        assert_eq!(shared.alive(), expected(&method, 408), "{method}");
    }
    for (method, expected) in [
        (
            Method::Notify,
            Alive {
                call: true,
                ours: true,
                theirs: false,
            },
        ),
        (
            Method::Refer,
            Alive {
                call: true,
                ours: true,
                theirs: true,
            },
        ),
        (
            Method::Invite,
            Alive {
                call: false,
                ours: true,
                theirs: true,
            },
        ),
        (
            Method::Update,
            Alive {
                call: false,
                ours: true,
                theirs: true,
            },
        ),
        (
            Method::Info,
            Alive {
                call: false,
                ours: true,
                theirs: true,
            },
        ),
    ] {
        let mut shared = Shared::new();
        shared.ask(&method);
        shared.wire.wait(Duration::from_secs(33));
        assert_eq!(shared.alive(), expected, "{method}");
    }
}

/// A dialog that is gone ends the call by BYE (RFC 3261, 12.2.1.2).
#[test]
fn a_dialog_that_is_gone_ends_the_call_with_bye() {
    let mut shared = Shared::new();
    let notify = shared.ask(&Method::Notify);
    shared.wire.reply(&notify, "404 Not Found");
    assert_eq!(shared.wire.next_request().method, Method::Bye);
    shared.wire.lines();
    shared.wire.wait(Duration::from_secs(64));
    let events = shared.wire.invitation_events();
    assert!(
        matches!(
            events.last(),
            Some(InvitationEvent::Ended {
                cause: EndCause::DialogGone,
                ..
            })
        ),
        "{events:#?}"
    );
    assert_eq!(shared.wire.endpoint.stats(), Stats::default());
}

/// What ends a call by a re-INVITE is what the table says, and 489, which RFC 5057 has in its column of
/// usages and gives no meaning there (note 12).
#[test]
fn calls_and_the_table_agree() {
    for code in 300..700 {
        let status = Status::new(code).unwrap();
        let by_table = impact(&Method::Invite, status) != Impact::Transaction;
        assert_eq!(is_fatal(status), by_table || code == 489, "{code}");
    }
}
