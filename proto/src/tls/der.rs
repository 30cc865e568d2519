//! Reads DER (X.690) as far as certificates need it: definite lengths, tags of one byte.

/// A cursor over encoded values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next value: its tag and its content. `None` at the end and for what is no DER.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, short], rest) = self.0.split_first_chunk()?;
        // A tag of several bytes stands nowhere in a certificate.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (len, rest) = match short {
            0..=0x7f => (usize::from(short), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
                let len = digits
                    .iter()
                    .fold(0u64, |len, digit| len << 8 | u64::from(*digit));
                (usize::try_from(len).ok()?, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next value, which must have this tag.
    pub(super) fn expect(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let (tag, content) = self.next()?;
        (tag == wanted).then_some(content)
    }

    /// The content of the next value if it has this tag; else it is still to be read.
    pub(super) fn optional(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let before = *self;
        let found = self.expect(wanted);
        if found.is_none() {
            *self = before;
        }
        found
    }

    /// The next value, which must be a sequence, as a cursor of its own.
    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.expect(SEQUENCE).map(Self)
    }
}

impl<'a> Iterator for Der<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Der::next(self)
    }
}

/// Prints an object identifier with dots.
pub(super) fn oid(content: &[u8]) -> String {
    let mut arcs: Vec<u64> = Vec::new();
    let mut arc = 0u64;
    for &byte in content {
        arc = arc.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if arcs.is_empty() {
            // X.690, 8.19.4: the first two arcs stand in one number.
            let first = (arc / 40).min(2);
            arcs.extend([first, arc - first * 40]);
        } else {
            arcs.push(arc);
        }
        arc = 0;
    }
    let arcs: Vec<String> = arcs.iter().map(u64::to_string).collect();
    arcs.join(".")
}

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_definite_and_whole() {
        let mut der = Der::new(&[0x30, 3, 0x02, 1, 7, 0x04, 0x81, 1, 9]);
        assert_eq!(der.sequence().unwrap().expect(INTEGER), Some(&[7][..]));
        assert_eq!(der.optional(INTEGER), None);
        assert_eq!(der.optional(OCTET_STRING), Some(&[9][..]));
        assert_eq!(Der::next(&mut der), None);
        for bad in [
            &[0x30][..],
            &[0x30, 0x80, 0, 0],
            &[0x30, 2, 0],
            &[0x1f, 0x81, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(Der::next(&mut Der::new(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn object_identifiers_have_dots() {
        assert_eq!(oid(&[0x55, 0x1d, 0x11]), "2.5.29.17");
        assert_eq!(oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]), "1.2.840.113549");
        assert_eq!(oid(&[]), "");
        assert_eq!(oid(&[0xff; 30]), "");
    }
}
