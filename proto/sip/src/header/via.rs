//! Via (RFC 3261, 20.42) with rport (RFC 3581).

use super::{
    Header, HeaderName, Params, Parse, Shape, Value, first,
    params::{skip_space, write_param},
    shape::{Part, Parts},
    whole,
};
use crate::{
    ParseError,
    uri::{read_host, read_port},
};
use base::{
    Host, HostPort, Transport,
    scan::{is_token, run},
};
use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
    str,
};

/// One hop that a request took, and the way its responses take back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Via<'a> {
    /// ASCII.
    pub(super) transport: &'a [u8],
    /// ASCII.
    pub(super) host: &'a [u8],
    /// The port of sent-by, if it is written.
    pub port: Option<u16>,
    /// branch, received, rport and others.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// The transport, as written: `UDP`, or a name that this stack does not know.
    pub fn transport(&self) -> &'a str {
        str::from_utf8(self.transport).unwrap_or_default()
    }

    /// The transport, if this stack knows it.
    pub fn known_transport(&self) -> Option<Transport> {
        Transport::from_name(self.transport)
    }

    /// The host of sent-by, as written; an IPv6 address in its brackets.
    pub fn host(&self) -> &'a str {
        str::from_utf8(self.host).unwrap_or_default()
    }

    /// Host and port that the sender wrote of itself.
    pub fn sent_by(&self) -> HostPort {
        let host = self.host();
        let host = host.parse().unwrap_or_else(|_| Host::Name(host.to_owned()));
        HostPort::new(host, self.port)
    }

    /// The id of the transaction.
    pub fn branch(&self) -> Option<&'a str> {
        self.params.token("branch")
    }

    /// True if the branch is unique by itself (RFC 3261, 8.1.1.7); else RFC 2543 rules match.
    ///
    /// A cookie with nothing behind it is none (RFC 4475, 3.2.1).
    pub fn has_cookie(&self) -> bool {
        // RFC 3261, 7.3.1: tokens are compared in any case.
        let cookie = |branch: &str| {
            let start = branch.get(..COOKIE.len());
            branch.len() > COOKIE.len()
                && start.is_some_and(|start| start.eq_ignore_ascii_case(COOKIE))
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
            let mut ip = String::with_capacity(MAX_IP);
            // Writing to a string cannot fail.
            let _ = write!(ip, "{}", source.ip());
            write_param(&mut out, "received", Some(&ip));
        }
        if asked {
            out.extend_from_slice(b";rport=");
            u32::from(source.port()).write_to(&mut out);
        }
        out
    }

    /// Writes a Via of our own, which asks for `rport`.
    pub fn ours(transport: Transport, sent_by: &HostPort, branch: &str) -> String {
        let mut value = String::with_capacity(USUAL_LEN);
        // Writing to a string cannot fail.
        let _ = write!(
            value,
            "SIP/2.0/{} {sent_by};branch={branch};rport",
            transport.via_name()
        );
        value
    }

    /// Reads as much of a broken value as says where an answer goes: transport and sent-by.
    pub(crate) fn salvage(value: &'a [u8]) -> Option<Self> {
        Self::read_sent_by(value, true).ok().map(|(via, _)| via)
    }

    /// Reads the value at the beginning of `value`, and returns where it ends: at the end or at a comma.
    fn read(value: &'a [u8]) -> Result<(Self, usize), ParseError> {
        let (mut via, at) = Self::read_sent_by(value, false)?;
        let (params, end) = Params::read(value, at)?;
        via.params = params;
        Ok((via, end))
    }

    fn read_sent_by(value: &'a [u8], any_version: bool) -> Result<(Self, usize), ParseError> {
        let at = skip_space(value, 0);
        // Nearly every Via begins with these very bytes.
        let transport = match value[at..].starts_with(b"SIP/2.0/") {
            true => at + b"SIP/2.0/".len(),
            false => read_protocol(value, at, any_version)?,
        };
        let transport_end = run(value, transport, is_token);
        let host = skip_space(value, transport_end);
        if transport_end == transport || host == transport_end {
            return Err(ParseError::syntax("transport of Via", transport));
        }
        let host_end = read_host(value, host)?;
        let colon = skip_space(value, host_end);
        let (mut end, mut port) = (host_end, None);
        if value.get(colon) == Some(&b':') {
            let (digits, number) = read_port(value, skip_space(value, colon + 1), "port of Via")?;
            (end, port) = (digits, Some(number));
        }
        let via = Self {
            transport: &value[transport..transport_end],
            host: &value[host..host_end],
            port,
            params: Params::default(),
        };
        Ok((via, end))
    }

    fn write_sent_by(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"SIP/2.0/");
        out.extend_from_slice(self.transport);
        out.push(b' ');
        out.extend_from_slice(self.host);
        if let Some(port) = self.port {
            out.push(b':');
            u32::from(port).write_to(out);
        }
    }
}

impl<'a> Parse<'a> for Via<'a> {
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        whole(value, Self::read)
    }

    fn parse_first(list: &'a [u8]) -> (Result<Self, ParseError>, usize) {
        first(list, Self::read)
    }

    fn shape(&self, value: &'a [u8]) -> Shape {
        let parts = || {
            Some(Parts::Via {
                transport: Part::of(value, self.transport)?,
                host: Part::of(value, self.host)?,
                port: self.port,
                params: Part::of(value, self.params.as_bytes())?,
            })
        };
        Shape(parts().unwrap_or_default())
    }

    fn of_shape(value: &'a [u8], shape: &Shape) -> Option<(Self, usize)> {
        let Parts::Via {
            transport,
            host,
            port,
            params,
        } = shape.0
        else {
            return None;
        };
        let via = Self {
            transport: transport.cut(value)?,
            host: host.cut(value)?,
            port,
            params: Params::from_checked(params.cut(value)?),
        };
        Some((via, usize::from(params.to)))
    }
}

/// Reads `SIP / 2.0 /` with white space and in any case, and returns where the transport begins.
fn read_protocol(value: &[u8], mut at: usize, any_version: bool) -> Result<usize, ParseError> {
    for part in [&b"SIP"[..], b"2.0"] {
        let end = run(value, at, is_token);
        let skip = any_version && part == b"2.0";
        if !skip && !value[at..end].eq_ignore_ascii_case(part) {
            return Err(ParseError::syntax("protocol of Via", at));
        }
        let slash = skip_space(value, end);
        if value.get(slash) != Some(&b'/') {
            return Err(ParseError::syntax("protocol of Via", slash));
        }
        at = skip_space(value, slash + 1);
    }
    Ok(at)
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

/// The longest text of an address, an IPv4 one inside of an IPv6 one.
const MAX_IP: usize = 45;
/// Room for an ordinary Via.
const USUAL_LEN: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn via(text: &str) -> Via<'_> {
        Via::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn printed(value: impl Value) -> String {
        let mut out = Vec::new();
        value.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn parts() {
        let text = "SIP/2.0/UDP pc33.atlanta.com:5066;branch=z9hG4bK776asdhds;received=192.0.2.1;rport=9988;maddr=239.0.0.1";
        let full = via(text);
        assert_eq!(
            (full.transport(), full.known_transport()),
            ("UDP", Some(Transport::Udp))
        );
        assert_eq!(full.sent_by().to_string(), "pc33.atlanta.com:5066");
        assert_eq!(
            (full.branch(), full.has_cookie()),
            (Some("z9hG4bK776asdhds"), true)
        );
        assert_eq!(full.received(), Some([192, 0, 2, 1].into()));
        assert_eq!(
            (full.rport(), full.maddr()),
            (Some(Some(9988)), Some("239.0.0.1"))
        );
        assert_eq!(printed(full), text);
        let bare = via("SIP/2.0/SCTP host;rport");
        assert_eq!(
            (bare.known_transport(), bare.port, bare.rport()),
            (None, None, Some(None))
        );
        assert_eq!(
            (bare.branch(), bare.has_cookie(), bare.received()),
            (None, false, None)
        );
    }

    #[test]
    fn white_space_wherever_the_grammar_has_it() {
        let spaced =
            via("sip / 2.0\t/ TCP   [2001:db8::9:1] : 5060 ; branch = z9hG4bK9ikj8 ;ttl= 1");
        assert_eq!(
            printed(spaced),
            "SIP/2.0/TCP [2001:db8::9:1]:5060;branch=z9hG4bK9ikj8;ttl=1"
        );
    }

    #[test]
    fn received_with_and_without_brackets() {
        let ip = "2001:db8::9:255".parse().ok();
        assert_eq!(
            via("SIP/2.0/UDP a;received=[2001:db8::9:255];branch=1").received(),
            ip
        );
        assert_eq!(
            via("SIP/2.0/UDP a;received=2001:db8::9:255;branch=1").received(),
            ip
        );
        assert_eq!(via("SIP/2.0/UDP a;received=nobody").received(), None);
    }

    #[test]
    fn what_is_no_via() {
        for bad in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 UDP a",
            "SIP/7.0/UDP a",
            "HTTP/1.1/TCP a",
            "SIP/2.0/UDP a:",
            "SIP/2.0/UDP a:65536",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP 192.0.2.15;;",
            "SIP/2.0/UDP a;branch=",
            "SIP/2.0/UDP a;=x",
            "SIP/2.0/UDP [::1;branch=x",
            "SIP/2.0/UDP a;x=\"open",
            "SIP/2.0/UDP a,",
            "SIP/2.0/ a",
        ] {
            assert!(Via::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let salvaged = Via::salvage(b"SIP/7.0/UDP 192.0.2.15:5070;;,;,,").unwrap();
        assert_eq!(
            (salvaged.transport(), salvaged.sent_by().to_string()),
            ("UDP", "192.0.2.15:5070".into())
        );
        assert_eq!(Via::salvage(b"nonsense"), None);
    }

    /// RFC 3261, 18.2.1 and RFC 3581, 4.
    #[test]
    fn a_server_says_where_the_request_came_from() {
        let source = "192.0.2.1:9988".parse().unwrap();
        let stamped = |text: &str| String::from_utf8(via(text).stamped(source)).unwrap();
        assert_eq!(
            stamped("SIP/2.0/UDP 192.0.2.1;branch=1"),
            "SIP/2.0/UDP 192.0.2.1;branch=1"
        );
        assert_eq!(
            stamped("SIP/2.0/UDP 10.1.1.1:4540;branch=1"),
            "SIP/2.0/UDP 10.1.1.1:4540;branch=1;received=192.0.2.1"
        );
        assert_eq!(
            stamped("SIP/2.0/UDP host;branch=1"),
            "SIP/2.0/UDP host;branch=1;received=192.0.2.1"
        );
        assert_eq!(
            stamped("SIP/2.0/UDP 192.0.2.1;rport;x=\"y\";branch=1"),
            "SIP/2.0/UDP 192.0.2.1;x=\"y\";branch=1;received=192.0.2.1;rport=9988"
        );
        // What the sender claims does not stay.
        assert_eq!(
            stamped("SIP/2.0/UDP a;Received=203.0.113.9;rport=1"),
            "SIP/2.0/UDP a;received=192.0.2.1;rport=9988"
        );
        let v6 = via("SIP/2.0/TCP a;rport").stamped("[2001:db8::1]:5060".parse().unwrap());
        assert_eq!(
            via(str::from_utf8(&v6).unwrap()).received(),
            "2001:db8::1".parse().ok()
        );
    }

    #[test]
    fn ours_is_one() {
        let sent_by = HostPort::new(Host::Ip([192, 0, 2, 1].into()), Some(5060));
        let text = Via::ours(Transport::Tls, &sent_by, "z9hG4bKx");
        assert_eq!(text, "SIP/2.0/TLS 192.0.2.1:5060;branch=z9hG4bKx;rport");
        assert_eq!(
            (via(&text).has_cookie(), via(&text).rport()),
            (true, Some(None))
        );
    }

    proptest! {
        #[test]
        fn printing_and_reading_give_the_same(
            transport in "[A-Z]{1,6}",
            host in prop_oneof!["[a-z]{1,8}(\\.[a-z]{1,4})?", Just("[2001:db8::1]".to_owned())],
            port in any::<Option<u16>>(),
            params in "(;[a-z!%]{1,6}(=([a-zA-Z0-9./:]{1,8}|\"([^\"\\\\]|\\\\.){0,8}\"))?){0,4}",
        ) {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            let text = format!("SIP/2.0/{transport} {host}{port}{params}");
            prop_assert_eq!(printed(via(&text)), text);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let bytes = [b"SIP/2.0/UDP a", &bytes[..]].concat();
            if let Ok(via) = Via::parse(&bytes) {
                let mut out = Vec::new();
                via.write_to(&mut out);
                let again = Via::parse(&out).unwrap();
                prop_assert!(via.params.iter().eq(again.params.iter()));
                prop_assert_eq!(via.sent_by(), again.sent_by());
            }
        }
    }
}
