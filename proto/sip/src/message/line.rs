//! Cutting the head of a message into lines.

use super::MAX_HEAD;
use crate::{ErrorKind, HeaderName, Headers, ParseError, header::Shape, headers::ReceivedLine};
use base::scan::is_token;

/// One header line with its continuations.
pub(super) struct Line {
    pub(super) received: ReceivedLine,
    form: Form,
    /// Where the next line begins.
    pub(super) next: usize,
}

enum Form {
    /// `Name: value CRLF`, as it is printed.
    Clean,
    /// With other white space.
    Other,
    /// Over several lines.
    Folded,
}

/// Reads one header line with its continuations into `headers`, and returns where the next one begins; `None` at
/// the empty line.
pub(super) fn read_line(
    bytes: &[u8],
    start: usize,
    headers: &mut Headers,
) -> Result<Option<usize>, ParseError> {
    let Some(line) = next_line(bytes, start)? else {
        return Ok(None);
    };
    line.push_to(headers);
    Ok(Some(line.next))
}

impl Line {
    /// A line of the form in which lines are printed.
    const fn plain(received: ReceivedLine) -> Self {
        Self {
            received,
            form: Form::Clean,
            next: received.value_end + "\r\n".len(),
        }
    }

    /// Adds the line to the headers that were read.
    pub(super) fn push_to(&self, headers: &mut Headers) {
        match self.form {
            Form::Clean => headers.push_received(self.received, true, Shape::default()),
            Form::Other => headers.push_received(self.received, false, Shape::default()),
            Form::Folded => headers.push_unfolded(self.received),
        }
    }
}

/// Finds name and value of the line that begins at `start`; `None` at the empty line.
pub(super) fn next_line(bytes: &[u8], start: usize) -> Result<Option<Line>, ParseError> {
    match plain_line(bytes, start) {
        Some(received) => Ok(Some(Line::plain(received))),
        None => any_line(bytes, start),
    }
}

/// Reads a line as nearly all are, `Name: value CRLF` with a name that this stack knows; `None` for any other.
#[inline(always)]
pub(super) fn plain_line(bytes: &[u8], start: usize) -> Option<ReceivedLine> {
    let colon = find_name_end(bytes, start);
    let known = HeaderName::from_bytes(&bytes[start..colon])?;
    let value = colon + 2;
    let [b':', b' ', first, ..] = bytes.get(colon..)? else {
        return None;
    };
    let value_end = find_cr_or_lf(bytes, value);
    let [last, b'\r', b'\n', next, ..] = bytes.get(value_end - 1..)? else {
        return None;
    };
    // White space, and anything else that is odd there.
    let odd = |byte: &u8| *byte <= b' ';
    if odd(first) || odd(last) || (odd(next) && *next != b'\r') || value_end + 2 > MAX_HEAD {
        return None;
    }
    Some(ReceivedLine {
        start,
        name_len: colon - start,
        known: Some(known),
        value,
        value_end,
    })
}

/// Reads a line of any form.
#[cold]
pub(super) fn any_line(bytes: &[u8], start: usize) -> Result<Option<Line>, ParseError> {
    let name_end = find_name_end(bytes, start);
    let name = &bytes[start..name_end];
    if name.is_empty() && matches!(bytes.get(start), Some(b'\r' | b'\n') | None) {
        return find_line_end(bytes, start).map(|_| None);
    }
    let colon = skip_space(bytes, name_end);
    let known = HeaderName::from_bytes(name);
    let valid = known.is_some() || (!name.is_empty() && name.iter().all(|&b| is_token(b)));
    if !valid || bytes.get(colon) != Some(&b':') || name.len() > usize::from(u16::MAX) {
        return Err(ParseError::syntax("header", start));
    }
    let value = skip_space(bytes, colon + 1);
    let mut line = find_line_end(bytes, value)?;
    // RFC 3261, 7.3.1: a line that begins with white space continues the one before.
    let mut folded = false;
    while matches!(bytes.get(line.next), Some(b' ' | b'\t')) {
        line = find_line_end(bytes, line.next)?;
        folded = true;
    }
    let mut value_end = line.text;
    while value_end > value && matches!(bytes[value_end - 1], b' ' | b'\t') {
        value_end -= 1;
    }
    let tight = colon == name_end && value == colon + 2 && value_end + 2 == line.next;
    let received = ReceivedLine {
        start,
        name_len: name.len(),
        known,
        value,
        value_end,
    };
    let form = match folded {
        true => Form::Folded,
        false if tight && bytes[colon + 1] == b' ' => Form::Clean,
        false => Form::Other,
    };
    Ok(Some(Line {
        received,
        form,
        next: line.next,
    }))
}

/// Where a line ends.
#[derive(Clone, Copy)]
pub(super) struct LineEnd {
    /// Behind the last byte of its text.
    pub(super) text: usize,
    /// At the first byte of the next line.
    pub(super) next: usize,
}

/// Finds the end of the line; a bare LF is one, a bare CR is an error.
#[inline]
pub(super) fn find_line_end(bytes: &[u8], from: usize) -> Result<LineEnd, ParseError> {
    let limit = bytes.len().min(MAX_HEAD);
    let head = &bytes[..limit];
    let at = find_cr_or_lf(head, from);
    match head.get(at..) {
        Some([b'\r', b'\n', ..]) => Ok(LineEnd {
            text: at,
            next: at + 2,
        }),
        Some([b'\n', ..]) => Ok(LineEnd {
            text: at,
            next: at + 1,
        }),
        Some([_, _, ..]) => Err(ParseError::syntax("LF behind CR", at + 1)),
        _ if limit < bytes.len() => Err(ParseError::new(
            ErrorKind::HeadTooLarge,
            "length of the headers",
            limit,
        )),
        _ => Err(ParseError::syntax("end of line", limit)),
    }
}

/// Skips the empty lines that may come before a message (RFC 3261, 7.5).
pub(super) fn skip_line_ends(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|&b| !matches!(b, b'\r' | b'\n'))
        .unwrap_or(bytes.len())
}

/// Finds the first CR or LF, sixteen bytes at a time; the length if there is none.
#[inline(always)]
fn find_cr_or_lf(bytes: &[u8], from: usize) -> usize {
    let mut rest = bytes.get(from..).unwrap_or_default();
    let mut at = from;
    while let Some((chunk, tail)) = rest.split_first_chunk::<16>() {
        let (low, high) = (word(chunk, 0), word(chunk, 8));
        // 0x08 to 0x0d become less than 6, CR and LF among them.
        let (low, high) = (less(low ^ (ONES * 0x08), 6), less(high ^ (ONES * 0x08), 6));
        if low | high != 0 {
            let hit = match low {
                0 => 8 + high.trailing_zeros() as usize / 8,
                _ => low.trailing_zeros() as usize / 8,
            };
            if matches!(chunk[hit], b'\r' | b'\n') {
                return at + hit;
            }
            // A tab, or worse.
            break;
        }
        at += chunk.len();
        rest = tail;
    }
    at + rest
        .iter()
        .position(|&b| matches!(b, b'\r' | b'\n'))
        .unwrap_or(rest.len())
}

/// Finds what ends the name of a header: a colon, white space, a line end or the end.
#[inline(always)]
fn find_name_end(bytes: &[u8], start: usize) -> usize {
    let mut rest = bytes.get(start..).unwrap_or_default();
    let mut at = start;
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        let word = word(chunk, 0);
        // The lowest hit is a true one: only above it can a borrow make a false one.
        let hits = less(word, 0x21) | less(word ^ (ONES * b':' as u64), 1);
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += chunk.len();
        rest = tail;
    }
    at + rest
        .iter()
        .position(|&b| b <= b' ' || b == b':')
        .unwrap_or(rest.len())
}

/// Sets the highest bit of each byte that is less than `n`, which is at most 0x80; perhaps of some above the first, too.
const fn less(word: u64, n: u64) -> u64 {
    word.wrapping_sub(ONES * n) & !word & (ONES * 0x80)
}

/// The eight bytes from `at` on as a number whose lowest byte is the first.
#[inline(always)]
fn word(chunk: &[u8], at: usize) -> u64 {
    chunk[at..]
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[inline]
fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

const ONES: u64 = 0x0101_0101_0101_0101;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn eight_at_a_time_find_what_one_at_a_time_finds(
            bytes in proptest::collection::vec(prop_oneof![0u8..0x30, any::<u8>(), Just(b'x')], 0..40),
            from in 0usize..44,
        ) {
            let slow = |wanted: fn(u8) -> bool| {
                let rest = bytes.get(from..).unwrap_or_default();
                from + rest.iter().position(|&b| wanted(b)).unwrap_or(rest.len())
            };
            prop_assert_eq!(find_cr_or_lf(&bytes, from), slow(|b| matches!(b, b'\r' | b'\n')));
            prop_assert_eq!(find_name_end(&bytes, from), slow(|b| b <= b' ' || b == b':'));
        }
    }
}
