//! `a=setup`: who connects (RFC 4145, 4; for DTLS RFC 5763, 5).

use super::Attribute;

/// Which side opens the connection or begins the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// We do.
    Active,
    /// The peer does.
    Passive,
    /// Of an offer: the answerer chooses.
    ActPass,
    /// Nobody, for the time being.
    HoldConn,
}

impl Setup {
    /// Reads an `a=setup` line; `None` if it is another attribute or a value that nobody knows.
    pub fn read(attribute: &Attribute) -> Option<Self> {
        if !attribute.is("setup") {
            return None;
        }
        let value = attribute.value()?.trim();
        [Self::Active, Self::Passive, Self::ActPass, Self::HoldConn]
            .into_iter()
            .find(|setup| setup.name().eq_ignore_ascii_case(value))
    }

    /// The value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }

    /// Makes the attribute.
    pub fn attribute(self) -> Attribute {
        Attribute::new("setup", self.name())
    }

    /// What answers it (RFC 4145, 4.1), and where there is a choice the active side, whose first
    /// message needs no more round trip (RFC 5763, 5).
    pub const fn answer(self) -> Self {
        match self {
            Self::ActPass | Self::Passive => Self::Active,
            Self::Active => Self::Passive,
            Self::HoldConn => Self::HoldConn,
        }
    }

    /// Whether `answer` may answer it (RFC 4145, 4.1).
    pub const fn allows(self, answer: Self) -> bool {
        matches!(
            (self, answer),
            (_, Self::HoldConn)
                | (Self::Active | Self::ActPass, Self::Passive)
                | (Self::Passive | Self::ActPass, Self::Active)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_rfc_4145() {
        use Setup::{ActPass, Active, HoldConn, Passive};
        for (offer, answers) in [
            (Active, &[Passive, HoldConn][..]),
            (Passive, &[Active, HoldConn]),
            (ActPass, &[Active, Passive, HoldConn]),
            (HoldConn, &[HoldConn]),
        ] {
            for answer in [Active, Passive, ActPass, HoldConn] {
                assert_eq!(offer.allows(answer), answers.contains(&answer));
            }
            assert!(offer.allows(offer.answer()));
            assert_eq!(Setup::read(&offer.attribute()), Some(offer));
        }
        assert_eq!(
            Setup::read(&Attribute::new("setup", "ACTPASS ")),
            Some(ActPass)
        );
        assert_eq!(Setup::read(&Attribute::new("setup", "both")), None);
    }
}
