//! Checks when we said it: retransmissions over UDP as RFC 3261, sections 13.3.1.4 and 17, want them.
//!
//! The messages must be those that our socket sent and received: what is lost on the way stands in
//! them only if it is ours.

use crate::message::{Message, Seen};
use std::collections::BTreeMap;

/// Finds the timer rules that we broke; one line each, which begins with the Call-ID.
pub(crate) fn faults(seen: &[Seen]) -> Vec<String> {
    let last = seen.last().map_or(0.0, |seen| seen.at);
    let mut calls: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for one in seen {
        calls.entry(one.message.call_id()).or_default().push(one);
    }
    let mut faults = Vec::new();
    for (id, seen) in calls {
        let mut found = Vec::new();
        Call { seen: &seen, last }.check(&mut found);
        faults.extend(found.into_iter().map(|what| format!("{id}: {what}")));
    }
    faults
}

struct Call<'a> {
    seen: &'a [&'a Seen],
    /// When the capture ends.
    last: f64,
}

impl Call<'_> {
    fn check(&self, faults: &mut Vec<String>) {
        let mut known: Vec<(&str, &str)> = Vec::new();
        for Seen {
            is_ours, message, ..
        } in self.seen
        {
            if message.status().is_some() || message.is_request("ACK") {
                continue;
            }
            let transaction = message.transaction();
            if known.contains(&transaction) {
                continue;
            }
            known.push(transaction);
            match is_ours {
                true => self.client(message, faults),
                false => self.server(message, faults),
            }
        }
    }

    /// The moments of messages of one side that `choose` takes.
    fn moments(&self, is_ours: bool, choose: impl Fn(&Message) -> bool) -> Vec<f64> {
        let chosen = self
            .seen
            .iter()
            .filter(|seen| seen.is_ours == is_ours && choose(&seen.message));
        chosen.map(|seen| seen.at).collect()
    }

    /// A request of ours.
    fn client(&self, request: &Message, faults: &mut Vec<String>) {
        let transaction = request.transaction();
        let (_, method) = transaction;
        let is_invite = method == "INVITE";
        let is_it =
            |message: &Message| message.status().is_none() && message.transaction() == transaction;
        let sent = self.moments(true, is_it);
        let answer = |range: std::ops::Range<u16>| {
            let is_it = |message: &Message| {
                message.transaction() == transaction
                    && message.status().is_some_and(|s| range.contains(&s))
            };
            self.moments(false, is_it)
                .first()
                .copied()
                .unwrap_or(f64::INFINITY)
        };
        let (provisional, last) = (answer(100..200), answer(200..700));
        // RFC 3261, 17.1.1.2: a provisional response stops an INVITE; 17.1.2.2: it slows the others.
        let stop = if is_invite {
            provisional.min(last)
        } else {
            last
        };
        let interval = |number: i32, at: f64| match () {
            () if is_invite => T1 * 2f64.powi(number),
            () if provisional < at => T2,
            () => (T1 * 2f64.powi(number)).min(T2),
        };
        self.schedule(
            &format!("{method} of ours"),
            &sent,
            (stop, stop),
            &interval,
            faults,
        );
        if is_invite {
            self.acks(request, faults);
        }
    }

    /// Every final response to an INVITE is acknowledged, every time.
    fn acks(&self, invite: &Message, faults: &mut Vec<String>) {
        let number = invite.cseq().map(|(number, _)| number);
        let finals = self.moments(false, |message| {
            message.transaction() == invite.transaction() && message.status() >= Some(200)
        });
        let acks = self.moments(true, |message| {
            message.is_request("ACK") && message.cseq().map(|(known, _)| known) == number
        });
        for at in finals {
            if !acks.iter().any(|ack| (at..at + TOLERANCE).contains(ack))
                && at + TOLERANCE < self.last
            {
                faults.push(format!("no ACK for the final response at {at:.3}"));
            }
        }
    }

    /// A request of the peer.
    fn server(&self, request: &Message, faults: &mut Vec<String>) {
        let transaction = request.transaction();
        let (_, method) = transaction;
        let is_it =
            |message: &Message| message.status().is_none() && message.transaction() == transaction;
        let copies = self.moments(false, is_it);
        let answers = |from: u16| {
            self.moments(true, |message| {
                message.transaction() == transaction && message.status() >= Some(from)
            })
        };
        let (all, finals) = (answers(100), answers(200));
        let first_final = finals.first().copied().unwrap_or(f64::INFINITY);
        let patience = if method == "INVITE" {
            TRYING + TOLERANCE
        } else {
            TOLERANCE
        };
        for at in copies {
            // RFC 6026, 7.1: the 2xx of an INVITE has its own schedule.
            let is_absorbed = method == "INVITE" && first_final <= at;
            if !is_absorbed
                && at + patience < self.last
                && !all
                    .iter()
                    .any(|answer| (at..at + patience).contains(answer))
            {
                faults.push(format!("no answer to the {method} at {at:.3}"));
            }
        }
        if method == "INVITE" {
            let number = request.cseq().map(|(number, _)| number);
            let acks = self.moments(false, |message| {
                message.is_request("ACK") && message.cseq().map(|(known, _)| known) == number
            });
            let ack = acks.first().copied().unwrap_or(f64::INFINITY);
            // A 2xx is repeated until its ACK; whether a BYE spares it the RFC does not say.
            let bye = self.moments(false, |message| message.is_request("BYE"));
            let bye = bye.first().copied().unwrap_or(f64::INFINITY);
            let limits = (ack.min(bye), ack);
            let interval = |number: i32, _| (T1 * 2f64.powi(number)).min(T2);
            self.schedule("final response of ours", &finals, limits, &interval, faults);
        }
    }

    /// Is everything sent when it is due, until the first limit, and no more from the second on?
    fn schedule(
        &self,
        what: &str,
        sent: &[f64],
        (needed, stop): (f64, f64),
        interval: &dyn Fn(i32, f64) -> f64,
        faults: &mut Vec<String>,
    ) {
        let Some(&begin) = sent.first() else { return };
        let mut due = begin;
        for (number, &at) in (0..).zip(sent) {
            if at > stop + TOLERANCE {
                return faults.push(format!(
                    "{what} sent again at {at:.3}, {:.3} s after its answer",
                    at - stop
                ));
            }
            // A response that the peer lost is asked for again, and then comes out of turn.
            if (at - due).abs() > TOLERANCE {
                return faults.push(format!(
                    "{what} number {number} sent {:.3} s after the first, due at {:.3}",
                    at - begin,
                    due - begin
                ));
            }
            due = at + interval(number, at);
        }
        if due + TOLERANCE < needed.min(self.last) && due - begin < GIVE_UP - TOLERANCE {
            faults.push(format!(
                "{what} not sent again, due {:.3} s after the first",
                due - begin
            ));
        }
    }
}

/// Seconds, RFC 3261, table 4.
const T1: f64 = 0.5;
const T2: f64 = 4.0;
const GIVE_UP: f64 = 64.0 * T1;
/// What a loaded machine may add.
const TOLERANCE: f64 = 0.2;
/// RFC 3261, 17.2.1: an INVITE is answered by 100 at the latest after so many seconds.
const TRYING: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(lines: &[(f64, bool, &str, &str)]) -> Vec<Seen> {
        let made = lines.iter().map(|(at, is_ours, start, cseq)| {
            let branch = if cseq.ends_with("ACK") { "ack" } else { "one" };
            let text = format!(
                "{start}\r\nVia: SIP/2.0/UDP h;branch={branch}\r\nCall-ID: call\r\nCSeq: {cseq}\r\n\r\n"
            );
            let message = Message::of_datagram(text.as_bytes()).unwrap();
            Seen { at: *at, is_ours: *is_ours, message }
        });
        made.collect()
    }

    const INVITE: &str = "INVITE sip:b SIP/2.0";
    const BYE: &str = "BYE sip:b SIP/2.0";
    const ACK: &str = "ACK sip:b SIP/2.0";
    const OK: &str = "SIP/2.0 200 OK";

    #[test]
    fn our_requests_keep_their_times() {
        let good = [
            (0.0, true, INVITE, "1 INVITE"),
            (0.5, true, INVITE, "1 INVITE"),
            (1.5, true, INVITE, "1 INVITE"),
            (1.6, false, "SIP/2.0 180 R", "1 INVITE"),
            (9.0, false, OK, "1 INVITE"),
            (9.0, true, ACK, "1 ACK"),
            (9.5, false, OK, "1 INVITE"),
            (9.51, true, ACK, "1 ACK"),
            (20.0, true, ACK, "1 ACK"),
        ];
        assert_eq!(faults(&seen(&good)), Vec::<String>::new());
        for (gone, fault) in [
            (1, "number 1 sent 1.500"),
            (2, "not sent again"),
            (7, "no ACK"),
        ] {
            let mut lines = good.to_vec();
            lines.remove(gone);
            if gone == 2 {
                lines[2].0 = 2.0;
            }
            let found = faults(&seen(&lines));
            assert!(
                found.iter().any(|line| line.contains(fault)),
                "{fault}: {found:?}"
            );
        }
        let mut lines = good.to_vec();
        lines.insert(4, (3.5, true, INVITE, "1 INVITE"));
        assert!(faults(&seen(&lines))[0].contains("after its answer"));
    }

    #[test]
    fn other_requests_slow_down_and_end_with_the_final_response() {
        let mut lines: Vec<_> = [0.0, 0.5, 1.5, 3.5, 7.5, 11.5]
            .map(|at| (at, true, BYE, "2 BYE"))
            .to_vec();
        lines.push((11.6, false, OK, "2 BYE"));
        lines.push((40.0, false, OK, "2 BYE"));
        assert_eq!(faults(&seen(&lines)), Vec::<String>::new());
        lines[5].0 = 15.5;
        lines[6].0 = 15.6;
        assert!(faults(&seen(&lines))[0].contains("number 5"));
    }

    #[test]
    fn our_answers_come_again_until_the_ack() {
        let good = [
            (0.0, false, INVITE, "1 INVITE"),
            (0.0, true, "SIP/2.0 180 R", "1 INVITE"),
            (0.0, true, OK, "1 INVITE"),
            (0.4, false, INVITE, "1 INVITE"),
            (0.5, true, OK, "1 INVITE"),
            (1.5, true, OK, "1 INVITE"),
            (1.8, false, ACK, "1 ACK"),
            (3.0, false, BYE, "2 BYE"),
            (3.0, true, OK, "2 BYE"),
            (3.5, false, BYE, "2 BYE"),
            (3.5, true, OK, "2 BYE"),
            (9.0, false, ACK, "1 ACK"),
        ];
        assert_eq!(faults(&seen(&good)), Vec::<String>::new());
        for (gone, fault) in [
            (5, "not sent again"),
            (4, "number 1"),
            (10, "no answer to the BYE at 3.500"),
        ] {
            let mut lines = good.to_vec();
            lines.remove(gone);
            let found = faults(&seen(&lines));
            assert!(
                found.iter().any(|line| line.contains(fault)),
                "{fault}: {found:?}"
            );
        }
    }
}
