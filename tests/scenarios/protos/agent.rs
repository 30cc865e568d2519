//! The same at a whole agent with audio, which reads the descriptions, too, accepts whatever it can, and
//! hangs up when the CANCEL comes too late.

use super::{Case, Histogram, cases, is_known};
use crate::{
    heap, reflection,
    wire::{request, secs},
};
use simulator::{Habit, Parcel, Phone};
use sipsimple::{
    agent::{Class, Stats},
    event::{Event, SessionEvent},
};

/// Codes of the final responses to INVITE.
fn finals(parcels: &[Parcel]) -> String {
    let signalling = parcels
        .iter()
        .filter(|parcel| parcel.class == Class::Signalling);
    let texts = signalling.map(|parcel| String::from_utf8_lossy(&parcel.payload).into_owned());
    let codes = texts.filter_map(|text| Some(text.strip_prefix("SIP/2.0 ")?[..3].to_owned()));
    let codes: Vec<String> = codes.filter(|code| !code.starts_with('1')).collect();
    match codes.is_empty() {
        true => "silence".to_owned(),
        false => codes.join(" "),
    }
}

fn play(phone: &mut Phone, cases: &[Case]) -> Histogram {
    let source = "127.0.0.1:5060".parse().unwrap();
    let mut histogram = Histogram::default();
    for (number, case) in cases.iter().enumerate() {
        phone.datagram(source, &case.invite);
        histogram.count(&case.attacked, finals(&phone.take_parcels()));
        phone.datagram(source, &case.teardown);
        let calls = phone
            .take_events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Session(id, SessionEvent::NewIncoming { .. }) => Some(id),
                _ => None,
            });
        for call in calls {
            // Refused, expired and cancelled calls are over.
            let _ = phone.command(|agent, now| agent.end(now, call));
        }
        phone.take_parcels();
        let ping = request("OPTIONS", &format!("good{number}"), None, 1);
        let ping = ping.replace("a84b4c76e66710", &format!("good{number}"));
        phone.datagram(source, ping.as_bytes());
        assert_eq!(finals(&phone.take_parcels()), "200", "after case {number}");
        // The ACK never comes: 64 calls wait for it at most.
        phone.wait(secs(1));
        phone.take_parcels();
    }
    assert_eq!(phone.rest(secs(5_000)), Stats::default());
    phone.take_parcels();
    phone.take_events();
    histogram
}

#[test]
fn every_case_is_answered_and_nothing_stays() {
    let Some(cases) = cases() else { return };
    let mut phone = reflection::phone(Habit::Accept);
    let histogram = play(&mut phone, &cases);
    // Tables and maps find their size: from then on not a byte may stay.
    play(&mut phone, &cases);
    let before = heap::live();
    heap::begin();
    let again = play(&mut phone, &cases);
    let peak = heap::peak() - before;
    assert_eq!(again, histogram, "a second run is the first");
    drop(again);
    let after = heap::live();
    println!(
        "{} cases; live heap before {before}, after {after}, at most {peak} more",
        cases.len()
    );
    assert_eq!(after, before);
    assert_eq!(phone.open_links(), 2, "where it listens");
    if is_known(&cases) {
        insta::assert_snapshot!(histogram.table());
    }
}
