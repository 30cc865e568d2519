//! `a=sendrecv`, `sendonly`, `recvonly`, `inactive` and what offer and answer make of them.

use std::fmt;

/// Says which ways media flows, as seen by the side whose description it stands in
/// (RFC 8866, section 6.7; RFC 3264, sections 5.1 and 6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Both ways; what a description without any direction attribute means (SDP-03).
    #[default]
    SendRecv,
    /// This side sends only.
    SendOnly,
    /// This side receives only.
    RecvOnly,
    /// No media either way; RTCP goes on.
    Inactive,
}

impl Direction {
    /// Makes a direction from its two halves.
    pub fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Tells whether this side sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Tells whether this side receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// Looks from the other side.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// Keeps what both allow.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self::new(
            self.sends() && other.sends(),
            self.receives() && other.receives(),
        )
    }

    /// Stops receiving: what a side that holds the other wishes (RFC 3264, section 8.4; AUS-30).
    ///
    /// A two-way stream becomes `sendonly`, a receiving one `inactive`. Offered as it is even when the
    /// peer holds, too: the peer's answer makes it `inactive` (RFC 6337, section 5.3).
    #[must_use]
    pub fn held(self) -> Self {
        self.intersection(Self::SendOnly)
    }

    /// Answers an offered direction by one's own wish (RFC 3264, section 6.1).
    ///
    /// The wish is one's lasting local state, never the last answer given; so a hold by both sides ends
    /// only when both resume, and nobody gets stuck on hold (RFC 6337, section 5.3).
    #[must_use]
    pub fn answer(offered: Self, wish: Self) -> Self {
        wish.intersection(offered.reversed())
    }

    /// Tells whether `answer` may answer an offer of this direction (RFC 3264, section 6.1).
    pub fn permits(self, answer: Self) -> bool {
        Self::answer(self, answer) == answer
    }

    /// Spells the attribute's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// Reads an attribute's name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        // All four have eight letters, few other attributes do: the length decides first.
        if name.len() != 8 {
            return None;
        }
        [
            Self::SendRecv,
            Self::SendOnly,
            Self::RecvOnly,
            Self::Inactive,
        ]
        .into_iter()
        .find(|direction| direction.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Direction::{self, Inactive, RecvOnly, SendOnly, SendRecv};

    /// RFC 3264, section 6.1, written out: offer, wish of the answerer, answer.
    const TABLE: [(Direction, [Direction; 4]); 4] = [
        // wish:     SendRecv, SendOnly, RecvOnly, Inactive
        (SendRecv, [SendRecv, SendOnly, RecvOnly, Inactive]),
        (SendOnly, [RecvOnly, Inactive, RecvOnly, Inactive]),
        (RecvOnly, [SendOnly, SendOnly, Inactive, Inactive]),
        (Inactive, [Inactive, Inactive, Inactive, Inactive]),
    ];

    #[test]
    fn answers_by_the_table() {
        for (offered, answers) in TABLE {
            for (wish, answer) in [SendRecv, SendOnly, RecvOnly, Inactive]
                .into_iter()
                .zip(answers)
            {
                assert_eq!(Direction::answer(offered, wish), answer, "{offered} {wish}");
                assert!(offered.permits(answer), "{offered} permits {answer}");
            }
        }
        assert!(!SendOnly.permits(SendRecv));
        assert!(!SendOnly.permits(SendOnly));
        assert!(!RecvOnly.permits(RecvOnly));
        assert!(!Inactive.permits(RecvOnly));
    }

    #[test]
    fn both_held_one_resumes_still_held() {
        // RFC 6337, section 5.3, with Alice as UA1 and Bob as UA2.
        let (mut alice, mut bob) = (SendRecv.held(), SendRecv);
        assert_eq!(Direction::answer(alice, bob), RecvOnly);
        bob = bob.held();
        assert_eq!(Direction::answer(bob, alice), Inactive);
        alice = SendRecv;
        assert_eq!(Direction::answer(alice, bob), SendOnly, "Bob still holds");
        bob = SendRecv;
        assert_eq!(Direction::answer(bob, alice), SendRecv);
        assert_eq!(RecvOnly.held(), Inactive);
    }

    #[test]
    fn names_in_any_case() {
        assert_eq!(Direction::from_name("SendOnly"), Some(SendOnly));
        assert_eq!(Direction::from_name("sendonlyx"), None);
        assert_eq!(Direction::from_name("sendsent"), None);
    }
}
