//! `a=crypto`: an SRTP key in the description (RFC 4568).

use super::Attribute;
use crate::Text;
use data_encoding::{BASE64, BASE64_NOPAD};
use std::fmt::{self, Write as _};

/// One `a=crypto` line: a suite, its keys, and what else is asked for (RFC 4568, 4 and 6).
///
/// It is read as it stands: whether a suite is known, its key long enough and its parameters
/// acceptable is for the one who uses it to say, and refuses that line only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// The number that an answer repeats; unique among the lines of an m-line.
    pub tag: u32,
    /// The suite as it stands there, such as `AES_CM_128_HMAC_SHA1_80`.
    pub suite: Text,
    /// The keys; one, unless there are master key identifiers.
    pub keys: Vec<InlineKey>,
    /// Session parameters as they stand there, such as `UNENCRYPTED_SRTCP` (RFC 4568, 6.3).
    pub parameters: Vec<Text>,
}

/// A master key with its salt (RFC 4568, 6.1); `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct InlineKey {
    /// The key, followed by the salt.
    pub material: Vec<u8>,
    /// How many packets it may protect, if that is said.
    pub lifetime: Option<u64>,
    /// The master key identifier and its length in bytes, if packets carry one.
    pub mki: Option<(Text, u8)>,
}

impl Crypto {
    /// A line with one key and nothing special.
    pub fn new(tag: u32, suite: &'static str, material: Vec<u8>) -> Self {
        Self {
            tag,
            suite: Text::from(suite),
            keys: vec![InlineKey {
                material,
                lifetime: None,
                mki: None,
            }],
            parameters: Vec::new(),
        }
    }

    /// Reads an `a=crypto` line; `None` if it is another attribute or makes no sense.
    pub fn read(attribute: &Attribute) -> Option<Self> {
        if !attribute.is("crypto") {
            return None;
        }
        let text = attribute.value_text()?;
        let mut fields = text.split_ascii_whitespace();
        let tag = fields.next()?;
        // RFC 4568, 9.1: at most nine digits.
        if tag.len() > 9 || !tag.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let suite = text.slice_of(fields.next()?);
        let keys = fields.next()?.split(';');
        let keys: Option<Vec<InlineKey>> = keys.map(|key| InlineKey::read(&text, key)).collect();
        Some(Self {
            tag: tag.parse().ok()?,
            suite,
            keys: keys?,
            parameters: fields.map(|field| text.slice_of(field)).collect(),
        })
    }

    /// The material of the only key, if packets carry no identifier and nothing is asked for that changes how
    /// they are protected. What begins with `-` may be ignored, and so may the least window and a key
    /// derivation rate of 0, which is what everybody has (RFC 4568, 6.3).
    pub fn plain_key(&self) -> Option<&[u8]> {
        let [
            InlineKey {
                material,
                mki: None,
                ..
            },
        ] = self.keys.as_slice()
        else {
            return None;
        };
        let is_harmless = |parameter: &Text| {
            parameter.starts_with('-') || parameter.starts_with("WSH=") || &**parameter == "KDR=0"
        };
        self.parameters
            .iter()
            .all(is_harmless)
            .then_some(material.as_slice())
    }

    /// Makes the attribute.
    pub fn attribute(&self) -> Attribute {
        let mut value = format!("{} {} ", self.tag, self.suite);
        for (n, key) in self.keys.iter().enumerate() {
            value.push_str(if n == 0 { "inline:" } else { ";inline:" });
            BASE64.encode_append(&key.material, &mut value);
            if let Some(lifetime) = key.lifetime {
                // RFC 4568, 6.1: a power of two may be written as one, and is understood by all.
                if lifetime.is_power_of_two() {
                    let _ = write!(value, "|2^{}", lifetime.ilog2());
                } else {
                    let _ = write!(value, "|{lifetime}");
                }
            }
            if let Some((identifier, length)) = &key.mki {
                let _ = write!(value, "|{identifier}:{length}");
            }
        }
        for parameter in &self.parameters {
            value.push(' ');
            value.push_str(parameter);
        }
        Attribute::new("crypto", value)
    }
}

impl InlineKey {
    fn read(line: &Text, text: &str) -> Option<Self> {
        let (method, info) = text.split_once(':')?;
        if !method.eq_ignore_ascii_case("inline") {
            return None;
        }
        let mut parts = info.split('|');
        // Some leave the padding out.
        let key = parts.next()?.trim_end_matches('=');
        let mut part = parts.next();
        let lifetime = match part {
            // An identifier may follow the key at once.
            Some(text) if !text.contains(':') => {
                part = parts.next();
                Some(lifetime(text)?)
            }
            _ => None,
        };
        let mki = match part {
            Some(text) => {
                let (identifier, length) = text.split_once(':')?;
                let length = length.parse().ok().filter(|length| *length <= 128)?;
                Some((line.slice_of(identifier), length))
            }
            None => None,
        };
        if parts.next().is_some() {
            return None;
        }
        Some(Self {
            material: BASE64_NOPAD.decode(key.as_bytes()).ok()?,
            lifetime,
            mki,
        })
    }
}

impl fmt::Debug for InlineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineKey")
            .field("lifetime", &self.lifetime)
            .field("mki", &self.mki)
            .finish_non_exhaustive()
    }
}

/// RFC 4568, 9.2: a number, or a power of two; at most the 2^48 packets of any key.
fn lifetime(text: &str) -> Option<u64> {
    let packets = match text.strip_prefix("2^") {
        Some(power) => 1u64.checked_shl(power.parse().ok()?)?,
        None => text.parse().ok()?,
    };
    (1..=1 << 48).contains(&packets).then_some(packets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(value: &str) -> Option<Crypto> {
        Crypto::read(&Attribute::new("crypto", value))
    }

    #[test]
    fn the_line_that_everybody_sends() {
        let line = "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
        let crypto = read(line).unwrap();
        let material: Vec<u8> = (0..30).collect();
        assert_eq!(crypto.plain_key(), Some(&material[..]));
        assert_eq!(crypto, Crypto::new(1, "AES_CM_128_HMAC_SHA1_80", material));
        assert_eq!(crypto.attribute(), Attribute::new("crypto", line));
    }

    #[test]
    fn lifetime_and_identifier() {
        let line = "22 AES_CM_128_HMAC_SHA1_32 inline:AAEC|2^20|1:4;inline:AwQF|5000|2:4 FEC_ORDER=FEC_SRTP";
        let crypto = read(line).unwrap();
        assert_eq!(crypto.keys[0].lifetime, Some(1 << 20));
        assert_eq!(crypto.keys[1].mki, Some((Text::from("2"), 4)));
        assert_eq!(crypto.plain_key(), None);
        assert_eq!(crypto.attribute(), Attribute::new("crypto", line));
        let short = read("3 X inline:AAEC|1:4").unwrap();
        assert_eq!((short.keys[0].lifetime, short.plain_key()), (None, None));
    }

    #[test]
    fn what_may_be_ignored_and_what_not() {
        for (parameters, is_plain) in [
            ("KDR=0 WSH=128 -SOMETHING", true),
            ("KDR=4", false),
            ("UNENCRYPTED_SRTCP", false),
            ("UNAUTHENTICATED_SRTP", false),
            ("SOMETHING", false),
        ] {
            let crypto = read(&format!("1 X inline:AAEC {parameters}")).unwrap();
            assert_eq!(crypto.plain_key().is_some(), is_plain, "{parameters}");
        }
    }

    #[test]
    fn padding_is_not_insisted_on() {
        for key in ["AAE=", "AAE"] {
            let crypto = read(&format!("1 X inline:{key}")).unwrap();
            assert_eq!(crypto.plain_key(), Some(&[0, 1][..]), "{key}");
        }
    }

    #[test]
    fn lines_that_make_no_sense() {
        for bad in [
            "",
            "1",
            "1 X",
            "x X inline:AAEC",
            "1234567890 X inline:AAEC",
            "1 X uri:http://x",
            "1 X inline:!!!!",
            "1 X inline:AAEC|2^64",
            "1 X inline:AAEC|0",
            "1 X inline:AAEC|1:129",
            "1 X inline:AAEC|20|1:4|5",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let shown = format!("{:?}", Crypto::new(1, "X", vec![171; 30]));
        assert!(
            !shown.contains("171") && !shown.to_lowercase().contains("ab"),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(
            tag in 0u32..1_000_000_000,
            material in proptest::collection::vec(any::<u8>(), 1..64),
            lifetime in proptest::option::of(1u64..=1 << 48),
        ) {
            let mut crypto = Crypto::new(tag, "AEAD_AES_128_GCM", material);
            crypto.keys[0].lifetime = lifetime;
            prop_assert_eq!(Crypto::read(&crypto.attribute()), Some(crypto));
        }
    }
}
