//! The session machine by hand: a toy stream on one side, the events of an invitation on the other.

#![expect(
    clippy::disallowed_types,
    reason = "a toy must be Send and tell what happened to it"
)]

mod early;
mod offer;
mod redirect;
mod table;

use super::{
    CallCommand, Limits, Session, SessionError, SessionInput, SessionOutput, State, StreamNews,
    accept::IncomingCall,
};
use crate::{
    event::{Originator, SessionEvent, StreamEvent},
    id::{SessionId, StreamId},
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
        Self::called(Instant::now(), count, Some(peer(count, 1)), false)
    }

    /// A call that leaves the offer to us.
    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin for virtual time"
    )]
    fn offerless(count: usize, is_reliable: bool) -> Self {
        Self::called(Instant::now(), count, None, is_reliable)
    }

    fn called(now: Instant, count: usize, offer: Option<Bytes>, is_reliable: bool) -> Self {
        let (mut streams, ids, logs) = Self::toys(count);
        let origin = sdp::Origin::new(7, [192, 0, 2, 1].into());
        let call = IncomingCall {
            dialog: DIALOG(0),
            offer,
            lines: ids.iter().copied().map(Some).collect(),
            is_confidential: false,
            is_reliable,
            replaces: None,
            particulars: Box::default(),
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
                // Where it belongs is a test of its own.
                SessionOutput::Event(SessionEvent::GotSdpUpdate { .. }) => continue,
                SessionOutput::Event(event) => name(&format!("{event:?}")),
                SessionOutput::StreamEvent(id, StreamEvent::WillEnd) => {
                    self.feed(SessionInput::Stream(id, StreamNews::Ended));
                    continue;
                }
                SessionOutput::StreamEvent(..) => continue,
                SessionOutput::ForgetTransfer => "ForgetTransfer".to_owned(),
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
    bench
        .session
        .end(bench.now, &mut bench.streams, None)
        .unwrap();
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
    bench
        .session
        .end(bench.now, &mut bench.streams, None)
        .unwrap();
    bench
        .session
        .end(bench.now, &mut bench.streams, None)
        .unwrap();
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
    bench
        .session
        .end(bench.now, &mut bench.streams, None)
        .unwrap();
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
            .reject(bench.now, &mut bench.streams, 200, None, None),
        Err(SessionError::BadCode)
    );
    bench
        .session
        .reject(bench.now, &mut bench.streams, 486, None, None)
        .unwrap();
    assert_eq!(bench.drain(), ["Reject", "-> terminating", "Remove"]);
    bench.ended(Originator::Local, EndCause::UserRequest);
    assert_eq!(bench.drain(), ["-> terminated", "DidFail", "Ended"]);
}
