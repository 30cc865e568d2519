//! Event packages that the application reports on (ENG-25, ENG-30, BUG-21).

use base::scan::is_token;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An event package: what can be subscribed to, and for how long.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Package {
    /// Its name with its templates: `presence`, `presence.winfo`.
    pub name: String,
    /// The media types of its documents, best first.
    pub types: Vec<String>,
    /// The life, in seconds, of a subscription that does not ask for one.
    pub expires: u32,
    /// Shorter ones are refused with 423, in seconds; at most 3,600 count (RFC 6665, 4.2.1.1).
    pub min_expires: u32,
    /// Longer ones are shortened, in seconds (SUB-09).
    pub max_expires: u32,
}

impl Package {
    /// A package with documents of these types; 3,600 s if not asked otherwise, 60 s at least, 3,600 s
    /// at most (SUB-09).
    pub fn new(name: impl Into<String>, types: Vec<String>) -> Self {
        Self {
            name: name.into(),
            types,
            expires: 3_600,
            min_expires: 60,
            max_expires: 3_600,
        }
    }

    /// What is granted to who asks for so many seconds; `Err` with the least that is.
    pub(crate) fn grant(&self, asked: Option<u32>) -> Result<u32, u32> {
        let asked = asked.unwrap_or(self.expires);
        let least = self.min_expires.min(self.max_expires);
        // RFC 6665, 4.2.1.1: only what is above zero and below an hour can be too brief.
        match asked > 0 && asked < 3_600 && asked < least {
            true => Err(least),
            false => Ok(asked.min(self.max_expires)),
        }
    }
}

/// Why a package cannot be added. Nothing has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The name is no token, or `refer`, whose subscriptions come by REFER (RFC 3515, 3).
    #[error("no event package")]
    Name,
    /// There is one of that name.
    #[error("known already")]
    Known,
    /// Too many packages.
    #[error("too many packages")]
    TooMany,
}

/// All packages by name.
#[derive(Debug, Default)]
pub(crate) struct Packages(BTreeMap<String, Package>);

impl Packages {
    pub(crate) fn add(&mut self, package: Package) -> Result<(), PackageError> {
        if !is_token_text(&package.name) || package.name == "refer" {
            return Err(PackageError::Name);
        }
        if self.0.contains_key(&package.name) {
            return Err(PackageError::Known);
        }
        if self.0.len() >= MAX_PACKAGES {
            return Err(PackageError::TooMany);
        }
        self.0.insert(package.name.clone(), package);
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Package> {
        self.0.get(name)
    }

    /// What Allow-Events says (RFC 6665, 4.4.4); `None` if there are none. Templates are not listed.
    pub(crate) fn allowed(&self) -> Option<String> {
        let names = self.0.keys().map(String::as_str);
        let names: Vec<_> = names.filter(|name| !name.contains('.')).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

/// True for a token (RFC 3261, 25.1).
pub(crate) fn is_token_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token)
}

/// More than are registered at IANA.
const MAX_PACKAGES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6665, 4.2.1.1; SUB-09.
    #[test]
    fn lives_are_shortened_and_brief_ones_refused() {
        let package = Package::new("presence", Vec::new());
        for (asked, granted) in [
            (None, Ok(3_600)),
            (Some(0), Ok(0)),
            (Some(1), Err(60)),
            (Some(59), Err(60)),
            (Some(60), Ok(60)),
            (Some(3_601), Ok(3_600)),
        ] {
            assert_eq!(package.grant(asked), granted, "{asked:?}");
        }
        let strict = Package {
            min_expires: 7_200,
            max_expires: 86_400,
            ..package
        };
        assert_eq!(strict.grant(Some(3_599)), Err(7_200));
        assert_eq!(
            strict.grant(Some(3_600)),
            Ok(3_600),
            "an hour is never too brief"
        );
    }

    /// ENG-30, BUG-21.
    #[test]
    fn packages_are_added_once_and_can_be_removed() {
        let mut packages = Packages::default();
        assert_eq!(packages.allowed(), None);
        for name in ["presence", "presence.winfo", "dialog"] {
            assert_eq!(packages.add(Package::new(name, Vec::new())), Ok(()));
        }
        for (name, error) in [
            ("dialog", PackageError::Known),
            ("refer", PackageError::Name),
            ("a b", PackageError::Name),
            ("", PackageError::Name),
        ] {
            assert_eq!(packages.add(Package::new(name, Vec::new())), Err(error));
        }
        assert_eq!(packages.allowed().as_deref(), Some("dialog, presence"));
        assert!(packages.remove("dialog") && !packages.remove("dialog"));
        assert!(packages.get("dialog").is_none());
    }
}
