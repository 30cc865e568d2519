//! A name server for a few addresses, at a port of loopback.

use crate::Outcome;
use std::{
    net::{Ipv4Addr, UdpSocket},
    thread,
};

/// Answers for these names until the program ends; of other names, and of other types, it knows nothing.
pub(crate) fn start(port: u16, names: &[(&str, Ipv4Addr)]) -> Outcome<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
    let socket = socket.map_err(|error| format!("port {port}: {error}"))?;
    let names: Vec<(Vec<u8>, Ipv4Addr)> = names
        .iter()
        .map(|(name, address)| (labels(name), *address))
        .collect();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if let Some(answer) = answer(&query[..length], &names) {
                // Who asks asks again.
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    Ok(())
}

/// An answer (RFC 1035, 4.1): the question, and the address if it asks for one.
fn answer(query: &[u8], names: &[(Vec<u8>, Ipv4Addr)]) -> Option<Vec<u8>> {
    let mut end = HEADER;
    while *query.get(end)? != 0 {
        end += 1 + usize::from(query[end]);
    }
    let name = query.get(HEADER..=end)?;
    let question = query.get(HEADER..end + 5)?;
    let known = names
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let address = known
        .filter(|_| question.ends_with(&ADDRESS))
        .map(|(_, address)| *address);
    // A response, authoritative; NXDOMAIN for names that are not known.
    let flags = [0x84, if known.is_some() { 0 } else { 3 }];
    let counts = [0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0];
    let mut answer = [&query[..2], &flags, &counts, question].concat();
    if let Some(address) = address {
        // The name of the question, for 60 s.
        answer.extend([0xC0, 12]);
        answer.extend(ADDRESS);
        answer.extend([0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

/// A name as it stands in a question.
fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

const HEADER: usize = 12;
/// Type A, class IN.
const ADDRESS: [u8; 4] = [0, 1, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;

    /// A question for `name` of a type.
    fn question(name: &str, kind: u8) -> Vec<u8> {
        let head = [7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [&head[..], &labels(name), &[0, kind, 0, 1]].concat()
    }

    #[test]
    fn known_names_have_an_address_and_nothing_else() {
        let names = [(labels("a.test"), Ipv4Addr::new(192, 0, 2, 1))];
        let found = answer(&question("A.TEST", 1), &names).unwrap();
        assert_eq!((found[0], found[1], found[3], found[7]), (7, 9, 0, 1));
        assert!(found.ends_with(&[0, 60, 0, 4, 192, 0, 2, 1]));
        let other = answer(&question("a.test", 33), &names).unwrap();
        assert_eq!((other[3], other[7]), (0, 0));
        let unknown = answer(&question("b.test", 1), &names).unwrap();
        assert_eq!((unknown[3], unknown[7]), (3, 0));
        assert_eq!(answer(&[0; 12], &names), None);
    }
}
