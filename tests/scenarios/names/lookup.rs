//! What an application looks up itself, and for how long answers are remembered.

use super::{ZONE, answered, asked, asking, call, ip, requests, serve, traces};
use crate::runs::play;
use simulator::{
    Stage,
    server::{DnsFault, NameServer},
};
use sipsimple::{
    agent::{Input, System},
    base::Host,
    dns::{Found, LookupError, QueryError, Service},
    event::{Event, LookupEvent},
    stream::Lookup,
};
use std::{rc::Rc, time::Duration};

/// What came of a lookup, as `udp 10.0.0.2:5060`, with the time that it took.
pub(super) fn look_up(
    stage: &mut Stage,
    what: Lookup,
) -> (Duration, Result<Vec<String>, LookupError>) {
    let alice = stage.alice;
    let before = stage.world.elapsed();
    let id = stage.agent(alice, "lookup", |agent, now| {
        agent.lookup(now, what).unwrap()
    });
    let result = |stage: &Stage| {
        let told = stage.world.host(alice).inbox().notifications.iter();
        let mut results = told.filter_map(|told| match &told.event {
            Event::Lookup(of, LookupEvent::DidSucceed { result }) if *of == id => {
                Some(Ok(match result {
                    Found::Targets(targets) => {
                        let text = |target: &base::Target| {
                            format!("{} {}", target.transport, target.address)
                        };
                        targets.iter().map(text).collect()
                    }
                    Found::Uris(uris) => uris.clone(),
                }))
            }
            Event::Lookup(of, LookupEvent::DidFail { error }) if *of == id => Some(Err(*error)),
            _ => None,
        });
        let result = results.next();
        assert!(results.next().is_none(), "a lookup ends once");
        result
    };
    let limit = stage.world.now() + Duration::from_secs(60);
    loop {
        if let Some(result) = result(stage) {
            return (stage.world.elapsed() - before, result);
        }
        assert!(stage.world.step(limit), "the lookup never ends");
    }
}

pub(super) fn sip(stage: &mut Stage, uri: &str) -> Result<Vec<String>, LookupError> {
    let uri = uri.parse().unwrap();
    look_up(stage, Lookup::Sip { uri }).1
}

fn service(
    stage: &mut Stage,
    service: Service,
    host: &str,
    port: Option<u16>,
) -> Result<Vec<String>, LookupError> {
    let host: Host = host.parse().unwrap();
    look_up(
        stage,
        Lookup::Service {
            service,
            host,
            port,
        },
    )
    .1
}

fn one(target: &str) -> Result<Vec<String>, LookupError> {
    Ok(vec![target.to_owned()])
}

const SERVICES: &str = r#"
    example.com. 60 A 10.0.0.77
    _stun._udp.example.com. 60 SRV 1 1 3479 stun.example.com.
    stun.example.com. 60 A 10.0.0.31
    _msrps._tcp.example.com. 60 SRV 1 1 2856 relay.example.com.
    relay.example.com. 60 A 10.0.0.32
    bare.example. 60 A 10.0.0.33
    xcap.example.com. 60 TXT "https://xcap.example.com/root http://xcap.example.com/root"
    xcap.example.com. 60 TXT "v=spf1 -all"
"#;

/// DNL-03: SRV, then the host itself with the port of the service; DNL-11: the URIs of `xcap.<host>`; DNL-13, DNL-14: each ends by one event; DNL-17: ports.
#[test]
fn dnl_03_services_and_dnl_11_xcap_roots_are_found() {
    play(&asking(1, &[53]), |stage| {
        serve(stage, 53, SERVICES);
        for (kind, host, port, expected) in [
            (
                Service::Stun,
                "example.com",
                None,
                one("udp 10.0.0.31:3479"),
            ),
            (
                Service::MsrpRelay,
                "example.com",
                None,
                one("tls 10.0.0.32:2856"),
            ),
            (
                Service::MsrpRelay,
                "bare.example",
                None,
                one("tls 10.0.0.33:2855"),
            ),
            (
                Service::MsrpRelay,
                "relay.example.com",
                Some(99),
                one("tls 10.0.0.32:99"),
            ),
            (
                Service::Stun,
                "bare.example",
                None,
                one("udp 10.0.0.33:3478"),
            ),
        ] {
            assert_eq!(
                service(stage, kind, host, port),
                expected,
                "{kind:?} {host}"
            );
        }
        let domain = "example.com".parse().unwrap();
        let mut uris = look_up(stage, Lookup::Xcap { domain }).1.unwrap();
        uris.sort();
        assert_eq!(
            uris,
            [
                "http://xcap.example.com/root",
                "https://xcap.example.com/root"
            ]
        );
        let domain = "bare.example".parse().unwrap();
        assert_eq!(
            look_up(stage, Lookup::Xcap { domain }).1,
            Err(LookupError::NotFound)
        );
        // DNL-17
        assert_eq!(sip(stage, "sip:bare.example"), one("udp 10.0.0.33:5060"));
    });
}

/// DNL-15: one trace for each query, with all its fields.
#[test]
fn dnl_15_every_query_is_traced_with_what_came_of_it() {
    play(&asking(1, &[53]), |stage| {
        serve(stage, 53, SERVICES);
        service(stage, Service::Stun, "example.com", None).unwrap();
        let _ = sip(stage, "sip:nowhere.example");
        let traces = traces(stage, stage.alice);
        let traces: Vec<String> = traces
            .iter()
            .filter_map(|event| match event {
                LookupEvent::Trace { query_type, query_name, answer, error, context, service, uri, nameservers } => {
                    assert_eq!(nameservers[..], ["10.0.0.53:53".parse().unwrap()]);
                    Some(format!("{context} {service:?} {uri}: {query_type} {query_name} {answer:?} {error:?}"))
                }
                _ => None,
            })
            .collect();
        let stun = Some("stun");
        let none: Option<QueryError> = None;
        assert_eq!(
            traces[..2],
            [
                format!(
                    r#"lookup_service {stun:?} example.com: SRV _stun._udp.example.com ["1 1 3479 stun.example.com"] {none:?}"#
                ),
                format!(
                    r#"lookup_service {stun:?} example.com: A stun.example.com ["10.0.0.31"] {none:?}"#
                ),
            ]
        );
        let naptr = traces.iter().find(|text| text.contains("NAPTR")).unwrap();
        assert_eq!(
            naptr,
            "lookup_sip_proxy None sip:nowhere.example: NAPTR nowhere.example [] Some(NoName)"
        );
    });
}

/// DNL-16: an answer lives as long as it says, at most an hour; one that there is no such name as long
/// as the zone says (RFC 2308, 5).
#[test]
fn dnl_16_answers_are_remembered_for_their_time_and_at_most_an_hour() {
    const LIVES: &str = "
        example.com. 9 SOA 20
        short.example.com. 10 A 10.0.0.2
        long.example.com. 90000 A 10.0.0.2
    ";
    play(&asking(1, &[53]), |stage| {
        let server = serve(stage, 53, LIVES);
        // How often a name is asked for when it is looked up every so many seconds.
        let mut times = |name: &str, every: u64, times: u64| {
            let uri = format!("sip:{name}:5060");
            for _ in 0..times {
                let _ = sip(stage, &uri);
                stage.world.run_for(Duration::from_secs(every));
            }
            asked(stage, server).len()
        };
        assert_eq!(times("short.example.com", 3, 7), 2, "asked at 0 and 12 s");
        assert_eq!(
            times("long.example.com", 500, 9),
            2,
            "asked at 0 and 4000 s"
        );
        // The time of the SOA record itself is less than what it says.
        assert_eq!(times("not.example.com", 3, 6), 2, "asked at 0 and 9 s");
    });
}

/// A name of the hosts file is what that says, whatever DNS would say, which is not asked; a name that is not in it is
/// asked about.
#[test]
fn the_hosts_file_decides_before_dns() {
    play(&asking(1, &[53]), |stage| {
        let server = serve(stage, 53, ZONE);
        answered(stage);
        let alice = stage.alice;
        let before = sip(stage, "sip:example.com");
        assert_eq!(
            before,
            Ok(vec![
                "tcp 10.0.0.2:5060".to_owned(),
                "udp 10.0.0.2:5060".to_owned()
            ])
        );
        asked(stage, server);
        let hosts = vec![
            ("Office.example.com".to_owned(), ip(2)),
            ("example.com".to_owned(), ip(2)),
        ];
        stage.agent(alice, "hosts", |agent, now| {
            agent.handle_input(now, Input::System(System::Hosts(hosts)));
        });
        // As an address would: no NAPTR, no SRV (RFC 3263, 4.1 and 4.2).
        let known = Ok(vec!["udp 10.0.0.2:5060".to_owned()]);
        assert_eq!(sip(stage, "sip:example.com"), known);
        assert_eq!(sip(stage, "sip:office.EXAMPLE.com"), known);
        let (_, label) = call(stage, "sip:bob@office.example.com");
        assert_eq!(label, "connected");
        assert_eq!(asked(stage, server), [""; 0]);
        let unknown = sip(stage, "sip:other.example.com:5060");
        assert_eq!(unknown, Err(LookupError::NotFound));
        assert_eq!(asked(stage, server).len(), 1);
    });
}

/// DNL-12: a server has `timeout`, all of them together `lifetime`; DNL-14 says which it was.
#[test]
fn dnl_12_timeout_and_lifetime_are_spent_as_documented() {
    play(&asking(1, &[53, 54]), |stage| {
        let first = serve(stage, 53, ZONE);
        serve(stage, 54, ZONE);
        let fault = |stage: &mut Stage, server, fault: Option<DnsFault>| {
            stage
                .world
                .command(server, "fault", |server: &mut NameServer, _| {
                    server.set_fault(fault)
                });
        };
        fault(stage, first, Some(DnsFault::Silent));
        let port = |n: u8| Lookup::Sip {
            uri: format!("sip:bob.example.com:506{n}").parse().unwrap(),
        };
        let (took, result) = look_up(stage, port(0));
        assert_eq!(result, one("udp 10.0.0.2:5060"));
        assert_eq!(
            took.as_millis() / 100,
            30,
            "the second is asked after 3 s: {took:?}"
        );
        // The datagram went three times: it might have been lost.
        assert_eq!(asked(stage, first).len(), 3);
        // Who was silent is asked last for half a minute.
        let other = Lookup::Sip {
            uri: "sip:example.com:5060".parse().unwrap(),
        };
        let (took, _) = look_up(stage, other);
        assert!(took < Duration::from_millis(100), "{took:?}");
        assert_eq!(asked(stage, first).len(), 0);
    });
    // Six dead servers would take 18 s.
    let servers: Vec<u8> = (60..66).collect();
    play(&asking(1, &servers), |stage| {
        for last in 60..66 {
            let server = serve(stage, last, ZONE);
            stage
                .world
                .command(server, "fault", |server: &mut NameServer, _| {
                    server.set_fault(Some(DnsFault::Silent));
                });
        }
        let uri = "sip:bob.example.com:5060".parse().unwrap();
        let (took, result) = look_up(stage, Lookup::Sip { uri });
        assert_eq!(result, Err(LookupError::TimedOut));
        assert_eq!(took, Duration::from_secs(15));
    });
}

/// What a server says that cannot be believed or used, and what is made of it.
#[test]
fn rfc_5452_lies_are_not_believed_and_the_next_server_is_asked() {
    let second = Duration::from_secs(1);
    for (fault, least, most) in [
        // They might come from somebody else: the true answer is waited for.
        (DnsFault::WrongId, 3 * second, 4 * second),
        (DnsFault::WrongQuestion(ip(66)), 3 * second, 4 * second),
        (DnsFault::OtherSource(ip(55)), 3 * second, 4 * second),
        (DnsFault::Garbage, 3 * second, 4 * second),
        (DnsFault::Silent, 3 * second, 4 * second),
        // Later than its time.
        (DnsFault::Slow(5 * second), 3 * second, 4 * second),
        // It says itself that it is of no use.
        (DnsFault::Lame, Duration::ZERO, second / 10),
        (DnsFault::Failing, Duration::ZERO, second / 10),
        (DnsFault::Refusing, Duration::ZERO, second / 10),
        (DnsFault::TruncatingForEver, Duration::ZERO, second / 10),
        // Slow, but in time; cut, but whole over TCP; more than was asked for.
        (DnsFault::Slow(2 * second), 2 * second, 3 * second),
        (DnsFault::Truncating, Duration::ZERO, second / 10),
        (
            DnsFault::Poisoning("bank.example. 3600 A 10.0.0.66"),
            Duration::ZERO,
            second / 10,
        ),
    ] {
        let results = play(&asking(1, &[53, 54]), |stage| {
            let server = NameServer::new("10.0.0.53:53".parse().unwrap(), ZONE);
            let first = stage.world.add_host("dns53", &[ip(53), ip(55)], server);
            serve(stage, 54, ZONE);
            stage
                .world
                .command(first, "fault", |server: &mut NameServer, _| {
                    server.set_fault(Some(fault.clone()));
                });
            let uri = "sip:bob.example.com:5060".parse().unwrap();
            let (took, result) = look_up(stage, Lookup::Sip { uri });
            assert_eq!(result, one("udp 10.0.0.2:5060"), "{fault:?}");
            assert!(took >= least && took < most, "{fault:?}: {took:?}");
            // Nothing is remembered that was not asked for.
            stage
                .world
                .command(first, "fault", |server: &mut NameServer, _| {
                    server.set_fault(None)
                });
            sip(stage, "sip:bank.example:5060")
        });
        assert_eq!(results, Err(LookupError::NotFound), "{fault:?}");
    }
}

/// A server that says "no such name" is believed: it is the domain that decides.
#[test]
fn dnl_14_a_name_that_a_server_denies_is_not_asked_elsewhere() {
    play(&asking(1, &[53, 54]), |stage| {
        let first = serve(stage, 53, ZONE);
        let second = serve(stage, 54, ZONE);
        stage
            .world
            .command(first, "fault", |server: &mut NameServer, _| {
                server.set_fault(Some(DnsFault::NoName));
            });
        assert_eq!(
            sip(stage, "sip:bob.example.com:5060"),
            Err(LookupError::NotFound)
        );
        assert_eq!(asked(stage, second).len(), 0);
    });
}

/// DNL-01: asking takes no time of anybody: two lookups, a call and its lookups go side by side.
#[test]
fn dnl_01_lookups_do_not_wait_for_each_other() {
    play(&asking(1, &[53]), |stage| {
        let server = serve(stage, 53, ZONE);
        answered(stage);
        stage
            .world
            .command(server, "fault", |server: &mut NameServer, _| {
                server.set_fault(Some(DnsFault::Slow(Duration::from_millis(500))));
            });
        let uri: sip::Uri = "sip:example.com;transport=udp".parse().unwrap();
        let ids = [uri.clone(), uri].map(|uri| {
            stage.agent(stage.alice, "lookup", |agent, now| {
                agent.lookup(now, Lookup::Sip { uri }).unwrap()
            })
        });
        let (_, label) = call(stage, "sip:bob@example.com;transport=udp");
        assert_eq!(label, "connected");
        // Three wanted the same: it was asked once.
        assert_eq!(asked(stage, server).len(), 2);
        let told = &stage.world.host(stage.alice).inbox().notifications;
        for id in ids {
            let done = |event: &Event| matches!(event, Event::Lookup(of, LookupEvent::DidSucceed { .. }) if *of == id);
            assert_eq!(told.iter().filter(|told| done(&told.event)).count(), 1);
        }
    });
}

/// A router that knows addresses and name servers only, as many at home (BUG-15).
const ROUTER: &str = "
    example.com. 300 SOA 300
    example.com. 300 NS ns1.example.com.
    example.com. 300 NS ns2.example.com.
    ns1.example.com. 300 A 10.0.0.61
    ns2.example.com. 300 A 10.0.0.62
    example.com. 300 A 10.0.0.77
";

/// A call to a domain by a router that knows nothing of NAPTR and SRV: the ways of its INVITE, and what the router and the
/// domain's first server were asked.
fn by_the_domain(
    authoritative: bool,
    router: &'static str,
    fault: Option<DnsFault>,
) -> (String, Vec<String>, Vec<String>, Vec<String>) {
    let mut setup = asking(1, &[53]);
    let before = Rc::clone(&setup.configure);
    setup.configure = Rc::new(move |name, config| {
        before(name, config);
        config.dns.authoritative = authoritative;
    });
    play(&setup, |stage| {
        let local = serve(stage, 53, router);
        let first = serve(stage, 61, ZONE);
        let second = serve(stage, 62, ZONE);
        for server in [first, second] {
            let fault = fault.clone();
            stage
                .world
                .command(server, "fault", |server: &mut NameServer, _| {
                    server.set_fault(fault);
                });
        }
        let bob = stage.bob();
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let (_, label) = call(stage, "sip:bob@example.com");
        let mut ways: Vec<String> = requests(stage, stage.alice, "INVITE")
            .into_iter()
            .map(|(_, way)| way)
            .collect();
        ways.dedup();
        (label, ways, asked(stage, local), asked(stage, first))
    })
}

/// DNL-02: the domain's own servers are found by NS, and answer NAPTR, SRV and addresses; the router is asked for nothing
/// else. Without that, its silence leads the call astray.
#[test]
fn dnl_02_the_servers_of_the_domain_answer() {
    let (label, ways, mut local, own) = by_the_domain(true, ROUTER, None);
    assert_eq!(
        (&*label, ways),
        ("connected", vec!["tcp 10.0.0.2:5060".to_owned()])
    );
    local.sort();
    assert_eq!(
        local,
        ["A ns1.example.com", "A ns2.example.com", "NS example.com"]
    );
    assert_eq!(own[0], "NAPTR example.com");
    assert_eq!(own.last().map(String::as_str), Some("A bob.example.com"));

    let (label, ways, _, own) = by_the_domain(false, ROUTER, None);
    assert_eq!(own, [""; 0]);
    assert_ne!(label, "connected");
    assert_eq!(ways, ["udp 10.0.0.77:5060"]);
}

/// DNL-02: where the domain's servers are silent, lame, broken or lie to nobody but us, the local ones answer.
#[test]
fn dnl_02_local_servers_answer_where_those_of_the_domain_do_not() {
    let router: &'static str = Box::leak(format!("{ROUTER}{ZONE}").into_boxed_str());
    for fault in [
        DnsFault::Silent,
        DnsFault::Lame,
        DnsFault::Failing,
        DnsFault::Refusing,
        DnsFault::Garbage,
        DnsFault::WrongId,
    ] {
        let (label, ways, local, _) = by_the_domain(true, router, Some(fault.clone()));
        assert_eq!(
            (&*label, ways),
            ("connected", vec!["tcp 10.0.0.2:5060".to_owned()]),
            "{fault:?}"
        );
        assert!(
            local.contains(&"NAPTR example.com".to_owned()),
            "{fault:?}: {local:?}"
        );
    }
    // A domain without name servers of its own.
    let (label, ..) = by_the_domain(true, ZONE, None);
    assert_eq!(label, "connected");
}
