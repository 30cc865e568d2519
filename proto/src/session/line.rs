//! The m-lines of a session and the streams behind them.

use super::{Session, SessionOutput};
use crate::{
    event::StreamEvent,
    id::StreamId,
    stream::{StreamError, Streams},
};
use std::time::Instant;

/// One m-line: a stream, or a dead line that keeps its place (RFC 3264, 8.2).
#[derive(Debug)]
pub(super) struct Line {
    /// The stream behind it; `None` once it is refused or removed.
    pub(super) stream: Option<StreamId>,
    /// It is ready to be described.
    pub(super) is_prepared: bool,
    /// `start` was called; later agreements are updates.
    pub(super) is_started: bool,
    /// It said `Started`.
    pub(super) is_running: bool,
}

impl Line {
    pub(super) const fn new(stream: Option<StreamId>) -> Self {
        Self {
            stream,
            is_prepared: false,
            is_started: false,
            is_running: false,
        }
    }
}

impl Session {
    /// The streams of the session in the order of their m-lines (SES-49).
    pub(crate) fn streams(&self) -> Vec<StreamId> {
        self.lines.iter().filter_map(|line| line.stream).collect()
    }

    /// All streams, those that are still closing included.
    pub(crate) fn all_streams(&self) -> Vec<StreamId> {
        let mut streams = self.streams();
        streams.extend(&self.closing);
        streams
    }

    pub(super) fn line_of(&mut self, id: StreamId) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.stream == Some(id))
    }

    pub(super) fn has_streams(&self) -> bool {
        self.lines.iter().any(|line| line.stream.is_some())
    }

    /// Ends the stream of a line and leaves the line dead.
    pub(super) fn drop_line(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        index: usize,
    ) -> Option<StreamId> {
        let id = self.lines[index].stream.take()?;
        self.close_stream(now, streams, id);
        Some(id)
    }

    /// Ends a stream that no line names any more; it is removed when it says `Ended`.
    pub(super) fn close_stream(&mut self, now: Instant, streams: &mut Streams, id: StreamId) {
        let Some(stream) = streams.touch(id) else {
            return;
        };
        stream.deactivate();
        stream.end(now);
        self.push_stream(id, StreamEvent::WillEnd);
        self.closing.push(id);
        self.timers.close.get_or_insert(now + self.limits.close);
    }

    pub(super) fn stream_ended(&mut self, id: StreamId) {
        let Some(place) = self.closing.iter().position(|other| *other == id) else {
            return;
        };
        self.closing.remove(place);
        if self.closing.is_empty() {
            self.timers.close = None;
        }
        self.push_stream(id, StreamEvent::DidEnd);
        self.out.push_back(SessionOutput::Remove(id));
        self.try_finish();
    }

    /// A stream that does not say `Ended` in time is removed all the same: its sockets go with it.
    pub(super) fn close_timed_out(&mut self) {
        for id in std::mem::take(&mut self.closing) {
            self.push_stream(id, StreamEvent::DidEnd);
            self.out.push_back(SessionOutput::Remove(id));
        }
        self.try_finish();
    }

    /// A stream cannot go on (STR-17, SES-10).
    pub(super) fn stream_failed(
        &mut self,
        now: Instant,
        streams: &mut Streams,
        id: StreamId,
        error: StreamError,
    ) {
        let Some(index) = self.lines.iter().position(|line| line.stream == Some(id)) else {
            // Failing while it closes changes nothing.
            return;
        };
        let was_started = self.lines[index].is_started;
        self.push_stream(
            id,
            StreamEvent::DidFail {
                error: error.clone(),
            },
        );
        self.drop_line(now, streams, index);
        if !self.state.is_live() {
            return;
        }
        if !self.has_streams() || (was_started && self.state.is_before_start()) {
            self.fail_media(now, streams, &error);
        } else if was_started {
            // STR-17: one of several is removed, and the peer is told by an offer.
            self.proposal.need(false);
            self.try_propose(now, streams);
        } else {
            self.advance_preparation(now, streams);
        }
    }
}
