//! Replays the corpus on stable: no input that was ever interesting may fail again.

use std::{ffi::OsString, fs, path::Path};

#[test]
fn every_file_of_the_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, body) in fuzz::BODIES {
        let folder = corpus.join(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut count = 0;
        for entry in entries {
            let path = entry.expect("a directory entry").path();
            let data = fs::read(&path).expect("a readable file");
            println!("{}", path.display());
            body(&data);
            count += 1;
        }
        assert!(count > 0, "{name} has no seeds");
    }
}

#[test]
fn every_target_has_a_body() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = |folder: &str| {
        let entries = fs::read_dir(root.join(folder)).expect("a folder");
        let stem = |entry: fs::DirEntry| entry.path().file_stem().map(|stem| stem.to_owned());
        let mut names: Vec<OsString> = entries.flatten().filter_map(stem).collect();
        names.sort();
        names
    };
    let mut bodies: Vec<OsString> = fuzz::BODIES
        .iter()
        .map(|(name, _)| (*name).into())
        .collect();
    bodies.sort();
    assert_eq!(list("fuzz_targets"), bodies);
    assert_eq!(list("corpus"), bodies);
}
