//! Values that are lists: elements between commas.

use super::Value;
use base::scan::{quoted_len, trim};

/// Values separated by commas: `headers.push(HeaderName::Supported, List(["100rel", "timer"]))`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct List<I>(pub I);

impl<I> Value for List<I>
where
    I: IntoIterator<Item: Value> + Clone,
{
    fn write_to(&self, out: &mut Vec<u8>) {
        let mut separator: &[u8] = b"";
        for element in self.0.clone() {
            out.extend_from_slice(separator);
            element.write_to(out);
            separator = b", ";
        }
    }
}

/// Cuts a value at its commas.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a> {
    rest: Option<&'a [u8]>,
    list: bool,
}

impl<'a> Elements<'a> {
    pub(crate) fn new(value: &'a [u8], list: bool) -> Self {
        // `Supported:` is an empty list, `Subject:` an empty text.
        let rest = if list && value.is_empty() {
            None
        } else {
            Some(value)
        };
        Self { rest, list }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let len = if self.list {
            element_len(rest)
        } else {
            rest.len()
        };
        self.rest = rest.get(len + 1..);
        Some(trim(&rest[..len]))
    }
}

/// How far the first comma is that separates anything.
pub(crate) fn element_len(value: &[u8]) -> usize {
    let mut at = 0;
    let mut bracket = false;
    while let Some(&byte) = value.get(at) {
        match byte {
            b',' if !bracket => return at,
            b'<' => bracket = true,
            b'>' => bracket = false,
            b'"' if !bracket => match quoted_len(&value[at + 1..]) {
                Some(len) => at += len + 1,
                None => return value.len(),
            },
            _ => {}
        }
        at += 1;
    }
    value.len()
}
