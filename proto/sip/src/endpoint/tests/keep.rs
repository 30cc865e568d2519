//! Ways that are kept open, and what follows when one is dead (RFC 5626, 4.4 and 4.5).

use super::{bare::Bare, registration::answer, *};
use crate::{RegistrationEvent, RegistrationId, usage::registration::Registration};
use base::LinkError;

const SECOND: Duration = Duration::from_secs(1);

impl Bare {
    fn register(&mut self, instance: bool, transport: Transport) -> (RegistrationId, Request) {
        let mut registration = Registration::new(address("sip:bob@example.com")).unwrap();
        registration.expires = 3_600 * SECOND;
        registration.instance = instance.then(|| "urn:uuid:1".to_owned());
        let id = self.endpoint.register(self.now, registration).unwrap();
        self.resolve(&[(transport, "192.0.2.9:5060")]);
        if transport == Transport::Tcp {
            self.connect("192.0.2.1:40000");
        }
        (id, self.request().1)
    }

    fn connect(&mut self, local: &str) {
        let (flow, _) = self.connects.remove(0);
        let (local, peer) = (local.parse().unwrap(), None);
        self.feed(Input::FlowUp { flow, local, peer });
    }

    fn reply(&mut self, request: &Request, further: &str) {
        let from: SocketAddr = "192.0.2.9:5060".parse().unwrap();
        let flow = self.flow_of(&from);
        let message = wire(&answer(request, "200 OK", further));
        self.feed(Input::Message {
            flow,
            from,
            message,
        });
    }

    /// The flow that is kept, for how long at most a pause is, and whether an answer must come.
    fn kept(&mut self) -> (FlowId, u64, bool) {
        assert_eq!(self.pulses.len(), 1, "{:?}", self.pulses);
        let (flow, to, pulse) = self.pulses.remove(0);
        assert_eq!(to.to_string(), "192.0.2.9:5060");
        let pulse = pulse.expect("a way is kept");
        (flow, pulse.every.as_secs(), pulse.is_answered)
    }

    /// After which time a failed flow will be registered anew.
    fn failed(&mut self) -> Duration {
        let events = std::mem::take(&mut self.events).into_iter();
        let mut failed = events.filter_map(|event| match event {
            Event::Registration(_, RegistrationEvent::FlowFailed { retry_after, .. }) => {
                Some(retry_after)
            }
            _ => None,
        });
        failed.next().expect("the application is told")
    }
}

/// A response as it is sent.
fn wire(text: &str) -> Bytes {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    (lines.join("\r\n") + "\r\n\r\n").into()
}

/// Our Contact, as a registrar returns it.
fn contact(request: &Request) -> String {
    let contacts = request.headers.get_all(crate::HeaderName::Contact);
    let contact = contacts.last().unwrap();
    format!(
        "Contact: {};expires=3600\r\n",
        String::from_utf8_lossy(contact)
    )
}

#[test]
fn the_way_to_a_registrar_is_kept_open_as_it_wants_it() {
    for (transport, further, expected) in [
        (Transport::Udp, "", (29, false)),
        (Transport::Tcp, "", (120, false)),
        (Transport::Udp, "Require: outbound\r\n", (29, true)),
        (
            Transport::Tcp,
            "Require: outbound\r\nFlow-Timer: 45\r\n",
            (45, true),
        ),
        // Longer than ours, and as short as nobody means it.
        (
            Transport::Udp,
            "Require: outbound\r\nFlow-Timer: 300\r\n",
            (29, true),
        ),
        (
            Transport::Udp,
            "Require: outbound\r\nFlow-Timer: 0\r\n",
            (5, true),
        ),
    ] {
        let mut bare = Bare::new(Config::default());
        let (id, request) = bare.register(true, transport);
        assert_eq!(bare.pulses, []);
        let answer = contact(&request) + further;
        bare.reply(&request, &answer);
        let (flow, every, is_answered) = bare.kept();
        assert_eq!((every, is_answered), expected, "{transport} {further}");
        // It ends with the registration.
        let now = bare.now;
        bare.endpoint.registration(id).unwrap().unregister(now);
        bare.resolve(&[(transport, "192.0.2.9:5060")]);
        let (_, request) = bare.request();
        bare.reply(&request, "");
        assert_eq!(
            bare.pulses.pop().map(|(of, _, to)| (of, to)),
            Some((flow, None))
        );
    }
}

#[test]
fn by_configuration_nothing_is_kept() {
    let mut config = Config::default();
    config.keep_alive.without_outbound = false;
    config.keep_alive.stream = None;
    for (transport, further) in [
        (Transport::Udp, ""),
        (Transport::Tcp, "Require: outbound\r\n"),
    ] {
        let mut bare = Bare::new(config.clone());
        let (_, request) = bare.register(true, transport);
        let answer = contact(&request) + further;
        bare.reply(&request, &answer);
        assert_eq!(bare.pulses, []);
    }
}

#[test]
fn two_accounts_of_one_registrar_share_their_way() {
    let mut bare = Bare::new(Config::default());
    let (first, request) = bare.register(false, Transport::Udp);
    bare.reply(&request, &contact(&request));
    let (flow, ..) = bare.kept();
    let (second, request) = bare.register(true, Transport::Udp);
    let answer = contact(&request) + "Require: outbound\r\nFlow-Timer: 20\r\n";
    bare.reply(&request, &answer);
    assert_eq!(bare.kept(), (flow, 20, true));
    for (id, left) in [(second, Some((29, false))), (first, None)] {
        let now = bare.now;
        bare.endpoint.registration(id).unwrap().remove(now);
        bare.resolve(&[(Transport::Udp, "192.0.2.9:5060")]);
        let (_, request) = bare.request();
        bare.reply(&request, "");
        let (_, _, pulse) = bare.pulses.remove(0);
        let pulse = pulse.map(|pulse| (pulse.every.as_secs(), pulse.is_answered));
        assert_eq!(pulse, left);
    }
}

/// BUG-26 is about requests; this is about us being reached: a dead flow is told, and replaced after
/// the time of RFC 5626, 4.5.
#[test]
fn rfc_5626_a_dead_connection_is_replaced_after_a_jittered_time() {
    let mut bare = Bare::new(Config::default());
    let (_, request) = bare.register(true, Transport::Tcp);
    bare.reply(&request, &(contact(&request) + "Require: outbound\r\n"));
    let (flow, ..) = bare.kept();
    let mut least = 15 * SECOND;
    for _ in 0..2 {
        let dead = bare.flow_of(&"192.0.2.9:5060".parse().unwrap());
        let error = Some(LinkError::TimedOut);
        bare.feed(Input::FlowDown { flow: dead, error });
        let wait = bare.failed();
        assert!((15 * SECOND..=30 * SECOND).contains(&wait), "{wait:?}");
        assert_eq!(bare.pulses, [], "nothing is kept of what is gone");
        bare.wait(wait - ms(1));
        assert_eq!(bare.lookups.len(), 0);
        bare.wait(ms(1));
        bare.resolve(&[(Transport::Tcp, "192.0.2.9:5060")]);
        bare.connect("192.0.2.1:40001");
        let (_, again) = bare.request();
        assert_eq!(again.method, crate::Method::Register);
        bare.reply(&again, &(contact(&again) + "Require: outbound\r\n"));
        assert_ne!(bare.kept().0, flow);
        least = least.min(wait);
    }
}

/// RFC 5626, 4.4.2: the translator has lost its binding, and our Contact with it.
#[test]
fn rfc_5626_a_peer_of_datagrams_that_is_lost_is_registered_anew() {
    let mut bare = Bare::new(Config::default());
    let (_, request) = bare.register(false, Transport::Udp);
    let seen = |request: &Request, port: u16| {
        let text = String::from_utf8(request.to_bytes().to_vec()).unwrap();
        let via = text.lines().find(|line| line.starts_with("Via:")).unwrap();
        let plain = answer(request, "200 OK", &contact(request));
        let with_rport = via.replace(";rport", &format!(";rport={port};received=203.0.113.7"));
        plain.replace(via, &with_rport)
    };
    let from: SocketAddr = "192.0.2.9:5060".parse().unwrap();
    let flow = bare.flow_of(&from);
    let feed = |bare: &mut Bare, message: String| {
        let message = wire(&message);
        bare.feed(Input::Message {
            flow,
            from,
            message,
        });
    };
    feed(&mut bare, seen(&request, 4_000));
    bare.resolve(&[(Transport::Udp, "192.0.2.9:5060")]);
    let (_, rewritten) = bare.request();
    feed(&mut bare, seen(&rewritten, 4_000));
    assert!(contact(&rewritten).contains("203.0.113.7:4000"));
    bare.feed(Input::FlowFailed { flow, to: from });
    let wait = bare.failed();
    bare.wait(wait);
    bare.resolve(&[(Transport::Udp, "192.0.2.9:5060")]);
    let (_, again) = bare.request();
    let contacts: Vec<_> = again.headers.get_all(crate::HeaderName::Contact).collect();
    let contacts: Vec<_> = contacts
        .into_iter()
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .collect();
    // What was registered is removed, and the new address found as the first was.
    assert_eq!(
        contacts,
        [
            "<sip:bob@203.0.113.7:4000>;expires=0",
            "<sip:bob@192.0.2.1:5060>"
        ]
    );
    // Somebody else is no news to it.
    bare.events.clear();
    let to = "192.0.2.77:5060".parse().unwrap();
    bare.feed(Input::FlowFailed { flow, to });
    assert!(bare.events.is_empty());
}
