//! Servers that answer as they should not: scenarios of SIPp.

use std::fmt::Write as _;

/// What a scripted server does next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Receive(&'static str),
    /// A status line and what stands behind the usual headers.
    Answer(&'static str, &'static str),
    /// The answer to the INVITE after another request came.
    AnswerInvite(&'static str),
    /// Milliseconds.
    Wait(u32),
}

/// Writes a scenario.
pub(super) fn scenario(steps: &[Step]) -> String {
    let mut text = String::from("<?xml version=\"1.0\"?>\n<scenario name=\"dead\">\n");
    for step in steps {
        // Writing to a string cannot fail.
        let _ = match step {
            Step::Receive("INVITE") => writeln!(
                text,
                "<recv request=\"INVITE\"><action><ereg regexp=\"[0-9]+\" search_in=\"hdr\" \
                 header=\"CSeq:\" assign_to=\"number\"/></action></recv>"
            ),
            Step::Receive(method) => writeln!(text, "<recv request=\"{method}\"></recv>"),
            Step::Answer(status, further) => answer(&mut text, status, "[last_CSeq:]", further),
            Step::AnswerInvite(status) => answer(&mut text, status, "CSeq: [$number] INVITE", ""),
            Step::Wait(ms) => writeln!(text, "<pause milliseconds=\"{ms}\"/>"),
        };
    }
    if text.contains("assign_to") && !text.contains("[$number]") {
        // SIPp refuses a variable that nobody uses.
        text.push_str("<Reference variables=\"number\"/>\n");
    }
    text.push_str("</scenario>\n");
    text
}

fn answer(text: &mut String, status: &str, cseq: &str, further: &str) -> std::fmt::Result {
    let tag = if status.starts_with("100") {
        ""
    } else {
        ";tag=dead"
    };
    let (headers, body) = further.split_once("\n\n").unwrap_or((further, ""));
    let headers = match headers {
        "" => String::new(),
        some => format!("{some}\n"),
    };
    writeln!(
        text,
        "<send><![CDATA[\n\nSIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]{tag}\n\
         [last_Call-ID:]\n{cseq}\n{headers}Content-Length: [len]\n\n{body}\n]]></send>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_stand_in_their_order() {
        let text = scenario(&[
            Step::Receive("INVITE"),
            Step::Answer("100 Trying", ""),
            Step::Wait(5),
            Step::Answer("503 Service Unavailable", "Retry-After: 60"),
        ]);
        let at = |what: &str| text.find(what).unwrap();
        assert!(at("<recv") < at("SIP/2.0 100 Trying") && at("100 Trying") < at("<pause"));
        assert!(at("<pause") < at("SIP/2.0 503") && at("SIP/2.0 503") < at("Retry-After: 60\n"));
        assert_eq!(text.matches(";tag=dead").count(), 1);
    }
}
