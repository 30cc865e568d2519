//! Offer and answer: any chain of offers that can be read gets answers that keep RFC 3264.

use sdp::{
    Answerer, Codec, Direction, Media, NegotiationError, Origin, Preference, Session, audit_answer,
    audit_offer, check_offer, match_codecs, negotiate_codecs, negotiated_direction,
};

/// Answers a chain of offers as one user agent would.
///
/// The first byte chooses our codecs, the second our wishes; the rest is offers, parted by 0xFF, which
/// occurs in no UTF-8 text.
///
/// # Panics
/// An answer breaks a rule, or both sides read different things from it.
pub fn offer_answer(data: &[u8]) {
    let [codecs, wishes, offers @ ..] = data else {
        return;
    };
    let able = Capability::new(*codecs, *wishes);
    let mut previous: Option<Session> = None;
    for text in offers.split(|byte| *byte == 0xff) {
        let Ok(offer) = Session::parse(text) else {
            continue;
        };
        if previous
            .as_ref()
            .is_some_and(|previous| check_offer(previous, &offer).is_err())
        {
            continue;
        }
        let answer = able.answer(&offer, previous.as_ref());
        assert_eq!(audit_answer(&offer, &answer), Ok(()));
        if let Some(previous) = &previous {
            let audit = audit_offer(previous, &answer);
            // We use the offered numbers, so a peer that changes their meaning changes ours.
            let remapped = matches!(audit, Err(NegotiationError::Remapped(_)));
            assert!(audit.is_ok() || remapped, "{audit:?}");
        }
        assert_agreement(&offer, &answer);
        previous = Some(answer);
    }
}

struct Capability {
    codecs: Vec<Codec>,
    order: Preference,
    wish: Direction,
    takes_other: bool,
}

impl Capability {
    fn new(codecs: u8, wishes: u8) -> Self {
        let all = [
            Codec {
                channels: 2,
                ..Codec::new(111, "opus", 48_000)
            },
            Codec::new(9, "G722", 8_000),
            Codec::new(0, "PCMU", 8_000),
            Codec::new(8, "PCMA", 8_000),
            Codec::new(96, "telephone-event", 8_000),
            Codec::new(97, "telephone-event", 48_000),
            Codec::new(13, "CN", 8_000),
            Codec::new(98, "iLBC", 8_000),
        ];
        let chosen = all
            .into_iter()
            .enumerate()
            .filter(|(bit, _)| codecs & (1 << bit) != 0);
        Self {
            codecs: chosen.map(|(_, codec)| codec).collect(),
            order: if wishes & 1 == 0 {
                Preference::Ours
            } else {
                Preference::Theirs
            },
            wish: Direction::new(wishes & 2 == 0, wishes & 4 == 0),
            takes_other: wishes & 8 == 0,
        }
    }

    fn answer(&self, offer: &Session, previous: Option<&Session>) -> Session {
        let origin = Origin::new(1, std::net::Ipv6Addr::LOCALHOST.into());
        let accepted = (0..offer.media.len())
            .map(|index| self.accept(offer, index))
            .collect();
        let mut answer = Session::answer(offer, origin, accepted).expect("a choice for each line");
        if let Some(previous) = previous {
            answer.continue_from(previous);
        }
        answer
    }

    fn accept(&self, offer: &Session, index: usize) -> Option<Media> {
        let offered = &offer.media[index];
        let mut media = if offered.rtp_profile().is_some() {
            let agreed = negotiate_codecs(&offered.codecs(), &self.codecs, self.order);
            let local: Vec<Codec> = agreed.into_iter().map(|pair| pair.local).collect();
            (!local.is_empty()).then(|| Media::rtp("audio", 5004, "RTP/AVP", &local))?
        } else {
            let mut media = Media::new("message", 2855, "TCP/MSRP");
            media.formats.clone_from(&offered.formats);
            self.takes_other.then_some(media)?
        };
        media.set_direction(Direction::answer(offer.direction(index), self.wish));
        Some(media)
    }
}

/// Both sides read the same from the two descriptions.
fn assert_agreement(offer: &Session, answer: &Session) {
    for (index, (offered, answered)) in offer.media.iter().zip(&answer.media).enumerate() {
        let offerer = negotiated_direction(offer, answer, index);
        assert_eq!(
            offerer,
            negotiated_direction(answer, offer, index).reversed()
        );
        if answered.is_disabled() {
            assert!(answered.attributes.is_empty());
            continue;
        }
        let (offered, answered) = (offered.codecs(), answered.codecs());
        let offerer = match_codecs(&offered, &answered, Answerer::Remote);
        let answerer = match_codecs(&answered, &offered, Answerer::Local);
        assert_eq!(offerer.len(), answerer.len());
        for (one, other) in offerer.iter().zip(&answerer) {
            assert_eq!(one.send_payload_type(), other.receive_payload_type());
            assert_eq!(other.send_payload_type(), one.receive_payload_type());
        }
    }
}
