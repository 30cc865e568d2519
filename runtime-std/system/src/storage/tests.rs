//! Storage in memory and in a directory.

use super::*;
use sipsimple::base::Key as _;

/// A directory of this test's own that is removed at its end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("sipsimple-storage-{name}-{}", std::process::id());
        let place = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&place);
        Self(place)
    }

    fn disk(&self) -> Disk {
        Disk::new(Storage::Directory(self.0.clone()))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn file(disk: &mut Disk, id: u32, what: FileDo) -> FileDone {
    match disk.perform(Job::File(FileId::from_parts(0, id), what)) {
        Input::File { done, .. } => done,
        other => panic!("{other:?}"),
    }
}

fn create(disk: &mut Disk, id: u32, name: &str) -> String {
    let name = name.to_owned();
    match file(disk, id, FileDo::Create { name, size: None }) {
        FileDone::Opened { name, size: 0 } => name,
        other => panic!("{other:?}"),
    }
}

fn write(disk: &mut Disk, id: u32, at: u64, data: &'static [u8]) {
    let data = Bytes::from_static(data);
    let len = data.len() as u32;
    let done = file(disk, id, FileDo::Write { at, data });
    assert_eq!(done, FileDone::Written { at, len });
}

#[test]
fn nothing_leads_out_of_the_directory() {
    let directory = Path::new("/here");
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "/etc/passwd",
        "a\\b",
        "a\0",
        ".hidden",
    ] {
        assert_eq!(inside(directory, name), Err(StoreError::Denied), "{name:?}");
    }
    assert_eq!(
        inside(directory, "a.wav").unwrap(),
        Path::new("/here/a.wav")
    );
}

#[test]
fn settings_are_kept_in_memory_and_on_disk_alike() {
    let place = Place::new("settings");
    for mut disk in [Disk::new(Storage::Memory), place.disk()] {
        let mut ask = |what| match disk.perform(Job::Store(StoreId::from_parts(0, 0), what)) {
            Input::Stored { result, .. } => result.unwrap(),
            other => panic!("{other:?}"),
        };
        let load = |key: &str| Store::Load {
            key: key.to_owned(),
        };
        let (key, value) = ("b.account".to_owned(), Bytes::from_static(b"two"));
        assert_eq!(ask(load("b.account")), None);
        assert_eq!(
            ask(Store::Save {
                key: "a".to_owned(),
                value: value.clone()
            }),
            None
        );
        assert_eq!(
            ask(Store::Save {
                key: key.clone(),
                value: value.clone()
            }),
            None
        );
        assert_eq!(ask(load("b.account")), Some(value));
        let prefix = String::new();
        assert_eq!(
            ask(Store::List { prefix }),
            Some(Bytes::from_static(b"a\nb.account"))
        );
        let prefix = "b".to_owned();
        assert_eq!(
            ask(Store::List { prefix }),
            Some(Bytes::from_static(b"b.account"))
        );
        assert_eq!(ask(Store::Delete { key: key.clone() }), None);
        assert_eq!(ask(Store::Delete { key }), None);
        assert_eq!(ask(load("b.account")), None);
    }
}

#[test]
fn two_files_of_one_name_are_two_files() {
    let place = Place::new("names");
    let mut disk = place.disk();
    assert_eq!(create(&mut disk, 1, "a.wav"), "a.wav");
    assert_eq!(create(&mut disk, 2, "a.wav"), "a (2).wav");
    write(&mut disk, 2, 0, b"second");
    write(&mut disk, 1, 3, b"st");
    write(&mut disk, 1, 0, b"fir");
    assert_eq!(file(&mut disk, 2, FileDo::Commit), FileDone::Committed);
    assert_eq!(file(&mut disk, 1, FileDo::Commit), FileDone::Committed);
    assert_eq!(place.names(), ["a (2).wav", "a.wav"]);
    assert_eq!(fs::read(place.0.join("a.wav")).unwrap(), b"first");
    assert_eq!(fs::read(place.0.join("a (2).wav")).unwrap(), b"second");
    let name = "a.wav".to_owned();
    let opened = FileDone::Opened {
        name: name.clone(),
        size: 5,
    };
    assert_eq!(file(&mut disk, 3, FileDo::Open { name }), opened);
    let data = Bytes::from_static(b"rst");
    let read = file(&mut disk, 3, FileDo::Read { at: 2, len: 9 });
    assert_eq!(read, FileDone::Read { at: 2, data });
    // A file that was only read stays.
    assert_eq!(file(&mut disk, 3, FileDo::Discard), FileDone::Discarded);
    assert_eq!(place.names(), ["a (2).wav", "a.wav"]);
}

#[test]
fn of_an_unfinished_file_nothing_stays() {
    let place = Place::new("unfinished");
    let mut disk = place.disk();
    create(&mut disk, 1, "discarded");
    create(&mut disk, 2, "failed");
    create(&mut disk, 3, "left");
    assert_eq!(file(&mut disk, 1, FileDo::Discard), FileDone::Discarded);
    // The part was taken away: there is nothing to rename.
    let part = disk.files[&FileId::from_parts(0, 2)].new.as_ref().unwrap();
    fs::remove_file(&part.part).unwrap();
    assert_eq!(
        file(&mut disk, 2, FileDo::Commit),
        FileDone::Failed(StoreError::Other)
    );
    assert_eq!(place.names().len(), 2, "{:?}", place.names());
    drop(disk);
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn files_need_a_directory() {
    let mut disk = Disk::new(Storage::Memory);
    let done = file(
        &mut disk,
        1,
        FileDo::Open {
            name: "a".to_owned(),
        },
    );
    assert_eq!(done, FileDone::Failed(StoreError::Denied));
    let place = Place::new("denied");
    let name = "settings".to_owned();
    fs::create_dir_all(place.0.join(&name)).unwrap();
    let done = file(&mut place.disk(), 1, FileDo::Open { name });
    assert_eq!(done, FileDone::Failed(StoreError::Denied));
}
