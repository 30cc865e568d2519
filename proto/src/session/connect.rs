//! An outgoing call: prepare the streams, offer, ring (SES-05, SES-09 … SES-12).

use super::{CallCommand, Limits, Session, State, line::Line};
use crate::{
    event::{Originator, SessionEvent},
    id::{SessionId, StreamId},
    stream::{Direction, Purpose, StreamError, Streams},
};
use sip::{Status, header::Reason};
use std::time::Instant;

impl Session {
    /// Begins a call with streams that are in the table already (SES-05).
    pub(crate) fn outgoing(
        now: Instant,
        id: SessionId,
        origin: sdp::Origin,
        limits: Limits,
        streams: &mut Streams,
        proposed: &[StreamId],
    ) -> Self {
        let mut session = Self::new(id, Direction::Outgoing, State::Outgoing, origin, limits);
        session.lines = proposed.iter().map(|id| Line::new(Some(*id))).collect();
        session.push(SessionEvent::NewOutgoing {
            streams: proposed.to_vec(),
        });
        session.prepare(now, streams);
        session
    }

    /// Lets all streams prepare that have not yet.
    pub(super) fn prepare(&mut self, now: Instant, streams: &mut Streams) {
        for line in &self.lines {
            if let Some(stream) = line.stream.and_then(|id| streams.touch(id)) {
                stream.prepare(now, Purpose::First);
            }
        }
        self.timers.prepare = Some(now + self.limits.prepare);
    }

    /// Goes on when all streams are prepared, or dropped.
    pub(super) fn advance_preparation(&mut self, now: Instant, streams: &mut Streams) {
        let is_waiting = self
            .lines
            .iter()
            .any(|line| line.stream.is_some() && !line.is_prepared);
        if !is_waiting {
            self.prepared(now, streams);
        }
    }

    /// All streams are prepared, or the time for it is over: describe what is there.
    pub(super) fn prepared(&mut self, now: Instant, streams: &mut Streams) {
        self.timers.prepare = None;
        match self.state {
            State::Outgoing if self.descriptions.sent().is_none() => self.invite(now, streams),
            State::Incoming if self.early.is_preparing() => self.show_answer(now, streams),
            State::Accepting if self.accepting => self.answer_call(now, streams),
            State::Connected if self.proposal.is_preparing() => self.propose(now, streams),
            _ => {}
        }
    }

    fn invite(&mut self, now: Instant, streams: &mut Streams) {
        // SES-10: a stream that could not prepare was never described, so it leaves no dead line.
        self.lines.retain(|line| line.stream.is_some());
        let lines = self.offers(now, streams);
        self.proposal.describe();
        let offer = self.descriptions.offer(lines);
        self.has_call = true;
        self.timers.answer = Some(now + self.limits.answer);
        self.push_call(CallCommand::Invite { offer, to: None });
    }

    /// Asks every stream for its offer.
    pub(super) fn offers(&self, now: Instant, streams: &mut Streams) -> Vec<Option<sdp::Media>> {
        let offer = |line: &Line| Some(streams.touch(line.stream?)?.offer(now));
        self.lines.iter().map(offer).collect()
    }

    /// SES-11.
    pub(super) fn answer_timed_out(&mut self, now: Instant, streams: &mut Streams) {
        if self.state == State::Outgoing && self.confirmed.is_none() {
            let phrase = Status::REQUEST_TIMEOUT.phrase();
            self.push_call(CallCommand::End {
                reason: Some(Reason::sip(408, phrase)),
            });
            let reason = phrase.to_owned();
            self.fail(
                now,
                streams,
                Originator::Local,
                408,
                reason,
                "no answer in time".to_owned(),
            );
        }
    }

    /// SES-12.
    pub(super) fn start_timed_out(&mut self, now: Instant, streams: &mut Streams) {
        if self.state.is_before_start()
            && self
                .lines
                .iter()
                .any(|line| line.stream.is_some() && !line.is_running)
        {
            self.fail_media(now, streams, &StreamError::TimedOut);
        }
    }
}
