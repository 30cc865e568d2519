//! A call as a picture: who sent what to whom, and when.

use std::time::Duration;

/// One message between two parties that stand side by side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rung {
    /// When.
    pub(crate) at: Duration,
    /// Between which: the first gap is 0.
    pub(crate) gap: usize,
    /// From left to right.
    pub(crate) rightwards: bool,
    /// What it says, in a few words.
    pub(crate) label: String,
}

/// Draws a ladder between names; times are counted from the first rung.
pub(crate) fn draw(names: &[&str], rungs: &[Rung]) -> String {
    let mut text = format!("{:>9} ", "");
    for name in names {
        text.push_str(&format!("{name:<width$}", width = WIDTH + 1));
    }
    text.truncate(text.trim_end().len());
    let first = rungs.first().map_or(Duration::ZERO, |rung| rung.at);
    for rung in rungs {
        let label: String = rung.label.chars().take(WIDTH - 5).collect();
        let dashes = WIDTH - label.chars().count() - 3;
        let (before, after) = ("-".repeat(dashes / 2), "-".repeat(dashes - dashes / 2));
        let arrow = match rung.rightwards {
            true => format!("{before} {label} {after}>"),
            false => format!("<{before} {label} {after}"),
        };
        let at = rung.at.saturating_sub(first).as_secs_f64();
        text.push_str(&format!("\n{at:9.3} |"));
        for gap in 0..names.len().saturating_sub(1) {
            let between = if gap == rung.gap { &*arrow } else { "" };
            text.push_str(&format!("{between:<WIDTH$}|"));
        }
    }
    text.push('\n');
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

/// Between two lines.
const WIDTH: usize = 32;

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
    fn rungs_fill_the_width_of_their_gap() {
        let rung = |gap, rightwards, label: &str| Rung {
            at: Duration::from_millis(5),
            gap,
            rightwards,
            label: label.to_owned(),
        };
        let rungs = [rung(0, true, "INVITE"), rung(1, false, &"x".repeat(99))];
        let text = draw(&["alice", "server", "bob"], &rungs);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        let columns =
            |line: &str| -> Vec<usize> { line.match_indices('|').map(|(at, _)| at).collect() };
        assert_eq!(
            columns(lines[0]),
            [10, 10 + WIDTH + 1, 10 + 2 * (WIDTH + 1)]
        );
        assert_eq!(columns(lines[0]), columns(lines[1]));
        assert!(
            lines[0].contains("->|   ") && lines[1].contains("   |<- xxx"),
            "{text}"
        );
        assert!(text.starts_with("          alice"), "{text}");
    }
}
