//! Offers in a call that stands: hold, refusals, lines that come and go.

use super::*;

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
    assert!(
        bench
            .session
            .info(&bench.streams, None, None)
            .on_hold_by_local
    );
}

/// RFC 3261, 14.1: what could not leave was refused by nobody, and goes later.
#[test]
fn what_is_held_back_is_told_as_no_failure() {
    let mut bench = Bench::connected(1);
    let (now, streams) = (bench.now, &mut bench.streams);
    bench.session.hold(now, streams).unwrap();
    assert_eq!(bench.drain(), ["-> sending_proposal", "Offer"]);
    let held_back = |bench: &mut Bench| {
        let retry = bench.now.checked_add(Duration::from_secs(2));
        bench.feed(SessionInput::OfferHeldBack { retry });
    };
    held_back(&mut bench);
    assert_eq!(updates(&mut bench), []);
    bench.wait(1);
    assert_eq!(bench.drain(), [""; 0]);
    bench.wait(1);
    assert_eq!(bench.drain(), ["-> sending_proposal", "Offer"]);
    let offered = bench.session.descriptions.sent().unwrap();
    assert_eq!(offered.direction(0), sdp::Direction::SendOnly);
    bench.answer(0, 2, false);
    assert_eq!(bench.drain(), ["-> connected", "DidChangeHoldState"]);
    // A wish for an offer waits for the INVITE before it, and is held back like an offer.
    let (now, streams) = (bench.now, &mut bench.streams);
    bench.session.request_proposal(now, streams).unwrap();
    assert_eq!(bench.drain(), [""; 0]);
    bench.call(InvitationEvent::Transaction {
        originator: Originator::Local,
        method: sip::Method::Invite,
        code: Status::OK,
        reason: String::new(),
        ack_received: Some(true),
    });
    assert_eq!(bench.drain().last().unwrap(), "RequestOffer");
    held_back(&mut bench);
    assert_eq!(bench.drain(), ["-> connected"]);
    bench.wait(2);
    assert_eq!(bench.drain(), ["-> sending_proposal", "RequestOffer"]);
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

/// What the exchanges of a session came to, as INV-14 tells it.
fn updates(bench: &mut Bench) -> Vec<Result<(), String>> {
    let outputs = std::iter::from_fn(|| bench.session.poll_output());
    let told = outputs.filter_map(|output| match output {
        SessionOutput::Event(SessionEvent::GotSdpUpdate {
            succeeded,
            error,
            local_sdp,
            remote_sdp,
        }) => {
            assert_eq!(succeeded, local_sdp.is_some() && remote_sdp.is_some());
            assert_eq!(succeeded, error.is_none());
            Some(error.map_or(Ok(()), Err))
        }
        _ => None,
    });
    told.collect()
}

/// INV-14: each exchange is told once, whoever offered, with what is agreed or why nothing is.
#[test]
fn inv_14_every_exchange_is_told() {
    let mut bench = Bench::outgoing(1);
    bench.prepare();
    assert_eq!(updates(&mut bench), []);
    bench.answer(0, 1, true);
    bench.answer(0, 1, false);
    bench.confirm(0);
    bench.news_of_all(|| StreamNews::Started);
    assert_eq!(updates(&mut bench), [Ok(())]);
    bench.session.hold(bench.now, &mut bench.streams).unwrap();
    bench.call(InvitationEvent::OfferFailed {
        dialog: DIALOG(0),
        code: Status::new(488).unwrap(),
        reason: "Not Acceptable Here".to_owned(),
        retry: None,
    });
    let refused = Err("Not Acceptable Here".to_owned());
    assert_eq!(updates(&mut bench), [refused]);
    let offered = |lines| InvitationEvent::Offered {
        dialog: DIALOG(0),
        description: sdp_body(peer(lines, 2)),
        immediate: false,
        asked: false,
    };
    bench.call(offered(1));
    assert_eq!(updates(&mut bench), [Ok(())]);
    bench.call(offered(0));
    assert!(matches!(updates(&mut bench)[..], [Err(_)]));
}

/// RFC 3261, 14.1: a peer that is asked for an offer and accepts without one has agreed on nothing.
#[test]
fn inv_14_a_2xx_without_the_offer_that_was_asked_for() {
    let mut bench = Bench::connected(1);
    let _ = bench.log(0);
    let ask = |bench: &mut Bench| {
        let (now, streams) = (bench.now, &mut bench.streams);
        bench.session.request_proposal(now, streams)
    };
    ask(&mut bench).unwrap();
    assert_eq!(bench.drain(), ["-> sending_proposal", "RequestOffer"]);
    assert!(ask(&mut bench).is_err());
    let failed = |code| InvitationEvent::OfferFailed {
        dialog: DIALOG(0),
        code: Status::new(code).unwrap(),
        reason: "Missing Session Description".to_owned(),
        retry: None,
    };
    bench.call(failed(200));
    assert_eq!(bench.drain(), ["-> connected", "HadProposalFailure"]);
    ask(&mut bench).unwrap();
    bench.call(failed(488));
    assert_eq!(bench.drain()[2..], ["-> connected", "GotRejectProposal"]);
    // No stream has proposed anything that could be taken back.
    assert_eq!(bench.log(0), [""; 0]);
}

/// What the application wished is taken back for good, what a stream needs goes again (SES-27).
#[test]
fn what_streams_need_outlives_cancel() {
    let mut bench = Bench::connected(1);
    bench.session.hold(bench.now, &mut bench.streams).unwrap();
    let needs = StreamNews::Renegotiate { prepare: false };
    bench.feed(SessionInput::Stream(bench.ids[0], needs));
    bench.drain();
    let (now, streams) = (bench.now, &mut bench.streams);
    bench.session.cancel_proposal(now, streams).unwrap();
    assert_eq!(bench.drain(), ["-> cancelling_proposal", "CancelOffer"]);
    bench.call(InvitationEvent::OfferFailed {
        dialog: DIALOG(0),
        code: Status::REQUEST_TERMINATED,
        reason: "Request Terminated".to_owned(),
        retry: None,
    });
    assert_eq!(
        bench.drain(),
        [
            "-> connected",
            "GotRejectProposal",
            "-> sending_proposal",
            "Offer"
        ]
    );
    let offered = bench.session.descriptions.sent().unwrap();
    assert_eq!(offered.direction(0), sdp::Direction::SendRecv);
    // This one is needed, so that it comes once more.
    let (now, streams) = (bench.now, &mut bench.streams);
    bench.session.cancel_proposal(now, streams).unwrap();
    bench.drain();
    bench.call(InvitationEvent::OfferFailed {
        dialog: DIALOG(0),
        code: Status::REQUEST_TERMINATED,
        reason: "Request Terminated".to_owned(),
        retry: None,
    });
    assert_eq!(bench.drain().last().unwrap(), "Offer");
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
        immediate: false,
        asked: false,
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
            immediate: false,
            asked: false,
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
        immediate: false,
        asked: false,
    });
    assert_eq!(bench.drain(), ["Answer"]);
    bench.prepare();
    assert_eq!(bench.drain(), ["-> sending_proposal", "Offer"]);
    assert_eq!(bench.log(0)[3..], ["restart", "answer", "update", "offer"]);
    // SES-31 is for wishes: where we are now the peer must learn.
    bench.wait(31);
    assert!(bench.drain().is_empty());
}

/// A stream that never says that it ended does not keep the session.
#[test]
fn a_stream_that_does_not_end_is_removed() {
    let mut bench = Bench::connected(1);
    bench
        .session
        .end(bench.now, &mut bench.streams, None)
        .unwrap();
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
