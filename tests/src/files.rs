//! The disk of a host: the store of settings, and files in pieces.

use bytes::{Bytes, BytesMut};
use sipsimple::agent::{FileDo, FileDone, FileId, Store, StoreError};
use std::collections::BTreeMap;

/// What a file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileContent {
    /// These bytes.
    Bytes(Vec<u8>),
    /// `size` bytes that [`pattern`](Self::pattern) makes up: as large as you like, in no memory.
    Pattern {
        /// How many bytes.
        size: u64,
        /// Which pattern.
        seed: u64,
    },
}

impl FileContent {
    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Pattern { size, .. } => *size,
        }
    }

    /// The byte at `at` of the pattern `seed`: no two neighbouring blocks are alike.
    pub const fn pattern(seed: u64, at: u64) -> u8 {
        // The finaliser of SplitMix64, once for every eight bytes.
        let mut word = (at / 8)
            .wrapping_add(seed)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)).to_le_bytes()[(at % 8) as usize]
    }

    fn read(&self, at: u64, len: u32) -> Bytes {
        let end = self.size().min(at.saturating_add(u64::from(len)));
        let mut piece = BytesMut::new();
        match self {
            Self::Bytes(bytes) => {
                let range = at.min(end) as usize..end as usize;
                piece.extend_from_slice(&bytes[range]);
            }
            Self::Pattern { seed, .. } => {
                piece.extend((at..end).map(|at| Self::pattern(*seed, at)));
            }
        }
        piece.freeze()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) finished: BTreeMap<String, FileContent>,
    pub(crate) settings: BTreeMap<String, Bytes>,
    /// The largest number of bytes that may be written, all files together.
    pub(crate) space: Option<u64>,
    written: u64,
    open: BTreeMap<FileId, OpenFile>,
}

#[derive(Debug)]
enum OpenFile {
    Reading(FileContent),
    Writing { name: String, bytes: Vec<u8> },
}

impl Files {
    pub(crate) fn perform(&mut self, file: FileId, what: FileDo) -> FileDone {
        self.attempt(file, what).unwrap_or_else(FileDone::Failed)
    }

    fn attempt(&mut self, file: FileId, what: FileDo) -> Result<FileDone, StoreError> {
        match what {
            FileDo::Create { name, size } => {
                if self
                    .space
                    .zip(size)
                    .is_some_and(|(space, size)| self.written + size > space)
                {
                    return Err(StoreError::Full);
                }
                let bytes = Vec::new();
                let name = self.free_name(name);
                let opened = FileDone::Opened {
                    name: name.clone(),
                    size: 0,
                };
                self.open.insert(file, OpenFile::Writing { name, bytes });
                Ok(opened)
            }
            FileDo::Open { name } => {
                let content = self.finished.get(&name).ok_or(StoreError::Denied)?.clone();
                let size = content.size();
                self.open.insert(file, OpenFile::Reading(content));
                Ok(FileDone::Opened { name, size })
            }
            FileDo::Read { at, len } => match self.open.get(&file) {
                Some(OpenFile::Reading(content)) => {
                    let data = content.read(at, len);
                    Ok(FileDone::Read { at, data })
                }
                Some(OpenFile::Writing { .. }) | None => Err(StoreError::Denied),
            },
            FileDo::Write { at, data } => self.write(file, at, &data),
            FileDo::Commit => match self.open.remove(&file) {
                Some(OpenFile::Writing { name, bytes }) => {
                    self.finished.insert(name, FileContent::Bytes(bytes));
                    Ok(FileDone::Committed)
                }
                Some(OpenFile::Reading(_)) | None => Err(StoreError::Denied),
            },
            FileDo::Discard => match self.open.remove(&file) {
                Some(_) => Ok(FileDone::Discarded),
                None => Err(StoreError::Denied),
            },
        }
    }

    fn write(&mut self, file: FileId, at: u64, data: &[u8]) -> Result<FileDone, StoreError> {
        let Some(OpenFile::Writing { bytes, .. }) = self.open.get_mut(&file) else {
            return Err(StoreError::Denied);
        };
        let len = data.len() as u64;
        if self.space.is_some_and(|space| self.written + len > space) {
            return Err(StoreError::Full);
        }
        self.written += len;
        let start = usize::try_from(at).map_err(|_| StoreError::Full)?;
        if bytes.len() < start + data.len() {
            bytes.resize(start + data.len(), 0);
        }
        bytes[start..start + data.len()].copy_from_slice(data);
        Ok(FileDone::Written {
            at,
            len: len as u32,
        })
    }

    /// `name`, or with a number if it is taken: a received file never replaces another.
    fn free_name(&self, name: String) -> String {
        let taken = |name: &str| self.finished.contains_key(name);
        if !taken(&name) {
            return name;
        }
        (1u32..)
            .map(|n| format!("{name}-{n}"))
            .find(|name| !taken(name))
            .unwrap_or(name)
    }

    pub(crate) fn store(&mut self, what: Store) -> Result<Option<Bytes>, StoreError> {
        match what {
            Store::Load { key } => Ok(self.settings.get(&key).cloned()),
            Store::Save { key, value } => {
                self.settings.insert(key, value);
                Ok(None)
            }
            Store::Delete { key } => {
                self.settings.remove(&key);
                Ok(None)
            }
            Store::List { prefix } => {
                let keys = self.settings.range(prefix.clone()..);
                let keys: Vec<&str> = keys
                    .map(|(key, _)| key.as_str())
                    .take_while(|key| key.starts_with(&prefix))
                    .collect();
                Ok(Some(keys.join("\n").into()))
            }
        }
    }

    /// What a restart forgets: the open files, never the finished ones.
    pub(crate) fn forget_open(&mut self) {
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Key;

    #[test]
    fn a_file_is_written_in_pieces_and_read_back() {
        let mut files = Files::default();
        let file = FileId::from_parts(0, 0);
        let create = FileDo::Create {
            name: "a".into(),
            size: None,
        };
        assert_eq!(
            files.perform(file, create),
            FileDone::Opened {
                name: "a".into(),
                size: 0
            }
        );
        for (at, data) in [(3, "def"), (0, "abc")] {
            let done = files.perform(
                file,
                FileDo::Write {
                    at,
                    data: data.into(),
                },
            );
            assert_eq!(done, FileDone::Written { at, len: 3 });
        }
        assert_eq!(files.perform(file, FileDo::Commit), FileDone::Committed);
        let open = FileDo::Open { name: "a".into() };
        assert_eq!(
            files.perform(file, open),
            FileDone::Opened {
                name: "a".into(),
                size: 6
            }
        );
        let read = files.perform(file, FileDo::Read { at: 4, len: 9 });
        assert_eq!(
            read,
            FileDone::Read {
                at: 4,
                data: "ef".into()
            }
        );
    }

    #[test]
    fn a_full_disk_says_so() {
        let mut files = Files {
            space: Some(4),
            ..Files::default()
        };
        let file = FileId::from_parts(0, 0);
        files.perform(
            file,
            FileDo::Create {
                name: "a".into(),
                size: None,
            },
        );
        let write = FileDo::Write {
            at: 0,
            data: "abcde".into(),
        };
        assert_eq!(
            files.perform(file, write),
            FileDone::Failed(StoreError::Full)
        );
    }

    #[test]
    fn patterns_do_not_repeat_soon() {
        let block = |at: u64| {
            FileContent::Pattern {
                size: 1 << 40,
                seed: 1,
            }
            .read(at, 4_096)
        };
        assert_eq!(block(8_192).len(), 4_096);
        assert_ne!(block(0), block(4_096));
        assert_eq!(block((1 << 40) - 1).len(), 1);
    }
}
