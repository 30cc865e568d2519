//! Ids: a place in a [`Table`](crate::Table) and the generation of that place.

use std::fmt;

/// An id that a [`Table`](crate::Table) can hand out; implemented by [`ids!`](crate::ids).
pub trait Key: Copy + Ord + fmt::Debug {
    /// Puts an id together from a generation and a place.
    fn from_parts(generation: u32, index: u32) -> Self;

    /// Takes an id apart into its generation and its place.
    fn parts(self) -> (u32, u32);
}

/// Declares opaque ids: ordered, printable, serialisable, never equal to an id handed out before.
///
/// ```
/// base::ids! {
///     /// A thing.
///     ThingId;
/// }
/// let mut things = base::Table::<ThingId, &str>::new();
/// let id = things.insert("first");
/// assert_eq!(id.to_string(), "0");
/// things.remove(id);
/// assert_ne!(things.insert("second"), id);
/// ```
#[macro_export]
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            $crate::export::serde::Serialize, $crate::export::serde::Deserialize,
        )]
        #[serde(crate = "base::export::serde")]
        pub struct $name {
            generation: u32,
            index: u32,
        }

        impl $crate::Key for $name {
            fn from_parts(generation: u32, index: u32) -> Self {
                Self { generation, index }
            }

            fn parts(self) -> (u32, u32) {
                (self.generation, self.index)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self.generation {
                    0 => write!(f, "{}", self.index),
                    generation => write!(f, "{}.{generation}", self.index),
                }
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    )*}
}
