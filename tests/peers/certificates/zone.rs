//! A name server of the test's own: addresses, and one domain that is found by NAPTR and SRV.

use super::{PORT, TARGET};
use crate::Outcome;
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread,
};

/// It serves until the program ends.
pub(super) struct NameServer {
    pub(super) address: SocketAddr,
}

impl NameServer {
    /// Knows the addresses of names; `domain` has NAPTR and SRV records that lead to [`TARGET`].
    pub(super) fn start(names: BTreeMap<String, Ipv4Addr>, domain: &'static str) -> Outcome<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
        let address = socket.local_addr().map_err(|e| e.to_string())?;
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = answer(&buffer[..length], &names, domain) {
                    // Who gets none asks again.
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Ok(Self { address })
    }
}

/// RFC 1035, 4.1: the header, the question as it came, and one record at most.
fn answer(query: &[u8], names: &BTreeMap<String, Ipv4Addr>, domain: &str) -> Option<Vec<u8>> {
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
    let name = labels.join(".");
    let service = format!("_sips._tcp.{domain}");
    let data = match question.get(question.len() - 4..)? {
        [0, A, 0, IN] => names.get(&name).map(|ip| ip.octets().to_vec()),
        // RFC 3403, 4.1: order, preference, flags, services, expression, replacement.
        [0, NAPTR, 0, IN] if name == domain => {
            let mut data = vec![0, 10, 0, 50];
            for text in ["s", "SIPS+D2T", ""] {
                data.push(text.len() as u8);
                data.extend(text.bytes());
            }
            data.extend(encoded(&service));
            Some(data)
        }
        // RFC 2782: priority, weight, port, target.
        [0, SRV, 0, IN] if name == service => {
            let mut data = vec![0, 0, 0, 0];
            data.extend(PORT.to_be_bytes());
            data.extend(encoded(TARGET));
            Some(data)
        }
        _ => None,
    };
    let exists = data.is_some() || names.contains_key(&name) || name == domain;
    let mut answer = query.get(..2)?.to_vec();
    // Authoritative and recursive; NXDOMAIN is 3.
    answer.extend([0x85, if exists { 0x80 } else { 0x83 }]);
    answer.extend([0, 1, 0, u8::from(data.is_some()), 0, 0, 0, 0]);
    answer.extend(question);
    if let Some(data) = data {
        // The name of the question, its type and class, a minute.
        answer.extend([0xc0, 12]);
        answer.extend(&question[question.len() - 4..]);
        answer.extend([0, 0, 0, 60]);
        answer.extend((data.len() as u16).to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}

fn encoded(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend(label.bytes());
    }
    out.push(0);
    out
}

// RFC 1035, 3.2; RFC 2782; RFC 3403.
const A: u8 = 1;
const SRV: u8 = 33;
const NAPTR: u8 = 35;
const IN: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_answered_or_do_not_exist() {
        let names = BTreeMap::from([("a.example".to_owned(), Ipv4Addr::LOCALHOST)]);
        let query = |name: &str, kind: u8| {
            let mut query = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            query.extend(encoded(name));
            query.extend([0, kind, 0, IN]);
            query
        };
        let ask = |name: &str, kind| answer(&query(name, kind), &names, "d.example").unwrap();
        assert!(ask("A.example", A).ends_with(&[0, 4, 127, 0, 0, 1]));
        assert_eq!(ask("b.example", A)[3] & 0x0f, 3);
        let naptr = ask("d.example", NAPTR);
        assert_eq!((naptr[3] & 0x0f, naptr[7]), (0, 1));
        assert!(ask("_sips._tcp.d.example", SRV).ends_with(&encoded(TARGET)));
        assert!(answer(b"short", &names, "d.example").is_none());
    }
}
