//! DTLS-SRTP: whoever sits between two ends and changes, drops, repeats or invents datagrams gets no keys into
//! the hands of either that the other has not.

use sipsimple::{
    base::Rng,
    dtls::{Association, Expected, Identity, Keys, Output, Role, is_dtls},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Two ends that shake hands through somebody who does what the bytes say: two for each datagram, and those that
/// follow where he changes or invents one.
///
/// # Panics
/// Both ends have keys, and they are not the same; an end sends without end, or more than 1,200 bytes at once; or it
/// panics.
pub fn dtls(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut now = Instant::now();
    let identities = [1, 2].map(|seed| Identity::generate(&mut Rng::from_seed([seed; 32])));
    let mut ends = [(0, Role::Active), (1, Role::Passive)].map(|(end, role)| {
        let fingerprint = identities[1 - end].fingerprint();
        let expected = Expected::new([("sha-256", &fingerprint[..])]).expect("a known hash");
        let rng = Rng::from_seed([3 + end as u8; 32]);
        let unix = Duration::from_secs(1_700_000_000);
        Association::new(now, unix, role, &identities[end], expected, rng)
    });
    let mut keys: [Option<Keys>; 2] = [None, None];
    let mut flying: VecDeque<(usize, Vec<u8>)> = VecDeque::new();
    let mut sent = 0;
    for _ in 0..MAX_STEPS {
        for end in 0..2 {
            while let Some(output) = ends[end].poll_output(now) {
                match output {
                    Output::Transmit(datagram) => {
                        assert!(datagram.len() <= 1_200 && is_dtls(&datagram));
                        sent += 1;
                        flying.push_back((1 - end, datagram));
                    }
                    Output::Keyed(agreed) => {
                        assert_eq!(keys[end], None, "keyed twice");
                        keys[end] = Some(agreed);
                    }
                    Output::Failed(_) => {}
                }
            }
        }
        match flying.pop_front() {
            Some((to, datagram)) => {
                for datagram in bytes.tamper(datagram) {
                    ends[to].handle_datagram(now, &datagram);
                }
            }
            None => {
                let due = ends.iter().filter_map(Association::poll_timeout).min();
                let Some(due) = due else { break };
                now = now.max(due.at);
                for end in &mut ends {
                    end.handle_timeout(now);
                }
            }
        }
    }
    // Repeated by time alone, or as an answer.
    assert!(sent <= MAX_STEPS + 64, "{sent} datagrams");
    if let [Some(client), Some(server)] = keys {
        assert_eq!(
            (&client.local, &client.remote),
            (&server.remote, &server.local)
        );
    }
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// What arrives instead of a datagram; without further bytes, itself.
    fn tamper(&mut self, mut datagram: Vec<u8>) -> Vec<Vec<u8>> {
        match self.next() % 8 {
            1 => Vec::new(),
            2 => vec![datagram.clone(), datagram],
            3 => {
                let place = usize::from(self.next()) << 8 | usize::from(self.next());
                let place = place % datagram.len().max(1);
                if let Some(byte) = datagram.get_mut(place) {
                    *byte ^= self.next();
                }
                vec![datagram]
            }
            4 => {
                datagram.truncate(usize::from(self.next()) * 5);
                vec![datagram]
            }
            5 => {
                let count = usize::from(self.next()).min(self.0.len());
                let (invented, rest) = self.0.split_at(count);
                self.0 = rest;
                vec![invented.to_vec(), datagram]
            }
            6 => {
                let place = usize::from(self.next()) % datagram.len().max(1);
                datagram.insert(place, self.next());
                vec![datagram]
            }
            _ => vec![datagram],
        }
    }
}

/// More than any handshake needs, however often it is disturbed.
const MAX_STEPS: usize = 400;
