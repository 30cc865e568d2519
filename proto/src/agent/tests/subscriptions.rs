//! Subscriptions between two agents: the first subscribes, the second reports.

use super::{World, config, origin};
use crate::{
    agent::{
        Account, Config, Stats, Subscribe, SubscribeError, SubscriptionError, SubscriptionId,
        replay,
    },
    event::{AgentEvent, Event, IncomingSubscriptionEvent, SubscriptionEvent},
};
use sip::{
    Description, NotifierId, Package,
    usage::notifier::{NotifierError, PackageError, Reason},
};
use std::time::Duration;

fn watcher() -> Config {
    let mut config = config(1);
    config.accounts.push(Account {
        uri: "sip:alice@10.0.0.1".parse().ok(),
        display_name: Some("Alice".to_owned()),
        ..Account::default()
    });
    config
}

fn notifier() -> Config {
    let mut config = config(2);
    config.accounts.push(Account {
        uri: "sip:bob@10.0.0.2".parse().ok(),
        ..Account::default()
    });
    let types = vec!["application/pidf+xml".to_owned()];
    config.packages.push(Package::new("presence", types));
    config
}

fn pidf(text: &str) -> Option<Description> {
    Some(Description {
        content_type: "application/pidf+xml;charset=utf-8".to_owned(),
        body: text.to_owned().into(),
    })
}

fn bob() -> sip::Uri {
    "sip:bob@10.0.0.2".parse().unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl World {
    fn subscribing() -> (Self, SubscriptionId) {
        let mut world = Self::new(vec![watcher(), notifier()]);
        world.run(seconds(1));
        let id = world.subscribe(Subscribe::new(bob(), "presence"));
        world.run(Duration::from_millis(100));
        (world, id)
    }

    fn subscribe(&mut self, subscribe: Subscribe) -> SubscriptionId {
        self.command(0, |agent, now| agent.subscribe(now, subscribe))
            .unwrap()
    }

    /// The last subscription that has come.
    fn incoming(&self) -> NotifierId {
        let mut events = self.hosts[1].events.iter().rev();
        let incoming = events.find_map(|event| match event {
            Event::IncomingSubscription(id, IncomingSubscriptionEvent::GotSubscribe(_)) => {
                Some(*id)
            }
            _ => None,
        });
        incoming.expect("a subscription")
    }

    fn accept(&mut self, text: &str) -> NotifierId {
        let id = self.incoming();
        self.command(1, |agent, now| {
            agent.accept_subscription(now, id, pidf(text))
        })
        .unwrap();
        self.run(Duration::from_millis(100));
        id
    }

    /// What a host was told about subscriptions: names without `SIP…Subscription`, states, bodies.
    fn told(&mut self, host: usize) -> Vec<String> {
        let events = std::mem::take(&mut self.hosts[host].events);
        let about = events.iter().filter(|event| {
            matches!(
                event,
                Event::Subscription(..) | Event::IncomingSubscription(..)
            )
        });
        let line = |event: &Event| {
            let name = event.name().rsplit("Subscription").next().unwrap();
            let data = event.data();
            let text = |field: &str| data[field].as_str().map(|text| format!(" {text}"));
            let known = ["state", "body", "error", "end_reason"];
            let texts = known.iter().filter_map(|field| text(field));
            format!("{name}{}", texts.collect::<String>())
        };
        about.map(line).collect()
    }

    fn requests(&self, host: usize, method: &str) -> Vec<String> {
        let sent = self.hosts[host].sent.iter();
        sent.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .filter(|text| text.starts_with(&format!("{method} ")))
            .collect()
    }

    fn end(mut self) {
        for host in 0..2 {
            self.command(host, |agent, now| agent.shutdown(now));
        }
        self.run(seconds(10));
        for host in &self.hosts {
            assert_eq!(host.agent.stats(), Stats::default());
            let report = replay(origin(), &host.record, Vec::new()).unwrap();
            assert_eq!(report.difference, None);
        }
    }
}

/// SUB-01, SUB-03, SUB-04, SUB-06, SUB-07, SUB-09, SUB-10.
#[test]
fn sub_01_03_04_06_07_09_10_both_sides_from_pending_to_the_end() {
    let (mut world, id) = World::subscribing();
    let request = &world.requests(0, "SUBSCRIBE")[0];
    for line in [
        "SUBSCRIBE sip:bob@10.0.0.2 SIP/2.0\r\n",
        "From: \"Alice\" <sip:alice@10.0.0.1>;tag=",
        "Event: presence\r\n",
        "Expires: 300\r\n",
    ] {
        assert!(request.contains(line), "{line} not in {request}");
    }
    let got = world.hosts[1].events.iter().find_map(|event| match event {
        Event::IncomingSubscription(_, IncomingSubscriptionEvent::GotSubscribe(got)) => Some(got),
        _ => None,
    });
    let got = got.expect("a subscription").clone();
    assert_eq!(got.account, world.hosts[1].agent.default_account());
    assert_eq!(got.from_uri.as_str(), "sip:alice@10.0.0.1");
    assert_eq!(got.from_display_name.as_deref(), Some("Alice"));
    assert_eq!((got.event.as_str(), got.expires), ("presence", 300));
    let incoming = world.incoming();
    world
        .command(1, |agent, now| agent.pend_subscription(now, incoming))
        .unwrap();
    world.run(Duration::from_millis(100));
    assert_eq!(
        world.told(0),
        [
            "ChangedState sent",
            "ChangedState accepted",
            "DidSucceed",
            "ChangedState pending",
            "GotNotify ",
        ]
    );
    world.accept("open");
    world
        .command(1, |agent, now| {
            agent.notify_subscriber(now, incoming, pidf("busy"))
        })
        .unwrap();
    world.run(seconds(1));
    assert_eq!(
        world.told(0),
        ["ChangedState active", "GotNotify open", "GotNotify busy"]
    );
    world
        .command(0, |agent, now| agent.renew_subscription(now, id))
        .unwrap();
    world.run(seconds(1));
    assert_eq!(world.told(0), ["GotNotify busy"]);
    world
        .command(0, |agent, now| agent.unsubscribe(now, id))
        .unwrap();
    let again = world.command(0, |agent, now| agent.unsubscribe(now, id));
    assert_eq!(again, Err(SubscriptionError::WrongState));
    world.run(seconds(1));
    assert_eq!(
        world.told(0),
        [
            "WillEnd",
            "GotNotify busy",
            "ChangedState terminated",
            "DidEnd"
        ]
    );
    assert_eq!(
        world.told(1),
        [
            "GotSubscribe ",
            "ChangedState pending",
            "NotifyDidSucceed",
            "ChangedState active",
            "NotifyDidSucceed",
            "NotifyDidSucceed",
            "GotRefreshingSubscribe",
            "NotifyDidSucceed",
            "ChangedState terminated",
            "DidEnd unsubscribed",
        ]
    );
    let gone = world.command(0, |agent, now| agent.renew_subscription(now, id));
    assert_eq!(gone, Err(SubscriptionError::Unknown));
    let over = world.command(1, |agent, now| agent.notify_subscriber(now, incoming, None));
    assert!(matches!(over, Err(NotifierError::WrongState(_))));
    world.end();
}

/// The document's fields (SUB-07); BUG-05, BUG-13.
#[test]
fn sub_07_bug_05_13_what_a_report_holds() {
    let (mut world, _) = World::subscribing();
    let id = world.accept("open");
    world
        .command(1, |agent, now| agent.notify_subscriber(now, id, None))
        .unwrap();
    world.run(seconds(1));
    let reports: Vec<_> = world.hosts[0]
        .events
        .iter()
        .filter(|event| event.name() == "SIPSubscriptionGotNotify")
        .map(Event::data)
        .collect();
    assert_eq!(
        reports,
        [
            serde_json::json!({
                "content_type": "application/pidf+xml;charset=utf-8",
                "content_subtype": "pidf+xml",
                "body": "open",
            }),
            serde_json::json!({ "content_type": "", "content_subtype": "", "body": "" }),
        ]
    );
    world.end();
}

/// SUB-08: it is renewed in time, again and again.
#[test]
fn sub_08_it_is_kept_alive() {
    let (mut world, _) = World::subscribing();
    world.accept("open");
    world.run(seconds(1_000));
    // RGN-07: each 69 s before its end, or up to 5 % earlier.
    assert_eq!(world.requests(0, "SUBSCRIBE").len(), 5);
    let told = world.told(1);
    let renewed = told.iter().filter(|told| told.starts_with("GotRefreshing"));
    assert_eq!(renewed.count(), 4, "{told:?}");
    assert!(!told.iter().any(|told| told.starts_with("DidEnd")));
    world.end();
}

/// ENG-25, ENG-30, ENG-47, ENG-48, BUG-21: the packages decide who gets 489, and may change.
#[test]
fn eng_25_30_47_48_only_what_is_reported_on() {
    let mut broken = notifier();
    broken.packages.push(Package::new("refer", Vec::new()));
    let mut world = World::new(vec![watcher(), broken]);
    let logged = world.hosts[1].events.iter().any(|event| {
        matches!(event, Event::Agent(AgentEvent::Log { message, .. }) if message.contains("refer"))
    });
    assert!(logged);
    let early = world.command(0, |agent, now| {
        agent.subscribe(now, Subscribe::new(bob(), "dialog"))
    });
    assert_eq!(early, Err(SubscribeError::NotRunning));
    world.run(seconds(1));
    world.subscribe(Subscribe::new(bob(), "dialog"));
    world.run(seconds(1));
    assert_eq!(
        world.told(0),
        [
            "ChangedState sent",
            "ChangedState terminated",
            "DidFail refused"
        ]
    );
    assert_eq!(world.told(1), [""; 0]);
    let answers = world.requests(1, "SIP/2.0 489");
    assert!(answers[0].contains("Allow-Events: presence\r\n"));
    let package = Package::new("dialog", Vec::new());
    let added = world.command(1, |agent, now| agent.add_package(now, package.clone()));
    assert_eq!(added, Ok(()));
    let added = world.command(1, |agent, now| agent.add_package(now, package));
    assert_eq!(added, Err(PackageError::Known));
    // ACC-39: after an hour.
    world.run(seconds(3_605));
    assert_eq!(
        world.told(1)[..2],
        ["GotSubscribe ", "ChangedState pending"]
    );
    assert!(world.command(1, |agent, now| agent.remove_package(now, "dialog")));
    assert!(!world.command(1, |agent, now| agent.remove_package(now, "dialog")));
    world.told(0);
    world.subscribe(Subscribe::new(bob(), "dialog"));
    world.run(seconds(1));
    assert!(world.told(0).contains(&"DidFail refused".to_owned()));
    world.end();
}

/// RFC 6665, 4.1.3: what the notifier says of its end decides.
#[test]
fn acc_39_an_end_has_its_consequence() {
    for (reason, retry_after, again) in [
        (Reason::Deactivated, None, Some(0..=0)),
        (Reason::Timeout, Some(50), Some(0..=0)),
        (Reason::Probation, Some(50), Some(50..=50)),
        (Reason::Giveup, None, Some(15..=30)),
        (Reason::Rejected, Some(50), None),
        (Reason::Noresource, None, None),
        (Reason::Invariant, None, None),
    ] {
        let (mut world, subscription) = World::subscribing();
        let id = world.accept("open");
        let (begun, before) = (world.now, world.requests(0, "SUBSCRIBE").len());
        world
            .command(1, |agent, now| {
                agent.terminate_subscription(now, id, reason, retry_after)
            })
            .unwrap();
        let mut after = None;
        while after.is_none() && world.now < begun + seconds(60) {
            world.run(Duration::from_millis(10));
            let has_asked = world.requests(0, "SUBSCRIBE").len() > before;
            after = has_asked.then(|| (world.now - begun).as_secs());
        }
        match again {
            Some(range) => assert!(after.is_some_and(|s| range.contains(&s)), "{after:?}"),
            None => assert_eq!(after, None, "{reason:?}"),
        }
        let told = world.told(0);
        let failed = format!("DidFail terminated: {}", reason.as_str());
        assert!(told.contains(&failed), "{told:?}");
        let known = world.command(0, |agent, now| agent.unsubscribe(now, subscription));
        assert_eq!(known.is_ok(), after.is_some());
        world.end();
    }
}

/// A notifier that refuses; and one that goes away: it says `probation`.
#[test]
fn sub_05_09_refused_and_shut_down() {
    let (mut world, _) = World::subscribing();
    let id = world.incoming();
    let wrong = world.command(1, |agent, now| {
        agent.reject_subscription(now, id, 200, None)
    });
    assert_eq!(wrong, Err(NotifierError::WrongStatus));
    world
        .command(1, |agent, now| {
            agent.reject_subscription(now, id, 603, Some("Not you"))
        })
        .unwrap();
    world.run(seconds(1));
    let failed = world.hosts[0].events.iter().find_map(|event| match event {
        Event::Subscription(
            _,
            SubscriptionEvent::DidFail {
                code,
                reason,
                retry_after,
                ..
            },
        ) => Some((*code, reason.clone(), *retry_after)),
        _ => None,
    });
    assert_eq!(failed, Some((Some(603), Some("Not you".to_owned()), None)));
    assert!(world.told(1).contains(&"DidEnd rejected".to_owned()));
    world.subscribe(Subscribe::new(bob(), "presence"));
    world.run(Duration::from_millis(100));
    world.accept("open");
    // Lost once: the agent does not end before its last report has arrived.
    let mut lost = 0;
    world.drop = Box::new(move |from, _, _| {
        lost += usize::from(from == 1);
        lost == 1 && from == 1
    });
    world.command(1, |agent, now| agent.shutdown(now));
    world.run(seconds(5));
    assert!(
        world
            .told(0)
            .contains(&"DidFail terminated: probation".to_owned())
    );
    assert_eq!(world.hosts[1].agent.stats(), Stats::default());
    world.end();
}

/// Asked once: no subscription is left, and it is not asked again (RFC 6665, 4.4.3).
#[test]
fn sub_01_asked_once() {
    let mut world = World::new(vec![watcher(), notifier()]);
    world.run(seconds(1));
    let mut once = Subscribe::new(bob(), "presence");
    once.expires = Duration::ZERO;
    once.accept = vec!["application/pidf+xml".to_owned()];
    once.headers = vec![("X-Why".to_owned(), "curious".to_owned())];
    world.subscribe(once);
    world.run(Duration::from_millis(100));
    world.accept("open");
    world.run(seconds(1));
    let request = &world.requests(0, "SUBSCRIBE")[0];
    for line in [
        "Expires: 0\r\n",
        "Accept: application/pidf+xml\r\n",
        "X-Why: curious\r\n",
    ] {
        assert!(request.contains(line), "{line} not in {request}");
    }
    let told = world.told(0);
    assert!(told.contains(&"GotNotify open".to_owned()), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("DidEnd"));
    assert_eq!(world.hosts[0].agent.stats().subscriptions, 0);
    world.run(seconds(100));
    assert_eq!(world.requests(0, "SUBSCRIBE").len(), 1);
    world.end();
}

/// Misuse changes nothing, and a limit is kept (SUB-05, SES-13).
#[test]
fn sub_02_05_what_cannot_be_asked_for() {
    let mut config = watcher();
    config.limits.subscriptions = 1;
    let mut world = World::new(vec![config, notifier()]);
    world.run(seconds(1));
    let ask = |world: &mut World, subscribe: Subscribe| {
        world.command(0, |agent, now| agent.subscribe(now, subscribe))
    };
    let mut header = Subscribe::new(bob(), "presence");
    header.headers = vec![("X\r\nY".to_owned(), String::new())];
    assert!(matches!(
        ask(&mut world, header),
        Err(SubscribeError::Header(_))
    ));
    for event in ["refer", "a b", ""] {
        let refused = ask(&mut world, Subscribe::new(bob(), event));
        assert!(matches!(refused, Err(SubscribeError::Refused(_))));
    }
    let mut reserved = Subscribe::new(bob(), "presence");
    reserved.headers = vec![("Event".to_owned(), "dialog".to_owned())];
    let refused = ask(&mut world, reserved);
    assert!(matches!(refused, Err(SubscribeError::Refused(_))));
    assert_eq!(world.requests(0, "SUBSCRIBE"), [""; 0]);
    let id = world.subscribe(Subscribe::new(bob(), "presence"));
    let early = world.command(0, |agent, now| agent.renew_subscription(now, id));
    assert_eq!(early, Err(SubscriptionError::WrongState));
    let more = ask(&mut world, Subscribe::new(bob(), "presence"));
    assert_eq!(more, Err(SubscribeError::TooMany));
    world.end();
}

/// AMG-10: what an account is subscribed to ends with it, and so do the subscriptions to it.
#[test]
fn amg_10_an_account_takes_its_subscriptions_with_it() {
    for host in 0..2 {
        let (mut world, _) = World::subscribing();
        world.accept("open");
        let account = world.hosts[host].agent.default_account().unwrap();
        world
            .command(host, |agent, now| agent.remove_account(now, account))
            .unwrap();
        world.run(seconds(1));
        let end = ["DidEnd", "DidFail terminated: probation"][host];
        let told = world.told(0);
        assert!(told.iter().any(|told| told == end), "{told:?}");
        let told = world.told(1);
        assert_eq!(
            told.last().map(String::as_str),
            Some(["DidEnd unsubscribed", "DidEnd terminated"][host])
        );
        world.end();
    }
}
