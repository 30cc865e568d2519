//! The files of streams: the agent's ids for the streams' own numbers.

use super::{FileDo, FileDone, FileId, Output, StreamId};
use base::Table;
use std::collections::BTreeMap;

/// Which stream has which file open.
#[derive(Debug, Default)]
pub(super) struct Files {
    table: Table<FileId, (StreamId, u16)>,
    by_owner: BTreeMap<(StreamId, u16), FileId>,
}

impl Files {
    /// What a stream wants to do with its file `number`; the first word about a number opens it.
    pub(super) fn perform(
        &mut self,
        stream: StreamId,
        number: u16,
        what: FileDo,
    ) -> Option<Output> {
        let owner = (stream, number);
        let file = match (self.by_owner.get(&owner), &what) {
            (Some(file), _) => *file,
            (None, FileDo::Create { .. } | FileDo::Open { .. }) => {
                if self.of(stream).len() >= MAX_FILES {
                    return None;
                }
                let file = self.table.insert(owner);
                self.by_owner.insert(owner, file);
                file
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
            self.by_owner.remove(&owner);
        }
        Some(owner)
    }

    /// Gives up all files of a stream that is gone.
    pub(super) fn close_stream(&mut self, stream: StreamId) -> Vec<Output> {
        let files = self.of(stream);
        let discard = |(owner, file)| {
            self.table.remove(file);
            self.by_owner.remove(&owner);
            let what = FileDo::Discard;
            Output::File { file, what }
        };
        files.into_iter().map(discard).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.by_owner.len()
    }

    fn of(&self, stream: StreamId) -> Vec<((StreamId, u16), FileId)> {
        let files = self.by_owner.range((stream, 0)..=(stream, u16::MAX));
        files.map(|(owner, file)| (*owner, *file)).collect()
    }
}

/// Files that one stream may have open: each is a descriptor of the process.
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
