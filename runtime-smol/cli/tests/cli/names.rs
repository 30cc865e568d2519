//! Names: a name server of one test, and what the verb `dns` says of its answers.

use super::{PATIENCE, run};
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread,
};

/// It has addresses, and nothing else, for the names that it knows.
pub(crate) struct NameServer {
    address: SocketAddr,
}

impl NameServer {
    /// All of `names` are the loopback; others do not exist. It serves until it is left alone.
    pub(crate) fn start(names: &'static [&'static str]) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let answer = answer(&buffer[..length], names).expect("a query");
                socket.send_to(&answer, from).unwrap();
            }
        });
        Self { address }
    }

    /// For `--dns`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }
}

/// RFC 1035, 4.1: the header, the question as it came, and one record at most.
fn answer(query: &[u8], names: &[&str]) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*query.get(at)?);
        let label = query.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
    }
    let question = query.get(12..at + 4)?;
    let is_known = names.contains(&labels.join(".").as_str());
    let is_found = is_known && question.ends_with(&[0, 1, 0, 1]);
    let mut answer = query.get(..2)?.to_vec();
    // Authoritative and recursive; NXDOMAIN is 3.
    answer.extend([0x85, if is_known { 0x80 } else { 0x83 }]);
    answer.extend([0, 1, 0, u8::from(is_found), 0, 0, 0, 0]);
    answer.extend(question);
    if is_found {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(Ipv4Addr::LOCALHOST.octets());
    }
    Some(answer)
}

/// DNL-04, DNL-15: every query with its answer and who gave it, then the targets in their order.
#[test]
fn dnl_15_the_verb_dns_shows_the_resolution() {
    let names = NameServer::start(&["sip.example"]);
    let dns = names.address();
    let look = |uri: &str| run(&["dns", uri, "--dns", &dns]);
    let found = look("sip:bob@sip.example:5070;transport=tcp");
    let data = &found.assert_exit(0)["data"];
    assert_eq!(data["result"][0]["address"], "127.0.0.1:5070", "{data}");
    assert_eq!(data["result"][0]["transport"], "tcp", "{data}");
    assert_eq!(data["queries"][0]["answer"][0], "127.0.0.1", "{data}");
    assert_eq!(data["queries"][0]["nameservers"][0], dns, "{data}");
    // Without a port it is asked for the services first (RFC 3263, 4.1).
    let found = look("sip:sip.example");
    let data = &found.assert_exit(0)["data"];
    assert_eq!(data["queries"][0]["query_type"], "NAPTR", "{data}");
    assert_eq!(data["result"][0]["address"], "127.0.0.1:5060", "{data}");
    let nobody = look("sip:nobody.example");
    assert_eq!(
        nobody.assert_exit(3)["data"]["queries"][0]["error"],
        "no such name"
    );
    look("http://sip.example/").assert_exit(1);
}
