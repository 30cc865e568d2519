//! SIP over WebSockets (RFC 7118), against a server whose frames are made by hand.

use bytes::Bytes;
use simulator::{HostId, World, server::WebServer};
use sip::{HeaderName, Message, Request, Response, Status};
use sipsimple::{
    agent::{Account, Config, UserAgent},
    event::{AccountEvent, Event},
};
use std::{net::IpAddr, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
const SERVER: &str = "10.0.0.9:8080";

fn ip(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

/// A registrar without memory: it grants what is asked, and keeps to RFC 5626.
fn registrar(message: &Message) -> Vec<Bytes> {
    let Message::Request(request) = message else {
        return Vec::new();
    };
    let mut response = Response::to_request(request, Status::OK, Some("server"));
    if let Some(contact) = request.headers.get(HeaderName::Contact) {
        let contact = format!("{};expires=600", String::from_utf8_lossy(contact));
        response.headers.push(HeaderName::Contact, contact.as_str());
        response.headers.push(HeaderName::Require, "outbound");
        response.headers.push(HeaderName::Supported, "outbound");
    }
    vec![response.to_bytes()]
}

struct Stage {
    world: World,
    bob: HostId,
    server: HostId,
}

impl Stage {
    fn new(refusal: Option<&'static str>) -> Self {
        let mut world = World::new(9);
        let mut config = Config::new([8; 32], Duration::from_secs(1_735_689_600));
        config.udp_port = Some(5060);
        config.tcp_port = Some(5060);
        config.record = true;
        config.web_socket_path = "/sip".to_owned();
        let mut account = Account::default();
        account.uri = Some("sip:bob@example.com".parse().unwrap());
        let proxy = format!("sip:{SERVER};lr;transport=ws");
        account.outbound_proxy = Some(proxy.parse().unwrap());
        account.instance_id = Some("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6".to_owned());
        config.accounts.push(account);
        let agent = UserAgent::new(world.now(), config);
        let bob = world.add_host("bob", &[ip(2)], agent);
        let mut server = WebServer::new(SERVER.parse().unwrap(), registrar);
        server.set_refusal(refusal);
        let server = world.add_host("server", &[ip(9)], server);
        world.run_for(SECOND);
        world.command(bob, "register", |agent: &mut UserAgent, now| {
            agent.register(now, None).unwrap();
        });
        world.run_for(SECOND);
        Self { world, bob, server }
    }

    fn serve<R>(&mut self, act: impl FnOnce(&mut WebServer) -> R) -> R {
        let result = self
            .world
            .command(self.server, "act", |server: &mut WebServer, _| act(server));
        self.world.run_for(SECOND);
        result
    }

    fn received(&mut self) -> Vec<Message> {
        let received = self.serve(WebServer::take_received);
        let messages = received.into_iter().map(Message::parse);
        messages.collect::<Result<_, _>>().unwrap()
    }

    fn request(&mut self) -> Request {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        match received.remove(0) {
            Message::Request(request) => request,
            Message::Response(response) => panic!("{response:?}"),
        }
    }

    /// What the account was told since the last time.
    fn told(&mut self) -> Vec<AccountEvent> {
        let told = self.world.take_inbox(self.bob).notifications.into_iter();
        let of_account = told.filter_map(|told| match told.event {
            Event::Account(_, event) => Some(event),
            _ => None,
        });
        of_account.collect()
    }

    fn is_registered(&mut self) -> bool {
        self.world
            .command(self.bob, "look", |agent: &mut UserAgent, _| {
                agent.is_registered(None)
            })
    }

    /// The recording holds no frame, and is replayed without any.
    fn replay(self) {
        let recording = &self.world.host(self.bob).recordings()[0];
        assert!(!recording.is_empty());
        let text = String::from_utf8_lossy(recording);
        assert!(!text.contains("Sec-WebSocket"));
        let report = sipsimple::agent::replay(self.world.start(), recording, Vec::new()).unwrap();
        assert_eq!(report.difference, None);
    }
}

/// RFC 7118, 5 and 8.1.
#[test]
fn rfc_7118_we_register_over_a_web_socket() {
    let mut stage = Stage::new(None);
    assert!(stage.is_registered());
    let asked = stage.serve(|server| server.requests().to_vec());
    assert_eq!(asked.len(), 1);
    assert!(asked[0].starts_with("GET /sip HTTP/1.1\r\nHost: 10.0.0.9:8080\r\n"));
    let register = stage.request();
    let via = register.headers.via().unwrap();
    assert_eq!(via.transport(), "WS");
    let name = via.sent_by().to_string();
    assert!(name.ends_with(".invalid"), "{name}");
    let contact = register.headers.get(HeaderName::Contact).unwrap();
    let contact = String::from_utf8_lossy(contact);
    assert!(
        contact.contains(&format!("@{name};transport=ws>")),
        "{contact}"
    );
    stage.replay();
}

/// A request comes in pieces and without Content-Length, with pings between its frames.
#[test]
fn rfc_7118_one_message_is_one_web_socket_message() {
    let mut stage = Stage::new(None);
    let register = stage.request();
    let contact = register.headers.get(HeaderName::Contact).unwrap();
    let contact = String::from_utf8_lossy(contact).into_owned();
    let (_, uri) = contact.split_once('<').unwrap();
    let (uri, _) = uri.split_once('>').unwrap();
    let options = format!(
        "OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/WS proxy.invalid;branch=z9hG4bK1\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\n\
         Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
    );
    let pongs = stage.serve(|server| server.pongs());
    stage.serve(|server| server.send(options.as_bytes(), 100));
    let received = stage.received();
    match &received[..] {
        [Message::Response(response)] => assert_eq!(response.status, Status::OK),
        other => panic!("{other:?}"),
    }
    let pieces = options.len().div_ceil(100);
    assert_eq!(stage.serve(|server| server.pongs()) - pongs, pieces - 1);
    stage.replay();
}

/// RFC 7118, 6: line ends are of use here, too; and a server that is gone is found.
#[test]
fn rfc_7118_a_closed_web_socket_is_opened_anew() {
    let mut stage = Stage::new(None);
    stage.told();
    stage.world.run_for(300 * SECOND);
    // Signs of life, answered and not taken for messages.
    let received = stage.serve(WebServer::take_received);
    let signs = received.iter().filter(|bytes| **bytes == "\r\n\r\n");
    assert!((2..=3).contains(&signs.count()), "{received:?}");
    assert!(
        stage
            .told()
            .iter()
            .all(|event| { !matches!(event, AccountEvent::RegistrationFlowDidFail { .. }) })
    );
    stage.serve(|server| server.close(1001));
    stage.world.run_for(40 * SECOND);
    let names: Vec<&str> = stage
        .told()
        .iter()
        .filter_map(|event| match event {
            AccountEvent::RegistrationFlowDidFail { .. } => Some("flow failed"),
            AccountEvent::RegistrationDidSucceed { .. } => Some("registered"),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["flow failed", "registered"]);
    assert_eq!(stage.serve(|server| server.requests().len()), 2);
    stage.replay();
}

#[test]
fn rfc_7118_a_server_that_does_not_want_us_is_told_with_its_status() {
    let mut stage = Stage::new(Some("403 Forbidden"));
    assert!(!stage.is_registered());
    let told = stage.told();
    let error = told.iter().find_map(|event| match event {
        AccountEvent::RegistrationDidFail { error, .. } => Some(error.clone()),
        _ => None,
    });
    assert_eq!(
        error.as_deref(),
        Some("transport failure: WebSocket: 403"),
        "{told:?}"
    );
    assert_eq!(stage.received(), []);
    stage.replay();
}

#[test]
fn rfc_6455_a_server_that_breaks_the_protocol_is_left() {
    let mut stage = Stage::new(None);
    stage.told();
    // A frame with a reserved bit.
    stage.serve(|server| server.send_raw(&[0xc1, 0x01, b'x'][..]));
    let told = stage.told();
    assert!(
        matches!(&told[..], [AccountEvent::RegistrationFlowDidFail { .. }]),
        "{told:?}"
    );
    let open = stage.world.connection_ends();
    assert_eq!(open, []);
    stage.replay();
}
