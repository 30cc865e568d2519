//! Messages cut out of RFCs, and NIST's collection.

use super::{folder, parse};
use bytes::Bytes;
use serde_json::Value;
use std::fs;

/// Messages that RFCs print with a right Content-Length are read, and printed as they are.
#[test]
fn messages_of_rfcs() {
    let Some(folder) = folder("sip-messages") else {
        return;
    };
    let (mut exact, mut refused, mut others) = (0, Vec::new(), 0);
    for rfc in fs::read_dir(folder).unwrap() {
        let rfc = rfc.unwrap().path();
        let Ok(index) = fs::read_to_string(rfc.join("index.json")) else {
            continue;
        };
        let index: Value = serde_json::from_str(&index).unwrap();
        for case in index
            .as_array()
            .or_else(|| index["messages"].as_array())
            .unwrap()
        {
            let file = case["file"].as_str().unwrap();
            let bytes = Bytes::from(fs::read(rfc.join(file)).unwrap());
            let parsed = parse(&bytes);
            if case["content_length_exact"] != true || case["elided"] == true {
                others += 1;
                continue;
            }
            exact += 1;
            match parsed {
                Ok(message) => {
                    assert_eq!(message.body(), &bytes[bytes.len() - message.body().len()..])
                }
                Err(error) => refused.push(format!(
                    "{}/{file}: {error}",
                    rfc.file_name().unwrap().to_string_lossy()
                )),
            }
        }
    }
    refused.sort();
    println!("{exact} exact messages, {others} others; refused: {refused:#?}");
    let known = |refused: &&String| !REFUSED.iter().any(|known| refused.starts_with(known));
    assert_eq!(
        refused.iter().filter(known).count(),
        0,
        "a message that ought to be read"
    );
}

/// Messages of RFCs that are wrong as printed.
const REFUSED: &[&str] = &[
    // A Request-URI, From or To without a scheme.
    "rfc3666/100-s3.2-F3-INVITE",
    "rfc3666/104-s3.2-F7-ACK",
    "rfc3666/105-s3.2-F8-ACK",
    "rfc3666/131-s3.6-F3-INVITE",
    "rfc3666/134-s3.6-F6-ACK",
    "rfc5626/002-s9.1-NOTIFY",
    // No From, no Via.
    "rfc3666/120-s3.3-F12-BYE",
    "rfc3842/",
    "rfc5628/",
    // A fold, for the page's sake, inside angle brackets; an empty parameter where one was folded.
    "rfc5049/001-s9.1-REGISTER",
    "rfc8599/",
    "rfc5626/001-s3.2-REGISTER",
];

/// NIST's collection is older than RFC 3261, and its expectations are advice. What is not in this table is read.
#[test]
fn nist() {
    let Some(folder) = folder("sip-torture-nist") else {
        return;
    };
    let text = fs::read_to_string(folder.join("nist-torture.json")).unwrap();
    let cases: Value = serde_json::from_str(&text).unwrap();
    let mut surprises = Vec::new();
    for case in cases.as_array().unwrap() {
        let (Some(id), "message") = (case["id"].as_u64(), case["kind"].as_str().unwrap()) else {
            continue;
        };
        let text = case["text"].as_str().unwrap();
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        let outcome = parse(&Bytes::from(text)).map_or_else(|error| error.what, |_| "");
        let known = NIST_REFUSED.iter().find(|(known, _)| *known == id);
        if outcome != known.map_or("", |(_, what)| what) {
            surprises.push(format!("{id}: {outcome}"));
        }
    }
    assert_eq!(surprises, Vec::<String>::new());
}

/// What is refused of NIST's messages, and for what.
const NIST_REFUSED: &[(u64, &str)] = &[
    (0, "scheme of a URI"),
    (14, "scheme of a URI"),
    (16, "To"),
    (17, "header"),
    (24, "From"),
    (53, "scheme of a URI"),
    (60, "SIP version"),
    (91, "method of CSeq"),
    (136, "parameter of a URI"),
    (146, "parameter of a URI"),
    (152, "parameter of a URI"),
    (153, "parameter of a URI"),
    (155, "parameter of a URI"),
    (229, "closing bracket of an address"),
    (339, "closing bracket of an address"),
    (343, "closing bracket of an address"),
    (352, "method"),
    (358, "header"),
    (363, "status code"),
    (364, "name of a parameter"),
    (366, "Content-Length"),
    (367, "CSeq"),
    (368, "CSeq"),
    (369, "closing quote"),
    (370, "scheme of a URI"),
    (371, "parameter of a URI"),
    (374, "Request-URI without headers"),
    (375, "Date"),
    (376, "brackets around the URI"),
    (377, "scheme of a URI"),
    (378, "scheme of a URI"),
    (379, "SIP version"),
    (380, "method of CSeq"),
    (381, "method of CSeq"),
    (384, "From"),
    (391, "CSeq"),
    (392, "Content-Length"),
];
