//! A call as a picture: who sent what to whom, and when.

use std::time::Duration;

/// One message between two parties.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rung {
    /// Counted from the first one.
    pub(crate) at: Duration,
    /// From left to right.
    pub(crate) rightwards: bool,
    /// What it says, in a few words.
    pub(crate) label: String,
}

/// Draws a ladder between two names.
pub(crate) fn draw(left: &str, right: &str, rungs: &[Rung]) -> String {
    let mut text = format!("{:>9} {left:<width$}{right}\n", "", width = WIDTH + 1);
    for rung in rungs {
        let label: String = rung.label.chars().take(WIDTH - 6).collect();
        let dashes = WIDTH - label.chars().count() - 4;
        let (before, after) = (dashes / 2, dashes - dashes / 2);
        let line = match rung.rightwards {
            true => format!("{} {label} {}>", "-".repeat(before), "-".repeat(after)),
            false => format!("<{} {label} {}", "-".repeat(before), "-".repeat(after)),
        };
        text.push_str(&format!("{:9.3} |{line}|\n", rung.at.as_secs_f64()));
    }
    text
}

/// Names a SIP message: method with what makes it special, or status and method. A keep-alive is none.
pub(crate) fn label(message: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    let first = text.lines().next()?;
    let header = |name: &str| {
        let line = text.lines().find(|line| {
            line.get(..name.len())
                .is_some_and(|s| s.eq_ignore_ascii_case(name))
        });
        line.map(|line| line[name.len()..].trim().to_owned())
    };
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let direction = ["sendonly", "recvonly", "inactive"]
        .into_iter()
        .find(|word| body.contains(&format!("a={word}")));
    let media = match (body.is_empty(), direction) {
        (true, _) => String::new(),
        (false, None) => " (SDP)".to_owned(),
        (false, Some(word)) => format!(" (SDP {word})"),
    };
    if let Some(status) = first.strip_prefix("SIP/2.0 ") {
        let cseq = header("CSeq:")?;
        let method = cseq.split_whitespace().nth(1)?;
        return Some(format!("{status} {method}{media}"));
    }
    let (method, _) = first.split_once(' ')?;
    Some(format!("{method}{media}"))
}

/// Between the two lines.
const WIDTH: usize = 44;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_short_names() {
        let invite = b"INVITE sip:b SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\na=sendonly\r\n";
        assert_eq!(label(invite).unwrap(), "INVITE (SDP sendonly)");
        let ok = b"SIP/2.0 200 OK\r\nCSeq: 2 BYE\r\n\r\n";
        assert_eq!(label(ok).unwrap(), "200 OK BYE");
        assert_eq!(label(b"\r\n\r\n"), None);
    }

    #[test]
    fn rungs_fill_the_width() {
        let rung = |rightwards, label: &str| Rung {
            at: Duration::from_millis(5),
            rightwards,
            label: label.to_owned(),
        };
        let text = draw(
            "alice",
            "bob",
            &[rung(true, "INVITE"), rung(false, &"x".repeat(99))],
        );
        let widths: Vec<usize> = text
            .lines()
            .skip(1)
            .map(|line| line.chars().count())
            .collect();
        assert_eq!(widths[0], widths[1]);
        assert!(text.contains("->|"), "{text}");
    }
}
