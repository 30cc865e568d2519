//! Checks what we said, message by message: RFC 3261, sections 8, 9, 12, 13, 17.1.1.3 and 20.
//!
//! It knows nothing of the library, only the messages of both sides in their order.

use crate::message::{Message, Seen};
use std::collections::BTreeMap;

/// Finds what is wrong with the messages of ours; one line a fault.
pub(crate) fn faults(seen: &[Seen]) -> Vec<String> {
    let mut calls: BTreeMap<&str, Call<'_>> = BTreeMap::new();
    let mut faults = Vec::new();
    for Seen {
        is_ours, message, ..
    } in seen
    {
        let call = calls.entry(message.call_id()).or_default();
        if *is_ours {
            let mut found = Vec::new();
            form(message, &mut found);
            match message.status() {
                None => call.request(message, &mut found),
                Some(_) => call.response(message, &mut found),
            }
            faults.extend(found.into_iter().map(|what| {
                let cseq = message.header("cseq").unwrap_or("no CSeq");
                format!("{} [{cseq}] {}: {what}", message.start, message.call_id())
            }));
        }
        call.learn(*is_ours, message);
    }
    faults
}

/// What is so far known of a call.
#[derive(Default)]
struct Call<'a> {
    our_tag: Option<&'a str>,
    /// The tags that the peer used.
    their_tags: Vec<&'a str>,
    /// The last Contact of the peer.
    their_contact: Option<&'a str>,
    /// Requests of ours by transaction, and the last sequence number.
    requests: BTreeMap<(&'a str, &'a str), &'a Message>,
    our_cseq: Option<u32>,
    /// Requests of the peer by transaction.
    their_requests: BTreeMap<(&'a str, &'a str), &'a Message>,
    /// Final responses of the peer to INVITEs, by branch.
    finals: BTreeMap<&'a str, &'a Message>,
}

impl<'a> Call<'a> {
    fn request(&self, message: &'a Message, faults: &mut Vec<String>) {
        let mut demand = demand(faults);
        let (method, target) = message.request().unwrap_or_default();
        let (branch, _) = message.transaction();
        if let Some(before) = self.requests.get(&message.transaction())
            && (method != "ACK" || before.is_request("ACK"))
        {
            // RFC 3261, 17.1.1.2: a retransmission is the same message.
            demand(
                before.raw == message.raw,
                "differs from the request of the same branch",
            );
            return;
        }
        let number = message.cseq().map_or(0, |(number, _)| number);
        demand(
            message
                .header("max-forwards")
                .and_then(|n| n.parse::<u8>().ok())
                == Some(70),
            "Max-Forwards",
        );
        if method == "ACK" || method == "CANCEL" {
            let of_invite = |invite: &&&'a Message| {
                invite.is_request("INVITE")
                    && invite.cseq().is_some_and(|(known, _)| known == number)
            };
            let Some(invite) = self.requests.values().find(of_invite) else {
                return demand(false, "the sequence number of no INVITE");
            };
            let refused = self
                .finals
                .get(invite.branch())
                .filter(|last| last.status() >= Some(300));
            let of_transaction = method == "CANCEL" || refused.is_some();
            // RFC 3261, 9.1, 13.2.2.4 and 17.1.1.3.
            demand(
                (branch == invite.branch()) == of_transaction,
                "the branch is not what it should be",
            );
            if of_transaction {
                demand(
                    message.request().map(|r| r.1) == invite.request().map(|r| r.1),
                    "another target",
                );
                demand(message.all("via").count() == 1, "more than one Via");
            }
            match refused {
                Some(refused) => demand(
                    message.header("to") == refused.header("to"),
                    "not the To of the response",
                ),
                None if method == "CANCEL" => {
                    demand(message.header("to") == invite.header("to"), "another To")
                }
                None => {}
            }
            demand(
                message.header("from") == invite.header("from"),
                "another From",
            );
            if of_transaction {
                return;
            }
        } else {
            // RFC 3261, 12.2.1.1.
            demand(
                self.our_cseq.is_none_or(|last| number > last),
                "the sequence number does not rise",
            );
            demand(
                !self.requests.keys().any(|(known, _)| *known == branch),
                "a branch used before",
            );
        }
        demand(
            self.our_tag
                .is_none_or(|tag| message.tag("from") == Some(tag)),
            "another tag of ours",
        );
        match message.tag("to") {
            Some(tag) => {
                demand(
                    self.their_tags.contains(&tag),
                    "a tag that the peer never said",
                );
                // RFC 3261, 12.2.1.1: before a strict router the Contact is the last of the route.
                let last = message.all("route").last().map(uri_of);
                demand(
                    self.their_contact == Some(target) || last == self.their_contact,
                    "the target is not the peer's Contact",
                );
            }
            None => demand(
                // What stands outside of dialogs is asked again without the tag of who refused it.
                self.their_tags.is_empty() || OUTSIDE.contains(&method),
                "no tag in To",
            ),
        }
        if method == "INVITE" {
            demand(is_contact(message), "Contact");
        }
    }

    fn response(&self, message: &'a Message, faults: &mut Vec<String>) {
        let mut demand = demand(faults);
        let status = message.status().unwrap_or(0);
        let Some(request) = self.their_requests.get(&message.transaction()) else {
            return demand(false, "an answer to nothing");
        };
        // RFC 3261, 8.2.6.2.
        for header in ["from", "call-id", "cseq"] {
            demand(
                message.header(header) == request.header(header),
                &format!("not the request's {header}"),
            );
        }
        demand(
            message
                .all("via")
                .map(bare_via)
                .eq(request.all("via").map(bare_via)),
            "not the request's Vias",
        );
        match request.tag("to") {
            Some(tag) => demand(message.tag("to") == Some(tag), "not the request's To tag"),
            None if status > 100 => demand(message.tag("to").is_some(), "no tag in To"),
            None => {}
        }
        if status > 100 && request.tag("to").is_none() && !request.is_request("CANCEL") {
            demand(
                self.our_tag
                    .is_none_or(|tag| message.tag("to") == Some(tag)),
                "another tag of ours",
            );
        }
        if request.is_request("INVITE") && (101..300).contains(&status) {
            demand(is_contact(message), "Contact");
        }
    }

    fn learn(&mut self, is_ours: bool, message: &'a Message) {
        let is_request = message.status().is_none();
        let local = if is_request == is_ours { "from" } else { "to" };
        let remote = if is_request == is_ours { "to" } else { "from" };
        // A refusal makes no dialog: the next try may be answered under another tag.
        let is_refusal = message.status() >= Some(300);
        if let Some(tag) = message.tag(local).filter(|_| is_ours && !is_refusal) {
            self.our_tag = Some(tag);
        }
        if let Some(tag) = message.tag(remote)
            && !is_ours
            && !self.their_tags.contains(&tag)
        {
            self.their_tags.push(tag);
        }
        let method = message.cseq().map_or("", |(_, method)| method);
        // RFC 3261, 12.2, RFC 3311, 5.1 and RFC 6665, 4.4.1.
        let refreshes = ["INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"].contains(&method);
        match (is_ours, is_request) {
            (true, true) => {
                if message.is_request("ACK")
                    && self.requests.contains_key(&(message.branch(), "INVITE"))
                {
                    self.requests.insert((message.branch(), "ACK"), message);
                } else {
                    self.requests
                        .entry(message.transaction())
                        .or_insert(message);
                }
                self.our_cseq = self.our_cseq.max(message.cseq().map(|(number, _)| number));
            }
            (false, true) => {
                self.their_requests
                    .entry(message.transaction())
                    .or_insert(message);
                if refreshes {
                    self.their_contact = message.contact().or(self.their_contact);
                }
            }
            (false, false) if refreshes => {
                if message
                    .status()
                    .is_some_and(|status| (101..300).contains(&status))
                {
                    self.their_contact = message.contact().or(self.their_contact);
                }
                if method == "INVITE" && message.status() >= Some(200) {
                    self.finals.insert(message.branch(), message);
                }
            }
            _ => {}
        }
    }
}

/// What every message has.
fn form(message: &Message, faults: &mut Vec<String>) {
    let mut demand = demand(faults);
    for name in ["from", "to", "call-id", "cseq", "content-length"] {
        demand(message.all(name).count() == 1, &format!("not one {name}"));
    }
    demand(
        message.branch().starts_with("z9hG4bK"),
        "the branch has no cookie",
    );
    // An answer repeats what the peer has sent.
    let is_answer = message.status().is_some();
    demand(is_answer || message.tag("from").is_some(), "no tag in From");
    let length = message
        .header("content-length")
        .and_then(|length| length.parse().ok());
    demand(
        length == Some(message.body.len()),
        "Content-Length is not the body's length",
    );
    if let Some((method, _)) = message.request() {
        demand(
            message.cseq().is_some_and(|(_, known)| known == method),
            "CSeq of another method",
        );
    }
    if !message.body.is_empty() {
        demand(
            message.header("content-type").is_some(),
            "a body without Content-Type",
        );
    }
}

/// The URI between `<` and `>`.
fn uri_of(value: &str) -> &str {
    let inside = value
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or(value, |(uri, _)| uri)
}

fn is_contact(message: &Message) -> bool {
    let is_uri = message.contact().is_some_and(|uri| {
        // RFC 7118, 5.3: who speaks by WebSockets has no port.
        uri.strip_prefix("sip:").is_some_and(|rest| {
            let has_port = rest.contains(':') || rest.ends_with(".invalid;transport=ws");
            has_port && !rest.contains("0.0.0.0")
        })
    });
    message.all("contact").count() == 1 && is_uri
}

/// A Via without what its receiver adds: RFC 3261, 18.2.1, and RFC 3581.
fn bare_via(via: &str) -> String {
    let parts = via.split(';').map(|part| {
        // RFC 3261, 7.3.1: any white space is one.
        part.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    let kept = parts.filter(|part| !part.starts_with("received") && !part.starts_with("rport"));
    kept.collect::<Vec<_>>().join(";")
}

fn demand(faults: &mut Vec<String>) -> impl FnMut(bool, &str) {
    |is_good, what| {
        if !is_good {
            faults.push(what.to_owned());
        }
    }
}

/// What needs no dialog.
const OUTSIDE: [&str; 6] = [
    "INVITE",
    "REGISTER",
    "OPTIONS",
    "MESSAGE",
    "PUBLISH",
    "SUBSCRIBE",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A call of ours: INVITE, 200, ACK, BYE, 200; then a refused one of ours, and one of theirs.
    fn calls() -> Vec<(bool, String)> {
        let message = |start: &str, call: &str, branch: &str, tags: (&str, &str), cseq: &str| {
            let tag = |tag: &str| match tag {
                "" => String::new(),
                tag => format!(";tag={tag}"),
            };
            format!(
                "{start}\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{branch}\r\n\
                 From: <sip:a@192.0.2.1>{}\r\nTo: <sip:b@192.0.2.2>{}\r\nCall-ID: {call}\r\n\
                 CSeq: {cseq}\r\nMax-Forwards: 70\r\nContact: <sip:c@192.0.2.9:5060>\r\n\
                 Content-Length: 0\r\n\r\n",
                tag(tags.0),
                tag(tags.1)
            )
        };
        let invite = "INVITE sip:b@192.0.2.2 SIP/2.0";
        let (ack, bye) = (
            "ACK sip:c@192.0.2.9:5060 SIP/2.0",
            "BYE sip:c@192.0.2.9:5060 SIP/2.0",
        );
        let ok = "SIP/2.0 200 OK";
        vec![
            (true, message(invite, "1", "a", ("x", ""), "1 INVITE")),
            (true, message(invite, "1", "a", ("x", ""), "1 INVITE")),
            (
                false,
                message("SIP/2.0 180 Ringing", "1", "a", ("x", "y"), "1 INVITE"),
            ),
            (false, message(ok, "1", "a", ("x", "y"), "1 INVITE")),
            (true, message(ack, "1", "b", ("x", "y"), "1 ACK")),
            (true, message(ack, "1", "b", ("x", "y"), "1 ACK")),
            (true, message(bye, "1", "c", ("x", "y"), "2 BYE")),
            (false, message(ok, "1", "c", ("x", "y"), "2 BYE")),
            (true, message(invite, "2", "d", ("x", ""), "1 INVITE")),
            (
                true,
                message(
                    "CANCEL sip:b@192.0.2.2 SIP/2.0",
                    "2",
                    "d",
                    ("x", ""),
                    "1 CANCEL",
                ),
            ),
            (false, message(ok, "2", "d", ("x", "z"), "1 CANCEL")),
            (
                false,
                message("SIP/2.0 487 No", "2", "d", ("x", "y"), "1 INVITE"),
            ),
            (
                true,
                message("ACK sip:b@192.0.2.2 SIP/2.0", "2", "d", ("x", "y"), "1 ACK"),
            ),
            (false, message(invite, "3", "e", ("y", ""), "1 INVITE")),
            (
                true,
                message("SIP/2.0 180 Ringing", "3", "e", ("y", "x"), "1 INVITE"),
            ),
            (true, message(ok, "3", "e", ("y", "x"), "1 INVITE")),
        ]
    }

    fn found(messages: &[(bool, String)]) -> Vec<String> {
        let seen = messages.iter().map(|(is_ours, text)| Seen {
            at: 0.0,
            is_ours: *is_ours,
            message: Message::of_datagram(text.as_bytes()).unwrap(),
        });
        faults(&seen.collect::<Vec<_>>())
    }

    #[test]
    fn good_calls_are_good() {
        assert_eq!(found(&calls()), Vec::<String>::new());
    }

    #[test]
    fn every_fault_is_found() {
        let broken: &[(usize, &str, &str, &str)] = &[
            (0, "tag=x", "tug=x", "no tag in From"),
            (0, "Max-Forwards: 70", "Max-Forwards: x", "Max-Forwards"),
            (0, "z9hG4bKa", "1", "no cookie"),
            (0, "Contact", "X", "Contact"),
            (
                1,
                "Max-Forwards: 70",
                "Max-Forwards: 70 ",
                "differs from the request",
            ),
            (4, "z9hG4bKb", "z9hG4bKa", "branch is not what it should be"),
            (4, "1 ACK", "2 ACK", "number of no INVITE"),
            (4, "tag=y", "tag=q", "never said"),
            (
                4,
                "sip:c@192.0.2.9:5060 ",
                "sip:b@192.0.2.2 ",
                "not the peer's Contact",
            ),
            (6, "2 BYE", "1 BYE", "does not rise"),
            (6, "z9hG4bKc", "z9hG4bKa", "used before"),
            (6, "2 BYE", "2 BYR", "another method"),
            (6, ";tag=y", "", "no tag in To"),
            (
                6,
                "Content-Length: 0",
                "Content-Length: 1",
                "not the body's length",
            ),
            (6, "Content-Length: 0", "X: 0", "not one content-length"),
            (9, "z9hG4bKd", "z9hG4bKe", "branch is not what it should be"),
            (
                12,
                "z9hG4bKd",
                "z9hG4bKe",
                "branch is not what it should be",
            ),
            (12, "tag=y", "tag=q", "not the To of the response"),
            (14, ";tag=x", "", "no tag in To"),
            (14, "Contact", "X", "Contact"),
            (15, "tag=x", "tag=q", "another tag of ours"),
            (15, "tag=y", "tag=q", "not the request's from"),
            (15, "z9hG4bKe", "z9hG4bKf", "an answer to nothing"),
            (
                15,
                "192.0.2.1:5060",
                "192.0.2.1:5061",
                "not the request's Vias",
            ),
        ];
        for (number, text, other, fault) in broken {
            let mut messages = calls();
            let message = &mut messages[*number].1;
            assert!(message.contains(text), "{number} {text}");
            *message = message.replacen(text, other, 1);
            let found = found(&messages);
            assert!(
                found.iter().any(|line| line.contains(fault)),
                "{fault}: {found:?}"
            );
        }
    }
}
