//! Where settings and files are kept.

use bytes::Bytes;
use sipsimple::agent::{FileDo, FileDone, FileId, Input, Store, StoreError, StoreId};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

/// Where an agent keeps its settings, and where files come from and go to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Storage {
    /// Settings live as long as the agent; files are refused.
    Memory,
    /// Files are kept in a directory, settings in its subdirectory `settings`: a file that a peer
    /// sends can never pass for a setting. Hidden names, and names with a path, are refused.
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
    new: Option<New>,
}

/// A file that is not complete: unless it is committed, nothing of it stays.
#[derive(Debug)]
struct New {
    /// Where the data is.
    part: PathBuf,
    /// Its name in the end, taken by an empty file so that nobody else gets it.
    name: PathBuf,
    is_complete: bool,
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
                done: self.file(file, what).unwrap_or_else(|error| {
                    // A failure is the last answer of a file.
                    self.files.remove(&file);
                    FileDone::Failed(error)
                }),
            },
        }
    }

    fn store(&mut self, what: Store) -> Result<Option<Bytes>, StoreError> {
        let Storage::Directory(directory) = &self.storage else {
            return Ok(self.remember(what));
        };
        let directory = directory.join(SETTINGS);
        match what {
            Store::Load { key } => match fs::read(inside(&directory, &key)?) {
                Ok(value) => Ok(Some(Bytes::from(value))),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(store_error(&error)),
            },
            Store::Save { key, value } => {
                inside(&directory, &key)?;
                save(&directory, &key, &value).map_err(|error| store_error(&error))?;
                Ok(None)
            }
            Store::Delete { key } => match fs::remove_file(inside(&directory, &key)?) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(store_error(&error)),
                _ => Ok(None),
            },
            Store::List { prefix } => {
                let entries = match fs::read_dir(&directory) {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(list([]))),
                    Err(error) => return Err(store_error(&error)),
                };
                let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
                let visible = names.filter(|name| !name.starts_with('.'));
                Ok(Some(list(visible.filter(|name| name.starts_with(&prefix)))))
            }
        }
    }

    fn remember(&mut self, what: Store) -> Option<Bytes> {
        match what {
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
                let keys = self.memory.keys().filter(|key| key.starts_with(&prefix));
                Some(list(keys.cloned()))
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
                inside(directory, &name)?;
                fs::create_dir_all(directory).map_err(failed)?;
                let new = New {
                    part: directory.join(format!(".{id}.part")),
                    name: take_name(directory, &name).map_err(failed)?,
                    is_complete: false,
                };
                let file = File::create(&new.part).map_err(failed)?;
                let name = new.name.file_name().unwrap_or_default();
                let name = name.to_string_lossy().into_owned();
                let new = Some(new);
                self.files.insert(id, Opened { file, new });
                Ok(FileDone::Opened { name, size: 0 })
            }
            FileDo::Open { name } => {
                let file = File::open(inside(directory, &name)?).map_err(failed)?;
                let data = file.metadata().map_err(failed)?;
                if !data.is_file() {
                    return Err(StoreError::Denied);
                }
                self.files.insert(id, Opened { file, new: None });
                let size = data.len();
                Ok(FileDone::Opened { name, size })
            }
            FileDo::Read { at, len } => {
                let opened = self.files.get_mut(&id).ok_or(StoreError::Other)?;
                opened.file.seek(SeekFrom::Start(at)).map_err(failed)?;
                let mut data = Vec::new();
                let mut piece = (&mut opened.file).take(u64::from(len));
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
                if let Some(mut new) = opened.new {
                    fs::rename(&new.part, &new.name).map_err(failed)?;
                    new.is_complete = true;
                }
                Ok(FileDone::Committed)
            }
            FileDo::Discard => {
                self.files.remove(&id);
                Ok(FileDone::Discarded)
            }
        }
    }
}

impl Drop for New {
    fn drop(&mut self) {
        if !self.is_complete {
            // What cannot be removed is a hidden file, and an empty one.
            let _ = fs::remove_file(&self.part);
            let _ = fs::remove_file(&self.name);
        }
    }
}

/// A name is one visible part of a path: nothing leads out of the directory.
fn inside(directory: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let is_plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    is_plain
        .then(|| directory.join(name))
        .ok_or(StoreError::Denied)
}

/// Keys, one a line, in order.
fn list(keys: impl IntoIterator<Item = String>) -> Bytes {
    let mut keys: Vec<String> = keys.into_iter().collect();
    keys.sort();
    Bytes::from(keys.join("\n"))
}

/// Takes a name that nobody has: a file that exists is never overwritten, the new one is called
/// `name (2)`, and so on.
fn take_name(directory: &Path, wish: &str) -> io::Result<PathBuf> {
    let wish = directory.join(wish);
    let stem = wish.file_stem().unwrap_or_default().to_string_lossy();
    let extension = wish
        .extension()
        .map(|extension| format!(".{}", extension.to_string_lossy()))
        .unwrap_or_default();
    for number in 1..=MOST_COPIES {
        let name = match number {
            1 => wish.clone(),
            _ => wish.with_file_name(format!("{stem} ({number}){extension}")),
        };
        match File::create_new(&name) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            taken => return taken.map(|_| name),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Readable by the owner only, and whole or not at all: settings hold passwords.
fn save(directory: &Path, key: &str, value: &[u8]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let place = directory.join(format!(".{key}.new"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&place)?;
    file.write_all(value)?;
    file.sync_all()?;
    fs::rename(place, directory.join(key))
}

fn store_error(error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::PermissionDenied => StoreError::Denied,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
        ErrorKind::InvalidData => StoreError::Damaged,
        _ => StoreError::Other,
    }
}

/// Where settings are, below the directory of the files.
const SETTINGS: &str = "settings";
/// Files of one name; a peer that sends more of them means harm.
const MOST_COPIES: u32 = 1_000;

#[cfg(test)]
mod tests;
