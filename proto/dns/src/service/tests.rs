use super::*;
use crate::{Data, Kind, QueryError, Question, Srv, hosts::Hosts, known::Answers};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn srv(host: &str, port: u16) -> Data {
    Data::Srv(Srv {
        priority: 0,
        weight: 0,
        port,
        target: match host {
            "." => Name::root(),
            host => name(host),
        },
    })
}

/// Answers to every question: these, and that there is nothing else.
fn look(
    records: &[(&str, Data)],
    what: impl Fn(&mut Known<'_>) -> Result<Vec<Target>, LookupError>,
) -> Result<Vec<String>, LookupError> {
    let hosts = Hosts::default();
    let mut answers = Answers::new();
    loop {
        let mut known = Known::new(&answers, &hosts);
        let result = what(&mut known);
        if known.is_complete() {
            let text = |t: Target| format!("{} {} {}", t.transport, t.address, t.name);
            return Ok(result?.into_iter().map(text).collect());
        }
        for question in known.into_missing() {
            let of_question =
                |(owner, data): &&(&str, Data)| Question::new(name(owner), data.kind()) == question;
            let data = records.iter().filter(of_question);
            let data: Vec<Data> = data.map(|(_, data)| data.clone()).collect();
            let answer = match data.is_empty() {
                true => Err(QueryError::NoName),
                false => Ok(data),
            };
            answers.insert(question, answer);
        }
    }
}

fn service(
    records: &[(&str, Data)],
    service: Service,
    host: &str,
    port: Option<u16>,
) -> Result<Vec<String>, LookupError> {
    let host: Host = host.parse().unwrap();
    look(records, |known| {
        let mut rng = Rng::from_seed([1; 32]);
        targets(service, &host, port, (true, false), known, &mut rng)
    })
}

fn address(last: u8) -> Data {
    Data::A([192, 0, 2, last].into())
}

#[test]
fn dnl_03_services_are_found_by_srv() {
    let records = [
        ("_msrps._tcp.example.com", srv("relay.test", 2_900)),
        ("_stun._udp.example.com", srv("stun.test", 3_500)),
        ("_turn._udp.example.com", srv("turn.test", 3_600)),
        ("_turn._tcp.example.com", srv("turn.test", 3_601)),
        ("_turns._tcp.example.com", srv("turn.test", 3_602)),
        ("relay.test", address(1)),
        ("stun.test", address(2)),
        ("turn.test", address(3)),
    ];
    for (what, expected) in [
        (Service::MsrpRelay, &["tls 192.0.2.1:2900 example.com"][..]),
        (Service::Stun, &["udp 192.0.2.2:3500 example.com"]),
        (
            Service::Turn,
            &[
                "udp 192.0.2.3:3600 example.com",
                "tcp 192.0.2.3:3601 example.com",
            ],
        ),
        (Service::Turns, &["tls 192.0.2.3:3602 example.com"]),
    ] {
        let found = service(&records, what, "example.com", None);
        assert_eq!(found.unwrap(), expected, "{what:?}");
    }
}

#[test]
fn dnl_03_without_srv_the_host_itself_at_the_usual_port() {
    let records = [("example.com", address(9))];
    for (what, expected) in [
        (Service::MsrpRelay, "tls 192.0.2.9:2855 example.com"),
        (Service::Stun, "udp 192.0.2.9:3478 example.com"),
        (Service::Turn, "udp 192.0.2.9:3478 example.com"),
        (Service::Turns, "tls 192.0.2.9:5349 example.com"),
    ] {
        let found = service(&records, what, "example.com", None);
        assert_eq!(found.unwrap(), [expected], "{what:?}");
    }
    let found = service(&records, Service::Stun, "example.com", Some(9_000));
    assert_eq!(found.unwrap(), ["udp 192.0.2.9:9000 example.com"]);
    let found = service(&[], Service::Stun, "192.0.2.4", None);
    assert_eq!(found.unwrap(), ["udp 192.0.2.4:3478 192.0.2.4"]);
    let denied = [
        ("_stun._udp.example.com", srv(".", 0)),
        ("example.com", address(9)),
    ];
    let found = service(&denied, Service::Stun, "example.com", None);
    assert_eq!(found, Err(LookupError::NotFound));
}

#[test]
fn dnl_11_every_web_uri_of_the_text_is_an_xcap_root() {
    let hosts = Hosts::default();
    let texts = [
        "https://xcap.example.com/root/ http://b.example.com/",
        "v=spf1 -all",
        "HTTPS://xcap.example.com/root/",
        "http://b.example.com/ http://",
    ];
    let texts = texts.map(|text| Data::Txt(text.to_owned())).to_vec();
    let question = Question::new(name("xcap.example.com"), Kind::Txt);
    let answers = Answers::from([(question, Ok(texts))]);
    let mut known = Known::new(&answers, &hosts);
    assert_eq!(
        xcap_roots(&name("example.com"), &mut known).unwrap(),
        [
            "https://xcap.example.com/root/",
            "http://b.example.com/",
            "HTTPS://xcap.example.com/root/",
        ]
    );
}
