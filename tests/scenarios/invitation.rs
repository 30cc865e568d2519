//! What an invitation may be asked for, when, and what it tells (requirements 31), by its own interface.

use crate::{
    line::{act, answered, audio, hears, latest, requests, sent, told},
    runs::Matrix,
};
use simulator::{Crash, Line, Stage};
use sip::{
    Description, HeaderName, Headers, Invite, Message, Method, Status,
    header::Address,
    usage::invitation::{
        AnswerError, EndCause, InvitationEvent, InviteError, OfferError, Originator, RespondError,
        State,
    },
};
use std::time::Duration;

fn two_lines(name: &'static str) -> Matrix {
    Matrix {
        lines: 2,
        losses: &[0.0, 0.1],
        ..Matrix::new(name)
    }
}

fn is_incoming(event: &InvitationEvent) -> bool {
    matches!(event, InvitationEvent::Incoming(_))
}

fn is_acknowledged(event: &InvitationEvent) -> bool {
    matches!(event, InvitationEvent::Acknowledged { .. })
}

/// Line 0 calls line 1, which has heard of it.
fn call(stage: &mut Stage) {
    let (to, offer) = (stage.line_uri(1), audio(0, 1, "sendrecv"));
    stage
        .line(0, "call", |line, now| line.call(now, to, Some(offer)))
        .unwrap();
    assert!(hears(stage, 1, 1, is_incoming));
}

/// The same, and it is accepted and acknowledged.
fn connect(stage: &mut Stage) {
    call(stage);
    act(stage, 1, "accept", |call, now| {
        call.accept(now, audio(1, 1, "sendrecv"), Headers::new())
    })
    .unwrap()
    .unwrap();
    assert!(hears(stage, 1, 1, is_acknowledged));
    assert!(hears(stage, 0, 1, is_acknowledged));
}

fn state(stage: &mut Stage, n: usize) -> State {
    act(stage, n, "look", |call, _| call.state()).unwrap_or(State::Disconnected)
}

/// The states that a line was told, in their order, each once.
fn states(stage: &Stage, n: usize) -> String {
    let line = stage.world.node::<Line>(stage.lines[n]);
    let states = line.events().iter().filter_map(|(_, event)| match event {
        InvitationEvent::StateChanged { state, .. } => Some(state.name()),
        _ => None,
    });
    let mut states: Vec<_> = states.collect();
    states.dedup();
    states.join(" ")
}

fn ended(stage: &Stage, n: usize) -> Option<(Originator, EndCause, Option<Status>)> {
    let line = stage.world.node::<Line>(stage.lines[n]);
    match line.events().last() {
        Some((
            _,
            InvitationEvent::Ended {
                originator,
                cause,
                code,
                ..
            },
        )) => Some((*originator, *cause, *code)),
        _ => None,
    }
}

/// INV-01: descriptions pass as they are, whatever they say, and both ends of a call are the same type, which knows of
/// no media.
#[test]
fn inv_01_descriptions_pass_unread_between_equals() {
    two_lines("unread").run("unread", |stage| {
        let strange = |text: &str| Description {
            content_type: "application/sdp".to_owned(),
            body: format!("v=7\r\nm=smell 0 AIR/1 rose\r\n{text}").into(),
        };
        let (to, offer) = (stage.line_uri(1), strange("offer"));
        stage
            .line(0, "call", |line, now| line.call(now, to, Some(offer)))
            .unwrap();
        assert!(hears(stage, 1, 1, is_incoming));
        let offered = |event: &InvitationEvent| match event {
            InvitationEvent::Incoming(call) => call.offer.as_ref() == Some(&strange("offer")),
            _ => false,
        };
        assert_eq!(told(stage, 1, offered), 1);
        act(stage, 1, "accept", |call, now| {
            call.accept(now, strange("answer"), Headers::new())
        })
        .unwrap()
        .unwrap();
        assert!(hears(stage, 0, 1, is_acknowledged) && hears(stage, 1, 1, is_acknowledged));
        let answered = |event: &InvitationEvent| match event {
            InvitationEvent::Answered { description, .. } => *description == strange("answer"),
            _ => false,
        };
        assert_eq!(told(stage, 0, answered), 1);
        // What either side may do to a call that stands is the same.
        for (n, is_outgoing) in [(0, true), (1, false)] {
            let info = act(stage, n, "look", |call, _| call.info())
                .flatten()
                .unwrap();
            assert_eq!(
                (info.is_outgoing, info.state),
                (is_outgoing, State::Confirmed)
            );
            assert_eq!(info.confirmed.into_iter().collect::<Vec<_>>(), info.dialogs);
        }
        "unread".to_owned()
    });
}

/// INV-06: an INVITE goes out once, with the further headers that it is given, none of which is the stack's to write; its
/// call begins in NULL, and who is called has none to send.
#[test]
fn inv_06_an_invite_goes_once_with_further_headers() {
    two_lines("further headers").run("once", |stage| {
        let to = stage.line_uri(1);
        let invite = |headers: &[(HeaderName, &str)]| {
            let from = "sip:line1@10.0.0.100".parse().unwrap();
            let mut invite = Invite::new(Address::new(from), Address::new(to.clone()));
            invite.offer = Some(audio(0, 1, "sendrecv"));
            for (name, value) in headers {
                invite.headers.push(*name, *value);
            }
            invite
        };
        let refused = invite(&[(HeaderName::CallId, "mine")]);
        let given = invite(&[
            (HeaderName::Subject, "tea"),
            (HeaderName::Priority, "urgent"),
        ]);
        stage.line(0, "invite", |line, now| {
            let endpoint = line.endpoint_mut();
            let refused = endpoint.invite(now, refused).map(drop);
            assert_eq!(refused, Err(InviteError::Reserved(HeaderName::CallId)));
            assert_eq!(endpoint.invitations().count(), 0);
            endpoint.invite(now, given).unwrap();
        });
        assert!(hears(stage, 1, 1, is_incoming));
        let has_them = |event: &InvitationEvent| match event {
            InvitationEvent::Incoming(call) => {
                call.headers.get(HeaderName::Subject) == Some(b"tea")
                    && call.headers.get(HeaderName::Priority) == Some(b"urgent")
            }
            _ => false,
        };
        assert_eq!(told(stage, 1, has_them), 1);
        let begins = |event: &InvitationEvent| {
            matches!(
                event,
                InvitationEvent::StateChanged {
                    prev: State::Null,
                    state: State::Calling,
                    ..
                }
            )
        };
        assert_eq!((told(stage, 0, begins), told(stage, 1, begins)), (1, 0));
        // Nothing that is asked of a call sends its INVITE again, from either side.
        for n in [0, 1] {
            let offered = act(stage, n, "offer", |call, now| {
                call.offer(now, Some(audio(n, 2, "sendrecv")), &Headers::new())
            });
            assert!(matches!(offered, Some(Err(OfferError::WrongState(_)))));
        }
        assert_eq!(requests(stage, stage.lines[0], &Method::Invite), 1);
        assert_eq!(requests(stage, stage.lines[1], &Method::Invite), 0);
        "once".to_owned()
    });
}

/// INV-07, INV-08: only who is called answers, once, provisionally with 101 to 199 and then for good.
#[test]
fn inv_07_only_an_incoming_call_rings_and_inv_08_is_accepted() {
    two_lines("who answers").run("Confirmed", |stage| {
        call(stage);
        let none = Headers::new;
        let by_caller = act(stage, 0, "wrong", |call, now| {
            [
                call.ring(now),
                call.accept(now, audio(0, 2, "sendrecv"), none()),
                call.reject(now, Status::BUSY_HERE, None, &none()),
            ]
        });
        let is_wrong = |result: &Result<(), RespondError>| {
            matches!(
                result,
                Err(RespondError::WrongState(State::Calling | State::Early))
            )
        };
        assert!(by_caller.unwrap().iter().all(is_wrong));
        let statuses = act(stage, 1, "wrong", |call, now| {
            [Status::TRYING, Status::OK, Status::BUSY_HERE]
                .map(|code| call.provisional(now, code, None, none(), None))
        });
        assert_eq!(statuses, Some([Err(RespondError::WrongStatus); 3]));
        assert_eq!(state(stage, 1), State::Incoming);
        act(stage, 1, "ring", |call, now| call.ring(now))
            .unwrap()
            .unwrap();
        assert_eq!(state(stage, 1), State::Early);
        let accept = |stage: &mut Stage| {
            act(stage, 1, "accept", |call, now| {
                call.accept(now, audio(1, 1, "sendrecv"), none())
            })
            .unwrap()
        };
        accept(stage).unwrap();
        let again = [
            accept(stage),
            act(stage, 1, "ring", |call, now| call.ring(now)).unwrap(),
        ];
        for again in again {
            assert!(
                matches!(again, Err(RespondError::WrongState(_))),
                "{again:?}"
            );
        }
        hears(stage, 1, 1, is_acknowledged);
        state(stage, 1).name().to_owned()
    });
}

/// INV-05, INV-10, INV-11: a call that stands is offered something else, which is answered or refused, once.
#[test]
fn inv_11_only_a_call_that_stands_offers_and_inv_10_is_answered() {
    two_lines("re-INVITE").run("agreed, refused", |stage| {
        call(stage);
        let offer = |stage: &mut Stage, n: usize, version| {
            act(stage, n, "offer", |call, now| {
                let description = audio(n, version, "sendonly");
                call.offer(now, Some(description), &Headers::new())
            })
            .unwrap()
        };
        for n in [0, 1] {
            let early = offer(stage, n, 2);
            assert!(matches!(early, Err(OfferError::WrongState(_))), "{early:?}");
        }
        act(stage, 1, "accept", |call, now| {
            call.accept(now, audio(1, 1, "sendrecv"), Headers::new())
        })
        .unwrap()
        .unwrap();
        assert!(hears(stage, 1, 1, is_acknowledged) && hears(stage, 0, 1, is_acknowledged));
        let dialog = act(stage, 1, "look", |call, _| call.info()?.confirmed).flatten();
        let dialog = dialog.expect("a confirmed dialog");
        let answer = |stage: &mut Stage| {
            act(stage, 1, "answer", |call, now| {
                call.answer(now, dialog, audio(1, 2, "recvonly"))
            })
            .unwrap()
        };
        assert_eq!(answer(stage), Err(AnswerError::NoOffer));
        offer(stage, 0, 2).unwrap();
        assert_eq!(offer(stage, 0, 3), Err(OfferError::Busy));
        let offered = |event: &InvitationEvent| matches!(event, InvitationEvent::Offered { .. });
        assert!(hears(stage, 1, 1, offered));
        assert_eq!(state(stage, 1), State::Reinvited);
        assert_eq!(answer(stage), Ok(()));
        assert_eq!(answer(stage), Err(AnswerError::NoOffer));
        let agreed = |event: &InvitationEvent| {
            let answer = audio(1, 2, "recvonly");
            matches!(event, InvitationEvent::Answered { description, .. } if *description == answer)
        };
        assert!(hears(stage, 0, 1, agreed));
        // The ACK may be on its way.
        while offer(stage, 0, 3) == Err(OfferError::Busy) {
            stage.world.run_for(Duration::from_millis(100));
        }
        assert!(hears(stage, 1, 2, offered));
        let code = Status::NOT_ACCEPTABLE_HERE;
        let refuse = |stage: &mut Stage, code| {
            act(stage, 1, "refuse", |call, now| call.refuse(now, dialog, code, None)).unwrap()
        };
        assert_eq!(refuse(stage, Status::OK), Err(AnswerError::WrongStatus));
        assert_eq!(refuse(stage, code), Ok(()));
        let failed = |event: &InvitationEvent| {
            matches!(event, InvitationEvent::OfferFailed { code: said, .. } if *said == code)
        };
        assert!(hears(stage, 0, 1, failed));
        match (state(stage, 0), state(stage, 1)) {
            (State::Confirmed, State::Confirmed) => "agreed, refused".to_owned(),
            states => format!("{states:?}"),
        }
    });
}

/// INV-09: the end is what the state asks for: CANCEL before the answer, a refusal by who is called, BYE after it.
#[test]
fn inv_09_the_end_is_what_the_state_asks_for() {
    two_lines("ends").run("CANCEL, 603, BYE", |stage| {
        let end = |stage: &mut Stage, n: usize| {
            act(stage, n, "end", |call, now| call.end(now, &Headers::new())).unwrap()
        };
        let mut ways = Vec::new();
        call(stage);
        end(stage, 0).unwrap();
        // Ended twice is ended.
        end(stage, 0).unwrap();
        stage.world.run_for(Duration::from_secs(40));
        if requests(stage, stage.lines[0], &Method::Cancel) == 1 {
            ways.push("CANCEL");
        }
        let cancelled = ended(stage, 1);
        assert_eq!(
            cancelled,
            Some((
                Originator::Remote,
                EndCause::Cancelled,
                Some(Status::REQUEST_TERMINATED)
            ))
        );
        let (to, offer) = (stage.line_uri(1), audio(0, 1, "sendrecv"));
        stage
            .line(0, "call", |line, now| line.call(now, to, Some(offer)))
            .unwrap();
        assert!(hears(stage, 1, 2, is_incoming));
        end(stage, 1).unwrap();
        stage.world.run_for(Duration::from_secs(40));
        if answered(stage, stage.lines[1], &Method::Invite, Status::DECLINE) {
            ways.push("603");
        }
        let refused = ended(stage, 0);
        assert_eq!(
            refused,
            Some((
                Originator::Remote,
                EndCause::Rejected,
                Some(Status::DECLINE)
            ))
        );
        let (to, offer) = (stage.line_uri(1), audio(0, 1, "sendrecv"));
        stage
            .line(0, "call", |line, now| line.call(now, to, Some(offer)))
            .unwrap();
        assert!(hears(stage, 1, 3, is_incoming));
        act(stage, 1, "accept", |call, now| {
            call.accept(now, audio(1, 1, "sendrecv"), Headers::new())
        })
        .unwrap()
        .unwrap();
        assert!(hears(stage, 0, 1, is_acknowledged) && hears(stage, 1, 1, is_acknowledged));
        end(stage, 1).unwrap();
        stage.world.run_for(Duration::from_secs(40));
        if requests(stage, stage.lines[1], &Method::Bye) == 1 {
            ways.push("BYE");
        }
        assert_eq!(
            ended(stage, 0),
            Some((Originator::Remote, EndCause::Bye, None))
        );
        assert_eq!(latest(stage, 0), None);
        ways.join(", ")
    });
}

/// INV-13: every state is told, in the order of the table, with what moved it; a further provisional response
/// is told, too.
#[test]
fn inv_13_every_state_is_told() {
    two_lines("states").run("told", |stage| {
        call(stage);
        act(stage, 1, "ring", |call, now| call.ring(now))
            .unwrap()
            .unwrap();
        let early = |event: &InvitationEvent| {
            matches!(
                event,
                InvitationEvent::StateChanged {
                    state: State::Early,
                    ..
                }
            )
        };
        hears(stage, 0, 1, early);
        act(stage, 1, "progress", |call, now| {
            let code = Status::SESSION_PROGRESS;
            call.provisional(now, code, None, Headers::new(), None)
        })
        .unwrap()
        .unwrap();
        hears(stage, 0, 2, early);
        act(stage, 1, "accept", |call, now| {
            call.accept(now, audio(1, 1, "sendrecv"), Headers::new())
        })
        .unwrap()
        .unwrap();
        assert!(hears(stage, 1, 1, is_acknowledged) && hears(stage, 0, 1, is_acknowledged));
        act(stage, 0, "end", |call, now| call.end(now, &Headers::new()))
            .unwrap()
            .unwrap();
        stage.world.run_for(Duration::from_secs(40));
        let end = "Connecting Confirmed Disconnecting Disconnected";
        assert_eq!(states(stage, 1), format!("Incoming Early {end}"));
        let caller = states(stage, 0);
        assert_eq!(caller, format!("Calling Early {end}"));
        let by = |wants: fn(&Option<Method>, &Option<Status>, State) -> bool| {
            move |event: &InvitationEvent| match event {
                InvitationEvent::StateChanged {
                    method,
                    code,
                    state,
                    ..
                } => wants(method, code, *state),
                _ => false,
            }
        };
        let is_ok = by(|_, code, state| *code == Some(Status::OK) && state == State::Connecting);
        let is_bye =
            by(|method, _, state| *method == Some(Method::Bye) && state == State::Disconnecting);
        assert_eq!((told(stage, 0, is_ok), told(stage, 1, is_bye)), (1, 1));
        "told".to_owned()
    });
}

/// INV-18: the Contact of who is called has the user that was called, and an address of its own.
#[test]
fn inv_18_the_contact_of_who_is_called() {
    two_lines("Contact").run("line2@10.0.0.101", |stage| {
        connect(stage);
        let contacts = sent(stage, stage.lines[1]).into_iter();
        let contact = contacts.filter_map(|message| match message {
            Message::Response(response) if response.status == Status::OK => {
                let value = response.headers.get(HeaderName::Contact)?.to_vec();
                Some(String::from_utf8_lossy(&value).into_owned())
            }
            _ => None,
        });
        let contact = contact.last().unwrap_or_default();
        assert!(
            contact.starts_with("<sip:line2@10.0.0.101:5060"),
            "{contact}"
        );
        "line2@10.0.0.101".to_owned()
    });
}

/// INV-17: a caller that dies acknowledges nothing: the call is over by a 408 of our own.
#[test]
fn inv_17_a_2xx_without_ack_ends_the_call() {
    two_lines("no ACK").run("408 missing ACK", |stage| {
        call(stage);
        stage.world.crash(stage.lines[0], Crash::Power);
        act(stage, 1, "accept", |call, now| {
            call.accept(now, audio(1, 1, "sendrecv"), Headers::new())
        })
        .unwrap()
        .unwrap();
        stage.world.run_for(Duration::from_secs(70));
        match ended(stage, 1) {
            Some((Originator::Local, cause, code)) => {
                format!("{} {cause}", code.map_or(0, Status::code))
            }
            ended => format!("{ended:?}"),
        }
    });
}
