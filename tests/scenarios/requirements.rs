//! Which requirements of audio streams (sections 6 and 32 to 34) and of the SIP core (sections 13 to 15 and
//! 24 to 31) no test names: a list that may only shrink.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

/// The sections of the requirements that count.
const SECTIONS: [u32; 15] = [6, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34];

/// Where tests drive public API: whole agents, endpoints, resolvers, and types that anybody can use.
const FOLDERS: [&str; 11] = [
    "tests/scenarios",
    "tests/peers",
    "runtime-smol",
    "runtime-std",
    "proto/src/agent",
    "proto/src/stream",
    "proto/rtp/src",
    "proto/sdp/src",
    "proto/sip/src",
    "proto/dns/src",
    "audio/src",
];

#[test]
fn every_requirement_is_named_by_a_test_or_listed() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = root.join("../shared/requirements.md");
    let Ok(document) = fs::read_to_string(&document) else {
        println!("skipped: no {}", document.display());
        return;
    };
    let wanted = wanted(&document);
    assert!(wanted.len() > 200, "{}", wanted.len());
    let mut named = BTreeMap::new();
    for folder in FOLDERS {
        for file in sources(&root.join(folder)) {
            names(&fs::read_to_string(&file).unwrap(), &mut named);
        }
    }
    let missing: BTreeSet<&str> = wanted
        .iter()
        .map(String::as_str)
        .filter(|id| !named.contains_key(*id))
        .collect();
    let list = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios/unnamed.txt");
    if env::var_os("SIPSIMPLE_WRITE_UNNAMED").is_some() {
        let lines: Vec<&str> = missing.iter().copied().collect();
        fs::write(&list, lines.join("\n") + "\n").unwrap();
    }
    let known = fs::read_to_string(&list).unwrap();
    let known: BTreeSet<&str> = known.lines().collect();
    println!(
        "{} of {} are named; not named:",
        wanted.len() - missing.len(),
        wanted.len()
    );
    for id in &missing {
        println!("  {id}");
    }
    for id in known.difference(&missing) {
        println!("  {id}: now it is, strike it from unnamed.txt");
    }
    let lost: Vec<&&str> = missing.difference(&known).collect();
    assert!(lost.is_empty(), "no test names {lost:?} any more");
}

/// The IDs that stand in the sections: `- DNM-01 [N] …`, several on a line.
fn wanted(document: &str) -> BTreeSet<String> {
    let mut wanted = BTreeSet::new();
    let mut counts = false;
    for line in document.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            let number = title.split('.').next().and_then(|text| text.parse().ok());
            counts = number.is_some_and(|number| SECTIONS.contains(&number));
        } else if counts {
            wanted.extend(ids(line));
        }
    }
    // What they mention of other parts of the document is defined there.
    let prefixes = [
        "AUS", "SDP", "RTP", "AUT", "DNM", "DNL", "RTE", "ENG", "MSG", "URI", "CRD", "RGN", "PUB",
        "SUB", "INV",
    ];
    wanted.retain(|id| {
        prefixes
            .iter()
            .any(|prefix| id.starts_with(&format!("{prefix}-")))
    });
    wanted
}

/// The IDs in the name, the attributes and the doc comment of each test.
fn names(source: &str, named: &mut BTreeMap<String, u32>) {
    let mut above = String::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("///") || line.starts_with("#[") {
            is_test |= line.starts_with("#[test]");
            above.push_str(line);
            above.push('\n');
            continue;
        }
        if is_test && let Some(name) = function(line) {
            for id in ids(&above).into_iter().chain(ids_of_name(name)) {
                *named.entry(id).or_default() += 1;
            }
        }
        // A line of an attribute that goes on does not end what belongs to a test.
        if !(is_test
            && function(line).is_none()
            && above
                .lines()
                .last()
                .is_some_and(|last| last.starts_with("#[") && !last.ends_with(']')))
        {
            above.clear();
            is_test = false;
        }
    }
}

fn function(line: &str) -> Option<&str> {
    let name = line.strip_prefix("fn ")?;
    name.split('(').next()
}

/// `DNL-04`, and of `INV-01 … INV-05` both ends.
fn ids(text: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('-') {
        let letters = bytes[..at]
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_uppercase())
            .count();
        let digits = bytes[at + 1..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if (2..=4).contains(&letters) && digits == 2 {
            ids.insert(text[at - letters..at + 1 + digits].to_owned());
        }
    }
    ids
}

/// `dnm_02_the_servers` names DNM-02; so does `…_and_dnm_02_…`.
fn ids_of_name(name: &str) -> Vec<String> {
    let words: Vec<&str> = name.split('_').collect();
    let pairs = words.windows(2);
    pairs
        .filter(|pair| {
            let is_number = pair[1].len() == 2 && pair[1].bytes().all(|byte| byte.is_ascii_digit());
            is_number && (2..=4).contains(&pair[0].len())
        })
        .map(|pair| format!("{}-{}", pair[0].to_ascii_uppercase(), pair[1]))
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return files;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
