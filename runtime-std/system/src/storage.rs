//! Where settings and files are kept.

use bytes::Bytes;
use sipsimple::agent::{FileDo, FileDone, FileId, Input, Store, StoreError, StoreId};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// Where an agent keeps its settings, and where files come from and go to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Storage {
    /// Settings live as long as the agent; files are refused.
    Memory,
    /// Settings and files are kept in a directory.
    Directory(PathBuf),
}

/// A job for the thread that waits for disks.
#[derive(Debug)]
pub enum Job {
    /// Keep or fetch a value.
    Store(StoreId, Store),
    /// Do something with a file.
    File(FileId, FileDo),
}

/// Does the jobs, one after the other.
#[derive(Debug)]
pub struct Disk {
    storage: Storage,
    memory: BTreeMap<String, Bytes>,
    files: BTreeMap<FileId, Opened>,
}

#[derive(Debug)]
struct Opened {
    file: File,
    /// Where the data is, and where it goes at `Commit`.
    new: Option<(PathBuf, PathBuf)>,
}

impl Disk {
    /// Nothing is open yet.
    pub const fn new(storage: Storage) -> Self {
        Self {
            storage,
            memory: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    /// Does a job; it may wait for the disk.
    pub fn perform(&mut self, job: Job) -> Input {
        match job {
            Job::Store(request, what) => Input::Stored {
                request,
                result: self.store(what),
            },
            Job::File(file, what) => Input::File {
                file,
                done: self.file(file, what).unwrap_or_else(FileDone::Failed),
            },
        }
    }

    fn store(&mut self, what: Store) -> Result<Option<Bytes>, StoreError> {
        let Storage::Directory(directory) = &self.storage else {
            return Ok(match what {
                Store::Load { key } => self.memory.get(&key).cloned(),
                Store::Save { key, value } => {
                    self.memory.insert(key, value);
                    None
                }
                Store::Delete { key } => {
                    self.memory.remove(&key);
                    None
                }
                Store::List { prefix } => {
                    let keys: Vec<&str> = self
                        .memory
                        .keys()
                        .filter(|key| key.starts_with(&prefix))
                        .map(String::as_str)
                        .collect();
                    Some(Bytes::from(keys.join("\n")))
                }
            });
        };
        match what {
            Store::Load { key } => match fs::read(inside(directory, &key)?) {
                Ok(value) => Ok(Some(Bytes::from(value))),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(store_error(&error)),
            },
            Store::Save { key, value } => {
                let path = inside(directory, &key)?;
                write_whole(&path, &value).map_err(|error| store_error(&error))?;
                Ok(None)
            }
            Store::Delete { key } => match fs::remove_file(inside(directory, &key)?) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(store_error(&error)),
                _ => Ok(None),
            },
            Store::List { prefix } => {
                let mut keys: Vec<String> = match fs::read_dir(directory) {
                    Ok(entries) => entries
                        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                        .filter(|name| name.starts_with(&prefix))
                        .collect(),
                    Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
                    Err(error) => return Err(store_error(&error)),
                };
                keys.sort();
                Ok(Some(Bytes::from(keys.join("\n"))))
            }
        }
    }

    fn file(&mut self, id: FileId, what: FileDo) -> Result<FileDone, StoreError> {
        let Storage::Directory(directory) = &self.storage else {
            return Err(StoreError::Denied);
        };
        let failed = |error: io::Error| store_error(&error);
        match what {
            FileDo::Create { name, .. } => {
                let (place, wish) = (
                    inside(directory, &format!(".{id}.part"))?,
                    inside(directory, &name)?,
                );
                fs::create_dir_all(directory).map_err(failed)?;
                let file = File::create(&place).map_err(failed)?;
                let new = Some((place, free_name(&wish)));
                self.files.insert(id, Opened { file, new });
                Ok(FileDone::Opened { name, size: 0 })
            }
            FileDo::Open { name } => {
                let file = File::open(inside(directory, &name)?).map_err(failed)?;
                let size = file.metadata().map_err(failed)?.len();
                self.files.insert(id, Opened { file, new: None });
                Ok(FileDone::Opened { name, size })
            }
            FileDo::Read { at, len } => {
                let opened = self.files.get_mut(&id).ok_or(StoreError::Other)?;
                opened.file.seek(SeekFrom::Start(at)).map_err(failed)?;
                let mut data = Vec::new();
                let mut piece = Read::by_ref(&mut opened.file).take(u64::from(len));
                piece.read_to_end(&mut data).map_err(failed)?;
                Ok(FileDone::Read {
                    at,
                    data: Bytes::from(data),
                })
            }
            FileDo::Write { at, data } => {
                let opened = self.files.get_mut(&id).ok_or(StoreError::Other)?;
                opened.file.seek(SeekFrom::Start(at)).map_err(failed)?;
                opened.file.write_all(&data).map_err(failed)?;
                let len = u32::try_from(data.len()).map_err(|_| StoreError::Other)?;
                Ok(FileDone::Written { at, len })
            }
            FileDo::Commit => {
                let opened = self.files.remove(&id).ok_or(StoreError::Other)?;
                opened.file.sync_all().map_err(failed)?;
                if let Some((place, wish)) = opened.new {
                    fs::rename(place, wish).map_err(failed)?;
                }
                Ok(FileDone::Committed)
            }
            FileDo::Discard => {
                if let Some((place, _)) = self.files.remove(&id).and_then(|opened| opened.new) {
                    fs::remove_file(place).map_err(failed)?;
                }
                Ok(FileDone::Discarded)
            }
        }
    }
}

/// A name is one part of a path: nothing leads out of the directory.
fn inside(directory: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let is_plain =
        !name.is_empty() && !name.contains(['/', '\\', '\0']) && name != "." && name != "..";
    is_plain
        .then(|| directory.join(name))
        .ok_or(StoreError::Denied)
}

/// A file that exists is never overwritten: the new one is called `name (2)`, and so on.
fn free_name(wish: &Path) -> PathBuf {
    let stem = wish
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let extension = wish
        .extension()
        .map(|extension| format!(".{}", extension.to_string_lossy()));
    let numbered = |n: u32| {
        wish.with_file_name(format!(
            "{stem} ({n}){}",
            extension.as_deref().unwrap_or("")
        ))
    };
    let mut name = wish.to_owned();
    for n in 2..u32::MAX {
        if !name.exists() {
            break;
        }
        name = numbered(n);
    }
    name
}

/// Readable by the owner only, and whole or not at all: settings hold passwords.
fn write_whole(path: &Path, value: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let place = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&place)?;
    file.write_all(value)?;
    file.sync_all()?;
    fs::rename(place, path)
}

fn store_error(error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::PermissionDenied => StoreError::Denied,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
        ErrorKind::InvalidData => StoreError::Damaged,
        _ => StoreError::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_the_directory() {
        let directory = Path::new("/here");
        for name in ["", ".", "..", "a/b", "/etc/passwd", "a\\b", "a\0"] {
            assert_eq!(inside(directory, name), Err(StoreError::Denied), "{name:?}");
        }
        assert_eq!(
            inside(directory, "a.wav").unwrap(),
            Path::new("/here/a.wav")
        );
    }
}
