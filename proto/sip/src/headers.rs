//! The headers of a message, in order.

use crate::{
    ErrorKind, ParseError,
    header::{Elements, Header, HeaderName, Name, Parse, Shape, Value, element_len},
};
use base::scan::trim;
use bytes::Bytes;
use std::fmt;

/// An ordered multimap of header values, as slices of the message they came with.
///
/// Values are raw bytes: anything but line ends may stand in them, text in UTF-8 or not. Folded lines
/// (RFC 3261, 7.3.1) are stored unfolded, one space in place of each fold; nothing else is changed.
/// Names keep the spelling in which they came.
///
/// A map can hold what a peer sent and what this side adds; both print in the order of the map.
/// Adding never fails: a line end or NUL in a value becomes a space and a byte that no name may have
/// becomes `-`, so no value can smuggle a header of its own into a message.
#[derive(Clone, Default)]
pub struct Headers {
    /// What came from the wire.
    received: Bytes,
    /// Lines of our own, `Name: value\r\n`; and values that came folded.
    own: Vec<u8>,
    entries: Vec<Entry>,
}

/// Where a line stands: offsets into `received` or `own`.
#[derive(Clone, Copy)]
struct Entry {
    start: u32,
    value: u32,
    value_len: u32,
    name_len: u16,
    known: Option<HeaderName>,
    place: Place,
    shape: Shape,
}

/// In which buffer name and value stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// `received`, in the very form in which it is printed.
    Clean,
    /// `received`, with other white space around the colon or at the end.
    Received,
    /// Name in `received`, value in `own`.
    Unfolded,
    /// `own`, in the very form in which it is printed.
    Own,
}

/// One header of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Its name.
    pub name: Name<'a>,
    /// Its value, without white space around it.
    pub value: &'a [u8],
}

impl Headers {
    /// Makes an empty map.
    pub const fn new() -> Self {
        Self {
            received: Bytes::new(),
            own: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Returns the value of the first header of that name, without white space around it.
    pub fn get<'n>(&self, name: impl Into<Name<'n>>) -> Option<&[u8]> {
        let name = name.into();
        self.entries
            .iter()
            .find(|entry| self.is(entry, name))
            .map(|entry| self.value(entry))
    }

    /// Walks the values of all headers of that name, a line each.
    pub fn get_all<'n>(&self, name: impl Into<Name<'n>>) -> impl Iterator<Item = &[u8]> {
        let name = name.into();
        self.entries
            .iter()
            .filter(move |entry| self.is(entry, name))
            .map(|entry| self.value(entry))
    }

    /// Walks the elements of all headers of that name, in order, over commas and over lines.
    ///
    /// A header that is no list (see [`HeaderName::is_list`]) is one element; headers that this stack
    /// does not know are. Commas inside quotes and angle brackets separate nothing.
    pub fn values<'n>(&self, name: impl Into<Name<'n>>) -> impl Iterator<Item = &[u8]> {
        let name = name.into();
        let list = name.known().is_some_and(HeaderName::is_list);
        self.get_all(name)
            .flat_map(move |value| Elements::new(value, list))
    }

    /// Parses the first header, or the first element of a list, of the type's own name.
    pub fn typed<'a, H: Header<'a>>(&'a self) -> Option<Result<H, ParseError>> {
        self.typed_as(H::NAME)
    }

    /// Parses the first element of a header whose shape several headers share (addresses, tokens).
    pub fn typed_as<'a, T: Parse<'a>>(&'a self, name: HeaderName) -> Option<Result<T, ParseError>> {
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.known == Some(name))?;
        let value = self.value(entry);
        if let Some((found, _)) = T::of_shape(value, &entry.shape) {
            return Some(Ok(found));
        }
        match name.is_list() {
            true if value.is_empty() => None,
            true => Some(T::parse_first(value).0),
            false => Some(T::parse(value)),
        }
    }

    /// Parses all elements of all headers of that name.
    pub fn list<'a, T: Parse<'a>>(
        &'a self,
        name: HeaderName,
    ) -> impl Iterator<Item = Result<T, ParseError>> {
        self.entries
            .iter()
            .filter(move |entry| entry.known == Some(name))
            .flat_map(move |entry| {
                let value = self.value(entry);
                let empty = name.is_list() && value.is_empty();
                let mut rest = (!empty).then_some(value);
                let mut shape = entry.shape;
                std::iter::from_fn(move || {
                    let value = rest?;
                    if let Some((found, end)) = T::of_shape(value, &std::mem::take(&mut shape)) {
                        rest = value.get(end + 1..).filter(|_| name.is_list());
                        return Some(Ok(found));
                    }
                    if !name.is_list() {
                        rest = None;
                        return Some(T::parse(value));
                    }
                    let (parsed, end) = T::parse_first(value);
                    rest = value.get(end + 1..);
                    Some(parsed)
                })
            })
    }

    /// Parses a header that must be there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Missing`], or what is wrong with it.
    pub fn require<'a, T: Parse<'a>>(&'a self, name: HeaderName) -> Result<T, ParseError> {
        let missing = ParseError::new(ErrorKind::Missing, name.as_str(), 0);
        self.typed_as(name).unwrap_or(Err(missing))
    }

    /// True if a list of tokens (Supported, Require, Allow) has `token`, in any case.
    pub fn has_token(&self, name: HeaderName, token: &str) -> bool {
        self.values(name)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// True if there is a header of that name.
    pub fn contains<'n>(&self, name: impl Into<Name<'n>>) -> bool {
        self.get(name).is_some()
    }

    /// Walks all headers in order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.entries.iter().map(|entry| Field {
            name: self.name(entry),
            value: self.value(entry),
        })
    }

    /// How many header lines there are.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there are none.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a header at the end.
    pub fn push<'n>(&mut self, name: impl Into<Name<'n>>, value: impl Value) {
        let entry = self.write(name.into(), |out| value.write_to(out));
        self.entries.push(entry);
    }

    /// Adds a header before all others.
    pub fn insert_first<'n>(&mut self, name: impl Into<Name<'n>>, value: impl Value) {
        let entry = self.write(name.into(), |out| value.write_to(out));
        self.entries.insert(0, entry);
    }

    /// Replaces all headers of that name by one, which stands where the first stood, or at the end.
    pub fn insert<'n>(&mut self, name: impl Into<Name<'n>>, value: impl Value) {
        let name = name.into();
        let new = self.write(name, |out| value.write_to(out));
        match self.entries.iter().position(|entry| self.is(entry, name)) {
            Some(at) => {
                self.remove(name);
                self.entries.insert(at, new);
            }
            None => self.entries.push(new),
        }
    }

    /// Replaces the first element of the first header of that name; what follows a comma stays.
    ///
    /// Does nothing if there is no such header.
    pub fn replace_first(&mut self, name: HeaderName, value: impl Value) {
        let Some(at) = self
            .entries
            .iter()
            .position(|entry| entry.known == Some(name))
        else {
            return;
        };
        let old = self.value(&self.entries[at]);
        let rest = if name.is_list() {
            old[element_len(old)..].to_vec()
        } else {
            Vec::new()
        };
        self.entries[at] = self.write(name.into(), |out| {
            value.write_to(out);
            out.extend_from_slice(&rest);
        });
    }

    /// Removes all headers of that name.
    pub fn remove<'n>(&mut self, name: impl Into<Name<'n>>) {
        let name = name.into();
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain(|entry| !self.is(entry, name));
        self.entries = entries;
    }

    /// Adds copies of all headers of that name of `other`, in their order.
    pub fn copy_from<'n>(&mut self, other: &Self, name: impl Into<Name<'n>>) {
        let name = name.into();
        for original in other.entries.iter().filter(|entry| other.is(entry, name)) {
            let mut entry = self.write(name, |out| out.extend_from_slice(other.value(original)));
            entry.shape = original.shape;
            self.entries.push(entry);
        }
    }

    /// Copies them, so that they do not hold the message with which they came.
    pub(crate) fn detached(&self) -> Self {
        let line = |entry: &Entry| usize::from(entry.name_len) + entry.value_len as usize;
        let lines = self.entries.iter().map(line).sum::<usize>();
        let mut own = Vec::with_capacity(lines + self.entries.len() * ": \r\n".len());
        let copy = |entry: &Entry| {
            let start = own.len();
            own.extend_from_slice(self.name(entry).text);
            own.extend_from_slice(b": ");
            let value = own.len();
            own.extend_from_slice(self.value(entry));
            without_ends(&mut own[value..]);
            own.extend_from_slice(b"\r\n");
            // A head is far below what the fields hold, or `write` has looked.
            Entry {
                start: start as u32,
                value: value as u32,
                place: Place::Own,
                ..*entry
            }
        };
        let entries = self.entries.iter().map(copy).collect();
        Self {
            received: Bytes::new(),
            own,
            entries,
        }
    }

    #[inline]
    fn is(&self, entry: &Entry, name: Name<'_>) -> bool {
        match name.known {
            Some(known) => entry.known == Some(known),
            None => entry.known.is_none() && self.name(entry) == name,
        }
    }

    #[inline]
    fn value(&self, entry: &Entry) -> &[u8] {
        let from = match entry.place {
            Place::Clean | Place::Received => &self.received[..],
            Place::Unfolded | Place::Own => &self.own[..],
        };
        &from[entry.value as usize..][..entry.value_len as usize]
    }

    fn name(&self, entry: &Entry) -> Name<'_> {
        let from = match entry.place {
            Place::Clean | Place::Received | Place::Unfolded => &self.received[..],
            Place::Own => &self.own[..],
        };
        Name {
            known: entry.known,
            text: &from[entry.start as usize..][..usize::from(entry.name_len)],
        }
    }

    /// Writes a line to `own`, and makes sure that it is exactly one.
    fn write(&mut self, name: Name<'_>, value: impl FnOnce(&mut Vec<u8>)) -> Entry {
        let own = &mut self.own;
        let start = own.len();
        // Not one piece after the other.
        own.reserve(USUAL_LINE);
        own.extend_from_slice(&name.text[..name.text.len().min(MAX_NAME)]);
        if !name.is_valid() {
            for byte in &mut own[start..] {
                *byte = if base::scan::is_token(*byte) {
                    *byte
                } else {
                    b'-'
                };
            }
            if own.len() == start {
                own.push(b'-');
            }
        }
        let name_len = own.len() - start;
        own.extend_from_slice(b": ");
        let at = own.len();
        value(own);
        without_ends(&mut own[at..]);
        let used = trim(&own[at..]).len();
        // White space at either end would not survive the way.
        let lead = own[at..]
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count()
            .min(own.len() - at - used);
        own.drain(at..at + lead);
        own.truncate(at + used);
        let end = own.len();
        own.extend_from_slice(b"\r\n");
        let offset = |n: usize| u32::try_from(n).expect("less than 4 GiB of headers");
        Entry {
            start: offset(start),
            value: offset(at),
            value_len: offset(end - at),
            name_len: u16::try_from(name_len).expect("at most MAX_NAME"),
            known: name.known,
            place: Place::Own,
            shape: Shape::default(),
        }
    }
}

/// What the parser and the printer see of the map.
impl Headers {
    pub(crate) fn received(buffer: Bytes) -> Self {
        Self {
            received: buffer,
            own: Vec::new(),
            entries: Vec::with_capacity(USUAL_HEADERS),
        }
    }

    /// Makes an empty map with room for so many bytes of headers.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            received: Bytes::new(),
            own: Vec::with_capacity(bytes),
            entries: Vec::with_capacity(USUAL_HEADERS / 2),
        }
    }

    #[inline(always)]
    pub(crate) fn push_received(&mut self, line: ReceivedLine, clean: bool, shape: Shape) {
        // The parser stops at MAX_HEAD, far below what the fields hold.
        self.entries.push(Entry {
            start: line.start as u32,
            value: line.value as u32,
            value_len: (line.value_end - line.value) as u32,
            name_len: line.name_len as u16,
            known: line.known,
            place: if clean { Place::Clean } else { Place::Received },
            shape,
        });
    }

    pub(crate) fn push_unfolded(&mut self, line: ReceivedLine) {
        let at = self.own.len();
        let folded = &self.received[line.value..line.value_end];
        let mut white = false;
        for &byte in folded {
            match byte {
                b'\r' | b'\n' => white = true,
                b' ' | b'\t' if white => {}
                _ => {
                    if white && self.own.len() > at {
                        self.own.push(b' ');
                    }
                    white = false;
                    self.own.push(byte);
                }
            }
        }
        let value_len = trim(&self.own[at..]).len();
        self.own.truncate(at + value_len);
        self.entries.push(Entry {
            start: line.start as u32,
            value: at as u32,
            value_len: value_len as u32,
            name_len: line.name_len as u16,
            known: line.known,
            place: Place::Unfolded,
            shape: Shape::default(),
        });
    }

    /// Keeps what was found out about the value of the last header.
    #[inline]
    pub(crate) fn set_last_shape(&mut self, shape: Shape) {
        if let Some(entry) = self.entries.last_mut() {
            entry.shape = shape;
        }
    }

    /// The value of the last header.
    pub(crate) fn last(&self) -> Option<&[u8]> {
        Some(self.value(self.entries.last()?))
    }

    /// How many bytes [`Headers::write_to`] writes.
    pub(crate) fn printed_len(&self, body: usize) -> usize {
        let line = |name: usize, value: usize| name + ": ".len() + value + "\r\n".len();
        let mut length = None;
        let mut total = 0;
        for entry in &self.entries {
            let name_len = usize::from(entry.name_len);
            match entry.known {
                Some(HeaderName::ContentLength) => length = length.or(Some(name_len)),
                _ => total += line(name_len, entry.value_len as usize),
            }
        }
        let name_len = length.unwrap_or(HeaderName::ContentLength.as_str().len());
        let digits = body.checked_ilog10().unwrap_or_default() as usize + 1;
        total + line(name_len, digits)
    }

    /// Prints all lines; the length of the body stands where the first Content-Length does, or at the end.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>, body: usize) {
        // Neighbours in one buffer are copied together.
        let mut run: Option<(Place, usize, usize)> = None;
        let mut said_length = false;
        for entry in &self.entries {
            let start = entry.start as usize;
            let end = (entry.value + entry.value_len) as usize + "\r\n".len();
            let whole = matches!(entry.place, Place::Clean | Place::Own);
            if whole && entry.known != Some(HeaderName::ContentLength) {
                match &mut run {
                    Some((place, _, run_end)) if *place == entry.place && *run_end == start => {
                        *run_end = end
                    }
                    _ => {
                        self.flush(out, run.replace((entry.place, start, end)));
                    }
                }
                continue;
            }
            self.flush(out, run.take());
            let name = self.name(entry);
            if name.known == Some(HeaderName::ContentLength) {
                if !said_length {
                    said_length = true;
                    write_length(out, name.text, body);
                }
                continue;
            }
            out.extend_from_slice(name.text);
            out.extend_from_slice(b": ");
            out.extend_from_slice(self.value(entry));
            out.extend_from_slice(b"\r\n");
        }
        self.flush(out, run);
        if !said_length {
            write_length(out, HeaderName::ContentLength.as_str().as_bytes(), body);
        }
    }

    fn flush(&self, out: &mut Vec<u8>, run: Option<(Place, usize, usize)>) {
        match run {
            Some((Place::Own, start, end)) => out.extend_from_slice(&self.own[start..end]),
            Some((_, start, end)) => out.extend_from_slice(&self.received[start..end]),
            None => {}
        }
    }
}

/// A line as the parser found it: offsets into the message.
#[derive(Clone, Copy)]
pub(crate) struct ReceivedLine {
    pub(crate) start: usize,
    pub(crate) name_len: usize,
    pub(crate) known: Option<HeaderName>,
    pub(crate) value: usize,
    pub(crate) value_end: usize,
}

/// Leaves nothing in a value that could end its line.
fn without_ends(value: &mut [u8]) {
    for byte in value {
        if matches!(*byte, b'\r' | b'\n' | 0) {
            *byte = b' ';
        }
    }
}

fn write_length(out: &mut Vec<u8>, name: &[u8], body: usize) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    body.write_to(out);
    out.extend_from_slice(b"\r\n");
}

impl PartialEq for Headers {
    /// Same names (in any spelling) and values in the same order.
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for Field { name, value } in self.iter() {
            let name_text = String::from_utf8_lossy(name.text);
            let secret = matches!(
                name.known,
                Some(HeaderName::Authorization | HeaderName::ProxyAuthorization)
            );
            match secret {
                true => map.entry(&name_text, &"…"),
                false => map.entry(&name_text, &String::from_utf8_lossy(value)),
            };
        }
        map.finish()
    }
}

/// Longest name of a header of our own; a longer one is cut.
const MAX_NAME: usize = 1_024;
/// Room for an ordinary line.
const USUAL_LINE: usize = 64;
/// Room for the headers of an ordinary message in one allocation.
const USUAL_HEADERS: usize = 20;

#[cfg(test)]
mod tests;
