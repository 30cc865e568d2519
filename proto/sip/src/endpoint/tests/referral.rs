//! REFER both ways, inside a call and outside, with a peer written by hand from RFC 3515.

mod incoming;
mod outgoing;

use super::{
    uas::{inside, value},
    *,
};
use crate::{
    HeaderName, Headers, IncomingReferralId, Method, ReferralId, Status,
    usage::{
        invitation::EndCause,
        notifier::NotifierEnd,
        referral::{IncomingReferralEvent, Refer, ReferralEnd, ReferralEvent},
        sipfrag::Sipfrag,
        subscription::{SubscribeError, SubscriptionEnd},
    },
};

fn text(request: &Request, name: HeaderName) -> String {
    let value = request.headers.get(name).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

/// A report inside the dialog of the call.
fn report(number: u32, tag: &str, event: &str, state: &str, line: &str) -> String {
    inside("NOTIFY", number, tag, "x").replace(
        "Content-Type: application/sdp\nContent-Length: 1\n\nx",
        &format!(
            "Event: {event}\nSubscription-State: {state}\nContent-Type: message/sipfrag;version=2.0\nContent-Length: {}\n\n{line}",
            line.len()
        ),
    )
}

/// REFER of the peer inside the dialog of the call.
fn refer(number: u32, tag: &str, further: &str) -> String {
    inside("REFER", number, tag, "").replace(
        "Content-Length: 0",
        &format!("{further}\nContent-Length: 0"),
    )
}

const TO_CAROL: &str = "Refer-To: <sip:carol@chicago.com>";

impl Wire {
    fn refer_in_call(&mut self) -> (ReferralId, Request) {
        let call = self.endpoint.invitations().next().expect("a call");
        let now = self.now;
        let refer = Refer::in_call(call, address("sip:carol@chicago.com"));
        let id = self.endpoint.refer(now, refer).unwrap();
        (id, self.request())
    }

    fn referral_events(&mut self) -> Vec<ReferralEvent> {
        self.drain();
        let events = std::mem::take(&mut self.events).into_iter();
        events
            .filter_map(|event| match event {
                Event::Referral(_, event) => Some(event),
                _ => None,
            })
            .collect()
    }

    fn incoming_referral(&mut self) -> (IncomingReferralId, usage::referral::IncomingRefer) {
        self.drain();
        let events = std::mem::take(&mut self.events).into_iter();
        let mut incoming = events.filter_map(|event| match event {
            Event::IncomingReferral(id, IncomingReferralEvent::Incoming(refer)) => {
                Some((id, *refer))
            }
            _ => None,
        });
        incoming.next().expect("a REFER")
    }
}

fn outcome(events: &[ReferralEvent]) -> (ReferralEnd, Option<u16>) {
    let ends: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ReferralEvent::Ended { outcome, code, .. } => {
                Some((outcome.clone(), code.map(Status::code)))
            }
            _ => None,
        })
        .collect();
    assert_eq!(ends.len(), 1, "{events:#?}");
    ends[0].clone()
}
