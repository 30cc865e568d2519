use super::*;
use proptest::{
    prelude::{ProptestConfig, any, prop},
    prop_assert, proptest,
};

const UNIX: Duration = Duration::from_secs(1_700_000_000);

#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin for a virtual clock"
)]
fn origin() -> Instant {
    Instant::now()
}

fn rng(seed: u8) -> Rng {
    Rng::from_seed([seed; 32])
}

fn identity(seed: u8) -> Identity {
    Identity::generate(&mut rng(seed))
}

fn expecting(identity: &Identity) -> Expected {
    Expected::new([("sha-256", &identity.fingerprint()[..])]).unwrap()
}

/// Two ends, the client first, and how often the time was moved on.
struct Pair {
    now: Instant,
    ends: [Association; 2],
    sent: Vec<(usize, Vec<u8>)>,
    keys: [Option<Keys>; 2],
    failed: [Option<Failure>; 2],
}

fn pair(now: Instant) -> Pair {
    let identities = [identity(1), identity(2)];
    let make = |end: usize, role| {
        let expected = expecting(&identities[1 - end]);
        let rng = rng(10 + end as u8);
        Association::new(now, UNIX, role, &identities[end], expected, rng)
    };
    Pair {
        now,
        ends: [make(0, Role::Active), make(1, Role::Passive)],
        sent: Vec::new(),
        keys: [None, None],
        failed: [None, None],
    }
}

impl Pair {
    /// Lets both speak until nothing is due within a minute; `lose` says what gets lost, by its number.
    fn run(&mut self, lose: impl Fn(usize) -> bool) {
        let end_at = self.now + Duration::from_secs(60);
        loop {
            let mut is_quiet = true;
            for end in 0..2 {
                while let Some(output) = self.ends[end].poll_output(self.now) {
                    is_quiet = false;
                    match output {
                        Output::Transmit(datagram) => {
                            assert!(crate::is_dtls(&datagram) && datagram.len() <= 1_200);
                            let number = self.sent.len();
                            self.sent.push((end, datagram.clone()));
                            if !lose(number) {
                                self.ends[1 - end].handle_datagram(self.now, &datagram);
                            }
                        }
                        Output::Keyed(keys) => {
                            assert!(self.keys[end].replace(keys).is_none());
                        }
                        Output::Failed(failure) => {
                            assert!(self.failed[end].replace(failure).is_none());
                        }
                    }
                }
            }
            if !is_quiet {
                continue;
            }
            let due = self.ends.iter().filter_map(Association::poll_timeout).min();
            match due.filter(|due| due.at < end_at) {
                Some(due) => self.now = self.now.max(due.at),
                None => return,
            }
            for end in &mut self.ends {
                end.handle_timeout(self.now);
            }
        }
    }
}

/// RFC 6347, 4.2.1; RFC 9147, 5.1: who hears the hello of somebody that hears no answer sends little, and repeats
/// nothing by itself.
#[test]
fn a_forged_hello_is_no_amplifier() {
    let mut pair = pair(origin());
    let [client, server] = &mut pair.ends;
    let bytes = |end: &mut Association, now| {
        let mut sent = Vec::new();
        while let Some(output) = end.poll_output(now) {
            if let Output::Transmit(datagram) = output {
                sent.push(datagram);
            }
        }
        sent
    };
    let hello = bytes(client, pair.now);
    for _ in 0..3 {
        for datagram in &hello {
            server.handle_datagram(pair.now, datagram);
        }
    }
    let mut answers = bytes(server, pair.now);
    assert!(!answers.is_empty(), "an honest client is answered");
    while let Some(deadline) = server.poll_timeout() {
        server.handle_timeout(deadline.at);
        answers.extend(bytes(server, deadline.at));
    }
    let length = |datagrams: &[Vec<u8>]| datagrams.iter().map(Vec::len).sum::<usize>();
    let (sent, got) = (length(&hello) * 3, length(&answers));
    assert!(got <= sent * 3, "{got} bytes for {sent}");
}

#[test]
fn both_ends_have_the_keys_of_each_other() {
    let mut pair = pair(origin());
    pair.run(|_| false);
    let [Some(client), Some(server)] = &pair.keys else {
        panic!("{:?}", pair.failed);
    };
    assert_eq!(client.local, server.remote);
    assert_eq!(client.remote, server.local);
    assert_ne!(client.local, client.remote);
    assert_eq!(client.local.profile(), Profile::AeadAes256Gcm);
    assert!(!format!("{:?} {client:?}", pair.ends).contains("buffer"));
}

#[test]
fn one_seed_gives_the_same_bytes_whenever_it_runs() {
    let now = origin();
    let run = |at| {
        let mut pair = pair(at);
        pair.run(|number| number == 2);
        pair.sent
    };
    let once = run(now);
    assert!(once.len() > 5);
    assert!(once == run(now + Duration::from_millis(123_456_789)));
}

#[test]
fn a_peer_with_dtls_1_2_sees_our_time_and_gets_keys() {
    let now = origin();
    let run = |now: Instant| {
        let (ours, theirs) = (identity(1), identity(2));
        let expected = expecting(&theirs);
        let mut us = Association::new(now, UNIX, Role::Passive, &ours, expected, rng(3));
        let mut other_rng = rng(4);
        let mut peer = draw::lend(&mut other_rng, || {
            let config = Config::builder()
                .with_crypto_provider(provider())
                .dangerously_set_rng_seed(5);
            let mut peer = Dtls::new_12(Arc::new(config.build().unwrap()), theirs.dimpl(), now);
            peer.set_active(true);
            peer
        });
        let (mut shown, mut keys, mut exported) = (None, None, None);
        let mut later = now;
        for _ in 0..20 {
            later += Duration::from_millis(777);
            let mut datagrams = Vec::new();
            draw::lend(&mut other_rng, || {
                // Its own hello shows the clock of the machine: the same each time only within a second.
                peer.handle_timeout(later).unwrap();
                let mut buffer = [0; 2_048];
                loop {
                    match peer.poll_output(&mut buffer) {
                        dimpl::Output::Packet(packet) => datagrams.push(packet.to_vec()),
                        dimpl::Output::KeyingMaterial(material, profile) => {
                            exported = super::keys(Role::Active, &material, profile);
                        }
                        dimpl::Output::Timeout(_) => break,
                        _ => {}
                    }
                }
            });
            for datagram in datagrams {
                us.handle_datagram(later, &datagram);
            }
            while let Some(output) = us.poll_output(later) {
                match output {
                    Output::Transmit(datagram) => {
                        // A ServerHello.
                        if datagram[0] == 22 && datagram[13] == 2 {
                            shown = datagram[27..59].first_chunk::<32>().copied();
                        }
                        draw::lend(&mut other_rng, || peer.handle_packet(&datagram).unwrap());
                    }
                    Output::Keyed(found) => keys = Some(found),
                    Output::Failed(failure) => panic!("{failure}"),
                }
            }
        }
        let (keys, exported) = (keys.unwrap(), exported.unwrap());
        assert_eq!((keys.local, keys.remote), (exported.remote, exported.local));
        shown.unwrap()
    };
    let shown = run(now);
    let seconds = u32::from_be_bytes(*shown.first_chunk().unwrap());
    assert_eq!(u64::from(seconds), UNIX.as_secs());
    assert_eq!(shown, run(now + Duration::from_millis(98_765_432)));
}

#[test]
fn flights_are_repeated_after_a_second_and_then_later_each_time() {
    let mut pair = pair(origin());
    let began = pair.now;
    let mut times = Vec::new();
    loop {
        match pair.ends[0].poll_output(pair.now) {
            Some(Output::Transmit(_)) => times.push((pair.now - began).as_secs_f64()),
            Some(Output::Failed(failure)) => {
                assert_eq!(failure, Failure::Timeout);
                break;
            }
            Some(output) => panic!("{output:?}"),
            None => {
                pair.now = pair.ends[0].poll_timeout().expect("it is not over").at;
                pair.ends[0].handle_timeout(pair.now);
            }
        }
    }
    assert!(pair.ends[0].poll_timeout().is_none() && pair.ends[0].poll_output(pair.now).is_none());
    assert_eq!(times.len(), 5, "{times:?}");
    for (n, gap) in times.windows(2).map(|two| two[1] - two[0]).enumerate() {
        let nominal = f64::from(1 << n);
        assert!((0.75..=1.25).contains(&(gap / nominal)), "{times:?}");
    }
}

/// While there is no way nothing is polled: no moment stays due.
#[test]
fn deadlines_pass_where_nothing_can_be_sent() {
    let mut pair = pair(origin());
    let client = &mut pair.ends[0];
    assert!(matches!(
        client.poll_output(pair.now),
        Some(Output::Transmit(_))
    ));
    assert!(client.poll_output(pair.now).is_none());
    let mut due = 0;
    while let Some(deadline) = client.poll_timeout() {
        assert!(deadline.at > pair.now || due == 0, "due again and again");
        pair.now = deadline.at;
        client.handle_timeout(pair.now);
        due += 1;
    }
    assert_eq!(due, 2, "one flight, and the end");
    let said = client.poll_output(pair.now);
    assert!(matches!(said, Some(Output::Failed(Failure::Timeout))));
}

#[test]
fn every_single_loss_is_made_good() {
    let mut whole = pair(origin());
    whole.run(|_| false);
    for lost in 0..whole.sent.len() {
        let mut pair = pair(origin());
        pair.run(|number| number == lost);
        assert!(pair.keys.iter().all(Option::is_some), "without {lost}");
    }
}

#[test]
fn another_certificate_gets_no_keys() {
    for (end, what) in [(0, "the client"), (1, "the server")] {
        let mut pair = pair(origin());
        let role = pair.ends[end].role();
        pair.ends[end] = Association::new(
            pair.now,
            UNIX,
            role,
            &identity(9),
            expecting(&identity(2 - end as u8)),
            rng(11),
        );
        pair.run(|_| false);
        assert_eq!(pair.failed[1 - end], Some(Failure::Fingerprint), "{what}");
        assert_eq!(pair.keys[1 - end], None, "{what}");
    }
}

/// RFC 8446, 6.1: one alert, which ends nothing for the peer: calls end by signalling.
#[test]
fn who_closes_says_so_once() {
    let mut young = pair(origin());
    let first = young.ends[0].poll_output(young.now);
    assert!(matches!(first, Some(Output::Transmit(_))));
    young.ends[0].close();
    assert!(young.ends[0].poll_output(young.now).is_none());
    assert!(young.ends[0].poll_timeout().is_none());
    for end in 0..2 {
        let mut pair = pair(origin());
        pair.run(|_| false);
        let before = pair.sent.len();
        for _ in 0..2 {
            pair.ends[end].close();
            pair.run(|_| false);
            let said: Vec<usize> = pair.sent[before..].iter().map(|(from, _)| *from).collect();
            assert_eq!(said, [end]);
        }
        assert_eq!(pair.failed, [None, None]);
        assert!(pair.ends[1 - end].is_keyed());
    }
}

#[test]
fn who_has_not_shown_to_hear_us_draws_less_than_it_sends() {
    let mut client = pair(origin());
    let Some(Output::Transmit(hello)) = client.ends[0].poll_output(client.now) else {
        panic!("a hello");
    };
    let mut server = pair(origin());
    let (mut came, mut left) = (0, 0);
    for n in 0..1_000u16 {
        let mut forged = hello.clone();
        // Another record each time, and now and then another message.
        forged[9..11].copy_from_slice(&n.to_be_bytes());
        if n % 3 == 0 {
            forged[30] ^= n as u8;
        }
        came += forged.len();
        server.ends[1].handle_datagram(server.now, &forged);
        while let Some(output) = server.ends[1].poll_output(server.now) {
            if let Output::Transmit(datagram) = output {
                left += datagram.len();
            }
        }
        server.now += Duration::from_millis(100);
        server.ends[1].handle_timeout(server.now);
    }
    assert!(0 < left && left <= came, "{left} bytes for {came}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever comes, nothing panics, nothing is keyed, and little is sent.
    #[test]
    fn hostile_datagrams(
        seed in any::<u8>(),
        active in any::<bool>(),
        steps in prop::collection::vec((0..12usize, any::<[u8; 8]>(), prop::collection::vec(any::<u8>(), 0..80)), 0..40),
    ) {
        let mut honest = pair(origin());
        honest.run(|_| false);
        let role = match active { true => Role::Active, false => Role::Passive };
        let mut now = origin();
        let mut victim = Association::new(now, UNIX, role, &identity(1), expecting(&identity(2)), rng(seed));
        let mut sent = 0;
        for (which, places, tail) in steps {
            let mut datagram = honest.sent.get(which).map_or_else(Vec::new, |(_, datagram)| datagram.clone());
            if datagram.is_empty() {
                datagram = tail;
            } else {
                for pair in places.chunks(2) {
                    let place = usize::from(pair[0]) % datagram.len();
                    datagram[place] ^= pair[1];
                }
            }
            victim.handle_datagram(now, &datagram);
            while let Some(output) = victim.poll_output(now) {
                match output {
                    Output::Transmit(_) => sent += 1,
                    Output::Keyed(_) => prop_assert!(false, "keys for nobody"),
                    Output::Failed(_) => {}
                }
            }
            if let Some(deadline) = victim.poll_timeout().filter(|_| places[0] & 1 == 0) {
                now = now.max(deadline.at);
                victim.handle_timeout(now);
            }
        }
        prop_assert!(sent <= 200, "{} datagrams", sent);
    }
}
