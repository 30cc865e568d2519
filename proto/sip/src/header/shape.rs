//! What the strict entry has found out about a value, kept so that nobody has to find it out again.

use super::{NameAddr, Params, Via};
use crate::uri::{Spans, UriRef};

/// The parts of the first element of a value, as offsets into the value.
#[derive(Clone, Copy, Default)]
pub struct Shape(Parts);

#[derive(Clone, Copy, Default)]
enum Parts {
    /// Nothing is known.
    #[default]
    Unknown,
    Address {
        display: Part,
        uri: Part,
        spans: Spans,
        params: Part,
    },
    Via {
        transport: Part,
        host: Part,
        port: Option<u16>,
        params: Part,
    },
}

/// Where a part stands: values that the parser reads are shorter than 64 KiB.
#[derive(Clone, Copy)]
struct Part {
    from: u16,
    to: u16,
}

impl Part {
    /// `part` is a slice of `value`.
    fn of(value: &[u8], part: &[u8]) -> Option<Self> {
        let from = (part.as_ptr() as usize).checked_sub(value.as_ptr() as usize)?;
        Some(Self {
            from: u16::try_from(from).ok()?,
            to: u16::try_from(from + part.len()).ok()?,
        })
    }

    fn cut(self, value: &[u8]) -> Option<&[u8]> {
        value.get(usize::from(self.from)..usize::from(self.to))
    }
}

impl Shape {
    pub(super) fn of_address(value: &[u8], address: &NameAddr<'_>) -> Self {
        let parts = || {
            Some(Parts::Address {
                display: Part::of(value, address.display)?,
                uri: Part::of(value, address.uri.text())?,
                spans: address.uri.spans(),
                params: Part::of(value, address.params.as_bytes())?,
            })
        };
        Self(parts().unwrap_or_default())
    }

    pub(super) fn of_via(value: &[u8], via: &Via<'_>) -> Self {
        let parts = || {
            Some(Parts::Via {
                transport: Part::of(value, via.transport)?,
                host: Part::of(value, via.host)?,
                port: via.port,
                params: Part::of(value, via.params.as_bytes())?,
            })
        };
        Self(parts().unwrap_or_default())
    }

    /// The address that the shape is of, and where it ends.
    pub(super) fn address<'a>(&self, value: &'a [u8]) -> Option<(NameAddr<'a>, usize)> {
        let Parts::Address {
            display,
            uri,
            spans,
            params,
        } = self.0
        else {
            return None;
        };
        let address = NameAddr {
            display: display.cut(value)?,
            uri: UriRef::from_parts(uri.cut(value)?, spans),
            params: Params::from_checked(params.cut(value)?),
        };
        Some((address, usize::from(params.to)))
    }

    /// The Via that the shape is of, and where it ends.
    pub(super) fn via<'a>(&self, value: &'a [u8]) -> Option<(Via<'a>, usize)> {
        let Parts::Via {
            transport,
            host,
            port,
            params,
        } = self.0
        else {
            return None;
        };
        let via = Via {
            transport: transport.cut(value)?,
            host: host.cut(value)?,
            port,
            params: Params::from_checked(params.cut(value)?),
        };
        Some((via, usize::from(params.to)))
    }
}
