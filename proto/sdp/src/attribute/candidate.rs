//! `a=candidate` and `a=remote-candidates`: where a peer might be reached (RFC 8839, 5.1 and 5.2).

use super::Attribute;
use crate::Text;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// One `a=candidate` line, as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What candidates of one kind and base share: 1 to 32 letters, digits, `+` and `/`; lenient about
    /// others.
    pub foundation: Text,
    /// The component: 1 for RTP, 2 for RTCP; 1 to 256.
    pub component: u16,
    /// The transport, such as `UDP`.
    pub transport: Text,
    /// The priority.
    pub priority: u32,
    /// The address: of a family, or a name, which must be ignored.
    pub address: Text,
    /// The port.
    pub port: u16,
    /// The kind, such as `host`.
    pub kind: Text,
    /// The address that it was derived from, if it is told.
    pub related: Option<(Text, u16)>,
    /// Extensions, name and value, such as `generation` and `0`.
    pub extensions: Vec<(Text, Text)>,
}

impl Candidate {
    /// Reads an `a=candidate` line; `None` if it is another attribute or makes no sense. A line that
    /// makes sense and is of no use (TCP, a name) is read, too.
    pub fn read(attribute: &Attribute) -> Option<Self> {
        if !attribute.is("candidate") {
            return None;
        }
        let text = attribute.value_text()?;
        let mut fields = text.split_ascii_whitespace();
        let mut field = || fields.next().map(|field| text.slice_of(field));
        let foundation = field().filter(|text| text.len() <= 32)?;
        let component = field()?.parse().ok().filter(|n| (1..=256).contains(n))?;
        let transport = field()?;
        let priority = field()?.parse().ok()?;
        let address = field()?;
        let port = field()?.parse().ok()?;
        if !field()?.eq_ignore_ascii_case("typ") {
            return None;
        }
        let kind = field()?;
        let (mut related_address, mut related_port) = (None, 0);
        let mut extensions = Vec::new();
        // A last name without a value says nothing.
        while let (Some(name), Some(value)) = (field(), field()) {
            if name.eq_ignore_ascii_case("raddr") {
                related_address = Some(value);
            } else if name.eq_ignore_ascii_case("rport") {
                related_port = value.parse().ok()?;
            } else {
                extensions.push((name, value));
            }
        }
        Some(Self {
            foundation,
            component,
            transport,
            priority,
            address,
            port,
            kind,
            related: related_address.map(|address| (address, related_port)),
            extensions,
        })
    }

    /// The transport address, if it is an address and one for UDP.
    pub fn udp_address(&self) -> Option<SocketAddr> {
        if !self.transport.eq_ignore_ascii_case("udp") {
            return None;
        }
        let ip: IpAddr = self.address.parse().ok()?;
        Some(SocketAddr::new(ip, self.port))
    }

    /// Makes the attribute.
    pub fn attribute(&self) -> Attribute {
        let mut value = format!(
            "{} {} {} {} {} {} typ {}",
            self.foundation,
            self.component,
            self.transport,
            self.priority,
            self.address,
            self.port,
            self.kind
        );
        if let Some((address, port)) = &self.related {
            let _ = write!(value, " raddr {address} rport {port}");
        }
        for (name, content) in &self.extensions {
            let _ = write!(value, " {name} {content}");
        }
        Attribute::new("candidate", value)
    }
}

/// The addresses of the peer that a controlling agent has chosen, one for each component.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RemoteCandidates(pub Vec<(u16, SocketAddr)>);

impl RemoteCandidates {
    /// Reads an `a=remote-candidates` line; `None` if it is another attribute or makes no sense.
    pub fn read(attribute: &Attribute) -> Option<Self> {
        if !attribute.is("remote-candidates") {
            return None;
        }
        let mut fields = attribute.value()?.split_ascii_whitespace();
        let mut list = Vec::new();
        while let Some(component) = fields.next() {
            let component = component.parse().ok().filter(|n| (1..=256).contains(n))?;
            let ip: IpAddr = fields.next()?.parse().ok()?;
            let port = fields.next()?.parse().ok()?;
            list.push((component, SocketAddr::new(ip, port)));
        }
        (!list.is_empty()).then_some(Self(list))
    }

    /// Makes the attribute.
    pub fn attribute(&self) -> Attribute {
        let one = |(component, address): &(u16, SocketAddr)| {
            format!("{component} {} {}", address.ip(), address.port())
        };
        let list: Vec<String> = self.0.iter().map(one).collect();
        Attribute::new("remote-candidates", list.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(value: &str) -> Option<Candidate> {
        Candidate::read(&Attribute::new("candidate", value))
    }

    #[test]
    fn as_printed_in_the_rfc() {
        let line = "2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998";
        let candidate = read(line).unwrap();
        assert_eq!(candidate.udp_address(), "192.0.2.3:45664".parse().ok());
        assert_eq!(
            (&*candidate.kind, candidate.priority),
            ("srflx", 1_694_498_815)
        );
        let (address, port) = candidate.related.as_ref().unwrap();
        assert_eq!((&**address, *port), ("203.0.113.141", 8_998));
        assert_eq!(candidate.attribute(), Attribute::new("candidate", line));
    }

    #[test]
    fn what_is_of_no_use_is_read_and_has_no_address() {
        for line in [
            "1 1 TCP 2105458943 192.0.2.1 9 typ host tcptype active",
            "1 1 udp 2122260223 1f4712db-ea17-4bcf-a596-105139dfd8bf.local 54596 typ host",
            "1 1 UDP 2122260223 host.example.com 54596 typ host",
        ] {
            assert_eq!(read(line).unwrap().udp_address(), None, "{line}");
        }
        let browser = "4234997325 1 udp 2043278322 2001:db8::1 44323 typ host generation 0 ufrag F network-id 1";
        let candidate = read(browser).unwrap();
        assert_eq!(candidate.udp_address(), "[2001:db8::1]:44323".parse().ok());
        assert_eq!(candidate.extensions.len(), 3);
        assert_eq!(candidate.attribute(), Attribute::new("candidate", browser));
    }

    #[test]
    fn lines_that_make_no_sense() {
        for bad in [
            "",
            "1 0 UDP 1 10.0.1.1 8998 typ host",
            "1 257 UDP 1 10.0.1.1 8998 typ host",
            "1 1 UDP 4294967296 10.0.1.1 8998 typ host",
            "1 1 UDP 1 10.0.1.1 65536 typ host",
            "1 1 UDP 1 10.0.1.1 8998 host",
            "1 1 UDP 1 10.0.1.1 8998 typ",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn chosen_addresses() {
        let line = "1 192.0.2.3 45664 2 2001:db8::1 45665";
        let read = RemoteCandidates::read(&Attribute::new("remote-candidates", line)).unwrap();
        assert_eq!(read.0.len(), 2);
        assert_eq!(read.attribute(), Attribute::new("remote-candidates", line));
        for bad in ["", "1", "1 192.0.2.3", "0 192.0.2.3 1", "1 x 1"] {
            let bad = Attribute::new("remote-candidates", bad);
            assert_eq!(RemoteCandidates::read(&bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(
            foundation in "[A-Za-z0-9+/]{1,32}",
            component in 1u16..=256,
            priority in any::<u32>(),
            ip in any::<IpAddr>(),
            port in any::<u16>(),
            related in proptest::option::of((any::<IpAddr>(), any::<u16>())),
        ) {
            let candidate = Candidate {
                foundation: Text::from(foundation),
                component,
                transport: Text::from("UDP"),
                priority,
                address: Text::from(ip.to_string()),
                port,
                kind: Text::from("relay"),
                related: related.map(|(ip, port)| (Text::from(ip.to_string()), port)),
                extensions: vec![(Text::from("generation"), Text::from("0"))],
            };
            prop_assert_eq!(candidate.udp_address(), Some(SocketAddr::new(ip, port)));
            prop_assert_eq!(Candidate::read(&candidate.attribute()), Some(candidate));
        }
    }
}
