//! An incoming call: ring, accept, reject (SES-14 … SES-19).

use super::{
    CallCommand, InputKind, Limits, Session, SessionError, State, Warning,
    description::{self, DescriptionError},
    early::Early,
    line::Line,
};
use crate::{
    event::{Originator, Particulars, SessionEvent},
    id::{SessionId, StreamId},
    stream::{Direction, Streams},
};
use bytes::Bytes;
use sip::{Description, DialogId, Status};
use std::time::Instant;

/// An INVITE as the agent hands it to a new session.
#[derive(Debug)]
pub(crate) struct IncomingCall {
    /// The only dialog that it can have.
    pub(crate) dialog: DialogId,
    /// The offer, if it has one.
    pub(crate) offer: Option<Bytes>,
    /// For every m-line the stream that took it, if one did; without an offer, the streams that we
    /// propose.
    pub(crate) lines: Vec<Option<StreamId>>,
    /// It came over a secured link.
    pub(crate) is_confidential: bool,
    /// Caller and we can do reliable provisional responses (RFC 3262).
    pub(crate) is_reliable: bool,
    /// The session that ends when this one is accepted (RFC 3891).
    pub(crate) replaces: Option<SessionId>,
    /// What it says of its caller.
    pub(crate) particulars: Box<Particulars>,
}

/// What we say of a call that came in.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) ours: Description,
    /// The offer that it answers; `None` if it is one.
    theirs: Option<(Bytes, sdp::Session)>,
}

impl Session {
    /// Begins a call that came in. Without an offer the streams are ours to propose (SES-17).
    pub(crate) fn incoming(
        now: Instant,
        id: SessionId,
        origin: sdp::Origin,
        limits: Limits,
        streams: &mut Streams,
        call: IncomingCall,
    ) -> Self {
        let mut session = Self::new(id, Direction::Incoming, State::Incoming, origin, limits);
        session.lines = call.lines.into_iter().map(Line::new).collect();
        session.offered = call.offer;
        session.branch = Some(call.dialog);
        session.has_call = true;
        session.replaces = call.replaces;
        session.is_confidential = call.is_confidential;
        session.early = Early::of(call.is_reliable);
        session.push(SessionEvent::NewIncoming {
            streams: session.streams(),
            particulars: call.particulars,
        });
        session.prepare(now, streams);
        // The time to prepare counts from the wish to accept: until then nobody waits.
        session.timers.prepare = None;
        session
    }

    /// Sends 180 (SES-14).
    ///
    /// # Errors
    ///
    /// Only in state incoming.
    pub(crate) fn ring(&mut self) -> Result<(), SessionError> {
        self.seen.note(self.state, InputKind::Ring);
        self.in_state(&[State::Incoming])?;
        self.push_call(CallCommand::Ring);
        Ok(())
    }

    /// Accepts with a subset of the proposed streams (SES-15); the others are refused.
    ///
    /// # Errors
    ///
    /// Only in state incoming; at least one stream, and only such as are proposed; after
    /// [`progress`](Self::progress) those that were answered, all of them.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        accepted: &[StreamId],
    ) -> Result<(), SessionError> {
        self.seen.note(self.state, InputKind::Accept);
        self.in_state(&[State::Incoming])?;
        self.choose(now, streams, accepted)?;
        self.early.forgo();
        self.enter(State::Accepting);
        self.accepting = true;
        self.timers.prepare = Some(now + self.limits.prepare);
        self.advance_preparation(now, streams);
        Ok(())
    }

    /// Keeps the accepted streams of those that are proposed.
    pub(super) fn choose(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        accepted: &[StreamId],
    ) -> Result<(), SessionError> {
        if accepted.is_empty() {
            return Err(SessionError::NoStreams);
        }
        let proposed = self.streams();
        if accepted.iter().any(|id| !proposed.contains(id)) {
            return Err(SessionError::UnknownStream);
        }
        if self.early.is_sent() && proposed.iter().any(|id| !accepted.contains(id)) {
            return Err(SessionError::AlreadyAnswered);
        }
        for index in 0..self.lines.len() {
            if self.lines[index]
                .stream
                .is_some_and(|id| !accepted.contains(&id))
            {
                self.drop_line(now, streams, index);
            }
        }
        Ok(())
    }

    /// Refuses the call (SES-19).
    ///
    /// # Errors
    ///
    /// Only in state incoming; a final code that refuses (300 to 699), and a warning that can be sent.
    pub(crate) fn reject(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        code: u16,
        reason: Option<String>,
        warning: Option<Warning>,
    ) -> Result<(), SessionError> {
        self.seen.note(self.state, InputKind::Reject);
        self.in_state(&[State::Incoming])?;
        if !(300..700).contains(&code) {
            return Err(SessionError::BadCode);
        }
        if warning.as_ref().is_some_and(|warning| !warning.is_valid()) {
            return Err(SessionError::BadWarning);
        }
        let failure = "user request".to_owned();
        self.refuse_call(now, streams, code, reason, warning, failure);
        Ok(())
    }

    fn refuse_call(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        code: u16,
        reason: Option<String>,
        warning: Option<Warning>,
        failure: String,
    ) {
        let phrase = reason.clone().unwrap_or_else(|| phrase(code));
        self.push_call(CallCommand::Reject {
            code,
            reason,
            warning,
            contacts: Vec::new(),
        });
        self.fail(now, streams, Originator::Local, code, phrase, failure);
    }

    /// All streams are prepared, or their time is over: answer with what is there.
    pub(super) fn answer_call(&mut self, now: Instant, streams: &mut Streams) {
        self.accepting = false;
        // RFC 3261, 13.2.1: what an unreliable response has shown, the 2xx says again.
        let shown = self.descriptions.offered().filter(|_| self.early.is_sent());
        if let Some(description) = shown {
            self.push_call(CallCommand::Accept { description });
            return self.will_start(now);
        }
        if let Some(described) = self.describe_call(now, streams) {
            let description = described.ours.clone();
            self.push_call(CallCommand::Accept { description });
            self.will_start(now);
            self.agree_described(now, streams, described);
        }
    }

    /// The streams start by what we say, unless the peer has to answer first.
    pub(super) fn agree_described(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        described: Described,
    ) {
        if let (Some((body, offer)), Some(dialog)) = (described.theirs, self.branch) {
            self.agree(now, streams, dialog, body, &offer);
        }
    }

    /// Describes what is accepted. `None`: nothing of it can be, and the call is refused.
    pub(super) fn describe_call(
        &mut self,
        now: Instant,
        streams: &mut Streams,
    ) -> Option<Described> {
        self.proposal.describe();
        let Some(body) = self.offered.take() else {
            // RFC 3261, 13.3.1.4: no offer in the INVITE, so the 2xx brings ours; RFC 3262, 5: or a
            // reliable response before it.
            let lines = self.offers(now, streams);
            let ours = self.descriptions.offer(lines);
            return Some(Described { ours, theirs: None });
        };
        let offer = match description::parse(&description::of(body.clone())) {
            Ok(offer) => offer,
            Err(error) => {
                self.refuse_offer(now, streams, &error);
                return None;
            }
        };
        let mut lines = Vec::with_capacity(offer.media.len());
        let mut warning = None;
        for index in 0..self.lines.len() {
            let stream = self.lines[index].stream.and_then(|id| streams.touch(id));
            lines.push(
                match stream.map(|stream| stream.answer(now, &offer, index)) {
                    Some(Ok(media)) => Some(media),
                    Some(Err(refusal)) => {
                        warning = Some(refusal);
                        self.drop_line(now, streams, index);
                        None
                    }
                    None => None,
                },
            );
        }
        if !self.has_streams() {
            let (code, text) = warning.map_or((488, "no stream is acceptable"), |refusal| {
                (refusal.code, refusal.warning)
            });
            self.refuse_call(
                now,
                streams,
                code,
                None,
                Some(Warning::miscellaneous(text)),
                text.to_owned(),
            );
            return None;
        }
        match self.descriptions.answer(&offer, lines) {
            Ok(ours) => Some(Described {
                ours,
                theirs: Some((body, offer)),
            }),
            Err(error) => {
                self.refuse_offer(now, streams, &error);
                None
            }
        }
    }

    fn refuse_offer(&mut self, now: Instant, streams: &mut Streams, error: &DescriptionError) {
        let text = error.to_string();
        self.sdp_failed(&text);
        let warning = Warning::miscellaneous(text.as_str());
        self.refuse_call(now, streams, 488, None, Some(warning), text);
    }
}

pub(super) fn phrase(code: u16) -> String {
    Status::new(code)
        .map(|status| status.phrase().to_owned())
        .unwrap_or_default()
}
