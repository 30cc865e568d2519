//! The states of a usage and what moves them: enumerations whose words stand in the table of its module.

/// Makes them, with the list of all words and the name of each, by which tests walk the tables.
macro_rules! words {
    ($($(#[$doc:meta])* $kind:ident: $($(#[$word_doc:meta])* $word:ident)*;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        #[non_exhaustive]
        pub enum $kind {
            $($(#[$word_doc])* $word,)*
        }

        impl $kind {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$word,)*];

            /// The name in the table.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$word => stringify!($word),)*
                }
            }
        }
    )*};
}

pub(crate) use words;
