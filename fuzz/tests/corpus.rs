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
/// changed, inserted, taken out and put together, `SOAK_RUNS` (100) times a body, the same ones each time.
#[test]
fn what_is_near_the_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let runs = std::env::var("SOAK_RUNS").map_or(100, |text| text.parse().expect("a number"));
    for (name, body) in fuzz::BODIES {
        let entries = fs::read_dir(corpus.join(name)).expect("a folder").flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        let read = |path| fs::read(path).expect("a file");
        let files: Vec<Vec<u8>> = paths.iter().map(read).collect();
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        for run in 0..runs {
            let data = dice.mix(&files);
            let outcome = std::panic::catch_unwind(|| body(&data));
            assert!(
                outcome.is_ok(),
                "{name}, run {run}: {}",
                data.escape_ascii()
            );
        }
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
