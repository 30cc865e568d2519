//! Agreements: the streams start, follow, or are dropped; the session starts (SES-58, SES-59).

use super::{
    CallCommand, Session, State,
    description::{self, DescriptionError},
};
use crate::{
    event::{Originator, SessionEvent},
    stream::{Agreement, Direction, StreamInput, Streams},
};
use bytes::Bytes;
use sip::{Description, DialogId};
use std::time::Instant;

impl Session {
    /// The peer answered our offer. Of several early dialogs the first one with an answer is
    /// followed, then the one whose 2xx wins (RFC 3261, 13.2.2.4).
    pub(super) fn answered(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        dialog: DialogId,
        description: &Description,
        early: bool,
    ) {
        if !self.state.is_live() {
            return;
        }
        if self.state == State::Outgoing && self.confirmed.is_none() {
            self.forks.retain(|(other, _)| *other != dialog);
            if self.forks.len() < MAX_FORKS {
                self.forks.push((dialog, description.clone()));
            }
        }
        // Once a dialog is confirmed only its answers count, before that those of the followed one.
        let followed = self.confirmed.or(self.branch);
        if followed.is_none_or(|followed| followed == dialog) {
            self.follow(now, streams, dialog, description, early);
        }
    }

    /// This dialog carries the call.
    pub(super) fn confirmed(&mut self, now: Instant, streams: &mut Streams, dialog: DialogId) {
        self.confirmed = Some(dialog);
        if self.direction == Direction::Outgoing && self.state == State::Outgoing {
            self.timers.answer = None;
            self.will_start(now);
            self.switch_to(now, streams, dialog);
        }
        self.forks.clear();
        self.try_start(now, streams);
    }

    /// A fork is gone: if the streams followed it, they follow the next one that answered.
    pub(super) fn dialog_ended(&mut self, now: Instant, streams: &mut Streams, dialog: DialogId) {
        self.forks.retain(|(other, _)| *other != dialog);
        if self.branch == Some(dialog) && self.confirmed.is_none() {
            self.branch = None;
            if let Some((next, _)) = self.forks.first() {
                self.switch_to(now, streams, *next);
            }
        }
    }

    fn switch_to(&mut self, now: Instant, streams: &mut Streams, dialog: DialogId) {
        if self.branch == Some(dialog) {
            return;
        }
        let answer = self.forks.iter().find(|(other, _)| *other == dialog);
        if let Some((_, description)) = answer.cloned() {
            self.follow(now, streams, dialog, &description, false);
        }
    }

    fn follow(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        dialog: DialogId,
        description: &Description,
        early: bool,
    ) {
        if self.branch == Some(dialog)
            && self.proposal.is_settled()
            && self.descriptions.is_agreed(&description.body)
        {
            // The 2xx repeats the preview: nothing restarts.
            return;
        }
        match self.check_answer(description) {
            Ok(remote) => {
                let originator = Originator::Local;
                let was_sending = self.state.is_proposing();
                let was_cancelling = self.state == State::CancellingProposal;
                self.proposal_answered();
                self.proposal.agreed();
                let before = self.streams();
                self.agree(now, streams, dialog, description.body.clone(), &remote);
                if was_sending {
                    self.renegotiated(originator, &before);
                }
                if was_cancelling {
                    self.bring_back();
                }
                self.try_propose(now, streams);
            }
            // A preview may be wrong: the 2xx decides.
            Err(_) if early => {}
            Err(error) => {
                let failure = error.to_string();
                self.sdp_failed(&failure);
                self.push_call(CallCommand::End { reason: None });
                self.fail(
                    now,
                    streams,
                    Originator::Local,
                    488,
                    "Not Acceptable Here".to_owned(),
                    failure,
                );
            }
        }
    }

    fn check_answer(&self, description: &Description) -> Result<sdp::Session, DescriptionError> {
        let remote = description::parse(description)?;
        if let Some(offer) = self.descriptions.sent() {
            sdp::check_answer(&offer, &remote).map_err(DescriptionError::Negotiation)?;
        }
        Ok(remote)
    }

    /// Tells every stream what is agreed. A line that either side refuses loses its stream.
    pub(super) fn agree(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        branch: DialogId,
        body: Bytes,
        remote: &sdp::Session,
    ) {
        self.branch = Some(branch);
        let Some(local) = self.descriptions.sent() else {
            return;
        };
        self.descriptions.agree(body);
        self.sdp_agreed();
        for index in 0..self.lines.len() {
            let is_dead = |session: &sdp::Session| {
                session.media.get(index).is_none_or(|media| media.port == 0)
            };
            if is_dead(remote) || is_dead(&local) {
                self.drop_line(now, streams, index);
                continue;
            }
            let line = &mut self.lines[index];
            let Some(stream) = line.stream.and_then(|id| streams.touch(id)) else {
                continue;
            };
            let agreed = Agreement {
                branch,
                local: &local,
                remote,
                index,
                is_confidential: self.is_confidential,
                is_early: match self.direction {
                    Direction::Outgoing => self.confirmed.is_none(),
                    Direction::Incoming => self.state == State::Incoming,
                },
            };
            if line.is_started {
                stream.update(now, agreed);
            } else {
                line.is_started = true;
                stream.start(now, agreed);
                self.timers.start.get_or_insert(now + self.limits.start);
            }
        }
        if !self.state.is_live() {
            return;
        }
        if !self.has_streams() {
            self.no_streams_left(now, streams);
        } else if !self.state.is_before_start() {
            self.tell_hold(streams);
        }
    }

    /// The 2xx came or was sent (SES-58).
    pub(super) fn will_start(&mut self, now: Instant) {
        self.timers.start = Some(now + self.limits.start);
        self.push(SessionEvent::WillStart);
    }

    /// The ACK was sent or has come.
    pub(super) fn acknowledged(&mut self, now: Instant, streams: &mut Streams) {
        if self.acknowledged {
            return;
        }
        self.acknowledged = true;
        for id in self.streams() {
            if let Some(stream) = streams.touch(id) {
                stream.handle_input(now, StreamInput::Acknowledged);
            }
        }
        self.try_start(now, streams);
    }

    /// Starts the session when the ACK is there and all streams run (SES-59).
    pub(super) fn try_start(&mut self, now: Instant, streams: &mut Streams) {
        let is_ready = self.acknowledged
            && self.confirmed.is_some()
            && self.has_streams()
            && self
                .lines
                .iter()
                .all(|line| line.stream.is_none() || line.is_running);
        let is_waiting = matches!(self.state, State::Outgoing | State::Accepting);
        if is_ready && is_waiting {
            self.timers.start = None;
            self.enter(State::Connected);
            self.push(SessionEvent::DidStart {
                streams: self.streams(),
            });
            self.tell_hold(streams);
            // What was wished while the call was being made.
            self.try_propose(now, streams);
        }
    }
}

/// Early dialogs whose answers are kept: more phones than one rings at once are rare, more than
/// this are no phones.
const MAX_FORKS: usize = 16;
