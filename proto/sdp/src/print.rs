//! Descriptions to text: CRLF line ends and the order of RFC 8866, section 9.

use std::fmt;

use crate::{Attributes, Bandwidth, Connection, Media, Session, Text};

impl Session {
    /// Prints the description.
    ///
    /// The order of lines is RFC 8866's. Empty texts of optional lines and an empty attribute name
    /// print no line, an empty session name prints `-`.
    pub fn print(&self) -> String {
        let mut out = String::with_capacity(self.size_estimate());
        let origin = &self.origin;
        out.push_str("v=0\r\no=");
        out.push_str(&origin.user);
        out.push(' ');
        out.push_str(&origin.id);
        out.push(' ');
        out.push_str(&origin.version);
        out.push(' ');
        address(&mut out, &origin.connection);
        out.push_str("s=");
        out.push_str(if self.name.is_empty() {
            "-"
        } else {
            &self.name
        });
        out.push_str("\r\n");
        optional(&mut out, "i=", &self.info);
        optional(&mut out, "u=", &self.uri);
        for email in &self.emails {
            line(&mut out, "e=", email);
        }
        for phone in &self.phones {
            line(&mut out, "p=", phone);
        }
        if let Some(connection) = &self.connection {
            out.push_str("c=");
            address(&mut out, connection);
        }
        bandwidths(&mut out, &self.bandwidth);
        self.print_times(&mut out);
        optional(&mut out, "k=", &self.key);
        attributes(&mut out, &self.attributes);
        for media in &self.media {
            media.print(&mut out);
        }
        out
    }

    fn print_times(&self, out: &mut String) {
        if self.times.is_empty() {
            out.push_str("t=0 0\r\n");
        }
        for time in &self.times {
            out.push_str("t=");
            out.push_str(&time.start);
            out.push(' ');
            out.push_str(&time.stop);
            out.push_str("\r\n");
            for repeat in &time.repeats {
                line(out, "r=", repeat);
            }
            optional(out, "z=", &time.zone);
        }
    }

    /// A guess that saves most descriptions from growing; exactness would cost a second walk.
    fn size_estimate(&self) -> usize {
        let attributes = |list: &Attributes| list.len() * ATTRIBUTE_GUESS;
        let media = |media: &Media| MEDIA_GUESS + attributes(&media.attributes);
        HEAD_GUESS + attributes(&self.attributes) + self.media.iter().map(media).sum::<usize>()
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.print())
    }
}

impl Media {
    fn print(&self, out: &mut String) {
        out.push_str("m=");
        out.push_str(&self.kind);
        out.push(' ');
        number(out, self.port);
        if self.port_count > 1 {
            out.push('/');
            number(out, self.port_count);
        }
        out.push(' ');
        out.push_str(&self.protocol);
        for format in &self.formats {
            out.push(' ');
            out.push_str(format);
        }
        out.push_str("\r\n");
        optional(out, "i=", &self.info);
        for connection in &self.connections {
            out.push_str("c=");
            address(out, connection);
        }
        bandwidths(out, &self.bandwidth);
        optional(out, "k=", &self.key);
        attributes(out, &self.attributes);
    }
}

fn attributes(out: &mut String, attributes: &Attributes) {
    for attribute in attributes.iter() {
        if !attribute.name().is_empty() {
            line(out, "a=", attribute.as_str());
        }
    }
}

fn bandwidths(out: &mut String, bandwidths: &[Bandwidth]) {
    for bandwidth in bandwidths {
        out.push_str("b=");
        out.push_str(&bandwidth.kind);
        out.push(':');
        line(out, "", &bandwidth.value);
    }
}

fn address(out: &mut String, connection: &Connection) {
    out.push_str(&connection.net_type);
    out.push(' ');
    out.push_str(&connection.address_type);
    out.push(' ');
    line(out, "", &connection.address);
}

fn optional(out: &mut String, head: &str, text: &Text) {
    if !text.is_empty() {
        line(out, head, text);
    }
}

fn line(out: &mut String, head: &str, text: &str) {
    out.push_str(head);
    out.push_str(text);
    out.push_str("\r\n");
}

/// Writes a number without the machinery of `format!`.
fn number(out: &mut String, number: u16) {
    let mut divisor = 10_000;
    while divisor > 1 && number < divisor {
        divisor /= 10;
    }
    while divisor > 0 {
        out.push(char::from(b'0' + (number / divisor % 10) as u8));
        divisor /= 10;
    }
}

/// Bytes of the lines before the first attribute, usually.
const HEAD_GUESS: usize = 160;
/// Bytes of an m-line with its connection line, usually.
const MEDIA_GUESS: usize = 96;
/// Bytes of an attribute line, usually.
const ATTRIBUTE_GUESS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (value, text) in [
            (0, "0"),
            (7, "7"),
            (10, "10"),
            (999, "999"),
            (5_060, "5060"),
            (65_535, "65535"),
        ] {
            let mut out = String::new();
            number(&mut out, value);
            assert_eq!(out, text);
        }
    }
}
