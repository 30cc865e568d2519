//! Which codec each payload number of a stream means, for as long as the session lasts.

use crate::{Codec, Media, codec};

/// The payload numbers that either side of one m-line ever used.
///
/// "The mapping from a particular dynamic payload type number to a particular codec within that media
/// stream MUST NOT change for the duration of a session", whoever made it (RFC 3264, section 8.3.2).
/// Numbers are 7 bits wide: there is a place for each.
#[derive(Clone, Debug, Default)]
pub struct PayloadNumbers {
    /// In the order in which they were learnt, each number once.
    known: Vec<Codec>,
}

impl PayloadNumbers {
    /// Remembers what the numbers of a description mean. The first meaning stays.
    pub fn learn(&mut self, media: &Media) {
        for codec in media.codecs() {
            if self.meaning(codec.payload_type).is_none() {
                self.known.push(codec);
            }
        }
    }

    /// Numbers codecs for an offer: each keeps the number that it has or had, as far as that number never
    /// meant another codec; else it gets one that it had before, or a new dynamic one (RFC 3551, section 3).
    /// A codec for which none is left is left out.
    ///
    /// No number is given twice.
    pub fn assign(&self, codecs: Vec<Codec>) -> Vec<Codec> {
        let mut given: Vec<Codec> = Vec::with_capacity(codecs.len());
        let wished: Vec<u8> = codecs.iter().map(|codec| codec.payload_type).collect();
        for mut codec in codecs {
            let is_free = |number: u8| given.iter().all(|other| other.payload_type != number);
            let fits = |number: u8| {
                let meaning = self.meaning(number).or_else(|| codec::static_codec(number));
                is_free(number) && meaning.is_none_or(|known| known.is_same(&codec))
            };
            let before = self.known.iter().filter(|known| known.is_same(&codec));
            let number = std::iter::once(codec.payload_type)
                .chain(before.map(|known| known.payload_type))
                .find(|number| fits(*number))
                .or_else(|| {
                    let is_new = |number: &u8| {
                        self.meaning(*number).is_none()
                            && is_free(*number)
                            && !wished.contains(number)
                    };
                    DYNAMIC.into_iter().find(is_new)
                });
            if let Some(number) = number {
                codec.payload_type = number;
                given.push(codec);
            }
        }
        given
    }

    fn meaning(&self, number: u8) -> Option<Codec> {
        let known = self.known.iter().find(|codec| codec.payload_type == number);
        known.cloned()
    }
}

/// RFC 3551, table 5.
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(codecs: &[Codec]) -> Media {
        Media::rtp("audio", 4000, "RTP/AVP", codecs)
    }

    fn numbers(codecs: &[Codec]) -> Vec<(u8, &str)> {
        codecs
            .iter()
            .map(|codec| (codec.payload_type, &*codec.name))
            .collect()
    }

    #[test]
    fn a_number_never_changes_its_meaning() {
        let mut known = PayloadNumbers::default();
        // The peer numbered them the other way round.
        known.learn(&line(&[
            Codec::new(97, "opus", 48_000),
            Codec::new(96, "iLBC", 8_000),
        ]));
        let ours = vec![
            Codec::new(96, "OPUS", 48_000),
            Codec::new(97, "speex", 8_000),
            Codec::new(0, "PCMU", 8_000),
            Codec::new(98, "ilbc", 8_000),
        ];
        let assigned = known.assign(ours);
        assert_eq!(
            numbers(&assigned),
            [(97, "OPUS"), (99, "speex"), (0, "PCMU"), (98, "ilbc")]
        );
        // Several numbers may mean one codec, and both stay what they are.
        known.learn(&line(&assigned));
        let again = known.assign(vec![
            Codec::new(98, "speex", 8_000),
            Codec::new(96, "iLBC", 8_000),
        ]);
        assert_eq!(numbers(&again), [(99, "speex"), (96, "iLBC")]);
    }

    #[test]
    fn a_static_number_is_not_given_to_others() {
        let known = PayloadNumbers::default();
        let assigned = known.assign(vec![
            Codec::new(8, "speex", 8_000),
            Codec::new(8, "PCMA", 8_000),
        ]);
        assert_eq!(numbers(&assigned), [(96, "speex"), (8, "PCMA")]);
    }

    #[test]
    fn what_has_no_number_left_is_left_out() {
        let mut known = PayloadNumbers::default();
        let all: Vec<Codec> = DYNAMIC
            .map(|number| Codec::new(number, format!("x{number}"), 8_000))
            .collect();
        known.learn(&line(&all));
        let assigned = known.assign(vec![
            Codec::new(96, "new", 8_000),
            Codec::new(0, "PCMU", 8_000),
        ]);
        assert_eq!(numbers(&assigned), [(0, "PCMU")]);
    }

    proptest! {
        #[test]
        fn no_number_twice_and_none_changed(
            seen in prop::collection::vec((90u8..110, 0u8..6), 0..12),
            ours in prop::collection::vec((90u8..110, 0u8..6), 0..12),
        ) {
            let codec = |(number, name): (u8, u8)| Codec::new(number, format!("c{name}"), 8_000);
            let mut known = PayloadNumbers::default();
            seen.into_iter().for_each(|one| known.learn(&line(&[codec(one)])));
            let before = known.clone();
            let assigned = known.assign(ours.into_iter().map(codec).collect());
            known.learn(&line(&assigned));
            for (place, one) in assigned.iter().enumerate() {
                prop_assert!(assigned[..place].iter().all(|other| other.payload_type != one.payload_type));
                prop_assert!(known.meaning(one.payload_type).is_some_and(|known| known.is_same(one)));
            }
            for one in &before.known {
                prop_assert_eq!(known.meaning(one.payload_type), Some(one.clone()));
            }
        }
    }
}
