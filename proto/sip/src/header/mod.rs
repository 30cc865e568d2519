//! Headers: their names, and the types that read and write their values.
//!
//! Types borrow from the message ([`Via<'a>`](Via)); nothing is allocated to look at a header.
//! What is built piece by piece ([`Address`]) owns its parts.

pub mod address;
pub mod auth;
pub mod content;
pub mod cseq;
pub mod event;
pub mod identity;
mod list;
pub mod misc;
pub mod name;
pub mod params;
pub mod reason;
pub mod reliable;
pub mod replaces;
pub mod session_timer;
mod shape;
pub mod target_dialog;
pub mod via;

pub(crate) use address::thousandths;
pub use address::{Address, ContactValue, NameAddr};
pub use auth::{Auth, AuthParams};
pub use content::{Item, MediaType};
pub use cseq::CSeq;
pub use event::{Event, SubscriptionState};
pub use identity::Privacy;
pub use list::List;
pub(crate) use list::{Elements, element_len};
pub use misc::{Date, Expires, MaxForwards, MinExpires, RetryAfter, Timestamp, Warning};
pub use name::{HeaderName, Name};
pub use params::{Param, Params};
pub use reason::Reason;
pub use reliable::{RAck, RSeq};
pub use replaces::Replaces;
pub use session_timer::{MinSe, Refresher, SessionExpires};
#[doc(hidden)]
pub use shape::Shape;
pub use target_dialog::TargetDialog;
pub use via::Via;

use crate::ParseError;
use base::scan::trim;

/// Reads the value of a header, or one element of a list.
pub trait Parse<'a>: Sized {
    /// Reads all of `value`, which has no white space around it and no line ends in it.
    ///
    /// # Errors
    ///
    /// What is wrong, and where in `value`.
    fn parse(value: &'a [u8]) -> Result<Self, ParseError>;

    /// Reads the first element of a list, and returns where it ends: at a comma or at the end of `list`.
    fn parse_first(list: &'a [u8]) -> (Result<Self, ParseError>, usize) {
        let len = element_len(list);
        (Self::parse(trim(&list[..len])), len)
    }

    /// Says where the parts of this, the first element of `value`, stand.
    #[doc(hidden)]
    fn shape(&self, value: &'a [u8]) -> Shape {
        let _ = value;
        Shape::default()
    }

    /// Puts the first element of `value` together again, and returns where it ends.
    #[doc(hidden)]
    fn of_shape(value: &'a [u8], shape: &Shape) -> Option<(Self, usize)> {
        let _ = (value, shape);
        None
    }
}

/// Reads `value`, all of it, with a function that reads an element and says where it ends.
fn whole<'a, T>(
    value: &'a [u8],
    read: impl FnOnce(&'a [u8]) -> Result<(T, usize), ParseError>,
) -> Result<T, ParseError> {
    let (parsed, end) = read(value)?;
    match end == value.len() {
        true => Ok(parsed),
        false => Err(ParseError::syntax("end of the value", end)),
    }
}

/// The same for the first element of a list; behind a broken one, the next comma is looked for.
fn first<'a, T>(
    list: &'a [u8],
    read: impl FnOnce(&'a [u8]) -> Result<(T, usize), ParseError>,
) -> (Result<T, ParseError>, usize) {
    match read(list) {
        Ok((parsed, end)) => (Ok(parsed), end),
        Err(error) => (Err(error), element_len(list)),
    }
}

/// A value that belongs to one header only.
pub trait Header<'a>: Parse<'a> {
    /// That header.
    const NAME: HeaderName;
}

/// Writes the value of a header.
pub trait Value {
    /// Appends the value, without the name and without a line end.
    fn write_to(&self, out: &mut Vec<u8>);
}

impl<T: Value + ?Sized> Value for &T {
    fn write_to(&self, out: &mut Vec<u8>) {
        (**self).write_to(out);
    }
}

impl Value for str {
    fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Value for String {
    fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Value for [u8] {
    fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl Value for Vec<u8> {
    fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl Value for bytes::Bytes {
    fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl Value for u64 {
    fn write_to(&self, out: &mut Vec<u8>) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = *self;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[at..]);
    }
}

impl Value for u32 {
    fn write_to(&self, out: &mut Vec<u8>) {
        u64::from(*self).write_to(out);
    }
}

impl Value for usize {
    fn write_to(&self, out: &mut Vec<u8>) {
        (*self as u64).write_to(out);
    }
}
