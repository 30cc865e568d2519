//! Via (RFC 3261, 20.42) with rport (RFC 3581).

use super::{Header, HeaderName, Params, Parse, Value, params::write_param};
use crate::{ParseError, uri::read_host};
use base::{Host, HostPort, Transport, scan::Cursor};
use std::net::{IpAddr, SocketAddr};

/// One hop that a request took, and the way its responses take back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Via<'a> {
    /// The transport, as written: `UDP`, or a name that this stack does not know.
    pub transport: &'a str,
    /// The host of sent-by, as written; an IPv6 address in its brackets.
    pub host: &'a str,
    /// The port of sent-by, if it is written.
    pub port: Option<u16>,
    /// branch, received, rport and others.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// The transport, if this stack knows it.
    pub fn known_transport(&self) -> Option<Transport> {
        Transport::from_name(self.transport.as_bytes())
    }

    /// Host and port that the sender wrote of itself.
    pub fn sent_by(&self) -> HostPort {
        let host = self
            .host
            .parse()
            .unwrap_or_else(|_| Host::Name(self.host.to_owned()));
        HostPort::new(host, self.port)
    }

    /// The id of the transaction.
    pub fn branch(&self) -> Option<&'a str> {
        self.params.token("branch")
    }

    /// True if the branch is unique by itself (RFC 3261, 8.1.1.7); else RFC 2543 rules match.
    pub fn has_cookie(&self) -> bool {
        // RFC 3261, 7.3.1: tokens are compared in any case.
        let cookie = |branch: &str| {
            branch
                .get(..7)
                .is_some_and(|start| start.eq_ignore_ascii_case(COOKIE))
        };
        self.branch().is_some_and(cookie)
    }

    /// Where the request really came from; brackets around an IPv6 address are tolerated (RFC 5118, 4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.token("received")?;
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        bare.unwrap_or(text).parse().ok()
    }

    /// The port the request really came from; `Some(None)` asks for it (RFC 3581, 3).
    pub fn rport(&self) -> Option<Option<u16>> {
        let param = self.params.get("rport")?;
        Some(param.text().and_then(|port| port.parse().ok()))
    }

    /// Where responses go to by multicast (RFC 3261, 18.2.2).
    pub fn maddr(&self) -> Option<&'a str> {
        self.params.token("maddr")
    }

    /// Returns this value as a server hands it on: with `received`, and with `rport` filled in if asked.
    ///
    /// RFC 3261, 18.2.1 and RFC 3581, 4: `received` is added if the host differs from the source or is
    /// a name, and always beside `rport`. Values that came in the request are replaced: they are the
    /// sender's claim.
    pub fn stamped(&self, source: SocketAddr) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        self.write_sent_by(&mut out);
        let asked = self.params.contains("rport");
        for param in self.params.iter() {
            let name = param.name;
            if name.eq_ignore_ascii_case("received") || name.eq_ignore_ascii_case("rport") {
                continue;
            }
            out.push(b';');
            out.extend_from_slice(name.as_bytes());
            if let Some(value) = param.value {
                out.push(b'=');
                out.extend_from_slice(value);
            }
        }
        if asked || self.sent_by().host.ip() != Some(source.ip()) {
            write_param(&mut out, "received", Some(&source.ip().to_string()));
        }
        if asked {
            write_param(&mut out, "rport", Some(&source.port().to_string()));
        }
        out
    }

    /// Writes a Via of our own, which asks for `rport`.
    pub fn ours(transport: Transport, sent_by: &HostPort, branch: &str) -> String {
        format!(
            "SIP/2.0/{} {sent_by};branch={branch};rport",
            transport.via_name()
        )
    }

    /// Reads as much of a broken value as says where an answer goes: transport and sent-by.
    pub(crate) fn salvage(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        Self::read_sent_by(&mut cursor, true).ok()
    }

    fn read_sent_by(cursor: &mut Cursor<'a>, any_version: bool) -> Result<Self, ParseError> {
        // Nearly every Via begins with these very bytes.
        if cursor.rest().starts_with(b"SIP/2.0/") {
            cursor.take_while(|b| b != b'/');
            cursor.bump();
            cursor.take_while(|b| b != b'/');
            cursor.bump();
        } else {
            for part in [&b"SIP"[..], b"2.0"] {
                let at = cursor.at();
                let token = cursor.token().unwrap_or_default();
                let skip = any_version && part == b"2.0";
                if !skip && !token.eq_ignore_ascii_case(part) {
                    return Err(ParseError::syntax("protocol of Via", at));
                }
                cursor.skip_space();
                if !cursor.eat(b'/') {
                    return Err(ParseError::syntax("protocol of Via", cursor.at()));
                }
                cursor.skip_space();
            }
        }
        let syntax = |what, cursor: &Cursor<'_>| ParseError::syntax(what, cursor.at());
        let transport = cursor
            .token()
            .ok_or_else(|| syntax("transport of Via", cursor))?;
        if !matches!(cursor.peek(), Some(b' ' | b'\t')) {
            return Err(syntax("sent-by of Via", cursor));
        }
        cursor.skip_space();
        let host = read_host(cursor)?;
        let end_of_host = *cursor;
        cursor.skip_space();
        let mut port = None;
        if cursor.eat(b':') {
            cursor.skip_space();
            let at = cursor.at();
            let number = cursor.number(u64::from(u16::MAX));
            port =
                Some(number.map_err(|error| ParseError::number(error, "port of Via", at))? as u16);
        } else {
            *cursor = end_of_host;
        }
        Ok(Self {
            // A token is ASCII.
            transport: std::str::from_utf8(transport).unwrap_or_default(),
            host,
            port,
            params: Params::default(),
        })
    }

    fn write_sent_by(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"SIP/2.0/");
        out.extend_from_slice(self.transport.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.host.as_bytes());
        if let Some(port) = self.port {
            out.push(b':');
            u32::from(port).write_to(out);
        }
    }
}

impl<'a> Parse<'a> for Via<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        let mut via = Self::read_sent_by(&mut cursor, false)?;
        via.params = Params::parse(cursor.rest()).map_err(|error| error.shifted(cursor.at()))?;
        Ok(via)
    }
}

impl<'a> Header<'a> for Via<'a> {
    const NAME: HeaderName = HeaderName::Via;
}

impl Value for Via<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.write_sent_by(out);
        self.params.write_to(out);
    }
}

/// RFC 3261, 8.1.1.7: marks branches that are unique by themselves.
pub const COOKIE: &str = "z9hG4bK";
