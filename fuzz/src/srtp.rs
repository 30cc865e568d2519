//! SRTP: what is sealed is opened again, once; nothing else is, and what is refused stays as it was.

use bytes::BytesMut;
use rtp::srtp::{MasterKey, Opener, Profile, Refused, Sealer};
use sipsimple::base::Rng;
use std::time::{Duration, Instant};

/// Cuts the input into packets, each with its length and what is done with it before it: they come
/// to an opener as they are, or from its peer, which may have changed its key.
///
/// # Panics
/// A packet that nobody sealed is opened, one that was sealed is not or comes out changed, a refused
/// packet has been changed, or a machine panics.
pub fn srtp(data: &[u8]) {
    let Some((profile, mut rest)) = data.split_first() else {
        return;
    };
    let profile = Profile::ALL[usize::from(*profile) % Profile::ALL.len()];
    let mut keys = Rng::from_seed([u8::try_from(data.len() % 251).unwrap_or(0); 32]);
    let mut now = Instant::now();
    let key = key(profile, &mut keys);
    let (mut sealer, mut opener) = (Sealer::new(key.clone()), Opener::new(key));
    while let [len, what, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        now += Duration::from_millis(u64::from(what >> 3));
        let mut packet = BytesMut::from(bytes);
        match what % 8 {
            0 | 1 => {
                let before = packet.clone();
                let opened = match what % 2 {
                    0 => opener.open_rtp(now, &mut packet),
                    _ => opener.open_rtcp(now, &mut packet),
                };
                assert!(opened.is_err(), "nobody can guess a tag");
                assert_eq!(packet, before);
            }
            2 => {
                let key = self::key(profile, &mut keys);
                sealer = Sealer::new(key.clone());
                opener.rekey(now, key);
            }
            3 => opener.handle_timeout(now),
            what => travel(&mut sealer, &mut opener, now, packet, what < 6),
        }
    }
}

/// From one end to the other, twice.
fn travel(
    sealer: &mut Sealer,
    opener: &mut Opener,
    now: Instant,
    mut packet: BytesMut,
    is_rtp: bool,
) {
    let plain = packet.clone();
    let sealed = match is_rtp {
        true => sealer.seal_rtp(&mut packet),
        false => sealer.seal_rtcp(&mut packet),
    };
    if sealed.is_err() {
        assert_eq!(packet, plain);
        return;
    }
    let mut again = packet.clone();
    let mut open = |packet: &mut BytesMut| match is_rtp {
        true => opener.open_rtp(now, packet),
        false => opener.open_rtcp(now, packet),
    };
    match open(&mut packet) {
        Ok(()) => {
            assert_eq!(packet, plain);
            assert_eq!(open(&mut again), Err(Refused::Replayed));
        }
        // Numbers may jump back before the first packet, or by more than a window.
        Err(Refused::TooOld | Refused::TooManySources | Refused::Forged) => {}
        Err(refused) => panic!("{refused}"),
    }
}

fn key(profile: Profile, rng: &mut Rng) -> MasterKey {
    let mut material = [0; 46];
    material.fill_with(|| rng.below(256) as u8);
    let len = profile.key_len() + profile.salt_len();
    MasterKey::new(profile, &material[..len]).expect("a key of the right length")
}
