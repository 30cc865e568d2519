//! SDP bodies of RFCs and of other projects' tests: all are read, and what is printed is read again.

use ::sdp::{Attribute, NegotiationError, Session, audit_answer, check_answer, check_offer};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn vectors() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/sdp");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no {}", path.display());
    None
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of vectors");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> Session {
    let bytes = fs::read(path).expect("a readable file");
    Session::parse(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of one type, as they stand in the file.
fn lines<'a>(text: &'a str, kind: &str) -> Vec<&'a str> {
    let strip = |line: &'a str| line.trim_end().strip_prefix(kind);
    text.lines()
        .filter_map(strip)
        .filter(|value| !value.is_empty())
        .collect()
}

#[test]
fn bodies_of_rfcs_and_of_others_are_read() {
    let Some(root) = vectors() else { return };
    let (mut count, mut refused) = (0, 0);
    for folder in ["rfc", "sdp-transform", "mozilla-webrtc-sdp"] {
        for path in files(&root.join(folder)) {
            if NO_DESCRIPTIONS.iter().any(|name| path.ends_with(name)) {
                let bytes = fs::read(&path).expect("a readable file");
                assert!(Session::parse(&bytes).is_err(), "{}", path.display());
                refused += 1;
                continue;
            }
            let session = read(&path);
            let bytes = fs::read(&path).expect("a readable file");
            let text = String::from_utf8_lossy(&bytes);
            let printed = session.print();
            let name = path.display();
            assert_eq!(Session::parse(printed.as_bytes()), Ok(session), "{name}");
            assert_eq!(
                lines(&printed, "a="),
                lines(&text, "a="),
                "{name}: every attribute, in order"
            );
            assert_eq!(
                lines(&printed, "m=").len(),
                lines(&text, "m=").len(),
                "{name}"
            );
            assert_eq!(lines(&printed, "c="), lines(&text, "c="), "{name}");
            count += 1;
        }
    }
    assert!(count > 250, "{count} bodies");
    assert_eq!(refused, NO_DESCRIPTIONS.len());
}

/// RFC 4317: the answers, under the rules for peers and for ourselves, and the offers that follow.
#[test]
fn exchanges_of_rfc_4317_are_legal() {
    let Some(root) = vectors() else { return };
    let text = fs::read_to_string(root.join("offer-answer-rfc4317.json")).expect("the order");
    let order: Value = serde_json::from_str(&text).expect("valid JSON");
    let mut last: Option<(String, Session)> = None;
    let mut answers = 0;
    for step in order.as_array().expect("a list") {
        let field = |key: &str| step[key].as_str().unwrap_or_default();
        let (section, label) = (field("section"), field("label"));
        let session = read(&root.join(field("file")));
        match last.take().filter(|(previous, _)| previous == section) {
            Some((_, offer)) if label.contains("Answer") => {
                assert_eq!(check_answer(&offer, &session), Ok(()), "{section} {label}");
                // The RFC's own slip: "sendonly" is answered without a direction, hence "sendrecv".
                // Such a peer is tolerated; we would not answer so.
                let expected = match (section, label) {
                    ("3.2", "Second-Answer") => Err(NegotiationError::Direction(0)),
                    _ => Ok(()),
                };
                assert_eq!(
                    audit_answer(&offer, &session),
                    expected,
                    "{section} {label}"
                );
                answers += 1;
            }
            Some((_, previous)) => {
                assert_eq!(
                    check_offer(&previous, &session),
                    Ok(()),
                    "{section} {label}"
                );
            }
            None => {}
        }
        last = Some((section.to_owned(), session));
    }
    assert!(answers >= 15, "{answers} answers");
}

/// One format of one answer exchanged for another must be noticed.
#[test]
fn a_corrupted_answer_of_rfc_4317_is_refused() {
    let Some(root) = vectors() else { return };
    let offer = read(&root.join("rfc/rfc4317-01-s2.1.sdp"));
    let mut answer = read(&root.join("rfc/rfc4317-02-s2.1.sdp"));
    assert_eq!(check_answer(&offer, &answer), Ok(()));
    answer.media[0]
        .attributes
        .set(Attribute::new("rtpmap", "0 PCMU/16000"));
    assert!(check_answer(&offer, &answer).is_err());
}

/// Bodies that are none: three of RFC 8859 say nothing but "m=audio", one begins with a comment.
const NO_DESCRIPTIONS: [&str; 4] = [
    "rfc8859-09-s14.2.1.1.sdp",
    "rfc8859-10-s14.2.1.2.joined.sdp",
    "rfc8859-10-s14.2.1.2.sdp",
    "mozilla-webrtc-sdp/11.sdp",
];
