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

/// What libFuzzer does without its eyes, where there is no nightly toolchain: files of the corpus with bytes
/// changed, inserted, taken out and put together, for `SOAK_SECONDS` (10) a body.
#[test]
#[ignore = "takes as long as it is told to"]
fn soak() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let seconds = std::env::var("SOAK_SECONDS").map_or(10, |text| text.parse().expect("a number"));
    let only = std::env::var("SOAK_BODY").unwrap_or_default();
    for (name, body) in fuzz::BODIES.iter().filter(|(name, _)| name.contains(&only)) {
        let entries = fs::read_dir(corpus.join(name)).expect("a folder").flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        let files: Vec<Vec<u8>> = paths
            .iter()
            .map(|path| fs::read(path).expect("a file"))
            .collect();
        let last = std::env::temp_dir().join(format!("soak-{name}"));
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let until = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
        let mut runs = 0;
        while std::time::Instant::now() < until {
            let data = dice.mix(&files);
            // Whatever kills it can be found there.
            fs::write(&last, &data).expect("a file to write");
            body(&data);
            runs += 1;
        }
        fs::remove_file(last).expect("the file that was written");
        println!("{name}: {runs} runs");
    }
}

/// Marsaglia's xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn mix(&mut self, files: &[Vec<u8>]) -> Vec<u8> {
        let mut data = files[self.below(files.len())].clone();
        for _ in 0..self.below(12) {
            let at = self.below(data.len() + 1);
            let len = self.below(16).min(data.len() - at);
            match self.below(4) {
                0 => data.truncate(at),
                1 => data[at..at + len].fill_with(|| self.below(256) as u8),
                2 => drop(data.drain(at..at + len)),
                _ => {
                    let other = &files[self.below(files.len())];
                    let from = self.below(other.len() + 1);
                    let len = self.below(64).min(other.len() - from);
                    data.splice(at..at, other[from..from + len].iter().copied());
                }
            }
        }
        data
    }
}
