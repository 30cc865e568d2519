//! The files of streams: the agent's ids for the streams' own numbers.

use super::{FileDo, FileDone, FileId, Output, StreamId};
use base::Table;

/// Which stream has which file open.
#[derive(Debug, Default)]
pub(super) struct Files {
    table: Table<FileId, (StreamId, u16)>,
}

impl Files {
    /// What a stream wants to do with its file `number`; the first word about a number opens it.
    pub(super) fn perform(
        &mut self,
        stream: StreamId,
        number: u16,
        what: FileDo,
    ) -> Option<Output> {
        let known = self.find(stream, number);
        let file = match (known, &what) {
            (Some(file), _) => file,
            (None, FileDo::Create { .. } | FileDo::Open { .. }) => {
                if self.of(stream).count() >= MAX_FILES {
                    return None;
                }
                self.table.insert((stream, number))
            }
            (None, _) => return None,
        };
        Some(Output::File { file, what })
    }

    /// Whose answer it is; the last answer of a file takes it out of the table.
    pub(super) fn done(&mut self, file: FileId, done: &FileDone) -> Option<(StreamId, u16)> {
        let owner = *self.table.get(file)?;
        if matches!(
            done,
            FileDone::Committed | FileDone::Discarded | FileDone::Failed(_)
        ) {
            self.table.remove(file);
        }
        Some(owner)
    }

    /// Gives up all files of a stream that is gone.
    pub(super) fn close_stream(&mut self, stream: StreamId) -> Vec<Output> {
        let files: Vec<FileId> = self.of(stream).collect();
        let discard = |file| {
            self.table.remove(file);
            let what = FileDo::Discard;
            Output::File { file, what }
        };
        files.into_iter().map(discard).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    fn find(&self, stream: StreamId, number: u16) -> Option<FileId> {
        let mut files = self.table.iter();
        files.find_map(|(id, owner)| (*owner == (stream, number)).then_some(id))
    }

    fn of(&self, stream: StreamId) -> impl Iterator<Item = FileId> {
        let files = self.table.iter();
        files.filter_map(move |(id, owner)| (owner.0 == stream).then_some(id))
    }
}

/// Files that one stream may have open: the tables are walked.
const MAX_FILES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::StoreError;
    use base::Key;

    #[test]
    fn a_file_lives_from_its_opening_to_its_last_answer() {
        let stream = StreamId::from_parts(0, 1);
        let mut files = Files::default();
        let read = || FileDo::Read { at: 0, len: 1 };
        assert!(files.perform(stream, 7, read()).is_none(), "not open");
        let name = || "a".to_owned();
        let Some(Output::File { file, .. }) =
            files.perform(stream, 7, FileDo::Open { name: name() })
        else {
            panic!("not opened");
        };
        assert!(files.perform(stream, 7, read()).is_some());
        let opened = FileDone::Opened {
            name: name(),
            size: 1,
        };
        assert_eq!(files.done(file, &opened), Some((stream, 7)));
        let failed = FileDone::Failed(StoreError::Full);
        assert_eq!(files.done(file, &failed), Some((stream, 7)));
        assert_eq!(files.done(file, &failed), None);
        for number in 0..10 {
            files.perform(stream, number, FileDo::Open { name: name() });
        }
        assert_eq!(files.len(), MAX_FILES);
        assert_eq!(files.close_stream(stream).len(), MAX_FILES);
        assert_eq!(files.len(), 0);
    }
}
