//! `subscribe`, and an agent in this process that reports.

use super::{PATIENCE, Running, run, start};
use runtime_smol::{Events, Handle, Storage, seed};
use sipsimple::{
    agent::{Config, UserAgent},
    event::{AgentEvent, Event, IncomingSubscriptionEvent},
    sip::{Description, NotifierId, Package, usage::notifier::Reason},
};
use std::time::{Duration, Instant};

/// Reports on presence and waiting messages.
struct Notifier {
    handle: Handle,
    events: Events,
    uri: String,
}

impl Notifier {
    fn start() -> Self {
        let mut config = Config::new(seed().unwrap(), Duration::from_secs(1_795_000_000));
        config.addresses = vec![[127, 0, 0, 1].into()];
        config.packages = vec![
            Package::new("presence", vec!["application/pidf+xml".to_owned()]),
            Package::new("message-summary", Vec::new()),
        ];
        config.packages[0].min_expires = 1;
        let (handle, events) = runtime_smol::start(config, Storage::Memory).unwrap();
        let listening = until(&events, |event| match event {
            Event::Agent(AgentEvent::DidStart { listening }) => Some(listening.clone()),
            _ => None,
        });
        let udp = listening.iter().find(|at| !at.transport.is_reliable());
        let uri = format!("sip:bob@{}", udp.unwrap().address);
        Self {
            handle,
            events,
            uri,
        }
    }

    fn call(&self, act: impl FnOnce(&mut UserAgent, Instant) + Send + 'static) {
        smol::block_on(self.handle.call(act)).unwrap();
    }

    fn subscriber(&self) -> NotifierId {
        until(&self.events, |event| match event {
            Event::IncomingSubscription(id, IncomingSubscriptionEvent::GotSubscribe(_)) => {
                Some(*id)
            }
            _ => None,
        })
    }

    /// Waits for a subscriber, and tells it something.
    fn accept(&self, content_type: &'static str, body: &'static str) -> NotifierId {
        let id = self.subscriber();
        self.call(move |agent, now| {
            let content = document(content_type, body);
            agent.accept_subscription(now, id, content).unwrap();
        });
        id
    }

    fn end_reason(&self) -> String {
        until(&self.events, |event| match event {
            Event::IncomingSubscription(_, IncomingSubscriptionEvent::DidEnd { end_reason }) => {
                Some(end_reason.clone())
            }
            _ => None,
        })
    }

    fn start_verb(&self, options: &[&str]) -> Running {
        start(&[&["subscribe", self.uri.as_str()], options].concat())
    }
}

fn until<T>(events: &Events, choose: impl Fn(&Event) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told = smol::block_on(events.next_before(deadline)).expect("an event");
        if let Some(chosen) = choose(&told.event) {
            return chosen;
        }
    }
}

fn document(content_type: &str, body: &'static str) -> Option<Description> {
    Some(Description {
        content_type: content_type.to_owned(),
        body: body.into(),
    })
}

#[test]
fn sub_04_07_a_subscription_stands_until_it_is_interrupted() {
    let notifier = Notifier::start();
    for runtime in ["smol", "std"] {
        let verb = [
            "--event",
            "presence",
            "--expires",
            "2",
            "--runtime",
            runtime,
        ];
        let mut subscribed = notifier.start_verb(&verb);
        let id = notifier.accept("application/pidf+xml", "<presence/>");
        let report = subscribed.until("SIPSubscriptionGotNotify");
        assert_eq!(report["content_subtype"], "pidf+xml", "{report}");
        assert_eq!(report["body"], "<presence/>", "{report}");
        notifier.call(move |agent, now| {
            let content = document("application/pidf+xml", "<presence>away</presence>");
            agent.notify_subscriber(now, id, content).unwrap();
        });
        let report = subscribed.until("SIPSubscriptionGotNotify");
        assert_eq!(report["body"], "<presence>away</presence>", "{report}");
        // It is renewed after a second: the report that answers it says the same again.
        subscribed.until("SIPSubscriptionGotNotify");
        subscribed.interrupt();
        let ended = subscribed.end();
        let last = ended.assert_exit(130);
        assert_eq!(
            last["data"]["last"]["body"], "<presence>away</presence>",
            "{last}"
        );
        assert_eq!(notifier.end_reason(), "unsubscribed");
    }
}

#[test]
fn sub_01_once_and_for_a_time() {
    let notifier = Notifier::start();
    let summary = "Messages-Waiting: yes\r\nVoice-Message: 2/8 (0/2)\r\n";
    let once = notifier.start_verb(&["--event", "message-summary", "--once", "--trace"]);
    notifier.accept("application/simple-message-summary", summary);
    let ended = once.end();
    let last = ended.assert_exit(0);
    assert_eq!(last["data"]["last"]["body"], summary, "{last}");
    assert_eq!(last["data"]["notifies"], 1, "{last}");
    assert!(ended.stderr.contains("Expires: 0"), "{}", ended.stderr);
    assert!(ended.stderr.contains("NOTIFY sip:"), "{}", ended.stderr);
    let timed = notifier.start_verb(&["--timeout", "1"]);
    notifier.accept("application/pidf+xml", "<presence/>");
    timed.end().assert_exit(0);
    // Nobody decides: there is a report, though it says nothing.
    let undecided = notifier.start_verb(&["--once", "--timeout", "0.5"]);
    let last = undecided.end();
    assert_eq!(last.assert_exit(5)["reason"], "no report in time");
}

#[test]
fn sub_06_refusals_and_ends_have_their_exit() {
    let notifier = Notifier::start();
    // No such package, and nobody there.
    let unknown = notifier.start_verb(&["--event", "conference"]).end();
    let reason = unknown.assert_exit(7)["reason"].clone();
    assert_eq!(reason, "489 Bad Event");
    run(&["subscribe", "sip:bob@127.0.0.1:9;transport=tcp", "--no-udp"]).assert_exit(4);
    run(&["subscribe", "sip:bob@exa mple"]).assert_exit(1);
    run(&["subscribe", &notifier.uri, "--event", "a b"]).assert_exit(1);
    let refused = notifier.start_verb(&[]);
    let id = notifier.subscriber();
    notifier.call(move |agent, now| {
        agent.reject_subscription(now, id, 603, None).unwrap();
    });
    assert_eq!(refused.end().assert_exit(7)["reason"], "603 Decline");
    let ended = notifier.start_verb(&[]);
    let id = notifier.accept("application/pidf+xml", "<presence/>");
    notifier.call(move |agent, now| {
        let reason = Reason::Noresource;
        agent.terminate_subscription(now, id, reason, None).unwrap();
    });
    let last = ended.end();
    assert_eq!(last.assert_exit(7)["reason"], "terminated: noresource");
}
