//! Ids: a place in a [`Table`](crate::Table) and the generation of that place.

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
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
/// assert_eq!(serde_json::to_string(&id).unwrap(), r#""0""#);
/// ```
#[macro_export]
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

        impl $crate::export::serde::Serialize for $name {
            fn serialize<S: $crate::export::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                $crate::id::serialize(self, serializer)
            }
        }

        impl<'de> $crate::export::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::export::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                $crate::id::deserialize(deserializer)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    )*}
}

/// Writes an id as its text (`"3"`, `"3.1"`): short in recordings and in what applications read.
#[doc(hidden)]
pub fn serialize<K: Key + fmt::Display, S: Serializer>(
    id: &K,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// Reads the text of an id.
#[doc(hidden)]
pub fn deserialize<'de, K: Key, D: Deserializer<'de>>(deserializer: D) -> Result<K, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    let (index, generation) = match text.split_once('.') {
        Some((index, generation)) => (index.parse(), generation.parse()),
        None => (text.parse(), Ok(0)),
    };
    match (index, generation) {
        (Ok(index), Ok(generation)) => Ok(K::from_parts(generation, index)),
        _ => Err(D::Error::custom("not an id")),
    }
}
