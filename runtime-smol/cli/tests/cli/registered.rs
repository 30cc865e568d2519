//! Registrations and messages through a server of one test: what is left behind, and what is not.

use super::{Place, Running, run, start};
use simulator::server::{Gate, Proxy, Quirk, Registrar, Rules, Shell};
use sipsimple::sip::auth::{Asker, Policy};
use std::net::IpAddr;

const DOMAIN: &str = "server.example";

/// A registrar and proxy that wants passwords.
struct Server {
    shell: Shell<Proxy>,
    place: Place,
}

impl Server {
    fn start(name: &str) -> Self {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let shell = Shell::start(ip, move |address| {
            let gate = |asker| {
                let mut policy = Policy::new(DOMAIN);
                policy.asker = asker;
                let mut gate = Gate::new(policy, [4; 32]);
                gate.add_user("alice", "wonderland");
                gate.add_user("bob", "zanzibar");
                gate
            };
            let mut registrar = Registrar::new(Rules::default());
            registrar.set_gate(gate(Asker::Server));
            let mut proxy = Proxy::new(address);
            proxy.add_name(DOMAIN, ip);
            proxy.set_registrar(registrar);
            proxy.set_gate(gate(Asker::Proxy));
            proxy
        });
        let place = Place::new(name);
        for (user, password) in [("alice", "wonderland"), ("bob", "zanzibar"), ("wrong", "x")] {
            std::fs::write(place.file(user), password).unwrap();
        }
        let shell = shell.unwrap();
        Self { shell, place }
    }

    /// Options of a user who shows the password of that name.
    fn options(&self, user: &str, password: &str, transport: &str) -> Vec<String> {
        let address = self.shell.address();
        [
            "--account",
            &format!("{user}@{DOMAIN}"),
            "--password-file",
            &self.place.file(password),
            "--proxy",
            &format!("sip:{address};transport={transport}"),
        ]
        .map(str::to_owned)
        .into()
    }

    fn start_verb(&self, verb: &[&str], user: &str, transport: &str) -> Running {
        let options = self.options(user, user, transport);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        start(&[verb, &options].concat())
    }

    fn contacts(&self, user: &'static str) -> usize {
        let contacts = self
            .shell
            .call(move |proxy, now| proxy.registrar().unwrap().contacts(now, user).len());
        contacts.unwrap()
    }
}

#[test]
fn rgn_03_a_registration_outlives_the_verb_until_it_is_taken_back() {
    let server = Server::start("cli-register");
    for transport in ["udp", "tcp"] {
        let once = server.start_verb(&["register"], "bob", transport).end();
        let last = once.assert_exit(0);
        assert!(last["data"]["expires"].as_u64().unwrap() > 0, "{last}");
        assert_eq!(server.contacts("bob"), 1, "{transport}");
        let taken_back = server.start_verb(&["register", "--unregister"], "bob", transport);
        taken_back.end().assert_exit(0);
        // Each run has a Contact of its own: the first one is still there.
        assert_eq!(server.contacts("bob"), 1, "{transport}");
        server.shell.call(|proxy, _| proxy.restart()).unwrap();
    }
}

#[test]
fn an_interruption_ends_registrations_properly() {
    let server = Server::start("cli-interrupted");
    for runtime in ["smol", "std"] {
        let verb = ["register", "--stay", "--runtime", runtime];
        let mut stays = server.start_verb(&verb, "bob", "udp");
        stays.until("registered");
        assert_eq!(server.contacts("bob"), 1);
        stays.interrupt();
        let ended = stays.end();
        ended.assert_exit(130);
        assert_eq!(server.contacts("bob"), 0, "{:#?}", ended.lines);
    }
    // What waits for a time ends in order, too.
    let timed = server.start_verb(&["register", "--stay", "--timeout", "0.2"], "bob", "tcp");
    timed.end().assert_exit(0);
    assert_eq!(server.contacts("bob"), 0);
}

#[test]
fn wrong_passwords_are_6_and_silent_registrars_5() {
    let server = Server::start("cli-refused");
    let options = server.options("bob", "wrong", "udp");
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    run(&[&["register"][..], &options].concat()).assert_exit(6);
    server
        .shell
        .call(|proxy, _| proxy.registrar().unwrap().set_quirk(Some(Quirk::Silent)))
        .unwrap();
    let silent = server.start_verb(&["register", "--timeout", "0.5"], "bob", "udp");
    silent.end().assert_exit(5);
}

#[test]
fn eng_43_a_message_goes_through_the_server_to_whom_is_registered() {
    let server = Server::start("cli-message");
    let verb = ["receive-messages", "--register", "--count", "1"];
    let mut receiver = server.start_verb(&verb, "bob", "tcp");
    receiver.until("SIPAccountRegistrationDidSucceed");
    let uri = format!("sip:bob@{DOMAIN}");
    let sent = server.start_verb(&["message", &uri, "see you at ten"], "alice", "udp");
    sent.end().assert_exit(0);
    let message = receiver.until("SIPEngineGotMessage");
    assert_eq!(message["body"], "see you at ten", "{message}");
    assert_eq!(
        message["from_uri"],
        format!("sip:alice@{DOMAIN}"),
        "{message}"
    );
    receiver.end().assert_exit(0);
    assert_eq!(server.contacts("bob"), 0);
    // Nobody is there any more.
    let sent = server.start_verb(&["message", &uri, "where are you"], "alice", "udp");
    let last = sent.end();
    let reason = last.assert_exit(7)["reason"].as_str().unwrap();
    assert!(reason.starts_with("480 "), "{reason}");
}
