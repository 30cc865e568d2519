//! The verb `nat`: what it prints of a STUN server of one test, and how it exits.

use super::{PATIENCE, run};
use serde_json::Value;
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread,
};

/// A STUN server with two ports on each of two addresses of the loopback (RFC 5780), or on one.
struct Server {
    address: SocketAddr,
}

impl Server {
    /// It serves until it is left alone.
    fn start(addresses: &'static [Ipv4Addr]) -> Self {
        let mut sockets: Vec<UdpSocket> = Vec::new();
        for first in addresses {
            for port in 0..2 {
                // The same two ports on each address.
                let port = sockets
                    .get(port)
                    .map_or(0, |socket| socket.local_addr().unwrap().port());
                let port = if sockets.len() < 2 { 0 } else { port };
                let socket = UdpSocket::bind((*first, port)).unwrap();
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                sockets.push(socket);
            }
        }
        let address = sockets[0].local_addr().unwrap();
        for at in 0..sockets.len() {
            let sockets: Vec<UdpSocket> =
                sockets.iter().map(|it| it.try_clone().unwrap()).collect();
            thread::spawn(move || {
                let mut buffer = [0; 512];
                while let Ok((length, from)) = sockets[at].recv_from(&mut buffer) {
                    let request = &buffer[..length];
                    let other = sockets.get(at ^ 3).map(|it| it.local_addr().unwrap());
                    // RFC 5780, 7.2.
                    let change = request
                        .get(27)
                        .map_or(0, |flags| usize::from(flags >> 1 & 3));
                    let answer = answer(request, from, other);
                    sockets[at ^ change].send_to(&answer, from).unwrap();
                }
            });
        }
        Self { address }
    }
}

/// RFC 8489, 5 and 14.1: MAPPED-ADDRESS; RFC 5780, 7.4: OTHER-ADDRESS.
fn answer(request: &[u8], from: SocketAddr, other: Option<SocketAddr>) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, address) in [(1_u16, Some(from)), (0x802c, other)] {
        if let Some(SocketAddr::V4(address)) = address {
            body.extend(kind.to_be_bytes());
            body.extend([0, 8, 0, 1]);
            body.extend(address.port().to_be_bytes());
            body.extend(address.ip().octets());
        }
    }
    let mut answer = vec![1, 1, 0, body.len() as u8];
    answer.extend(&request[4..20]);
    answer.extend(body);
    answer
}

const TWO: &[Ipv4Addr] = &[Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)];

/// ENG-34, ENG-45: the event of the documents, and the last line.
#[test]
fn eng_45_nat_says_what_stands_between() {
    for runtime in ["smol", "std"] {
        let server = Server::start(TWO).address.to_string();
        let ended = run(&["nat", "--stun", &server, "--runtime", runtime]);
        let last = ended.assert_exit(0);
        let data = &last["data"];
        assert_eq!(data["nat_type"], "Open Internet", "{last}");
        assert_eq!(data["mapping"], "Direct");
        assert_eq!(data["filtering"], "Endpoint-Independent");
        assert_eq!(data["mapped_address"], data["local_address"]);
        assert_eq!(data["server"], server.as_str());
        let told: Vec<&Value> = ended
            .lines
            .iter()
            .filter(|line| line["event"] == "SIPEngineDetectedNATType")
            .collect();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0]["data"]["succeeded"], true);
        assert_eq!(told[0]["data"]["nat_type"], "Open Internet");
    }
}

#[test]
fn nat_with_a_server_of_one_address_knows_half_of_it() {
    let server = Server::start(&TWO[..1]).address.to_string();
    let ended = run(&["nat", "--stun", &server]);
    let data = &ended.assert_exit(0)["data"];
    assert_eq!(data["nat_type"], "Unknown");
    assert_eq!(data["mapping"], "Direct");
    assert_eq!(data["filtering"], Value::Null);
}

/// Every exit code of the contract that the verb has.
#[test]
fn nat_fails_by_its_exit_code() {
    assert_eq!(run(&["nat"]).exit, 1);
    assert_eq!(run(&["nat", "--stun", "a b"]).exit, 1);
    // Nobody reads here.
    let deaf = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = deaf.local_addr().unwrap().to_string();
    let blocked = run(&["nat", "--stun", &address]);
    let last = blocked.assert_exit(5);
    assert_eq!(last["data"]["nat_type"], "UDP Blocked");
    let late = run(&["nat", "--stun", &address, "--timeout", "0.3"]);
    assert_eq!(late.assert_exit(5)["reason"], "no answer in time");
    // From the loopback nothing leads out of this machine.
    run(&["nat", "--stun", "192.0.2.1:3478"]).assert_exit(4);
    let names = super::names::NameServer::start(&[]);
    let unknown = [
        "nat",
        "--stun",
        "stun.example.com",
        "--dns",
        &names.address(),
    ];
    run(&unknown).assert_exit(3);
}
