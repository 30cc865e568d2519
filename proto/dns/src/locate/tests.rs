//! Domains as RFC 3263 has them, and what a caller makes of them.

use super::*;
use crate::{Data, Naptr, QueryError, Question, hosts::Hosts, known::Answers};

const ALL: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

/// A zone: lines of `name TYPE data`; a name without lines does not exist.
struct Zone {
    answers: Answers,
    hosts: Hosts,
}

fn name(text: &str) -> Name {
    match text {
        "." => Name::root(),
        text => Name::new(text).unwrap(),
    }
}

fn zone(text: &str) -> Zone {
    let mut answers = Answers::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words[at].parse::<u16>().unwrap();
        let data = match words[1] {
            "A" => Data::A(words[2].parse().unwrap()),
            "AAAA" => Data::Aaaa(words[2].parse().unwrap()),
            "SRV" => Data::Srv(Srv {
                priority: number(2),
                weight: number(3),
                port: number(4),
                target: name(words[5]),
            }),
            "NAPTR" => Data::Naptr(Naptr {
                order: number(2),
                preference: number(3),
                flags: words[4].to_owned(),
                service: words[5].to_owned(),
                regexp: words[6].replace('-', ""),
                replacement: name(words[7]),
            }),
            other => panic!("{other}"),
        };
        let question = Question::new(name(words[0]), data.kind());
        let answer = answers.entry(question).or_insert_with(|| Ok(Vec::new()));
        answer.as_mut().unwrap().push(data);
    }
    Zone {
        answers,
        hosts: Hosts::new([("host.local".to_owned(), [192, 0, 2, 99].into())]),
    }
}

impl Zone {
    /// The targets of a place, and how many questions it took, round by round.
    fn locate(
        &self,
        place: &Place,
        reach: &[Reach],
    ) -> (Result<Vec<String>, LookupError>, Vec<Vec<String>>) {
        let mut answers = Answers::new();
        let mut rounds = Vec::new();
        let mut rng = Rng::from_seed([1; 32]);
        loop {
            let mut known = Known::new(&answers, &self.hosts);
            let result = targets(place, reach, &mut known, &mut rng);
            if known.is_complete() {
                let text = |t: Target| format!("{} {} {}", t.transport, t.address, t.name);
                let result = result.map(|targets| targets.into_iter().map(text).collect());
                return (result, rounds);
            }
            let missing = known.into_missing();
            rounds.push(missing.iter().map(Question::to_string).collect());
            for question in missing {
                let known = self.answers.get(&question).cloned();
                answers.insert(question, known.unwrap_or(Err(QueryError::NoName)));
            }
        }
    }

    fn targets(&self, place: &Place) -> Result<Vec<String>, LookupError> {
        self.locate(place, &reach(&ALL)).0
    }
}

fn reach(transports: &[Transport]) -> Vec<Reach> {
    let both = |&transport| Reach::new(transport, true, true);
    transports.iter().map(both).collect()
}

fn place(host: &str) -> Place {
    Place::new(host.parse().unwrap())
}

/// The example of RFC 3263, 4.1 with the addresses that it leaves out.
const EXAMPLE: &str = "
    example.com NAPTR 50 50 s SIPS+D2T - _sips._tcp.example.com
    example.com NAPTR 90 50 s SIP+D2T - _sip._tcp.example.com
    example.com NAPTR 100 50 s SIP+D2U - _sip._udp.example.com
    _sips._tcp.example.com SRV 0 1 5061 server1.example.com
    _sip._tcp.example.com SRV 0 1 5060 server1.example.com
    _sip._tcp.example.com SRV 1 2 5070 server2.example.com
    _sip._udp.example.com SRV 0 0 5060 server1.example.com
    server1.example.com A 192.0.2.1
    server2.example.com A 192.0.2.2
    server2.example.com AAAA 2001:db8::2
    example.com A 192.0.2.80
";

#[test]
fn rfc_3263_4_1_the_order_of_naptr_records_decides() {
    let (found, rounds) = zone(EXAMPLE).locate(&place("example.com"), &reach(&ALL));
    assert_eq!(
        found.unwrap(),
        [
            "tls 192.0.2.1:5061 example.com",
            "tcp 192.0.2.1:5060 example.com",
            "tcp [2001:db8::2]:5070 example.com",
            "tcp 192.0.2.2:5070 example.com",
            "udp 192.0.2.1:5060 example.com",
        ]
    );
    // What does not depend on each other is asked at once: one round each for NAPTR, SRV and addresses.
    assert_eq!(rounds.iter().map(Vec::len).collect::<Vec<_>>(), [1, 3, 4]);
    // As the RFC goes on: a client without TLS uses TCP.
    let (found, _) = zone(EXAMPLE).locate(
        &place("example.com"),
        &reach(&[Transport::Udp, Transport::Tcp]),
    );
    assert_eq!(found.unwrap()[0], "tcp 192.0.2.1:5060 example.com");
}

#[test]
fn dnl_05_addresses_and_ports_need_no_naptr_and_no_srv() {
    let zone = zone(EXAMPLE);
    let (found, rounds) = zone.locate(&place("192.0.2.7"), &reach(&ALL));
    assert_eq!(found.unwrap(), ["udp 192.0.2.7:5060 192.0.2.7"]);
    assert!(rounds.is_empty());
    let mut with_port = place("example.com");
    with_port.port = Some(5060);
    let (found, rounds) = zone.locate(&with_port, &reach(&ALL));
    assert_eq!(found.unwrap(), ["udp 192.0.2.80:5060 example.com"]);
    assert_eq!(rounds, [["example.com AAAA", "example.com A"]]);
    // RFC 3263, 4.1: TLS for SIPS.
    with_port.secure = true;
    assert_eq!(
        zone.targets(&with_port).unwrap(),
        ["tls 192.0.2.80:5060 example.com"]
    );
    let mut secure = place("[2001:db8::1]");
    secure.secure = true;
    // DNL-17
    assert_eq!(
        zone.targets(&secure).unwrap(),
        ["tls [2001:db8::1]:5061 [2001:db8::1]"]
    );
}

#[test]
fn dnl_06_each_step_falls_back_to_the_next() {
    let without_naptr = EXAMPLE.replace("NAPTR 50 50 s", "NAPTR 50 50 u");
    let without_naptr = without_naptr.replace("NAPTR 90 50 s", "NAPTR 90 50 a");
    let without_naptr = without_naptr.replace("SIP+D2U -", "SIP+D2U !.*!x!");
    // The transports that have SRV records, in our order.
    assert_eq!(
        zone(&without_naptr).targets(&place("example.com")).unwrap(),
        [
            "udp 192.0.2.1:5060 example.com",
            "tcp 192.0.2.1:5060 example.com",
            "tcp [2001:db8::2]:5070 example.com",
            "tcp 192.0.2.2:5070 example.com",
            "tls 192.0.2.1:5061 example.com",
        ]
    );
    // Neither: the host itself, over UDP, or TLS for SIPS.
    let bare = zone("example.com A 192.0.2.80");
    let mut place = place("example.com");
    assert_eq!(
        bare.targets(&place).unwrap(),
        ["udp 192.0.2.80:5060 example.com"]
    );
    place.secure = true;
    assert_eq!(
        bare.targets(&place).unwrap(),
        ["tls 192.0.2.80:5061 example.com"]
    );
    // NAPTR records whose SRV records do not exist: the transport is decided (RFC 3263, 4.2).
    let broken = zone(
        "example.com NAPTR 1 1 s SIP+D2T - _sip._tcp.gone.test
         example.com A 192.0.2.80",
    );
    place.secure = false;
    assert_eq!(
        broken.targets(&place).unwrap(),
        ["tcp 192.0.2.80:5060 example.com"]
    );
    // Nothing at all.
    assert_eq!(zone("").targets(&place), Err(LookupError::NotFound));
}

#[test]
fn dnl_07_a_transport_parameter_asks_for_its_srv_records_alone() {
    let zone = zone(EXAMPLE);
    let mut place = place("example.com");
    place.transport = Some(Transport::Udp);
    let (found, rounds) = zone.locate(&place, &reach(&ALL));
    assert_eq!(found.unwrap(), ["udp 192.0.2.1:5060 example.com"]);
    assert_eq!(rounds[0], ["_sip._udp.example.com SRV"]);
    place.transport = Some(Transport::Tls);
    let (found, rounds) = zone.locate(&place, &reach(&ALL));
    assert_eq!(found.unwrap(), ["tls 192.0.2.1:5061 example.com"]);
    assert_eq!(rounds[0], ["_sips._tcp.example.com SRV"]);
    place.transport = Some(Transport::Ws);
    assert_eq!(zone.targets(&place), Err(LookupError::NoTransport));
    let (found, _) = zone.locate(&place, &reach(&[Transport::Ws]));
    assert_eq!(found.unwrap(), ["ws 192.0.2.80:80 example.com"]);
}

#[test]
fn dnl_08_sips_is_tls_and_nothing_else() {
    let zone = zone(EXAMPLE);
    let mut secure = place("example.com");
    secure.secure = true;
    assert_eq!(
        zone.targets(&secure).unwrap(),
        ["tls 192.0.2.1:5061 example.com"]
    );
    secure.transport = Some(Transport::Tcp);
    assert_eq!(
        zone.targets(&secure).unwrap(),
        ["tls 192.0.2.1:5061 example.com"]
    );
    secure.transport = Some(Transport::Udp);
    assert_eq!(zone.targets(&secure), Err(LookupError::NoTransport));
    secure.transport = None;
    let (found, _) = zone.locate(&secure, &reach(&[Transport::Udp, Transport::Tcp]));
    assert_eq!(found, Err(LookupError::NoTransport));
}

#[test]
fn dnl_09_among_equal_rules_our_order_decides() {
    let zone = zone(
        "example.com NAPTR 1 1 s SIP+D2T - _sip._tcp.example.com
         example.com NAPTR 1 1 s SIP+D2U - _sip._udp.example.com
         _sip._tcp.example.com SRV 0 0 5060 a.test
         _sip._udp.example.com SRV 0 0 5060 a.test
         a.test A 192.0.2.1",
    );
    let first = |transports: &[Transport]| {
        let (found, _) = zone.locate(&place("example.com"), &reach(transports));
        found.unwrap().remove(0)
    };
    let udp = "udp 192.0.2.1:5060 example.com";
    let tcp = "tcp 192.0.2.1:5060 example.com";
    assert_eq!(first(&[Transport::Udp, Transport::Tcp]), udp);
    assert_eq!(first(&[Transport::Tcp, Transport::Udp]), tcp);
}

#[test]
fn rfc_2782_the_root_says_that_there_is_no_such_service() {
    let text = "
        _sip._udp.example.com SRV 0 0 0 .
        example.com A 192.0.2.80
    ";
    let zone = zone(text);
    // Without other records the domain itself is tried, but not over what it denies.
    assert_eq!(
        zone.targets(&place("example.com")).unwrap(),
        ["tcp 192.0.2.80:5060 example.com"]
    );
    let mut place = place("example.com");
    place.transport = Some(Transport::Udp);
    assert_eq!(zone.targets(&place), Err(LookupError::NotFound));
}

#[test]
fn a_name_of_the_hosts_file_is_as_good_as_an_address() {
    let (found, rounds) = zone("").locate(&place("Host.local"), &reach(&ALL));
    assert_eq!(found.unwrap(), ["udp 192.0.2.99:5060 Host.local"]);
    assert!(rounds.is_empty());
}

#[test]
fn rte_04_both_families_are_used_where_we_have_them() {
    let zone = zone(
        "example.com AAAA 2001:db8::1
         example.com AAAA 2001:db8::2
         example.com A 192.0.2.1",
    );
    let mut place = place("example.com");
    place.port = Some(5060);
    assert_eq!(
        zone.targets(&place).unwrap(),
        [
            "udp [2001:db8::1]:5060 example.com",
            "udp 192.0.2.1:5060 example.com",
            "udp [2001:db8::2]:5060 example.com",
        ]
    );
    let only_four = [Reach::new(Transport::Udp, true, false)];
    let (found, rounds) = zone.locate(&place, &only_four);
    assert_eq!(found.unwrap(), ["udp 192.0.2.1:5060 example.com"]);
    assert_eq!(
        rounds,
        [["example.com A"]],
        "what is of no use is not asked"
    );
}

#[test]
fn maddr_says_where_and_the_host_what_must_be_proven() {
    let mut place = place("192.0.2.9");
    place.name = "example.com".parse().unwrap();
    let zone = zone("");
    assert_eq!(
        zone.targets(&place).unwrap(),
        ["udp 192.0.2.9:5060 example.com"]
    );
    assert_eq!(place.to_string(), "sip:example.com;maddr=192.0.2.9");
}

#[test]
fn a_zone_cannot_make_us_ask_or_try_without_end() {
    let mut text = String::new();
    for n in 0..200 {
        text += &format!("_sip._udp.big.test SRV 1 1 5060 h{n}.test\nh{n}.test A 192.0.2.{n}\n");
        text += &format!("big.test NAPTR {n} 1 s SIP+D2U - _sip._udp{n}.big.test\n");
        text += &format!("_sip._udp{n}.big.test SRV 1 1 5060 h{n}.test\n");
    }
    let mut place = place("big.test");
    let (found, rounds) = zone(&text).locate(&place, &reach(&ALL));
    assert_eq!(found.unwrap().len(), 8);
    assert!(
        rounds.iter().map(Vec::len).sum::<usize>() < 64,
        "{rounds:?}"
    );
    place.transport = Some(Transport::Udp);
    let only_four = [Reach::new(Transport::Udp, true, false)];
    assert_eq!(zone(&text).locate(&place, &only_four).0.unwrap().len(), 32);
}

#[test]
fn rfc_2782_priorities_come_in_their_order() {
    let zone = zone(
        "_sip._udp.example.com SRV 20 0 5060 c.test
         _sip._udp.example.com SRV 10 0 5060 b.test
         _sip._udp.example.com SRV 0 0 5060 a.test
         a.test A 192.0.2.1
         b.test A 192.0.2.2
         c.test A 192.0.2.3",
    );
    let mut place = place("example.com");
    place.transport = Some(Transport::Udp);
    assert_eq!(
        zone.targets(&place).unwrap(),
        [
            "udp 192.0.2.1:5060 example.com",
            "udp 192.0.2.2:5060 example.com",
            "udp 192.0.2.3:5060 example.com"
        ]
    );
}
