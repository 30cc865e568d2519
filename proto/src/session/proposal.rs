//! Offers in a call that stands: ours (hold, a stream's wish) and the peer's (SES-38).

use super::{
    CallCommand, InputKind, Session, SessionError, State,
    call::Offered,
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
    /// It is not the application's: without it the session cannot go on.
    needed: bool,
    /// The streams want to prepare before it.
    prepare: bool,
    /// It is being prepared; not on the wire yet.
    preparing: bool,
    /// The peer is to be asked for an offer.
    asked: bool,
    /// We are elsewhere, and the peer has not agreed on that yet.
    moved: bool,
    /// What is on the wire.
    running: Running,
    /// Whose INVITE is not over, although its offer is answered: ours after an answer in a reliable provisional
    /// response or its PRACK, the peer's until the ACK.
    inviting: Option<Originator>,
}

/// What is on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Running {
    #[default]
    Nothing,
    /// Our offer.
    Offer {
        /// The session cannot go on without it.
        needed: bool,
    },
    /// Our wish for an offer of the peer.
    Request,
    /// The offer that the peer has asked for: in a 2xx, which nobody can take back.
    Requested,
}

impl Proposal {
    /// Notes that an offer is wanted; made when the state allows it.
    pub(super) fn want(&mut self, prepare: bool) {
        self.wanted = true;
        self.prepare |= prepare;
    }

    /// Notes the same of one that the session cannot do without.
    pub(super) fn need(&mut self, prepare: bool) {
        self.want(prepare);
        self.needed = true;
    }

    /// A description is being made: it says what was wished until now.
    pub(super) fn describe(&mut self) {
        self.wanted = false;
        self.needed = false;
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

    pub(super) fn is_settled(&self) -> bool {
        self.running == Running::Nothing
    }

    /// Makes what was on the wire wanted once more.
    fn repeat(&mut self, running: Running) {
        match running {
            Running::Nothing => {}
            Running::Request => self.asked = true,
            Running::Offer { needed: true } => self.need(false),
            Running::Offer { needed: false } | Running::Requested => self.want(false),
        }
    }

    /// The same, without what the application has taken back.
    fn repeat_needed(&mut self, running: Running) {
        if running == (Running::Offer { needed: true }) {
            self.need(false);
        }
    }

    /// Forgets what the application has wished for.
    fn take_back(&mut self) {
        self.wanted = self.needed;
        self.asked = false;
    }
}

impl Session {
    /// Asks the peer for an offer, by a re-INVITE without one (RFC 3261, 14.1; RFC 6337, 5.2.5): what it is
    /// willing to do now is answered as its streams are. It goes out as soon as the state allows.
    ///
    /// # Errors
    ///
    /// Only in state connected.
    pub(crate) fn request_proposal(
        &mut self,
        now: Instant,
        streams: &mut Streams,
    ) -> Result<(), SessionError> {
        self.seen.note(self.state, InputKind::RequestProposal);
        self.in_state(&[State::Connected])?;
        self.proposal.asked = true;
        self.try_propose(now, streams);
        Ok(())
    }

    /// Takes the proposal that runs back (SES-27): CANCEL, and what it said of hold is not wished any more. What
    /// streams need goes again afterwards. If the peer has agreed in the meantime, another re-INVITE
    /// brings everything back (SES-28, BUG-27).
    ///
    /// # Errors
    ///
    /// Only in state sending_proposal, and only where a request of ours runs.
    pub(crate) fn cancel_proposal(
        &mut self,
        now: Instant,
        streams: &mut Streams,
    ) -> Result<(), SessionError> {
        self.seen.note(self.state, InputKind::CancelProposal);
        self.in_state(&[State::SendingProposal])?;
        if self.proposal.running == Running::Requested {
            return Err(self.wrong_state());
        }
        self.timers.proposal = None;
        self.proposal.take_back();
        self.take_hold_back(now, streams);
        self.enter(State::CancellingProposal);
        self.push_call(CallCommand::CancelOffer);
        Ok(())
    }

    /// Makes the offer that is wanted, if the state allows it now.
    pub(super) fn try_propose(&mut self, now: Instant, streams: &mut Streams) {
        let may_propose = self.state == State::Connected
            && (self.proposal.wanted || self.proposal.asked)
            && !self.proposal.preparing
            // RFC 3261, 14.1: not while an INVITE runs in either direction.
            && self.proposal.inviting.is_none()
            && self.timers.retry.is_none();
        if !may_propose {
            return;
        }
        if !self.proposal.wanted {
            self.ask(now);
        } else if std::mem::take(&mut self.proposal.prepare) {
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

    /// Sends the wish for an offer.
    fn ask(&mut self, now: Instant) {
        self.proposal.asked = false;
        self.proposal.running = Running::Request;
        self.timers.proposal = Some(now + self.limits.proposal);
        self.enter(State::SendingProposal);
        self.push_call(CallCommand::RequestOffer);
    }

    /// Sends the offer.
    pub(super) fn propose(&mut self, now: Instant, streams: &mut Streams) {
        if !self.proposal.wanted {
            return;
        }
        let needed = self.proposal.needed;
        self.proposal.describe();
        self.proposal.running = Running::Offer { needed };
        let lines = self.offers(now, streams);
        let description = self.descriptions.offer(lines);
        // SES-31 is for wishes. That we are elsewhere the peer must learn: the transaction takes its time
        // (RFC 3261, 17.1.1.2), and the call ends if nobody answers (RFC 3261, 12.2.1.2).
        self.timers.proposal = (!self.proposal.moved).then(|| now + self.limits.proposal);
        self.enter(State::SendingProposal);
        self.push_call(CallCommand::Offer { description });
    }

    /// Our offer was answered, or our wish for one granted; the INVITE may go on (RFC 3262, 5).
    pub(super) fn proposal_answered(&mut self) {
        if matches!(
            self.proposal.running,
            Running::Offer { .. } | Running::Request
        ) {
            self.proposal.inviting = Some(Originator::Local);
        }
        self.proposal_settled();
    }

    /// Nothing of ours is on the wire.
    pub(super) fn proposal_settled(&mut self) {
        self.proposal.running = Running::Nothing;
        self.timers.proposal = None;
        if self.state.is_proposing() {
            self.enter(State::Connected);
        }
    }

    /// The peer has agreed on what was being taken back: it is taken back by another re-INVITE (BUG-27).
    pub(super) fn bring_back(&mut self) {
        self.proposal.want(false);
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
        if !self.state.is_proposing() {
            return;
        }
        self.void_proposal(now, streams, retry.is_some());
        self.timers.retry = retry.filter(|_| self.proposal.wanted || self.proposal.asked);
        self.sdp_failed(&reason);
        self.push(match code {
            // The peer agrees, and says nothing that could be agreed on.
            200..300 => SessionEvent::HadProposalFailure {
                originator: Originator::Local,
                failure_reason: reason,
                streams: Vec::new(),
            },
            _ => SessionEvent::GotRejectProposal {
                originator: Originator::Local,
                code,
                reason,
                streams: Vec::new(),
            },
        });
        self.try_propose(now, streams);
    }

    /// Our offer did not leave, so there is nothing to tell: it goes later (RFC 3261, 14.1).
    pub(super) fn offer_held_back(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        retry: Option<Instant>,
    ) {
        if !self.state.is_proposing() {
            return;
        }
        self.void_proposal(now, streams, true);
        self.timers.retry = retry.filter(|_| self.proposal.wanted || self.proposal.asked);
    }

    /// Nothing comes of what is on the wire: it is wanted once more if it is to be repeated, but what the application has
    /// taken back is not.
    fn void_proposal(&mut self, now: Instant, streams: &mut Streams, repeats: bool) {
        let running = self.proposal.running;
        let is_cancelled = self.state == State::CancellingProposal;
        self.rollback(now, streams);
        self.proposal_settled();
        match (is_cancelled, repeats) {
            (true, _) => self.proposal.repeat_needed(running),
            (false, true) => self.proposal.repeat(running),
            (false, false) => {}
        }
    }

    /// Drops what our streams have proposed, if they have.
    fn rollback(&mut self, now: Instant, streams: &mut Streams) {
        if self.proposal.running == Running::Request {
            return;
        }
        for id in self.streams() {
            if let Some(stream) = streams.touch(id) {
                stream.rollback(now);
            }
        }
        self.descriptions.rollback();
    }

    /// The peer offers. A proposal of ours that is not on the wire yet is made anew afterwards.
    pub(super) fn offered(&mut self, now: Instant, streams: &mut Streams, offered: Offered<'_>) {
        let Offered {
            dialog,
            description,
            immediate,
            asked,
        } = offered;
        if !self.state.is_live() {
            return self.push_call(refusal(dialog, 487, None));
        }
        let is_followed = self.branch.is_none_or(|branch| branch == dialog);
        if self.confirmed.is_none() && !is_followed {
            // RFC 3311, 5.2: one set of streams follows one fork, and nobody can be asked which.
            return self.push_call(refusal(dialog, 504, None));
        }
        match asked {
            true => self.proposal_answered(),
            false => self.yield_proposal(now, streams),
        }
        // Only an INVITE lasts beyond its answer.
        if !immediate {
            self.proposal.inviting = Some(Originator::Remote);
        }
        let before = self.streams();
        match self.try_answer(now, streams, description, immediate && !asked) {
            Ok((answer, offer)) => {
                self.push_call(CallCommand::Answer {
                    dialog,
                    description: answer,
                });
                self.agree(now, streams, dialog, description.body.clone(), &offer);
                self.renegotiated(Originator::Remote, &before);
            }
            Err((code, warning)) => {
                self.sdp_failed(&warning);
                self.push(SessionEvent::HadProposalFailure {
                    originator: Originator::Remote,
                    failure_reason: warning.clone(),
                    streams: Vec::new(),
                });
                if asked {
                    return self.leave_offer(now, streams, dialog, description, warning);
                }
                self.push_call(refusal(dialog, code, Some(warning)));
            }
        }
        self.try_propose(now, streams);
    }

    /// A 2xx offers what nobody can accept: the ACK says so by a valid answer, and BYE follows at once
    /// (RFC 3261, 13.2.2.4).
    fn leave_offer(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        dialog: DialogId,
        description: &Description,
        why: String,
    ) {
        let offer = description::parse(description).ok();
        let answer = offer.and_then(|offer| {
            let nothing = vec![None; offer.media.len()];
            self.descriptions.answer(&offer, nothing).ok()
        });
        self.push_call(match answer {
            Some(description) => CallCommand::Answer {
                dialog,
                description,
            },
            None => refusal(dialog, 488, Some(why.clone())),
        });
        self.end_call(None);
        self.finish(now, streams, Originator::Local, why);
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
        self.proposal.running = Running::Requested;
        self.proposal.inviting = Some(Originator::Remote);
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
        if !self.state.is_proposing() {
            return;
        }
        self.void_proposal(now, streams, true);
    }

    /// An INVITE is over, so the next one may begin.
    pub(super) fn invite_over(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        originator: Originator,
    ) {
        self.proposal.inviting.take_if(|whose| *whose == originator);
        self.try_propose(now, streams);
    }

    /// The peer took its offer back. Ours was never an answer, or has been agreed; nothing to undo.
    pub(super) fn offer_withdrawn(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        _dialog: DialogId,
    ) {
        if self.state.is_proposing() {
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
