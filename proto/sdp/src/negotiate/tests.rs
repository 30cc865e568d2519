mod sequence;

use proptest::prelude::*;

use super::*;
use crate::{
    Answerer, Attribute, Codec, Connection, Preference, Text, match_codecs, negotiate_codecs,
};

const OFFER: &str = "v=0\no=alice 5 5 IN IP4 192.0.2.1\ns=-\nt=0 0\na=group:BUNDLE a b\n\
    m=audio 4000 RTP/AVP 0 96\nc=IN IP4 192.0.2.1\na=rtpmap:96 opus/48000/2\na=mid:a\na=sendonly\n\
    m=message 2855 TCP/MSRP *\nc=IN IP4 192.0.2.1\na=mid:b\n\
    m=image 0 udptl t38\nc=IN IP4 192.0.2.1\n\
    m=Thing 9 Some/Proto a b\nc=IN IP4 192.0.2.1\n";

fn parse(text: &str) -> Session {
    Session::parse(text.as_bytes()).expect("a description")
}

fn offer() -> Session {
    parse(OFFER)
}

fn origin() -> Origin {
    Origin::new(7, "192.0.2.2".parse().unwrap())
}

/// Accepts the first two lines of the offer.
fn answer() -> Session {
    let mut audio = Media::rtp("audio", 5000, "RTP/AVP", &[Codec::new(0, "PCMU", 8000)]);
    audio.set_direction(Direction::RecvOnly);
    let mut message = Media::new("MESSAGE", 2856, "tcp/msrp");
    message.formats.push(Text::from("*"));
    let removed = Media::new("image", 5004, "udptl");
    Session::answer(
        &offer(),
        origin(),
        vec![Some(audio), Some(message), Some(removed), None],
    )
    .expect("as many lines")
}

/// The answer with one change must fail like this.
fn broken(change: impl FnOnce(&mut Session)) -> Result<(), NegotiationError> {
    let mut answer = answer();
    change(&mut answer);
    check_answer(&offer(), &answer)
}

fn audited(change: impl FnOnce(&mut Session)) -> Result<(), NegotiationError> {
    let mut answer = answer();
    change(&mut answer);
    assert_eq!(
        check_answer(&offer(), &answer),
        Ok(()),
        "tolerable from a peer"
    );
    audit_answer(&offer(), &answer)
}

#[test]
fn an_answer_keeps_every_line_in_its_place() {
    // SES-26; wire rules: the token letter by letter, no group, refused lines bare. RFC 5888, 9.1 and 9.2:
    // the tags of the others stay, without their group too.
    assert_eq!(
        answer().print(),
        "v=0\r\no=- 7 7 IN IP4 192.0.2.2\r\ns=-\r\nt=0 0\r\n\
         m=audio 5000 RTP/AVP 0\r\nc=IN IP4 192.0.2.2\r\na=rtpmap:0 PCMU/8000\r\na=recvonly\r\na=mid:a\r\n\
         m=message 2856 TCP/MSRP *\r\nc=IN IP4 192.0.2.2\r\na=mid:b\r\n\
         m=image 0 udptl t38\r\nc=IN IP4 192.0.2.2\r\n\
         m=Thing 0 Some/Proto a b\r\nc=IN IP4 192.0.2.2\r\n"
    );
    assert_eq!(audit_answer(&offer(), &answer()), Ok(()));
    let few = Session::answer(&offer(), origin(), vec![None]);
    assert_eq!(
        few,
        Err(NegotiationError::Count {
            offered: 4,
            answered: 1
        })
    );
}

#[test]
fn an_answer_repeats_the_times() {
    let mut offer = offer();
    offer.times = parse("v=0\no=- 1 1 IN IP4 192.0.2.1\nt=5 6\nr=7d 1h\n").times;
    let answer = Session::answer(&offer, origin(), vec![None, None, None, None]).unwrap();
    assert_eq!(answer.times, offer.times);
    assert_eq!(audit_answer(&offer, &answer), Ok(()));
}

#[test]
fn what_a_peer_may_not_answer() {
    use NegotiationError::{Count, Formats, Kind, Protocol, Revived};
    let fewer = broken(|answer| answer.media.truncate(3));
    assert_eq!(
        fewer,
        Err(Count {
            offered: 4,
            answered: 3
        })
    );
    let swapped = broken(|answer| answer.media.swap(0, 1));
    assert_eq!(swapped, Err(Kind(0)));
    assert_eq!(
        broken(|answer| answer.media[1].protocol = "TCP/TLS/MSRP".into()),
        Err(Protocol(1))
    );
    assert_eq!(broken(|answer| answer.media[2].port = 9), Err(Revived(2)));
    let other_codec = |answer: &mut Session| answer.media[0].formats = vec!["8".into()];
    assert_eq!(broken(other_codec), Err(Formats(0)));
    assert_eq!(
        broken(|answer| answer.media[1].formats = vec!["x".into()]),
        Err(Formats(1))
    );
}

#[test]
fn what_a_peer_may_answer() {
    assert_eq!(broken(|answer| answer.media[1].port = 0), Ok(()));
    assert_eq!(
        broken(|answer| answer.media[2].formats.clear()),
        Ok(()),
        "refused: formats ignored"
    );
    assert_eq!(
        broken(|answer| answer.media[0].kind = "AUDIO".into()),
        Ok(())
    );
    // The same codec under another number (RFC 3264, section 6.1: SHOULD), and one more.
    let renumbered = |answer: &mut Session| {
        let codecs = [Codec::new(8, "PCMA", 8000), Codec::new(100, "pcmu", 8000)];
        answer.media[0] = Media::rtp("audio", 9, "RTP/AVP", &codecs);
    };
    assert_eq!(broken(renumbered), Ok(()));
}

#[test]
fn what_we_may_not_answer() {
    use NegotiationError::{Connection, Direction as Way, Protocol, Times};
    let way = |direction| audited(|answer| answer.media[0].set_direction(direction));
    assert_eq!(way(Direction::Inactive), Ok(()));
    assert_eq!(way(Direction::SendRecv), Err(Way(0)));
    assert_eq!(way(Direction::SendOnly), Err(Way(0)));
    assert_eq!(
        audited(|answer| answer.media[1].protocol = "tcp/MSRP".into()),
        Err(Protocol(1))
    );
    assert_eq!(
        audited(|answer| answer.media[3].connections.clear()),
        Err(Connection(3))
    );
    let time = parse("v=0\no=- 1 1 IN IP4 192.0.2.1\nt=5 6\n").times;
    assert_eq!(audited(|answer| answer.times = time), Err(Times));
}

#[test]
fn too_much_in_an_answer_is_cut() {
    // A peer that answers sendonly with sendrecv gets nothing that was not offered.
    let (offer, mut answer) = (offer(), answer());
    answer.media[0].set_direction(Direction::SendRecv);
    assert_eq!(
        negotiated_direction(&offer, &answer, 0),
        Direction::SendOnly
    );
    assert_eq!(
        negotiated_direction(&answer, &offer, 0),
        Direction::RecvOnly
    );
    assert_eq!(
        negotiated_direction(&offer, &answer, 1),
        Direction::SendRecv
    );
    assert_eq!(
        negotiated_direction(&offer, &answer, 3),
        Direction::Inactive,
        "refused"
    );
    assert_eq!(
        negotiated_direction(&offer, &answer, 4),
        Direction::Inactive,
        "not there"
    );
}

#[test]
fn a_later_offer_never_shrinks() {
    let mut later = offer();
    later.media.pop();
    let fewer = NegotiationError::Fewer {
        previous: 4,
        offered: 3,
    };
    assert_eq!(check_offer(&answer(), &later), Err(fewer));
    later.media.extend([
        Media::new("audio", 1, "RTP/AVP"),
        Media::new("audio", 1, "RTP/AVP"),
    ]);
    assert_eq!(check_offer(&answer(), &later), Ok(()));
    // RFC 3264, section 8.3.3: speech becomes fax in its own line.
    later.media[0] = Media::new("image", 4000, "udptl");
    assert_eq!(check_offer(&answer(), &later), Ok(()));
}

#[test]
fn our_later_offers() {
    let previous = offer();
    let audit = |change: &dyn Fn(&mut Session)| {
        let mut later = previous.clone();
        change(&mut later);
        audit_offer(&previous, &later)
    };
    assert_eq!(audit(&|_| {}), Ok(()));
    assert_eq!(
        audit(&|later| later.origin.bump_version()),
        Err(NegotiationError::Version)
    );
    assert_eq!(
        audit(&|later| later.media[0].port = 2),
        Err(NegotiationError::Version)
    );
    assert_eq!(
        audit(&|later| later.origin.id = "9".into()),
        Err(NegotiationError::Origin)
    );
    assert_eq!(
        audit(&|later| later.media[1].connections.clear()),
        Err(NegotiationError::Connection(1))
    );
    let remap = |later: &mut Session| {
        later.media[0]
            .attributes
            .set(Attribute::new("rtpmap", "96 iLBC/8000"));
        later.continue_from(&previous);
    };
    assert_eq!(audit(&remap), Err(NegotiationError::Remapped(0)));
    let reuse = |later: &mut Session| {
        remap(later);
        later.media[0].kind = "video".into();
    };
    assert_eq!(
        audit(&reuse),
        Ok(()),
        "another stream in the slot has its own numbers"
    );
}

#[test]
fn added_removed_and_used_again_in_one_offer() {
    // BUG-28: all in one offer, checked by both sides.
    let (mut local, previous) = (offer(), answer());
    local.media[0].disable();
    let slot = previous.slot_for_new_media();
    assert_eq!(slot, 2);
    let connection = Connection::new("192.0.2.1".parse().unwrap());
    let mut audio = Media::rtp("audio", 4010, "RTP/AVP", &[Codec::new(8, "PCMA", 8000)]);
    audio.connections.push(connection);
    local.media[slot] = audio.clone();
    local.media.push(audio);
    local.continue_from(&offer());
    assert_eq!(audit_offer(&offer(), &local), Ok(()));
    assert_eq!(check_offer(&previous, &local), Ok(()));
    assert_eq!(local.origin.version, "6");

    let line = |port| {
        Some(Media::rtp(
            "audio",
            port,
            "RTP/AVP",
            &[Codec::new(8, "PCMA", 8000)],
        ))
    };
    let mut message = Media::new("message", 2856, "TCP/MSRP");
    message.formats.push("*".into());
    let accepted = vec![line(5000), Some(message), line(5002), None, line(5004)];
    let answer = Session::answer(&local, origin(), accepted).unwrap();
    assert_eq!(audit_answer(&local, &answer), Ok(()));
    let ports: Vec<u16> = answer.media.iter().map(|media| media.port).collect();
    assert_eq!(ports, [0, 2856, 5002, 0, 5004]);
}

fn direction() -> impl Strategy<Value = Direction> {
    (any::<bool>(), any::<bool>()).prop_map(|(sends, receives)| Direction::new(sends, receives))
}

/// Codecs as two implementations would spell and number them, static and dynamic ones.
fn codecs() -> impl Strategy<Value = Vec<Codec>> {
    let names = prop::sample::subsequence(
        vec![
            ("PCMU", 8_000, 1, Some(0)),
            ("PCMA", 8_000, 1, Some(8)),
            ("G722", 8_000, 1, Some(9)),
            ("CN", 8_000, 1, Some(13)),
            ("opus", 48_000, 2, None),
            ("iLBC", 8_000, 1, None),
            ("telephone-event", 8_000, 1, None),
            ("telephone-event", 48_000, 1, None),
        ],
        0..8,
    );
    (names.prop_shuffle(), 96..120u8, any::<bool>()).prop_map(|(names, first, upper)| {
        let codec =
            |(index, (name, rate, channels, number)): (usize, (&str, u32, u16, Option<u8>))| {
                let name = if upper {
                    name.to_ascii_uppercase()
                } else {
                    name.to_owned()
                };
                let number = number.unwrap_or(first + index as u8);
                Codec {
                    channels,
                    ..Codec::new(number, Text::from(name), rate)
                }
            };
        names.into_iter().enumerate().map(codec).collect()
    })
}

fn offered_media() -> impl Strategy<Value = Media> {
    let port = prop_oneof![4 => 1..u16::MAX, 1 => Just(0)];
    let rtp = (port.clone(), codecs(), prop::option::of(direction())).prop_map(
        |(port, codecs, direction)| {
            let mut media = Media::rtp("audio", port, "rtp/AVP", &codecs);
            if codecs.is_empty() {
                media.formats.push("99".into());
            }
            if let Some(direction) = direction {
                media.set_direction(direction);
            }
            media
        },
    );
    let other = (port, "[a-z]{1,5}", "[A-Z/]{1,5}").prop_map(|(port, kind, protocol)| {
        let mut media = Media::new(Text::from(kind), port, Text::from(protocol));
        media.formats.push("*".into());
        media
    });
    prop_oneof![3 => rtp, 1 => other]
}

fn any_offer() -> impl Strategy<Value = Session> {
    let media = prop::collection::vec(offered_media(), 0..5);
    (
        media,
        prop::option::of(direction()),
        any::<std::net::IpAddr>(),
    )
        .prop_map(|(media, direction, address)| {
            let mut offer = Session::assemble(Origin::new(1, address), media);
            if let Some(direction) = direction {
                offer.attributes.set_direction(direction);
            }
            offer
        })
}

/// What one side can do and wants.
#[derive(Debug, Clone)]
struct Capability {
    codecs: Vec<Codec>,
    wish: Direction,
    takes_other: bool,
    order: Preference,
}

fn capability() -> impl Strategy<Value = Capability> {
    (codecs(), direction(), any::<bool>(), any::<bool>()).prop_map(
        |(codecs, wish, takes_other, ours)| Capability {
            codecs,
            wish,
            takes_other,
            order: if ours {
                Preference::Ours
            } else {
                Preference::Theirs
            },
        },
    )
}

fn accept(offer: &Session, index: usize, able: &Capability) -> Option<Media> {
    let offered = &offer.media[index];
    let mut media = if offered.rtp_profile().is_some() {
        let agreed = negotiate_codecs(&offered.codecs(), &able.codecs, able.order);
        let local: Vec<Codec> = agreed.into_iter().map(|pair| pair.local).collect();
        (!local.is_empty()).then(|| Media::rtp("x", 5000, "x", &local))
    } else {
        let mut media = Media::new("x", 5000, "x");
        media.formats.clone_from(&offered.formats);
        able.takes_other.then_some(media)
    }?;
    media.set_direction(Direction::answer(offer.direction(index), able.wish));
    Some(media)
}

proptest! {
    #[test]
    fn any_offer_meets_any_capability(offer in any_offer(), able in capability()) {
        let accepted = (0..offer.media.len()).map(|index| accept(&offer, index, &able)).collect();
        let answer = Session::answer(&offer, origin(), accepted).unwrap();
        prop_assert_eq!(audit_answer(&offer, &answer), Ok(()));
        // Both sides read the answer off the wire.
        let answer = Session::parse(answer.print().as_bytes()).unwrap();
        prop_assert_eq!(audit_answer(&offer, &answer), Ok(()));
        for index in 0..offer.media.len() {
            let offerer = negotiated_direction(&offer, &answer, index);
            let answerer = negotiated_direction(&answer, &offer, index);
            prop_assert_eq!(offerer, answerer.reversed());
            let (ours, theirs) = (&offer.media[index], &answer.media[index]);
            if theirs.is_disabled() || theirs.rtp_profile().is_none() {
                continue;
            }
            prop_assert_eq!(answerer, Direction::answer(offer.direction(index), able.wish));
            let offerer = match_codecs(&ours.codecs(), &theirs.codecs(), Answerer::Remote);
            let answerer = match_codecs(&theirs.codecs(), &ours.codecs(), Answerer::Local);
            prop_assert_eq!(offerer.len(), theirs.formats.len(), "nothing is lost");
            prop_assert_eq!(offerer.len(), answerer.len());
            for (one, other) in offerer.iter().zip(&answerer) {
                prop_assert_eq!(one.send_payload_type(), other.receive_payload_type());
                prop_assert_eq!(other.send_payload_type(), one.receive_payload_type());
                prop_assert!(one.local.is_same(&one.remote));
            }
            let first_of = |codecs: &[Codec], common: &[Codec]| {
                codecs.iter().find(|codec| {
                    !codec.is_companion() && common.iter().any(|other| other.is_same(codec))
                }).cloned()
            };
            let leading = match able.order {
                Preference::Ours => first_of(&able.codecs, &ours.codecs()),
                Preference::Theirs => first_of(&ours.codecs(), &able.codecs),
            };
            prop_assert!(leading.unwrap().is_same(&offerer[0].local));
        }
    }

    #[test]
    fn a_refusal_is_always_legal(offer in any_offer()) {
        let answer = Session::answer(&offer, origin(), vec![None; offer.media.len()]).unwrap();
        prop_assert_eq!(audit_answer(&offer, &answer), Ok(()));
        for media in &answer.media {
            prop_assert!(media.is_disabled() && media.attributes.is_empty());
            prop_assert!(!media.connections.is_empty() && !media.formats.is_empty());
        }
    }

    #[test]
    fn the_version_counts_changes(offer in any_offer(), next in any_offer()) {
        let mut later = next;
        while later.media.len() < offer.media.len() {
            later.media.push(offer.media[later.media.len()].clone());
        }
        later.continue_from(&offer);
        let changed = !later.is_same_description(&offer);
        prop_assert_eq!(later.origin.version != offer.origin.version, changed);
        prop_assert_ne!(audit_offer(&offer, &later), Err(NegotiationError::Version));
        prop_assert_ne!(audit_offer(&offer, &later), Err(NegotiationError::Origin));
    }
}
