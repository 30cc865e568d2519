//! What one end seals the other opens, once, and nothing else.

mod vectors;

use super::*;
use crate::{Header, Packet};
use bytes::BytesMut;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn key(profile: Profile, seed: u8) -> MasterKey {
    let material: Vec<u8> = (0..)
        .map(|n: u8| n.wrapping_mul(7) ^ seed)
        .take(46)
        .collect();
    MasterKey::new(profile, &material[..profile.key_len() + profile.salt_len()]).unwrap()
}

fn packet(ssrc: u32, sequence: u16, payload: &[u8]) -> BytesMut {
    let header = Header {
        marker: false,
        payload_type: 8,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc,
    };
    let mut out = BytesMut::with_capacity(12 + payload.len() + 16);
    Packet::new(header, payload).write(&mut out);
    out
}

/// A receiver report without blocks, and a goodbye.
fn report(ssrc: u32) -> BytesMut {
    let mut out = BytesMut::from(&[0x80, 201, 0, 1][..]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[0x81, 203, 0, 1]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out
}

#[expect(clippy::disallowed_methods, reason = "some instant to count from")]
fn start() -> Instant {
    Instant::now()
}

fn pair(profile: Profile) -> (Sealer, Opener, Instant) {
    (
        Sealer::new(key(profile, 1)),
        Opener::new(key(profile, 1)),
        start(),
    )
}

#[test]
fn a_packet_is_opened_once_and_only_by_its_key() {
    for profile in Profile::ALL {
        let (mut sealer, mut opener, now) = pair(profile);
        let plain = packet(7, 1, b"some speech that is longer than one block");
        let mut sealed = plain.clone();
        sealer.seal_rtp(&mut sealed).unwrap();
        assert_eq!(sealed.len(), plain.len() + profile.rtp_overhead());
        assert_eq!(sealed[..12], plain[..12]);
        assert_ne!(sealed[12..plain.len()], plain[12..]);
        let mut stranger = Opener::new(key(profile, 2));
        let mut got = sealed.clone();
        assert_eq!(stranger.open_rtp(now, &mut got), Err(Refused::Forged));
        assert_eq!(got, sealed, "a refused packet is as it was");
        assert_eq!(opener.open_rtp(now, &mut got), Ok(()));
        assert_eq!(got, plain);
        let mut again = sealed.clone();
        assert_eq!(opener.open_rtp(now, &mut again), Err(Refused::Replayed));
        assert_eq!(again, sealed);
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    for profile in Profile::ALL {
        let (mut sealer, _, now) = pair(profile);
        let mut rtp = packet(7, 300, &[0x55; 20]);
        let mut rtcp = report(7);
        sealer.seal_rtp(&mut rtp).unwrap();
        sealer.seal_rtcp(&mut rtcp).unwrap();
        for bit in 0..rtp.len() * 8 {
            let mut bent = rtp.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let before = bent.clone();
            let mut opener = Opener::new(key(profile, 1));
            assert!(opener.open_rtp(now, &mut bent).is_err(), "{profile} {bit}");
            assert_eq!(bent, before);
        }
        for bit in 0..rtcp.len() * 8 {
            let mut bent = rtcp.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let before = bent.clone();
            let mut opener = Opener::new(key(profile, 1));
            assert!(opener.open_rtcp(now, &mut bent).is_err(), "{profile} {bit}");
            assert_eq!(bent, before);
        }
    }
}

#[test]
fn rtcp_has_an_index_of_its_own_that_is_sent() {
    for profile in Profile::ALL {
        let (mut sealer, mut opener, now) = pair(profile);
        for n in 0..3 {
            let plain = report(9);
            let mut sealed = plain.clone();
            sealer.seal_rtcp(&mut sealed).unwrap();
            assert_eq!(sealed.len(), plain.len() + profile.rtcp_overhead());
            let mut got = sealed.clone();
            assert_eq!(opener.open_rtcp(now, &mut got), Ok(()), "{profile} {n}");
            assert_eq!(got, plain);
            let mut again = sealed.clone();
            assert_eq!(opener.open_rtcp(now, &mut again), Err(Refused::Replayed));
            assert_eq!(again, sealed);
        }
    }
}

#[test]
fn rtcp_in_the_clear_is_not_taken() {
    let (mut sealer, mut opener, now) = pair(Profile::AesCm128HmacSha1_80);
    let mut sealed = report(9);
    sealer.seal_rtcp(&mut sealed).unwrap();
    let at = sealed.len() - 14;
    sealed[at] &= 0x7f;
    assert_eq!(
        opener.open_rtcp(now, &mut sealed),
        Err(Refused::Unencrypted)
    );
}

#[test]
fn numbers_roll_over_and_packets_come_in_any_order() {
    for profile in Profile::ALL {
        let (mut sealer, mut opener, now) = pair(profile);
        let mut sealed: Vec<(BytesMut, BytesMut)> = (0..40u16)
            .map(|n| {
                let plain = packet(3, 65_520u16.wrapping_add(n), &[n as u8; 160]);
                let mut sealed = plain.clone();
                sealer.seal_rtp(&mut sealed).unwrap();
                (plain, sealed)
            })
            .collect();
        sealed[1..].reverse();
        for (plain, mut sealed) in sealed {
            assert_eq!(opener.open_rtp(now, &mut sealed), Ok(()), "{profile}");
            assert_eq!(sealed, plain);
        }
    }
}

#[test]
fn sixty_five_thousand_rollovers() {
    let (mut sealer, mut opener, now) = pair(Profile::AeadAes128Gcm);
    let mut sequence = 0u16;
    // Steps just below half of all numbers: nobody can be further ahead.
    for n in 0..65_536u32 * 2 + 3 {
        let plain = packet(3, sequence, &n.to_be_bytes());
        let mut sealed = plain.clone();
        sealer.seal_rtp(&mut sealed).unwrap();
        assert_eq!(opener.open_rtp(now, &mut sealed), Ok(()), "{n}");
        assert_eq!(sealed, plain);
        sequence = sequence.wrapping_add(32_767);
    }
}

#[test]
fn who_lost_all_packets_before_the_first_rollover_still_hears() {
    for profile in Profile::ALL {
        let (mut sealer, mut opener, now) = pair(profile);
        sealer.seal_rtp(&mut packet(3, 65_535, b"lost")).unwrap();
        let plain = packet(3, 0, b"heard");
        let mut sealed = plain.clone();
        sealer.seal_rtp(&mut sealed).unwrap();
        assert_eq!(opener.open_rtp(now, &mut sealed), Ok(()));
        assert_eq!(sealed, plain);
    }
}

#[test]
fn a_number_is_never_used_twice() {
    let (mut sealer, ..) = pair(Profile::AeadAes256Gcm);
    sealer.seal_rtp(&mut packet(3, 10, b"a")).unwrap();
    for sequence in [10, 9, 65_530] {
        let mut again = packet(3, sequence, b"b");
        let before = again.clone();
        assert_eq!(sealer.seal_rtp(&mut again), Err(CannotSeal::Reused));
        assert_eq!(again, before);
    }
    // Another source has numbers of its own.
    sealer.seal_rtp(&mut packet(4, 10, b"c")).unwrap();
}

/// RFC 3711, 9.2.
#[test]
fn a_key_protects_so_many_reports_and_no_more() {
    let (mut sealer, mut opener, now) = pair(Profile::AesCm128HmacSha1_80);
    sealer.set_index(9, (1 << 31) - 1);
    let mut last = report(9);
    sealer.seal_rtcp(&mut last).unwrap();
    opener.open_rtcp(now, &mut last).unwrap();
    assert_eq!(sealer.seal_rtcp(&mut report(9)), Err(CannotSeal::Exhausted));
}

#[test]
fn sources_are_bounded_both_ways() {
    let (mut sealer, mut opener, now) = pair(Profile::AesCm128HmacSha1_32);
    for ssrc in 0..16 {
        let mut sealed = packet(ssrc, 1, b"x");
        sealer.seal_rtp(&mut sealed).unwrap();
        opener.open_rtp(now, &mut sealed).unwrap();
    }
    let mut one_more = packet(16, 1, b"x");
    assert_eq!(
        sealer.seal_rtp(&mut one_more),
        Err(CannotSeal::TooManySources)
    );
    let mut other = Sealer::new(key(Profile::AesCm128HmacSha1_32, 1));
    other.seal_rtp(&mut one_more).unwrap();
    assert_eq!(
        opener.open_rtp(now, &mut one_more),
        Err(Refused::TooManySources)
    );
}

#[test]
fn a_new_key_begins_anew_and_the_old_one_lives_until_it_is_used() {
    for profile in Profile::ALL {
        let (mut old, mut opener, now) = pair(profile);
        let mut new = Sealer::new(key(profile, 9));
        let sealed = |sealer: &mut Sealer, sequence| {
            let mut sealed = packet(3, sequence, b"speech");
            sealer.seal_rtp(&mut sealed).unwrap();
            sealed
        };
        opener.open_rtp(now, &mut sealed(&mut old, 65_535)).unwrap();
        opener.open_rtp(now, &mut sealed(&mut old, 0)).unwrap();
        opener.rekey(now, key(profile, 9));
        let due = opener.poll_timeout().unwrap().at;
        assert_eq!(due, now + Opener::OVERLAP);
        // The one that the peer still uses, with its rollover counter.
        opener.open_rtp(now, &mut sealed(&mut old, 1)).unwrap();
        opener.open_rtp(now, &mut sealed(&mut new, 2)).unwrap();
        assert_eq!(opener.poll_timeout(), None);
        let late = opener.open_rtp(now, &mut sealed(&mut old, 3));
        assert_eq!(late, Err(Refused::Forged));
    }
}

#[test]
fn an_old_key_is_forgotten_in_time() {
    let profile = Profile::AesCm128HmacSha1_80;
    let (mut old, mut opener, now) = pair(profile);
    opener.rekey(now, key(profile, 9));
    let mut sealed = packet(3, 1, b"late");
    old.seal_rtp(&mut sealed).unwrap();
    opener.handle_timeout(now + Duration::from_millis(2_999));
    assert!(opener.poll_timeout().is_some());
    let at = now + Duration::from_secs(3);
    assert_eq!(opener.open_rtp(at, &mut sealed), Err(Refused::Forged));
    assert_eq!(opener.poll_timeout(), None);
}

#[test]
fn the_same_key_keeps_counters_and_windows() {
    let profile = Profile::AesCm256HmacSha1_80;
    let (mut sealer, mut opener, now) = pair(profile);
    for sequence in [65_535, 0] {
        let mut sealed = packet(3, sequence, b"x");
        sealer.seal_rtp(&mut sealed).unwrap();
        opener.open_rtp(now, &mut sealed).unwrap();
    }
    let mut sealed = packet(3, 1, b"after the re-offer");
    sealer.seal_rtp(&mut sealed).unwrap();
    let mut replay = sealed.clone();
    opener.open_rtp(now, &mut sealed).unwrap();
    opener.rekey(now, key(profile, 1));
    assert_eq!(opener.poll_timeout(), None);
    assert_eq!(opener.open_rtp(now, &mut replay), Err(Refused::Replayed));
}

#[test]
fn a_tag_takes_no_memory_that_is_there() {
    let (mut sealer, ..) = pair(Profile::AeadAes128Gcm);
    let mut sealed = packet(3, 1, &[0; 160]);
    let before = sealed.as_ptr();
    sealer.seal_rtp(&mut sealed).unwrap();
    assert_eq!(sealed.as_ptr(), before);
}

#[test]
fn keys_have_their_length_and_are_not_shown() {
    for profile in Profile::ALL {
        let len = profile.key_len() + profile.salt_len();
        for wrong in [0, len - 1, len + 1] {
            assert_eq!(MasterKey::new(profile, &vec![0; wrong]), None);
        }
        let key = MasterKey::new(profile, &vec![0xab; len]).unwrap();
        assert_eq!(key.material(), vec![0xab; len]);
        let shown = format!("{:?} {:?}", Sealer::new(key.clone()), Opener::new(key));
        assert!(
            !shown.to_lowercase().contains("ab, ") && !shown.contains("171"),
            "{shown}"
        );
        assert_eq!(Profile::of_suite(profile.suite()), Some(profile));
    }
    assert_eq!(Profile::of_suite("NULL_HMAC_SHA1_80"), None);
}

proptest! {
    #[test]
    fn whatever_comes_is_refused_and_left_alone(bytes in proptest::collection::vec(any::<u8>(), 0..200), n in 0usize..6) {
        let (_, mut opener, now) = pair(Profile::ALL[n]);
        let mut packet = BytesMut::from(&bytes[..]);
        prop_assert!(opener.open_rtp(now, &mut packet).is_err());
        prop_assert_eq!(&packet[..], &bytes[..]);
        prop_assert!(opener.open_rtcp(now, &mut packet).is_err());
        prop_assert_eq!(&packet[..], &bytes[..]);
    }

    #[test]
    fn any_packet_comes_back(
        csrcs in 0u8..16,
        extension in proptest::option::of(0u8..20),
        payload in proptest::collection::vec(any::<u8>(), 0..1_400),
        sequence in any::<u16>(),
        n in 0usize..6,
    ) {
        let (mut sealer, mut opener, now) = pair(Profile::ALL[n]);
        let mut plain = packet(5, sequence, &[]);
        plain[0] |= csrcs;
        plain.extend((0..csrcs).flat_map(|n| [n; 4]));
        if let Some(words) = extension {
            plain[0] |= 0x10;
            plain.extend_from_slice(&[0xbe, 0xde, 0, words]);
            plain.extend((0..words).flat_map(|n| [n; 4]));
        }
        let clear = plain.len();
        plain.extend_from_slice(&payload);
        let mut sealed = plain.clone();
        prop_assert_eq!(sealer.seal_rtp(&mut sealed), Ok(()));
        prop_assert_eq!(&sealed[..clear], &plain[..clear]);
        prop_assert_eq!(opener.open_rtp(now, &mut sealed), Ok(()));
        prop_assert_eq!(sealed, plain);
    }
}
