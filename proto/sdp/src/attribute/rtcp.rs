//! `a=rtcp`: where RTCP goes when it is not the next port.

use super::Attribute;
use crate::{Connection, Text};

/// The RTCP destination of an m-line (RFC 3605).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtcp {
    /// The port, never 0.
    pub port: u16,
    /// The address, if it is not the one of the m-line.
    pub connection: Option<Connection>,
}

impl Rtcp {
    /// Reads an `a=rtcp` line; `None` if it is another attribute or makes no sense.
    pub fn read(attribute: &Attribute) -> Option<Self> {
        if !attribute.is("rtcp") {
            return None;
        }
        let text = attribute.value_text()?;
        let mut fields = text.split_ascii_whitespace();
        let port = fields.next()?.parse().ok().filter(|port| *port != 0)?;
        let mut field = || fields.next().map(|field| text.slice_of(field));
        let connection = match (field(), field(), field()) {
            (Some(net_type), Some(address_type), Some(address)) => Some(Connection {
                net_type,
                address_type,
                address,
            }),
            // RFC 3605, section 2.1: the address is optional, and an incomplete one is none.
            (None, _, _) | (_, None, _) | (_, _, None) => None,
        };
        Some(Self { port, connection })
    }

    /// Makes the attribute.
    pub fn attribute(&self) -> Attribute {
        let Some(Connection {
            net_type,
            address_type,
            address,
        }) = &self.connection
        else {
            return Attribute::new("rtcp", self.port);
        };
        let value = format!("rtcp:{} {net_type} {address_type} {address}", self.port);
        Attribute::from(Text::from(value))
    }
}

impl Rtcp {
    /// Makes the attribute of a port at the m-line's own address.
    pub fn port(port: u16) -> Self {
        Self {
            port,
            connection: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_an_address() {
        let bare = Rtcp::read(&Attribute::new("rtcp", "53020")).expect("a port");
        assert_eq!(
            bare,
            Rtcp {
                port: 53_020,
                connection: None
            }
        );
        assert_eq!(bare.attribute().as_str(), "rtcp:53020");
        let long = Attribute::new("rtcp", "53020 IN IP6 2001:DB8::4");
        let read = Rtcp::read(&long).expect("an address");
        let address = read.connection.as_ref().and_then(Connection::ip);
        assert_eq!(address, Some("2001:db8::4".parse().unwrap()));
        assert_eq!(
            read.attribute(),
            Attribute::new("rtcp", "53020 IN IP6 2001:DB8::4")
        );
        for bad in ["", "0", "65536", "x"] {
            assert_eq!(Rtcp::read(&Attribute::new("rtcp", bad)), None, "{bad}");
        }
    }
}
