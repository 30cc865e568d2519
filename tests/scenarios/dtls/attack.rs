//! Somebody on the wire, who changes what is said of certificates and adds what nobody sent.

use super::{is_muxed, setup};
use crate::{
    beside::{end, heard, start},
    call::both,
    runs::{play, seeds},
    srtp::{encryption, sound, stream, talk, told},
};
use bytes::Bytes;
use simulator::{Setup, Verdict};
use sipsimple::{
    agent::UserAgent,
    event::{Event, SessionEvent, StreamError, StreamEvent},
    stream::{Encryption, StreamSpec, audio::AudioStream, audio::KIND},
};
use std::{cell::Cell, rc::Rc, time::Duration};

/// One digit of the callee's fingerprint is another one: the caller hears nothing, says nothing, and ends the
/// call with the reason (RFC 8122, 6).
#[test]
fn rtp_10_one_digit_of_the_fingerprint_leaves_silence() {
    for seed in 0..seeds().min(12) {
        // Side by side and over UDP, so that the answer is one datagram.
        let mut setup = Setup::new(seed);
        setup.record = true;
        setup.configure = Rc::new(move |_, config| {
            config.media.encryption = Encryption::DtlsMandatory;
            config.media.rtcp_mux = is_muxed(seed);
        });
        play(&setup, |stage| {
            let changed = Rc::new(Cell::new(0));
            let count = Rc::clone(&changed);
            stage
                .world
                .intercept(move |packet| match with_another_digit(packet.payload) {
                    Some(forged) => {
                        count.set(count.get() + 1);
                        Verdict::Instead(forged)
                    }
                    None => Verdict::Pass,
                });
            let call = start(stage, vec![StreamSpec::new(KIND)]);
            let _ = both(stage, call);
            let hosts = [stage.alice, stage.bob()];
            stage.world.run_for(Duration::from_secs(2));
            assert!(changed.get() > 0);
            assert_eq!(hosts.map(|host| heard(stage, host, 0)), [0, 0]);
            assert_eq!(sound(stage), 0);
            assert!(told(stage, stage.alice).is_empty());
            let events = &stage.world.host(stage.alice).inbox().notifications;
            let failed = events.iter().find_map(|told| match &told.event {
                Event::Stream(_, StreamEvent::DidFail { error }) => Some(error.clone()),
                _ => None,
            });
            assert!(
                matches!(failed, Some(StreamError::NotEncrypted(why)) if why.contains("certificate")),
                "{failed:?}"
            );
            let ended = events.iter().any(|told| {
                matches!(&told.event, Event::Session(id, SessionEvent::DidEnd { end_reason, .. })
                    if *id == call && end_reason.starts_with("not encrypted"))
            });
            assert!(ended, "the call is over");
            stage.world.release();
            end(stage, call);
        });
    }
}

/// An answer with another digit at the end of its fingerprint, as long as it was.
fn with_another_digit(payload: &Bytes) -> Option<Bytes> {
    let text = std::str::from_utf8(payload).ok()?;
    if !text.starts_with("SIP/2.0 200") {
        return None;
    }
    let line = text
        .lines()
        .find(|line| line.starts_with("a=fingerprint:"))?;
    let other = match line.ends_with('0') {
        true => '1',
        false => '0',
    };
    let forged = format!("{}{other}", &line[..line.len() - 1]);
    Some(Bytes::from(text.replace(line, &forged)))
}

/// Somebody on the wire adds plain RTP and flipped packets, and hellos of handshakes that nobody wants: nothing
/// of it is played, media packets are counted, and the speech goes on.
#[test]
fn rtp_08_what_is_injected_is_not_played() {
    for seed in 0..seeds().min(6) {
        let setup = setup(seed, Encryption::DtlsMandatory, Encryption::DtlsMandatory);
        play(&setup, |stage| {
            let call = start(stage, vec![StreamSpec::new(KIND)]);
            assert_eq!(both(stage, call), "connected");
            stage.world.run_for(Duration::from_secs(2));
            let bob = stage.bob();
            let speech = Rc::new(Cell::new(0u64));
            let count = Rc::clone(&speech);
            stage.world.intercept(move |packet| {
                let is_speech = packet.to == bob && packet.payload.len() == 12 + 160 + 16;
                if !is_speech {
                    return Verdict::Pass;
                }
                count.set(count.get() + 1);
                let mut plain = packet.payload[..172].to_vec();
                plain[12..].fill(7);
                let mut flipped = packet.payload.to_vec();
                flipped[40] ^= 4;
                // The head of a record with noise in it, and one that closes.
                let mut noise = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 40];
                noise.resize(53, count.get() as u8);
                let close = vec![21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 8, 0, 2, 1, 0];
                Verdict::After([plain, flipped, noise, close].map(Bytes::from).into())
            });
            assert_eq!(talk(stage, 50), [50, 50]);
            assert_eq!(speech.get(), 50);
            let known = encryption(stage, bob).expect("encrypted").discarded;
            assert_eq!(known.forged, 100, "{known:?}");
            stage.world.release();
            let id = stream(stage, bob).expect("a stream");
            let agent = stage.world.node::<UserAgent>(bob);
            assert!(
                agent
                    .stream::<AudioStream>(id)
                    .expect("it runs")
                    .is_srtp_active()
            );
            end(stage, call);
        });
    }
}
