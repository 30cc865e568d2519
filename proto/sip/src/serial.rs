//! How headers, addresses and bodies stand in events and recorded commands (serde).
//!
//! A text stays a text, so that JSON can be read by people; bytes that are no UTF-8 become a list of
//! numbers and so come back unchanged.

use crate::{Field, HeaderName, Headers, Uri, header::Address, message::Description};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeSeq};
use std::{borrow::Cow, fmt};

/// Pairs of name and value, in order. Credentials are left out: events go to logs.
impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let secret = |field: &Field<'_>| {
            matches!(
                field.name.known(),
                Some(HeaderName::Authorization | HeaderName::ProxyAuthorization)
            )
        };
        let mut pairs = serializer.serialize_seq(None)?;
        for field in self.iter().filter(|field| !secret(field)) {
            pairs.serialize_element(&(
                String::from_utf8_lossy(field.name.text()),
                Octets(Cow::Borrowed(field.value)),
            ))?;
        }
        pairs.end()
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = Vec::<(String, Octets<'_>)>::deserialize(deserializer)?;
        let mut headers = Self::new();
        for (name, value) in pairs {
            headers.push(name.as_str(), &*value.0);
        }
        Ok(headers)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Address")]
struct AddressParts {
    display: Option<String>,
    uri: Uri,
    #[serde(default)]
    params: Vec<(String, Option<String>)>,
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            display,
            uri,
            params,
        } = self.clone();
        AddressParts {
            display,
            uri,
            params,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let AddressParts {
            display,
            uri,
            params,
        } = AddressParts::deserialize(deserializer)?;
        Ok(Self {
            display,
            uri,
            params,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Description")]
struct DescriptionParts<'a> {
    content_type: String,
    body: Octets<'a>,
}

impl Serialize for Description {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let content_type = self.content_type.clone();
        let body = Octets(Cow::Borrowed(&self.body));
        DescriptionParts { content_type, body }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Description {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let DescriptionParts { content_type, body } = DescriptionParts::deserialize(deserializer)?;
        let body = Bytes::from(body.0.into_owned());
        Ok(Self { content_type, body })
    }
}

/// Bodies that stand by themselves, for `#[serde(with)]`.
pub(crate) mod octets {
    use super::{Bytes, Cow, Deserialize, Deserializer, Octets, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(body: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        Octets(Cow::Borrowed(body)).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        let body = Octets::deserialize(from)?;
        Ok(Bytes::from(body.0.into_owned()))
    }
}

/// A text if it is one, else its bytes.
struct Octets<'a>(Cow<'a, [u8]>);

impl Serialize for Octets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_seq(self.0.iter()),
        }
    }
}

impl<'de> Deserialize<'de> for Octets<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
                Ok(text.as_bytes().to_vec())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = list.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }

        deserializer
            .deserialize_any(Visitor)
            .map(|bytes| Self(Cow::Owned(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_bytes_come_back() {
        let mut headers = Headers::new();
        headers.push("Subject", "caf\u{e9}");
        headers.push("X-Bytes", &[0x80, b'a'][..]);
        headers.push(HeaderName::Authorization, "Digest response=\"secret\"");
        let json = serde_json::to_string(&headers).unwrap();
        assert_eq!(json, "[[\"Subject\",\"caf\u{e9}\"],[\"X-Bytes\",[128,97]]]");
        let back: Headers = serde_json::from_str(&json).unwrap();
        assert_eq!(back.get("X-Bytes"), Some(&[0x80, b'a'][..]));

        let description = Description {
            content_type: "application/sdp".into(),
            body: Bytes::from_static(b"v=0\r\n"),
        };
        let json = serde_json::to_string(&description).unwrap();
        assert_eq!(
            json,
            "{\"content_type\":\"application/sdp\",\"body\":\"v=0\\r\\n\"}"
        );
        assert_eq!(
            serde_json::from_str::<Description>(&json).unwrap(),
            description
        );
    }
}
