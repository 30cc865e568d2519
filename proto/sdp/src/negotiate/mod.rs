//! Offer and answer (RFC 3264) as functions of descriptions; they know no kind of media.
//!
//! Two strictnesses: `check_…` demands of a peer only what we cannot work without, `audit_…` holds our
//! own descriptions to everything that RFC 3264 says.

use crate::{Direction, Media, Origin, Session};

/// Says which rule a description breaks, and at which m-line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// An answer needs exactly one m-line for each offered one (RFC 3264, section 6).
    #[error("{answered} m-lines answer {offered}")]
    Count {
        /// How many were offered.
        offered: usize,
        /// How many came back.
        answered: usize,
    },
    /// A later offer has fewer m-lines than the session (RFC 3264, section 8; SES-38).
    #[error("{offered} m-lines follow {previous}")]
    Fewer {
        /// How many the session has.
        previous: usize,
        /// How many are offered.
        offered: usize,
    },
    /// The kind of media differs from the offered one.
    #[error("m-line {0}: another kind of media than offered")]
    Kind(usize),
    /// The transport protocol differs from the offered one.
    #[error("m-line {0}: another protocol than offered")]
    Protocol(usize),
    /// A line offered with port 0 is answered with a port (RFC 3264, section 8.2).
    #[error("m-line {0}: removed in the offer, accepted in the answer")]
    Revived(usize),
    /// An accepted line has no format in common with the offer (RFC 3264, section 6.1).
    #[error("m-line {0}: no common format")]
    Formats(usize),
    /// The direction does not answer the offered one (RFC 3264, section 6.1).
    #[error("m-line {0}: the direction does not answer the offer")]
    Direction(usize),
    /// A line has no address, neither its own nor the session's (RFC 8866, section 5.7).
    #[error("m-line {0}: no connection line")]
    Connection(usize),
    /// A payload number means another codec than before (RFC 3264, section 8.3.2).
    #[error("m-line {0}: a payload number changed its meaning")]
    Remapped(usize),
    /// The `t=` lines of the answer differ from the offer's (RFC 3264, section 6).
    #[error("other times than offered")]
    Times,
    /// The origin names another session than before (RFC 3264, section 8).
    #[error("another origin than before")]
    Origin,
    /// The version does not rise by one exactly if the description changed (RFC 3264, section 8).
    #[error("the version does not follow the change")]
    Version,
}

impl Session {
    /// Assembles an answer: one m-line for each offered one, in order.
    ///
    /// `accepted` has one entry for each offered m-line: the line that answers it, or `None` to refuse
    /// it. A line offered with port 0 is refused whatever the entry says (RFC 3264, section 8.2).
    /// Refused lines become [`Media::refusal`] with the address of the origin; accepted ones take kind
    /// and protocol from the offer letter by letter, and its identification tag (RFC 5888, section 9.1).
    /// Times are the offer's, a `group` is not answered (RFC 5888, section 9.2), so every line stands for
    /// itself.
    ///
    /// # Errors
    /// [`NegotiationError::Count`] if `accepted` has another length than the offer has m-lines.
    pub fn answer(
        offer: &Self,
        origin: Origin,
        accepted: Vec<Option<Media>>,
    ) -> Result<Self, NegotiationError> {
        same_count(offer.media.len(), accepted.len())?;
        let answer_line = |(offered, accepted): (&Media, Option<Media>)| match accepted {
            Some(mut media) if !offered.is_disabled() && !media.is_disabled() => {
                media.attributes.remove("mid");
                media
                    .attributes
                    .extend(offered.attributes.find("mid").cloned());
                Media {
                    kind: offered.kind.clone(),
                    protocol: offered.protocol.clone(),
                    ..media
                }
            }
            _ => Media::refusal(offered, origin.connection.clone()),
        };
        let media = offer.media.iter().zip(accepted).map(answer_line).collect();
        let mut answer = Self::assemble(origin, media);
        answer.times.clone_from(&offer.times);
        Ok(answer)
    }
}

/// Checks a peer's answer to our offer for what we cannot work without.
///
/// A direction that does not answer ours is no error: [`negotiated_direction`] takes what both allow.
///
/// # Errors
/// Number or kind of the m-lines, or a protocol, differs from the offer; a removed line comes back; an
/// accepted line shares no format with the offer.
pub fn check_answer(offer: &Session, answer: &Session) -> Result<(), NegotiationError> {
    same_count(offer.media.len(), answer.media.len())?;
    for (index, (offered, answered)) in offer.media.iter().zip(&answer.media).enumerate() {
        if !offered.kind.eq_ignore_ascii_case(&answered.kind) {
            return Err(NegotiationError::Kind(index));
        }
        if answered.is_disabled() {
            // RFC 3264, section 6: whatever a refused line lists is ignored.
            continue;
        }
        if offered.is_disabled() {
            return Err(NegotiationError::Revived(index));
        }
        if !offered.protocol.eq_ignore_ascii_case(&answered.protocol) {
            return Err(NegotiationError::Protocol(index));
        }
        if !share_format(offered, answered) {
            return Err(NegotiationError::Formats(index));
        }
    }
    Ok(())
}

/// Holds an answer of our own to all rules of RFC 3264, section 6.
///
/// # Errors
/// What [`check_answer`] says; the protocol is not repeated letter by letter; a direction does not
/// answer the offered one; a line has no address; other times.
pub fn audit_answer(offer: &Session, answer: &Session) -> Result<(), NegotiationError> {
    check_answer(offer, answer)?;
    for (index, (offered, answered)) in offer.media.iter().zip(&answer.media).enumerate() {
        if offered.protocol != answered.protocol {
            return Err(NegotiationError::Protocol(index));
        }
        if answer.connection(index).is_none() {
            return Err(NegotiationError::Connection(index));
        }
        let permitted = offer.direction(index).permits(answer.direction(index));
        if !answered.is_disabled() && !permitted {
            return Err(NegotiationError::Direction(index));
        }
    }
    if offer.times != answer.times {
        return Err(NegotiationError::Times);
    }
    Ok(())
}

/// Checks a peer's later offer for what we cannot work without.
///
/// `previous` is any description of the latest exchange: both have the same number of m-lines. Another
/// kind of media in a living line is legal (RFC 3264, section 8.3.3), another origin is not but comes
/// from third-party call control and is let through.
///
/// # Errors
/// The offer has fewer m-lines than the session: answered with 488 and Warning 399 (SES-38).
pub fn check_offer(previous: &Session, offer: &Session) -> Result<(), NegotiationError> {
    let (previous, offered) = (previous.media.len(), offer.media.len());
    if offered < previous {
        return Err(NegotiationError::Fewer { previous, offered });
    }
    Ok(())
}

/// Holds a later description of our own, offer or answer, to all rules of RFC 3264, section 8;
/// `previous` is the last one that we sent.
///
/// # Errors
/// What [`check_offer`] says; a line has no address; the origin changed; the version does not rise by
/// one exactly if something changed; a payload number of a living line means another codec.
pub fn audit_offer(previous: &Session, offer: &Session) -> Result<(), NegotiationError> {
    check_offer(previous, offer)?;
    if let Some(index) = (0..offer.media.len()).find(|index| offer.connection(*index).is_none()) {
        return Err(NegotiationError::Connection(index));
    }
    if !previous.origin.is_same_session(&offer.origin) {
        return Err(NegotiationError::Origin);
    }
    let mut expected = offer.clone();
    expected.continue_from(previous);
    if expected.origin.version != offer.origin.version {
        return Err(NegotiationError::Version);
    }
    for (index, (before, after)) in previous.media.iter().zip(&offer.media).enumerate() {
        let same_stream =
            !before.is_disabled() && !after.is_disabled() && before.kind == after.kind;
        if same_stream && is_remapped(before, after) {
            return Err(NegotiationError::Remapped(index));
        }
    }
    Ok(())
}

/// Tells the direction in force after an exchange, as seen by the side of `local`.
///
/// Only what both descriptions allow: a peer whose answer promises more than was offered gets no more.
/// A line that either side disabled is inactive.
pub fn negotiated_direction(local: &Session, remote: &Session, index: usize) -> Direction {
    let alive = |session: &Session| {
        session
            .media
            .get(index)
            .is_some_and(|media| !media.is_disabled())
    };
    if !alive(local) || !alive(remote) {
        return Direction::Inactive;
    }
    local
        .direction(index)
        .intersection(remote.direction(index).reversed())
}

fn same_count(offered: usize, answered: usize) -> Result<(), NegotiationError> {
    if offered == answered {
        Ok(())
    } else {
        Err(NegotiationError::Count { offered, answered })
    }
}

/// RFC 3264, section 6.1: one format in common. RTP compares codecs, since numbers may differ.
fn share_format(offered: &Media, answered: &Media) -> bool {
    if offered.rtp_profile().is_some() {
        let offered = offered.codecs();
        return answered
            .codecs()
            .iter()
            .any(|codec| offered.iter().any(|other| codec.is_same(other)));
    }
    let same = |format: &crate::Text| offered.formats.iter().any(|other| other == format);
    // A line without formats says nothing that could differ.
    offered.formats.is_empty() || answered.formats.iter().any(same)
}

fn is_remapped(before: &Media, after: &Media) -> bool {
    if before.rtp_profile().is_none() || after.rtp_profile().is_none() {
        return false;
    }
    let after = after.codecs();
    let remapped = |codec: crate::Codec| {
        let now = after
            .iter()
            .find(|other| other.payload_type == codec.payload_type);
        now.is_some_and(|now| !now.is_same(&codec))
    };
    before.codecs().into_iter().any(remapped)
}

#[cfg(test)]
mod tests;
