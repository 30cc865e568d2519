//! Offers in a call that stands: ours (hold, a stream's wish) and the peer's (SES-38).

use super::{
    CallCommand, Session, State,
    description::{self, DescriptionError},
};
use crate::{
    event::{Originator, SessionEvent},
    id::StreamId,
    stream::{Purpose, Streams},
};
use sip::{Description, DialogId};
use std::time::Instant;

/// What we want to offer, and what is on its way.
#[derive(Debug, Default)]
pub(super) struct Proposal {
    /// An offer is wanted.
    wanted: bool,
    /// The streams want to prepare before it.
    prepare: bool,
    /// It is being prepared; not on the wire yet.
    preparing: bool,
    /// We are elsewhere, and the peer has not agreed on that yet.
    moved: bool,
    /// It is on the wire.
    sent: bool,
    /// The transaction of a peer's offer is not over: its answer waits for the ACK.
    answering: bool,
}

impl Proposal {
    /// Notes that an offer is wanted; made when the state allows it.
    pub(super) fn want(&mut self, prepare: bool) {
        self.wanted = true;
        self.prepare |= prepare;
    }

    /// A description is being made: it says what was wished until now.
    pub(super) fn describe(&mut self) {
        self.wanted = false;
        self.prepare = false;
        self.preparing = false;
    }

    /// Both sides know where the other is.
    pub(super) const fn agreed(&mut self) {
        self.moved = false;
    }

    pub(super) const fn is_preparing(&self) -> bool {
        self.preparing
    }

    pub(super) const fn is_settled(&self) -> bool {
        !self.sent
    }
}

impl Session {
    /// Makes the offer that is wanted, if the state allows it now.
    pub(super) fn try_propose(&mut self, now: Instant, streams: &mut Streams) {
        let may_propose = self.state == State::Connected
            && self.proposal.wanted
            && !self.proposal.preparing
            // RFC 3261, 14.1: not while an INVITE runs in either direction.
            && !self.proposal.answering
            && self.timers.retry.is_none();
        if !may_propose {
            return;
        }
        if std::mem::take(&mut self.proposal.prepare) {
            self.proposal.preparing = true;
            self.proposal.moved = true;
            for line in &mut self.lines {
                line.is_prepared = false;
                if let Some(stream) = line.stream.and_then(|id| streams.touch(id)) {
                    stream.prepare(now, Purpose::Restart);
                }
            }
            self.timers.prepare = Some(now + self.limits.prepare);
        } else {
            self.propose(now, streams);
        }
    }

    /// Sends the offer.
    pub(super) fn propose(&mut self, now: Instant, streams: &mut Streams) {
        if !self.proposal.wanted {
            return;
        }
        self.proposal.describe();
        self.proposal.sent = true;
        let lines = self.offers(now, streams);
        let description = self.descriptions.offer(lines);
        // SES-31 is for wishes. That we are elsewhere the peer must learn: the transaction takes its time
        // (RFC 3261, 17.1.1.2), and the call ends if nobody answers (RFC 3261, 12.2.1.2).
        self.timers.proposal = (!self.proposal.moved).then(|| now + self.limits.proposal);
        self.enter(State::SendingProposal);
        self.push_call(CallCommand::Offer { description });
    }

    /// Our offer was answered: the session is free for the next one.
    pub(super) fn proposal_settled(&mut self) {
        self.proposal.sent = false;
        self.timers.proposal = None;
        if self.state == State::SendingProposal {
            self.enter(State::Connected);
        }
    }

    /// Our offer is void: everything is as it was before it (RFC 3261, 14.1).
    pub(super) fn offer_failed(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        code: u16,
        reason: String,
        retry: Option<Instant>,
    ) {
        if self.state != State::SendingProposal {
            return;
        }
        self.rollback(now, streams);
        self.proposal_settled();
        if let Some(at) = retry {
            self.proposal.want(false);
            self.timers.retry = Some(at);
        }
        self.push(SessionEvent::GotRejectProposal {
            originator: Originator::Local,
            code,
            reason,
            streams: Vec::new(),
        });
        self.try_propose(now, streams);
    }

    fn rollback(&mut self, now: Instant, streams: &mut Streams) {
        for id in self.streams() {
            if let Some(stream) = streams.touch(id) {
                stream.rollback(now);
            }
        }
        self.descriptions.rollback();
    }

    /// The peer offers. A proposal of ours that is not on the wire yet is made anew afterwards.
    pub(super) fn offered(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        dialog: DialogId,
        description: &Description,
        immediate: bool,
    ) {
        if !self.state.is_live() {
            return self.push_call(refusal(dialog, 487, None));
        }
        let is_followed = self.branch.is_none_or(|branch| branch == dialog);
        if self.confirmed.is_none() && !is_followed {
            // RFC 3311, 5.2: one set of streams follows one fork, and nobody can be asked which.
            return self.push_call(refusal(dialog, 504, None));
        }
        self.yield_proposal(now, streams);
        // Only an INVITE lasts beyond its answer.
        self.proposal.answering |= !immediate;
        let before = self.streams();
        match self.try_answer(now, streams, description, immediate) {
            Ok((answer, offer)) => {
                self.push_call(CallCommand::Answer {
                    dialog,
                    description: answer,
                });
                self.agree(now, streams, dialog, description.body.clone(), &offer);
                self.renegotiated(Originator::Remote, &before);
            }
            Err((code, warning)) => {
                self.push(SessionEvent::HadProposalFailure {
                    originator: Originator::Remote,
                    failure_reason: warning.clone(),
                    streams: Vec::new(),
                });
                self.push_call(refusal(dialog, code, Some(warning)));
            }
        }
        self.try_propose(now, streams);
    }

    /// Asks all streams for their answers, in the order of the m-lines; the first refusal takes the
    /// others back and refuses the offer (STR-06).
    fn try_answer(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        description: &Description,
        immediate: bool,
    ) -> Result<(Description, sdp::Session), (u16, String)> {
        let not_acceptable = |error: DescriptionError| (488, error.to_string());
        let offer = description::parse(description).map_err(not_acceptable)?;
        if let Some(previous) = self.descriptions.remote() {
            // SES-38: fewer m-lines than before.
            sdp::check_offer(&previous, &offer).map_err(|error| (488, error.to_string()))?;
        }
        let new = offer.media.iter().skip(self.lines.len());
        if immediate && new.into_iter().any(|media| !media.is_disabled()) {
            // RFC 3311, 5.2: nobody can be asked before the answer is due.
            return Err((504, "a new stream needs a re-INVITE".to_owned()));
        }
        while self.lines.len() < offer.media.len() {
            // A line that is new in this offer is refused: nobody asked the application.
            self.lines.push(super::Line::new(None));
        }
        let mut answers: Vec<Option<sdp::Media>> = Vec::with_capacity(offer.media.len());
        for (index, media) in offer.media.iter().enumerate() {
            let stream = self.lines[index].stream.filter(|_| media.port != 0);
            let answer = stream
                .and_then(|id| streams.touch(id))
                .map(|stream| stream.answer(now, &offer, index));
            match answer.transpose() {
                Ok(answer) => answers.push(answer),
                Err(refusal) => {
                    for (line, _) in self
                        .lines
                        .iter()
                        .zip(&answers)
                        .filter(|(_, answer)| answer.is_some())
                    {
                        if let Some(stream) = line.stream.and_then(|id| streams.touch(id)) {
                            stream.rollback(now);
                        }
                    }
                    return Err((refusal.code, refusal.warning.to_owned()));
                }
            }
        }
        let answer = self
            .descriptions
            .answer(&offer, answers)
            .map_err(not_acceptable)?;
        Ok((answer, offer))
    }

    /// A re-INVITE without an offer: everything is offered as it is wished (STR-16).
    pub(super) fn offer_requested(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        dialog: DialogId,
    ) {
        if !self.state.is_live() {
            return self.push_call(refusal(dialog, 487, None));
        }
        self.yield_proposal(now, streams);
        self.proposal.describe();
        self.proposal.sent = true;
        self.proposal.answering = true;
        let lines = self.offers(now, streams);
        let description = self.descriptions.offer(lines);
        if self.state == State::Connected {
            self.enter(State::SendingProposal);
        }
        self.push_call(CallCommand::Offer { description });
    }

    /// Takes back an offer that never left: had it left, the invitation would have refused the peer's
    /// by itself (RFC 3261, 14.2), so both were told in one step. It is made anew afterwards.
    fn yield_proposal(&mut self, now: Instant, streams: &mut Streams) {
        if self.state == State::SendingProposal {
            self.rollback(now, streams);
            self.proposal_settled();
            self.proposal.want(false);
        }
    }

    /// The transaction of an offer of the peer is over, so ours may begin.
    pub(super) fn answered_transaction_over(&mut self, now: Instant, streams: &mut Streams) {
        self.proposal.answering = false;
        self.try_propose(now, streams);
    }

    /// The peer took its offer back. Ours was never an answer, or has been agreed; nothing to undo.
    pub(super) fn offer_withdrawn(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        _dialog: DialogId,
    ) {
        if self.state == State::SendingProposal {
            self.rollback(now, streams);
            self.proposal_settled();
        }
        self.try_propose(now, streams);
    }

    /// Says what an agreement changed.
    pub(super) fn renegotiated(&mut self, originator: Originator, before: &[StreamId]) {
        let after = self.streams();
        let removed: Vec<StreamId> = before
            .iter()
            .copied()
            .filter(|id| !after.contains(id))
            .collect();
        if !removed.is_empty() && self.state.is_live() {
            self.push(SessionEvent::DidRenegotiateStreams {
                originator,
                added: Vec::new(),
                removed,
            });
        }
    }
}

fn refusal(dialog: DialogId, code: u16, warning: Option<String>) -> CallCommand {
    CallCommand::Refuse {
        dialog,
        code,
        warning,
    }
}
