//! What the strict entry has found out about a value, kept so that nobody has to find it out again.

use crate::uri::Spans;

/// The parts of the first element of a value, as offsets into the value.
#[derive(Clone, Copy, Default)]
pub struct Shape(pub(super) Parts);

#[derive(Clone, Copy, Default)]
pub(super) enum Parts {
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
pub(super) struct Part {
    from: u16,
    pub(super) to: u16,
}

impl Part {
    /// `part` is a slice of `value`.
    pub(super) fn of(value: &[u8], part: &[u8]) -> Option<Self> {
        let from = (part.as_ptr() as usize).checked_sub(value.as_ptr() as usize)?;
        Some(Self {
            from: u16::try_from(from).ok()?,
            to: u16::try_from(from + part.len()).ok()?,
        })
    }

    pub(super) fn cut(self, value: &[u8]) -> Option<&[u8]> {
        value.get(usize::from(self.from)..usize::from(self.to))
    }
}
