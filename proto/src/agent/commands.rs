//! Everything that the application can ask for, as data and as methods.

use super::{
    Account, Child, Connect, ConnectError, Frame, LiveOption, MediaFrame, Message, Publish,
    SessionId, StreamId, SubscriptionCommand, UnknownStream, UserAgent,
};
use crate::{
    session::SessionError,
    stream::{BadCommand, Lookup, MediaStream, StreamCommand, StreamInput, StreamSpec},
};
use base::HostPort;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sip::AccountId;
use std::{
    any::Any,
    time::{Duration, Instant},
};

/// A command with its arguments, as a recording keeps it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// [`UserAgent::connect`].
    Connect(Connect),
    /// [`UserAgent::ring`].
    Ring {
        /// Which.
        session: SessionId,
    },
    /// [`UserAgent::progress`].
    Progress {
        /// Which.
        session: SessionId,
        /// With what.
        streams: Vec<StreamId>,
    },
    /// [`UserAgent::accept`].
    Accept {
        /// Which.
        session: SessionId,
        /// With what.
        streams: Vec<StreamId>,
    },
    /// [`UserAgent::reject`].
    Reject {
        /// Which.
        session: SessionId,
        /// The status code.
        code: u16,
        /// The phrase, if not the usual one.
        reason: Option<String>,
        /// What is wrong.
        #[serde(default)]
        warning: Option<crate::session::Warning>,
    },
    /// [`UserAgent::redirect`].
    Redirect {
        /// Which.
        session: SessionId,
        /// The status code.
        code: u16,
        /// Where to.
        targets: Vec<sip::Uri>,
    },
    /// [`UserAgent::end`].
    End {
        /// Which.
        session: SessionId,
        /// Why.
        reason: Option<sip::header::Reason>,
    },
    /// [`UserAgent::hold`].
    Hold {
        /// Which.
        session: SessionId,
    },
    /// [`UserAgent::unhold`].
    Unhold {
        /// Which.
        session: SessionId,
    },
    /// [`UserAgent::request_proposal`].
    RequestProposal {
        /// Which.
        session: SessionId,
    },
    /// [`UserAgent::cancel_proposal`].
    CancelProposal {
        /// Which.
        session: SessionId,
    },
    /// [`UserAgent::change_session_interval`].
    ChangeSessionInterval {
        /// Which.
        session: SessionId,
        /// How long it is to last.
        interval: Duration,
        /// Who is to refresh it.
        refresher: Option<sip::header::Refresher>,
    },
    /// [`UserAgent::transfer`].
    Transfer {
        /// Which.
        session: SessionId,
        /// To whom.
        target: Option<sip::Uri>,
        /// Whose peer ends that session.
        replaced: Option<SessionId>,
    },
    /// [`UserAgent::accept_transfer`].
    AcceptTransfer {
        /// Which.
        session: SessionId,
        /// What to propose in the new one.
        streams: Vec<StreamSpec>,
    },
    /// [`UserAgent::reject_transfer`].
    RejectTransfer {
        /// Which.
        session: SessionId,
        /// The status code, if not the usual one.
        code: Option<u16>,
        /// The phrase, if not the usual one.
        reason: Option<String>,
    },
    /// [`UserAgent::inform`].
    Inform {
        /// In which.
        session: SessionId,
        /// What.
        info: sip::InfoRequest,
    },
    /// [`UserAgent::follow_redirect`].
    FollowRedirect {
        /// Which.
        session: SessionId,
        /// Where to.
        target: Option<sip::Uri>,
    },
    /// [`UserAgent::options`].
    Options {
        /// As whom.
        account: Option<AccountId>,
        /// Whom.
        to: sip::Uri,
    },
    /// [`UserAgent::lookup`].
    Lookup {
        /// What.
        what: Lookup,
    },
    /// [`UserAgent::detect_nat_type`].
    DetectNatType {
        /// Which server to ask.
        server: HostPort,
        /// What the event shall hold.
        user_data: Value,
    },
    /// [`UserAgent::add_account`].
    AddAccount(Box<Account>),
    /// [`UserAgent::remove_account`].
    RemoveAccount {
        /// Which.
        account: AccountId,
    },
    /// [`UserAgent::set_default_account`].
    SetDefaultAccount {
        /// Which.
        account: AccountId,
    },
    /// [`UserAgent::register`].
    Register {
        /// Which.
        account: Option<AccountId>,
    },
    /// [`UserAgent::unregister`].
    Unregister {
        /// Which.
        account: Option<AccountId>,
    },
    /// [`UserAgent::publish`].
    Publish(Publish),
    /// [`UserAgent::unpublish`].
    Unpublish {
        /// Whose.
        account: Option<AccountId>,
        /// Which event package.
        event: String,
    },
    /// [`UserAgent::send_message`].
    SendMessage(Message),
    /// [`UserAgent::answer_message`].
    AnswerMessage {
        /// Which.
        message: sip::MessageId,
        /// The status code.
        code: u16,
    },
    /// An option that changes while the agent runs.
    Live(LiveOption),
    /// What is asked about subscriptions.
    Subscription(SubscriptionCommand),
    /// [`UserAgent::write_media`].
    WriteMedia {
        /// To which stream.
        stream: StreamId,
        /// What.
        frame: MediaFrame,
    },
    /// [`UserAgent::command`].
    Stream {
        /// To which stream.
        stream: StreamId,
        /// The kind's own command.
        command: Value,
    },
    /// [`UserAgent::set_trace`].
    SetTrace {
        /// On or off.
        trace: bool,
    },
    /// [`UserAgent::shutdown`].
    Shutdown,
}

impl UserAgent {
    /// Calls somebody (SES-05): told by `NewOutgoing`, then `DidStart` or `DidFail`.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub fn connect(&mut self, now: Instant, call: Connect) -> Result<SessionId, ConnectError> {
        self.perform(
            now,
            |call| Command::Connect(call.clone()),
            call,
            Self::apply_connect,
        )
    }

    /// Says that the user is being called (180, SES-14).
    ///
    /// # Errors
    ///
    /// Only an incoming session that waits for an answer can ring.
    pub fn ring(&mut self, now: Instant, session: SessionId) -> Result<(), SessionError> {
        let command = |_: &()| Command::Ring { session };
        self.perform(now, command, (), |agent, ()| {
            agent.with_session(session, |session, _, _| session.ring())
        })
    }

    /// Sends early media (INV-07): answers with a subset of the proposed streams in a 183, and starts them
    /// before the call is taken. The others are refused.
    ///
    /// The response is reliable where the caller can (RFC 3262); to an INVITE without an offer it brings
    /// ours, which the caller's PRACK answers. Until it is acknowledged, and always where it is not reliable,
    /// a stream sends for [`MediaSettings::unacknowledged_media`](crate::stream::MediaSettings) only:
    /// nothing else proves that the caller is where it says.
    ///
    /// # Errors
    ///
    /// Only an incoming session that waits for an answer, once, and only streams that it proposes; an
    /// INVITE without an offer only from who takes reliable responses.
    pub fn progress(
        &mut self,
        now: Instant,
        session: SessionId,
        streams: &[StreamId],
    ) -> Result<(), SessionError> {
        let command = |_: &()| Command::Progress {
            session,
            streams: streams.to_vec(),
        };
        self.perform(now, command, (), |agent, ()| {
            agent.with_session(session, |session, now, table| {
                session.progress(now, table, streams)
            })
        })
    }

    /// Accepts a call with a subset of its proposed streams (SES-15); after
    /// [`progress`](Self::progress) with all that it named.
    ///
    /// # Errors
    ///
    /// Only an incoming session that waits for an answer, and only streams that it proposes.
    pub fn accept(
        &mut self,
        now: Instant,
        session: SessionId,
        streams: &[StreamId],
    ) -> Result<(), SessionError> {
        let command = |_: &()| Command::Accept {
            session,
            streams: streams.to_vec(),
        };
        self.perform(now, command, (), |agent, ()| {
            agent.with_session(session, |session, now, table| {
                session.accept(now, table, streams)
            })
        })
    }

    /// Refuses a call (SES-19); usual codes are 486 and 603.
    ///
    /// # Errors
    ///
    /// Only an incoming session that waits for an answer, and only a code that refuses.
    pub fn reject(
        &mut self,
        now: Instant,
        session: SessionId,
        code: u16,
        reason: Option<&str>,
    ) -> Result<(), SessionError> {
        self.reject_for(now, session, code, reason, None)
    }

    /// Ends a session in whatever state it is (SES-32, SES-33); repeated, it does nothing.
    ///
    /// # Errors
    ///
    /// The session is unknown.
    pub fn end(&mut self, now: Instant, session: SessionId) -> Result<(), SessionError> {
        self.end_for(now, session, None)
    }

    /// The same, and tells the peer why (RFC 3326): in the CANCEL of a call that was not answered, in the BYE of
    /// one that was. Who calls several phones at once tells the others
    /// [`Reason::completed_elsewhere`](sip::header::Reason::completed_elsewhere) when one of them has answered.
    ///
    /// # Errors
    ///
    /// The session is unknown, or the reason's protocol is no token.
    pub fn end_for(
        &mut self,
        now: Instant,
        session: SessionId,
        reason: Option<sip::header::Reason>,
    ) -> Result<(), SessionError> {
        let command = |reason: &Option<_>| Command::End {
            session,
            reason: reason.clone(),
        };
        self.perform(now, command, reason, |agent, reason| {
            agent.with_session(session, |session, now, table| {
                session.end(now, table, reason)
            })
        })
    }

    /// Looks something up (requirements 16): told by a `LookupEvent::Trace` for each query, then
    /// `DidSucceed` or `DidFail`.
    ///
    /// # Errors
    ///
    /// Nothing can be asked: the URI has no host, or wants a transport that nobody has.
    pub fn lookup(
        &mut self,
        now: Instant,
        what: Lookup,
    ) -> Result<dns::LookupId, sip::LookupError> {
        let command = |what: &Lookup| Command::Lookup { what: what.clone() };
        self.perform(now, command, what, |agent, what| {
            agent.touch(Child::Resolver);
            agent.resolver.look_up(agent.now, &what)
        })
    }

    /// Hands a media frame to a stream.
    ///
    /// # Errors
    ///
    /// The stream is unknown.
    pub fn write_media(
        &mut self,
        now: Instant,
        stream: StreamId,
        frame: MediaFrame,
    ) -> Result<(), UnknownStream> {
        let command = |frame: &MediaFrame| Command::WriteMedia {
            stream,
            frame: frame.clone(),
        };
        self.perform(now, command, frame, |agent, frame| {
            let frame = Frame {
                payload_type: frame.payload_type,
                marker: frame.marker,
                sequence: 0,
                timestamp: frame.timestamp,
                ssrc: 0,
                arrived: agent.now,
                payload: frame.payload,
            };
            match agent.streams.get(stream).is_some() {
                true => {
                    agent.stream_input(stream, StreamInput::Media(frame));
                    Ok(())
                }
                false => Err(UnknownStream(stream)),
            }
        })
    }

    /// Gives a stream a command of its kind.
    ///
    /// # Errors
    ///
    /// The stream is unknown or of another kind.
    pub fn command<C: StreamCommand>(
        &mut self,
        now: Instant,
        stream: StreamId,
        command: C,
    ) -> Result<C::Reply, UnknownStream> {
        let record = |command: &C| Command::Stream {
            stream,
            command: serde_json::to_value(command).expect("commands of streams are JSON"),
        };
        self.perform(now, record, command, |agent, command| {
            let now = agent.now;
            agent.with_stream(stream, |any| {
                let any: &mut dyn Any = any;
                let stream_of_kind = any.downcast_mut::<C::Stream>()?;
                Some(command.apply(stream_of_kind, now))
            })
        })
    }

    /// Switches [`Output::Trace`](super::Output::Trace) on or off (ENG-20).
    pub fn set_trace(&mut self, now: Instant, trace: bool) {
        let command = |_: &()| Command::SetTrace { trace };
        self.perform(now, command, (), |agent, ()| agent.links.set_trace(trace));
    }

    /// Ends everything properly (ENG-27): `WillEnd`, the end of all sessions, `DidEnd`. Repeated, it
    /// does nothing.
    pub fn shutdown(&mut self, now: Instant) {
        self.perform(
            now,
            |_| Command::Shutdown,
            (),
            |agent, ()| {
                agent.apply_shutdown();
            },
        );
    }

    /// Gives a recorded command again; what came back from it shows in the outputs.
    pub(super) fn repeat(&mut self, now: Instant, command: Command) -> Result<(), BadCommand> {
        match command {
            Command::Connect(call) => drop(self.connect(now, call)),
            Command::Ring { session } => drop(self.ring(now, session)),
            Command::Progress { session, streams } => {
                let _ = self.progress(now, session, &streams);
            }
            Command::Accept { session, streams } => drop(self.accept(now, session, &streams)),
            Command::Reject {
                session,
                code,
                reason,
                warning,
            } => drop(self.reject_for(now, session, code, reason.as_deref(), warning)),
            Command::Redirect {
                session,
                code,
                targets,
            } => drop(self.redirect(now, session, code, targets)),
            Command::End { session, reason } => drop(self.end_for(now, session, reason)),
            Command::Hold { session } => drop(self.hold(now, session)),
            Command::Unhold { session } => drop(self.unhold(now, session)),
            Command::RequestProposal { session } => drop(self.request_proposal(now, session)),
            Command::CancelProposal { session } => drop(self.cancel_proposal(now, session)),
            Command::ChangeSessionInterval {
                session,
                interval,
                refresher,
            } => {
                let _ = self.change_session_interval(now, session, interval, refresher);
            }
            Command::Transfer {
                session,
                target,
                replaced,
            } => drop(self.transfer(now, session, target, replaced)),
            Command::AcceptTransfer { session, streams } => {
                drop(self.accept_transfer(now, session, streams));
            }
            Command::RejectTransfer {
                session,
                code,
                reason,
            } => drop(self.reject_transfer(now, session, code, reason.as_deref())),
            Command::Inform { session, info } => drop(self.inform(now, session, info)),
            Command::FollowRedirect { session, target } => {
                let _ = self.follow_redirect(now, session, target.as_ref());
            }
            Command::Options { account, to } => drop(self.options(now, account, to)),
            Command::Lookup { what } => drop(self.lookup(now, what)),
            Command::DetectNatType { server, user_data } => {
                let _ = self.detect_nat_type(now, server, user_data);
            }
            Command::AddAccount(account) => drop(self.add_account(now, *account)),
            Command::RemoveAccount { account } => drop(self.remove_account(now, account)),
            Command::SetDefaultAccount { account } => {
                drop(self.set_default_account(now, account));
            }
            Command::Register { account } => drop(self.register(now, account)),
            Command::Unregister { account } => drop(self.unregister(now, account)),
            Command::Publish(publish) => drop(self.publish(now, publish)),
            Command::Unpublish { account, event } => drop(self.unpublish(now, account, &event)),
            Command::SendMessage(message) => drop(self.send_message(now, message)),
            Command::AnswerMessage { message, code } => {
                drop(self.answer_message(now, message, code));
            }
            Command::Live(option) => self.repeat_live(now, option),
            Command::Subscription(command) => self.repeat_subscription(now, command),
            Command::WriteMedia { stream, frame } => drop(self.write_media(now, stream, frame)),
            Command::Stream { stream, command } => {
                return self.repeat_stream_command(now, stream, command);
            }
            Command::SetTrace { trace } => self.set_trace(now, trace),
            Command::Shutdown => self.shutdown(now),
        }
        Ok(())
    }

    fn repeat_stream_command(
        &mut self,
        now: Instant,
        stream: StreamId,
        command: Value,
    ) -> Result<(), BadCommand> {
        let record = |command: &Value| Command::Stream {
            stream,
            command: command.clone(),
        };
        self.perform(now, record, command, |agent, command| {
            let now = agent.now;
            let Some(kind) = agent.streams.get(stream).map(MediaStream::kind) else {
                // It was given to a dead stream the first time, too.
                return Ok(());
            };
            let registry = &agent.registry;
            let Some(stream) = agent.streams.touch(stream) else {
                return Ok(());
            };
            let factory = registry.factory(kind).ok_or(BadCommand)?;
            let result = factory.replay(stream, now, command);
            agent.collect_touched();
            result
        })
    }

    /// The way of every command: advance, record, apply, settle.
    ///
    /// The record stands before what the advance of time causes, so that a step of a recording is one
    /// cause with all its effects.
    pub(super) fn perform<A, R>(
        &mut self,
        now: Instant,
        record: impl FnOnce(&A) -> Command,
        argument: A,
        apply: impl FnOnce(&mut Self, A) -> R,
    ) -> R {
        self.clamp(now);
        if let Some(recorder) = &mut self.recorder {
            recorder.command(self.now, &record(&argument));
        }
        self.advance();
        let reply = apply(self, argument);
        self.settle();
        reply
    }

    fn with_stream<R>(
        &mut self,
        id: StreamId,
        apply: impl FnOnce(&mut (dyn MediaStream + 'static)) -> Option<R>,
    ) -> Result<R, UnknownStream> {
        let stream = self.streams.touch(id).ok_or(UnknownStream(id))?;
        let reply = apply(stream).ok_or(UnknownStream(id));
        self.collect_touched();
        reply
    }
}
