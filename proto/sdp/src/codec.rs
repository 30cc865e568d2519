//! Codecs of RTP media and how two sides agree on them; the rest of this crate knows none.

use crate::{Attribute, Attributes, RtpMap, Text};

/// One payload number with all that a description says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    /// The payload number, 0 to 127.
    pub payload_type: u8,
    /// The encoding's name, compared in any case.
    pub name: Text,
    /// The RTP clock rate in hertz, which is 8,000 for G722 (RFC 3551, section 4.5.2).
    pub clock_rate: u32,
    /// How many channels.
    pub channels: u16,
    /// The parameters (`a=fmtp`), not interpreted.
    pub parameters: Option<Text>,
}

impl Codec {
    /// Makes a codec of one channel without parameters.
    pub fn new(payload_type: u8, name: impl Into<Text>, clock_rate: u32) -> Self {
        let name = name.into();
        Self {
            payload_type,
            name,
            clock_rate,
            channels: 1,
            parameters: None,
        }
    }

    /// Tells whether both are the same codec: name in any case, clock rate and channels.
    ///
    /// Parameters are not compared: what they mean is for those who know the codec.
    pub fn is_same(&self, other: &Self) -> bool {
        self.clock_rate == other.clock_rate
            && self.channels == other.channels
            && self.name.eq_ignore_ascii_case(&other.name)
    }

    /// Tells whether this is no media of its own but goes along with a codec of the same clock rate:
    /// events (RFC 4733, section 2.1) and comfort noise (RFC 3389, section 4).
    pub fn is_companion(&self) -> bool {
        self.is_telephone_event() || self.name.eq_ignore_ascii_case("CN")
    }

    /// Tells whether this is `telephone-event` (RFC 4733).
    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }

    /// Writes `a=rtpmap`, for static numbers, too (RFC 3264, section 6.1), and `a=fmtp`.
    pub(crate) fn describe(&self, attributes: &mut Attributes) {
        let rtpmap = RtpMap {
            payload_type: self.payload_type,
            encoding: self.name.clone(),
            clock_rate: self.clock_rate,
            channels: self.channels,
        };
        attributes.push(Attribute::new("rtpmap", rtpmap));
        if let Some(parameters) = &self.parameters {
            let value = format_args!("{} {parameters}", self.payload_type);
            attributes.push(Attribute::new("fmtp", value));
        }
    }
}

/// A codec that both sides described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// As our description has it: we receive this payload number.
    pub local: Codec,
    /// As the peer's description has it: we send this payload number (RFC 3264, sections 5.1 and 6.1).
    pub remote: Codec,
}

impl Agreed {
    /// The payload number to send with: the peer's.
    pub fn send_payload_type(&self) -> u8 {
        self.remote.payload_type
    }

    /// The payload number to expect: our own.
    pub fn receive_payload_type(&self) -> u8 {
        self.local.payload_type
    }
}

/// Whose order of preference an answer follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preference {
    /// Ours: our first codec that the peer has leads (AUS-33).
    #[default]
    Ours,
    /// The offerer's, as RFC 3264, section 6.1 recommends.
    Theirs,
}

/// Chooses the codecs of an answer.
///
/// `local` of each pair is our codec under the *offered* payload number, as RFC 3264, section 6.1 asks
/// for, with our parameters: the answer lists these. Companions ([`Codec::is_companion`]) come last and
/// only where an agreed codec has their clock rate. Without a codec, companions included, the list is
/// empty and the m-line is to be refused.
///
/// An application that keeps only the first codec keeps of the rest those that satisfy
/// `is_companion` and have its clock rate.
pub fn negotiate_codecs(offered: &[Codec], ours: &[Codec], order: Preference) -> Vec<Agreed> {
    let agree = |theirs: &Codec, mine: &Codec| Agreed {
        local: Codec {
            payload_type: theirs.payload_type,
            ..mine.clone()
        },
        remote: theirs.clone(),
    };
    let pairs = match order {
        Preference::Theirs => pair_up(offered, ours, agree),
        Preference::Ours => pair_up(ours, offered, |mine, theirs| agree(theirs, mine)),
    };
    keep_usable(pairs)
}

/// Pairs the codecs of two descriptions that belong together, after an exchange.
///
/// The order is that of `answer`, the preferred codec first (RFC 3264, section 6.1); both sides get the
/// same list, mirrored, if each calls this with the same answer. What only one of the two descriptions
/// has is left out: it may be received but never sent.
pub fn match_codecs(local: &[Codec], remote: &[Codec], answer: Answerer) -> Vec<Agreed> {
    let agree = |local: &Codec, remote: &Codec| Agreed {
        local: local.clone(),
        remote: remote.clone(),
    };
    keep_usable(match answer {
        Answerer::Local => pair_up(local, remote, agree),
        Answerer::Remote => pair_up(remote, local, |remote, local| agree(local, remote)),
    })
}

/// Which side's description is the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answerer {
    /// Ours.
    Local,
    /// The peer's.
    Remote,
}

/// Pairs in the order of `first`; each codec of `second` is used once, an equal number preferred.
fn pair_up(
    first: &[Codec],
    second: &[Codec],
    agree: impl Fn(&Codec, &Codec) -> Agreed,
) -> Vec<Agreed> {
    let mut free: Vec<&Codec> = second.iter().collect();
    let mut pairs = Vec::with_capacity(first.len().min(second.len()));
    for codec in first {
        let same = |other: &&Codec| codec.is_same(other);
        let same_number = |other: &&Codec| other.payload_type == codec.payload_type && same(other);
        let place = free
            .iter()
            .position(same_number)
            .or_else(|| free.iter().position(same));
        if let Some(place) = place {
            pairs.push(agree(codec, free.remove(place)));
        }
    }
    pairs
}

/// Puts companions last and drops those without a codec of their clock rate.
fn keep_usable(pairs: Vec<Agreed>) -> Vec<Agreed> {
    let (companions, mut usable): (Vec<Agreed>, Vec<Agreed>) = pairs
        .into_iter()
        .partition(|pair| pair.local.is_companion());
    let codecs = usable.len();
    for companion in companions {
        let rate = companion.local.clock_rate;
        if usable[..codecs]
            .iter()
            .any(|pair| pair.local.clock_rate == rate)
        {
            usable.push(companion);
        }
    }
    usable
}

/// The meaning of a static payload number (RFC 3551, section 6).
pub(crate) fn static_codec(payload_type: u8) -> Option<Codec> {
    let (_, name, clock_rate, channels) = STATIC
        .into_iter()
        .find(|(number, ..)| *number == payload_type)?;
    Some(Codec {
        channels,
        ..Codec::new(payload_type, name, clock_rate)
    })
}

/// A payload number as a format of an m-line.
pub(crate) fn number(payload_type: u8) -> Text {
    Text::from(payload_type.to_string())
}

/// RFC 3551, tables 4 and 5: number, name, clock rate, channels.
const STATIC: [(u8, &str, u32, u16); 24] = [
    (0, "PCMU", 8_000, 1),
    (3, "GSM", 8_000, 1),
    (4, "G723", 8_000, 1),
    (5, "DVI4", 8_000, 1),
    (6, "DVI4", 16_000, 1),
    (7, "LPC", 8_000, 1),
    (8, "PCMA", 8_000, 1),
    (9, "G722", 8_000, 1),
    (10, "L16", 44_100, 2),
    (11, "L16", 44_100, 1),
    (12, "QCELP", 8_000, 1),
    (13, "CN", 8_000, 1),
    (14, "MPA", 90_000, 1),
    (15, "G728", 8_000, 1),
    (16, "DVI4", 11_025, 1),
    (17, "DVI4", 22_050, 1),
    (18, "G729", 8_000, 1),
    (25, "CelB", 90_000, 1),
    (26, "JPEG", 90_000, 1),
    (28, "nv", 90_000, 1),
    (31, "H261", 90_000, 1),
    (32, "MPV", 90_000, 1),
    (33, "MP2T", 90_000, 1),
    (34, "H263", 90_000, 1),
];

#[cfg(test)]
mod tests;
