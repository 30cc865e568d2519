//! A name server of one test: addresses, and nothing else, for the names that it knows.

use super::PATIENCE;
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread,
};

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
