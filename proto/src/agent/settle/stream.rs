//! From the streams to their sessions, to the sockets and to the application.

use crate::{
    agent::{Child, Output, StreamId, UserAgent},
    event::Event,
    session::{SessionInput, StreamNews},
    stream::{IceRole, StreamError, StreamInput, StreamOutput},
};

impl UserAgent {
    pub(super) fn route_stream(&mut self, id: StreamId, output: StreamOutput) {
        match output {
            StreamOutput::Prepared => self.tell_session(id, StreamNews::Prepared),
            StreamOutput::Started => self.tell_session(id, StreamNews::Started),
            StreamOutput::Failed(error) => self.fail_stream(id, error),
            StreamOutput::Ended => self.tell_session(id, StreamNews::Ended),
            StreamOutput::Renegotiate { prepare } => {
                self.tell_session(id, StreamNews::Renegotiate { prepare });
            }
            StreamOutput::Open { slot, how } => {
                self.links.open_slot(self.now, id, slot, how);
                self.touch(Child::Links);
            }
            StreamOutput::Receive { slot, more } => {
                self.links.receive(id, slot, more);
                self.touch(Child::Links);
            }
            StreamOutput::Close { slot } => {
                self.links.close_slot(id, slot);
                self.touch(Child::Links);
            }
            StreamOutput::Transmit { slot, to, payload } => {
                self.links.transmit(id, slot, to, payload);
                self.touch(Child::Links);
            }
            StreamOutput::Write { slot, payload } => {
                self.links.write_slot(id, slot, payload);
                self.touch(Child::Links);
            }
            StreamOutput::Resolve { lookup, what } => {
                self.resolver.ask(self.now, id, lookup, &what);
                self.touch(Child::Resolver);
            }
            StreamOutput::Inform(info) => {
                let informed = self
                    .streams
                    .session(id)
                    .map(|session| self.apply_inform(session, info));
                if let Some(Err(error)) = informed {
                    tracing::debug!(stream = %id, %error, "INFO is not sent");
                }
            }
            StreamOutput::IceRole(role) => self.share_role(id, role),
            StreamOutput::File { file, what } => {
                if let Some(output) = self.files.perform(id, file, what) {
                    self.emit(output);
                }
            }
            StreamOutput::Media(frame) => self.emit(Output::Media { stream: id, frame }),
            StreamOutput::Event(event) => self.notify(Event::Stream(id, event)),
        }
    }

    /// RFC 8445, 6.1.1: all streams of a session have one role.
    fn share_role(&mut self, id: StreamId, role: IceRole) {
        let entry = self
            .streams
            .session(id)
            .and_then(|session| self.sessions.get(session));
        let others = entry.map_or_else(Vec::new, |entry| entry.session.streams());
        for other in others {
            if other != id
                && let Some(stream) = self.streams.touch(other)
            {
                stream.handle_input(self.now, StreamInput::IceRole(role));
            }
        }
    }

    pub(super) fn fail_stream(&mut self, id: StreamId, error: StreamError) {
        self.tell_session(id, StreamNews::Failed(error));
    }

    /// A stream is gone: so are its sockets and files.
    pub(in crate::agent) fn remove_stream(&mut self, id: StreamId) {
        self.streams.remove(id);
        self.timers.set(Child::Stream(id), None);
        self.links.close_stream(id);
        self.touch(Child::Links);
        for output in self.files.close_stream(id) {
            self.emit(output);
        }
    }

    fn tell_session(&mut self, id: StreamId, news: StreamNews) {
        if let Some(session) = self.streams.session(id) {
            self.session_input(session, SessionInput::Stream(id, news));
        }
    }
}
