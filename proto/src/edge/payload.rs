//! Bytes in recordings: readable where they are text, exact always.

use bytes::Bytes;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Deserializer, Serializer, de::Error as _, ser::SerializeStruct as _};
use std::{borrow::Cow, fmt};

/// Writes bytes as `t:` and the text, if they are plain text, else as `x:` and hexadecimal digits.
pub(crate) fn serialize<T: AsRef<[u8]>, S: Serializer>(
    bytes: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let bytes = bytes.as_ref();
    match std::str::from_utf8(bytes) {
        Ok(text) if is_plain(text) => serializer.collect_str(&Text(text)),
        _ => serializer.collect_str(&Hex(bytes)),
    }
}

/// Reads what [`serialize`] wrote.
pub(crate) fn deserialize<'de, T: From<Bytes>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    let bytes = match text.split_at_checked(2) {
        Some(("t:", text)) => Some(Bytes::copy_from_slice(text.as_bytes())),
        Some(("x:", digits)) => unhex(digits).map(Bytes::from),
        _ => None,
    };
    bytes
        .map(T::from)
        .ok_or_else(|| D::Error::custom("not a payload"))
}

/// The seed: 64 hexadecimal digits.
pub(crate) mod seed {
    use super::{Cow, Deserialize as _, Deserializer, Hex, Serializer, unhex};
    use serde::de::Error as _;

    pub(crate) fn serialize<S: Serializer>(
        seed: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Hex(seed))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = text.strip_prefix("x:").and_then(unhex);
        let seed = bytes.and_then(|bytes| bytes.try_into().ok());
        seed.ok_or_else(|| D::Error::custom("not 32 bytes"))
    }
}

/// What the store answered.
pub(crate) mod stored {
    use super::Bytes;
    use crate::edge::StoreError;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Payload(#[serde(with = "super")] Bytes);

    type Stored = Result<Option<Bytes>, StoreError>;

    pub(crate) fn serialize<S: Serializer>(
        result: &Stored,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let result = result.as_ref().map(|value| value.clone().map(Payload));
        result.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Stored, D::Error> {
        let result = Result::<Option<Payload>, StoreError>::deserialize(deserializer)?;
        Ok(result.map(|value| value.map(|payload| payload.0)))
    }
}

/// A media frame; the moment of its arrival is that of the line.
pub(crate) fn frame<S: Serializer>(frame: &rtp::Frame, serializer: S) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_struct("Frame", 6)?;
    fields.serialize_field("payload_type", &frame.payload_type)?;
    fields.serialize_field("marker", &frame.marker)?;
    fields.serialize_field("sequence", &frame.sequence)?;
    fields.serialize_field("timestamp", &frame.timestamp)?;
    fields.serialize_field("ssrc", &frame.ssrc)?;
    fields.serialize_field("payload", &Hex(&frame.payload).to_string())?;
    fields.end()
}

/// Text that a person can read in a JSON string.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| !c.is_control() || matches!(c, '\r' | '\n' | '\t'))
}

struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("t:")?;
        f.write_str(self.0)
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x:{}", HEXLOWER.encode_display(self.0))
    }
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Serialize;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Payload(#[serde(with = "super")] Bytes);

    #[test]
    fn text_stays_readable() {
        let payload = Payload(Bytes::from_static(b"OPTIONS sip:a SIP/2.0\r\n"));
        let json = serde_json::to_string(&payload).unwrap();
        assert_eq!(json, r#""t:OPTIONS sip:a SIP/2.0\r\n""#);
        let json = serde_json::to_string(&Payload(Bytes::from_static(b"\x80\x00"))).unwrap();
        assert_eq!(json, r#""x:8000""#);
        for bad in [r#""8000""#, r#""x:800""#, r#""x:8g""#, r#""""#, "7"] {
            assert!(serde_json::from_str::<Payload>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn all_bytes_survive(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let payload = Payload(bytes.into());
            let json = serde_json::to_string(&payload).unwrap();
            prop_assert_eq!(serde_json::from_str::<Payload>(&json).unwrap(), payload);
        }
    }
}
