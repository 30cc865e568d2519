//! A cursor over bytes, with the words that SIP, SDP and digest share: tokens, quoted strings, white space, numbers.

/// Reads bytes from left to right; everything it returns borrows from them.
///
/// No method reads past the end and none fails half-way: what does not match is not consumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Stands before the first byte of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were consumed.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// True if nothing is left.
    pub const fn is_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// What is left.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The next byte, not consumed.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Consumes one byte.
    #[inline]
    pub fn bump(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Consumes the next byte if it is `byte`.
    #[inline]
    pub fn eat(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    /// Consumes `text` if it is what comes next, in any case.
    #[inline]
    pub fn eat_text(&mut self, text: &[u8]) -> bool {
        let hit = self
            .rest()
            .get(..text.len())
            .is_some_and(|next| next.eq_ignore_ascii_case(text));
        self.at += if hit { text.len() } else { 0 };
        hit
    }

    /// Consumes bytes as long as they satisfy `accept`; the result may be empty.
    #[inline]
    pub fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest
            .iter()
            .position(|&byte| !accept(byte))
            .unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// Consumes `len` bytes, or what is left if that is less.
    #[inline]
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let rest = self.rest();
        let len = len.min(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// Consumes spaces and tabs; folded lines are the business of who cut the lines.
    #[inline]
    pub fn skip_space(&mut self) {
        while let Some(b' ' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Consumes a token (RFC 3261, 25.1; RFC 4566, 9 has the same but for `` ` `` and friends).
    #[inline]
    pub fn token(&mut self) -> Option<&'a [u8]> {
        let token = self.take_while(is_token);
        (!token.is_empty()).then_some(token)
    }

    /// Consumes a quoted string and returns what stands between the quotes, escapes untouched.
    pub fn quoted(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest();
        let (b'"', tail) = rest.split_first()? else {
            return None;
        };
        let len = quoted_len(tail)?;
        self.at += len + 2;
        Some(&tail[..len])
    }

    /// Consumes a decimal number of at most `max`.
    ///
    /// # Errors
    ///
    /// [`NumberError`]; then nothing is consumed.
    pub fn number(&mut self, max: u64) -> Result<u64, NumberError> {
        let digits = self
            .rest()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let value = number(&self.rest()[..digits], max)?;
        self.at += digits;
        Ok(value)
    }
}

/// Why a number could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NumberError {
    /// No digits, or something else among them.
    #[error("not a decimal number")]
    NotANumber,
    /// More than the field can hold.
    #[error("number out of range")]
    OutOfRange,
}

/// Reads `text`, all of it, as a decimal number of at most `max`; leading zeros are welcome.
///
/// # Errors
///
/// [`NumberError`].
#[inline]
pub fn number(text: &[u8], max: u64) -> Result<u64, NumberError> {
    if text.is_empty() {
        return Err(NumberError::NotANumber);
    }
    let mut value = 0u64;
    let mut fits = true;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(NumberError::NotANumber);
        }
        // Read on after an overflow: `99…9x` is no number at all.
        fits &= value <= u64::MAX / 10;
        let tens = value.wrapping_mul(10);
        value = tens.wrapping_add(u64::from(digit));
        fits &= value >= tens;
    }
    match fits && value <= max {
        true => Ok(value),
        false => Err(NumberError::OutOfRange),
    }
}

/// Returns where the bytes from `at` on that satisfy `accept` end.
///
/// Most of the work of a parser is done here, so it looks at four bytes a turn.
#[inline(always)]
pub fn run(text: &[u8], mut at: usize, accept: impl Fn(u8) -> bool) -> usize {
    let mut rest = text.get(at..).unwrap_or_default();
    while let Some((&[a, b, c, d], tail)) = rest.split_first_chunk() {
        if !accept(a) {
            return at;
        }
        if !accept(b) {
            return at + 1;
        }
        if !accept(c) {
            return at + 2;
        }
        if !accept(d) {
            return at + 3;
        }
        at += 4;
        rest = tail;
    }
    for &byte in rest {
        if !accept(byte) {
            return at;
        }
        at += 1;
    }
    at
}

/// True for the bytes of a token (RFC 3261, 25.1).
#[inline]
pub const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Cuts spaces and tabs off both ends.
#[inline]
pub fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Returns where the closing quote stands in `tail`, the text after an opening one.
#[inline]
pub fn quoted_len(tail: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match tail.get(at)? {
            b'"' => return Some(at),
            // RFC 3261, 25.1: quoted-pair.
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
            );
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_words_and_consumes_nothing_else() {
        let mut cursor = Cursor::new(br#"a-b  "c\"d" 0042x"#);
        assert_eq!(cursor.token(), Some(&b"a-b"[..]));
        assert_eq!(cursor.token(), None);
        cursor.skip_space();
        assert_eq!(cursor.quoted(), Some(&br#"c\"d"#[..]));
        cursor.skip_space();
        assert_eq!(cursor.number(41), Err(NumberError::OutOfRange));
        assert_eq!(cursor.number(42), Ok(42));
        assert_eq!(cursor.number(42), Err(NumberError::NotANumber));
        assert!(!cursor.eat_text(b"xy"));
        assert!(cursor.eat_text(b"X"));
        assert!(cursor.is_end());
        assert_eq!((cursor.bump(), cursor.at()), (None, 17));
    }

    #[test]
    fn an_open_quote_is_no_quoted_string() {
        for open in [&b"\""[..], b"\"abc", b"\"abc\\\"", b"\"abc\\", b"abc\""] {
            let mut cursor = Cursor::new(open);
            assert_eq!(cursor.quoted(), None);
            assert_eq!(cursor.at(), 0);
        }
    }

    #[test]
    fn numbers_never_wrap() {
        assert_eq!(number(b"18446744073709551615", u64::MAX), Ok(u64::MAX));
        assert_eq!(
            number(b"18446744073709551616", u64::MAX),
            Err(NumberError::OutOfRange)
        );
        assert_eq!(
            number(b"99999999999999999999999x", u64::MAX),
            Err(NumberError::NotANumber)
        );
        assert_eq!(number(b"", 1), Err(NumberError::NotANumber));
        assert_eq!(number(b"-1", 1), Err(NumberError::NotANumber));
        assert_eq!(number(b"000000000000000000000000000001", 1), Ok(1));
    }

    #[test]
    fn trims_spaces_only() {
        assert_eq!(trim(b" \t a b\t"), b"a b");
        assert_eq!(trim(b"\n"), b"\n");
        assert_eq!(trim(b"  "), b"");
    }
}
