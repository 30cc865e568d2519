//! The grammar that challenges, credentials and their echo share: names, `=`, tokens and quoted strings.

/// A header value that is no list of challenges.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("invalid challenge: {what} at {at}")]
pub struct InvalidChallenge {
    /// What was missing or wrong.
    pub what: &'static str,
    /// The offset in the value.
    pub at: usize,
}

/// A place in a header value.
pub(super) struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    pub(super) fn error(&self, what: &'static str) -> InvalidChallenge {
        InvalidChallenge { what, at: self.at }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.input.len()
    }

    fn skip_while(&mut self, skip: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&skip) {
            self.at += 1;
        }
    }

    pub(super) fn skip_space(&mut self) {
        self.skip_while(is_space);
    }

    pub(super) fn skip_separators(&mut self) {
        self.skip_while(|b| is_space(b) || b == b',');
    }

    pub(super) fn skip_foreign(&mut self) {
        self.skip_while(|b| b != b',');
        self.skip_separators();
    }

    pub(super) fn token(&mut self, what: &'static str) -> Result<&'a [u8], InvalidChallenge> {
        let start = self.at;
        self.skip_while(is_token);
        match self.at > start {
            true => Ok(&self.input[start..self.at]),
            false => Err(self.error(what)),
        }
    }

    /// A name that `=` follows; otherwise nothing is consumed.
    pub(super) fn parameter_name(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        self.skip_while(is_token);
        let name = &self.input[start..self.at];
        self.skip_space();
        if name.is_empty() || self.peek() != Some(b'=') {
            self.at = start;
            return None;
        }
        self.at += 1;
        self.skip_space();
        Some(name)
    }

    /// A quoted string, or whatever stands before the next comma or space.
    pub(super) fn value(&mut self) -> Result<Vec<u8>, InvalidChallenge> {
        if self.peek() != Some(b'"') {
            let start = self.at;
            self.skip_while(|b| b != b',' && !is_space(b));
            return Ok(self.input[start..self.at].to_vec());
        }
        self.at += 1;
        let mut value = Vec::new();
        loop {
            let byte = self.peek().ok_or_else(|| self.error("a closing quote"))?;
            self.at += 1;
            match byte {
                b'"' => return Ok(value),
                b'\\' => {
                    value.push(self.peek().ok_or_else(|| self.error("a closing quote"))?);
                    self.at += 1;
                }
                _ => value.push(byte),
            }
        }
    }
}

const fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

const fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(
            b,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Appends `, name="value"`.
pub(super) fn push_next(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(b", ");
    push_quoted(out, name, value);
}

/// Appends `name="value"`, escaped.
pub(super) fn push_quoted(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    for &byte in value {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            // A line end inside a value would forge a header.
            b'\r' | b'\n' => out.push(b' '),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
