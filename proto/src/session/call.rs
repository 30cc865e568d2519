//! The session's side of its invitation: what it hears from it and asks of it.

use super::{InputKind, Session, SessionError, State, TransferInfo, Warning, words::words};
use crate::{
    event::{Hints, Originator, SessionEvent},
    stream::{Direction, StreamInput, Streams},
};
use bytes::Bytes;
use serde::Serialize;
use sip::{
    AccountId, Description, DialogId, InvitationEvent, Method, Status, header::Reason,
    usage::invitation::Info,
};
use std::time::Instant;

/// What a session asks of its invitation.
#[derive(Debug)]
pub(crate) enum CallCommand {
    /// Send the INVITE; `to` is where the one before was redirected to.
    Invite {
        offer: Description,
        to: Option<sip::Uri>,
    },
    /// Send a provisional response.
    Ring,
    /// Send a provisional response that shows our answer or, reliably, makes our offer.
    Progress { description: Description },
    /// Send the 2xx, with our answer or, to an INVITE without an offer, with our offer.
    Accept { description: Description },
    /// Send a final response that refuses.
    Reject {
        code: u16,
        reason: Option<String>,
        warning: Option<Warning>,
        /// Where else to call, of a 3xx.
        contacts: Vec<sip::Uri>,
    },
    /// CANCEL, BYE, or what else the state asks for.
    End { reason: Option<Reason> },
    /// Send a re-INVITE, or the offer that the peer asked for.
    Offer { description: Description },
    /// Send a re-INVITE that leaves the offer to the peer.
    RequestOffer,
    /// Give the re-INVITE up: CANCEL if it was answered provisionally.
    CancelOffer,
    /// Answer an offer of the peer.
    Answer {
        dialog: DialogId,
        description: Description,
    },
    /// Refuse an offer of the peer; the call stays as it was.
    Refuse {
        dialog: DialogId,
        code: u16,
        warning: Option<String>,
    },
}

/// An offer of the peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offered<'a> {
    pub(super) dialog: DialogId,
    pub(super) description: &'a Description,
    /// Its answer cannot wait for people.
    pub(super) immediate: bool,
    /// We have asked for it.
    pub(super) asked: bool,
}

/// What can be asked of a session (requirements 4.3).
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Who calls or is called; `None` where the agent has no account.
    pub account: Option<AccountId>,
    /// SES-01.
    pub state: State,
    /// SES-42.
    pub direction: Direction,
    /// SES-49.
    pub streams: Vec<crate::id::StreamId>,
    /// SES-45: any stream is held, by whomever.
    pub on_hold: bool,
    /// Our hold was accepted by the peer (SES-46).
    pub on_hold_by_local: bool,
    /// The peer holds (SES-46).
    pub on_hold_by_remote: bool,
    /// The application's last wish, whatever the peer says to it.
    pub hold_intent: bool,
    /// The session that ends when this incoming one is accepted (RFC 3891; SES-50). Whether its caller may
    /// ask for that is the application's to judge: `call` says who it is, and its
    /// [particulars](crate::event::Particulars) what was verified, and the Referred-By of its INVITE.
    pub replaced_session: Option<crate::id::SessionId>,
    /// The latest transfer (SES-50).
    pub transfer: Option<TransferInfo>,
    /// What the invitation knows: identities, dialog, transport (SES-43, SES-47, SES-48, SES-53).
    pub call: Option<Info>,
}

impl Session {
    /// What can be said without the invitation.
    pub(crate) fn info(
        &self,
        streams: &Streams,
        account: Option<AccountId>,
        call: Option<Info>,
    ) -> SessionInfo {
        let held = self.hold_of(streams);
        SessionInfo {
            account,
            state: self.state,
            direction: self.direction,
            streams: self.streams(),
            on_hold: held.by_local || held.by_remote,
            on_hold_by_local: held.by_local,
            on_hold_by_remote: held.by_remote,
            hold_intent: self.hold.intent(),
            replaced_session: self.replaces,
            transfer: self.transfer_info(),
            call,
        }
    }

    /// Our description and the peer's as they were last agreed (INV-04).
    pub(crate) fn descriptions(&self) -> Option<(&Bytes, &Bytes)> {
        self.descriptions.agreed()
    }

    pub(super) fn handle_call(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        event: InvitationEvent,
    ) {
        if let Some(kind) = kind(&event) {
            self.seen.note(self.state, kind);
        }
        match event {
            InvitationEvent::Provisional { code, reason, .. } if self.state.is_live() => {
                // SES-56: 180 only.
                if code == Status::RINGING && self.state == State::Outgoing {
                    self.push(SessionEvent::GotRingIndication);
                }
                self.push(SessionEvent::GotProvisionalResponse {
                    code: code.code(),
                    reason,
                });
            }
            InvitationEvent::Answered {
                dialog,
                description,
                early,
            } => self.answered(now, streams, dialog, &description, early),
            InvitationEvent::Offered {
                dialog,
                description,
                immediate,
                asked,
            } => {
                let description = &description;
                let offered = Offered {
                    dialog,
                    description,
                    immediate,
                    asked,
                };
                self.offered(now, streams, offered);
            }
            InvitationEvent::OfferRequested { dialog } => {
                self.offer_requested(now, streams, dialog)
            }
            InvitationEvent::OfferWithdrawn { dialog } => {
                self.offer_withdrawn(now, streams, dialog)
            }
            InvitationEvent::OfferFailed {
                code,
                reason,
                retry,
                ..
            } => self.offer_failed(now, streams, code.code(), reason, retry),
            InvitationEvent::Confirmed { dialog, .. } => self.confirmed(now, streams, dialog),
            InvitationEvent::Acknowledged { .. } => self.acknowledged(now, streams),
            InvitationEvent::DialogEnded { dialog } => self.dialog_ended(now, streams, dialog),
            InvitationEvent::Transaction {
                originator,
                method,
                code,
                reason,
                ack_received,
            } => {
                if self.ending_is_told() {
                    return;
                }
                let is_remote = originator == Originator::Remote;
                let is_invite = method == Method::Invite;
                if is_remote && method == Method::Prack {
                    self.verified(now, streams);
                }
                self.push(SessionEvent::DidProcessTransaction {
                    originator,
                    method: method.to_string(),
                    code: code.code(),
                    reason,
                    ack_received,
                });
                if is_invite {
                    self.invite_over(now, streams, originator);
                }
            }
            InvitationEvent::Ended {
                originator,
                code,
                reason,
                cause,
                reason_header,
                headers,
            } => {
                let response = code.map(|code| {
                    (
                        code.code(),
                        reason.unwrap_or_else(|| code.phrase().to_owned()),
                    )
                });
                let words = words(originator, cause, reason_header.as_deref());
                // What is ours to say is known here.
                if originator == Originator::Remote && response.is_some() {
                    self.hints = Hints::of(&headers);
                }
                match response {
                    // One of ours is an answer, and no redirection of this session.
                    Some((code, reason))
                        if originator == Originator::Remote && (300..400).contains(&code) =>
                    {
                        self.redirected(now, streams, (code, reason), words, &headers);
                    }
                    response => self.call_ended(now, streams, originator, response, cause, words),
                }
            }
            InvitationEvent::Informed { info, .. } if self.state.is_live() => {
                for id in self.streams() {
                    if let Some(stream) = streams.touch(id) {
                        stream.handle_input(now, StreamInput::Info(info.clone()));
                    }
                }
                self.push(SessionEvent::GotInfo(info));
            }
            // `Incoming` made this session; the states of the invitation are its own.
            _ => {}
        }
    }

    /// Says that the invitation could not be made: no message ever left.
    pub(crate) fn could_not_invite(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        failure: String,
    ) {
        self.fail(now, streams, Originator::Local, 0, String::new(), failure);
        self.call_is_over();
    }

    pub(super) fn in_state(&self, allowed: &[State]) -> Result<(), SessionError> {
        match allowed.contains(&self.state) {
            true => Ok(()),
            false => Err(self.wrong_state()),
        }
    }
}

fn kind(event: &InvitationEvent) -> Option<InputKind> {
    Some(match event {
        InvitationEvent::Provisional { .. } => InputKind::Provisional,
        InvitationEvent::Offered { .. } => InputKind::Offered,
        InvitationEvent::OfferRequested { .. } => InputKind::OfferRequested,
        InvitationEvent::OfferWithdrawn { .. } => InputKind::OfferWithdrawn,
        InvitationEvent::Answered { .. } => InputKind::Answered,
        InvitationEvent::OfferFailed { .. } => InputKind::OfferFailed,
        InvitationEvent::Confirmed { .. } => InputKind::Confirmed,
        InvitationEvent::Acknowledged { .. } => InputKind::Acknowledged,
        InvitationEvent::DialogEnded { .. } => InputKind::DialogEnded,
        InvitationEvent::Ended { .. } => InputKind::CallEnded,
        _ => return None,
    })
}
