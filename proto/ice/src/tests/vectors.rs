//! Priorities that were computed elsewhere (RFC 8445, 5.1.2.1 and 6.1.2.3).

use crate::{Kind, candidate, pair, role::Role};
use serde_json::Value;
use std::{fs, path::Path};

#[expect(clippy::disallowed_methods, reason = "vectors lie in files")]
fn load() -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/ice/ice.json");
    let Ok(text) = fs::read_to_string(&path) else {
        println!("skipped: no {}", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).expect("valid JSON"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().expect("a list")
}

fn number<T: TryFrom<u64>>(value: &Value) -> T {
    let number = value.as_u64().expect("a number");
    T::try_from(number).ok().expect("a number of that size")
}

fn is_candidate(case: &Value) -> bool {
    let kind = Kind::of_name(case["type"].as_str().expect("a name")).expect("a kind");
    let (preference, component) = (number(&case["local_pref"]), number(&case["component"]));
    let priority = candidate::priority(kind, preference, component);
    case["priority"] == priority && case["type_pref"] == priority >> 24
}

fn is_pair(case: &Value) -> bool {
    let (ours, theirs) = (number(&case["controlling"]), number(&case["controlled"]));
    // RFC 8445, 6.1.2.3: both ends come to the same.
    let both = [
        pair::priority(Role::Controlling, ours, theirs),
        pair::priority(Role::Controlled, theirs, ours),
    ];
    both.iter().all(|priority| case["priority"] == *priority)
}

#[test]
fn priorities_are_those_of_the_vectors() {
    let Some(vectors) = load() else {
        return;
    };
    let candidates = list(&vectors, "candidate_priority");
    for case in candidates {
        assert!(is_candidate(case), "{case}");
    }
    for (name, preference) in vectors["recommended_type_preferences"]
        .as_object()
        .expect("preferences")
    {
        let kind = Kind::of_name(name).expect("a kind");
        assert_eq!(*preference, candidate::priority(kind, 0, 1) >> 24, "{name}");
        assert!(candidates.iter().any(|case| case["type"] == **name));
    }
    let pairs = list(&vectors, "pair_priority");
    for case in pairs {
        assert!(is_pair(case), "{case}");
    }
    assert!(candidates.len() > 10 && pairs.len() > 5);
}

/// A vector of which one number is another is noticed.
#[test]
fn a_corrupted_vector_fails() {
    let Some(vectors) = load() else {
        return;
    };
    let check = |family: &str, fields: &[&str], is_right: fn(&Value) -> bool| {
        for case in list(&vectors, family) {
            for field in fields {
                let mut case = case.clone();
                // Another bit, so that it stays in its range.
                case[*field] = Value::from(number::<u64>(&case[*field]) ^ 1);
                assert!(!is_right(&case), "{field} of {case}");
            }
        }
    };
    let fields = ["type_pref", "local_pref", "component", "priority"];
    check("candidate_priority", &fields, is_candidate);
    check("pair_priority", &["priority"], is_pair);
}
