//! House rules that no compiler knows: the graphs of crates and modules, sizes of files, what `proto`
//! may not name.

mod modules;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Who may depend on whom inside the workspace (normal dependencies).
const EDGES: &[(&str, &[&str])] = &[
    ("sipsimple-base", &[]),
    ("sipsimple-sip", &["sipsimple-base"]),
    ("sipsimple-sdp", &[]),
    ("sipsimple-rtp", &["sipsimple-base"]),
    ("sipsimple-dtls", &["sipsimple-base", "sipsimple-rtp"]),
    ("sipsimple-dns", &["sipsimple-base"]),
    ("sipsimple-ice", &["sipsimple-base"]),
    (
        "sipsimple",
        &[
            "sipsimple-base",
            "sipsimple-sip",
            "sipsimple-sdp",
            "sipsimple-rtp",
            "sipsimple-dtls",
            "sipsimple-dns",
            "sipsimple-ice",
        ],
    ),
    ("sipsimple-audio", &["sipsimple-rtp"]),
    ("sipsimple-system", &["sipsimple"]),
    ("sipsimple-runtime-smol", &["sipsimple", "sipsimple-system"]),
    ("sipsimple-runtime-std", &["sipsimple", "sipsimple-system"]),
    (
        "sipsimple-cli",
        &[
            "sipsimple",
            "sipsimple-audio",
            "sipsimple-runtime-smol",
            "sipsimple-runtime-std",
            // The registrar and proxy of the demo.
            "sipsimple-simulator",
        ],
    ),
    (
        "sipsimple-simulator",
        &[
            "sipsimple",
            "sipsimple-base",
            "sipsimple-sip",
            "sipsimple-sdp",
        ],
    ),
    (
        "sipsimple-fuzz",
        &[
            "sipsimple",
            "sipsimple-sip",
            "sipsimple-sdp",
            "sipsimple-rtp",
            "sipsimple-ice",
            "sipsimple-simulator",
        ],
    ),
];

/// What a machine cannot need.
const FORBIDDEN_BELOW_PROTO: &[&str] = &[
    "tokio",
    "smol",
    "async-io",
    "async-net",
    "mio",
    "socket2",
    "polling",
    "getrandom",
    "rand",
    "chrono",
    "time",
];

/// What does not stand in code under `proto/`, tests apart.
const FORBIDDEN_WORDS: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    ".elapsed()",
    "std::thread",
    "std::fs",
    "std::env",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "thread_rng",
    "rand::rng",
    "SysRng",
    "OsRng",
    "HashMap",
    "HashSet",
    "todo!(",
    "unimplemented!(",
    "println!",
    "eprintln!",
];

/// Lines of code in one file, tests apart, and lines in all.
const MAX_CODE: usize = 600;
const MAX_LINES: usize = 1_000;

#[test]
fn the_top_level_is_what_it_is() {
    let listed = Command::new("git")
        .args(["ls-files"])
        .current_dir(root())
        .output();
    let names: BTreeSet<String> = match listed {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| line.split('/').next())
            .filter(|name| !name.starts_with('.') && !name.starts_with("LICENSE-"))
            .map(str::to_owned)
            .collect(),
        _ => return println!("skipped: not a git checkout"),
    };
    let expected = [
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "audio",
        "fuzz",
        "proto",
        "runtime-smol",
        "runtime-std",
        "tests",
    ];
    assert_eq!(names, expected.map(str::to_owned).into());
}

#[test]
fn crates_know_only_whom_they_may() {
    let manifests = manifests();
    let names: BTreeSet<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        manifests
            .keys()
            .map(String::as_str)
            .collect::<BTreeSet<_>>(),
        names
    );
    for (name, dependencies) in &manifests {
        let (_, allowed) = EDGES.iter().find(|(other, _)| other == name).unwrap();
        for dependency in dependencies
            .iter()
            .filter(|dependency| names.contains(dependency.as_str()))
        {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn proto_depends_on_no_runtime_and_no_clock() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--package",
            "sipsimple",
            "--edges",
            "normal",
            "--prefix",
            "none",
            // It compiles only with a source of randomness, for ids that `dns` draws itself.
            "--prune",
            "hickory-proto",
            // They have one, too, which our provider leaves unused: all is drawn from what `dtls` lends it.
            "--prune",
            "dimpl",
            "--prune",
            "p256",
            // They switch it on in what all cryptography shares.
            "--prune",
            "crypto-common",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8(output.stdout).unwrap();
    let crates: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(crates.contains("bytes"), "the tree was read: {crates:?}");
    for forbidden in FORBIDDEN_BELOW_PROTO {
        assert!(
            !crates.contains(forbidden),
            "sipsimple depends on {forbidden}"
        );
    }
}

#[test]
fn files_are_small() {
    let mut problems = Vec::new();
    for file in sources(&root()) {
        let text = fs::read_to_string(&file).unwrap();
        let code = without_tests(&file, &text).lines().count();
        let lines = text.lines().count();
        if code > MAX_CODE || lines > MAX_LINES {
            problems.push(format!(
                "{}: {code} lines of code, {lines} in all",
                relative(&file)
            ));
        }
    }
    assert!(problems.is_empty(), "too large:\n{}", problems.join("\n"));
}

#[test]
fn machines_touch_nothing_of_the_world() {
    let mut problems = Vec::new();
    for file in sources(&root().join("proto")) {
        let text = fs::read_to_string(&file).unwrap();
        // The one keyed hash map, without a way to walk it.
        let is_index = file.ends_with("base/src/table.rs");
        for (number, line) in code_lines(&file, &text) {
            for word in FORBIDDEN_WORDS {
                if line.contains(word) && !(is_index && *word == "HashMap") {
                    problems.push(format!("{}:{number}: {word}", relative(&file)));
                }
            }
        }
    }
    assert!(problems.is_empty(), "not sans-IO:\n{}", problems.join("\n"));
}

#[test]
fn sessions_and_agent_name_no_kind_of_stream() {
    let kinds = [
        "audio", "video", "chat", "msrp", "screen", "dtmf", "codec", "probe",
    ];
    let mut problems = Vec::new();
    for folder in ["proto/src/session", "proto/src/agent"] {
        for file in sources(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in code_lines(&file, &text) {
                let words = line
                    .split(|c: char| !c.is_ascii_alphanumeric())
                    .flat_map(camel_words);
                for word in words.filter(|word| kinds.contains(&word.as_str())) {
                    problems.push(format!("{}:{number}: {word}", relative(&file)));
                }
            }
        }
    }
    assert!(
        problems.is_empty(),
        "a kind of stream is named:\n{}",
        problems.join("\n")
    );
}

#[test]
fn libraries_forbid_unsafe_code() {
    for (file, level) in [
        ("proto/base/src/lib.rs", "forbid"),
        ("proto/sip/src/lib.rs", "forbid"),
        ("proto/sdp/src/lib.rs", "forbid"),
        ("proto/rtp/src/lib.rs", "forbid"),
        ("proto/dtls/src/lib.rs", "forbid"),
        ("proto/dns/src/lib.rs", "forbid"),
        ("proto/src/lib.rs", "forbid"),
        ("runtime-smol/src/lib.rs", "forbid"),
        ("runtime-smol/cli/src/main.rs", "forbid"),
        ("runtime-std/src/lib.rs", "forbid"),
        ("runtime-std/system/src/lib.rs", "forbid"),
        ("tests/src/lib.rs", "forbid"),
        ("audio/src/lib.rs", "deny"),
    ] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(
            text.contains(&format!("#![{level}(unsafe_code)]")),
            "{file}"
        );
    }
}

#[test]
fn no_test_is_switched_off() {
    let attribute = format!("#[{}", "ignore");
    for file in sources(&root()) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&attribute), "{}", relative(&file));
    }
}

/// The runtimes decide nothing: they stay small (architecture: below 1,500 lines each).
#[test]
fn runtimes_are_thin() {
    for folder in ["runtime-smol/src", "runtime-std/src"] {
        let count = |file: &PathBuf| fs::read_to_string(file).unwrap().lines().count();
        let lines: usize = sources(&root().join(folder)).iter().map(count).sum();
        assert!(lines < 1_500, "{folder} has {lines} lines");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn relative(file: &Path) -> String {
    file.strip_prefix(root())
        .unwrap_or(file)
        .display()
        .to_string()
}

/// All Rust files below a folder, in order.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_string_lossy().into_owned();
            if entry.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(entry);
            } else if name.ends_with(".rs") {
                found.push(entry);
            }
        }
    }
    found.sort();
    assert!(
        !found.is_empty() || !folder.exists(),
        "{}",
        folder.display()
    );
    found
}

/// The part of a file that is no test: files of tests whole, others up to their test module.
fn without_tests<'a>(file: &Path, text: &'a str) -> &'a str {
    let is_test = file.components().any(|part| {
        matches!(part.as_os_str().to_str(), Some("tests.rs" | "tests"))
            && !part.as_os_str().is_empty()
    }) && file.starts_with(root().join("proto"));
    match (is_test, text.find("#[cfg(test)]\nmod tests {")) {
        (true, _) => "",
        (false, Some(end)) => &text[..end],
        (false, None) => text,
    }
}

/// Lines that are neither comments nor tests, with their numbers.
fn code_lines<'a>(file: &Path, text: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let lines = without_tests(file, text).lines().enumerate();
    lines.map(|(index, line)| (index + 1, line.split("//").next().unwrap_or(line)))
}

/// `AudioStream` is `audio` and `stream`.
fn camel_words(identifier: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in identifier.chars() {
        if c.is_uppercase() || words.is_empty() {
            words.push(String::new());
        }
        words.last_mut().unwrap().extend(c.to_lowercase());
    }
    words
}

/// All packages of the workspace with the names of their normal dependencies.
fn manifests() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--offline",
            "--no-deps",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let normal = dependencies.filter(|dependency| dependency["kind"].is_null());
            let names = normal
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
                .collect();
            (package["name"].as_str().unwrap().to_owned(), names)
        })
        .collect()
}
