//! The session machine by hand: a toy stream on one side, the events of an invitation on the other.

#![expect(
    clippy::disallowed_types,
    reason = "a toy must be Send and tell what happened to it"
)]

use super::{
    Limits, Session, SessionError, SessionInput, SessionOutput, State, StreamNews,
    accept::IncomingCall,
};
use crate::{
    agent::{SessionId, StreamId},
    event::{Originator, SessionEvent, StreamEvent},
    stream::{
        Agreement, Hold, MediaStream, Purpose, Refusal, StreamError, StreamInput, StreamOutput,
        Streams,
    },
};
use base::{Deadline, Key as _};
use bytes::Bytes;
use sip::{Description, DialogId, Headers, InvitationEvent, Status, usage::invitation::EndCause};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// What the toy was asked, in order.
type Log = Arc<Mutex<Vec<&'static str>>>;

#[derive(Debug)]
struct Toy {
    log: Log,
    refuses: bool,
    held: bool,
}

impl Toy {
    fn media(&self) -> sdp::Media {
        let mut media = sdp::Media::new("toy", 4000, "TOY/1");
        media.formats.push("0".into());
        media.set_direction(if self.held {
            sdp::Direction::SendOnly
        } else {
            sdp::Direction::SendRecv
        });
        media
    }

    fn note(&self, what: &'static str) {
        self.log.lock().unwrap().push(what);
    }
}

impl MediaStream for Toy {
    fn kind(&self) -> &'static str {
        "toy"
    }
    fn prepare(&mut self, _: Instant, purpose: Purpose) {
        self.note(if purpose == Purpose::First {
            "prepare"
        } else {
            "restart"
        });
    }
    fn offer(&mut self, _: Instant) -> sdp::Media {
        self.note("offer");
        self.media()
    }
    fn answer(&mut self, _: Instant, _: &sdp::Session, _: usize) -> Result<sdp::Media, Refusal> {
        self.note("answer");
        match self.refuses {
            true => Err(Refusal {
                code: 488,
                warning: "not with me",
            }),
            false => Ok(self.media()),
        }
    }
    fn start(&mut self, _: Instant, _: Agreement<'_>) {
        self.note("start");
    }
    fn update(&mut self, _: Instant, _: Agreement<'_>) {
        self.note("update");
    }
    fn rollback(&mut self, _: Instant) {
        self.note("rollback");
    }
    fn set_hold(&mut self, _: Instant, hold: bool) -> bool {
        self.held = hold;
        true
    }
    fn hold(&self) -> Option<Hold> {
        Some(Hold {
            by_local: self.held,
            by_remote: false,
            local_intent: self.held,
        })
    }
    fn deactivate(&mut self) {}
    fn end(&mut self, _: Instant) {
        self.note("end");
    }
    fn handle_input(&mut self, _: Instant, _: StreamInput) {}
    fn poll_timeout(&self) -> Option<Deadline> {
        None
    }
    fn poll_output(&mut self) -> Option<StreamOutput> {
        None
    }
}

struct Bench {
    now: Instant,
    streams: Streams,
    session: Session,
    logs: Vec<Log>,
    ids: Vec<StreamId>,
}

const DIALOG: fn(u32) -> DialogId = |n| DialogId::from_parts(0, n);

impl Bench {
    fn toys(count: usize) -> (Streams, Vec<StreamId>, Vec<Log>) {
        let mut streams = Streams::default();
        let logs: Vec<Log> = (0..count).map(|_| Log::default()).collect();
        let ids = logs
            .iter()
            .map(|log| {
                let toy = Toy {
                    log: log.clone(),
                    refuses: false,
                    held: false,
                };
                streams.insert(SessionId::from_parts(0, 0), Box::new(toy))
            })
            .collect();
        (streams, ids, logs)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin for virtual time"
    )]
    fn outgoing(count: usize) -> Self {
        let now = Instant::now();
        let (mut streams, ids, logs) = Self::toys(count);
        let origin = sdp::Origin::new(7, [192, 0, 2, 1].into());
        let id = SessionId::from_parts(0, 0);
        let session = Session::outgoing(now, id, origin, Limits::default(), &mut streams, &ids);
        Self {
            now,
            streams,
            session,
            logs,
            ids,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin for virtual time"
    )]
    fn incoming(count: usize) -> Self {
        let now = Instant::now();
        let (mut streams, ids, logs) = Self::toys(count);
        let origin = sdp::Origin::new(7, [192, 0, 2, 1].into());
        let call = IncomingCall {
            dialog: DIALOG(0),
            offer: Some(peer(count, 1)),
            lines: ids.iter().copied().map(Some).collect(),
        };
        let id = SessionId::from_parts(0, 0);
        let session = Session::incoming(now, id, origin, Limits::default(), &mut streams, call);
        Self {
            now,
            streams,
            session,
            logs,
            ids,
        }
    }

    /// An outgoing call that stands.
    fn connected(count: usize) -> Self {
        let mut bench = Self::outgoing(count);
        bench.prepare();
        bench.answer(0, 1, false);
        bench.confirm(0);
        bench.news_of_all(|| StreamNews::Started);
        assert_eq!(bench.session.state, State::Connected);
        bench.drain();
        bench
    }

    fn feed(&mut self, input: SessionInput) {
        self.session
            .handle_input(self.now, &mut self.streams, input);
    }

    fn call(&mut self, event: InvitationEvent) {
        self.feed(SessionInput::Call(event));
    }

    fn news_of_all(&mut self, news: fn() -> StreamNews) {
        for id in self.ids.clone() {
            self.feed(SessionInput::Stream(id, news()));
        }
    }

    fn prepare(&mut self) {
        self.news_of_all(|| StreamNews::Prepared);
    }

    fn answer(&mut self, dialog: u32, version: u32, early: bool) {
        let body = peer(self.ids.len(), version);
        self.call(InvitationEvent::Answered {
            dialog: DIALOG(dialog),
            description: sdp_body(body),
            early,
        });
    }

    fn confirm(&mut self, dialog: u32) {
        let dialog = DIALOG(dialog);
        self.call(InvitationEvent::Confirmed {
            dialog,
            headers: Headers::new(),
        });
        self.call(InvitationEvent::Acknowledged { dialog });
    }

    fn ended(&mut self, originator: Originator, cause: EndCause) {
        self.call(InvitationEvent::Ended {
            originator,
            code: None,
            reason: None,
            cause,
            reason_header: None,
            headers: Headers::new(),
        });
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.feed(SessionInput::Timeout);
    }

    /// Names of everything that was said, and the ends of the streams that were told to end.
    fn drain(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(output) = self.session.poll_output() {
            said.push(match output {
                SessionOutput::Call(command) => name(&format!("{command:?}")),
                SessionOutput::Event(SessionEvent::ChangedState { state, .. }) => {
                    format!("-> {state}")
                }
                SessionOutput::Event(event) => name(&format!("{event:?}")),
                SessionOutput::StreamEvent(id, StreamEvent::WillEnd) => {
                    self.feed(SessionInput::Stream(id, StreamNews::Ended));
                    continue;
                }
                SessionOutput::StreamEvent(..) => continue,
                SessionOutput::Remove(_) => "Remove".to_owned(),
                SessionOutput::Ended => "Ended".to_owned(),
            });
        }
        said
    }

    fn log(&self, index: usize) -> Vec<&'static str> {
        std::mem::take(&mut *self.logs[index].lock().unwrap())
    }
}

fn name(debug: &str) -> String {
    debug.split([' ', '(', '{']).next().unwrap().to_owned()
}

fn peer(lines: usize, version: u32) -> Bytes {
    let mut text = format!(
        "v=0\r\no=- 9 {version} IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n"
    );
    text.push_str(&"m=toy 5000 TOY/1 0\r\n".repeat(lines));
    Bytes::from(text)
}

fn sdp_body(body: Bytes) -> Description {
    super::description::of(body)
}

fn provisional(code: u16) -> InvitationEvent {
    InvitationEvent::Provisional {
        dialog: None,
        code: Status::new(code).unwrap(),
        reason: "Ringing".to_owned(),
        headers: Headers::new(),
    }
}

/// SES-09, SES-56 … SES-59, SES-61, SES-62.
#[test]
fn a_good_outgoing_call() {
    let mut bench = Bench::outgoing(1);
    assert_eq!(bench.drain(), ["NewOutgoing"]);
    bench.prepare();
    assert_eq!(bench.drain(), ["Invite"]);
    bench.call(provisional(180));
    bench.call(provisional(183));
    assert_eq!(
        bench.drain(),
        [
            "GotRingIndication",
            "GotProvisionalResponse",
            "GotProvisionalResponse"
        ]
    );
    bench.answer(0, 1, false);
    bench.confirm(0);
    assert_eq!(bench.drain(), ["WillStart"]);
    bench.news_of_all(|| StreamNews::Started);
    assert_eq!(bench.drain(), ["-> connected", "DidStart"]);
    bench.session.end(bench.now, &mut bench.streams).unwrap();
    assert_eq!(
        bench.drain(),
        ["End", "WillEnd", "-> terminating", "Remove"]
    );
    bench.ended(Originator::Local, EndCause::UserRequest);
    assert_eq!(bench.drain(), ["-> terminated", "DidEnd", "Ended"]);
    assert_eq!(bench.log(0), ["prepare", "offer", "start", "end"]);
}

/// SES-33: CANCEL and DidFail, never DidEnd; SES-34: after a second nobody waits any more.
#[test]
fn an_end_before_the_answer_fails_within_a_second() {
    let mut bench = Bench::outgoing(1);
    bench.prepare();
    bench.drain();
    bench.session.end(bench.now, &mut bench.streams).unwrap();
    bench.session.end(bench.now, &mut bench.streams).unwrap();
    assert_eq!(bench.drain(), ["End", "-> terminating", "Remove"]);
    assert_eq!(
        bench.session.poll_timeout().unwrap().at,
        bench.now + Duration::from_secs(1)
    );
    bench.wait(1);
    assert_eq!(bench.drain(), ["-> terminated", "DidFail", "Ended"]);
}

/// SES-33: before the INVITE was built there is nothing to cancel.
#[test]
fn an_end_while_streams_prepare_sends_nothing() {
    let mut bench = Bench::outgoing(1);
    bench.session.end(bench.now, &mut bench.streams).unwrap();
    assert_eq!(
        bench.drain(),
        [
            "NewOutgoing",
            "-> terminating",
            "-> terminated",
            "DidFail",
            "Remove",
            "Ended"
        ]
    );
}

/// SES-10: one of two that cannot prepare is left out; both, and the call fails.
#[test]
fn a_stream_that_cannot_prepare_is_left_out() {
    let mut bench = Bench::outgoing(2);
    bench.drain();
    let failed = || StreamNews::Failed(StreamError::Custom("no"));
    bench.feed(SessionInput::Stream(bench.ids[0], failed()));
    bench.feed(SessionInput::Stream(bench.ids[1], StreamNews::Prepared));
    assert_eq!(bench.drain(), ["Invite", "Remove"]);
    assert_eq!(bench.session.streams(), [bench.ids[1]]);

    let mut bench = Bench::outgoing(1);
    bench.feed(SessionInput::Stream(bench.ids[0], failed()));
    assert!(bench.drain().contains(&"DidFail".to_owned()));
}

/// Streams that take too long are described with what is there.
#[test]
fn the_time_to_prepare_ends() {
    let mut bench = Bench::outgoing(1);
    bench.drain();
    bench.wait(9);
    assert!(bench.drain().is_empty());
    bench.wait(1);
    assert_eq!(bench.drain(), ["Invite"]);
}

/// SES-11 and SES-12.
#[test]
fn answers_and_starts_have_limits() {
    let mut bench = Bench::outgoing(1);
    bench.prepare();
    bench.drain();
    bench.wait(90);
    assert_eq!(bench.drain()[0], "End");

    let mut bench = Bench::outgoing(1);
    bench.prepare();
    bench.answer(0, 1, false);
    bench.confirm(0);
    bench.drain();
    bench.wait(14);
    assert!(bench.drain().is_empty());
    bench.wait(1);
    assert_eq!(bench.drain()[0], "End");
}

/// The streams follow the first early answer, then the dialog whose 2xx wins; a 2xx that repeats the
/// preview restarts nothing.
#[test]
fn streams_follow_the_fork_that_wins() {
    let mut bench = Bench::outgoing(1);
    bench.prepare();
    bench.answer(1, 1, true);
    bench.answer(2, 2, true);
    bench.answer(1, 1, false);
    assert_eq!(bench.log(0), ["prepare", "offer", "start"]);
    bench.confirm(2);
    assert_eq!(bench.session.branch, Some(DIALOG(2)));
    assert_eq!(bench.log(0), ["update"]);

    let mut bench = Bench::outgoing(1);
    bench.prepare();
    bench.answer(1, 1, true);
    bench.call(InvitationEvent::DialogEnded { dialog: DIALOG(1) });
    bench.answer(2, 2, true);
    assert_eq!(bench.log(0), ["prepare", "offer", "start", "update"]);
}

/// An answer that answers something else ends the call; the same in a preview is passed over.
#[test]
fn a_bad_answer_ends_the_call() {
    let mut bench = Bench::outgoing(1);
    bench.prepare();
    bench.drain();
    let bad = || sdp_body(peer(2, 1));
    bench.call(InvitationEvent::Answered {
        dialog: DIALOG(0),
        description: bad(),
        early: true,
    });
    assert!(bench.drain().is_empty());
    bench.call(InvitationEvent::Answered {
        dialog: DIALOG(0),
        description: bad(),
        early: false,
    });
    assert_eq!(bench.drain()[0], "End");
}

/// SES-15 … SES-18.
#[test]
fn an_incoming_call_is_accepted_with_a_subset() {
    let mut bench = Bench::incoming(2);
    assert_eq!(bench.drain(), ["NewIncoming"]);
    bench.session.ring().unwrap();
    let second = bench.ids[1];
    let stranger = StreamId::from_parts(7, 7);
    let mut accept = |ids: &[StreamId]| bench.session.accept(bench.now, &mut bench.streams, ids);
    assert_eq!(accept(&[]), Err(SessionError::NoStreams));
    assert_eq!(accept(&[stranger]), Err(SessionError::UnknownStream));
    accept(&[second]).unwrap();
    assert_eq!(bench.drain(), ["Ring", "-> accepting", "Remove"]);
    bench.feed(SessionInput::Stream(second, StreamNews::Prepared));
    assert_eq!(bench.drain(), ["Accept", "WillStart"]);
    let local = bench.session.descriptions.sent().unwrap();
    assert_eq!(
        local
            .media
            .iter()
            .map(|media| media.port)
            .collect::<Vec<_>>(),
        [0, 4000]
    );
    bench.feed(SessionInput::Stream(second, StreamNews::Started));
    assert!(bench.drain().is_empty(), "no ACK yet");
    bench.confirm(0);
    assert_eq!(bench.drain(), ["-> connected", "DidStart"]);
    assert_eq!(
        bench.session.ring(),
        Err(SessionError::WrongState(State::Connected))
    );
    assert_eq!(bench.log(0), ["prepare", "end"]);

    let mut bench = Bench::incoming(1);
    bench
        .session
        .accept(bench.now, &mut bench.streams, &bench.ids.clone())
        .unwrap();
    bench.prepare();
    bench.drain();
    bench.ended(Originator::Remote, EndCause::MissingAck);
    assert!(bench.drain().contains(&"DidFail".to_owned()));
}

/// SES-19 and its range.
#[test]
fn an_incoming_call_is_rejected() {
    let mut bench = Bench::incoming(1);
    bench.drain();
    assert_eq!(
        bench
            .session
            .reject(bench.now, &mut bench.streams, 200, None),
        Err(SessionError::BadCode)
    );
    bench
        .session
        .reject(bench.now, &mut bench.streams, 486, None)
        .unwrap();
    assert_eq!(bench.drain(), ["Reject", "-> terminating", "Remove"]);
    bench.ended(Originator::Local, EndCause::UserRequest);
    assert_eq!(bench.drain(), ["-> terminated", "DidFail", "Ended"]);
}

/// SES-29 … SES-31; RFC 3261, 14.1.
#[test]
fn hold_is_offered_refused_and_offered_again() {
    let mut bench = Bench::connected(1);
    let hold = |bench: &mut Bench| bench.session.hold(bench.now, &mut bench.streams).unwrap();
    hold(&mut bench);
    hold(&mut bench);
    assert_eq!(bench.drain(), ["-> sending_proposal", "Offer"]);
    let offered = bench.session.descriptions.sent().unwrap();
    assert_eq!(
        (offered.direction(0), &*offered.origin.version),
        (sdp::Direction::SendOnly, "8")
    );
    let retry = bench.now + Duration::from_secs(3);
    bench.call(InvitationEvent::OfferFailed {
        dialog: DIALOG(0),
        code: Status::new(491).unwrap(),
        reason: "Request Pending".to_owned(),
        retry: Some(retry),
    });
    assert_eq!(bench.drain(), ["-> connected", "GotRejectProposal"]);
    assert_eq!(bench.session.poll_timeout().unwrap().at, retry);
    bench.wait(3);
    assert_eq!(bench.drain(), ["-> sending_proposal", "Offer"]);
    let offered = bench.session.descriptions.sent().unwrap();
    assert_eq!(
        &*offered.origin.version, "9",
        "a version that was on the wire is not used again"
    );
    bench.answer(0, 2, false);
    assert_eq!(bench.drain(), ["-> connected", "DidChangeHoldState"]);
    assert_eq!(bench.log(0)[3..], ["offer", "rollback", "offer", "update"]);
    assert!(bench.session.info(&bench.streams, None).on_hold_by_local);
}

/// SES-31: after 5 s the re-INVITE is given up; an answer that wins the race counts (BUG-27).
#[test]
fn a_hold_that_nobody_answers_is_given_up() {
    let mut bench = Bench::connected(1);
    bench.session.hold(bench.now, &mut bench.streams).unwrap();
    bench.drain();
    bench.wait(5);
    assert_eq!(bench.drain(), ["CancelOffer"]);
    bench.answer(0, 2, false);
    assert_eq!(bench.drain(), ["-> connected", "DidChangeHoldState"]);
}

/// STR-06: the first refusal takes the answers of the others back and refuses the whole offer.
#[test]
fn one_refusal_refuses_the_offer() {
    let mut bench = Bench::connected(2);
    let refusing = Toy {
        log: bench.logs[1].clone(),
        refuses: true,
        held: false,
    };
    bench.streams.remove(bench.ids[1]);
    bench.ids[1] = bench
        .streams
        .insert(SessionId::from_parts(0, 0), Box::new(refusing));
    bench.session.lines[1].stream = Some(bench.ids[1]);
    let (_, _) = (bench.log(0), bench.log(1));
    let offer = |lines| InvitationEvent::Offered {
        dialog: DIALOG(0),
        description: sdp_body(peer(lines, 2)),
    };
    bench.call(offer(2));
    assert_eq!(bench.drain(), ["HadProposalFailure", "Refuse"]);
    assert_eq!(bench.log(0), ["answer", "rollback"]);
    assert_eq!(bench.log(1), ["answer"]);
    // SES-38: fewer m-lines than before.
    bench.call(offer(1));
    assert_eq!(bench.drain(), ["HadProposalFailure", "Refuse"]);
    assert_eq!(bench.log(0), Vec::<&str>::new());
}

/// A line that the peer adds is refused, one that it removes is dropped; without any the call ends.
#[test]
fn the_peer_adds_and_removes_lines() {
    let mut bench = Bench::connected(2);
    let offer = |ports: &[u16]| {
        let mut text = String::from_utf8(peer(0, 2).to_vec()).unwrap();
        for port in ports {
            text.push_str(&format!("m=toy {port} TOY/1 0\r\n"));
        }
        InvitationEvent::Offered {
            dialog: DIALOG(0),
            description: sdp_body(Bytes::from(text)),
        }
    };
    bench.call(offer(&[0, 5000, 5002]));
    assert_eq!(bench.drain(), ["Answer", "DidRenegotiateStreams", "Remove"]);
    let ports = |bench: &Bench| -> Vec<u16> {
        bench
            .session
            .descriptions
            .sent()
            .unwrap()
            .media
            .iter()
            .map(|media| media.port)
            .collect()
    };
    assert_eq!(ports(&bench), [0, 4000, 0]);
    bench.call(offer(&[0, 0, 0]));
    assert_eq!(ports(&bench), [0, 0, 0]);
    assert_eq!(bench.drain()[..3], ["Answer", "End", "WillEnd"]);
}

/// STR-17: one of two streams breaks and is removed by an offer; the last one takes the call along.
#[test]
fn a_broken_stream_is_removed() {
    let mut bench = Bench::connected(2);
    let broken = || StreamNews::Failed(StreamError::Custom("broken"));
    bench.feed(SessionInput::Stream(bench.ids[0], broken()));
    assert_eq!(bench.drain(), ["-> sending_proposal", "Offer", "Remove"]);
    assert_eq!(bench.session.descriptions.sent().unwrap().media[0].port, 0);
    bench.feed(SessionInput::Stream(bench.ids[1], broken()));
    assert_eq!(bench.drain()[..2], ["End", "WillEnd"]);
}

/// A stream's own wish to be described anew, with preparation; an offer of the peer comes first.
#[test]
fn a_stream_asks_for_an_offer() {
    let mut bench = Bench::connected(1);
    bench.feed(SessionInput::Stream(
        bench.ids[0],
        StreamNews::Renegotiate { prepare: true },
    ));
    assert!(bench.drain().is_empty());
    bench.call(InvitationEvent::Offered {
        dialog: DIALOG(0),
        description: sdp_body(peer(1, 2)),
    });
    assert_eq!(bench.drain(), ["Answer"]);
    bench.prepare();
    assert_eq!(bench.drain(), ["-> sending_proposal", "Offer"]);
    assert_eq!(bench.log(0)[3..], ["restart", "answer", "update", "offer"]);
}

/// A stream that never says that it ended does not keep the session.
#[test]
fn a_stream_that_does_not_end_is_removed() {
    let mut bench = Bench::connected(1);
    bench.session.end(bench.now, &mut bench.streams).unwrap();
    bench.ended(Originator::Local, EndCause::UserRequest);
    let said = |bench: &mut Bench| {
        std::iter::from_fn(|| bench.session.poll_output())
            .filter(|o| matches!(o, SessionOutput::Ended))
            .count()
    };
    assert_eq!(said(&mut bench), 0);
    bench.wait(5);
    assert_eq!(said(&mut bench), 1);
}

/// The simulator asks which pairs happened.
#[test]
fn every_input_is_counted() {
    let bench = Bench::connected(1);
    let seen: Vec<String> = bench
        .session
        .coverage()
        .pairs()
        .filter(|(_, seen)| *seen)
        .map(|(pair, _)| pair)
        .collect();
    assert_eq!(
        seen,
        [
            "session outgoing Answered",
            "session outgoing Confirmed",
            "session outgoing Acknowledged",
            "session outgoing StreamPrepared",
            "session outgoing StreamStarted",
        ]
    );
}
