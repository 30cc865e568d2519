//! What both sides have described, as text, and the version of our own description.

use super::Session;
use crate::event::{SdpText, SessionEvent};
use bytes::Bytes;
use sdp::NegotiationError;
use sip::Description;

/// Both descriptions of a session. Text is kept, never the parsed form: it is the smaller one, and
/// it is needed a few times in the life of a call.
#[derive(Debug)]
pub(super) struct Descriptions {
    /// Whose version is the highest that was ever on the wire.
    origin: sdp::Origin,
    /// Ours as it was last on the wire: the next one differs from it by its version (SDP-08).
    sent: Option<Bytes>,
    /// Ours and the peer's, agreed.
    agreed: Option<(Bytes, Bytes)>,
    /// Ours before the proposal that runs.
    before: Option<Option<Bytes>>,
}

/// Why a description of the peer cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum DescriptionError {
    #[error("not application/sdp")]
    NotSdp,
    #[error("malformed SDP: {0}")]
    Malformed(sdp::ParseError),
    #[error("{0}")]
    Negotiation(NegotiationError),
}

impl Descriptions {
    pub(super) const fn new(origin: sdp::Origin) -> Self {
        Self {
            origin,
            sent: None,
            agreed: None,
            before: None,
        }
    }

    /// Puts an offer of ours together; `None` keeps a dead line in its place.
    pub(super) fn offer(&mut self, lines: Vec<Option<sdp::Media>>) -> Description {
        let last = self.sent();
        let media = lines.into_iter().enumerate().filter_map(|(index, line)| {
            line.or_else(|| {
                let mut dead = last.as_ref()?.media.get(index)?.clone();
                dead.disable();
                Some(dead)
            })
        });
        let mut session = sdp::Session::assemble(self.origin.clone(), media.collect());
        tag(&mut session, last.as_ref());
        self.send(session, last)
    }

    /// Puts our answer to `offer` together; `None` refuses a line.
    pub(super) fn answer(
        &mut self,
        offer: &sdp::Session,
        lines: Vec<Option<sdp::Media>>,
    ) -> Result<Description, DescriptionError> {
        let last = self.sent();
        let session = sdp::Session::answer(offer, self.origin.clone(), lines)
            .map_err(DescriptionError::Negotiation)?;
        Ok(self.send(session, last))
    }

    /// Notes that the proposal is void: the next description counts on from the agreed one, but the
    /// version that was on the wire is never used again for another text.
    pub(super) fn rollback(&mut self) {
        if let Some(sent) = self.before.take() {
            self.sent = sent;
        }
    }

    /// Notes an agreement: what we sent last, and what the peer said.
    pub(super) fn agree(&mut self, remote: Bytes) {
        self.before = None;
        if let Some(local) = self.sent.clone() {
            self.agreed = Some((local, remote));
        }
    }

    /// Our description as it was last on the wire.
    pub(super) fn sent(&self) -> Option<sdp::Session> {
        sdp::Session::parse(self.sent.as_ref()?).ok()
    }

    /// The same, as it was sent.
    pub(super) fn offered(&self) -> Option<Description> {
        self.sent.clone().map(of)
    }

    /// The peer's description as it was last agreed.
    pub(super) fn remote(&self) -> Option<sdp::Session> {
        sdp::Session::parse(&self.agreed.as_ref()?.1).ok()
    }

    /// True if `body` says what is agreed already: nothing restarts.
    pub(super) fn is_agreed(&self, body: &Bytes) -> bool {
        self.agreed
            .as_ref()
            .is_some_and(|(_, remote)| remote == body)
    }

    /// Both texts, for those who look (INV-04).
    pub(super) fn agreed(&self) -> Option<(&Bytes, &Bytes)> {
        self.agreed.as_ref().map(|(local, remote)| (local, remote))
    }

    fn send(&mut self, mut session: sdp::Session, last: Option<sdp::Session>) -> Description {
        self.before = Some(self.sent.clone());
        // RFC 3264, 8: the version rises with every change, and stays without one.
        match last {
            Some(last) if session.is_same_description(&last) => session.origin = last.origin,
            Some(_) => {
                self.origin.bump_version();
                session.origin = self.origin.clone();
            }
            None => {}
        }
        let text = Bytes::from(session.to_string());
        self.sent = Some(text.clone());
        of(text)
    }
}

impl Session {
    /// An exchange of offer and answer is agreed on (INV-14).
    pub(super) fn sdp_agreed(&mut self) {
        let agreed = self.descriptions.agreed();
        let agreed = agreed.map(|(local, remote)| (local.clone(), remote.clone()));
        let (local, remote) = agreed.unzip();
        self.push(SessionEvent::GotSdpUpdate {
            succeeded: true,
            error: None,
            local_sdp: local.map(SdpText::from),
            remote_sdp: remote.map(SdpText::from),
        });
    }

    /// An exchange has failed, and what was agreed before it goes on, if anything was.
    pub(super) fn sdp_failed(&mut self, error: &str) {
        self.push(SessionEvent::GotSdpUpdate {
            succeeded: false,
            error: Some(error.to_owned()),
            local_sdp: None,
            remote_sdp: None,
        });
    }
}

/// Gives lines their tags: those of before (RFC 5888, 9.1), and others of their own where candidates may
/// trickle in, which name the line that they are for (RFC 8840, 4.1.1).
fn tag(session: &mut sdp::Session, last: Option<&sdp::Session>) {
    let trickles = |media: &sdp::Media| {
        let options = media.attributes.value("ice-options").unwrap_or_default();
        options.split_ascii_whitespace().any(|one| one == "trickle")
    };
    let may_trickle = session.media.iter().any(trickles);
    let before = last.map_or(&[][..], |last| &last.media);
    let known = |index: usize| before.get(index).and_then(sdp::Media::mid);
    let is_known = |mid: &str| before.iter().any(|media| media.mid() == Some(mid));
    let mut fresh = (0..).map(|n: u32| n.to_string());
    for (index, media) in session.media.iter_mut().enumerate() {
        if media.is_disabled() {
            continue;
        }
        if let Some(mid) = known(index) {
            media.set_mid(Some(mid));
        } else if may_trickle {
            media.set_mid(fresh.find(|mid| !is_known(mid)).as_deref());
        }
    }
}

/// Wraps SDP as SIP carries it.
pub(super) fn of(body: Bytes) -> Description {
    Description {
        content_type: "application/sdp".to_owned(),
        body,
    }
}

/// Reads a description of the peer.
pub(crate) fn parse(description: &Description) -> Result<sdp::Session, DescriptionError> {
    let media_type = description
        .content_type
        .split(';')
        .next()
        .unwrap_or("")
        .trim();
    if !media_type.eq_ignore_ascii_case("application/sdp") {
        return Err(DescriptionError::NotSdp);
    }
    sdp::Session::parse(&description.body).map_err(DescriptionError::Malformed)
}
