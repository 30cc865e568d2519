//! Finding line ends and fields, eight bytes at a time where it pays.

use std::ops::Range;

/// The place of the first line end (CR, LF or NUL) at or behind `from`, or the length.
pub(super) fn end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(word) = word(bytes, at) {
        // The high bit of each byte below 14 is set; of the bytes before the first such byte, none.
        let candidates = word.wrapping_sub(ONES * 14) & !word & HIGHS;
        if candidates == 0 {
            at += 8;
            continue;
        }
        at += candidates.trailing_zeros() as usize / 8;
        if is_end(bytes[at]) {
            return at;
        }
        at += 1;
    }
    while at < bytes.len() && !is_end(bytes[at]) {
        at += 1;
    }
    at
}

/// The place behind the line end at `end`: CRLF is one.
pub(super) fn next(bytes: &[u8], end: usize) -> usize {
    match bytes.get(end..end + 2) {
        Some(b"\r\n") => end + 2,
        _ => end + 1,
    }
}

/// The place of the first `byte` in `from..end`, or `end`.
pub(super) fn find(bytes: &[u8], byte: u8, from: usize, end: usize) -> usize {
    let mut at = from;
    while at < end {
        let Some(word) = word(bytes, at) else {
            let found = bytes[at..end].iter().position(|other| *other == byte);
            return found.map_or(end, |place| at + place);
        };
        // The high bit of the first zero byte is set; of the bytes before it, none.
        let difference = word ^ (ONES * u64::from(byte));
        let zeros = difference.wrapping_sub(ONES) & !difference & HIGHS;
        if zeros != 0 {
            return end.min(at + zeros.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    end
}

/// The place of the first byte in `from..end` that is no blank, or `end`.
pub(super) fn skip_blanks(bytes: &[u8], from: usize, end: usize) -> usize {
    let mut at = from;
    while at < end && is_blank(bytes[at]) {
        at += 1;
    }
    at
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The end of the line `from..end` without the blanks there.
pub(super) fn trim_end(bytes: &[u8], from: usize, end: usize) -> usize {
    let mut end = end;
    while end > from && is_blank(bytes[end - 1]) {
        end -= 1;
    }
    end
}

/// Walks the fields of a line, which one or more spaces part; a tab beside a space
/// belongs to no field.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    rest: Range<usize>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], line: Range<usize>) -> Self {
        Self { bytes, rest: line }
    }

    /// An upper bound of how many fields are left; exact if single spaces part them.
    pub(super) fn count_left(&self) -> usize {
        if self.rest.is_empty() {
            return 0;
        }
        let rest = &self.bytes[self.rest.clone()];
        rest.iter().filter(|byte| **byte == b' ').count() + 1
    }
}

impl Iterator for Fields<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = skip_blanks(self.bytes, self.rest.start, self.rest.end);
        if start == self.rest.end {
            return None;
        }
        let end = find(self.bytes, b' ', start, self.rest.end);
        let field = start..trim_end(self.bytes, start, end);
        // The space behind the field is consumed with it.
        self.rest.start = (end + 1).min(self.rest.end);
        Some(field)
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b'\0')
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_line_end_at_every_place() {
        for length in 0..40 {
            for place in 0..=length {
                for end_byte in [b'\r', b'\n', b'\0'] {
                    let mut text = vec![b'\t'; length];
                    text.iter_mut().step_by(3).for_each(|byte| *byte = 0x8b);
                    text.iter_mut()
                        .skip(1)
                        .step_by(5)
                        .for_each(|byte| *byte = b'x');
                    if place < length {
                        text[place] = end_byte;
                    }
                    for from in 0..=place {
                        assert_eq!(end(&text, from), place, "{text:?} from {from}");
                    }
                }
            }
        }
    }

    #[test]
    fn finds_a_byte_at_every_place() {
        for length in 0..24 {
            for place in 0..=length {
                let mut text = vec![b';'; length];
                text.iter_mut().step_by(2).for_each(|byte| *byte = 0xba);
                text.iter_mut().skip(place).for_each(|byte| *byte = b':');
                for from in 0..=place {
                    assert_eq!(find(&text, b':', from, length), place);
                    assert_eq!(find(&text, b':', from, place), place, "not behind the end");
                }
            }
        }
    }

    #[test]
    fn fields_between_spaces() {
        let text = b" audio\t  0 \tRTP/AVP 8";
        let mut fields = Fields::new(text, 0..text.len());
        let walked: Vec<&[u8]> = fields.by_ref().map(|range| &text[range]).collect();
        assert_eq!(walked, [b"audio".as_slice(), b"0", b"RTP/AVP", b"8"]);
        assert_eq!(fields.count_left(), 0);
        assert_eq!(Fields::new(b"a b c", 0..5).count_left(), 3);
    }
}
