use super::*;
use sdp::{Attribute, Text};

fn sdes(policy: Encryption, seed: u8) -> Sdes {
    Sdes::new(
        policy,
        vec![Profile::AeadAes256Gcm, Profile::AesCm128HmacSha1_80],
        Rng::from_seed([seed; 32]),
    )
}

fn media(protocol: &str, lines: &[Crypto]) -> Media {
    let mut media = Media::new("audio", 4_000, protocol.to_owned());
    let lines = lines.iter().map(Crypto::attribute);
    media.attributes.extend(lines);
    media
}

fn offer(sdes: &mut Sdes) -> Media {
    let lines = sdes.offer();
    media(sdes.protocol(), &lines)
}

/// A whole exchange: the line of the answer, and the keys as both ends see them.
fn exchange(offerer: &mut Sdes, answerer: &mut Sdes) -> Option<(Keys, Keys)> {
    let offer = offer(offerer);
    let line = answerer.answer(&offer).unwrap();
    let answer = media(&offer.protocol, line.as_slice());
    let one = offerer.agreed(&offer, &answer, true).unwrap();
    let other = answerer.agreed(&answer, &offer, false).unwrap();
    one.zip(other)
}

/// RTP-10: every policy meets every other.
#[test]
fn rtp_10_all_pairs_of_policies() {
    use Encryption::{Off, SdesMandatory, SdesOptional};
    for (ours, theirs, expected) in [
        (Off, Off, Ok(false)),
        (Off, SdesOptional, Ok(false)),
        (Off, SdesMandatory, Err(REQUIRED)),
        (SdesOptional, Off, Ok(false)),
        (SdesOptional, SdesOptional, Ok(true)),
        (SdesOptional, SdesMandatory, Ok(true)),
        (SdesMandatory, Off, Err(SWITCHED_OFF)),
        (SdesMandatory, SdesOptional, Ok(true)),
        (SdesMandatory, SdesMandatory, Ok(true)),
    ] {
        let (mut offerer, mut answerer) = (sdes(ours, 1), sdes(theirs, 2));
        let offer = offer(&mut offerer);
        let answered = answerer.answer(&offer);
        let secured = answered.as_ref().map(Option::is_some).map_err(|e| *e);
        assert_eq!(secured, expected, "{ours:?} {theirs:?}");
        let Ok(line) = answered else { continue };
        let answer = media(&offer.protocol, line.as_slice());
        let keys = offerer.agreed(&offer, &answer, true).unwrap();
        assert_eq!(keys.is_some(), line.is_some());
        assert_eq!(
            answerer.agreed(&answer, &offer, false).unwrap(),
            keys.map(swapped)
        );
    }
}

fn swapped(keys: Keys) -> Keys {
    Keys {
        local: keys.remote,
        remote: keys.local,
    }
}

/// RFC 4568, 5.1.2: the first line that is acceptable, with its tag; others refuse themselves only.
#[test]
fn the_answer_takes_the_first_acceptable_line() {
    let mut sdes = sdes(Encryption::SdesOptional, 1);
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
    let mut offered = Media::new("audio", 4_000, "RTP/SAVP");
    for value in [
        format!("1 NULL_HMAC_SHA1_80 inline:{key}"),
        format!("2 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:4"),
        format!("3 AES_CM_128_HMAC_SHA1_80 inline:{key} UNENCRYPTED_SRTP"),
        "4 AES_CM_128_HMAC_SHA1_80 inline:AAEC".to_owned(),
        format!("55 aes_cm_128_hmac_sha1_32 inline:{key}|2^20 WSH=64"),
        format!("6 AES_CM_128_HMAC_SHA1_80 inline:{key}"),
    ] {
        offered.attributes.push(Attribute::new("crypto", value));
    }
    let line = sdes.answer(&offered).unwrap().unwrap();
    assert_eq!((line.tag, &*line.suite), (55, "AES_CM_128_HMAC_SHA1_32"));
    assert_eq!(line.plain_key().unwrap().len(), 30);
    offered.attributes.0.truncate(4);
    assert_eq!(sdes.answer(&offered), Err(NO_KEY));
    offered.protocol = Text::from("RTP/AVP");
    assert_eq!(sdes.answer(&offered), Ok(None));
}

/// RFC 4568, 5.1.3: what an answer may not do.
#[test]
fn answers_that_take_nothing_that_was_offered() {
    let mut sdes = sdes(Encryption::SdesOptional, 1);
    let offer = offer(&mut sdes);
    let offered: Vec<Crypto> = lines(&offer).collect();
    let own = |tag: u32, suite: &'static str, length| Crypto::new(tag, suite, vec![9; length]);
    let cm = "AES_CM_128_HMAC_SHA1_80";
    let mut identified = own(2, cm, 30);
    identified.keys[0].mki = Some((Text::from("1"), 4));
    for (answer, expected) in [
        (vec![own(2, cm, 30)], Ok(true)),
        (vec![], Ok(false)),
        (vec![own(1, cm, 30)], Err(NOT_OFFERED)),
        (vec![own(3, cm, 30)], Err(NOT_OFFERED)),
        (
            vec![own(2, "AES_CM_128_HMAC_SHA1_32", 30)],
            Err(NOT_OFFERED),
        ),
        (vec![own(2, cm, 29)], Err(NOT_OFFERED)),
        (vec![identified], Err(NOT_OFFERED)),
        (
            vec![own(1, "AEAD_AES_256_GCM", 44), own(2, cm, 30)],
            Err(NOT_OFFERED),
        ),
        (vec![offered[1].clone()], Err(SAME_KEY)),
    ] {
        let answer = media("RTP/AVP", &answer);
        let agreed = sdes.agreed(&offer, &answer, true);
        assert_eq!(agreed.map(|keys| keys.is_some()), expected, "{answer:?}");
    }
    let mut mandatory = self::sdes(Encryption::SdesMandatory, 1);
    let offer = self::offer(&mut mandatory);
    let bare = mandatory.agreed(&offer, &media("RTP/SAVP", &[]), true);
    assert!(matches!(bare, Err(StreamError::NotEncrypted(_))));
}

/// RFC 4568, 7.1.2: each direction has its own key, and they are not those of another stream.
#[test]
fn keys_are_never_shared() {
    let (mut one, mut other) = (
        sdes(Encryption::SdesOptional, 1),
        sdes(Encryption::SdesOptional, 2),
    );
    let (ours, theirs) = exchange(&mut one, &mut other).unwrap();
    assert_eq!(ours, swapped(theirs));
    assert_ne!(ours.local, ours.remote);
    let offered: Vec<Crypto> = one.offer();
    assert_ne!(offered[0].keys, offered[1].keys);
}

/// Re-offers of either side keep both keys, and say the same each time.
#[test]
fn a_re_offer_keeps_the_keys() {
    let (mut one, mut other) = (
        sdes(Encryption::SdesOptional, 1),
        sdes(Encryption::SdesOptional, 2),
    );
    let (ours, _) = exchange(&mut one, &mut other).unwrap();
    let again = exchange(&mut one, &mut other).unwrap().0;
    assert_eq!(again, ours);
    let turned = exchange(&mut other, &mut one).unwrap().1;
    assert_eq!(turned, ours);
    assert_eq!(one.offer(), one.offer());
}

/// A proposal that is refused leaves no trace.
#[test]
fn a_refused_proposal_changes_no_key() {
    let (mut one, mut other) = (
        sdes(Encryption::SdesOptional, 1),
        sdes(Encryption::SdesOptional, 2),
    );
    let (ours, _) = exchange(&mut one, &mut other).unwrap();
    one.moved();
    let refused = offer(&mut one);
    let _ = other.answer(&refused).unwrap();
    assert_eq!(one.current, Some(ours.clone()));
    assert_eq!(other.current, Some(swapped(ours)));
}

/// RFC 4568, 7.1.4: who moves takes a new key; and so does who is told of one.
#[test]
fn who_moves_takes_a_new_key() {
    let (mut one, mut other) = (
        sdes(Encryption::SdesOptional, 1),
        sdes(Encryption::SdesOptional, 2),
    );
    let (before, _) = exchange(&mut one, &mut other).unwrap();
    one.moved();
    let (after, _) = exchange(&mut one, &mut other).unwrap();
    assert_eq!(after.local.profile(), before.local.profile());
    assert_ne!(after.local, before.local);
    assert_ne!(after.remote, before.remote);
    let (later, _) = exchange(&mut one, &mut other).unwrap();
    assert_eq!(later, after);
    // As the one who answers, too.
    one.moved();
    let answered = exchange(&mut other, &mut one).unwrap().1;
    assert_ne!(answered.local, after.local);
    assert_eq!(answered.remote, after.remote);
}

/// AUS-29: a peer that moves and keeps its key finds ours as it was.
#[test]
fn aus_29_a_move_of_the_peer_keeps_our_key() {
    let (mut one, mut other) = (
        sdes(Encryption::SdesMandatory, 1),
        sdes(Encryption::SdesMandatory, 2),
    );
    let (_, theirs) = exchange(&mut one, &mut other).unwrap();
    let mut moved = offer(&mut one);
    moved.port = 5_000;
    let line = other.answer(&moved).unwrap().unwrap();
    assert_eq!(line.plain_key(), Some(theirs.local.material()));
}

#[test]
fn a_move_while_an_offer_is_out_counts_for_the_next_one() {
    let (mut one, mut other) = (
        sdes(Encryption::SdesOptional, 1),
        sdes(Encryption::SdesOptional, 2),
    );
    let offer = offer(&mut one);
    one.moved();
    let line = other.answer(&offer).unwrap();
    let answer = media("RTP/AVP", line.as_slice());
    let agreed = one.agreed(&offer, &answer, true).unwrap().unwrap();
    let next = one.offer();
    assert_ne!(next[0].plain_key(), Some(agreed.local.material()));
}

#[test]
fn keys_are_not_shown() {
    let (mut one, mut other) = (
        sdes(Encryption::SdesOptional, 1),
        sdes(Encryption::SdesOptional, 2),
    );
    let (keys, _) = exchange(&mut one, &mut other).unwrap();
    let shown = format!("{one:?} {keys:?} {:?}", offer(&mut one));
    let text = data_encoding_of(&keys);
    assert!(!shown.contains(&text), "{shown}");
    assert!(!shown.contains(&format!("{:?}", &keys.local.material()[..3])[1..8]));
}

/// The key as it stands in the line.
fn data_encoding_of(keys: &Keys) -> String {
    let line = line(1, &keys.local).attribute();
    line.value().unwrap().split(':').nth(1).unwrap().to_owned()
}
