//! The table of all streams of an agent.

use super::MediaStream;
use crate::id::{SessionId, StreamId};
use base::Table;
use std::fmt;

/// All streams by id. Whoever borrows one to change it marks it, so that the worklist drains it.
#[derive(Default)]
pub(crate) struct Streams {
    table: Table<StreamId, Entry>,
    touched: Vec<StreamId>,
}

struct Entry {
    session: SessionId,
    stream: Box<dyn MediaStream>,
    touched: bool,
}

impl Streams {
    /// The id that the next stream will have.
    pub(crate) fn next_id(&self) -> StreamId {
        self.table.next_key()
    }

    /// Adds a stream, which says its first words when the worklist comes to it.
    pub(crate) fn insert(&mut self, session: SessionId, stream: Box<dyn MediaStream>) -> StreamId {
        let id = self.table.insert(Entry {
            session,
            stream,
            touched: true,
        });
        self.touched.push(id);
        id
    }

    /// Looks at a stream.
    pub(crate) fn get(&self, id: StreamId) -> Option<&dyn MediaStream> {
        self.table.get(id).map(|entry| entry.stream.as_ref())
    }

    /// The session that a stream belongs to.
    pub(crate) fn session(&self, id: StreamId) -> Option<SessionId> {
        self.table.get(id).map(|entry| entry.session)
    }

    /// Borrows a stream to change it, and marks it.
    pub(crate) fn touch(&mut self, id: StreamId) -> Option<&mut (dyn MediaStream + 'static)> {
        let entry = self.table.get_mut(id)?;
        if !entry.touched {
            entry.touched = true;
            self.touched.push(id);
        }
        Some(entry.stream.as_mut())
    }

    /// Borrows a stream that is being drained: the drain itself needs no mark.
    pub(crate) fn drain(&mut self, id: StreamId) -> Option<&mut (dyn MediaStream + 'static)> {
        Some(self.table.get_mut(id)?.stream.as_mut())
    }

    /// Takes the mark off a stream whose turn has come.
    pub(crate) fn unmark(&mut self, id: StreamId) {
        if let Some(entry) = self.table.get_mut(id) {
            entry.touched = false;
        }
    }

    /// Takes the ids that were marked since the last call, in the order of marking.
    pub(crate) fn take_touched(&mut self) -> std::vec::Drain<'_, StreamId> {
        self.touched.drain(..)
    }

    /// Drops a stream.
    pub(crate) fn remove(&mut self, id: StreamId) {
        self.table.remove(id);
    }

    /// All ids by place.
    pub(crate) fn ids(&self) -> Vec<StreamId> {
        self.table.keys()
    }

    /// How many streams live.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(
                self.table
                    .iter()
                    .map(|(id, entry)| (id, entry.stream.kind())),
            )
            .finish()
    }
}
