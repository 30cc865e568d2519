//! Text to descriptions: lenient towards what peers send, bounded in what it keeps.

mod line;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::{
    Attribute, Attributes, Bandwidth, Connection, Fragment, Media, Origin, Session, Text, Time,
};

/// Says why a text is no description, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {kind} (at byte {at})")]
pub struct ParseError {
    /// Which part is meant.
    pub what: &'static str,
    /// The byte at which the line with the fault begins.
    pub at: usize,
    /// What is wrong with it.
    pub kind: ParseErrorKind,
}

/// The ways in which a text fails to be a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseErrorKind {
    /// A line that must be there is not.
    Missing,
    /// A line cannot be understood.
    Malformed,
    /// There is more of it than the limit allows.
    TooMany,
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Malformed => "is malformed",
            Self::TooMany => "exceeds the limit",
        })
    }
}

impl Session {
    /// Reads a description.
    ///
    /// Required are `v=0` as the first line and an `o=` line. Tolerated are: lines that end in LF, CR
    /// or NUL, a last line without an end, blanks at line ends, lines out of order, missing `s=` and
    /// `t=`, missing `c=`, formats missing from an m-line, a user name with blanks, and duplicates (of
    /// a line that stands once, the first counts). Lines of an unknown type, `b=` lines without a
    /// colon and `a=` lines without a name are skipped (RFC 8866, section 5). Bytes that are not UTF-8
    /// are replaced by U+FFFD.
    ///
    /// # Errors
    /// The text begins with something else, lacks `o=`, has an `o=`, `c=` or `m=` line that cannot be
    /// understood, or exceeds [`MAX_TEXT`], [`MAX_LINES`], [`MAX_MEDIA`], [`MAX_FORMATS`] or
    /// [`MAX_ATTRIBUTES`].
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let source = source(text)?;
        let mut reader = Reader::new(&source);
        reader.read()?;
        reader.finish()
    }
}

impl Fragment {
    /// Reads a part of a description, as tolerantly as [`Session::parse`] reads a whole one.
    ///
    /// # Errors
    /// An `m=` or `c=` line cannot be understood, or one of the limits of [`Session::parse`] is
    /// exceeded.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let source = source(text)?;
        let mut reader = Reader::new(&source);
        // RFC 8840, section 9.2: neither stands in a fragment.
        (reader.has_version, reader.has_origin) = (true, true);
        reader.read()?;
        Ok(Self {
            attributes: reader.session.attributes,
            media: reader.session.media,
        })
    }
}

/// What is read: UTF-8, but a wrong byte in a title must not cost the call (RFC 8866, section 5).
fn source(text: &[u8]) -> Result<Arc<str>, ParseError> {
    if text.len() > MAX_TEXT {
        return Err(error("text", 0, ParseErrorKind::TooMany));
    }
    Ok(match str::from_utf8(text) {
        Ok(text) => Arc::from(text),
        Err(_) => Arc::from(String::from_utf8_lossy(text)),
    })
}

struct Reader<'a> {
    source: &'a Arc<str>,
    session: Session,
    has_version: bool,
    has_origin: bool,
    /// A `t=0 0` was read, which stands for itself unless more times follow.
    permanent: bool,
    lines: usize,
    attributes: usize,
}

impl<'a> Reader<'a> {
    fn new(source: &'a Arc<str>) -> Self {
        let nowhere = Connection {
            net_type: Text::default(),
            address_type: Text::default(),
            address: Text::default(),
        };
        let origin = Origin {
            user: Text::default(),
            id: Text::default(),
            version: Text::default(),
            connection: nowhere,
        };
        Self {
            source,
            session: Session {
                name: Text::default(),
                ..Session::new(origin)
            },
            has_version: false,
            has_origin: false,
            permanent: false,
            lines: 0,
            attributes: 0,
        }
    }

    fn read(&mut self) -> Result<(), ParseError> {
        let bytes = self.source.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let end = line::end(bytes, at);
            let trimmed = line::trim_end(bytes, at, end);
            if trimmed > at {
                self.read_line(at..trimmed)?;
            }
            at = line::next(bytes, end);
        }
        Ok(())
    }

    fn read_line(&mut self, line: Range<usize>) -> Result<(), ParseError> {
        let at = line.start;
        self.lines += 1;
        if self.lines > MAX_LINES {
            return Err(error("lines", at, ParseErrorKind::TooMany));
        }
        let bytes = self.source.as_bytes();
        let (kind, value) = match &bytes[line.clone()] {
            [kind, b'=', ..] => (*kind, at + 2..line.end),
            _ => (0, line),
        };
        if !self.has_version {
            // RFC 8866, section 5.1: the version comes first and there is only this one.
            if kind != b'v' || self.text(value) != "0" {
                return Err(error("v= line", at, ParseErrorKind::Missing));
            }
            self.has_version = true;
            return Ok(());
        }
        match kind {
            b'a' => self.attribute(value, at),
            b'm' => self.media(value, at),
            b'c' => self.connection(value, at),
            b'o' => self.origin(value, at),
            b't' if self.session.media.is_empty() => {
                self.time(value);
                Ok(())
            }
            _ => {
                self.rare_line(kind, value);
                Ok(())
            }
        }
    }

    /// The lines in which nothing can be wrong.
    fn rare_line(&mut self, kind: u8, value: Range<usize>) {
        let text = Text::part(self.source, value);
        match (kind, self.session.media.last_mut()) {
            (b'b', media) => {
                let Some(colon) = text.find(':') else { return };
                let kind = text.slice(0..colon);
                let bandwidth = Bandwidth {
                    kind,
                    value: text.slice(colon + 1..text.len()),
                };
                media
                    .map_or(&mut self.session.bandwidth, |media| &mut media.bandwidth)
                    .push(bandwidth);
            }
            (b'i', Some(media)) => keep_first(&mut media.info, text),
            (b'k', Some(media)) => keep_first(&mut media.key, text),
            (_, Some(_)) => {}
            (b's', None) => keep_first(&mut self.session.name, text),
            (b'i', None) => keep_first(&mut self.session.info, text),
            (b'u', None) => keep_first(&mut self.session.uri, text),
            (b'k', None) => keep_first(&mut self.session.key, text),
            (b'e', None) if !text.is_empty() => self.session.emails.push(text),
            (b'p', None) if !text.is_empty() => self.session.phones.push(text),
            (b'r', None) if !text.is_empty() => {
                if let Some(time) = self.explicit_time() {
                    time.repeats.push(text);
                }
            }
            (b'z', None) if !text.is_empty() => {
                if let Some(time) = self.explicit_time() {
                    keep_first(&mut time.zone, text);
                }
            }
            (_, None) => {}
        }
    }

    fn attribute(&mut self, value: Range<usize>, at: usize) -> Result<(), ParseError> {
        let bytes = self.source.as_bytes();
        let start = line::skip_blanks(bytes, value.start, value.end);
        let name_length = line::find(bytes, b':', start, value.end) - start;
        if name_length == 0 {
            return Ok(());
        }
        self.attributes += 1;
        if self.attributes > MAX_ATTRIBUTES {
            return Err(error("a= lines", at, ParseErrorKind::TooMany));
        }
        let text = Text::part(self.source, start..value.end);
        let attribute = Attribute::with_name_length(text, name_length);
        match self.session.media.last_mut() {
            Some(media) => media.attributes.push(attribute),
            None => self.session.attributes.push(attribute),
        }
        Ok(())
    }

    fn media(&mut self, value: Range<usize>, at: usize) -> Result<(), ParseError> {
        let malformed = || error("m= line", at, ParseErrorKind::Malformed);
        if self.session.media.len() == MAX_MEDIA {
            return Err(error("m= lines", at, ParseErrorKind::TooMany));
        }
        let rest = self.source.len() - value.end;
        let mut fields = line::Fields::new(self.source.as_bytes(), value);
        let kind = fields.next().ok_or_else(malformed)?;
        let ports = fields.next().ok_or_else(malformed)?;
        let (port, port_count) = self.ports(ports).ok_or_else(malformed)?;
        let protocol = fields.next().ok_or_else(malformed)?;
        let mut media = Media::new(self.part(kind), port, self.part(protocol));
        media.port_count = port_count;
        media.formats = Vec::with_capacity(fields.count_left().min(MAX_FORMATS));
        for format in fields {
            if media.formats.len() == MAX_FORMATS {
                return Err(error("formats", at, ParseErrorKind::TooMany));
            }
            media.formats.push(self.part(format));
        }
        let guess = (rest / BYTES_PER_ATTRIBUTE + 1).min(MAX_ATTRIBUTES_RESERVED);
        media.attributes = Attributes(Vec::with_capacity(guess));
        if self.session.media.is_empty() {
            self.session.media = Vec::with_capacity(USUAL_MEDIA);
        }
        self.session.media.push(media);
        Ok(())
    }

    /// Port and count of an m-line: `49170` or `49170/2`.
    fn ports(&self, field: Range<usize>) -> Option<(u16, u16)> {
        let slash = line::find(self.source.as_bytes(), b'/', field.start, field.end);
        let port = self.text(field.start..slash).parse().ok()?;
        if slash == field.end {
            return Some((port, 1));
        }
        let count: u16 = self.text(slash + 1..field.end).parse().ok()?;
        Some((port, count.max(1)))
    }

    fn connection(&mut self, value: Range<usize>, at: usize) -> Result<(), ParseError> {
        let mut fields = line::Fields::new(self.source.as_bytes(), value);
        let (Some(net_type), Some(address_type), Some(address)) =
            (fields.next(), fields.next(), fields.next())
        else {
            return Err(error("c= line", at, ParseErrorKind::Malformed));
        };
        let connection = self.address(net_type, address_type, address);
        match self.session.media.last_mut() {
            Some(media) => media.connections.push(connection),
            None if self.session.connection.is_none() => self.session.connection = Some(connection),
            None => {}
        }
        Ok(())
    }

    fn origin(&mut self, value: Range<usize>, at: usize) -> Result<(), ParseError> {
        if self.has_origin || !self.session.media.is_empty() {
            return Ok(());
        }
        // The last five fields are fixed; whatever stands before is the user's name, which some
        // peers leave out and others write with blanks.
        let bytes = self.source.as_bytes();
        let mut last: [Range<usize>; 5] = std::array::from_fn(|_| value.end..value.end);
        let mut user_end = value.start;
        for field in line::Fields::new(bytes, value.clone()) {
            if !last[0].is_empty() {
                user_end = last[0].end;
            }
            last.rotate_left(1);
            last[4] = field;
        }
        if last[0].is_empty() {
            return Err(error("o= line", at, ParseErrorKind::Malformed));
        }
        let user_start = line::skip_blanks(bytes, value.start, user_end);
        let user = if user_start < user_end {
            self.part(user_start..user_end)
        } else {
            Text::fixed("-")
        };
        let [id, version, net_type, address_type, address] = last;
        self.session.origin = Origin {
            user,
            id: self.part(id),
            version: self.part(version),
            connection: self.address(net_type, address_type, address),
        };
        self.has_origin = true;
        Ok(())
    }

    fn address(
        &self,
        net_type: Range<usize>,
        address_type: Range<usize>,
        address: Range<usize>,
    ) -> Connection {
        Connection {
            net_type: self.well_known(net_type),
            address_type: self.well_known(address_type),
            address: self.part(address),
        }
    }

    /// A field that nearly always is one of three words.
    fn well_known(&self, field: Range<usize>) -> Text {
        match &self.source.as_bytes()[field.clone()] {
            b"IN" => Text::fixed("IN"),
            b"IP4" => Text::fixed("IP4"),
            b"IP6" => Text::fixed("IP6"),
            _ => self.part(field),
        }
    }

    fn time(&mut self, value: Range<usize>) {
        if self.permanent {
            self.session.times.push(permanent());
            self.permanent = false;
        }
        // The usual case, before the fields are looked for.
        if self.session.times.is_empty() && self.text(value.clone()) == "0 0" {
            self.permanent = true;
            return;
        }
        let mut fields = line::Fields::new(self.source.as_bytes(), value);
        // A missing time is 0, too.
        let start = fields
            .next()
            .filter(|field| self.text(field.clone()) != "0");
        let stop = fields
            .next()
            .filter(|field| self.text(field.clone()) != "0");
        if start.is_none() && stop.is_none() && self.session.times.is_empty() {
            self.permanent = true;
            return;
        }
        let part =
            |field: Option<Range<usize>>| field.map_or(Text::fixed("0"), |field| self.part(field));
        let time = Time {
            start: part(start),
            stop: part(stop),
            ..permanent()
        };
        self.session.times.push(time);
    }

    /// The time that `r=` and `z=` lines belong to.
    fn explicit_time(&mut self) -> Option<&mut Time> {
        if self.permanent {
            self.session.times.push(permanent());
            self.permanent = false;
        }
        self.session.times.last_mut()
    }

    fn part(&self, range: Range<usize>) -> Text {
        Text::part(self.source, range)
    }

    fn text(&self, range: Range<usize>) -> &str {
        &self.source[range]
    }

    fn finish(mut self) -> Result<Session, ParseError> {
        if !self.has_version {
            return Err(error("v= line", 0, ParseErrorKind::Missing));
        }
        if !self.has_origin {
            return Err(error("o= line", self.source.len(), ParseErrorKind::Missing));
        }
        if self.session.name.is_empty() {
            self.session.name = Text::fixed("-");
        }
        Ok(self.session)
    }
}

fn permanent() -> Time {
    Time {
        start: Text::fixed("0"),
        stop: Text::fixed("0"),
        repeats: Vec::new(),
        zone: Text::default(),
    }
}

fn keep_first(place: &mut Text, text: Text) {
    if place.is_empty() {
        *place = text;
    }
}

fn error(what: &'static str, at: usize, kind: ParseErrorKind) -> ParseError {
    ParseError { what, at, kind }
}

/// The longest text read, in bytes: what one UDP datagram can carry, and ten times what the largest
/// descriptions of browsers take.
pub const MAX_TEXT: usize = 65_536;
/// The most lines read: twice the attributes, so that nothing else becomes the larger part.
pub const MAX_LINES: usize = 2_048;
/// The most m-lines read: a session that offers more is an attack on its answerer.
pub const MAX_MEDIA: usize = 64;
/// The most formats of one m-line: twice the payload numbers that there are.
pub const MAX_FORMATS: usize = 256;
/// The most attributes read, session and m-lines together: sixteen for each of [`MAX_MEDIA`] lines.
pub const MAX_ATTRIBUTES: usize = 1_024;

/// Length of a typical attribute line, to reserve by.
const BYTES_PER_ATTRIBUTE: usize = 24;
/// For how many m-lines the first one reserves room.
const USUAL_MEDIA: usize = 2;
/// The most attributes for which an m-line reserves room in advance.
const MAX_ATTRIBUTES_RESERVED: usize = 16;

#[cfg(test)]
mod tests;
