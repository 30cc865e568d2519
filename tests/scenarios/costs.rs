//! What may be spent: allocations of each operation, bytes of each call at rest.
//!
//! Counts of allocations are the same in each run, so they are gates; instructions and times are
//! reported by the benchmarks.

use crate::measure::{call::weigh, dtls, heap, ice, leg, operations, registration};
use std::time::Duration;

#[test]
fn an_operation_allocates_no_more_than_it_is_allowed() {
    let operations = operations(false);
    for operation in &operations {
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(name, _)| *name == operation.name)
            .unwrap_or_else(|| panic!("nobody said what {} may cost", operation.name));
        let mut round = operation.prepare();
        (0..3).for_each(|_| round());
        let rounds = 16;
        let spent = heap::spent(|| (0..rounds).for_each(|_| round()));
        println!("{}, {rounds} rounds: {spent:?}", operation.name);
        assert!(
            spent.allocations <= allowed * rounds * operation.items,
            "{} may allocate {allowed} times",
            operation.name
        );
    }
    assert_eq!(ALLOWED.len(), operations.len());
}

#[test]
fn a_call_at_rest_is_small() {
    let (confirmed, ringing) = (weigh(CALLS, false), weigh(CALLS, true));
    println!("bytes a call, calling and called: confirmed {confirmed:?}, ringing {ringing:?}");
    assert!(confirmed.iter().all(|&bytes| bytes <= 6_000));
    assert!(ringing.iter().all(|&bytes| bytes <= 16_000));
    // Nothing that was weighed was empty.
    assert!(confirmed.iter().chain(&ringing).all(|&bytes| bytes > 500));
}

#[test]
fn a_registration_at_rest_is_small() {
    let bytes = registration::weigh(CALLS);
    println!("bytes a registration: {bytes}");
    assert!((500..=2_000).contains(&bytes));
}

#[test]
fn an_association_at_rest_is_small() {
    let bytes = dtls::weigh(8);
    println!("bytes of an association, client and server: {bytes:?}");
    assert!(bytes.iter().all(|bytes| (2_000..=40_000).contains(bytes)));
}

/// The whole of a call is in it, its signalling, too.
#[test]
fn a_leg_of_audio_is_small() {
    let bytes = leg::weigh(LEGS);
    println!("bytes of a call with audio, calling and called: {bytes:?}");
    assert!(bytes.iter().all(|bytes| (5_000..=40_000).contains(bytes)));
}

/// RFC 8445, 7 and 8: checks of both, one of which nominates, and their answers.
#[test]
fn two_agents_agree_soon() {
    for candidates in ice::CANDIDATES {
        let spent = ice::Pair::new(candidates).agree();
        println!("{candidates} candidates: {spent:?}");
        assert!(spent.datagrams <= 8, "{spent:?}");
        assert!(spent.time <= Duration::from_millis(50), "{spent:?}");
    }
}

/// So many that what is there once hardly counts; benchmarks weigh 10,000.
const CALLS: usize = 2_000;
/// Calls with audio.
const LEGS: usize = 100;

/// Allocations for one of each operation; a number may only become smaller.
const ALLOWED: &[(&str, usize)] = &[
    ("sip/parse", 2),
    ("sip/parse, 8 headers typed", 2),
    ("sip/print", 1),
    ("sdp/parse telephone", 4),
    ("sdp/print telephone", 1),
    ("sdp/answer telephone", 40),
    ("sdp/parse browser", 7),
    ("sdp/print browser", 1),
    ("sdp/answer browser", 43),
    ("transaction/client, beside 0", 2),
    ("transaction/server, beside 0", 5),
    // The last one comes once in sixteen calls, as a table grows.
    ("call, both ends, beside 0", 196),
    ("rtp/send, 1 streams", 0),
    ("rtp/receive, 1 streams", 0),
    ("rtp/play out, 1 streams", 0),
    ("rtp/send, 1000 streams", 0),
    ("rtp/receive, 1000 streams", 0),
    ("rtp/play out, 1000 streams", 0),
    ("srtp/AEAD_AES_256_GCM/seal", 0),
    ("srtp/AEAD_AES_256_GCM/seal+open", 0),
    ("srtp/AEAD_AES_128_GCM/seal", 0),
    ("srtp/AEAD_AES_128_GCM/seal+open", 0),
    ("srtp/AES_256_CM_HMAC_SHA1_80/seal", 0),
    ("srtp/AES_256_CM_HMAC_SHA1_80/seal+open", 0),
    ("srtp/AES_CM_128_HMAC_SHA1_80/seal", 0),
    ("srtp/AES_CM_128_HMAC_SHA1_80/seal+open", 0),
    ("srtp/AES_256_CM_HMAC_SHA1_32/seal", 0),
    ("srtp/AES_256_CM_HMAC_SHA1_32/seal+open", 0),
    ("srtp/AES_CM_128_HMAC_SHA1_32/seal", 0),
    ("srtp/AES_CM_128_HMAC_SHA1_32/seal+open", 0),
    ("dtls/handshake, both ends", 789),
    ("stun/parse and verify", 0),
    ("stun/build", 2),
    ("ice/both ends, 1 candidates", 114),
    ("ice/both ends, 4 candidates", 344),
];
