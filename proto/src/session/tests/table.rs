//! Every input in every state, against the table.

use super::{
    super::{
        TransferInfo,
        state::{InputKind, Next, TABLE},
    },
    *,
};
use sip::ReferralEvent;

impl Bench {
    /// A session in each of its states.
    fn in_state(state: State) -> Self {
        let mut bench = match state {
            State::Incoming | State::Accepting => Self::incoming(1),
            State::Connected | State::SendingProposal | State::CancellingProposal => {
                Self::connected(1)
            }
            State::Outgoing | State::Terminating | State::Terminated => {
                let mut bench = Self::outgoing(1);
                bench.prepare();
                bench
            }
        };
        match state {
            State::Accepting => {
                bench
                    .session
                    .accept(bench.now, &mut bench.streams, &bench.ids.clone())
                    .unwrap();
                bench.prepare();
            }
            State::SendingProposal => bench.session.hold(bench.now, &mut bench.streams).unwrap(),
            State::CancellingProposal => {
                bench.session.hold(bench.now, &mut bench.streams).unwrap();
                let streams = &mut bench.streams;
                bench.session.cancel_proposal(bench.now, streams).unwrap();
            }
            State::Terminating => bench
                .session
                .end(bench.now, &mut bench.streams, None)
                .unwrap(),
            State::Terminated => {
                bench
                    .session
                    .end(bench.now, &mut bench.streams, None)
                    .unwrap();
                bench.ended(Originator::Local, EndCause::UserRequest);
            }
            State::Outgoing | State::Incoming | State::Connected => {}
        }
        assert_eq!(bench.session.state, state);
        bench
    }

    /// Hands one input in; true if it was refused.
    fn give(&mut self, input: InputKind) -> bool {
        let (now, streams, ids) = (self.now, &mut self.streams, self.ids.clone());
        let session = &mut self.session;
        let dialog = DIALOG(0);
        let news = |news| SessionInput::Stream(ids[0], news);
        let refused = match input {
            InputKind::Ring => session.ring().is_err(),
            InputKind::Progress => session.progress(now, streams, &ids).is_err(),
            InputKind::Accept => session.accept(now, streams, &ids).is_err(),
            InputKind::Reject => session.reject(now, streams, 486, None, None).is_err(),
            InputKind::End => session.end(now, streams, None).is_err(),
            InputKind::Hold => session.hold(now, streams).is_err(),
            InputKind::Unhold => session.unhold(now, streams).is_err(),
            InputKind::RequestProposal => session.request_proposal(now, streams).is_err(),
            InputKind::CancelProposal => session.cancel_proposal(now, streams).is_err(),
            InputKind::Transfer => session.may_transfer().is_err(),
            InputKind::Refer => {
                let info = TransferInfo::outgoing(CAROL.parse().unwrap(), None);
                session
                    .transfer_requested(info, CAROL.parse().unwrap())
                    .is_err()
            }
            _ => false,
        };
        let event = match input {
            InputKind::Provisional => provisional(180),
            InputKind::Offered => InvitationEvent::Offered {
                dialog,
                description: sdp_body(peer(1, 5)),
                immediate: false,
                asked: false,
            },
            InputKind::OfferRequested => InvitationEvent::OfferRequested { dialog },
            InputKind::OfferWithdrawn => InvitationEvent::OfferWithdrawn { dialog },
            InputKind::Answered => InvitationEvent::Answered {
                dialog,
                description: sdp_body(peer(1, 5)),
                early: false,
            },
            InputKind::OfferFailed => InvitationEvent::OfferFailed {
                dialog,
                code: Status::new(488).unwrap(),
                reason: String::new(),
                retry: None,
            },
            InputKind::Confirmed => InvitationEvent::Confirmed {
                dialog,
                headers: Headers::new(),
            },
            InputKind::Acknowledged => InvitationEvent::Acknowledged { dialog },
            InputKind::DialogEnded => InvitationEvent::DialogEnded { dialog },
            InputKind::CallEnded => {
                self.ended(Originator::Remote, EndCause::Bye);
                return false;
            }
            InputKind::StreamPrepared => return self.tell(news(StreamNews::Prepared)),
            InputKind::StreamStarted => return self.tell(news(StreamNews::Started)),
            InputKind::StreamFailed => {
                return self.tell(news(StreamNews::Failed(StreamError::Custom("broken"))));
            }
            InputKind::StreamEnded => return self.tell(news(StreamNews::Ended)),
            InputKind::Renegotiate => {
                return self.tell(news(StreamNews::Renegotiate { prepare: false }));
            }
            InputKind::Referral => {
                let accepted = ReferralEvent::Accepted {
                    code: Status::ACCEPTED,
                    reason: String::new(),
                };
                return self.tell(SessionInput::Referral(accepted));
            }
            InputKind::Timeout => return self.tell(SessionInput::Timeout),
            _ => return refused,
        };
        self.call(event);
        refused
    }

    fn tell(&mut self, input: SessionInput) -> bool {
        self.feed(input);
        false
    }
}

#[test]
fn the_code_does_what_the_table_says() {
    let mut wrong = Vec::new();
    for (input, row) in TABLE {
        for (state, expected) in State::ALL.into_iter().zip(row) {
            let mut bench = Bench::in_state(state);
            let refused = bench.give(input);
            let next = match (refused, bench.session.state == state) {
                (true, _) => Next::Refused,
                (false, true) => Next::Stay,
                (false, false) => Next::To(bench.session.state),
            };
            if next != expected {
                wrong.push(format!(
                    "{} {input:?}: {next:?}, not {expected:?}",
                    state.name()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_every_input_once() {
    assert_eq!(TABLE.map(|(input, _)| input), InputKind::ALL);
}

const CAROL: &str = "sip:carol@example.com";
