//! Descriptions in events.

use bytes::Bytes;
use serde::{Serialize, Serializer};
use std::fmt;

/// A session description, as its sender wrote it. It is for who asks: what is printed or serialised hides the
/// keys of media and the passwords of ICE in it.
#[derive(Clone, PartialEq, Eq)]
pub struct SdpText(Bytes);

impl SdpText {
    /// All of it, keys included.
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The text without what is secret: the values of `a=crypto`, `a=ice-pwd` and `k=` are `***`.
    pub fn masked(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let mut masked = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let secret = SECRETS.iter().find(|start| {
                let head = line.as_bytes().get(..start.len());
                head.is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
            });
            match secret {
                Some(start) => {
                    masked.push_str(&line[..start.len()]);
                    masked.push_str("***");
                    masked.push_str(&line[line.trim_end().len()..]);
                }
                None => masked.push_str(line),
            }
        }
        masked
    }
}

impl From<Bytes> for SdpText {
    fn from(text: Bytes) -> Self {
        Self(text)
    }
}

impl fmt::Debug for SdpText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.masked(), f)
    }
}

impl Serialize for SdpText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.masked().serialize(serializer)
    }
}

const SECRETS: [&str; 3] = ["a=crypto:", "a=ice-pwd:", "k="];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_for_who_asks_only() {
        let text = "v=0\r\nk=clear:abc\r\nm=audio 4000 RTP/SAVP 0\r\na=crypto:1 X inline:abc\r\na=Ice-Pwd:abc\n\
                    a=ptime:20\r\na=c";
        let text = SdpText::from(Bytes::from_static(text.as_bytes()));
        let said = format!("{text:?} {}", serde_json::to_string(&text).unwrap());
        assert!(!said.contains("abc"), "{said}");
        assert_eq!(
            text.masked(),
            "v=0\r\nk=***\r\nm=audio 4000 RTP/SAVP 0\r\na=crypto:***\r\na=Ice-Pwd:***\na=ptime:20\r\na=c"
        );
        assert!(text.bytes().ends_with(b"a=c"));
    }
}
