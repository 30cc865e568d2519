//! The account of an agent: messages between two agents, and a registrar written by hand.

use super::{World, config};
use crate::{
    agent::{Account, AccountError, Config, Message, Publish, Stats},
    event::{AccountEvent, Event, MessageEvent},
};
use std::time::Duration;

fn named(uri: &str) -> Account {
    Account {
        uri: Some(uri.parse().unwrap()),
        ..Account::default()
    }
}

fn account(host: u8) -> Config {
    let mut config = config(host);
    config
        .accounts
        .push(named(&format!("sip:user{host}@10.0.0.2")));
    config
}

#[test]
fn msg_01_02_03_messages_between_two_agents() {
    let mut world = World::new(vec![account(1), account(2)]);
    world.run(Duration::from_secs(1));
    for text in ["one", "two", "three"] {
        let message = Message::new("sip:user2@10.0.0.2".parse().unwrap(), text);
        world
            .command(0, |agent, now| agent.send_message(now, message))
            .unwrap();
    }
    world.run(Duration::from_secs(1));
    let got: Vec<_> = world.hosts[1]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Message(_, MessageEvent::GotMessage(message)) => message.content.clone(),
            _ => None,
        })
        .map(|content| String::from_utf8(content.body.to_vec()).unwrap())
        .collect();
    assert_eq!(got, ["one", "two", "three"]);
    let results = world.hosts[0].events.iter().filter(|event| {
        matches!(
            event,
            Event::Message(_, MessageEvent::GotResponse { code: 200, .. })
        )
    });
    assert_eq!(results.count(), 3);
    let event = world.hosts[1]
        .events
        .iter()
        .find(|event| event.name() == "SIPEngineGotMessage");
    let data = event.unwrap().data();
    assert_eq!(data["content_type"], "text/plain;charset=utf-8");
    assert_eq!(data["content_subtype"], "plain");
    assert_eq!(data["body"], "one");
    world.run(Duration::from_secs(100));
    for host in 0..2 {
        world.command(host, |agent, now| agent.shutdown(now));
    }
    world.run(Duration::from_secs(10));
    assert_eq!(world.hosts[0].agent.stats(), Stats::default());
}

#[test]
fn bug_20_an_application_answers() {
    let mut patient = account(2);
    patient.sip.message_answer = Some(Duration::from_secs(5));
    let mut world = World::new(vec![account(1), patient]);
    world.run(Duration::from_secs(1));
    let message = Message::new("sip:user2@10.0.0.2".parse().unwrap(), "hi");
    world
        .command(0, |agent, now| agent.send_message(now, message))
        .unwrap();
    world.run(Duration::from_secs(1));
    let id = world.hosts[1].events.iter().find_map(|event| match event {
        Event::Message(id, MessageEvent::GotMessage(_)) => Some(*id),
        _ => None,
    });
    world
        .command(1, |agent, now| agent.answer_message(now, id.unwrap(), 603))
        .unwrap();
    world.run(Duration::from_secs(1));
    assert!(world.hosts[0].events.iter().any(|event| matches!(
        event,
        Event::Message(_, MessageEvent::GotResponse { code: 603, .. })
    )));
}

/// An agent is no registrar: it says so, and the account tries again later (ACC-27, ACC-30, ACC-37).
#[test]
fn acc_24_27_30_a_registration_that_is_refused() {
    let mut world = World::new(vec![account(1), config(2)]);
    let early = world.command(0, |agent, now| agent.register(now, None));
    assert!(early.is_ok() || early == Err(AccountError::NotRunning));
    world.run(Duration::from_secs(1));
    world
        .command(0, |agent, now| agent.register(now, None))
        .unwrap();
    world.run(Duration::from_secs(1));
    let names: Vec<_> = world
        .names(0)
        .into_iter()
        .filter(|name| name.starts_with("SIPAccountWill") || name.starts_with("SIPAccountReg"))
        .collect();
    assert_eq!(
        names[..3],
        [
            "SIPAccountWillRegister",
            "SIPAccountRegistrationGotAnswer",
            "SIPAccountRegistrationDidFail"
        ]
    );
    let failed = world.hosts[0].events.iter().find_map(|event| match event {
        Event::Account(
            _,
            AccountEvent::RegistrationDidFail {
                code, retry_after, ..
            },
        ) => Some((*code, *retry_after)),
        _ => None,
    });
    assert_eq!(failed, Some((405, Some(3_600.0))));
    assert!(!world.hosts[0].agent.is_registered(None));
    world.command(0, |agent, now| agent.shutdown(now));
    world.run(Duration::from_secs(10));
    assert_eq!(world.hosts[0].agent.stats(), Stats::default());
    assert_eq!(world.names(0).last(), Some(&"SIPEngineDidEnd"));
}

/// RTE-05: the proxy stands in Route, as a loose router; the Request-URI stays who is asked.
#[test]
fn rte_05_an_outbound_proxy_is_a_loose_router() {
    for proxy in ["sip:10.0.0.2", "sip:10.0.0.2;lr", "sip:10.0.0.2;lr=on"] {
        let mut config = account(1);
        config.accounts[0].uri = Some("sip:alice@example.com".parse().unwrap());
        config.accounts[0].outbound_proxy = Some(proxy.parse().unwrap());
        let mut world = World::new(vec![config, account(2)]);
        world.run(Duration::from_secs(1));
        world
            .command(0, |agent, now| agent.register(now, None))
            .unwrap();
        let message = Message::new("sip:bob@example.net".parse().unwrap(), "hi");
        world
            .command(0, |agent, now| agent.send_message(now, message))
            .unwrap();
        world.run(Duration::from_secs(1));
        for line in [
            "REGISTER sip:example.com SIP/2.0",
            "MESSAGE sip:bob@example.net SIP/2.0",
        ] {
            let sent = world.hosts[0]
                .sent
                .iter()
                .find(|sent| sent.starts_with(line.as_bytes()));
            let text =
                String::from_utf8_lossy(sent.unwrap_or_else(|| panic!("{proxy}: no {line}")));
            assert!(text.contains("\r\nRoute: <sip:10.0.0.2;lr>\r\n"), "{text}");
        }
    }
}

#[test]
fn an_account_without_an_address_cannot_register() {
    let mut world = World::new(vec![config(1)]);
    world.run(Duration::from_secs(1));
    let refused = world.command(0, |agent, now| agent.register(now, None));
    assert_eq!(refused, Err(AccountError::NoAddress));
    let publish = Publish::new("presence", "application/pidf+xml", "<presence/>");
    let refused = world.command(0, |agent, now| agent.publish(now, publish));
    assert_eq!(refused, Err(AccountError::NoAddress));
}

/// PUB-05: told by its state; a server that knows no PUBLISH is asked again in an hour (ACC-39).
#[test]
fn pub_05_a_publication_that_is_refused() {
    let mut world = World::new(vec![account(1), config(2)]);
    world.run(Duration::from_secs(1));
    let publish = Publish::new("presence", "application/pidf+xml", "<presence/>");
    world
        .command(0, |agent, now| agent.publish(now, publish))
        .unwrap();
    world.run(Duration::from_secs(1));
    let states: Vec<_> = world.hosts[0]
        .events
        .iter()
        .filter(|event| event.name() == "SIPPublicationChangedState")
        .map(|event| event.data()["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states, ["publishing", "unpublished"]);
}
