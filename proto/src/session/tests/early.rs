//! An answer before the call is taken.

use super::*;

fn progress(bench: &mut Bench, ids: &[StreamId]) -> Result<(), SessionError> {
    bench.session.progress(bench.now, &mut bench.streams, ids)
}

fn accept(bench: &mut Bench, ids: &[StreamId]) -> Result<(), SessionError> {
    bench.session.accept(bench.now, &mut bench.streams, ids)
}

/// INV-07: streams start before the call is taken; the 2xx says what the 183 has said, and nothing restarts.
#[test]
fn streams_start_before_the_call_is_taken() {
    let mut bench = Bench::incoming(2);
    bench.drain();
    let first = bench.ids[0];
    progress(&mut bench, &[first]).unwrap();
    // It waits for the streams that it named; the other one is refused.
    assert_eq!(bench.drain(), ["Remove"]);
    assert_eq!(
        progress(&mut bench, &[first]),
        Err(SessionError::AlreadyAnswered)
    );
    bench.feed(SessionInput::Stream(first, StreamNews::Prepared));
    assert_eq!(bench.drain(), ["Progress"]);
    assert_eq!(bench.session.state, State::Incoming);
    let shown = bench.session.descriptions.offered();
    bench.feed(SessionInput::Stream(first, StreamNews::Started));
    assert_eq!(bench.log(0), ["prepare", "answer", "start"]);
    assert_eq!(bench.log(1), ["prepare", "end"]);
    let all = bench.ids.clone();
    assert_eq!(accept(&mut bench, &all), Err(SessionError::UnknownStream));
    accept(&mut bench, &[first]).unwrap();
    assert_eq!(bench.drain(), ["-> accepting", "Accept", "WillStart"]);
    assert_eq!(bench.session.descriptions.offered(), shown);
    bench.call(InvitationEvent::Acknowledged { dialog: DIALOG(0) });
    bench.call(InvitationEvent::Confirmed {
        dialog: DIALOG(0),
        headers: Headers::new(),
    });
    assert_eq!(bench.session.state, State::Connected);
    assert_eq!(bench.log(0), [""; 0]);
}

/// What was answered is answered: the call is taken with it or not at all.
#[test]
fn a_call_is_taken_with_all_that_was_answered() {
    let mut bench = Bench::incoming(2);
    bench.prepare();
    let all = bench.ids.clone();
    assert_eq!(progress(&mut bench, &[]), Err(SessionError::NoStreams));
    progress(&mut bench, &all).unwrap();
    bench.drain();
    assert_eq!(
        accept(&mut bench, &all[..1]),
        Err(SessionError::AlreadyAnswered)
    );
    bench
        .session
        .reject(bench.now, &mut bench.streams, 486, None, None)
        .unwrap();
    assert_eq!(bench.drain()[..2], ["Reject", "-> terminating"]);
}

/// A call that is taken meanwhile needs no 183.
#[test]
fn a_call_that_is_taken_while_its_streams_prepare_has_one_answer() {
    let mut bench = Bench::incoming(1);
    let all = bench.ids.clone();
    progress(&mut bench, &all).unwrap();
    accept(&mut bench, &all).unwrap();
    bench.drain();
    bench.prepare();
    assert_eq!(bench.drain(), ["Accept", "WillStart"]);
}

/// RFC 3261, 13.2.1: without an offer in the INVITE ours has to arrive for sure.
#[test]
fn an_offer_of_ours_goes_early_only_where_it_arrives() {
    for is_reliable in [false, true] {
        let mut bench = Bench::offerless(1, is_reliable);
        bench.prepare();
        bench.drain();
        let all = bench.ids.clone();
        match is_reliable {
            false => assert_eq!(progress(&mut bench, &all), Err(SessionError::Unreliable)),
            true => {
                progress(&mut bench, &all).unwrap();
                assert_eq!(bench.drain(), ["Progress"]);
                assert_eq!(bench.log(0), ["prepare", "offer"]);
                bench.answer(0, 1, false);
                assert_eq!(bench.log(0), ["start"]);
            }
        }
    }
}

/// An UPDATE of a fork that is not followed: its streams are not ours to change.
#[test]
fn another_fork_cannot_take_the_streams_along() {
    let mut bench = Bench::outgoing(1);
    bench.prepare();
    bench.answer(0, 1, false);
    bench.drain();
    bench.log(0);
    let update = |dialog| InvitationEvent::Offered {
        dialog: DIALOG(dialog),
        description: sdp_body(peer(1, 2)),
        immediate: true,
        asked: false,
    };
    bench.call(update(1));
    assert_eq!(bench.drain(), ["Refuse"]);
    assert_eq!(bench.log(0), [""; 0]);
    bench.call(update(0));
    assert_eq!(bench.drain(), ["Answer"]);
    assert_eq!(bench.log(0), ["answer", "update"]);
}
