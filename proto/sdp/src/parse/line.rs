//! Finding line ends and fields, eight bytes at a time.

use std::ops::Range;

/// The place of the first line end (CR, LF or NUL) at or behind `from`, or the length.
pub(super) fn end(bytes: &[u8], from: usize) -> usize {
    let mut at = first_below(bytes, b'\r' + 1, 0, from, bytes.len());
    while at < bytes.len() && !matches!(bytes[at], b'\r' | b'\n' | b'\0') {
        at = first_below(bytes, b'\r' + 1, 0, at + 1, bytes.len());
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
    first_below(bytes, 1, byte, from, end)
}

/// The place of the first byte in `from..end` that is no blank, or `end`.
pub(super) fn skip_blanks(bytes: &[u8], from: usize, end: usize) -> usize {
    let mut at = from;
    while at < end && is_blank(bytes[at]) {
        at += 1;
    }
    at
}

/// The end of the line `from..end` without the blanks there.
pub(super) fn trim_end(bytes: &[u8], from: usize, end: usize) -> usize {
    let mut end = end;
    while end > from && is_blank(bytes[end - 1]) {
        end -= 1;
    }
    end
}

/// Walks the fields of a line, which blanks part.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    rest: Range<usize>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], line: Range<usize>) -> Self {
        Self { bytes, rest: line }
    }

    /// How many fields are left, at most; exact if single blanks part them.
    pub(super) fn count_left(&self) -> usize {
        if self.rest.is_empty() {
            return 0;
        }
        let rest = &self.bytes[self.rest.clone()];
        rest.iter().filter(|byte| is_blank(**byte)).count() + 1
    }
}

impl Iterator for Fields<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = skip_blanks(self.bytes, self.rest.start, self.rest.end);
        if start == self.rest.end {
            return None;
        }
        let end = first_below(self.bytes, b' ' + 1, 0, start, self.rest.end);
        // The blank behind the field is consumed with it.
        self.rest.start = (end + 1).min(self.rest.end);
        Some(start..end)
    }
}

/// A space, a tab or another control byte, none of which means anything in SDP.
fn is_blank(byte: u8) -> bool {
    byte <= b' '
}

/// The place of the first byte in `from..end` that is below `limit`, which is at most 128, once the
/// bits of `flip` are flipped in it; or `end`.
fn first_below(bytes: &[u8], limit: u8, flip: u8, from: usize, end: usize) -> usize {
    let mut at = from;
    while at < end {
        let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) else {
            let found = bytes[at..end].iter().position(|byte| byte ^ flip < limit);
            return found.map_or(end, |place| at + place);
        };
        let word = u64::from_le_bytes(*chunk) ^ (ONES * u64::from(flip));
        // The high bit of the first byte below the limit is set; of the bytes before it, none.
        let below = word.wrapping_sub(ONES * u64::from(limit)) & !word & (ONES << 7);
        if below != 0 {
            return end.min(at + below.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    end
}

const ONES: u64 = u64::from_le_bytes([1; 8]);

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
