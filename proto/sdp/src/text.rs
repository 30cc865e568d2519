//! The text of one field: a static string, or a part of a shared buffer.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Holds one piece of a description: cheap to clone, immutable, never with a line end inside.
///
/// It reads like a `&str`. All pieces of a parsed description are parts of one buffer, so a piece
/// keeps its whole description (at most [`crate::MAX_TEXT`] bytes) in memory; copy it with
/// `Text::from(piece.to_string())` to keep it for long.
///
/// CR, LF and NUL cannot stand in any field (RFC 8866, section 9: `byte-string`): each of them becomes
/// a space when a `Text` is made from a string, hence no value can smuggle a line into a description.
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Static(&'static str),
    /// `start..end` lies on character boundaries of the buffer.
    Part {
        buffer: Arc<str>,
        start: u32,
        end: u32,
    },
}

impl Text {
    /// Reads the text.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Static(text) => text,
            Repr::Part { buffer, start, end } => &buffer[*start as usize..*end as usize],
        }
    }

    /// A text known to have no line end inside.
    pub(crate) const fn fixed(text: &'static str) -> Self {
        Self(Repr::Static(text))
    }

    /// A part of `buffer`, whose length the parser has bounded and which has no line end inside.
    #[inline]
    pub(crate) fn part(buffer: &Arc<str>, range: Range<usize>) -> Self {
        Self(Repr::Part {
            buffer: Arc::clone(buffer),
            start: range.start as u32,
            end: range.end as u32,
        })
    }

    /// A part of this text, sharing its buffer.
    ///
    /// # Panics
    /// If the range does not lie on character boundaries inside the text.
    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        match &self.0 {
            Repr::Static(text) => Self(Repr::Static(&text[range])),
            Repr::Part { buffer, start, .. } => {
                // The bounds are checked here, against this text and not against the whole buffer.
                let length = self.as_str()[range.clone()].len();
                let from = *start as usize + range.start;
                Self::part(buffer, from..from + length)
            }
        }
    }

    /// The part that `inner`, a slice of `self.as_str()`, covers.
    pub(crate) fn slice_of(&self, inner: &str) -> Self {
        let from = inner.as_ptr() as usize - self.as_str().as_ptr() as usize;
        self.slice(from..from + inner.len())
    }
}

fn is_line_end(character: char) -> bool {
    matches!(character, '\r' | '\n' | '\0')
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        if text.contains(is_line_end) {
            return Self::from(text.to_owned());
        }
        Self(Repr::Static(text))
    }
}

impl From<String> for Text {
    /// Takes the string; one longer than 4 GiB is cut.
    fn from(text: String) -> Self {
        let clean = if text.contains(is_line_end) {
            text.replace(is_line_end, " ")
        } else {
            text
        };
        let mut length = clean.len().min(u32::MAX as usize);
        while !clean.is_char_boundary(length) {
            length -= 1;
        }
        Self::part(&Arc::from(clean), 0..length)
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Repr::Static(""))
    }
}

impl Deref for Text {
    type Target = str;
    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_end_survives() {
        assert_eq!(
            Text::from("x\r\nm=audio 1 RTP/AVP 0"),
            "x  m=audio 1 RTP/AVP 0"
        );
        assert_eq!(Text::from(String::from("a\0b\nc")), "a b c");
    }

    #[test]
    fn parts_share_and_compare_by_value() {
        let whole = Text::from(String::from("alpha beta"));
        let part = whole.slice_of(&whole[6..]);
        assert_eq!(part, Text::from("beta"));
        assert_eq!(part.slice(1..3), "et");
        assert_eq!(Text::from("beta").slice(2..4), "ta");
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn a_part_ends_where_its_text_ends() {
        let whole = Text::from(String::from("alpha beta"));
        let _ = whole.slice(0..5).slice(0..7);
    }

    #[test]
    fn a_text_is_small() {
        assert_eq!(size_of::<Text>(), 24);
    }
}
