//! Reliable responses whose numbers are out of order (RFC 3262, 4).

use super::{accept, is_incoming, progress};
use crate::{
    call::{label, wait},
    line::{PATIENCE, audio, call_line, hears, requests, sent},
    runs::Matrix,
};
use simulator::Stage;
use sip::{
    HeaderName, Message, Method, Status,
    config::Reliability,
    header::{RAck, RSeq},
    usage::invitation::{InvitationEvent, Originator},
};
use sipsimple::agent::UserAgent;
use std::{cell::Cell, rc::Rc, time::Duration};

/// How often the second response goes out under a wrong number.
const WRONG: u32 = 3;

/// Line 0 says `number` of its first RSeq for that of its second response, for the first times. Returns how often it has sent it.
fn misnumbers(stage: &mut Stage, number: fn(u32) -> u32) -> Rc<Cell<u32>> {
    let count = Rc::new(Cell::new(0));
    let counter = Rc::clone(&count);
    let mut first = None;
    stage.line(0, "misnumbers", move |line, _| {
        line.set_slip(move |message| {
            if let Message::Response(response) = message
                && let Some(Ok(RSeq(said))) = response.headers.typed::<RSeq>()
            {
                let first = *first.get_or_insert(said);
                if said != first {
                    counter.set(counter.get() + 1);
                    if counter.get() <= WRONG {
                        response
                            .headers
                            .insert(HeaderName::RSeq, RSeq(number(first)));
                    }
                }
            }
            true
        });
    });
    count
}

/// The numbers of the responses that a caller acknowledged, each once, beside the least.
fn acknowledged(stage: &Stage) -> Vec<u32> {
    let requests = sent(stage, stage.alice).into_iter();
    let mut numbers: Vec<u32> = requests
        .filter_map(|message| match message {
            Message::Request(request) => {
                Some(request.headers.typed::<RAck>()?.expect("ours").response)
            }
            Message::Response(_) => None,
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let first = numbers.first().copied().unwrap_or_default();
    numbers.iter().map(|number| number - first).collect()
}

/// The line rings reliably, and then answers in a 183 that has the wrong number at first: it is neither acknowledged nor
/// followed until it comes under its own.
fn out_of_turn(name: &'static str, number: fn(u32) -> u32) {
    Matrix {
        lines: 1,
        sip: |name, sip| {
            if name == "line1" {
                sip.reliable = Reliability::Required;
            }
        },
        ..Matrix::new(name)
    }
    .run("connected", |stage| {
        let alice = stage.alice;
        let count = misnumbers(stage, number);
        let call = call_line(stage, 0);
        if !hears(stage, 0, 1, is_incoming) {
            return "not called".to_owned();
        }
        progress(stage, 0, None);
        let is_prack = |event: &InvitationEvent| {
            matches!(event, InvitationEvent::Transaction { originator: Originator::Remote, method: Method::Prack, code, .. }
                if *code == Status::OK)
        };
        if !hears(stage, 0, 1, is_prack) {
            return "no PRACK".to_owned();
        }
        progress(stage, 0, Some(audio(0, 1, "sendrecv")));
        while count.get() < WRONG {
            stage.world.run_for(Duration::from_millis(50));
        }
        // The next copy leaves two seconds later.
        stage.world.run_for(Duration::from_secs(1));
        assert_eq!(acknowledged(stage), [0]);
        let agent = stage.world.node::<UserAgent>(alice);
        assert!(agent.descriptions(call).is_none());
        // The 2xx waits for the PRACK.
        accept(stage, 0);
        wait(stage, alice, call, PATIENCE);
        let label = label(stage, alice, call);
        if label == "connected" {
            let mut acknowledged = acknowledged(stage);
            assert_eq!(
                requests(stage, alice, &Method::Prack),
                acknowledged.len()
            );
            // After a gap, a copy under the wrong number that the right one has overtaken is the next in turn.
            acknowledged.truncate(2);
            assert_eq!(acknowledged, [0, 1]);
            let agent = stage.world.node::<UserAgent>(alice);
            let (_, remote) = agent.descriptions(call).expect("agreed");
            assert_eq!(remote, audio(0, 1, "sendrecv").body);
        }
        label
    });
}

/// A gap: another response is still on its way.
#[test]
fn inv_16_a_response_after_a_gap_waits_for_its_turn() {
    out_of_turn("RSeq gap", |first| first + 2);
}

/// A number that was acknowledged is that of a repetition, whatever the response says.
#[test]
fn inv_16_a_number_that_was_taken_is_not_taken_twice() {
    out_of_turn("RSeq repeated", |first| first);
}

/// So is any before it.
#[test]
fn inv_16_an_old_number_is_not_taken() {
    out_of_turn("RSeq old", |first| first - 1);
}
