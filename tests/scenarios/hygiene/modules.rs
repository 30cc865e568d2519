//! Modules of a crate stand on floors: siblings never know each other both ways, however roundabout.
//!
//! The reader knows paths that begin with `crate::` or `super::`, follows what modules re-export, and
//! counts what leads from one sibling of a folder to another. A module and its own children are one
//! thing in several files, so paths between them do not count; nor do tests.

use super::{code_lines, relative, root, sources};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// The folders of all crates whose modules are looked at.
const CRATES: &[&str] = &[
    "proto/base",
    "proto/sip",
    "proto/sdp",
    "proto/rtp",
    "proto/dns",
    "proto/ice",
    "proto",
    "audio",
    "runtime-smol",
    "runtime-smol/cli",
    "runtime-std",
    "runtime-std/system",
];

#[test]
fn modules_know_each_other_one_way() {
    let mut problems = Vec::new();
    for folder in CRATES {
        let source = root().join(folder).join("src");
        let mut modules = Modules::default();
        for file in sources(&source) {
            let text = fs::read_to_string(&file).unwrap();
            let code: Vec<&str> = code_lines(&file, &text).map(|(_, line)| line).collect();
            let inside = file.strip_prefix(&source).unwrap().display().to_string();
            modules.add(&inside, &relative(&file), code.join("\n"));
        }
        assert!(!modules.files.is_empty(), "{folder} was read");
        problems.extend(modules.circles());
    }
    assert!(
        problems.is_empty(),
        "circles of modules:\n{}",
        problems.join("\n")
    );
}

#[test]
fn a_circle_is_found() {
    let circles = |upper: &str, lower: &str| {
        let mut modules = Modules::default();
        modules.add(
            "lib.rs",
            "lib.rs",
            "mod a; mod b; pub use b::low::{self, Low};".into(),
        );
        modules.add("a/mod.rs", "a", upper.to_owned());
        modules.add("b/mod.rs", "b", "mod low;".to_owned());
        modules.add("b/low.rs", "low", lower.to_owned());
        modules.circles().len()
    };
    assert_eq!(circles("use crate::{Low, x};", "pub struct Low;"), 0);
    assert_eq!(circles("use crate::Low;", "use super::super::a::Up;"), 1);
    assert_eq!(circles("use crate::b::{low::Low};", "crate::a::up();"), 1);
    assert_eq!(circles("use crate::low::Low;", "use crate::{a, y};"), 1);
    assert_eq!(circles("use super::b;", "use super::z;"), 0);
}

/// Where a module stands: `["endpoint", "uas"]`; the crate is `[]`.
type Place = Vec<String>;

/// The modules of one crate.
#[derive(Default)]
struct Modules {
    /// The file of each, and its code.
    files: BTreeMap<Place, (String, String)>,
    /// What a module brings into its scope, by name.
    names: BTreeMap<(Place, String), Place>,
}

impl Modules {
    /// Adds a file by its path below `src`.
    fn add(&mut self, inside: &str, name: &str, code: String) {
        let mut place: Place = inside
            .trim_end_matches(".rs")
            .split('/')
            .map(str::to_owned)
            .collect();
        if place.iter().any(|part| part == "tests") {
            return;
        }
        if matches!(
            place.last().map(String::as_str),
            Some("lib" | "main" | "mod")
        ) {
            place.pop();
        }
        for (at, _) in code.match_indices("use ") {
            let is_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if is_word {
                for (path, alias) in tree(&code[at + "use ".len()..]) {
                    if let Some(to) = absolute(&place, &path, true) {
                        self.names.insert((place.clone(), alias), to);
                    }
                }
            }
        }
        self.files.insert(place, (name.to_owned(), code));
    }

    /// One line for each circle among the modules of a folder.
    fn circles(&self) -> Vec<String> {
        // Folder, sibling, sibling: the file that leads from one to the other.
        let mut ways: BTreeMap<Place, BTreeMap<&str, BTreeMap<&str, &str>>> = BTreeMap::new();
        let mut targets = Vec::new();
        for (place, (file, code)) in &self.files {
            for start in ["crate::", "super::"] {
                for (at, _) in code.match_indices(start) {
                    let before = &code[..at];
                    if before.ends_with(|c: char| c.is_alphanumeric() || "_:$".contains(c)) {
                        continue;
                    }
                    for (path, _) in tree(&code[at..]) {
                        let to = absolute(place, &path, false).map(|to| self.home(&to, 0));
                        targets.extend(to.map(|to| (place, file, to)));
                    }
                }
            }
        }
        for (place, file, to) in &targets {
            let fork = place.iter().zip(to).position(|(a, b)| a != b);
            if let Some(fork) = fork {
                let folder = ways.entry(place[..fork].to_vec()).or_default();
                let from = folder.entry(&place[fork]).or_default();
                from.entry(&to[fork]).or_insert(file);
            }
        }
        let circle = |graph: &BTreeMap<_, _>| rest(graph).map(|lines| lines.join("; "));
        ways.values().filter_map(circle).collect()
    }

    /// The module where a path ends: names that are no modules are followed to where they are from.
    fn home(&self, path: &[String], depth: u32) -> Place {
        let mut place = Place::new();
        for (index, part) in path.iter().enumerate() {
            let mut below = place.clone();
            below.push(part.clone());
            if self.files.contains_key(&below) {
                place = below;
                continue;
            }
            return match self.names.get(&(place.clone(), part.clone())) {
                Some(to) if depth < 8 => {
                    let mut to = to.clone();
                    to.extend_from_slice(&path[index + 1..]);
                    self.home(&to, depth + 1)
                }
                _ => place,
            };
        }
        place
    }
}

/// What of a graph is left when all have gone that know nobody who is left: circles, and who leads
/// to them.
fn rest(graph: &BTreeMap<&str, BTreeMap<&str, &str>>) -> Option<Vec<String>> {
    let mut left: BTreeSet<&str> = graph.keys().copied().collect();
    let mut known: BTreeSet<&str> = graph
        .values()
        .flat_map(|ways| ways.keys().copied())
        .collect();
    loop {
        let before = left.len();
        let stays =
            |name: &&str| graph[name].keys().any(|to| left.contains(to)) && known.contains(name);
        let next: BTreeSet<&str> = left.iter().copied().filter(|name| stays(name)).collect();
        known = next
            .iter()
            .flat_map(|name| graph[name].keys().copied())
            .collect();
        left = next;
        if left.len() == before {
            break;
        }
    }
    let lines = left.iter().flat_map(|from| {
        let left = &left;
        let ways = graph[from].iter().filter(move |(to, _)| left.contains(*to));
        ways.map(move |(to, file)| format!("{from} -> {to} ({file})"))
    });
    (!left.is_empty()).then(|| lines.collect())
}

/// The path from the root of the crate; `None` if it leads to another crate.
fn absolute(place: &[String], path: &[String], is_use: bool) -> Option<Place> {
    let mut up = place.to_vec();
    let mut parts = path.iter().peekable();
    match parts.peek().map(|part| part.as_str()) {
        Some("crate") => {
            up.clear();
            parts.next();
        }
        Some("self" | "super") => {}
        // A path of a `use` can begin with a child.
        _ if is_use => {}
        _ => return None,
    }
    for part in parts {
        match part.as_str() {
            "self" => {}
            "super" => drop(up.pop()),
            _ => up.push(part.clone()),
        }
    }
    Some(up)
}

/// The paths of `a::{b::C, d as e, f::{self}}`, each with the name that it brings.
fn tree(text: &str) -> Vec<(Place, String)> {
    let mut found = Vec::new();
    branch(text, &[], &mut found);
    found
}

/// Reads one path with all that stands in its braces, and returns what follows.
fn branch<'a>(text: &'a str, stem: &[String], found: &mut Vec<(Place, String)>) -> &'a str {
    let mut path = stem.to_vec();
    let mut text = text.trim_start();
    loop {
        if let Some(group) = text.strip_prefix('{') {
            text = group.trim_start();
            while !text.is_empty() && !text.starts_with('}') {
                let after = branch(text, &path, found).trim_start();
                let next = after.strip_prefix(',').unwrap_or(after).trim_start();
                if next.len() == text.len() {
                    // Nothing that belongs into a tree.
                    return "";
                }
                text = next;
            }
            return text.strip_prefix('}').unwrap_or(text);
        }
        let end = text
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len());
        let (word, after) = text.split_at(end);
        if !word.is_empty() && word != "self" || path.is_empty() && word == "self" {
            path.push(word.to_owned());
        }
        text = after;
        match text.strip_prefix("::") {
            Some(more) if !more.starts_with('<') => text = more.trim_start(),
            _ => break,
        }
    }
    let mut alias = path.last().cloned().unwrap_or_default();
    if let Some(renamed) = text.trim_start().strip_prefix("as ") {
        let end = renamed
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(renamed.len());
        alias = renamed[..end].to_owned();
        text = &renamed[end..];
    }
    if !path.is_empty() {
        found.push((path, alias));
    }
    text
}
